//! The end of a run: adopt a change, judge a proof, take note of a failure.
//!
//! A run ends once; a second completion gives the same answer. What the runner says is checked
//! against git: an attempt that is not on top of what the run started from is no result. The
//! database is written first, the issue's branch follows.

mod proof;

use nightshift_domain::access::Actor;
use nightshift_domain::check::{Colour, ProofReport};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::grant::Need;
use nightshift_domain::host::Allowed;
use nightshift_domain::id::{Number, RunId};
use nightshift_domain::issue::Event;
use nightshift_domain::job::{self, Kind, Outcome};
use nightshift_domain::sentence::Kept;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Usage;
use nightshift_domain::trust::Trust;
use nightshift_domain::tryout::Report;
use nightshift_git::{GitError, RefUpdate};
use nightshift_store::Tx;
use nightshift_store::event::NewEvent;
use nightshift_store::issue::Issue;
use nightshift_store::job::Job;
use nightshift_store::message::{Message, MessageKind};
use nightshift_store::pull::Pull;
use nightshift_store::pull_head::Head;
use nightshift_store::run::{Run, RunState, Session};
use nightshift_store::{
    event, host_ask, issue, job as jobs, message, project, pull, pull_head, run, token,
};
use serde_json::json;
use uuid::Uuid;

use self::proof::Judged;
use crate::change::Context;
use crate::error::plain;
use crate::{App, Caller, Error};

/// How a run ended, as its runner says.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How.
    pub end: End,
    /// What the agent's program used.
    pub usage: Option<Usage>,
    /// What to remember to resume: the program's id and its totals.
    pub session: Option<(String, serde_json::Value)>,
    /// What was pushed.
    pub attempt: Option<ObjectId>,
    /// Words of people that the agent was given.
    pub handed: Vec<Uuid>,
    /// What it reached and what it was refused.
    pub traffic: Option<Traffic>,
}

/// The ways to end.
#[derive(Debug, Clone)]
pub enum End {
    /// An author brought a change.
    Authored {
        /// The agent's summary.
        summary: String,
    },
    /// An author asked.
    Asked {
        /// The question, in the agent's own words.
        question: String,
    },
    /// A proof has its results.
    Proved {
        /// The results.
        report: Box<ProofReport>,
    },
    /// Sealed tests were tried on the base.
    Tried {
        /// The results.
        report: Box<Report>,
    },
    /// A person stopped it.
    Stopped,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl Ending {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            end: End::Failed { failure },
            usage: None,
            session: None,
            attempt: None,
            handed: Vec::new(),
            traffic: None,
        }
    }
}

/// What is known from git before the transaction that ends a run.
enum Checked {
    Adopt {
        attempt: ObjectId,
        base: ObjectId,
        summary: String,
    },
    Ask {
        question: Kept,
    },
    Judge(Box<Judged>),
    Tried(Box<Report>),
    Stop,
    Fail(Failure),
}

