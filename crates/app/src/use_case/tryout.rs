//! Tryouts: sealed tests run once on the base, because a person asked or because an author waits.
//!
//! A result is kept with the seal and the base that it is about, and is used for exactly these: the
//! same is not run twice, and nothing else rests on it. A tryout that could not be made holds nobody
//! up: the author starts. Deliberately absent: what results mean (`domain::tryout`).

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::check::Acceptance;
use nightshift_domain::failure::Failure;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{JobId, Number, RunId};
use nightshift_domain::issue::{Cause, Event, Phase};
use nightshift_domain::job::{self, Kind};
use nightshift_domain::tryout::{self as rule, Gate, Report, Tried};
use nightshift_store::Tx;
use nightshift_store::issue::Issue;
use nightshift_store::job::Job;
use nightshift_store::project::Project;
use nightshift_store::run::Run;
use nightshift_store::tryout::{Tryout, TryoutResult};
use nightshift_store::{acceptance as sealed, block, job as jobs, pull, tryout};
use serde_json::json;

use crate::change::{Context, Order, stopping};
use crate::say::issue as say;
use crate::{App, Caller, Error, acceptance};

/// How many earlier tryouts of the same tests are looked at.
const LOOK_AT: i64 = 50;

/// How far the trying of an issue's tests is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryoutView {
    /// How far.
    pub state: TryoutState,
    /// Whether it is about the base as it is now.
    pub current: bool,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// The ways it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryoutState {
    /// No runner has it yet.
    Waiting,
    /// It runs.
    Running {
        /// The run.
        run: RunId,
    },
    /// It has its result.
    Tried {
        /// The result.
        tried: Tried,
        /// The base it is about.
        base: ObjectId,
        /// The run.
        run: RunId,
        /// When it was there.
        at: Timestamp,
        /// Whether the agent can be let at the tests.
        fit: bool,
        /// What it means, in words.
        words: String,
    },
    /// It could not be made.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Somebody stopped it.
    Stopped,
}

impl App {
    /// Tries an issue's sealed tests on the base, unless these were tried there already.
    ///
    /// # Errors
    /// `Refused` without sealed tests, and once a result was judged by them.
    pub async fn issue_try(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<TryoutView, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        drop(tx);
        // The base as it is now, not as it was last seen.
        let found = self.refresh_config(found.id).await?;
        if found.config_commit.is_none() {
            return Err(Error::refused(say::no_base_to_try(
                name,
                found.default_branch.as_str(),
            )));
        }
        let mut tx = self.db().write().await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        let Some(tests) = sealed::acceptance_get(&mut tx, row.id).await? else {
            return Err(Error::refused(say::no_tests_to_try(number)));
        };
        let early = matches!(row.state.phase, Phase::Draft | Phase::Ready);
        if !early || pull::pull_get(&mut tx, row.id).await?.is_some() {
            return Err(Error::refused(say::too_late_to_try(
                number,
                row.state.phase.name(),
            )));
        }
        let seal = acceptance::seal(&tests);
        if let Some(view) = self.tryout_of(&mut tx, &found, &row, &tests).await? {
            let valid = match view.state {
                TryoutState::Waiting | TryoutState::Running { .. } => true,
                TryoutState::Tried { .. } => view.current,
                TryoutState::Failed { .. } | TryoutState::Stopped => false,
            };
            if valid {
                return Ok(view);
            }
        }
        let actor = caller.actor();
        let context = Context::new(&actor, self.now());
        self.queue_tryout(&mut tx, &row, seal, &context).await?;
        self.commit(tx, caller).await?;
        Ok(TryoutView {
            state: TryoutState::Waiting,
            current: true,
            asked_at: context.now,
        })
    }

