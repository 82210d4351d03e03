//! Leases: claim a job, beat, lose it.
//!
//! At most one live lease a job; its epoch rises at each claim. A claim that the server cannot
//! hand out completely simply lapses, and the job is claimed again.

use std::time::Duration;

use nightshift_domain::access::Actor;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{JobId, RunId};
use nightshift_domain::issue::Event as IssueEvent;
use nightshift_domain::job::{self, Kind};
use nightshift_domain::route::Runner;
use nightshift_domain::transcript::Usage;
use nightshift_store::event::NewEvent;
use nightshift_store::job::Job;
use nightshift_store::run::{Run, RunState};
use nightshift_store::steer::Steer;
use nightshift_store::{event, issue, job as jobs, run, runner, steer, token};
use serde_json::json;
use uuid::Uuid;

use super::account::SYSTEM;
use crate::change::Context;
use crate::error::plain;
use crate::order::PLATFORM;
use crate::{App, Caller, Error, Prepared};

/// How often a waiting claim looks without being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a runner says about itself when it asks for work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Kinds it takes.
    pub kinds: Vec<Kind>,
    /// All its slots.
    pub slots: i64,
    /// Its version.
    pub version: String,
    /// Harnesses whose programs and endpoints it has, if it says so; it is handed no other agents.
    pub harnesses: Option<Vec<String>>,
    /// Whether its sandboxes can have an image that a project names.
    pub images: bool,
}

impl Claim {
    /// What it says it has. A restarted runner may say something else than it did before.
    fn runner(&self) -> Runner {
        let kinds = self.kinds.iter().map(|kind| kind.as_str().to_owned());
        Runner {
            kinds: Some(kinds.collect()),
            harnesses: self.harnesses.clone(),
            images: self.images,
            draining: false,
        }
    }
}

/// What a heartbeat is answered.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Words that the agent was not given yet.
    pub steers: Vec<Steer>,
    /// Stop now.
    pub stop: bool,
    /// Until when the lease holds.
    pub until: jiff::Timestamp,
}

