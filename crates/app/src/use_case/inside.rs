//! What agents say to the platform from inside their runs: ask, progress, guidelines, issues split off.
//!
//! Invariant: the run's own token speaks for that run alone, as long as it is live; how often and how
//! long is `domain::speech`'s, counted in the same transaction. An issue that is split off is a draft
//! in the name of the person who asked for the work, with an agent's trust: no agent starts for it,
//! and its text reaches no prompt, until a person lets it. Deliberately absent: anything that an
//! agent decides.

use jiff::Timestamp;
use nightshift_domain::access::{self, Action, Standing};
use nightshift_domain::id::{IssueId, Number, RunId};
use nightshift_domain::issue as machine;
use nightshift_domain::sentence::Kept;
use nightshift_domain::speech::{self, Speech};
use nightshift_domain::trust::Trust;
use nightshift_store::event::NewEvent;
use nightshift_store::issue::Issue;
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::proposal::Proposal;
use nightshift_store::run::Run;
use nightshift_store::{
    Tx, event, issue, member, message, project, proposal, run, speech as speeches, split, user,
};
use serde_json::json;

use crate::change::Context;
use crate::error::plain;
use crate::{App, Caller, Error};

/// The label of what an agent drafted.
pub const AGENT_LABEL: &str = "agent";

/// An issue that was split off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitOff {
    /// Its number.
    pub number: Number,
    /// Its title.
    pub title: String,
}

impl App {
    /// An agent asks the person. The run's end turns it into `needs-input`.
    ///
    /// # Errors
    /// `Refused` for a second question; `Invalid` when empty.
    pub async fn run_ask(&self, caller: &Caller, id: RunId, text: &str) -> Result<(), Error> {
        self.own(caller, id).await?;
        let text = Speech::Ask.text("text", text)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self.speaking(&mut tx, id, Speech::Ask, now).await?;
        let said = Message {
            id: self.ids().uuid(),
            issue: found.issue,
            round: found.round,
            kind: MessageKind::Question,
            author: caller.actor(),
            trust: Trust::Tool,
            body: Kept::quoted(text), // tidy-ok(said): the agent's own words
            created_at: now,
        };
        message::message_insert(&mut tx, &said).await?;
        let data = json!({ "number": found.number });
        self.record_run(&mut tx, &found, caller, "run.asked", data)
            .await?;
        self.commit(tx, caller).await
    }

    /// An agent says how far it is.
    ///
    /// # Errors
    /// `Invalid` when too long, `TooMany` when too soon after the last.
    pub async fn run_progress(&self, caller: &Caller, id: RunId, text: &str) -> Result<(), Error> {
        self.own(caller, id).await?;
        let text = Speech::Progress.text("text", text)?;
        let mut tx = self.db().write().await?;
        let mut found = self
            .speaking(&mut tx, id, Speech::Progress, self.now())
            .await?;
        found.progress = Some(text);
        run::run_save(&mut tx, &found).await?;
        self.commit(tx, caller).await
    }

    /// An agent proposes a guideline. It is kept for the person who looks at the change, and nothing
    /// else comes of it.
    ///
    /// # Errors
    /// `Refused` where the run proposed enough; `Invalid` for a text that is empty or too long.
    pub async fn run_propose(
        &self,
        caller: &Caller,
        id: RunId,
        text: &str,
        source: Option<&str>,
    ) -> Result<Proposal, Error> {
        self.own(caller, id).await?;
        let body = Speech::Guideline.text("text", text)?;
        let source = source.filter(|source| !source.trim().is_empty());
        let source = source
            .map(|source| speech::fit("source", source, speech::SOURCE_BYTES))
            .transpose()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self.speaking(&mut tx, id, Speech::Guideline, now).await?;
        let new = Proposal {
            id: self.ids().uuid(),
            run: found.id,
            issue: found.issue,
            round: found.round,
            body,
            source,
            created_at: now,
            decided: None,
        };
        proposal::proposal_insert(&mut tx, &new).await?;
        let data = json!({ "number": found.number });
        self.record_run(&mut tx, &found, caller, "run.proposed", data)
            .await?;
        self.commit(tx, caller).await?;
        Ok(new)
    }

