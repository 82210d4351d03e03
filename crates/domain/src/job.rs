//! The job: a unit of queued work with a lease.
//!
//! A job is in exactly one phase for ever; its epoch rises at each claim and fences every write of
//! the run that holds it; a start is counted once, at the claim, and given back when the failure
//! was not the job's. Deliberately absent: what the work is about (that is the caller's payload).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Policy, Reason};
use crate::id::{Epoch, RunId, RunnerId};
use crate::sentence::Sentence;
use crate::told::{failure as say, kind as kinds};

/// How long a lease lasts without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often a runner beats.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often a job may start before it is dead.
pub const MAX_STARTS: i64 = 3;

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An agent changes code.
    Author,
    /// The platform proves a head commit.
    Verify,
    /// The platform proves the merged tree before it lands.
    Trial,
    /// The platform runs the sealed tests once on the base, before an agent begins.
    Tryout,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Author, Self::Verify, Self::Trial, Self::Tryout];

    /// The word used in tables and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Verify => "verify",
            Self::Trial => "trial",
            Self::Tryout => "tryout",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> Sentence {
        match self {
            Self::Author => kinds::author(),
            Self::Verify => kinds::verify(),
            Self::Trial => kinds::trial(),
            Self::Tryout => kinds::tryout(),
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Whether a person waits for it at the keyboard: it goes before all other work.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        match self {
            Self::Tryout => true,
            Self::Author | Self::Verify | Self::Trial => false,
        }
    }
}

/// A job's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where it stands.
    pub phase: Phase,
    /// The fence: number of claims so far.
    pub epoch: Epoch,
    /// Starts that count towards [`MAX_STARTS`].
    pub starts: i64,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Waits for a runner.
    Queued {
        /// Not to be claimed before this time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// The failure it waits after, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Failure>,
    },
    /// A runner works on it.
    Leased {
        /// Which runner.
        runner: RunnerId,
        /// Which run.
        run: RunId,
        /// Until when without a heartbeat.
        until: Timestamp,
        /// A person wants it to stop; told to the runner with its next heartbeat.
        stop: bool,
    },
    /// Brought its result.
    Succeeded,
    /// Ended without result; a person decides.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Stopped by a person.
    Cancelled,
    /// Started [`MAX_STARTS`] times without an end.
    Dead {
        /// The last failure.
        failure: Failure,
    },
}

impl Phase {
    /// The word used in tables and on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Leased { .. } => "leased",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead { .. } => "dead",
        }
    }

    /// Whether nothing can change it any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Queued { .. } | Self::Leased { .. } => false,
            Self::Succeeded | Self::Failed { .. } | Self::Cancelled | Self::Dead { .. } => true,
        }
    }
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A runner takes it.
    Claim {
        /// Who.
        runner: RunnerId,
        /// The run that begins.
        run: RunId,
    },
    /// The runner says it is alive.
    Beat {
        /// The fence it holds.
        epoch: Epoch,
    },
    /// The runner brings the end.
    Finish {
        /// The fence it holds.
        epoch: Epoch,
        /// How it ended.
        outcome: Outcome,
    },
    /// The lease ran out.
    Expire,
    /// A person stops it.
    Cancel,
    /// It must not start: what it needs is used up.
    Forbid {
        /// Why.
        failure: Failure,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With its result.
    Succeeded,
    /// Because a person stopped it.
    Stopped,
    /// Without its result.
    Failed(Failure),
}