impl App {
    /// Hands out the next due job, and waits for one up to `wait`.
    ///
    /// # Errors
    /// `Forbidden` for anybody but a runner.
    pub async fn claim_wait(
        &self,
        caller: &Caller,
        claim: &Claim,
        wait: Duration,
    ) -> Result<Option<Prepared>, Error> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let bell = self.signals().jobs().notified();
            tokio::pin!(bell);
            // Listening begins before looking, so a job queued in between is not missed.
            bell.as_mut().enable();
            if let Some(prepared) = self.claim(caller, claim).await? {
                return Ok(Some(prepared));
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Another server process may have queued a job, or one fell due: look again by the clock.
            drop(tokio::time::timeout(left.min(LOOK_AGAIN), bell).await);
        }
    }

    /// Hands out the next due job, if there is one.
    ///
    /// # Errors
    /// `Forbidden` for anybody but a runner.
    pub async fn claim(&self, caller: &Caller, claim: &Claim) -> Result<Option<Prepared>, Error> {
        let runner_id = caller.runner()?;
        let many =
            |words: &[String]| words.len() > 100 || words.iter().any(|word| word.len() > 100);
        if !(0..=100_000).contains(&claim.slots)
            || claim.version.len() > 100
            || claim.harnesses.as_deref().is_some_and(many)
        {
            return Err(plain::invalid(
                "`slots` must be 0 to 100000, `version` at most 100 bytes, and `harnesses` at most 100 names",
            ));
        }
        let able = claim.runner();
        let now = self.now();
        let mut tx = self.db().write().await?;
        let seen = runner::Seen {
            slots: claim.slots,
            version: &claim.version,
            kinds: able.kinds.as_deref(),
            harnesses: able.harnesses.as_deref(),
            images: able.images,
        };
        runner::runner_seen(&mut tx, runner_id, &seen, now).await?;
        // Noted before it is looked at: whoever drains it waits for this claim, or this one for them.
        let known = runner::runner_get(&mut tx, runner_id).await?;
        if known.is_some_and(|known| known.draining) {
            self.commit_plain(tx).await?;
            return Ok(None);
        }
        let Some(mut job) = self.next_job(&mut tx, &claim.kinds, &able, now).await? else {
            self.commit_plain(tx).await?;
            return Ok(None);
        };
        let run_id = RunId(self.ids().uuid());
        job.state = job.state.apply(
            job::Event::Claim {
                runner: runner_id,
                run: run_id,
            },
            now,
        )?;
        jobs::job_save(&mut tx, &job, now).await?;
        job.version += 1;
        let Some(row) = issue::issue_get(&mut tx, job.issue).await? else {
            return Err(plain::not_found("the job's issue is gone"));
        };
        let made = Run {
            id: run_id,
            job: job.id,
            project: job.project,
            issue: job.issue,
            number: row.number,
            kind: job.kind,
            epoch: job.state.epoch,
            round: row.state.round,
            agent: match job.kind {
                Kind::Author => row.agent.clone(),
                Kind::Verify | Kind::Trial | Kind::Tryout => PLATFORM.to_owned(),
            },
            runner: runner_id,
            state: RunState::Running,
            start: ObjectId::zero(),
            attempt: None,
            usage: None,
            traffic: None,
            session: None,
            progress: None,
            log_bytes: 0,
            log_closed: false,
            started_at: now,
            ended_at: None,
        };
        run::run_insert(&mut tx, &made).await?;
        let new = NewEvent {
            project: Some(job.project),
            issue: Some(job.issue),
            run: Some(run_id),
            kind: "run.started".to_owned(),
            actor: caller.actor(),
            data: json!({ "number": row.number, "kind": job.kind.as_str(), "epoch": job.state.epoch }),
        };
        event::event_append(&mut tx, &new, now).await?;
        self.commit_plain(tx).await?;
        match self.prepare(job, made.clone(), &able).await? {
            Ok(prepared) => Ok(Some(prepared)),
            Err(failure) => {
                self.end_run(&made, super::finish::Ending::failed(failure))
                    .await?;
                Ok(None)
            }
        }
    }

    /// Picks the next job that this runner can do: what a person waits for first. An author whose
    /// budget is spent is told so instead of being started.
    async fn next_job(
        &self,
        tx: &mut nightshift_store::Tx,
        kinds: &[Kind],
        able: &Runner,
        now: jiff::Timestamp,
    ) -> Result<Option<Job>, Error> {
        if kinds.iter().any(|kind| kind.is_urgent())
            && let Some(job) = jobs::job_claim_urgent(tx, able, now).await?
        {
            return Ok(Some(job));
        }
        loop {
            let Some(mut job) = jobs::job_claim_next(tx, kinds, able, now).await? else {
                return Ok(None);
            };
            if job.kind != Kind::Author {
                return Ok(Some(job));
            }
            let Some(row) = issue::issue_lock(tx, job.issue).await? else {
                return Err(plain::not_found("the job's issue is gone"));
            };
            let Err(failure) = self.budget_of(tx, &row).await?.left else {
                return Ok(Some(job));
            };
            job.state = job.state.apply(job::Event::Forbid { failure }, now)?;
            jobs::job_save(tx, &job, now).await?;
            job.version += 1;
            self.job_ended(tx, row, &job, now).await?;
        }
    }

    /// A runner says that a run is alive.
    ///
    /// # Errors
    /// `StaleEpoch` once the lease is lost, `NotFound` for an unknown run or another runner's.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        id: RunId,
        epoch: i64,
        handed: &[Uuid],
        usage: Option<Usage>,
    ) -> Result<Beat, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let live = self.own_run(&mut tx, caller, id).await?;
        let mut job = jobs::job_lock(&mut tx, live.job)
            .await?
            .ok_or_else(|| plain::not_found("the run's job is gone"))?;
        if live.epoch != epoch {
            return Err(job::Refused::StaleEpoch {
                given: epoch,
                current: live.epoch,
            }
            .into());
        }
        job.state = job.state.apply(job::Event::Beat { epoch }, now)?;
        jobs::job_save(&mut tx, &job, now).await?;
        let mut steers = Vec::new();
        if live.kind == Kind::Author {
            self.steers_handed(&mut tx, &live, handed, now).await?;
            steers = steer::steer_list_waiting(&mut tx, id).await?;
        }
        let news = usage.filter(|_| usage != live.usage && live.kind == Kind::Author);
        if let Some(usage) = &news {
            run::run_set_usage(&mut tx, id, usage).await?;
        }
        if handed.is_empty() && news.is_none() {
            tx.commit().await?;
        } else {
            self.commit_plain(tx).await?;
        }
        match job.state.phase {
            job::Phase::Leased { until, stop, .. } => Ok(Beat {
                steers,
                stop,
                until,
            }),
            _ => Err(plain::refused("the run has ended")),
        }
    }

    /// A run that belongs to the calling runner.
    pub(crate) async fn own_run(
        &self,
        tx: &mut nightshift_store::Tx,
        caller: &Caller,
        id: RunId,
    ) -> Result<Run, Error> {
        let own = caller.runner()?;
        run::run_get(tx, id)
            .await?
            .filter(|run| run.runner == own)
            .ok_or_else(|| plain::not_found(format!("no run {id} of this runner")))
    }

    /// Takes a job back whose lease ran out. Does nothing where it was renewed meanwhile.
    pub(crate) async fn expire(&self, id: JobId) -> Result<bool, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let Some(found) = jobs::job_get(&mut tx, id).await? else {
            return Ok(false);
        };
        let Some(row) = issue::issue_lock(&mut tx, found.issue).await? else {
            return Ok(false);
        };
        let Some(mut job) = jobs::job_lock(&mut tx, id).await? else {
            return Ok(false);
        };
        let job::Phase::Leased { run: run_id, .. } = job.state.phase else {
            return Ok(false);
        };
        match job.state.clone().apply(job::Event::Expire, now) {
            Ok(next) => job.state = next,
            Err(_) => return Ok(false),
        }
        jobs::job_save(&mut tx, &job, now).await?;
        let failure = match &job.state.phase {
            job::Phase::Queued { after, .. } => after.clone(),
            job::Phase::Dead { failure } | job::Phase::Failed { failure } => Some(failure.clone()),
            _ => None,
        };
        if let Some(mut lost) = run::run_get(&mut tx, run_id).await? {
            lost.state = match failure {
                Some(failure) => RunState::Failed { failure },
                None => RunState::Stopped,
            };
            lost.ended_at = Some(now);
            run::run_save(&mut tx, &lost).await?;
            self.steers_late(&mut tx, &lost, now).await?;
        }
        token::token_revoke_run(&mut tx, run_id, now).await?;
        let context = Context::new(&SYSTEM, now);
        let data = json!({ "number": row.number, "job": job.state.phase.as_str() });
        self.record(&mut tx, &row, "run.lost", &context, data)
            .await?;
        self.job_ended(&mut tx, row, &job, now).await?;
        self.commit_plain(tx).await?;
        self.signals().log_grew(run_id);
        Ok(true)
    }

    /// What the end of a job without a result means for its issue.
    pub(crate) async fn job_ended(
        &self,
        tx: &mut nightshift_store::Tx,
        row: issue::Issue,
        job: &Job,
        now: jiff::Timestamp,
    ) -> Result<(), Error> {
        let actor = Actor::System;
        let context = Context::new(&actor, now);
        let event = match (&job.state.phase, job.kind) {
            (job::Phase::Failed { failure } | job::Phase::Dead { failure }, Kind::Author) => {
                IssueEvent::AuthorFailed {
                    failure: failure.clone(),
                }
            }
            (job::Phase::Failed { failure } | job::Phase::Dead { failure }, Kind::Verify) => {
                IssueEvent::ProofFailed {
                    failure: failure.clone(),
                }
            }
            (job::Phase::Failed { failure } | job::Phase::Dead { failure }, Kind::Trial)
                if failure.reason == Reason::SecretMissing =>
            {
                let failure = failure.clone();
                return self.trial_asks(tx, row, job.id, failure, &context).await;
            }
            (job::Phase::Cancelled, Kind::Author) => IssueEvent::AuthorStopped,
            (_, Kind::Tryout) => return self.tryout_ended(tx, row, job, &context).await,
            // Any other end of a trial is read by the merge reconciler; the others go on or were meant to end.
            (
                job::Phase::Failed { .. } | job::Phase::Dead { .. } | job::Phase::Cancelled,
                Kind::Trial | Kind::Verify,
            )
            | (job::Phase::Queued { .. } | job::Phase::Leased { .. } | job::Phase::Succeeded, _) => {
                return Ok(());
            }
        };
        let others = jobs::job_list_live_of_issue(tx, row.id).await?;
        // Trying tests moves no issue.
        let moves = |other: &Job| other.id != job.id && other.kind != Kind::Tryout;
        if others.iter().any(moves) {
            return Ok(());
        }
        match self.change(tx, row, event, &context).await {
            // The person closed the issue, or pushed, while the run was ending.
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
