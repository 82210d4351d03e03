//! Changing an issue that no agent works on.

use nightshift_domain::access::Action;
use nightshift_domain::failure::Reason;
use nightshift_domain::id::Number;
use nightshift_domain::issue::{Event, Phase};
use nightshift_domain::trust::Trust;
use nightshift_store::issue::Issue;
use nightshift_store::{Tx, acceptance as sealed, issue, job as jobs, pull};
use serde_json::json;

use super::{EditIssue, IssueView};
use crate::change::Context;
use crate::say::issue as say;
use crate::{App, Caller, Error, acceptance};

impl App {
    /// Changes an issue that no agent works on.
    ///
    /// # Errors
    /// `Refused` while an agent works or once it has ended; `Conflict` for an old version.
    pub async fn issue_edit(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        edit: EditIssue,
    ) -> Result<IssueView, Error> {
        if let Some(acceptance) = &edit.acceptance {
            acceptance::check(acceptance)?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let mut row = self.issue_row(&mut tx, &found, number).await?;
        if let Some(version) = edit.version.filter(|version| *version != row.version) {
            return Err(Error::conflict(say::edited_meanwhile(
                number,
                row.version,
                version,
            )));
        }
        let text_changes = edit.title.is_some() || edit.body.is_some() || edit.acceptance.is_some();
        match row.state.phase {
            Phase::Draft | Phase::Ready | Phase::NeedsInput { .. } | Phase::InReview => {}
            Phase::Working | Phase::Landing if !text_changes => {}
            Phase::Working | Phase::Landing => {
                return Err(Error::refused(say::order_fixed(
                    number,
                    row.state.phase.name(),
                )));
            }
            Phase::Done { .. } | Phase::Closed { .. } => {
                return Err(Error::refused(say::ended(number, row.state.phase.name())));
            }
        }
        if edit.acceptance.is_some() && pull::pull_get(&mut tx, row.id).await?.is_some() {
            return Err(Error::refused(say::tests_sealed(number)));
        }
        if text_changes {
            row.trust = row.trust.min(Trust::of(standing));
        }
        if let Some(title) = edit.title {
            row.title = title.trim().to_owned();
        }
        if let Some(body) = edit.body {
            row.body = body;
        }
        if let Some(labels) = edit.labels {
            row.labels = labels;
        }
        if let Some(priority) = edit.priority {
            row.priority = priority;
        }
        if let Some(assignee) = edit.assignee {
            row.assignee = Some(assignee).filter(|name| !name.is_empty());
        }
        let before = row.agent.clone();
        if let Some(agent) = edit.agent {
            row.agent = agent;
        }
        if let Some(cost) = edit.budget_micro_usd {
            row.budget.cost_micro_usd = Some(cost).filter(|cost| *cost > 0);
        }
        if let Some(minutes) = edit.budget_minutes {
            row.budget.minutes = Some(minutes).filter(|minutes| *minutes > 0);
        }
        row.has_acceptance |= edit.acceptance.is_some();
        self.check_fields(&mut tx, &found, &row).await?;
        issue::issue_save(&mut tx, &row, now).await?;
        row.version += 1;
        if row.agent != before {
            jobs::job_set_agent(&mut tx, row.id, &row.agent).await?;
        }
        if edit.acceptance.is_some() {
            sealed::acceptance_set(&mut tx, row.id, edit.acceptance.as_ref()).await?;
        }
        if let Some(numbers) = &edit.blocked_by {
            self.set_blockers(&mut tx, &row, numbers).await?;
        }
        row.updated_at = now;
        self.stand(&mut tx, &row).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": number, "title": row.title });
        self.record(&mut tx, &row, "issue.edited", &context, data)
            .await?;
        let row = match edit.acceptance {
            Some(_) => self.tests_changed(&mut tx, row, &context).await?,
            None => row,
        };
        self.go_on(&mut tx, row, edit.acceptance.is_some(), &context)
            .await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// An issue that stopped for what was just mended goes on by itself.
    async fn go_on(
        &self,
        tx: &mut Tx,
        row: Issue,
        tests: bool,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(failure) = row
            .state
            .failed
            .as_ref()
            .filter(|_| row.state.phase == Phase::Ready)
        else {
            return Ok(());
        };
        let mended = match failure.reason {
            Reason::BudgetExhausted => self.budget_of(tx, &row).await?.left.is_ok(),
            Reason::AcceptanceGreen | Reason::AcceptanceBroken => tests,
            _ => false,
        };
        if mended {
            self.change(tx, row, Event::Retried, context).await?;
        }
        Ok(())
    }
}
