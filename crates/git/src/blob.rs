//! Reading files and directories out of a commit's tree.
//!
//! Reads are bounded; a link is returned as a link and never followed. Deliberately absent:
//! checking files out.

use nightshift_domain::git_name::ObjectId;

use crate::error::GitError;
use crate::path::{GitPath, Mode};
use crate::refs::{odd, parse_id};
use crate::repository::Repository;

/// The content of a file in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The object.
    pub id: ObjectId,
    /// The content, or its start; of a symbolic link the target.
    pub bytes: Vec<u8>,
    /// What it is.
    pub mode: Mode,
    /// The whole size in bytes.
    pub size: u64,
    /// Whether `bytes` is only the start.
    pub truncated: bool,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path from the root of the tree.
    pub path: GitPath,
    /// What it is.
    pub mode: Mode,
    /// The object.
    pub id: ObjectId,
    /// The size in bytes; 0 for what is no file.
    pub size: u64,
}

impl Repository {
    /// The file at `path` in a commit or tree, at most `limit` bytes of it; `None` if there is no
    /// file.
    pub async fn read_blob(
        &self,
        commit: &ObjectId,
        path: impl AsRef<[u8]>,
        limit: u64,
    ) -> Result<Option<Blob>, GitError> {
        let path = GitPath::from(path.as_ref());
        if path.as_bytes().is_empty() || path.as_bytes().ends_with(b"/") {
            return Ok(None);
        }
        let entries = self.ls_tree(commit, &path, false).await?;
        let found = entries.into_iter().find(|entry| entry.path == path);
        let Some(entry) = found else { return Ok(None) };
        if matches!(entry.mode, Mode::Tree | Mode::Submodule) {
            return Ok(None);
        }
        let (said, cut) = self
            .call("cat-file")
            .args(["blob", entry.id.as_str()])
            .output_limit(limit)
            .run_cut()
            .await?;
        Ok(Some(Blob {
            id: entry.id,
            bytes: said.stdout,
            mode: entry.mode,
            size: entry.size,
            truncated: cut.is_some(),
        }))
    }

