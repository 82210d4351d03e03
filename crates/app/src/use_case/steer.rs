//! Steering: a person says something to a run that goes on.
//!
//! Accepted words are in the database before anybody is told so, and end in exactly one way: the agent
//! was given them, or they came too late; then the next run is given them, and the person is told.
//! Deliberately absent: how an agent is interrupted (the runner's business).

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::id::RunId;
use nightshift_domain::job::Kind;
use nightshift_domain::told::note;
use nightshift_domain::trust::Trust;
use nightshift_store::event::NewEvent;
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::run::{Run, RunState};
use nightshift_store::steer::Steer;
use nightshift_store::{Tx, event, issue, message, steer};
use serde_json::json;
use uuid::Uuid;

use super::account::SYSTEM;
use crate::error::plain;
use crate::say::run as say;
use crate::{App, Caller, Error};

/// The longest words, in bytes.
const LONGEST: usize = 16 << 10;
/// The most words that wait for one run.
const MOST: usize = 50;

impl App {
    /// Says something to a run. `now` interrupts the agent where its program can be interrupted.
    ///
    /// # Errors
    /// `Refused` for a run without an agent, and where no run will follow; `Invalid` when empty.
    pub async fn run_steer(
        &self,
        caller: &Caller,
        id: RunId,
        text: &str,
        interrupts: bool,
    ) -> Result<Steer, Error> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return Err(Error::invalid(say::words_size(LONGEST)));
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = self
            .run_for(&mut tx, caller, id, Action::RunControl)
            .await?;
        if found.kind != Kind::Author {
            return Err(Error::refused(say::no_agent(
                id.to_string(),
                found.kind.name(),
            )));
        }
        // The run's end holds this lock while it looks for words that wait.
        let Some(row) = issue::issue_lock(&mut tx, found.issue).await? else {
            return Err(plain::not_found("the run's issue is gone"));
        };
        let Some(found) = nightshift_store::run::run_get(&mut tx, id).await? else {
            return Err(plain::not_found("the run is gone"));
        };
        let ended = found.state != RunState::Running;
        if ended && row.state.phase.is_final() {
            return Err(Error::refused(say::nobody_hears(
                id.to_string(),
                row.number,
                row.state.phase.name(),
            )));
        }
        if steer::steer_list_waiting(&mut tx, id).await?.len() >= MOST {
            return Err(Error::refused(say::words_many(MOST)));
        }
        let said = Steer {
            id: self.ids().uuid(),
            run: id,
            issue: found.issue,
            round: found.round,
            author: caller.actor(),
            // Who may steer may write to the project.
            trust: Trust::Collaborator,
            body: text.to_owned(),
            interrupts,
            created_at: now,
            handed_at: None,
            late_at: ended.then_some(now),
        };
        steer::steer_insert(&mut tx, &said).await?;
        let new = NewEvent {
            project: Some(found.project),
            issue: Some(found.issue),
            run: Some(id),
            kind: "run.steered".to_owned(),
            actor: caller.actor(),
            data: json!({ "number": found.number, "now": interrupts, "late": ended }),
        };
        event::event_append(&mut tx, &new, now).await?;
        if ended {
            self.tell_late(&mut tx, &found, &said, now).await?;
        }
        self.commit(tx, caller).await?;
        Ok(said)
    }

    /// What was said to a run, oldest first.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the run.
    pub async fn run_steers(&self, caller: &Caller, id: RunId) -> Result<Vec<Steer>, Error> {
        let mut tx = self.db().read().await?;
        self.run_for(&mut tx, caller, id, Action::ProjectRead)
            .await?;
        Ok(steer::steer_list_of_run(&mut tx, id).await?)
    }

    /// Notes which words the agent was given.
    pub(crate) async fn steers_handed(
        &self,
        tx: &mut Tx,
        live: &Run,
        handed: &[Uuid],
        now: Timestamp,
    ) -> Result<(), Error> {
        for id in handed.iter().take(MOST) {
            if steer::steer_handed(tx, live.id, *id, now).await? {
                let new = NewEvent {
                    project: Some(live.project),
                    issue: Some(live.issue),
                    run: Some(live.id),
                    kind: "run.heard".to_owned(),
                    actor: SYSTEM,
                    data: json!({ "number": live.number }),
                };
                event::event_append(tx, &new, now).await?;
            }
        }
        Ok(())
    }

    /// The run ended: what still waits came too late for it.
    pub(crate) async fn steers_late(
        &self,
        tx: &mut Tx,
        ended: &Run,
        now: Timestamp,
    ) -> Result<(), Error> {
        let waiting = steer::steer_list_waiting(tx, ended.id).await?;
        steer::steer_late(tx, ended.id, now).await?;
        for said in &waiting {
            self.tell_late(tx, ended, said, now).await?;
        }
        Ok(())
    }

    /// Says on the issue that words came too late, and who gets them.
    async fn tell_late(
        &self,
        tx: &mut Tx,
        ended: &Run,
        said: &Steer,
        now: Timestamp,
    ) -> Result<(), Error> {
        let quoted: String = said
            .body
            .lines()
            .map(|line| format!("> {line}\n"))
            .collect();
        let told = Message {
            id: self.ids().uuid(),
            issue: ended.issue,
            round: ended.round,
            kind: MessageKind::Note,
            author: SYSTEM,
            trust: Trust::Operator,
            body: note::too_late(said.author.label(), quoted).into(),
            created_at: now,
        };
        Ok(message::message_insert(tx, &told).await?)
    }
}
