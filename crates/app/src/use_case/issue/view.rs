//! What a person sees of issues, with the reason why each waits.

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::Kind;
use nightshift_domain::merge;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::waiting::{self, Runners};
use nightshift_store::Tx;
use nightshift_store::issue::{Issue, IssueFilter};
use nightshift_store::project::Project;
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
        let (found, _) = self
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
        let mut lines = Vec::new();
        for row in issue::issue_list(&mut tx, &filter, after, limit).await? {
            lines.push(self.issue_line(&mut tx, &found, row, alive).await?);
        }
        Ok(lines)
    }

    pub(crate) async fn runners_alive(&self, tx: &mut Tx) -> Result<Runners, Error> {
        let now = self.now();
        let mut known = runner::runner_list(tx).await?;
        known.retain(|runner| alive(runner, now));
        Ok(Runners {
            all: known.len(),
            with_images: known.iter().filter(|runner| runner.images).count(),
        })
    }

    /// An issue with the reason it waits.
    pub(crate) async fn issue_line(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: Issue,
        runners: Runners,
    ) -> Result<IssueLine, Error> {
        let blockers: Vec<Number> = match row.state.phase {
            Phase::Ready | Phase::Draft => block::blockers(tx, row.id)
                .await?
                .iter()
                .filter(|blocker| !blocker.state.phase.is_final())
                .map(|blocker| blocker.number)
                .collect(),
            Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Landing
            | Phase::Done { .. }
            | Phase::Closed { .. } => Vec::new(),
        };
        let live = jobs::job_list_live_of_issue(tx, row.id).await?;
        let queue = self.queue_reason(tx, found.id, &row).await?;
        let facts = waiting::Facts {
            issue: &row.state,
            blockers: &blockers,
            job: live
                .iter()
                .find(|job| job.kind != Kind::Tryout)
                .or(live.first())
                .map(|job| (job.kind, &job.state.phase)),
            runners,
            image: found.config.environment.image.is_some(),
            queue,
            agent_known: found.config.agent(&row.agent).is_some(),
        };
        let waiting = waiting::reason(&facts, self.now());
        Ok(IssueLine {
            issue: row,
            project: found.name.clone(),
            waiting,
        })
    }

    /// Why an approved change does not land, as the queue's own planner says.
    async fn queue_reason(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        row: &Issue,
    ) -> Result<Option<Sentence>, Error> {
        if row.state.phase != Phase::Landing {
            return Ok(None);
        }
        let entries = queue::queue_list(tx, project).await?;
        let ahead = entries
            .iter()
            .take_while(|entry| entry.issue != row.id)
            .last()
            .map(|entry| merge::behind(entry.number));
        Ok(ahead)
    }
}