    /// The content of a blob by its own id, at most `limit` bytes of it; `None` if there is none.
    pub async fn read_object(
        &self,
        id: &ObjectId,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let call = self.call("cat-file").args(["blob", id.as_str()]);
        match call.output_limit(limit).run_cut().await {
            Ok((said, _cut)) => Ok(Some(said.stdout)),
            Err(GitError::Failed {
                code: Some(128), ..
            }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The entries below `prefix` (empty: the root) in a commit or tree, sorted as git does, at
    /// most `limit`; the second value says that there are more.
    pub async fn list_tree(
        &self,
        commit: &ObjectId,
        prefix: impl AsRef<[u8]>,
        recursive: bool,
        limit: usize,
    ) -> Result<(Vec<TreeEntry>, bool), GitError> {
        let mut prefix = prefix.as_ref().to_vec();
        if !prefix.is_empty() && !prefix.ends_with(b"/") {
            prefix.push(b'/');
        }
        let mut entries = self
            .ls_tree(commit, &GitPath::from(prefix), recursive)
            .await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok((entries, more))
    }

    /// The size of each blob, 0 for one that is not there.
    pub(crate) async fn blob_sizes(&self, ids: &[&ObjectId]) -> Result<Vec<u64>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut input = String::new();
        for id in ids {
            input.push_str(id.as_str());
            input.push('\n');
        }
        let call = self.call("cat-file").arg("--batch-check=%(objectsize)");
        let said = call.input(input).run().await?;
        let text = String::from_utf8_lossy(&said.stdout);
        let sizes: Vec<u64> = text.lines().map(|line| line.parse().unwrap_or(0)).collect();
        if sizes.len() == ids.len() {
            Ok(sizes)
        } else {
            Err(odd("cat-file", &said.stdout))
        }
    }

    /// The size of each blob and its first `limit` bytes; nothing for one that is not there.
    pub async fn blob_starts(
        &self,
        ids: &[&ObjectId],
        limit: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, GitError> {
        let sizes = self.blob_sizes(ids).await?;
        let small: Vec<&ObjectId> = ids
            .iter()
            .zip(&sizes)
            .filter(|(_, size)| **size <= limit)
            .map(|(id, _)| *id)
            .collect();
        let mut whole = self.read_blobs(&small).await?.into_iter();
        let mut starts = Vec::new();
        for (id, size) in ids.iter().zip(sizes) {
            let start = if size <= limit {
                whole.next().unwrap_or_default()
            } else {
                let call = self.call("cat-file").args(["blob", id.as_str()]);
                call.output_limit(limit).run_cut().await?.0.stdout
            };
            starts.push((size, start));
        }
        Ok(starts)
    }

    /// The whole content of each blob, empty for one that is not there. The caller bounds the sum.
    pub(crate) async fn read_blobs(&self, ids: &[&ObjectId]) -> Result<Vec<Vec<u8>>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let call = self.call("cat-file").arg("--batch=%(objectsize)");
        let said = call.input(input).run().await?;
        let mut rest = said.stdout.as_slice();
        let mut contents = Vec::new();
        for _ in ids {
            let end = rest.iter().position(|b| *b == b'\n');
            let (line, after) = rest.split_at(end.ok_or_else(|| odd("cat-file", rest))?);
            rest = &after[1..];
            let size = std::str::from_utf8(line)
                .ok()
                .and_then(|n| n.parse::<usize>().ok());
            let Some(size) = size else {
                // `<id> missing`
                contents.push(Vec::new());
                continue;
            };
            let content = rest.get(..size).ok_or_else(|| odd("cat-file", line))?;
            contents.push(content.to_vec());
            rest = rest.get(size + 1..).ok_or_else(|| odd("cat-file", line))?;
        }
        Ok(contents)
    }

    /// The entries at exactly these paths, directories included.
    pub(crate) async fn entries(
        &self,
        tree: &ObjectId,
        paths: &[GitPath],
    ) -> Result<Vec<TreeEntry>, GitError> {
        use std::os::unix::ffi::OsStrExt as _;
        let call = self
            .call("ls-tree")
            .args(["-z", "--full-tree", "--long", "-t"]);
        let call = call.arg("--end-of-options").arg(tree.as_str()).arg("--");
        let paths = paths
            .iter()
            .map(|path| std::ffi::OsStr::from_bytes(path.as_bytes()));
        let said = call.args(paths).run().await?;
        let records = said.stdout.split(|b| *b == 0).filter(|r| !r.is_empty());
        records.map(parse_entry).collect()
    }

    async fn ls_tree(
        &self,
        commit: &ObjectId,
        path: &GitPath,
        recursive: bool,
    ) -> Result<Vec<TreeEntry>, GitError> {
        use std::os::unix::ffi::OsStrExt as _;
        let part_is_odd = |part: &[u8]| matches!(part, b"." | b"..");
        let odd = path.as_bytes().split(|b| *b == b'/').any(part_is_odd);
        if odd || path.as_bytes().starts_with(b"/") || path.as_bytes().contains(&0) {
            // No tree has it; git would take it for a path of the file system.
            return Ok(Vec::new());
        }
        let call = self
            .call("ls-tree")
            .args(["-z", "--full-tree", "--long"])
            .args(recursive.then_some("-r"))
            .arg("--end-of-options")
            .arg(commit.as_str());
        let call = if path.as_bytes().is_empty() {
            call
        } else {
            call.arg("--")
                .arg(std::ffi::OsStr::from_bytes(path.as_bytes()))
        };
        let said = match call.run().await {
            Err(GitError::Failed {
                code: Some(128),
                message,
                ..
            }) if message.contains("not a tree object") || message.contains("bad object") => {
                return Err(GitError::NoObject(commit.clone()));
            }
            said => said?,
        };
        let records = said.stdout.split(|b| *b == 0).filter(|r| !r.is_empty());
        records.map(parse_entry).collect()
    }
}

/// `<mode> SP <type> SP <id> SP+ <size|-> TAB <path>`.
fn parse_entry(record: &[u8]) -> Result<TreeEntry, GitError> {
    let bad = || odd("ls-tree", record);
    let tab = record.iter().position(|b| *b == b'\t').ok_or_else(bad)?;
    let mut facts = record[..tab]
        .split(|b| *b == b' ')
        .filter(|f| !f.is_empty());
    let mut next = || facts.next().ok_or_else(bad);
    let mode = Mode::from_octal(next()?).ok_or_else(bad)?;
    let _kind = next()?;
    let id = parse_id("ls-tree", next()?)?;
    let size = std::str::from_utf8(next()?)
        .ok()
        .and_then(|s| s.parse().ok());
    Ok(TreeEntry {
        path: GitPath::from(&record[tab + 1..]),
        mode,
        id,
        size: size.unwrap_or(0),
    })
}
