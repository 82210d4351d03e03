//! Refs: reading them, and the one function that moves them.
//!
//! Invariant: a ref moves only in [`Repository::update_refs`] or a transaction made here, all
//! updates of a call or none, each from the value that the caller names. A value that is not there
//! any more is [`RefMoved`]. Deliberately absent: force, symbolic updates, moving without `old`.

use std::collections::HashSet;

use nightshift_domain::git_name::{BranchName, ObjectId, RefName};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::ChildStdout;

use crate::command::{Running, read_tail};
use crate::error::{GitError, RefMoved, clean, io_error};
use crate::repository::Repository;

/// A ref and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// The full name.
    pub name: RefName,
    /// The object; for an annotated tag the tag itself.
    pub target: ObjectId,
}

/// One ref to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name.
    pub name: RefName,
    /// The value it must have now; [`ObjectId::zero`]: it must not exist.
    pub old: ObjectId,
    /// The value it gets; [`ObjectId::zero`]: it is deleted.
    pub new: ObjectId,
}

impl Repository {
    /// What a ref names, `None` if it does not exist.
    pub async fn resolve(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        let said = self
            .call("rev-parse")
            .args(["--quiet", "--verify", "--end-of-options"])
            .arg(name.as_str())
            .accept(&[0, 1])
            .run()
            .await?;
        if said.code == 1 {
            return Ok(None);
        }
        parse_id("rev-parse", said.stdout.trim_ascii()).map(Some)
    }

    /// The branch that `HEAD` names; it need not exist yet.
    pub async fn default_branch(&self) -> Result<BranchName, GitError> {
        let call = self.call("symbolic-ref").args(["--end-of-options", "HEAD"]);
        let said = call.run().await?;
        let text = clean(&said.stdout, 300);
        text.strip_prefix("refs/heads/")
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| GitError::Unexpected {
                command: "symbolic-ref".to_owned(),
                answer: text.clone(),
            })
    }

    /// Lets `HEAD` name another branch.
    pub async fn set_default_branch(&self, branch: &BranchName) -> Result<(), GitError> {
        self.call("symbolic-ref")
            .args(["-m", "default branch", "HEAD"])
            .arg(branch.to_ref().as_str())
            .run()
            .await?;
        Ok(())
    }

    /// All refs below `prefix` (`refs/heads/`, `refs/attempts/`, `refs/`), sorted by name. A name
    /// that this platform could not use safely is left out.
    pub async fn list_refs(&self, prefix: &str) -> Result<Vec<Ref>, GitError> {
        let said = self
            .call("for-each-ref")
            .args(["--format=%(objectname) %(refname)", "--end-of-options"])
            .arg(prefix)
            .run()
            .await?;
        let mut refs = Vec::new();
        for line in said.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let (id, name) = line
                .split_at_checked(41)
                .ok_or_else(|| odd("for-each-ref", line))?;
            let target = parse_id("for-each-ref", id.trim_ascii())?;
            match std::str::from_utf8(name).ok().and_then(|n| n.parse().ok()) {
                Some(name) => refs.push(Ref { name, target }),
                None => {
                    tracing::warn!(name = %clean(name, 100), "a ref with an unusable name is left out");
                }
            }
        }
        Ok(refs)
    }

    /// Moves all refs named, or none: the only way in which a ref is written. `reason` goes to the
    /// reflog.
    pub async fn update_refs(&self, updates: &[RefUpdate], reason: &str) -> Result<(), GitError> {
        if updates.is_empty() {
            return Ok(());
        }
        self.prepare_refs(updates, reason).await?.commit().await
    }

    /// Locks the refs and compares their values; [`Prepared::commit`] then writes them.
    pub(crate) async fn prepare_refs(
        &self,
        updates: &[RefUpdate],
        reason: &str,
    ) -> Result<Prepared, GitError> {
        let mut names = HashSet::new();
        for update in updates {
            let nothing = update.old.is_zero() && update.new.is_zero();
            if nothing || !names.insert(update.name.as_str()) {
                return Err(GitError::RefBlocked {
                    name: update.name.clone(),
                    reason: "the update names it twice or changes nothing".to_owned(),
                });
            }
        }
        let mut script = b"start\0".to_vec();
        for RefUpdate { name, old, new } in updates {
            script.extend_from_slice(format!("update {name}\0{new}\0{old}\0").as_bytes());
        }
        script.extend_from_slice(b"prepare\0");
        let running = self
            .call("update-ref")
            .args(["--no-deref", "--create-reflog", "-m"])
            .arg(clean(reason.as_bytes(), 200).replace('\n', " "))
            .args(["--stdin", "-z"])
            .spawn()?
            // At the end of its input it aborts and unlocks.
            .end_by_itself();
        let mut prepared = Prepared::new(running)?;
        let limit = self.git().limits().command;
        let ready = tokio::time::timeout(limit, prepared.say(&script, "prepare: ok")).await;
        match ready {
            Ok(Ok(())) => Ok(prepared),
            Ok(Err(said)) => Err(self.explain(updates, said).await?),
            Err(_elapsed) => Err(GitError::TimedOut {
                command: "update-ref".to_owned(),
                after: limit,
            }),
        }
    }

    /// Finds out which of the updates could not be made, from the refs themselves.
    async fn explain(&self, updates: &[RefUpdate], said: GitError) -> Result<GitError, GitError> {
        let current = self.list_named(updates).await?;
        for update in updates {
            let found = current.iter().find(|found| found.name == update.name);
            let found = found.map(|found| found.target.clone());
            let expected = (!update.old.is_zero()).then(|| update.old.clone());
            if found != expected {
                let name = update.name.clone();
                return Ok(GitError::RefMoved(RefMoved {
                    name,
                    expected,
                    found,
                }));
            }
        }
        let GitError::Failed { message, .. } = &said else {
            return Ok(said);
        };
        let blocked = updates
            .iter()
            .find(|update| message.contains(&format!("'{}'", update.name)));
        Ok(match blocked {
            Some(update) => GitError::RefBlocked {
                name: update.name.clone(),
                reason: message.clone(),
            },
            None => said,
        })
    }
}

