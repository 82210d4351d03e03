//! What runs and what the server does: the list of runs, and the server's parts.
//!
//! Every list is bounded and every count is capped, so that a look costs the same however much has
//! happened. Deliberately absent: changing anything.

use std::collections::HashMap;

use nightshift_domain::access::{self, Action};
use nightshift_domain::id::{ProjectId, RunId, RunnerId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_store::run::Run;
use nightshift_store::steer::Steer;
use nightshift_store::{Tx, event, issue, job as jobs, run, runner, steer};

use super::account::RunnerView;
use super::run::RunView;
use crate::{App, Caller, Error};

/// How many runs a list shows at once.
const RUNS: usize = 50;
/// How many runs are looked at for one list; a filter that fits few of them says where to go on.
const LOOK_AT: usize = 1_000;
/// The most runs under way that are looked at.
const RUNNING: i64 = 1_000;
/// Where counting stops.
pub const COUNT_TO: i64 = 10_000;

/// Which runs; whatever is left empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// A project's name.
    pub project: Option<String>,
    /// A kind of job.
    pub kind: Option<Kind>,
    /// A state, as in [`nightshift_store::run::RunState::as_str`].
    pub state: Option<String>,
}

/// Runs in the order in which they matter.
#[derive(Debug, Clone)]
pub struct RunList {
    /// Under way, newest first; only on the first page.
    pub running: Vec<RunView>,
    /// Ended, newest first.
    pub ended: Vec<RunView>,
    /// After which run the next page begins, if there may be more.
    pub next: Option<RunId>,
    /// Names of the projects the caller may see.
    pub projects: Vec<String>,
    /// The projects in which the caller may stop a run.
    pub stoppable: Vec<String>,
}

/// What the caller may do with a run, beyond looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunChoices {
    /// Whether it can be stopped, by the caller and at all.
    pub may_stop: bool,
    /// Whether the caller can say something to its agent.
    pub may_steer: bool,
    /// What was said to it, oldest first.
    pub steers: Vec<Steer>,
    /// The question that waits for the caller's answer.
    pub question: Option<Kept>,
}

/// A runner and what it does.
#[derive(Debug, Clone)]
pub struct RunnerWork {
    /// The runner.
    pub view: RunnerView,
    /// How many of its slots are taken.
    pub taken: usize,
    /// The runs on it that the caller may see.
    pub runs: Vec<RunView>,
}

/// The parts of the server.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The runners, each with what it does.
    pub runners: Vec<RunnerWork>,
    /// How many jobs are in each phase, up to [`COUNT_TO`].
    pub jobs: Vec<(&'static str, i64)>,
    /// The place of the last event.
    pub last_event: i64,
    /// Names of the projects the caller may see.
    pub projects: Vec<String>,
}

