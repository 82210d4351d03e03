//! Moves an issue and does, in the same transaction, everything that goes with it.
//!
//! The only caller of `domain::issue::Issue::apply`. State, jobs, queue entries, notifications and
//! the event are committed together or not at all.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::failure::Failure;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, JobId, UserId};
use nightshift_domain::issue::{Cause, Effect, Event, Notice};
use nightshift_domain::job::{self, Kind};
use nightshift_domain::sentence::{Kept, Sentence};
use nightshift_domain::told::notice as told;
use nightshift_domain::tryout::Gate;
use nightshift_store::Tx;
use nightshift_store::event::NewEvent;
use nightshift_store::issue::Issue;
use nightshift_store::job::Job;
use nightshift_store::notification::Notification;
use nightshift_store::outbox::Delivery;
use nightshift_store::queue::QueueEntry;
use nightshift_store::{
    block, event, issue, job as jobs, notification, outbox, project, pull, queue, standing, user,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::plain;
use crate::say::change as say;
use crate::{App, Error};

/// What a job is about; kept with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub(crate) enum Order {
    /// An agent works.
    Author {
        /// Why it starts.
        cause: Cause,
    },
    /// A head is proved.
    Verify {
        /// The head.
        head: ObjectId,
        /// What was asked for, once a runner has it.
        #[serde(default)]
        asked: Option<Asked>,
    },
    /// A candidate is tried.
    Trial {
        /// The candidate's commit.
        commit: ObjectId,
        /// What was asked for, once a runner has it.
        #[serde(default)]
        asked: Option<Asked>,
    },
    /// Sealed tests are run on the base.
    Tryout {
        /// Which, as a hash.
        seal: String,
    },
}

/// What became of the wish that an author starts.
#[derive(Debug)]
pub(crate) enum Queued {
    /// Its job is queued.
    Yes,
    /// It waits: for other issues, for its tests to be tried, or it is at work already.
    No,
    /// A person must look first.
    Stopped(Failure),
}

/// The definitions a proof was asked for with; the verdict is judged by the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The tip of the default branch.
    pub base: ObjectId,
    /// Its checks.
    pub checks: Vec<nightshift_domain::check::Check>,
    /// Whether it has a set-up command.
    pub has_setup: bool,
}

impl Order {
    pub(crate) fn to_value(&self) -> Result<Value, Error> {
        serde_json::to_value(self).map_err(Error::internal)
    }

    pub(crate) fn of(job: &Job) -> Result<Self, Error> {
        serde_json::from_value(job.order.clone()).map_err(Error::internal)
    }
}

/// Who makes a change, and when.
pub(crate) struct Context<'a> {
    pub actor: &'a Actor,
    pub now: Timestamp,
    /// How long what follows from a decision waits, so that the decision can be undone.
    pub hold: Duration,
}

impl<'a> Context<'a> {
    pub(crate) fn new(actor: &'a Actor, now: Timestamp) -> Self {
        Self {
            actor,
            now,
            hold: Duration::ZERO,
        }
    }
}

impl App {
    /// Applies `event` to a locked issue, saves it, and carries out the effects.
    pub(crate) async fn change(
        &self,
        tx: &mut Tx,
        row: Issue,
        event: Event,
        context: &Context<'_>,
    ) -> Result<Issue, Error> {
        let (mut row, effects) = self.apply(tx, row, event, context).await?;
        for effect in effects {
            if let Queued::Stopped(failure) = self.carry_out(tx, &row, effect, context).await? {
                row = self.stop_author(tx, row, failure, context).await?;
            }
        }
        if row.state.phase.is_final() {
            self.release_blocked(tx, row.id, context).await?;
        }
        Ok(row)
    }

    /// The author does not start, and a person must look.
    pub(crate) async fn stop_author(
        &self,
        tx: &mut Tx,
        row: Issue,
        failure: Failure,
        context: &Context<'_>,
    ) -> Result<Issue, Error> {
        let event = Event::AuthorFailed { failure };
        let (row, effects) = self.apply(tx, row, event, context).await?;
        for effect in effects {
            // INVARIANT: a failure queues nothing, so that one stop cannot lead to another.
            if let Effect::Notify(notice) = effect {
                self.notify(tx, &row, notice, context).await?;
            }
        }
        Ok(row)
    }

