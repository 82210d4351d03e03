//! What a person sees of issues, with the reason why each waits.

use std::collections::HashMap;

use jiff::Timestamp;
use nightshift_domain::access::{Action, May};
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::Kind;
use nightshift_domain::merge;
use nightshift_domain::route::{Needs, Runner};
use nightshift_domain::sentence::Sentence;
use nightshift_domain::waiting;
use nightshift_store::Tx;
use nightshift_store::issue::{Issue, IssueFilter};
use nightshift_store::job::Job;
use nightshift_store::project::Project;
use nightshift_store::queue::QueueEntry;
use nightshift_store::{
    acceptance as sealed, block, host_ask, issue, job as jobs, message, pull, queue, runner, split,
    user,
};

use super::{IssueLine, IssueView};
use crate::error::plain;
use crate::say::issue as say;
use crate::use_case::account::alive;
use crate::use_case::preflight::Known;
use crate::{App, Caller, Error};

impl App {
    /// Shows an issue.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn issue_get(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        let mut tx = self.db().read().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(|| Error::not_found(say::no_issue(number, name)))?;
        let requester = user::user_get(&mut tx, row.requester)
            .await?
            .map(|person| person.name)
            .unwrap_or_default();
        let blocked_by = block::blockers(&mut tx, row.id)
            .await?
            .iter()
            .map(|blocker| blocker.number)
            .collect();
        let acceptance = sealed::acceptance_get(&mut tx, row.id).await?;
        let tryout = match &acceptance {
            Some(tests) => self.tryout_of(&mut tx, &found, &row, tests).await?,
            None => None,
        };
        let now = self.budget_of(&mut tx, &row).await?;
        let preflight = match row.state.phase {
            Phase::Draft | Phase::Ready => {
                let known = Known {
                    acceptance: acceptance.as_ref(),
                    tryout: tryout.as_ref(),
                    spent: now.left.as_ref().err(),
                };
                self.preflight_of(&mut tx, &found, &row, &known).await?
            }
            Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Landing
            | Phase::Done { .. }
            | Phase::Closed { .. } => Vec::new(),
        };
        let has_pull = pull::pull_get(&mut tx, row.id).await?.is_some();
        let messages = message::message_list(&mut tx, row.id).await?;
        let hosts = host_ask::host_ask_list(&mut tx, row.id).await?;
        let secrets = self.secrets_wanted(&mut tx, &found, &row.state).await?;
        let split_from = split::split_parent(&mut tx, row.id).await?;
        let split_into = split::split_children(&mut tx, row.id).await?;
        let alive = self.runners_alive(&mut tx).await?;
        let line = self.issue_line(&mut tx, &found, row, alive).await?;
        Ok(IssueView {
            line,
            requester,
            blocked_by,
            acceptance,
            tryout,
            preflight,
            budget: now.budget,
            spent: now.spent,
            has_pull,
            messages,
            hosts,
            secrets,
            split_from,
            split_into,
            may: May::of(standing),
        })
    }

    /// Lists a project's issues, newest first.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn issue_list(
        &self,
        caller: &Caller,
        name: &str,
        filter: IssueFilter,
        after: Option<(Timestamp, IssueId)>,
        limit: i64,
    ) -> Result<Vec<IssueLine>, Error> {
        for phase in &filter.phases {
            if !Phase::WORDS.contains(&phase.as_str()) {
                return Err(plain::invalid(format!(
                    "`phase`: {phase:?} is none of {}",
                    Phase::WORDS.join(", ")
                )));
            }
        }
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let filter = IssueFilter {
            project: Some(found.id),
            ..filter
        };
        let alive = self.runners_alive(&mut tx).await?;
        let rows = issue::issue_list(&mut tx, &filter, after, limit).await?;
        let known = self.surroundings(&mut tx, &rows, alive).await?;
        let line = |row| known.line(&found, row, self.now());
        Ok(rows.into_iter().map(line).collect())
    }

    /// What the runners that are alive say of themselves, and which of them are draining.
    pub(crate) async fn runners_alive(&self, tx: &mut Tx) -> Result<Vec<Runner>, Error> {
        let now = self.now();
        let known = runner::runner_list(tx).await?.into_iter();
        Ok(known
            .filter(|runner| alive(runner, now))
            .map(|runner| Runner {
                kinds: runner.kinds,
                harnesses: runner.harnesses,
                images: runner.images,
                draining: runner.draining,
            })
            .collect())
    }

    /// An issue with the reason it waits.
    pub(crate) async fn issue_line(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: Issue,
        runners: Vec<Runner>,
    ) -> Result<IssueLine, Error> {
        let known = self.surroundings(tx, [&row], runners).await?;
        Ok(known.line(found, row, self.now()))
    }

    /// What is known about these issues beside themselves, however many they are in as many questions.
    pub(crate) async fn surroundings(
        &self,
        tx: &mut Tx,
        rows: impl IntoIterator<Item = &Issue>,
        runners: Vec<Runner>,
    ) -> Result<Surroundings, Error> {
        let rows: Vec<&Issue> = rows.into_iter().collect();
        let of = |wanted: fn(&Phase) -> bool| -> Vec<IssueId> {
            let fitting = rows.iter().filter(|row| wanted(&row.state.phase));
            fitting.map(|row| row.id).collect()
        };
        let blocked = of(|phase| matches!(phase, Phase::Ready));
        let moving = of(|phase| matches!(phase, Phase::Ready | Phase::Working | Phase::Landing));
        let mut landing: Vec<ProjectId> = rows
            .iter()
            .filter(|row| row.state.phase == Phase::Landing)
            .map(|row| row.project)
            .collect();
        landing.sort_unstable();
        landing.dedup();
        let mut known = Surroundings {
            runners,
            blockers: HashMap::new(),
            jobs: HashMap::new(),
            queues: Vec::new(),
        };
        if !blocked.is_empty() {
            for (behind, number) in block::blocks_open_before(tx, &blocked).await? {
                known.blockers.entry(behind).or_default().push(number);
            }
        }
        if !moving.is_empty() {
            for job in jobs::job_list_live_of_issues(tx, &moving).await? {
                known.jobs.entry(job.issue).or_default().push(job);
            }
        }
        for project in landing {
            known.queues.extend(queue::queue_list(tx, project).await?);
        }
        Ok(known)
    }
}