impl App {
    /// A runner brings the end of a run.
    ///
    /// # Errors
    /// `StaleEpoch` once the lease is lost; `NotFound` for another runner's run.
    pub async fn complete(
        &self,
        caller: &Caller,
        id: RunId,
        epoch: i64,
        ending: Ending,
    ) -> Result<&'static str, Error> {
        let mut tx = self.db().read().await?;
        let live = self.own_run(&mut tx, caller, id).await?;
        drop(tx);
        if live.epoch != epoch {
            return Err(job::Refused::StaleEpoch {
                given: epoch,
                current: live.epoch,
            }
            .into());
        }
        if live.state != RunState::Running {
            return already(&live);
        }
        self.end_run(&live, ending).await
    }

    /// Ends a run, whoever says so.
    pub(crate) async fn end_run(&self, live: &Run, ending: Ending) -> Result<&'static str, Error> {
        let checked = self.check_ending(live, &ending).await?;
        let now = self.now();
        let actor = Actor::Runner {
            runner: live.runner,
        };
        let context = Context::new(&actor, now);
        let mut tx = self.db().write().await?;
        let Some(row) = issue::issue_lock(&mut tx, live.issue).await? else {
            return Err(plain::not_found("the run's issue is gone"));
        };
        let Some(mut job) = jobs::job_lock(&mut tx, live.job).await? else {
            return Err(plain::not_found("the run's job is gone"));
        };
        let Some(mut ended) = run::run_get(&mut tx, live.id).await? else {
            return Err(plain::not_found("the run is gone"));
        };
        if ended.state != RunState::Running {
            return already(&ended);
        }
        let outcome = match &checked {
            Checked::Adopt { .. } | Checked::Ask { .. } | Checked::Judge(_) | Checked::Tried(_) => {
                Outcome::Succeeded
            }
            Checked::Stop => Outcome::Stopped,
            Checked::Fail(failure) => Outcome::Failed(failure.clone()),
        };
        let stopped = crate::change::stopping(&job);
        job.state = job.state.apply(
            job::Event::Finish {
                epoch: ended.epoch,
                outcome,
            },
            now,
        )?;
        jobs::job_save(&mut tx, &job, now).await?;
        job.version += 1;
        ended.state = match &checked {
            Checked::Adopt { .. } | Checked::Judge(_) | Checked::Tried(_) => RunState::Succeeded,
            Checked::Ask { question } => RunState::Asked {
                question: question.clone(),
            },
            Checked::Stop => RunState::Stopped,
            Checked::Fail(failure) => RunState::Failed {
                failure: failure.clone(),
            },
        };
        ended.usage = ending.usage;
        ended.traffic = ending.traffic;
        ended.attempt = ending.attempt;
        ended.session = ending.session.map(|(id, totals)| Session {
            id,
            agent: ended.agent.clone(),
            runner: ended.runner,
            totals,
        });
        ended.ended_at = Some(now);
        run::run_save(&mut tx, &ended).await?;
        let mut missed = Vec::new();
        match (ended.kind, &checked) {
            (Kind::Author, _) => self.keep_blocked(&mut tx, &ended, now).await?,
            (Kind::Verify, Checked::Judge(judged)) => {
                let red = judged.colour == Colour::Red;
                self.keep_missed(&mut tx, &ended, red, now).await?;
            }
            (Kind::Verify, Checked::Fail(_)) => {
                self.keep_missed(&mut tx, &ended, true, now).await?;
            }
            (Kind::Trial, Checked::Judge(judged)) if judged.colour != Colour::Red => {
                host_ask::host_ask_forget(&mut tx, ended.issue, Need::Proof).await?;
            }
            (Kind::Trial, Checked::Judge(_) | Checked::Fail(_)) if job.state.phase.is_final() => {
                missed = self.keep_missed_by_trial(&mut tx, &ended, now).await?;
            }
            (Kind::Verify | Kind::Trial | Kind::Tryout, _) => {}
        }
        token::token_revoke_run(&mut tx, ended.id, now).await?;
        self.record_end(&mut tx, &ended, &actor, now).await?;
        self.steers_handed(&mut tx, &ended, &ending.handed, now)
            .await?;
        self.steers_late(&mut tx, &ended, now).await?;
        match checked {
            // A person stopped the run, or closed the issue, as it was ending: the attempt stays
            // for rescue, and nothing is adopted.
            _ if stopped => self.job_ended(&mut tx, row, &stopped_job(job), now).await?,
            Checked::Adopt {
                attempt,
                base,
                summary,
            } => {
                self.adopt(&mut tx, row, &ended, attempt, base, summary, &context)
                    .await?;
            }
            Checked::Ask { question } => {
                self.take_question(&mut tx, row, &ended, question, &context)
                    .await?;
            }
            _ if !missed.is_empty() => {
                self.trial_asks(
                    &mut tx,
                    row,
                    job.id,
                    missing(ended.number, &missed),
                    &context,
                )
                .await?;
            }
            Checked::Judge(judged) => {
                self.take_proof(&mut tx, row, &ended, *judged, &context)
                    .await?;
            }
            Checked::Tried(report) => {
                self.take_tryout(&mut tx, row, &ended, &report, &context)
                    .await?;
            }
            Checked::Stop | Checked::Fail(_) => {
                self.job_ended(&mut tx, row, &job, now).await?;
            }
        }
        self.commit_plain(tx).await?;
        self.signals().log_grew(ended.id);
        if ended.kind == Kind::Author {
            self.sync_branch(ended.issue).await?;
        }
        self.drop_start(&ended).await;
        Ok(state_word(&ended.state))
    }

    async fn record_end(
        &self,
        tx: &mut Tx,
        ended: &Run,
        actor: &Actor,
        now: jiff::Timestamp,
    ) -> Result<(), Error> {
        let failure = match &ended.state {
            RunState::Failed { failure } => Some(failure),
            _ => None,
        };
        let new = NewEvent {
            project: Some(ended.project),
            issue: Some(ended.issue),
            run: Some(ended.id),
            kind: "run.ended".to_owned(),
            actor: actor.clone(),
            data: json!({
                "number": ended.number,
                "kind": ended.kind.as_str(),
                "state": state_word(&ended.state),
                "failure": failure,
            }),
        };
        event::event_append(tx, &new, now).await?;
        Ok(())
    }

    /// Checks what a runner says against git and against what was asked.
    async fn check_ending(&self, live: &Run, ending: &Ending) -> Result<Checked, Error> {
        Ok(match (&ending.end, live.kind) {
            (End::Stopped, _) => Checked::Stop,
            (End::Failed { failure }, Kind::Author) => {
                Checked::Fail(self.time_or_budget(live, failure.clone().checked()).await?)
            }
            (End::Failed { failure }, Kind::Verify | Kind::Trial | Kind::Tryout) => {
                Checked::Fail(failure.clone().checked())
            }
            (End::Asked { question }, Kind::Author) => Checked::Ask {
                question: Kept::quoted(question), // tidy-ok(said): the agent's own words
            },
            (End::Authored { summary }, Kind::Author) => {
                if let Some(question) = self.open_question(live).await? {
                    return Ok(Checked::Ask { question });
                }
                match self.check_attempt(live, ending.attempt.as_ref()).await? {
                    Ok((attempt, base)) => Checked::Adopt {
                        attempt,
                        base,
                        summary: summary.clone(),
                    },
                    Err(failure) => Checked::Fail(failure),
                }
            }
            (End::Proved { report }, Kind::Verify | Kind::Trial) => {
                self.judge(live, ProofReport::clone(report)).await?
            }
            (End::Tried { report }, Kind::Tryout) if report.base == live.start => {
                Checked::Tried(report.clone())
            }
            (
                End::Authored { .. } | End::Asked { .. },
                Kind::Verify | Kind::Trial | Kind::Tryout,
            )
            | (End::Proved { .. }, Kind::Author | Kind::Tryout)
            | (End::Tried { .. }, _) => {
                return Err(plain::invalid(
                    "this kind of run cannot end like that; do server and runner have the same version?",
                ));
            }
        })
    }

    /// The question that the run put to the person through the platform, if it did.
    async fn open_question(&self, live: &Run) -> Result<Option<Kept>, Error> {
        let mut tx = self.db().read().await?;
        let said = message::message_list(&mut tx, live.issue).await?;
        Ok(said
            .into_iter()
            .rev()
            .find(|said| {
                said.kind == MessageKind::Question
                    && matches!(&said.author, Actor::Run { run, .. } if *run == live.id)
            })
            .map(|said| said.body))
    }

    /// Whether the attempt is what its ref says, on top of the start, and a change at all.
    async fn check_attempt(
        &self,
        live: &Run,
        said: Option<&ObjectId>,
    ) -> Result<Result<(ObjectId, ObjectId), Failure>, Error> {
        let repository = self.repository(live.project)?;
        let found = repository.resolve(&RefName::attempt(live.id)).await?;
        let fail = |reason, said| Ok(Err(Failure::new(reason, said)));
        let (Some(said), Some(found)) = (said, found) else {
            return fail(Reason::PublishFailed, say::not_pushed());
        };
        if *said != found {
            return fail(Reason::PublishRejected, say::other_pushed());
        }
        if !repository.is_ancestor(&live.start, &found).await? {
            return fail(Reason::PublishRejected, say::not_on_top());
        }
        let mut tx = self.db().read().await?;
        let home = project::project_get(&mut tx, live.project)
            .await?
            .ok_or_else(|| plain::not_found("the run's project is gone"))?;
        drop(tx);
        let tip = self
            .base_tip(&home)
            .await?
            .ok_or_else(|| plain::refused("the default branch is gone"))?;
        let base = repository.merge_base(&tip, &found).await?.unwrap_or(tip);
        let (old, new) = (
            repository.commit(&base).await?,
            repository.commit(&found).await?,
        );
        if old.tree == new.tree {
            return fail(Reason::NoChange, say::no_difference());
        }
        Ok(Ok((found, base)))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one adoption")]
    async fn adopt(
        &self,
        tx: &mut Tx,
        row: Issue,
        ended: &Run,
        attempt: ObjectId,
        base: ObjectId,
        summary: String,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let known = pull::pull_get(tx, row.id).await?;
        let adopted = Pull {
            issue: row.id,
            project: row.project,
            number: row.number,
            branch: RefName::issue_branch(row.number),
            base: base.clone(),
            head: attempt.clone(),
            summary,
            landed: None,
            created_at: known.map_or(context.now, |known| known.created_at),
            updated_at: context.now,
        };
        pull::pull_upsert(tx, &adopted).await?;
        let head = Head {
            issue: row.id,
            head: attempt,
            base,
            round: row.state.round,
            run: Some(ended.id),
            by: Actor::Run {
                run: ended.id,
                project: ended.project,
            },
            created_at: context.now,
        };
        pull_head::head_insert(tx, &head).await?;
        self.change(tx, row, Event::HeadAdopted, context).await?;
        Ok(())
    }

    async fn take_question(
        &self,
        tx: &mut Tx,
        row: Issue,
        ended: &Run,
        question: Kept,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let own =
            |said: &Message| matches!(&said.author, Actor::Run { run, .. } if *run == ended.id);
        if !message::message_list(tx, row.id).await?.iter().any(own) {
            let said = Message {
                id: self.ids().uuid(),
                issue: row.id,
                round: row.state.round,
                kind: MessageKind::Question,
                author: Actor::Run {
                    run: ended.id,
                    project: ended.project,
                },
                trust: Trust::Tool,
                body: question.clone(),
                created_at: context.now,
            };
            message::message_insert(tx, &said).await?;
        }
        let event = Event::Asked {
            question,
            run: ended.id,
        };
        self.change(tx, row, event, context).await?;
        Ok(())
    }

    /// Removes the ref that kept a run's start commit. Failing costs nothing but a ref; the
    /// retention reconciler tries again.
    pub(crate) async fn drop_start(&self, ended: &Run) {
        let removed = async {
            let repository = self.repository(ended.project)?;
            let name: RefName = format!("refs/starts/{}", ended.id)
                .parse()
                .map_err(Error::internal)?;
            let Some(old) = repository.resolve(&name).await? else {
                return Ok(());
            };
            let update = RefUpdate {
                name,
                old,
                new: ObjectId::zero(),
            };
            match repository.update_refs(&[update], "run ended").await {
                Ok(()) | Err(GitError::RefMoved(_)) => Ok(()),
                Err(other) => Err(Error::from(other)),
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(run = %ended.id, ?error, "a start ref was not removed");
        }
    }
}

/// The job as it counts for its issue when a person stopped it.
fn stopped_job(mut job: Job) -> Job {
    job.state.phase = job::Phase::Cancelled;
    job
}

/// The answer to a completion of a run that has ended: the same as before, unless the sweep ended
/// it because its lease was lost.
fn already(ended: &Run) -> Result<&'static str, Error> {
    match &ended.state {
        RunState::Failed { failure } if failure.reason == Reason::RunnerLost => Err(
            plain::stale_epoch(format!("the lease of run {} was lost; stop it", ended.id)),
        ),
        state => Ok(state_word(state)),
    }
}

/// The word for a run's state.
#[must_use]
pub fn state_word(state: &RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Failed { .. } => "failed",
        RunState::Stopped => "stopped",
        RunState::Asked { .. } => "asked",
    }
}

/// What the trial of this change lacks that could not reach these.
fn missing(number: Number, hosts: &[Allowed]) -> Failure {
    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    Failure::new(
        Reason::HostMissing,
        say::host_missing(names.join(", "), number),
    )
}