    /// Applies `event` to a locked issue and saves it, with the event for those who listen.
    async fn apply(
        &self,
        tx: &mut Tx,
        mut row: Issue,
        event: Event,
        context: &Context<'_>,
    ) -> Result<(Issue, Vec<Effect>), Error> {
        let what = event_name(&event);
        let failure = match &event {
            Event::AuthorFailed { failure }
            | Event::ProofFailed { failure }
            | Event::TrialAsked { failure } => Some(failure.clone()),
            _ => None,
        };
        let change = row.state.clone().apply(event)?;
        let was_final = row.state.phase.is_final();
        row.state = change.next;
        issue::issue_save(tx, &row, context.now).await?;
        row.version += 1;
        row.updated_at = context.now;
        let data = json!({
            "number": row.number,
            "phase": row.state.phase.as_str(),
            "round": row.state.round,
            "failure": failure,
        });
        let seq = self.record(tx, &row, what, context, data).await?;
        // Before anybody is told anew.
        let past: Vec<Notice> = Notice::ALL
            .iter()
            .copied()
            .filter(|notice| !notice.stands(&row.state))
            .collect();
        notification::notification_settle(tx, row.id, &past, context.now).await?;
        if row.state.phase.is_final() != was_final {
            standing::standing_mark_blockers(tx, row.id).await?;
        }
        self.stand(tx, &row).await?;
        for target in &self.settings().targets {
            let delivery = Delivery {
                id: self.ids().uuid(),
                seq,
                target: target.clone(),
                attempts: 0,
                next_at: context.now,
                delivered_at: None,
                last_error: None,
            };
            outbox::outbox_insert(tx, &delivery).await?;
        }
        Ok((row, change.effects))
    }