/// What is known about issues beside themselves.
pub(crate) struct Surroundings {
    runners: Vec<Runner>,
    /// Issues in front that have not ended.
    blockers: HashMap<IssueId, Vec<Number>>,
    /// Queued and leased, oldest first.
    jobs: HashMap<IssueId, Vec<Job>>,
    /// The merge queues of projects in which something lands, one after the other.
    queues: Vec<QueueEntry>,
}

impl Surroundings {
    /// One of these issues with the reason it waits.
    pub(crate) fn line(&self, found: &Project, row: Issue, now: Timestamp) -> IssueLine {
        let live = self.jobs.get(&row.id).map_or(&[][..], Vec::as_slice);
        let job = live
            .iter()
            .find(|job| job.kind != Kind::Tryout)
            .or(live.first());
        let facts = waiting::Facts {
            issue: &row.state,
            blockers: self.blockers.get(&row.id).map_or(&[], Vec::as_slice),
            job: job.map(|job| (job.kind, &job.state.phase)),
            needs: job
                .map(|job| Needs::of(job.kind, &found.config, &row.agent))
                .unwrap_or_default(),
            runners: &self.runners,
            queue: self.behind(&row),
            agent_known: found.config.agent(&row.agent).is_some(),
        };
        let waiting = waiting::reason(&facts, now);
        IssueLine {
            issue: row,
            project: found.name.clone(),
            waiting,
        }
    }

    /// What an approved change lands behind.
    fn behind(&self, row: &Issue) -> Option<Sentence> {
        if row.state.phase != Phase::Landing {
            return None;
        }
        self.queues
            .iter()
            .filter(|entry| entry.project == row.project)
            .take_while(|entry| entry.issue != row.id)
            .filter(|entry| !entry.asks)
            .last()
            .map(|entry| merge::behind(entry.number))
    }
}
