//! Commits: reading them, walking between them, making them.
//!
//! A commit is made from a tree that exists already; texts are cleaned of what git's own format
//! gives a meaning to. Deliberately absent: signatures, amending, anything with a worktree.

use nightshift_domain::git_name::ObjectId;

use crate::error::GitError;
use crate::refs::{odd, parse_id};
use crate::repository::Repository;

/// Fields of one record, each ended by NUL: id, tree, parents, author name, mail, time, committer
/// name, mail, time, message.
const FORMAT: &str = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x00";
const FIELDS: usize = 10;

/// Name and address as a commit has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

impl Person {
    /// As git writes it into a commit, with a stand-in where nothing usable is left.
    fn cleaned(&self) -> (String, String) {
        let clean = |text: &str, stand_in: &str| {
            let text: String = text
                .chars()
                .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
                .collect();
            let usable = text.chars().any(char::is_alphanumeric);
            if usable { text } else { stand_in.to_owned() }
        };
        (
            clean(&self.name, "unknown"),
            clean(&self.email, "unknown@localhost"),
        )
    }
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its own id.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, the first one first.
    pub parents: Vec<ObjectId>,
    /// Who wrote it.
    pub author: Person,
    /// When it was written, in seconds since 1970; out of range counts as 0.
    pub author_time: i64,
    /// Who committed it.
    pub committer: Person,
    /// When it was committed, in seconds since 1970; out of range counts as 0.
    pub time: i64,
    /// The message without the blank lines at its end.
    pub message: String,
}

impl CommitInfo {
    /// The first line of the message.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or("")
    }
}

/// A commit to be made.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// The tree.
    pub tree: &'a ObjectId,
    /// The parents, in order; none makes a root.
    pub parents: &'a [ObjectId],
    /// Who wrote it.
    pub author: &'a Person,
    /// Who commits it.
    pub committer: &'a Person,
    /// The message, trailers included.
    pub message: &'a str,
    /// Both times, in seconds since 1970.
    pub time: i64,
}

impl Repository {
    /// Reads one commit.
    pub async fn commit(&self, id: &ObjectId) -> Result<CommitInfo, GitError> {
        let call = self
            .call("log")
            .args(["--no-walk", FORMAT, "--end-of-options"]);
        let said = match call.arg(id.as_str()).run().await {
            Err(GitError::Failed {
                code: Some(128),
                message,
                ..
            }) if message.contains("bad object") => {
                return Err(GitError::NoObject(id.clone()));
            }
            said => said?,
        };
        let mut commits = parse_commits(&said.stdout)?;
        match (commits.pop(), commits.is_empty()) {
            (Some(commit), true) if commit.id == *id => Ok(commit),
            _ => Err(GitError::NoObject(id.clone())),
        }
    }

    /// The commits that `to` has and `from` has not, newest first, at most `limit`. Without
    /// `from`: all of `to`'s history.
    pub async fn commits_between(
        &self,
        from: Option<&ObjectId>,
        to: &ObjectId,
        limit: usize,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let said = self
            .call("log")
            .arg(format!("--max-count={limit}"))
            .args(["--topo-order", FORMAT, "--end-of-options"])
            .arg(to.as_str())
            .args(from.map(|id| format!("^{id}")))
            .run()
            .await?;
        parse_commits(&said.stdout)
    }

    /// How many commits `to` has and `from` has not.
    pub async fn rev_count(&self, from: &ObjectId, to: &ObjectId) -> Result<u64, GitError> {
        let call = self.call("rev-list").args(["--count", "--end-of-options"]);
        let said = call.arg(to.as_str()).arg(format!("^{from}")).run().await?;
        let text = std::str::from_utf8(said.stdout.trim_ascii()).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| odd("rev-list", &said.stdout))
    }

    /// Whether `ancestor` is reachable from `descendant` (each from itself).
    pub async fn is_ancestor(
        &self,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, GitError> {
        let said = self
            .call("merge-base")
            .args(["--is-ancestor", "--end-of-options"])
            .args([ancestor.as_str(), descendant.as_str()])
            .accept(&[0, 1])
            .run()
            .await?;
        Ok(said.code == 0)
    }

    /// The best common ancestor, `None` if there is no common history.
    pub async fn merge_base(
        &self,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, GitError> {
        let said = self
            .call("merge-base")
            .arg("--end-of-options")
            .args([one.as_str(), other.as_str()])
            .accept(&[0, 1])
            .run()
            .await?;
        if said.code == 1 {
            return Ok(None);
        }
        parse_id("merge-base", said.stdout.trim_ascii()).map(Some)
    }

    /// Makes a commit object; no ref names it yet.
    pub async fn commit_tree(&self, commit: NewCommit<'_>) -> Result<ObjectId, GitError> {
        let (author, author_mail) = commit.author.cleaned();
        let (committer, committer_mail) = commit.committer.cleaned();
        let date = format!("@{} +0000", commit.time.max(0));
        let mut call = self
            .call("commit-tree")
            .env("GIT_AUTHOR_NAME", author)
            .env("GIT_AUTHOR_EMAIL", author_mail)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", committer)
            .env("GIT_COMMITTER_EMAIL", committer_mail)
            .env("GIT_COMMITTER_DATE", &date)
            .input(commit.message.replace('\0', ""))
            .args(["--no-gpg-sign", "-F", "-"]);
        for parent in commit.parents {
            call = call.arg("-p").arg(parent.as_str());
        }
        let said = call
            .arg("--end-of-options")
            .arg(commit.tree.as_str())
            .run()
            .await?;
        parse_id("commit-tree", said.stdout.trim_ascii())
    }
}

fn parse_commits(bytes: &[u8]) -> Result<Vec<CommitInfo>, GitError> {
    let mut fields: Vec<&[u8]> = bytes.split(|b| *b == 0).collect();
    // What follows the last NUL is the line end of the last record.
    fields.pop();
    if !fields.len().is_multiple_of(FIELDS) {
        return Err(odd("log", bytes));
    }
    fields.chunks_exact(FIELDS).map(parse_commit).collect()
}

fn parse_commit(fields: &[&[u8]]) -> Result<CommitInfo, GitError> {
    let &[
        id,
        tree,
        parents,
        name,
        email,
        time,
        by,
        by_email,
        by_time,
        message,
    ] = fields
    else {
        return Err(odd("log", b"a record of the wrong length"));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let number = |bytes: &[u8]| text(bytes).parse().unwrap_or(0);
    let parents = parents.split(|b| *b == b' ').filter(|id| !id.is_empty());
    Ok(CommitInfo {
        // Records are apart by a line end.
        id: parse_id("log", id.trim_ascii())?,
        tree: parse_id("log", tree)?,
        parents: parents
            .map(|id| parse_id("log", id))
            .collect::<Result<_, _>>()?,
        author: Person {
            name: text(name),
            email: text(email),
        },
        author_time: number(time),
        committer: Person {
            name: text(by),
            email: text(by_email),
        },
        time: number(by_time),
        message: text(message).trim_end().to_owned(),
    })
}