    /// Writes one event about an issue.
    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        row: &Issue,
        kind: &str,
        context: &Context<'_>,
        data: Value,
    ) -> Result<i64, Error> {
        let new = NewEvent {
            project: Some(row.project),
            issue: Some(row.id),
            run: None,
            kind: kind.to_owned(),
            actor: context.actor.clone(),
            data,
        };
        Ok(event::event_append(tx, &new, context.now).await?)
    }

    async fn carry_out(
        &self,
        tx: &mut Tx,
        row: &Issue,
        effect: Effect,
        context: &Context<'_>,
    ) -> Result<Queued, Error> {
        match effect {
            Effect::QueueAuthor(cause) => {
                return self.queue_author(tx, row, cause, context).await;
            }
            Effect::QueueVerify => {
                let pull = pull::pull_get(tx, row.id)
                    .await?
                    .ok_or_else(|| Error::refused(say::nothing_to_prove()))?;
                let order = Order::Verify {
                    head: pull.head,
                    asked: None,
                };
                self.queue_job(tx, row, Kind::Verify, &order, context)
                    .await?;
            }
            Effect::EnterQueue => self.enter_queue(tx, row, context).await?,
            Effect::LeaveQueue => self.leave_queue(tx, row.id, context).await?,
            Effect::CancelJobs => self.cancel_jobs(tx, row.id, context.now).await?,
            Effect::Notify(notice) => self.notify(tx, row, notice, context).await?,
        }
        Ok(Queued::No)
    }

    /// Queues an author job, unless something blocks the issue or one is live already; its sealed
    /// tests are tried first, and a budget that is spent starts nothing.
    pub(crate) async fn queue_author(
        &self,
        tx: &mut Tx,
        row: &Issue,
        cause: Cause,
        context: &Context<'_>,
    ) -> Result<Queued, Error> {
        let blocked = block::blockers(tx, row.id)
            .await?
            .iter()
            .any(|blocker| !blocker.state.phase.is_final());
        if blocked {
            return Ok(Queued::No);
        }
        let live = jobs::job_list_live_of_issue(tx, row.id).await?;
        if live
            .iter()
            .any(|job| job.kind == Kind::Author && !stopping(job))
        {
            return Ok(Queued::No);
        }
        let budget = self.budget_of(tx, row).await?;
        if let Err(failure) = budget.left {
            return Ok(Queued::Stopped(failure));
        }
        match self.tryout_gate(tx, &budget.project, row, &cause).await? {
            (Gate::Stop(failure), _) => return Ok(Queued::Stopped(failure)),
            (Gate::TryFirst, Some(seal)) => {
                self.queue_tryout(tx, row, seal, context).await?;
                return Ok(Queued::No);
            }
            (Gate::Start | Gate::TryFirst, _) => {}
        }
        self.queue_job(tx, row, Kind::Author, &Order::Author { cause }, context)
            .await?;
        Ok(Queued::Yes)
    }

    pub(crate) async fn queue_job(
        &self,
        tx: &mut Tx,
        row: &Issue,
        kind: Kind,
        order: &Order,
        context: &Context<'_>,
    ) -> Result<JobId, Error> {
        let id = JobId(self.ids().uuid());
        let job = Job {
            id,
            project: row.project,
            issue: row.id,
            kind,
            state: job::Job::queued_after(
                (!context.hold.is_zero()).then(|| context.now + context.hold),
            ),
            order: order.to_value()?,
            priority: row.priority,
            version: 1,
            created_at: context.now,
            updated_at: context.now,
        };
        jobs::job_insert(tx, &job).await?;
        Ok(id)
    }

    async fn enter_queue(
        &self,
        tx: &mut Tx,
        row: &Issue,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let pull = pull::pull_get(tx, row.id)
            .await?
            .ok_or_else(|| Error::refused(say::nothing_to_land()))?;
        let by = match context.actor {
            Actor::Person { user, .. } => *user,
            Actor::Run { .. } | Actor::Runner { .. } | Actor::System => {
                return Err(plain::refused("only a person approves"));
            }
        };
        let entry = QueueEntry {
            issue: row.id,
            project: row.project,
            number: row.number,
            approved: pull.head,
            by,
            candidate: None,
            trial_job: None,
            entered_at: context.now + context.hold,
            asks: false,
        };
        Ok(queue::queue_enter(tx, &entry).await?)
    }

    async fn leave_queue(
        &self,
        tx: &mut Tx,
        issue: IssueId,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(entry) = queue::queue_get(tx, issue).await? else {
            return Ok(());
        };
        queue::queue_leave(tx, issue).await?;
        if let Some(job) = entry.trial_job {
            self.cancel_job(tx, job, context.now).await?;
        }
        Ok(())
    }

    pub(crate) async fn cancel_jobs(
        &self,
        tx: &mut Tx,
        issue: IssueId,
        now: Timestamp,
    ) -> Result<(), Error> {
        for job in jobs::job_list_live_of_issue(tx, issue).await? {
            self.cancel_job(tx, job.id, now).await?;
        }
        Ok(())
    }

    /// Cancels a job: at once where it is queued, with the runner's next heartbeat where it runs.
    pub(crate) async fn cancel_job(
        &self,
        tx: &mut Tx,
        id: JobId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(mut job) = jobs::job_lock(tx, id).await? else {
            return Ok(());
        };
        match job.state.clone().apply(job::Event::Cancel, now) {
            Ok(next) => {
                job.state = next;
                jobs::job_save(tx, &job, now).await?;
                Ok(())
            }
            Err(job::Refused::Ended(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Queues what waited for this issue alone.
    async fn release_blocked(
        &self,
        tx: &mut Tx,
        ended: IssueId,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        for id in block::blocked_by_me(tx, ended).await? {
            let Some(row) = issue::issue_lock(tx, id).await? else {
                continue;
            };
            let waits = row.state.phase.as_str() == "ready" && row.state.failed.is_none();
            if waits {
                let cause = if row.state.round == 1 {
                    Cause::First
                } else {
                    Cause::SentBack
                };
                if let Queued::Stopped(failure) =
                    self.queue_author(tx, &row, cause, context).await?
                {
                    self.stop_author(tx, row, failure, context).await?;
                }
            }
        }
        Ok(())
    }

    async fn notify(
        &self,
        tx: &mut Tx,
        row: &Issue,
        notice: Notice,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let mut people: Vec<UserId> = vec![row.requester];
        if let Some(assignee) = &row.assignee
            && let Some(person) = user::user_by_name(tx, assignee).await?
            && person.id != row.requester
        {
            people.push(person.id);
        }
        let name = project::project_get(tx, row.project)
            .await?
            .map(|project| project.name)
            .unwrap_or_default();
        let text = Kept::from(notice_text(notice, &name, row));
        for person in people {
            let new = Notification {
                id: self.ids().uuid(),
                user: person,
                project: row.project,
                issue: row.id,
                number: row.number,
                notice,
                text: text.clone(),
                created_at: context.now,
                read_at: None,
            };
            notification::notification_insert(tx, &new).await?;
        }
        Ok(())
    }
}

/// Whether a job was told to stop already.
pub(crate) fn stopping(job: &Job) -> bool {
    matches!(job.state.phase, job::Phase::Leased { stop: true, .. })
}

fn notice_text(notice: Notice, project: &str, row: &Issue) -> Sentence {
    let (number, title) = (row.number, &row.title);
    match notice {
        Notice::ReviewWanted => told::review_wanted(project, number, title),
        Notice::InputWanted => told::input_wanted(project, number, title),
        Notice::Failed => match &row.state.failed {
            Some(failure) => told::failed(project, number, &failure.detail),
            None => told::failed(project, number, told::it_failed()),
        },
        Notice::Landed => told::landed(project, number, title),
    }
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::MarkReady => "issue.ready",
        Event::MarkDraft => "issue.draft",
        Event::AuthorStarted => "issue.started",
        Event::Asked { .. } => "issue.asked",
        Event::Answered => "issue.answered",
        Event::HeadAdopted => "pull.head-adopted",
        Event::HeadPushed => "pull.head-pushed",
        Event::Judged { green: true, .. } => "pull.green",
        Event::Judged { green: false, .. } => "pull.not-green",
        Event::ProofFailed { .. } => "pull.proof-failed",
        Event::AuthorFailed { .. } => "issue.failed",
        Event::AuthorStopped => "issue.stopped",
        Event::Approved => "pull.approved",
        Event::TrialAsked { .. } => "pull.trial-asked",
        Event::SentBack => "pull.sent-back",
        Event::Conflicted { .. } => "pull.conflicted",
        Event::Unlanded => "pull.returned",
        Event::Withdrawn => "pull.decision-withdrawn",
        Event::Landed { .. } => "pull.landed",
        Event::Retried => "issue.retried",
        Event::ProofRetried => "pull.proof-retried",
        Event::Closed { .. } => "issue.closed",
        Event::Reopened => "issue.reopened",
    }
}
