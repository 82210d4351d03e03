//! Trial merges on object ids, without a worktree.
//!
//! The result is a tree; nothing is recomputed afterwards. Squash and rebase are this with an
//! explicit base, and [`Repository::commit_tree`]. An explicit base is made by commits that only
//! carry the three trees, since `--merge-base` came with git 2.40 and takes trees since 2.45; no ref
//! names them, and upkeep prunes them. Deliberately absent: merge drivers and rerere.

use nightshift_domain::git_name::ObjectId;

use crate::error::GitError;
use crate::path::GitPath;
use crate::refs::{odd, parse_id};
use crate::repository::Repository;

/// How a trial merge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Clean.
    Merged {
        /// The merged tree.
        tree: ObjectId,
    },
    /// A person or an agent has to choose.
    Conflicted {
        /// The paths, sorted.
        paths: Vec<GitPath>,
        /// What git says about each conflict, one line each.
        reasons: Vec<String>,
        /// A tree in which the conflicts are marked in the files. Never to be landed.
        marked_tree: ObjectId,
    },
}

impl Repository {
    /// Merges `theirs` into `ours`. With `base` the two are compared to that commit or tree and
    /// need no common history: this is how a single commit is replayed elsewhere.
    pub async fn merge(
        &self,
        ours: &ObjectId,
        theirs: &ObjectId,
        base: Option<&ObjectId>,
    ) -> Result<Merge, GitError> {
        let Some(base) = base else {
            return self.merge_by_history(ours, theirs).await;
        };
        let base = self.carry(base, None).await?;
        let (left, right) = (
            self.carry(ours, Some(&base)).await?,
            self.carry(theirs, Some(&base)).await?,
        );
        let mut merge = self.merge_by_history(&left, &right).await?;
        if let Merge::Conflicted { reasons, .. } = &mut merge {
            // Nobody has seen the commits that only carry.
            for reason in reasons {
                *reason = reason
                    .replace(left.as_str(), ours.as_str())
                    .replace(right.as_str(), theirs.as_str());
            }
        }
        Ok(merge)
    }

    /// A commit with the tree of `of`, always the same for the same.
    async fn carry(&self, of: &ObjectId, parent: Option<&ObjectId>) -> Result<ObjectId, GitError> {
        let mut call = self
            .call("commit-tree")
            .env("GIT_AUTHOR_DATE", "@0 +0000")
            .env("GIT_COMMITTER_DATE", "@0 +0000")
            .args(["--no-gpg-sign", "-F", "-"]);
        if let Some(parent) = parent {
            call = call.arg("-p").arg(parent.as_str());
        }
        let call = call.arg("--end-of-options").arg(format!("{of}^{{tree}}"));
        let said = call.input("carries a tree\n").run().await?;
        parse_id("commit-tree", said.stdout.trim_ascii())
    }

    async fn merge_by_history(
        &self,
        ours: &ObjectId,
        theirs: &ObjectId,
    ) -> Result<Merge, GitError> {
        let said = self
            .call("merge-tree")
            .args(["--write-tree", "-z", "--name-only", "--messages"])
            .arg("--end-of-options")
            .args([ours.as_str(), theirs.as_str()])
            .accept(&[0, 1])
            .run()
            .await
            .map_err(|error| match error {
                GitError::Failed { ref message, .. } if message.contains("unrelated histories") => {
                    GitError::Unrelated {
                        ours: ours.clone(),
                        theirs: theirs.clone(),
                    }
                }
                other => other,
            })?;
        let mut fields = said.stdout.split(|b| *b == 0);
        let tree = parse_id("merge-tree", fields.next().unwrap_or_default())?;
        if said.code == 0 {
            return Ok(Merge::Merged { tree });
        }
        let mut paths: Vec<GitPath> = fields
            .by_ref()
            .take_while(|path| !path.is_empty())
            .map(GitPath::from)
            .collect();
        paths.sort();
        paths.dedup();
        if paths.is_empty() {
            return Err(odd("merge-tree", &said.stdout));
        }
        let reasons = parse_messages(fields);
        Ok(Merge::Conflicted {
            paths,
            reasons,
            marked_tree: tree,
        })
    }
}

/// `<count> NUL <path> NUL … <kind> NUL <message> NUL`, repeated; only the conflicts are kept.
fn parse_messages<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reasons = Vec::new();
    while let Some(count) = fields.next() {
        let count = std::str::from_utf8(count).ok().and_then(|n| n.parse().ok());
        let Some(count) = count else { break };
        // The paths, then kind and message.
        let mut rest = fields.by_ref().skip(count);
        let (Some(kind), Some(message)) = (rest.next(), rest.next()) else {
            break;
        };
        if kind.starts_with(b"CONFLICT") {
            reasons.push(crate::error::clean(message, 500));
        }
    }
    reasons
}