    /// How far the trying of an issue's tests, as they are now, is: what is known about the base of now
    /// first, then the newest.
    pub(crate) async fn tryout_of(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: &Issue,
        tests: &Acceptance,
    ) -> Result<Option<TryoutView>, Error> {
        let known = tryout::tryout_list(tx, row.id, &acceptance::seal(tests), LOOK_AT).await?;
        let about_now = |one: &&Tryout| {
            let base = one.result.as_ref().map(|result| &result.base);
            base.is_some() && base == found.config_commit.as_ref()
        };
        let Some(chosen) = known.iter().find(about_now).or(known.first()) else {
            return Ok(None);
        };
        let current = about_now(&chosen);
        let state = match &chosen.result {
            Some(result) => TryoutState::Tried {
                fit: result.tried.is_fit(tests.already_green),
                words: result.tried.words(tests.already_green),
                tried: result.tried.clone(),
                base: result.base.clone(),
                run: result.run,
                at: result.ended_at,
            },
            None => match jobs::job_get(tx, chosen.job)
                .await?
                .map(|job| job.state.phase)
            {
                Some(job::Phase::Queued { .. }) => TryoutState::Waiting,
                Some(job::Phase::Leased { run, .. }) => TryoutState::Running { run },
                Some(job::Phase::Failed { failure } | job::Phase::Dead { failure }) => {
                    TryoutState::Failed { failure }
                }
                Some(job::Phase::Cancelled | job::Phase::Succeeded) | None => TryoutState::Stopped,
            },
        };
        Ok(Some(TryoutView {
            current: current || matches!(state, TryoutState::Waiting | TryoutState::Running { .. }),
            state,
            asked_at: chosen.created_at,
        }))
    }

    /// Queues a tryout of these tests, unless one is under way.
    pub(crate) async fn queue_tryout(
        &self,
        tx: &mut Tx,
        row: &Issue,
        seal: String,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        for live in jobs::job_list_live_of_issue(tx, row.id).await? {
            if !stopping(&live)
                && matches!(Order::of(&live)?, Order::Tryout { seal: own } if own == seal)
            {
                return Ok(());
            }
        }
        let order = Order::Tryout { seal: seal.clone() };
        let job = self
            .queue_job(tx, row, Kind::Tryout, &order, context)
            .await?;
        let new = Tryout {
            job,
            issue: row.id,
            seal,
            created_at: context.now,
            result: None,
        };
        tryout::tryout_insert(tx, &new).await?;
        let data = json!({ "number": row.number });
        self.record(tx, row, "issue.tryout-queued", context, data)
            .await?;
        Ok(())
    }

    /// Whether the author may start as far as its sealed tests are concerned.
    pub(crate) async fn tryout_gate(
        &self,
        tx: &mut Tx,
        found: &Project,
        row: &Issue,
        cause: &Cause,
    ) -> Result<(Gate, Option<String>), Error> {
        let Some(tests) = sealed::acceptance_get(tx, row.id).await? else {
            return Ok((Gate::Start, None));
        };
        // Without a base there is nothing to try on, and the author says so.
        let Some(base) = &found.config_commit else {
            return Ok((Gate::Start, None));
        };
        let seal = acceptance::seal(&tests);
        let known = tryout::tryout_list(tx, row.id, &seal, LOOK_AT).await?;
        let results = || known.iter().filter_map(|one| one.result.as_ref());
        // Who tries again without changing the tests has seen a result of theirs, on whichever base.
        let tried = results()
            .find(|result| result.base == *base)
            .or_else(|| results().next().filter(|_| *cause == Cause::Retry));
        let gate = rule::gate(&rule::Facts {
            number: row.number,
            cause,
            first: pull::pull_get(tx, row.id).await?.is_none(),
            acceptance: Some(&tests),
            tried: tried.map(|result| &result.tried),
        });
        Ok((gate, Some(seal)))
    }

