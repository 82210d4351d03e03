//! Secrets of a project: set, listed without their values, removed, and handed to the runs that need
//! them.
//!
//! A value goes in and comes out in one place only: the order of a run whose steps are named for it.
//! What a project names and has no value is a question to its maintainers: the issues that failed for it
//! wait, and go on by themselves once every value is there. Deliberately absent: showing a value to
//! anybody.

use jiff::Timestamp;
use nightshift_domain::access::{Action, Actor};
use nightshift_domain::config::secret::{self as rule, Secret as Named};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::ProjectId;
use nightshift_domain::issue::{Event as IssueEvent, Issue as IssueState, Phase};
use nightshift_domain::job::Kind;
use nightshift_domain::told::failure;
use nightshift_store::event::NewEvent;
use nightshift_store::project::Project;
use nightshift_store::secret::{self as secrets, SealedSecret};
use nightshift_store::{Tx, event, issue};
use serde_json::json;

use super::account::SYSTEM;
use crate::change::Context;
use crate::say::{project as say, quoted};
use crate::{App, Caller, Error};

/// The most values that a project keeps.
const MOST: usize = 100;

/// A secret of a project, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// The steps that get it; none where the settings do not name it.
    pub named: Option<Named>,
    /// Who set its value, and when; none where it has none.
    pub set: Option<(String, Timestamp)>,
}

/// A secret with its value, for one run.
#[derive(Clone)]
pub struct GivenSecret {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The steps that get it.
    pub steps: Vec<String>,
}

impl std::fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GivenSecret({})", self.name)
    }
}

impl App {
    /// Lists the secrets that a project names or has a value for, by name, without the values.
    ///
    /// # Errors
    /// `Forbidden` below maintainer.
    pub async fn secret_list(&self, caller: &Caller, name: &str) -> Result<Vec<SecretView>, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectConfigure)
            .await?;
        drop(tx);
        let project = self.refresh_config(found.id).await?;
        let mut tx = self.db().read().await?;
        let kept = secrets::secret_list(&mut tx, project.id).await?;
        Ok(views(&project.config.secrets, &kept))
    }

    /// Sets the value of a secret, in the place of an earlier one.
    ///
    /// # Errors
    /// `Forbidden` below maintainer, `Invalid` for a name or a value that cannot be one, `Refused`
    /// where the server has no key to seal it with.
    pub async fn secret_set(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        value: &str,
    ) -> Result<SecretView, Error> {
        let (_, own_name) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, project, Action::ProjectConfigure)
            .await?;
        if !rule::is_variable(name) {
            return Err(Error::invalid(rule::bad_name(name)));
        }
        rule::check_value(value).map_err(|why| Error::invalid(why.said()))?;
        let kept = secrets::secret_list(&mut tx, found.id).await?;
        if kept.len() >= MOST && kept.iter().all(|known| known.name != name) {
            return Err(Error::conflict(say::secrets_many(project, MOST)));
        }
        let key = self.settings().seal_key.as_ref().ok_or_else(no_key)?;
        let sealed = key
            .seal(&place(found.id, name), value, self.ids().secret())
            .ok_or_else(|| Error::internal("a secret could not be sealed"))?;
        let secret = SealedSecret {
            name: name.to_owned(),
            sealed,
            set_by: own_name.to_owned(),
            set_at: now,
        };
        secrets::secret_set(&mut tx, found.id, &secret).await?;
        self.record_secret(&mut tx, caller, found.id, "secret.set", name)
            .await?;
        self.go_on_with_secrets(&mut tx, &caller.actor(), &found, Some(name))
            .await?;
        self.commit(tx, caller).await?;
        Ok(SecretView {
            named: named(&found.config.secrets, name),
            name: secret.name,
            set: Some((secret.set_by, secret.set_at)),
        })
    }

    /// Removes the value of a secret.
    ///
    /// # Errors
    /// `Forbidden` below maintainer, `NotFound` where there is none.
    pub async fn secret_remove(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, project, Action::ProjectConfigure)
            .await?;
        if !secrets::secret_remove(&mut tx, found.id, name).await? {
            return Err(Error::not_found(say::no_secret(project, quoted(name))));
        }
        self.record_secret(&mut tx, caller, found.id, "secret.removed", name)
            .await?;
        self.commit(tx, caller).await
    }

    /// The secrets of a run of this kind, with their values; or why it cannot begin.
    pub(crate) async fn secrets_for(
        &self,
        project: &Project,
        kind: Kind,
    ) -> Result<Result<Vec<GivenSecret>, Failure>, Error> {
        let named = &project.config.secrets;
        if named.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let mut tx = self.db().read().await?;
        let kept = secrets::secret_list(&mut tx, project.id).await?;
        drop(tx);
        let mut given = Vec::new();
        for secret in named {
            // What the proof will need is missed before an agent begins.
            let Some(value) = kept.iter().find(|known| known.name == secret.name) else {
                return Ok(Err(missing(project, &secret.name)));
            };
            if !secret.is_given_to(kind) {
                continue;
            }
            let key = self.settings().seal_key.as_ref();
            let place = place(project.id, &secret.name);
            let Some(value) = key.and_then(|key| key.open(&place, &value.sealed)) else {
                return Ok(Err(unopened(project, &secret.name)));
            };
            given.push(GivenSecret {
                name: secret.name.clone(),
                value,
                steps: secret.steps.clone(),
            });
        }
        Ok(Ok(given))
    }

    /// The secrets whose values an issue waits for; none where it waits for something else.
    pub(crate) async fn secrets_wanted(
        &self,
        tx: &mut Tx,
        project: &Project,
        state: &IssueState,
    ) -> Result<Vec<String>, Error> {
        match waits_for_secrets(state) {
            true => self.secrets_unusable(tx, project).await,
            false => Ok(Vec::new()),
        }
    }

    /// The secrets that a project names and has no value for, or none that this server can open.
    async fn secrets_unusable(&self, tx: &mut Tx, project: &Project) -> Result<Vec<String>, Error> {
        let kept = secrets::secret_list(tx, project.id).await?;
        let key = self.settings().seal_key.as_ref();
        let usable = |name: &str| {
            let value = kept.iter().find(|known| known.name == name);
            value.is_some_and(|value| {
                key.and_then(|key| key.open(&place(project.id, name), &value.sealed))
                    .is_some()
            })
        };
        let named = project.config.secrets.iter();
        Ok(named
            .filter(|secret| !usable(&secret.name))
            .map(|secret| secret.name.clone())
            .collect())
    }

    /// Lets what waits for a value go on where every value that the settings name by now is there:
    /// one that was set while its run began, or that they name no more. Whether anything did.
    pub(crate) async fn secrets_answered(&self, project: &Project) -> Result<bool, Error> {
        let mut tx = self.db().read().await?;
        if !self.secrets_unusable(&mut tx, project).await?.is_empty() {
            return Ok(false);
        }
        drop(tx);
        let mut tx = self.db().write().await?;
        let went_on = self
            .go_on_with_secrets(&mut tx, &SYSTEM, project, None)
            .await?;
        if went_on {
            self.commit_plain(tx).await?;
        }
        Ok(went_on)
    }

    /// Tries the issues again that failed for want of a value, once every value is there: after this
    /// one was set, if one was. Whether there was any.
    async fn go_on_with_secrets(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        project: &Project,
        name: Option<&str>,
    ) -> Result<bool, Error> {
        let mut went_on = false;
        if !self.secrets_unusable(tx, project).await?.is_empty() {
            return Ok(false);
        }
        let context = Context::new(actor, self.now());
        for id in issue::issue_list_failed(tx, project.id).await? {
            let Some(row) = issue::issue_lock(tx, id).await? else {
                continue;
            };
            // What lands is approved, and costs nothing of the budget.
            let lands = row.state.phase == Phase::Landing;
            if !waits_for_secrets(&row.state)
                || (!lands && self.budget_of(tx, &row).await?.left.is_err())
            {
                continue;
            }
            let data = json!({ "number": row.number, "secret": name });
            self.record(tx, &row, "secret.given", &context, data)
                .await?;
            self.change(tx, row, IssueEvent::Retried, &context).await?;
            went_on = true;
        }
        Ok(went_on)
    }

    /// The secrets that a project names and has no value for.
    pub(crate) async fn secrets_missing(
        &self,
        tx: &mut Tx,
        project: &Project,
    ) -> Result<Vec<String>, Error> {
        let named = &project.config.secrets;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let kept = secrets::secret_list(tx, project.id).await?;
        let missing = named
            .iter()
            .filter(|secret| kept.iter().all(|known| known.name != secret.name));
        Ok(missing.map(|secret| secret.name.clone()).collect())
    }

    async fn record_secret(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: ProjectId,
        kind: &str,
        name: &str,
    ) -> Result<(), Error> {
        let new = NewEvent {
            project: Some(project),
            issue: None,
            run: None,
            kind: kind.to_owned(),
            actor: caller.actor(),
            data: json!({ "name": name }),
        };
        event::event_append(tx, &new, self.now()).await?;
        Ok(())
    }
}

