//! Writing trees without a worktree.
//!
//! Files are written as objects only; a path that goes through a link or a file of the base tree
//! is refused and never followed. Deliberately absent: filters, attributes, line-end conversion.

use std::os::unix::ffi::OsStrExt as _;

use nightshift_domain::git_name::ObjectId;

use crate::error::{GitError, io_error};
use crate::path::{GitPath, Mode};
use crate::refs::parse_id;
use crate::repository::Repository;

/// The tree without entries, the same in every repository.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

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
        for change in changes {
            change.path.check()?;
            if let FileContent::Bytes(Mode::Tree | Mode::Submodule, _) = change.content {
                return Err(GitError::BadPath {
                    path: change.path.to_string(),
                    why: "a directory or submodule has no bytes",
                });
            }
        }
        let desk = tempfile::Builder::new()
            .prefix("tmp_index-")
            .tempdir_in(self.path())
            .map_err(io_error("make a temporary index"))?;
        let index = desk.path().join("index");
        let mut written = self.write_blobs(desk.path(), changes).await?.into_iter();
        let mut script = Vec::new();
        for change in changes {
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
            script.extend_from_slice(format!("{mode} {id}\t").as_bytes());
            script.extend_from_slice(change.path.as_bytes());
            script.push(0);
        }
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
            .await
            .map_err(|error| explain(error, changes))?;
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

/// A file where a directory is needed, or the other way round, is the caller's to know.
fn explain(error: GitError, changes: &[FileChange]) -> GitError {
    let GitError::Failed { message, .. } = &error else {
        return error;
    };
    // The longest path named wins: `a` is also part of the message about `a/b`.
    let named = changes
        .iter()
        .filter(|change| message.contains(&*change.path.to_text()))
        .max_by_key(|change| change.path.as_bytes().len());
    match named {
        Some(change) => GitError::BadPath {
            path: change.path.to_string(),
            why: "a file, link or directory of the tree is in its way",
        },
        None => error,
    }
}
