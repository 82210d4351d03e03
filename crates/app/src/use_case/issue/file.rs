//! Filing an issue, and what its fields may hold.

use nightshift_domain::access::Action;
use nightshift_domain::budget::{MOST_MICRO_USD, MOST_MINUTES};
use nightshift_domain::config::DEFAULT_AGENT;
use nightshift_domain::id::{IssueId, Number};
use nightshift_domain::issue::{self as machine, Event};
use nightshift_domain::trust::Trust;
use nightshift_store::Tx;
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::{acceptance as sealed, block, issue, project, standing, user};
use serde_json::json;

use super::{IssueView, NewIssue};
use crate::change::Context;
use crate::say::{issue as say, quoted};
use crate::{App, Caller, Error, acceptance};

/// The most issues that one issue may wait for.
const MAX_BLOCKERS: usize = 100;

impl App {
    /// Files an issue.
    ///
    /// # Errors
    /// `Invalid` names the field; `Forbidden` below writer.
    pub async fn issue_create(
        &self,
        caller: &Caller,
        name: &str,
        new: NewIssue,
    ) -> Result<IssueView, Error> {
        let (own, _) = caller.person()?;
        if let Some(acceptance) = &new.acceptance {
            acceptance::check(acceptance)?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let change = machine::Issue::filed(false);
        let row = Issue {
            id: IssueId(self.ids().uuid()),
            project: found.id,
            number: project::project_next_number(&mut tx, found.id).await?,
            title: new.title.trim().to_owned(),
            body: new.body,
            labels: new.labels,
            priority: new.priority.unwrap_or(2),
            assignee: new.assignee.filter(|name| !name.is_empty()),
            agent: new.agent.unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
            requester: own,
            state: change.next,
            trust: Trust::of(standing),
            has_acceptance: new.acceptance.is_some(),
            budget: new.budget,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.check_fields(&mut tx, &found, &row).await?;
        issue::issue_insert(&mut tx, &row).await?;
        sealed::acceptance_set(&mut tx, row.id, new.acceptance.as_ref()).await?;
        self.set_blockers(&mut tx, &row, &new.blocked_by).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": row.number, "title": row.title, "phase": "draft" });
        self.record(&mut tx, &row, "issue.filed", &context, data)
            .await?;
        if new.ready {
            self.change(&mut tx, row.clone(), Event::MarkReady, &context)
                .await?;
        }
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, row.number).await
    }

    pub(crate) async fn check_fields(
        &self,
        tx: &mut Tx,
        project: &Project,
        row: &Issue,
    ) -> Result<(), Error> {
        let title = row.title.chars().count();
        if title == 0 || title > 200 || row.title.contains(['\n', '\r']) {
            return Err(Error::invalid(say::title()));
        }
        if row.body.len() > 256 << 10 {
            return Err(Error::invalid(say::body_large()));
        }
        if row.labels.len() > 20
            || row
                .labels
                .iter()
                .any(|label| label.trim().is_empty() || label.len() > 50 || label.contains(','))
        {
            return Err(Error::invalid(say::labels()));
        }
        let money = row
            .budget
            .cost_micro_usd
            .is_none_or(|cost| (1..=MOST_MICRO_USD).contains(&cost));
        if !money {
            return Err(Error::invalid(say::budget_money()));
        }
        let time = row
            .budget
            .minutes
            .is_none_or(|minutes| (1..=MOST_MINUTES).contains(&minutes));
        if !time {
            return Err(Error::invalid(say::budget_time(MOST_MINUTES)));
        }
        if !(0..=3).contains(&row.priority) {
            return Err(Error::invalid(say::priority()));
        }
        if project.config.agent(&row.agent).is_none() {
            return Err(Error::invalid(say::agent(
                quoted(&row.agent),
                project.config.agent_names(),
            )));
        }
        if let Some(assignee) = &row.assignee
            && user::user_by_name(tx, assignee).await?.is_none()
        {
            return Err(Error::invalid(say::assignee(quoted(assignee))));
        }
        Ok(())
    }

    pub(super) async fn set_blockers(
        &self,
        tx: &mut Tx,
        row: &Issue,
        numbers: &[Number],
    ) -> Result<(), Error> {
        if numbers.len() > MAX_BLOCKERS {
            return Err(Error::invalid(say::blockers_many(
                numbers.len(),
                MAX_BLOCKERS,
            )));
        }
        let mut ids = Vec::new();
        for number in numbers {
            let blocker = issue::issue_by_number(tx, row.project, *number)
                .await?
                .ok_or_else(|| Error::invalid(say::blocker_missing(*number)))?;
            if !ids.contains(&blocker.id) {
                ids.push(blocker.id);
            }
        }
        if ids.contains(&row.id) || block::block_would_cycle(tx, row.id, &ids).await? {
            return Err(Error::invalid(say::blockers_cycle()));
        }
        standing::standing_mark_blockers(tx, row.id).await?;
        block::block_set(tx, row.id, &ids).await?;
        Ok(standing::standing_mark_blockers(tx, row.id).await?)
    }
}
