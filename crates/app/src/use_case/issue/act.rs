//! Moving an issue, and speaking on it.

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::id::Number;
use nightshift_domain::issue::{Event, Phase};
use nightshift_domain::sentence::Kept;
use nightshift_domain::trust::Trust;
use nightshift_store::issue::Issue;
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::project::Project;
use nightshift_store::{Tx, issue, message};
use serde_json::json;

use super::IssueView;
use crate::change::Context;
use crate::say::{issue as say, server};
use crate::{App, Caller, Error};

impl App {
    /// Says that an issue may start.
    ///
    /// # Errors
    /// `Refused` unless it is a draft.
    pub async fn issue_ready(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::MarkReady)
            .await
    }

    /// Takes an issue back to draft.
    ///
    /// # Errors
    /// `Refused` once an agent started.
    pub async fn issue_draft(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::MarkDraft)
            .await
    }

    /// Tries again after a failure.
    ///
    /// # Errors
    /// `Refused` when nothing failed.
    pub async fn issue_retry(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::RunControl, Event::Retried)
            .await
    }

    /// Ends an issue without a change.
    ///
    /// # Errors
    /// `Refused` when it has ended.
    pub async fn issue_close(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        reason: &str,
    ) -> Result<IssueView, Error> {
        let event = Event::Closed {
            reason: reason.trim().to_owned(),
        };
        self.issue_event(caller, name, number, Action::IssueWrite, event)
            .await
    }

    /// Takes a closed issue up again.
    ///
    /// # Errors
    /// `Refused` unless it is closed.
    pub async fn issue_reopen(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<IssueView, Error> {
        self.issue_event(caller, name, number, Action::IssueWrite, Event::Reopened)
            .await
    }

    /// Answers the agent's question.
    ///
    /// # Errors
    /// `Refused` when none is open, `Invalid` when empty.
    pub async fn issue_answer(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        text: &str,
    ) -> Result<IssueView, Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid(say::answer_empty()));
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueAnswer)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        self.say(
            &mut tx,
            &row,
            MessageKind::Answer,
            caller,
            Trust::of(standing),
            text,
            now,
        )
        .await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        self.close_asked(&mut tx, &row, caller, &context).await?;
        self.change(&mut tx, row, Event::Answered, &context).await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// Adds a note for people; no agent reads it.
    ///
    /// # Errors
    /// `Invalid` when empty.
    pub async fn issue_note(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        text: &str,
    ) -> Result<IssueView, Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid(say::note_empty()));
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        self.say(
            &mut tx,
            &row,
            MessageKind::Note,
            caller,
            Trust::of(standing),
            text,
            now,
        )
        .await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({ "number": number });
        self.record(&mut tx, &row, "issue.noted", &context, data)
            .await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    async fn say(
        &self,
        tx: &mut Tx,
        row: &Issue,
        kind: MessageKind,
        caller: &Caller,
        trust: Trust,
        text: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        if text.len() > 64 << 10 {
            return Err(Error::invalid(say::text_large()));
        }
        let said = Message {
            id: self.ids().uuid(),
            issue: row.id,
            round: row.state.round,
            kind,
            author: caller.actor(),
            trust,
            body: Kept::quoted(text), // tidy-ok(said): a person's own words
            created_at: now,
        };
        Ok(message::message_insert(tx, &said).await?)
    }

    async fn issue_event(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        action: Action,
        event: Event,
    ) -> Result<IssueView, Error> {
        let mut tx = self.db().write().await?;
        let (found, standing) = self.project_for(&mut tx, caller, name, action).await?;
        let mut row = self.issue_row(&mut tx, &found, number).await?;
        if event == Event::Retried
            && row.state.failed.is_some()
            && row.state.phase != Phase::Landing
            && let Err(spent) = self.budget_of(&mut tx, &row).await?.left
        {
            return Err(Error::refused(server::as_said(spent.detail)));
        }
        let actor = caller.actor();
        let context = Context::new(&actor, self.now());
        // Who lets a draft of an agent start has read it: the text is theirs from now on.
        if event == Event::MarkReady && row.trust == Trust::Tool {
            row.trust = Trust::of(standing);
            let data = json!({ "number": number });
            self.record(&mut tx, &row, "issue.released", &context, data)
                .await?;
        }
        self.change(&mut tx, row, event, &context).await?;
        self.commit(tx, caller).await?;
        self.issue_get(caller, name, number).await
    }

    /// A project's issue, locked for a change.
    pub(crate) async fn issue_row(
        &self,
        tx: &mut Tx,
        found: &Project,
        number: Number,
    ) -> Result<Issue, Error> {
        let missing = || Error::not_found(say::no_issue(number, &found.name));
        let row = issue::issue_by_number(tx, found.id, number)
            .await?
            .ok_or_else(missing)?;
        issue::issue_lock(tx, row.id).await?.ok_or_else(missing)
    }
}