    /// A tryout has its result: it is kept, and the author that waits for it starts or does not.
    pub(crate) async fn take_tryout(
        &self,
        tx: &mut Tx,
        row: Issue,
        ended: &Run,
        report: &Report,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(tests) = sealed::acceptance_get(tx, row.id).await? else {
            return Ok(());
        };
        let Some(known) = tryout::tryout_get(tx, ended.job).await? else {
            return Ok(());
        };
        // Other tests by now: the result would be about something that is gone.
        if known.seal != acceptance::seal(&tests) {
            return Ok(());
        }
        let result = TryoutResult {
            base: report.base.clone(),
            run: ended.id,
            tried: rule::read(report, &tests),
            ended_at: context.now,
        };
        if !tryout::tryout_finish(tx, ended.job, &result).await? {
            return Ok(());
        }
        let data = json!({
            "number": row.number,
            "tried": result.tried.as_str(),
            "words": result.tried.words(tests.already_green),
        });
        self.record(tx, &row, "issue.tried", context, data).await?;
        let Some(cause) = self.waits_for_tryout(tx, &row, ended.job).await? else {
            return Ok(());
        };
        let gate = rule::gate(&rule::Facts {
            number: row.number,
            cause: &cause,
            first: true,
            acceptance: Some(&tests),
            tried: Some(&result.tried),
        });
        match gate {
            Gate::Stop(failure) => {
                self.stop_author(tx, row, failure, context).await?;
            }
            Gate::Start | Gate::TryFirst => {
                self.queue_author_untried(tx, row, cause, context).await?;
            }
        }
        Ok(())
    }

    /// A tryout ended without a result: the author that waits for it does not wait any longer.
    pub(crate) async fn tryout_ended(
        &self,
        tx: &mut Tx,
        row: Issue,
        job: &Job,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(cause) = self.waits_for_tryout(tx, &row, job.id).await? else {
            return Ok(());
        };
        match &job.state.phase {
            job::Phase::Failed { .. } | job::Phase::Dead { .. } => {
                self.queue_author_untried(tx, row, cause, context).await
            }
            job::Phase::Cancelled => {
                let tests = sealed::acceptance_get(tx, row.id).await?;
                let own = matches!(Order::of(job)?, Order::Tryout { seal }
                    if tests.is_some_and(|tests| acceptance::seal(&tests) == seal));
                // Stopped by a person, like an author. Other tests mean that it was stopped for these.
                if own {
                    self.change(tx, row, Event::AuthorStopped, context).await?;
                }
                Ok(())
            }
            job::Phase::Queued { .. } | job::Phase::Leased { .. } | job::Phase::Succeeded => Ok(()),
        }
    }

    /// Why the author would start that waits for this tryout, if one does.
    async fn waits_for_tryout(
        &self,
        tx: &mut Tx,
        row: &Issue,
        job: JobId,
    ) -> Result<Option<Cause>, Error> {
        if row.state.phase != Phase::Ready || row.state.failed.is_some() {
            return Ok(None);
        }
        let live = jobs::job_list_live_of_issue(tx, row.id).await?;
        let blocked = block::blockers(tx, row.id)
            .await?
            .iter()
            .any(|blocker| !blocker.state.phase.is_final());
        let other = live.iter().any(|other| other.id != job && !stopping(other));
        if blocked || other || pull::pull_get(tx, row.id).await?.is_some() {
            return Ok(None);
        }
        Ok(Some(Cause::First))
    }

    /// Queues the author whatever is known of the tests.
    async fn queue_author_untried(
        &self,
        tx: &mut Tx,
        row: Issue,
        cause: Cause,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        match self.budget_of(tx, &row).await?.left {
            Ok(_) => {
                let order = Order::Author { cause };
                self.queue_job(tx, &row, Kind::Author, &order, context)
                    .await?;
            }
            Err(failure) => {
                self.stop_author(tx, row, failure, context).await?;
            }
        }
        Ok(())
    }

    /// Stops what was begun with other tests than these, and begins anew with them.
    pub(crate) async fn tests_changed(
        &self,
        tx: &mut Tx,
        row: Issue,
        context: &Context<'_>,
    ) -> Result<Issue, Error> {
        for live in jobs::job_list_live_of_issue(tx, row.id).await? {
            let queued = matches!(live.state.phase, job::Phase::Queued { .. });
            if live.kind == Kind::Tryout || (live.kind == Kind::Author && queued) {
                self.cancel_job(tx, live.id, context.now).await?;
            }
        }
        if row.state.phase != Phase::Ready || row.state.failed.is_some() {
            return Ok(row);
        }
        match self.queue_author(tx, &row, Cause::First, context).await? {
            crate::change::Queued::Stopped(failure) => {
                self.stop_author(tx, row, failure, context).await
            }
            crate::change::Queued::Yes | crate::change::Queued::No => Ok(row),
        }
    }
}