    /// An agent splits work off: a draft of the same project, beside the issue it works for.
    ///
    /// # Errors
    /// `Refused` where the run split off enough, or the person who asked for the work may not file
    /// issues any more; `Invalid` names the field.
    pub async fn run_split(
        &self,
        caller: &Caller,
        id: RunId,
        title: &str,
        body: &str,
    ) -> Result<SplitOff, Error> {
        self.own(caller, id).await?;
        let body = Speech::Split.text("body", body)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self.speaking(&mut tx, id, Speech::Split, now).await?;
        let gone = || plain::not_found("the run's issue is gone");
        let parent = issue::issue_get(&mut tx, found.issue)
            .await?
            .ok_or_else(gone)?;
        let home = project::project_get(&mut tx, found.project)
            .await?
            .ok_or_else(gone)?;
        self.may_still_file(&mut tx, &parent).await?;
        let row = Issue {
            id: IssueId(self.ids().uuid()),
            project: home.id,
            number: project::project_next_number(&mut tx, home.id).await?,
            title: title.trim().to_owned(),
            body,
            labels: vec![AGENT_LABEL.to_owned()],
            priority: parent.priority,
            assignee: parent.assignee.clone(),
            agent: parent.agent.clone(),
            requester: parent.requester,
            state: machine::Issue::filed(false).next,
            trust: Trust::of(Standing::Run),
            has_acceptance: false,
            budget: parent.budget,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.check_fields(&mut tx, &home, &row).await?;
        issue::issue_insert(&mut tx, &row).await?;
        split::split_insert(&mut tx, row.id, parent.id, found.id).await?;
        let actor = caller.actor();
        let context = Context::new(&actor, now);
        let data = json!({
            "number": row.number,
            "title": row.title,
            "phase": "draft",
            "split_from": parent.number,
        });
        self.record(&mut tx, &row, "issue.filed", &context, data)
            .await?;
        let data = json!({ "number": parent.number, "split_into": row.number });
        self.record_run(&mut tx, &found, caller, "run.split", data)
            .await?;
        self.commit(tx, caller).await?;
        Ok(SplitOff {
            number: row.number,
            title: row.title,
        })
    }

    /// What the agent of a run proposed, oldest first.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the run.
    pub async fn run_proposals(&self, caller: &Caller, id: RunId) -> Result<Vec<Proposal>, Error> {
        let mut tx = self.db().read().await?;
        let found = self
            .run_for(&mut tx, caller, id, Action::ProjectRead)
            .await?;
        Ok(proposal::proposal_list_of_run(&mut tx, found.id).await?)
    }

    /// An issue is filed in somebody's name only as long as they could file it themselves.
    async fn may_still_file(&self, tx: &mut Tx, parent: &Issue) -> Result<(), Error> {
        let person = user::user_get(tx, parent.requester).await?;
        let standing = match &person {
            Some(person) if person.is_admin => Standing::Admin,
            Some(person) => member::member_role(tx, parent.project, person.id)
                .await?
                .map_or(Standing::Outsider, Standing::Member),
            None => Standing::Outsider,
        };
        if access::allowed(standing, Action::IssueWrite) {
            return Ok(());
        }
        Err(plain::refused(
            "the person who asked for this work may not file issues here any more: say in your \
             summary what should be split off",
        ))
    }

    /// Refuses a token that speaks for another run, and writes it down.
    pub(super) async fn own(&self, caller: &Caller, id: RunId) -> Result<(), Error> {
        let own = caller.run()?;
        if own == id {
            return Ok(());
        }
        self.record_refusal(caller, "another run").await?;
        Err(plain::not_found(format!(
            "no run {id} that this token belongs to"
        )))
    }

    /// The run that speaks, with this counted.
    pub(super) async fn speaking(
        &self,
        tx: &mut Tx,
        id: RunId,
        speech: Speech,
        now: Timestamp,
    ) -> Result<Run, Error> {
        let found = run::run_get(tx, id)
            .await?
            .ok_or_else(|| plain::not_found("the run is gone"))?;
        // Two at once are counted one after the other.
        issue::issue_lock(tx, found.issue).await?;
        let said = speeches::speech_get(tx, id, speech).await?;
        let said = speech.count(said, now)?;
        speeches::speech_set(tx, id, speech, said.count, now).await?;
        Ok(found)
    }

    pub(super) async fn record_run(
        &self,
        tx: &mut Tx,
        found: &Run,
        caller: &Caller,
        kind: &str,
        data: serde_json::Value,
    ) -> Result<(), Error> {
        let new = NewEvent {
            project: Some(found.project),
            issue: Some(found.issue),
            run: Some(found.id),
            kind: kind.to_owned(),
            actor: caller.actor(),
            data,
        };
        event::event_append(tx, &new, self.now()).await?;
        Ok(())
    }
}