/// Refs that are locked and compared, about to be written. Dropped, it changes nothing.
#[derive(Debug)]
pub(crate) struct Prepared {
    running: Running,
    stdout: BufReader<ChildStdout>,
}

impl Prepared {
    fn new(mut running: Running) -> Result<Self, GitError> {
        let stdout = running
            .stdout
            .take()
            .ok_or_else(|| odd("update-ref", b"no pipe"))?;
        Ok(Self {
            running,
            stdout: BufReader::new(stdout),
        })
    }

    /// Writes the refs. A caller that goes away does not stop it between two refs.
    pub(crate) async fn commit(mut self) -> Result<(), GitError> {
        let task = tokio::spawn(async move {
            self.say(b"commit\0", "commit: ok").await?;
            self.running.stdin = None;
            self.running.wait().await.map(|_code| ())
        });
        task.await
            .unwrap_or_else(|panic| Err(io_error("write refs")(std::io::Error::other(panic))))
    }

    /// Sends commands and reads answers up to `wanted`.
    async fn say(&mut self, script: &[u8], wanted: &str) -> Result<(), GitError> {
        if let Some(stdin) = self.running.stdin.as_mut() {
            // If it ended already, its own words below are the better error.
            let _ended = stdin.write_all(script).await;
            let _ended = stdin.flush().await;
        }
        let mut line = String::new();
        loop {
            line.clear();
            let count = self
                .stdout
                .read_line(&mut line)
                .await
                .map_err(io_error("read from git update-ref"))?;
            if line.trim_end() == wanted {
                return Ok(());
            }
            if count == 0 {
                break;
            }
        }
        let said = read_tail(self.running.stderr.as_mut()).await;
        Err(GitError::Failed {
            command: "update-ref".to_owned(),
            code: self.running.wait().await?,
            message: clean(&said, 1_000),
        })
    }
}

pub(crate) fn parse_id(command: &str, text: &[u8]) -> Result<ObjectId, GitError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| odd(command, text))
}

pub(crate) fn odd(command: &str, answer: &[u8]) -> GitError {
    GitError::Unexpected {
        command: command.to_owned(),
        answer: clean(answer, 200),
    }
}
