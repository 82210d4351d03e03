//! Writing trees without a worktree.
//!
//! Files are written as objects only; a path that goes through a link or a file of the base tree
//! is refused and never followed. Deliberately absent: filters, attributes, line-end conversion.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;

use nightshift_domain::git_name::ObjectId;

use crate::error::{GitError, io_error};
use crate::path::{GitPath, Mode};
use crate::refs::parse_id;
use crate::repository::Repository;

/// The tree without entries, the same in every repository.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Paths given to git on one command line.
const PATHS_PER_CALL: usize = 200;
/// Why a path that is fine by itself cannot be written.
const IN_THE_WAY: &str = "a file, link or directory of the tree is in its way";

/// What a path gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// A new object with these bytes. The mode must be of a file or a link.
    Bytes(Mode, Vec<u8>),
    /// An object that exists.
    Object(Mode, ObjectId),
    /// Nothing: the file goes.
    Gone,
}

/// One path to be changed in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Where.
    pub path: GitPath,
    /// What.
    pub content: FileContent,
}

impl Repository {
    /// The tree of a commit with some paths changed; without `base`, of an empty tree. Returns the
    /// new tree; no ref changes.
    pub async fn write_tree_with(
        &self,
        base: Option<&ObjectId>,
        changes: &[FileChange],
    ) -> Result<ObjectId, GitError> {
        check_changes(changes)?;
        if let Some(base) = base {
            self.check_against(base, changes).await?;
        }
        let desk = tempfile::Builder::new()
            .prefix("tmp_index-")
            .tempdir_in(self.path())
            .map_err(io_error("make a temporary index"))?;
        let index = desk.path().join("index");
        let mut written = self.write_blobs(desk.path(), changes).await?.into_iter();
        let (mut script, mut additions) = (Vec::new(), Vec::new());
        for change in changes {
            let part = match change.content {
                FileContent::Gone => &mut script,
                FileContent::Bytes(..) | FileContent::Object(..) => &mut additions,
            };
            let (mode, id) = match &change.content {
                FileContent::Bytes(mode, _) => {
                    let id = written
                        .next()
                        .ok_or_else(|| crate::refs::odd("hash-object", b""))?;
                    (mode.as_str(), id)
                }
                FileContent::Object(mode, id) => (mode.as_str(), id.clone()),
                FileContent::Gone => ("0", ObjectId::zero()),
            };
            part.extend_from_slice(format!("{mode} {id}\t").as_bytes());
            part.extend_from_slice(change.path.as_bytes());
            part.push(0);
        }
        script.extend_from_slice(&additions);
        let read = self.call("read-tree").env("GIT_INDEX_FILE", &index);
        match base {
            Some(base) => {
                read.arg("--end-of-options")
                    .arg(base.as_str())
                    .run()
                    .await?
            }
            None => read.arg("--empty").run().await?,
        };
        self.call("update-index")
            .env("GIT_INDEX_FILE", &index)
            .args(["-z", "--index-info"])
            .input(script)
            .run()
            .await?;
        let write = self.call("write-tree").env("GIT_INDEX_FILE", &index);
        let said = write.run().await?;
        parse_id("write-tree", said.stdout.trim_ascii())
    }

    /// Writes one object; returns its id.
    pub async fn write_blob(&self, bytes: &[u8]) -> Result<ObjectId, GitError> {
        let call = self.call("hash-object").args(["-w", "--stdin"]);
        let said = call.input(bytes).run().await?;
        parse_id("hash-object", said.stdout.trim_ascii())
    }

    /// The tree without entries, written if it is not there.
    pub async fn empty_tree(&self) -> Result<ObjectId, GitError> {
        let call = self
            .call("hash-object")
            .args(["-t", "tree", "-w", "--stdin"]);
        let said = call.run().await?;
        let id = parse_id("hash-object", said.stdout.trim_ascii())?;
        debug_assert_eq!(id.as_str(), EMPTY_TREE, "git has one empty tree");
        Ok(id)
    }

    /// Git would let a new file silently replace a link, file or directory that is in its way.
    async fn check_against(&self, base: &ObjectId, changes: &[FileChange]) -> Result<(), GitError> {
        let gone: HashSet<&GitPath> = changes
            .iter()
            .filter(|change| change.content == FileContent::Gone)
            .map(|change| &change.path)
            .collect();
        let mut asked = BTreeSet::new();
        for change in changes.iter().filter(|change| !gone.contains(&change.path)) {
            asked.insert(change.path.clone());
            asked.extend(change.path.ancestors());
        }
        let asked: Vec<GitPath> = asked.into_iter().collect();
        let mut modes = HashMap::new();
        for some in asked.chunks(PATHS_PER_CALL) {
            for entry in self.entries(base, some).await? {
                modes.insert(entry.path, entry.mode);
            }
        }
        for change in changes.iter().filter(|change| !gone.contains(&change.path)) {
            let blocked = change.path.ancestors().into_iter().any(|path| {
                let mode = modes.get(&path);
                mode.is_some_and(|mode| *mode != Mode::Tree) && !gone.contains(&path)
            });
            if blocked || modes.get(&change.path) == Some(&Mode::Tree) {
                return bad(&change.path, IN_THE_WAY);
            }
        }
        Ok(())
    }

    /// Writes the new objects of all changes with one process, in their order.
    async fn write_blobs(
        &self,
        desk: &std::path::Path,
        changes: &[FileChange],
    ) -> Result<Vec<ObjectId>, GitError> {
        let mut list = Vec::new();
        for change in changes {
            if let FileContent::Bytes(_, bytes) = &change.content {
                let path = desk.join(format!("blob-{}", list.len()));
                tokio::fs::write(&path, bytes)
                    .await
                    .map_err(io_error("write a temporary file"))?;
                list.push(path);
            }
        }
        if list.is_empty() {
            return Ok(Vec::new());
        }
        let mut input = Vec::new();
        for path in &list {
            input.extend_from_slice(path.as_os_str().as_bytes());
            input.push(b'\n');
        }
        let call = self
            .call("hash-object")
            .args(["-w", "--no-filters", "--stdin-paths"]);
        let said = call.input(input).run().await?;
        let lines = said.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        lines.map(|line| parse_id("hash-object", line)).collect()
    }
}

/// What can be said about the changes alone.
fn check_changes(changes: &[FileChange]) -> Result<(), GitError> {
    let mut paths = HashSet::new();
    for change in changes {
        change.path.check()?;
        if let FileContent::Bytes(Mode::Tree | Mode::Submodule, _) = change.content {
            return bad(&change.path, "a directory or submodule has no bytes");
        }
        if !paths.insert(&change.path) {
            return bad(&change.path, "it is named twice");
        }
    }
    let added = |path: &GitPath| {
        let content = changes.iter().find(|change| change.path == *path);
        content.is_some_and(|change| change.content != FileContent::Gone)
    };
    for change in changes {
        let above = change.path.ancestors().into_iter();
        let file_above = above
            .filter(|path| paths.contains(path))
            .any(|path| added(&path));
        if file_above && change.content != FileContent::Gone {
            return bad(&change.path, IN_THE_WAY);
        }
    }
    Ok(())
}

fn bad(path: &GitPath, why: &'static str) -> Result<(), GitError> {
    Err(GitError::BadPath {
        path: path.to_string(),
        why,
    })
}
