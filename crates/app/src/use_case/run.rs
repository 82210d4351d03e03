//! Runs as people and runners touch them: list, log, cancel.

use nightshift_domain::access::Action;
use nightshift_domain::id::{Number, RunId};
use nightshift_domain::job;
use nightshift_store::event::NewEvent;
use nightshift_store::run::{Run, RunState};
use nightshift_store::{event, issue, job as jobs, project, run, runner};
use serde_json::json;

use crate::error::plain;
use crate::say::{issue as issue_say, run as say};
use crate::{App, Caller, Error};

/// A run as a person sees it.
#[derive(Debug, Clone)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// Its project's name.
    pub project: String,
    /// Its runner's name.
    pub runner: String,
}

/// Where a log stands.
#[derive(Debug, Clone)]
pub struct LogWindow {
    /// The bytes from the offset that was asked for.
    pub bytes: Vec<u8>,
    /// Whether the run has ended, so that nothing will follow.
    pub ended: bool,
}

impl App {
    /// Lists runs, newest first: of an issue, of a project, or of all projects one may see.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn run_list(
        &self,
        caller: &Caller,
        name: Option<&str>,
        number: Option<Number>,
        after: Option<RunId>,
        limit: i64,
    ) -> Result<Vec<RunView>, Error> {
        let mut tx = self.db().read().await?;
        let found = match (name, number) {
            (None, Some(_)) => {
                return Err(plain::invalid("`number` needs `project`"));
            }
            (None, None) => {
                let mut all = Vec::new();
                for visible in self.visible(&mut tx, caller).await? {
                    all.extend(run::run_list(&mut tx, None, Some(visible.id), after, limit).await?);
                }
                all.sort_by_key(|run| std::cmp::Reverse(run.id));
                all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                all
            }
            (Some(name), number) => {
                let (home, _) = self
                    .project_for(&mut tx, caller, name, Action::ProjectRead)
                    .await?;
                let issue = match number {
                    None => None,
                    Some(number) => Some(
                        issue::issue_by_number(&mut tx, home.id, number)
                            .await?
                            .ok_or_else(|| Error::not_found(issue_say::no_issue(number, name)))?
                            .id,
                    ),
                };
                run::run_list(&mut tx, issue, Some(home.id), after, limit).await?
            }
        };
        let mut views = Vec::new();
        for one in found {
            views.push(self.run_view(&mut tx, one).await?);
        }
        Ok(views)
    }

    async fn run_view(&self, tx: &mut nightshift_store::Tx, one: Run) -> Result<RunView, Error> {
        let project = project::project_get(tx, one.project)
            .await?
            .map(|project| project.name)
            .unwrap_or_default();
        let runner = runner::runner_get(tx, one.runner)
            .await?
            .map(|runner| runner.name)
            .unwrap_or_default();
        Ok(RunView {
            run: one,
            project,
            runner,
        })
    }

    pub(crate) async fn run_for(
        &self,
        tx: &mut nightshift_store::Tx,
        caller: &Caller,
        id: RunId,
        action: Action,
    ) -> Result<Run, Error> {
        let missing = || Error::not_found(say::no_run(id.to_string()));
        let found = run::run_get(tx, id).await?.ok_or_else(missing)?;
        self.project_of(tx, caller, found.project, action, missing)
            .await?;
        Ok(found)
    }

    /// Shows a run.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn run_get(&self, caller: &Caller, id: RunId) -> Result<RunView, Error> {
        let mut tx = self.db().read().await?;
        let found = self
            .run_for(&mut tx, caller, id, Action::ProjectRead)
            .await?;
        self.run_view(&mut tx, found).await
    }

    /// Stops a run: its runner is told with the next heartbeat, and its job does not start again.
    ///
    /// # Errors
    /// `Refused` when it has ended.
    pub async fn run_cancel(&self, caller: &Caller, id: RunId) -> Result<RunView, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self
            .run_for(&mut tx, caller, id, Action::RunControl)
            .await?;
        let job = jobs::job_get(&mut tx, found.job)
            .await?
            .ok_or_else(|| plain::not_found("the run's job is gone"))?;
        let live = matches!(job.state.phase, job::Phase::Leased { run, .. } if run == id);
        if !live || found.state != RunState::Running {
            return Err(Error::refused(say::ended(id.to_string())));
        }
        self.cancel_job(&mut tx, job.id, now).await?;
        let new = NewEvent {
            project: Some(found.project),
            issue: Some(found.issue),
            run: Some(id),
            kind: "run.cancelled".to_owned(),
            actor: caller.actor(),
            data: json!({ "number": found.number }),
        };
        event::event_append(&mut tx, &new, now).await?;
        self.commit(tx, caller).await?;
        self.run_get(caller, id).await
    }

    /// Reads a window of a run's log.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the run.
    pub async fn run_log(
        &self,
        caller: &Caller,
        id: RunId,
        offset: u64,
        limit: u64,
    ) -> Result<LogWindow, Error> {
        let mut tx = self.db().read().await?;
        let found = self
            .run_for(&mut tx, caller, id, Action::ProjectRead)
            .await?;
        drop(tx);
        let bytes = self.log_window(id, offset, limit).await?;
        Ok(LogWindow {
            bytes,
            ended: found.state != RunState::Running,
        })
    }

    /// A runner appends to a run's log. Returns where the log stands.
    ///
    /// # Errors
    /// `StaleEpoch` once the lease is lost; `Invalid` when a line is cut.
    pub async fn log_append(
        &self,
        caller: &Caller,
        id: RunId,
        epoch: i64,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<u64, Error> {
        if bytes.last().is_some_and(|last| *last != b'\n') {
            return Err(plain::invalid("a log is appended in whole lines"));
        }
        let mut tx = self.db().read().await?;
        let live = self.own_run(&mut tx, caller, id).await?;
        let job = jobs::job_get(&mut tx, live.job)
            .await?
            .ok_or_else(|| plain::not_found("the run's job is gone"))?;
        drop(tx);
        if live.epoch != epoch || job.state.epoch != epoch {
            return Err(job::Refused::StaleEpoch {
                given: epoch,
                current: job.state.epoch,
            }
            .into());
        }
        if live.state != RunState::Running {
            return Err(plain::refused("the run has ended; its log is closed"));
        }
        let limit = self.settings().limits.log_bytes + (1 << 20);
        if offset.saturating_add(bytes.len() as u64) > limit {
            return Err(plain::refused(format!(
                "the log would grow over {limit} bytes"
            )));
        }
        let held = self.0.appending.lock(id).await;
        let size = self.log_write(id, offset, bytes).await?;
        drop(held);
        let mut tx = self.db().write().await?;
        run::run_set_log(&mut tx, id, i64::try_from(size).unwrap_or(i64::MAX)).await?;
        tx.commit().await?;
        self.signals().log_grew(id);
        Ok(size)
    }
}
