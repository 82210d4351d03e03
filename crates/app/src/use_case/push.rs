//! Git over HTTP: who may fetch, and which refs a push may move.
//!
//! A run's token writes one ref, its own attempt. The default branch moves by the merge queue
//! alone, unless the project allows maintainers to push there or the branch has no commit yet.

use nightshift_domain::access::{self, Action, Standing};
use nightshift_domain::git_name::{ATTEMPTS, ISSUE_BRANCHES, RefName};
use nightshift_git::{Movement, PushPolicy, RefUpdate, Repository};
use nightshift_store::event::NewEvent;
use nightshift_store::project::Project;
use nightshift_store::{event, issue};
use serde_json::json;

use crate::{App, Caller, Error};

/// A repository that the caller may read, and the policy for a push of theirs.
pub struct OpenRepository {
    /// The repository.
    pub repository: Repository,
    /// The project.
    pub project: Project,
    /// What the caller may push.
    pub policy: Policy,
}

/// What one caller may push to one repository.
pub struct Policy {
    standing: Standing,
    default_branch: RefName,
    unborn: bool,
    direct_push: bool,
    attempt: Option<RefName>,
}

impl App {
    /// Opens the repository of a project for a caller.
    ///
    /// # Errors
    /// `NotFound` where the caller may not read it.
    pub async fn open_repository(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<OpenRepository, Error> {
        let mut tx = self.db().read().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        drop(tx);
        let repository = self.repository(found.id)?;
        let unborn = self.base_tip(&found).await?.is_none();
        Ok(OpenRepository {
            policy: Policy {
                standing,
                default_branch: found.default_branch.to_ref(),
                unborn,
                direct_push: found.config.merge.direct_push,
                attempt: caller.run().ok().map(RefName::attempt),
            },
            repository,
            project: found,
        })
    }

    /// Takes note of refs that a push moved: settings, issue branches, the event log.
    ///
    /// # Errors
    /// When it cannot be written; the reconcilers then find it by themselves.
    pub async fn pushed(
        &self,
        caller: &Caller,
        project: &Project,
        updates: &[RefUpdate],
    ) -> Result<(), Error> {
        if updates.is_empty() {
            return Ok(());
        }
        let mut tx = self.db().write().await?;
        let mut moved = Vec::new();
        for update in updates {
            let new = NewEvent {
                project: Some(project.id),
                issue: None,
                run: caller.run().ok(),
                kind: "git.pushed".to_owned(),
                actor: caller.actor(),
                data: json!({ "ref": update.name, "old": update.old, "new": update.new }),
            };
            event::event_append(&mut tx, &new, self.now()).await?;
            if let Some(number) = update.name.issue_number()
                && let Some(row) = issue::issue_by_number(&mut tx, project.id, number).await?
            {
                moved.push((row.id, update.new.clone()));
            }
        }
        self.commit_plain(tx).await?;
        for (id, new) in moved {
            if !new.is_zero() {
                self.take_up_push(id, &new, &caller.actor()).await?;
            }
        }
        let base = project.default_branch.to_ref();
        if updates.iter().any(|update| update.name == base) {
            self.refresh_config(project.id).await?;
        }
        Ok(())
    }
}

impl PushPolicy for Policy {
    fn may_name(&self, update: &RefUpdate) -> Result<(), String> {
        let name = update.name.as_str();
        if let Some(attempt) = &self.attempt {
            return if update.name == *attempt && access::allowed(self.standing, Action::PushAttempt)
            {
                Ok(())
            } else {
                Err(format!("a run's token writes {attempt} and nothing else"))
            };
        }
        if update.name == self.default_branch {
            if access::allowed(self.standing, Action::PushDefault)
                && (self.unborn || self.direct_push)
            {
                return Ok(());
            }
            return Err(
                "the default branch moves by the merge queue: file an issue, or push another branch \
                 (maintainers may set merge.direct_push)"
                    .to_owned(),
            );
        }
        if !access::allowed(self.standing, Action::PushBranch) {
            return Err("your role does not allow pushing here; ask a maintainer".to_owned());
        }
        if name.starts_with(ATTEMPTS)
            || name.starts_with("refs/starts/")
            || name.starts_with("refs/candidates/")
        {
            return Err("this ref belongs to the platform".to_owned());
        }
        if name.starts_with(ISSUE_BRANCHES) && update.name.issue_number().is_none() {
            return Err("branches under nightshift/ are named by an issue's number".to_owned());
        }
        if name.starts_with(ISSUE_BRANCHES) && update.old.is_zero() {
            return Err(
                "the branch of an issue begins with its first result; push another branch"
                    .to_owned(),
            );
        }
        if name.starts_with(ISSUE_BRANCHES) && update.new.is_zero() {
            return Err("the branch of an issue stays; close the issue instead".to_owned());
        }
        if name.starts_with("refs/heads/") || name.starts_with("refs/tags/") {
            Ok(())
        } else {
            Err("push branches and tags only".to_owned())
        }
    }

    fn may_move(&self, update: &RefUpdate, movement: Movement) -> Result<(), String> {
        let issue_branch = update.name.issue_number().is_some();
        match movement {
            Movement::Create | Movement::FastForward => Ok(()),
            Movement::Forced if update.name == self.default_branch => {
                Err("the default branch never loses commits".to_owned())
            }
            Movement::Forced if issue_branch => {
                Err("the branch of an issue never loses commits: put yours on top of it".to_owned())
            }
            Movement::Forced => Ok(()),
            Movement::Delete if self.attempt.is_some() => {
                Err("an attempt is kept for rescue".to_owned())
            }
            Movement::Delete => Ok(()),
        }
    }
}