impl App {
    /// Lists runs: those under way first, then the newest.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn run_watch(
        &self,
        caller: &Caller,
        filter: &RunFilter,
        after: Option<RunId>,
    ) -> Result<RunList, Error> {
        let mut tx = self.db().read().await?;
        let visible = self.visible(&mut tx, caller).await?;
        let names: HashMap<ProjectId, String> = visible
            .iter()
            .map(|project| (project.id, project.name.clone()))
            .collect();
        let home = match &filter.project {
            Some(name) => {
                let (found, _) = self
                    .project_for(&mut tx, caller, name, Action::ProjectRead)
                    .await?;
                Some(found.id)
            }
            None => None,
        };
        let fits = |one: &Run| {
            names.contains_key(&one.project)
                && home.is_none_or(|home| one.project == home)
                && filter.kind.is_none_or(|kind| one.kind == kind)
                && filter
                    .state
                    .as_ref()
                    .is_none_or(|state| one.state.as_str() == state)
        };
        let mut running = run::run_list_running(&mut tx, RUNNING).await?;
        running.retain(&fits);
        let (mut ended, mut next, mut looked) = (Vec::new(), after, 0);
        let only_running = filter.state.as_deref() == Some("running");
        loop {
            if only_running || ended.len() >= RUNS || looked >= LOOK_AT {
                break;
            }
            let batch = run::run_list(&mut tx, None, home, next, 100).await?;
            looked += batch.len();
            let last_batch = batch.len() < 100;
            for one in batch {
                if ended.len() >= RUNS {
                    break;
                }
                next = Some(one.id);
                if fits(&one) && one.ended_at.is_some() {
                    ended.push(one);
                }
            }
            if last_batch && ended.len() < RUNS {
                next = None;
                break;
            }
        }
        if only_running {
            next = None;
        }
        let mut stoppable = Vec::new();
        for project in &visible {
            if self
                .may(&mut tx, caller, project.id, Action::RunControl)
                .await?
            {
                stoppable.push(project.name.clone());
            }
        }
        let runners = runner_names(&mut tx).await?;
        let view = |one: Run| RunView {
            project: names.get(&one.project).cloned().unwrap_or_default(),
            runner: runners.get(&one.runner).cloned().unwrap_or_default(),
            run: one,
        };
        Ok(RunList {
            running: if after.is_none() {
                running.into_iter().map(view).collect()
            } else {
                Vec::new()
            },
            ended: ended.into_iter().map(view).collect(),
            next,
            projects: visible.into_iter().map(|project| project.name).collect(),
            stoppable,
        })
    }

    /// What the caller may do with a run.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn run_choices(&self, caller: &Caller, one: &Run) -> Result<RunChoices, Error> {
        let mut tx = self.db().read().await?;
        let may_stop = one.ended_at.is_none()
            && self
                .may(&mut tx, caller, one.project, Action::RunControl)
                .await?;
        let mut question = None;
        if self
            .may(&mut tx, caller, one.project, Action::IssueAnswer)
            .await?
            && let Some(found) = issue::issue_get(&mut tx, one.issue).await?
            && let Phase::NeedsInput {
                question: asked,
                run,
            } = found.state.phase
            && run == one.id
        {
            question = Some(asked);
        }
        Ok(RunChoices {
            may_stop,
            may_steer: may_stop && one.kind == Kind::Author,
            steers: steer::steer_list_of_run(&mut tx, one.id).await?,
            question,
        })
    }

    /// Shows the server's parts.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn server_parts(&self, caller: &Caller) -> Result<Parts, Error> {
        let known = self.runner_list(caller).await?;
        let mut tx = self.db().read().await?;
        let mut busy: HashMap<RunnerId, Vec<Run>> = HashMap::new();
        for one in run::run_list_running(&mut tx, RUNNING).await? {
            busy.entry(one.runner).or_default().push(one);
        }
        let mut counts = Vec::new();
        for phase in [
            "queued",
            "leased",
            "succeeded",
            "failed",
            "cancelled",
            "dead",
        ] {
            counts.push((
                phase,
                jobs::job_count_capped(&mut tx, phase, COUNT_TO).await?,
            ));
        }
        let visible = self.visible(&mut tx, caller).await?;
        let mut work = |view: RunnerView| {
            let runs = busy.remove(&view.runner.id).unwrap_or_default();
            let seen = |one: &Run| visible.iter().find(|project| project.id == one.project);
            RunnerWork {
                taken: runs.len(),
                runs: runs
                    .into_iter()
                    .filter_map(|run| {
                        Some(RunView {
                            project: seen(&run)?.name.clone(),
                            runner: view.runner.name.clone(),
                            run,
                        })
                    })
                    .collect(),
                view,
            }
        };
        Ok(Parts {
            runners: known.into_iter().map(&mut work).collect(),
            jobs: counts,
            last_event: event::event_last_seq(&mut tx).await?,
            projects: visible.into_iter().map(|project| project.name).collect(),
        })
    }

    async fn may(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: ProjectId,
        action: Action,
    ) -> Result<bool, Error> {
        Ok(access::allowed(
            self.standing(tx, caller, project).await?,
            action,
        ))
    }
}

async fn runner_names(tx: &mut Tx) -> Result<HashMap<RunnerId, String>, Error> {
    let known = runner::runner_list(tx).await?;
    Ok(known.into_iter().map(|one| (one.id, one.name)).collect())
}