/// A rule that forbids the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The write comes from a run that lost its lease.
    #[error("epoch {given} is not the job's current epoch {current}")]
    StaleEpoch {
        /// What the writer holds.
        given: Epoch,
        /// What the job is at.
        current: Epoch,
    },
    /// Only a queued job can be claimed.
    #[error("the job is {0}, not queued")]
    NotQueued(&'static str),
    /// Only a leased job beats, finishes or expires.
    #[error("the job is {0}, not leased")]
    NotLeased(&'static str),
    /// Its time has not come.
    #[error("the job may start at {0}, not before")]
    NotDue(Timestamp),
    /// The lease still holds.
    #[error("the lease holds until {0}")]
    LeaseHolds(Timestamp),
    /// It has ended.
    #[error("the job is already {0}")]
    Ended(&'static str),
}

impl Job {
    /// A new job, due at once.
    #[must_use]
    pub fn queued() -> Self {
        Self::queued_after(None)
    }

    /// A new job, due at this time.
    #[must_use]
    pub fn queued_after(not_before: Option<Timestamp>) -> Self {
        Self {
            phase: Phase::Queued {
                not_before,
                after: None,
            },
            epoch: 0,
            starts: 0,
        }
    }

    /// Applies `event`, or says which rule forbids it.
    ///
    /// # Errors
    /// The rule.
    pub fn apply(self, event: Event, now: Timestamp) -> Result<Self, Refused> {
        let word = self.phase.as_str();
        match (self.phase.clone(), event) {
            (Phase::Queued { not_before, .. }, Event::Claim { runner, run }) => {
                if let Some(due) = not_before.filter(|due| *due > now) {
                    return Err(Refused::NotDue(due));
                }
                Ok(Self {
                    phase: Phase::Leased {
                        runner,
                        run,
                        until: now + LEASE,
                        stop: false,
                    },
                    epoch: self.epoch + 1,
                    starts: self.starts + 1,
                })
            }
            (Phase::Leased { .. }, Event::Claim { .. }) => Err(Refused::NotQueued(word)),
            (
                Phase::Leased {
                    runner, run, stop, ..
                },
                Event::Beat { epoch },
            ) => {
                self.fence(epoch)?;
                Ok(Self {
                    phase: Phase::Leased {
                        runner,
                        run,
                        until: now + LEASE,
                        stop,
                    },
                    ..self
                })
            }
            (Phase::Leased { stop, .. }, Event::Finish { epoch, outcome }) => {
                self.fence(epoch)?;
                Ok(self.finish(outcome, stop, now))
            }
            (Phase::Leased { until, stop, .. }, Event::Expire) => {
                if until > now {
                    return Err(Refused::LeaseHolds(until));
                }
                let failure = Failure::new(Reason::RunnerLost, say::silent());
                Ok(self.finish(Outcome::Failed(failure), stop, now))
            }
            (
                Phase::Leased {
                    runner, run, until, ..
                },
                Event::Cancel,
            ) => Ok(Self {
                phase: Phase::Leased {
                    runner,
                    run,
                    until,
                    stop: true,
                },
                ..self
            }),
            (Phase::Queued { .. }, Event::Cancel) => Ok(Self {
                phase: Phase::Cancelled,
                ..self
            }),
            (Phase::Queued { .. }, Event::Forbid { failure }) => Ok(Self {
                phase: Phase::Failed { failure },
                ..self
            }),
            (Phase::Leased { .. }, Event::Forbid { .. }) => Err(Refused::NotQueued(word)),
            (Phase::Queued { .. }, Event::Beat { epoch } | Event::Finish { epoch, .. }) => {
                self.fence(epoch)?;
                Err(Refused::NotLeased(word))
            }
            (Phase::Queued { .. }, Event::Expire) => Err(Refused::NotLeased(word)),
            (
                Phase::Succeeded | Phase::Failed { .. } | Phase::Cancelled | Phase::Dead { .. },
                Event::Claim { .. }
                | Event::Beat { .. }
                | Event::Finish { .. }
                | Event::Expire
                | Event::Cancel
                | Event::Forbid { .. },
            ) => Err(Refused::Ended(word)),
        }
    }

    fn fence(&self, given: Epoch) -> Result<(), Refused> {
        if given == self.epoch {
            Ok(())
        } else {
            Err(Refused::StaleEpoch {
                given,
                current: self.epoch,
            })
        }
    }

    /// A lease ends. A wish to stop wins over any retry: a cancelled job never starts again.
    fn finish(self, outcome: Outcome, stop: bool, now: Timestamp) -> Self {
        let failure = match outcome {
            Outcome::Succeeded => {
                return Self {
                    phase: Phase::Succeeded,
                    ..self
                };
            }
            Outcome::Stopped => {
                return Self {
                    phase: Phase::Cancelled,
                    ..self
                };
            }
            Outcome::Failed(failure) => failure,
        };
        if stop {
            return Self {
                phase: Phase::Cancelled,
                ..self
            };
        }
        match failure.reason.policy() {
            Policy::Gate => Self {
                phase: Phase::Failed { failure },
                ..self
            },
            Policy::Park { default } => {
                let earliest = now + Duration::from_secs(5);
                let until = failure.retry_at.unwrap_or(now + default).max(earliest);
                Self {
                    phase: Phase::Queued {
                        not_before: Some(until),
                        after: Some(failure),
                    },
                    starts: self.starts - 1,
                    ..self
                }
            }
            Policy::Retry { counts: true, .. } if self.starts >= MAX_STARTS => Self {
                phase: Phase::Dead { failure },
                ..self
            },
            Policy::Retry { after, counts } => {
                let doubled = after * 2u32.pow(u32::try_from(self.starts - 1).unwrap_or(0).min(6));
                let not_before = (!doubled.is_zero()).then(|| now + doubled);
                Self {
                    phase: Phase::Queued {
                        not_before,
                        after: Some(failure),
                    },
                    starts: if counts { self.starts } else { self.starts - 1 },
                    ..self
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::sentence::Kept;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    fn claim() -> Event {
        Event::Claim {
            runner: RunnerId(Uuid::nil()),
            run: RunId(Uuid::nil()),
        }
    }

    fn failed(reason: Reason) -> Outcome {
        Outcome::Failed(Failure {
            reason,
            detail: Kept::quoted(""),
            retry_at: None,
        })
    }

    #[test]
    fn a_lost_runner_is_retried_and_the_third_loss_is_dead() {
        let mut job = Job::queued();
        for start in 1..=MAX_STARTS {
            job = job.apply(claim(), at(start * 100)).expect("claimed");
            assert_eq!((job.epoch, job.starts), (start, start));
            assert!(matches!(
                job.clone().apply(Event::Expire, at(start * 100 + 59)),
                Err(Refused::LeaseHolds(_))
            ));
            job = job
                .apply(Event::Expire, at(start * 100 + 60))
                .expect("expired");
        }
        assert_eq!(job.phase.as_str(), "dead");
    }

    #[test]
    fn a_rate_limit_parks_until_the_provider_resets_and_costs_no_start() {
        let job = Job::queued().apply(claim(), at(0)).expect("claimed");
        let outcome = Outcome::Failed(Failure {
            reason: Reason::RateLimited,
            detail: Kept::quoted(""),
            retry_at: Some(at(7200)),
        });
        let job = job
            .apply(Event::Finish { epoch: 1, outcome }, at(1))
            .expect("finished");
        assert_eq!(job.starts, 0);
        assert_eq!(
            job.clone().apply(claim(), at(7199)),
            Err(Refused::NotDue(at(7200)))
        );
        assert!(job.apply(claim(), at(7200)).is_ok());
    }

    #[test]
    fn a_stale_epoch_changes_nothing() {
        let first = Job::queued().apply(claim(), at(0)).expect("claimed");
        let second = first
            .apply(Event::Expire, at(60))
            .and_then(|job| job.apply(claim(), at(61)))
            .expect("claimed again");
        let stale = Refused::StaleEpoch {
            given: 1,
            current: 2,
        };
        let finish = Event::Finish {
            epoch: 1,
            outcome: Outcome::Succeeded,
        };
        assert_eq!(second.clone().apply(finish, at(62)), Err(stale.clone()));
        assert_eq!(second.apply(Event::Beat { epoch: 1 }, at(62)), Err(stale));
    }

    #[test]
    fn a_stopped_job_never_starts_again_even_when_its_runner_dies() {
        let job = Job::queued()
            .apply(claim(), at(0))
            .and_then(|job| job.apply(Event::Cancel, at(1)))
            .and_then(|job| job.apply(Event::Expire, at(60)))
            .expect("ended");
        assert_eq!(job.phase, Phase::Cancelled);
    }

    proptest! {
        /// No order of events breaks: epochs never fall, final is final, starts stay in bounds.
        #[test]
        fn invariants_hold_for_any_sequence(steps in prop::collection::vec((0u8..6, 0i64..3, 0usize..Reason::ALL.len()), 0..60)) {
            let mut job = Job::queued();
            let mut now = 0;
            for (what, epoch, reason) in steps {
                now += 40;
                let event = match what {
                    0 => claim(),
                    1 => Event::Beat { epoch },
                    2 => Event::Finish { epoch: job.epoch, outcome: failed(Reason::ALL[reason]) },
                    3 => Event::Finish { epoch, outcome: Outcome::Succeeded },
                    4 => Event::Expire,
                    _ => Event::Cancel,
                };
                let before = job.clone();
                if let Ok(next) = job.clone().apply(event, at(now)) {
                    prop_assert!(!before.phase.is_final(), "a final phase changed");
                    prop_assert!(next.epoch >= before.epoch);
                    prop_assert!(next.starts >= 0 && next.starts <= MAX_STARTS);
                    job = next;
                }
            }
        }
    }
}
