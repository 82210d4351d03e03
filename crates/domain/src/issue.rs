//! The issue: from draft to done.
//!
//! One issue has one branch and one pull request through all its rounds. A round lasts from one
//! (re)start of the author to the next human decision. Approval binds to a head commit: whatever
//! moves the head takes the issue out of `landing`. Deliberately absent: why an issue waits
//! (derived in [`crate::waiting`]) and the text of the order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::git_name::ObjectId;
use crate::id::RunId;
use crate::refusal::issue as say;
use crate::sentence::{Kept, Sentence};

/// How often the platform sends a red verdict back to the author by itself, per round.
pub const DEFAULT_REPAIRS: i64 = 1;

/// Where an issue stands, and what only that place knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Being written; no agent starts.
    Draft,
    /// May start as soon as nothing blocks it.
    Ready,
    /// An agent works on it, or its result is being proved.
    Working,
    /// The agent asked and waits.
    NeedsInput {
        /// The question, Markdown.
        question: Kept,
        /// The run that asked.
        run: RunId,
    },
    /// A result waits for a person.
    InReview,
    /// Approved; the merge queue has it.
    Landing,
    /// Its change is on the default branch.
    Done {
        /// The commit on the default branch.
        commit: ObjectId,
    },
    /// Ended without a change.
    Closed {
        /// Why, in the person's words.
        reason: String,
    },
}

impl Phase {
    /// Every word, in the order of life.
    pub const WORDS: &'static [&'static str] = &[
        "draft",
        "ready",
        "working",
        "needs-input",
        "in-review",
        "landing",
        "done",
        "closed",
    ];

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> Sentence {
        match self {
            Self::Draft => say::draft(),
            Self::Ready => say::ready(),
            Self::Working => say::working(),
            Self::NeedsInput { .. } => say::needs_input(),
            Self::InReview => say::in_review(),
            Self::Landing => say::landing(),
            Self::Done { .. } => say::done(),
            Self::Closed { .. } => say::closed(),
        }
    }

    /// The word used in tables, on the wire and in the command line.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready => "ready",
            Self::Working => "working",
            Self::NeedsInput { .. } => "needs-input",
            Self::InReview => "in-review",
            Self::Landing => "landing",
            Self::Done { .. } => "done",
            Self::Closed { .. } => "closed",
        }
    }

    /// Whether the issue has ended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Closed { .. } => true,
            Self::Draft
            | Self::Ready
            | Self::Working
            | Self::NeedsInput { .. }
            | Self::InReview
            | Self::Landing => false,
        }
    }
}

/// An issue's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Where it stands.
    pub phase: Phase,
    /// The current round, counted from 1.
    pub round: i64,
    /// Red verdicts of this round that went back to the author by themselves.
    pub repairs: i64,
    /// The failure that stopped the author and waits for a person, if any.
    pub failed: Option<Failure>,
}

/// Why the author starts; decides what its prompt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// For the first time.
    First,
    /// A person answered the agent's question.
    Answer,
    /// A person sent the result back.
    SentBack,
    /// The platform's verdict was red.
    RedVerdict,
    /// The change no longer merges with the base.
    Conflict {
        /// The paths that conflict.
        paths: Vec<String>,
    },
    /// A person asked to try again after a failure.
    Retry,
}

/// What happens to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A person says that it may start.
    MarkReady,
    /// A person takes it back to draft before anything ran.
    MarkDraft,
    /// A runner began an author run.
    AuthorStarted,
    /// The agent asked.
    Asked {
        /// The question.
        question: Kept,
        /// The run.
        run: RunId,
    },
    /// A person answered.
    Answered,
    /// The author's result was adopted as the pull request's new head.
    HeadAdopted,
    /// A person pushed a new head to the issue's branch.
    HeadPushed,
    /// The verdict on the current head is in.
    Judged {
        /// Whether everything was proved.
        green: bool,
        /// Whether the agent can make use of the failure.
        repairable: bool,
        /// The project's limit of repairs in a round.
        max_repairs: i64,
    },
    /// The proof itself could not be made.
    ProofFailed {
        /// Why.
        failure: Failure,
    },
    /// The author's job ended without a result, finally.
    AuthorFailed {
        /// Why.
        failure: Failure,
    },
    /// The author's job was stopped by a person.
    AuthorStopped,
    /// A person approved the current head.
    Approved,
    /// The trial of the merged tree lacks what a person must give or refuse: it waits in the queue.
    TrialAsked {
        /// What, and what to do.
        failure: Failure,
    },
    /// A person sent the result back.
    SentBack,
    /// The merge queue found a conflict with the base.
    Conflicted {
        /// The paths.
        paths: Vec<String>,
    },
    /// The merged tree failed its trial, or the approval no longer fits: back to the person.
    Unlanded,
    /// A person takes their decision back before anything came of it.
    Withdrawn,
    /// The change is on the default branch.
    Landed {
        /// The commit there.
        commit: ObjectId,
    },
    /// A person wants what failed to be tried again, or gave what it lacked.
    Retried,
    /// What the proof of the current head missed is in its reach now: the head is proved again.
    ProofRetried,
    /// A person ends it.
    Closed {
        /// Why.
        reason: String,
    },
    /// A person takes it up again.
    Reopened,
}

