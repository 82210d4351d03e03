//! What is asked about pushed objects before they are let in.
//!
//! All questions are put to the quarantine. Deliberately absent: decisions.

use nightshift_domain::git_name::ObjectId;

use crate::error::GitError;
use crate::refs::{Ref, RefUpdate, odd, parse_id};
use crate::repository::Repository;

impl Repository {
    /// Whether everything that these objects reach is there.
    pub(crate) async fn is_connected(&self, ids: &[&ObjectId]) -> Result<bool, GitError> {
        if ids.is_empty() {
            return Ok(true);
        }
        let call =
            self.call("rev-list")
                .args(["--objects", "--stdin", "--not", "--all", "--quiet"]);
        let call = call.time_limit(self.git().limits().transport);
        match call.input(lines(ids)).run().await {
            Ok(_) => Ok(true),
            Err(GitError::Failed { code: Some(_), .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The kind of each object: `commit`, `tag`, `tree`, `blob` or `missing`.
    pub(crate) async fn object_kinds(&self, ids: &[&ObjectId]) -> Result<Vec<String>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.call("cat-file").arg("--batch-check=%(objecttype)");
        let said = call.input(lines(ids)).run().await?;
        let text = String::from_utf8_lossy(&said.stdout);
        let last = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
        let kinds: Vec<String> = text.lines().map(last).collect();
        if kinds.len() == ids.len() {
            Ok(kinds)
        } else {
            Err(odd("cat-file", &said.stdout))
        }
    }

    /// The refs of these updates that exist.
    pub(crate) async fn list_named(&self, updates: &[RefUpdate]) -> Result<Vec<Ref>, GitError> {
        let mut refs = Vec::new();
        // As arguments, because `--stdin` is younger than the oldest git; in parts, because the
        // system bounds what fits.
        for part in updates.chunks(200) {
            let call = self
                .call("for-each-ref")
                .args(["--format=%(objectname) %(refname)", "--end-of-options"])
                .args(part.iter().map(|update| update.name.as_str()));
            let said = call.run().await?;
            let text = String::from_utf8_lossy(&said.stdout);
            for line in text.lines() {
                let Some((id, name)) = line.split_once(' ') else {
                    return Err(odd("for-each-ref", line.as_bytes()));
                };
                // A pattern also matches what lies below it.
                if let Some(update) = part.iter().find(|update| update.name.as_str() == name) {
                    refs.push(Ref {
                        name: update.name.clone(),
                        target: parse_id("for-each-ref", id.as_bytes())?,
                    });
                }
            }
        }
        Ok(refs)
    }

    /// Looks into every new `.gitmodules` for a carriage return inside a line: git reads it as part
    /// of a path in one place and not in another (CVE-2025-48384), and its own fsck passes it.
    pub(crate) async fn bad_modules(&self, ids: &[&ObjectId]) -> Result<Option<String>, GitError> {
        if ids.is_empty() {
            return Ok(None);
        }
        let call = self.call("rev-list").args(["--stdin", "--not", "--all"]);
        let said = call.input(lines(ids)).run().await?;
        let mut input = Vec::new();
        for commit in said.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            input.extend_from_slice(commit);
            input.extend_from_slice(b":.gitmodules\n");
        }
        if input.is_empty() {
            return Ok(None);
        }
        let call = self
            .call("cat-file")
            .arg("--batch-check=%(objecttype) %(objectname)");
        let said = call.input(input).run().await?;
        let text = String::from_utf8_lossy(&said.stdout);
        let mut blobs: Vec<ObjectId> = text
            .lines()
            .filter_map(|line| line.strip_prefix("blob ")?.parse().ok())
            .collect();
        blobs.sort();
        blobs.dedup();
        let blobs: Vec<&ObjectId> = blobs.iter().collect();
        let contents = self.read_blobs(&blobs).await?;
        let hides = |bytes: &Vec<u8>| {
            let mut pairs = bytes.windows(2);
            pairs.any(|pair| pair[0] == b'\r' && pair[1] != b'\n') || bytes.ends_with(b"\r")
        };
        let found = contents.iter().any(hides);
        Ok(found.then(|| ".gitmodules holds a carriage return inside a line".to_owned()))
    }
}

fn lines(ids: &[&ObjectId]) -> String {
    ids.iter().map(|id| format!("{id}\n")).collect()
}
