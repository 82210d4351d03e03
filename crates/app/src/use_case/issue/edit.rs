//! Changing an issue that no agent works on.

use nightshift_domain::access::Action;
use nightshift_domain::id::Number;
use nightshift_domain::issue::Phase;
use nightshift_domain::trust::Trust;
use nightshift_store::{acceptance as sealed, issue, pull};
use serde_json::json;

use super::{EditIssue, IssueView};
use crate::change::Context;
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
            return Err(Error::conflict(format!(
                "#{number} is at version {} and your edit is based on {version}: look at it again",
                row.version
            )));
        }
        let text_changes = edit.title.is_some() || edit.body.is_some() || edit.acceptance.is_some();
        match row.state.phase {
            Phase::Draft | Phase::Ready | Phase::NeedsInput { .. } | Phase::InReview => {}
            Phase::Working | Phase::Landing if !text_changes => {}
            Phase::Working | Phase::Landing => {
                return Err(Error::refused(format!(
                    "#{number} is {}: the order cannot change under the agent; answer, send back, \
                     or cancel the run first",
                    row.state.phase.as_str()
                )));
            }
            Phase::Done { .. } | Phase::Closed { .. } => {
                return Err(Error::refused(format!(
                    "#{number} has ended ({}): reopen it or file a new one",
                    row.state.phase.as_str()
                )));
            }
        }
        if edit.acceptance.is_some() && pull::pull_get(&mut tx, row.id).await?.is_some() {
            return Err(Error::refused(format!(
                "the acceptance tests of #{number} are sealed since its first result: close it and \
                 file a new issue to change them"
            )));
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
        if let Some(agent) = edit.agent {
            row.agent = agent;
        }
        row.has_acceptance |= edit.acceptance.is_some();
        self.check_fields(&mut tx, &found, &row).await?;
        issue::issue_save(&mut tx, &row, now).await?;
        row.version += 1;
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
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }
}