/// What must be done in the same transaction as the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Queue an author job, as soon as nothing blocks the issue.
    QueueAuthor(Cause),
    /// Queue a verify job for the current head.
    QueueVerify,
    /// Enter the merge queue.
    EnterQueue,
    /// Leave the merge queue.
    LeaveQueue,
    /// Cancel every live job of the issue.
    CancelJobs,
    /// Tell people that something waits for them.
    Notify(Notice),
}

/// What a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// A result waits for a decision.
    ReviewWanted,
    /// The agent asked.
    InputWanted,
    /// The author failed and a person must decide.
    Failed,
    /// The change landed.
    Landed,
}

impl Notice {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::ReviewWanted,
        Self::InputWanted,
        Self::Failed,
        Self::Landed,
    ];

    /// Whether there is still something for a person to do about it, or to learn from it.
    #[must_use]
    pub fn stands(self, issue: &Issue) -> bool {
        match self {
            Self::ReviewWanted => matches!(issue.phase, Phase::InReview),
            Self::InputWanted => matches!(issue.phase, Phase::NeedsInput { .. }),
            Self::Failed => issue.failed.is_some() && !issue.phase.is_final(),
            Self::Landed => true,
        }
    }
}

/// The new state and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The new state.
    pub next: Issue,
    /// What must be done with it.
    pub effects: Vec<Effect>,
}

/// A rule that forbids the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The event does not fit where the issue stands.
    WrongPhase {
        /// Where it stands.
        phase: Sentence,
        /// What would be needed.
        need: Sentence,
    },
}

impl Refused {
    /// What is said about it.
    #[must_use]
    pub fn said(self) -> Sentence {
        let Self::WrongPhase { phase, need } = self;
        say::in_phase(phase, need)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clone().said().fmt(f)
    }
}

impl std::error::Error for Refused {}

impl Issue {
    /// A newly filed issue.
    #[must_use]
    pub fn filed(ready: bool) -> Change {
        let next = Self {
            phase: if ready { Phase::Ready } else { Phase::Draft },
            round: 1,
            repairs: 0,
            failed: None,
        };
        let effects = if ready {
            vec![Effect::QueueAuthor(Cause::First)]
        } else {
            Vec::new()
        };
        Change { next, effects }
    }

