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

/// What git says of two commits that share no history.
const UNRELATED: &str = "unrelated histories";

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

    /// The paths at which each of these commits collides with `ours`, sorted; none where it merges
    /// cleanly or shares no history. One process for all of them.
    pub async fn collisions(
        &self,
        ours: &ObjectId,
        others: &[ObjectId],
    ) -> Result<Vec<Vec<GitPath>>, GitError> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let pairs: String = others
            .iter()
            .map(|other| format!("{ours} {other}\n"))
            .collect();
        let said = self
            .call("merge-tree")
            .args(["--write-tree", "--stdin", "--name-only", "--no-messages"])
            .input(pairs)
            .run()
            .await;
        match said {
            Ok(said) => parse_collisions(&said.stdout, others.len())
                .ok_or_else(|| odd("merge-tree --stdin", &said.stdout)),
            // One such pair ends them all.
            Err(GitError::Failed { message, .. }) if message.contains(UNRELATED) => {
                self.collisions_one_by_one(ours, others).await
            }
            Err(other) => Err(other),
        }
    }

    async fn collisions_one_by_one(
        &self,
        ours: &ObjectId,
        others: &[ObjectId],
    ) -> Result<Vec<Vec<GitPath>>, GitError> {
        let mut all = Vec::with_capacity(others.len());
        for other in others {
            all.push(match self.merge_by_history(ours, other).await {
                Ok(Merge::Conflicted { paths, .. }) => paths,
                Ok(Merge::Merged { .. }) | Err(GitError::Unrelated { .. }) => Vec::new(),
                Err(error) => return Err(error),
            });
        }
        Ok(all)
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
                GitError::Failed { ref message, .. } if message.contains(UNRELATED) => {
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

/// `<status> NUL <tree> NUL`, then `<path> NUL` for each conflict, then `NUL`; so often.
fn parse_collisions(output: &[u8], count: usize) -> Option<Vec<Vec<GitPath>>> {
    let mut fields = output.split(|b| *b == 0);
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let is_clean = match fields.next()? {
            b"0" => false,
            b"1" => true,
            _ => return None,
        };
        parse_id("merge-tree", fields.next()?).ok()?;
        let mut paths: Vec<GitPath> = fields
            .by_ref()
            .take_while(|path| !path.is_empty())
            .map(GitPath::from)
            .collect();
        paths.sort();
        paths.dedup();
        if paths.is_empty() != is_clean {
            return None;
        }
        all.push(paths);
    }
    (fields.next() == Some(b"") && fields.next().is_none()).then_some(all)
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