/// Whether an issue waits for somebody to set a value.
pub(crate) fn waits_for_secrets(state: &IssueState) -> bool {
    let failed = state.failed.as_ref();
    failed.is_some_and(|failure| failure.reason == Reason::SecretMissing)
        && matches!(state.phase, Phase::Ready | Phase::InReview | Phase::Landing)
}

/// What a value belongs to.
fn place(project: ProjectId, name: &str) -> String {
    format!("{project} {name}")
}

fn named(all: &[Named], name: &str) -> Option<Named> {
    all.iter().find(|secret| secret.name == name).cloned()
}

fn views(all: &[Named], kept: &[SealedSecret]) -> Vec<SecretView> {
    let mut names: Vec<&str> = all.iter().map(|secret| secret.name.as_str()).collect();
    names.extend(kept.iter().map(|secret| secret.name.as_str()));
    names.sort_unstable();
    names.dedup();
    let view = |name: &str| SecretView {
        name: name.to_owned(),
        named: named(all, name),
        set: kept
            .iter()
            .find(|secret| secret.name == name)
            .map(|secret| (secret.set_by.clone(), secret.set_at)),
    };
    names.into_iter().map(view).collect()
}

fn no_key() -> Error {
    Error::refused(say::no_seal_key())
}

fn missing(project: &Project, name: &str) -> Failure {
    Failure::new(
        Reason::SecretMissing,
        failure::secret_missing(name, &project.name),
    )
}

fn unopened(project: &Project, name: &str) -> Failure {
    Failure::new(
        Reason::SecretMissing,
        failure::secret_unopened(name, &project.name),
    )
}