    /// Applies `event`, or says which rule forbids it.
    ///
    /// # Errors
    /// The rule.
    pub fn apply(self, event: Event) -> Result<Change, Refused> {
        use Effect as E;
        match event {
            Event::MarkReady => self.mark_ready(),
            Event::MarkDraft => match self.phase {
                Phase::Ready => self.to(Phase::Draft, vec![E::CancelJobs]),
                Phase::Draft
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::to_draft()),
            },
            Event::AuthorStarted => match self.phase {
                Phase::Ready | Phase::Working => {
                    let mut next = self;
                    next.failed = None;
                    next.to(Phase::Working, vec![])
                }
                Phase::Draft
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::start()),
            },
            Event::Asked { question, run } => match self.phase {
                Phase::Working => self.to(
                    Phase::NeedsInput { question, run },
                    vec![E::Notify(Notice::InputWanted)],
                ),
                Phase::Draft
                | Phase::Ready
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::ask()),
            },
            Event::Answered => match self.phase {
                Phase::NeedsInput { .. } => {
                    self.to(Phase::Ready, vec![E::QueueAuthor(Cause::Answer)])
                }
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::no_question()),
            },
            Event::HeadAdopted => match self.phase {
                Phase::Working => self.to(Phase::Working, vec![E::QueueVerify]),
                Phase::Draft
                | Phase::Ready
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::no_author()),
            },
            Event::HeadPushed => self.head_pushed(),
            Event::Judged {
                green,
                repairable,
                max_repairs,
            } => self.judged(green, repairable, max_repairs),
            Event::ProofFailed { failure } => match self.phase {
                Phase::Working => {
                    let mut next = self;
                    next.failed = Some(failure);
                    next.to(Phase::InReview, vec![E::Notify(Notice::Failed)])
                }
                Phase::Draft
                | Phase::Ready
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::not_proved()),
            },
            Event::AuthorFailed { failure } => match self.phase {
                Phase::Ready | Phase::Working => {
                    let mut next = self;
                    next.failed = Some(failure);
                    next.to(Phase::Ready, vec![E::Notify(Notice::Failed)])
                }
                Phase::Draft
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::no_author()),
            },
            Event::AuthorStopped => match self.phase {
                Phase::Ready | Phase::Working => self.to(Phase::Draft, vec![]),
                Phase::Draft
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::no_author()),
            },
            Event::Approved => match self.phase {
                Phase::InReview => {
                    let mut next = self;
                    next.failed = None;
                    next.to(Phase::Landing, vec![E::EnterQueue])
                }
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::approve()),
            },
            Event::TrialAsked { failure } => match self.phase {
                Phase::Landing => {
                    let mut next = self;
                    next.failed = Some(failure);
                    next.to(Phase::Landing, vec![E::Notify(Notice::Failed)])
                }
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::not_queued()),
            },
            Event::SentBack => match self.phase {
                Phase::InReview => self.new_round(vec![]),
                Phase::Landing => self.new_round(vec![E::LeaveQueue]),
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::send_back()),
            },
            Event::Conflicted { paths } => match self.phase {
                Phase::Landing => self.to(
                    Phase::Ready,
                    vec![E::LeaveQueue, E::QueueAuthor(Cause::Conflict { paths })],
                ),
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::not_queued()),
            },
            Event::Unlanded => match self.phase {
                Phase::Landing => self.to(
                    Phase::InReview,
                    vec![E::LeaveQueue, E::Notify(Notice::ReviewWanted)],
                ),
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::not_queued()),
            },
            Event::Withdrawn => self.withdrawn(),
            Event::Landed { commit } => self.landed(commit),
            Event::Retried => self.retried(),
            Event::ProofRetried => match self.phase {
                Phase::InReview => {
                    let mut next = self;
                    next.failed = None;
                    next.to(Phase::Working, vec![E::QueueVerify])
                }
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::Landing
                | Phase::Done { .. }
                | Phase::Closed { .. } => self.refuse(say::prove_again()),
            },
            Event::Closed { reason } => {
                if self.phase.is_final() {
                    return self.refuse(say::ended_already());
                }
                let mut next = self;
                next.failed = None;
                next.to(Phase::Closed { reason }, vec![E::CancelJobs, E::LeaveQueue])
            }
            Event::Reopened => match self.phase {
                Phase::Closed { .. } => self.to(Phase::Draft, vec![]),
                Phase::Draft
                | Phase::Ready
                | Phase::Working
                | Phase::NeedsInput { .. }
                | Phase::InReview
                | Phase::Landing
                | Phase::Done { .. } => self.refuse(say::reopen()),
            },
        }
    }

    fn mark_ready(self) -> Result<Change, Refused> {
        match self.phase {
            Phase::Draft => {
                let cause = if self.failed.is_some() || self.round > 1 {
                    Cause::Retry
                } else {
                    Cause::First
                };
                self.to(Phase::Ready, vec![Effect::QueueAuthor(cause)])
            }
            Phase::Ready
            | Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Landing
            | Phase::Done { .. }
            | Phase::Closed { .. } => self.refuse(say::to_ready()),
        }
    }

    /// A person's push wins over whatever the platform was doing with the old head.
    fn head_pushed(self) -> Result<Change, Refused> {
        use Effect as E;
        let mut next = self;
        next.failed = None;
        match next.phase {
            Phase::Draft | Phase::Ready | Phase::Working | Phase::NeedsInput { .. } => {
                next.to(Phase::Working, vec![E::CancelJobs, E::QueueVerify])
            }
            Phase::InReview => next.to(Phase::Working, vec![E::CancelJobs, E::QueueVerify]),
            Phase::Landing => next.to(
                Phase::Working,
                vec![E::LeaveQueue, E::CancelJobs, E::QueueVerify],
            ),
            Phase::Done { .. } | Phase::Closed { .. } => next.refuse(say::ended()),
        }
    }

    fn judged(self, green: bool, repairable: bool, max_repairs: i64) -> Result<Change, Refused> {
        match self.phase {
            Phase::Working if !green && repairable && self.repairs < max_repairs => {
                let mut next = self;
                next.repairs += 1;
                next.to(Phase::Ready, vec![Effect::QueueAuthor(Cause::RedVerdict)])
            }
            Phase::Working => self.to(Phase::InReview, vec![Effect::Notify(Notice::ReviewWanted)]),
            Phase::Draft
            | Phase::Ready
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Landing
            | Phase::Done { .. }
            | Phase::Closed { .. } => self.refuse(say::not_proved()),
        }
    }

    fn retried(self) -> Result<Change, Refused> {
        if self.failed.is_none() {
            return self.refuse(say::retry());
        }
        let (phase, effects) = match self.phase {
            Phase::Ready => (Phase::Ready, vec![Effect::QueueAuthor(Cause::Retry)]),
            Phase::InReview => (Phase::Working, vec![Effect::QueueVerify]),
            // The merge queue goes on with it by itself.
            Phase::Landing => (Phase::Landing, vec![]),
            Phase::Draft
            | Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::Done { .. }
            | Phase::Closed { .. } => {
                return self.refuse(say::retry());
            }
        };
        let mut next = self;
        next.failed = None;
        next.to(phase, effects)
    }

    /// What git says wins: a decision that changed while the branch was being moved came too late.
    fn landed(self, commit: ObjectId) -> Result<Change, Refused> {
        use Effect as E;
        match self.phase {
            Phase::Landing => self.to(
                Phase::Done { commit },
                vec![E::LeaveQueue, E::Notify(Notice::Landed)],
            ),
            Phase::Ready | Phase::Working | Phase::InReview | Phase::Closed { .. } => self.to(
                Phase::Done { commit },
                vec![E::CancelJobs, E::LeaveQueue, E::Notify(Notice::Landed)],
            ),
            Phase::Draft | Phase::NeedsInput { .. } | Phase::Done { .. } => {
                self.refuse(say::landed())
            }
        }
    }

    /// An approval is withdrawn while it waits to land; a sending back while its author waits.
    fn withdrawn(self) -> Result<Change, Refused> {
        match self.phase {
            Phase::Landing => self.to(Phase::InReview, vec![Effect::LeaveQueue]),
            Phase::Ready if self.round > 1 && self.failed.is_none() => {
                let mut next = self;
                next.round -= 1;
                next.to(Phase::InReview, vec![Effect::CancelJobs])
            }
            Phase::Ready
            | Phase::Draft
            | Phase::Working
            | Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Done { .. }
            | Phase::Closed { .. } => self.refuse(say::take_back()),
        }
    }

    fn new_round(self, mut effects: Vec<Effect>) -> Result<Change, Refused> {
        effects.push(Effect::QueueAuthor(Cause::SentBack));
        let mut next = self;
        next.round += 1;
        next.repairs = 0;
        next.failed = None;
        next.to(Phase::Ready, effects)
    }

    fn to(self, phase: Phase, effects: Vec<Effect>) -> Result<Change, Refused> {
        // What a trial lacks is of no interest outside of the merge queue.
        let leaves = self.phase == Phase::Landing && phase != Phase::Landing;
        let failed = self.failed.filter(|_| !leaves);
        Ok(Change {
            next: Self {
                phase,
                failed,
                round: self.round,
                repairs: self.repairs,
            },
            effects,
        })
    }

    fn refuse(&self, need: Sentence) -> Result<Change, Refused> {
        Err(Refused::WrongPhase {
            phase: self.phase.name(),
            need,
        })
    }
}

#[cfg(test)]
mod tests;
