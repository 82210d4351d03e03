//! Why a run's work does not go on, and what that means for its end.
//!
//! Invariant: what the runner or its machine lacks never looks like the run's own fault.

use nightshift_api::runner::End;
use nightshift_domain::budget::dollars;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;

use crate::sandbox::{Cap, SandboxError};
use crate::supervisor::{Control, Halt};
use crate::workspace::WorkspaceError;

/// The most of a failure's words.
pub(crate) const MOST_WORDS: usize = 4 << 10;

/// Why it does not go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cut {
    /// The lease is gone; nothing counts any more.
    Lost,
    /// Somebody outside ends it.
    Halted(Halt),
    /// It failed.
    Failed(Failure),
}

impl Cut {
    /// A failure without a time to try again.
    pub(crate) fn failed(reason: Reason, said: Sentence) -> Self {
        Self::Failed(Failure::new(reason, said.within(MOST_WORDS)))
    }

    /// The same, with the hosts that were out of reach where that may be why.
    pub(crate) fn with_blocked(self, traffic: Option<&Traffic>) -> Self {
        let blocked: Vec<&str> = traffic
            .into_iter()
            .flat_map(Traffic::blocked)
            .take(10)
            .map(|host| host.host.as_str())
            .collect();
        match self {
            Self::Failed(mut failure) if !blocked.is_empty() => {
                failure.detail = say::out_of_reach(&failure.detail, blocked.join(", ")).into();
                Self::Failed(failure)
            }
            other => other,
        }
    }

    /// A cap that ended the run.
    pub(crate) fn capped(cap: Cap) -> Self {
        let reason = match cap {
            Cap::Memory(_) | Cap::Processes(_) => Reason::MemoryLimit,
            Cap::DiskBytes(_) | Cap::DiskFiles(_) | Cap::DiskDepth(_) => Reason::DiskLimit,
            Cap::HostDisk(_) => Reason::SandboxUnavailable,
            Cap::Output(_) => Reason::LogLimit,
        };
        Self::failed(reason, say::capped(cap.said()))
    }

    /// What the levers say, if anything.
    pub(crate) fn of_control(control: &Control) -> Option<Self> {
        if control.is_lost().is_some() {
            return Some(Self::Lost);
        }
        control.is_halted().map(Self::Halted)
    }

    /// The run's end; none when it is lost.
    pub(crate) fn into_end(self) -> Option<End> {
        let failure = match self {
            Self::Lost => return None,
            Self::Halted(Halt::Stopped) => return Some(End::Stopped),
            Self::Failed(failure) => failure,
            Self::Halted(Halt::Released) => Failure::new(Reason::Released, say::released()),
            Self::Halted(Halt::LogLimit { bytes }) => {
                Failure::new(Reason::LogLimit, say::log_limit(bytes))
            }
            Self::Halted(Halt::Broker { how }) => {
                Failure::new(Reason::BrokerLost, say::broker_lost(how))
            }
            Self::Halted(Halt::Limited { until, why }) => Failure {
                retry_at: until,
                ..Failure::new(Reason::RateLimited, say::account_limited(why))
            },
            Self::Halted(Halt::Login { why }) => {
                Failure::new(Reason::Unauthorized, say::as_said(why))
            }
            Self::Halted(Halt::Budget { most }) => {
                Failure::new(Reason::BudgetExhausted, say::budget_of_run(dollars(most)))
            }
            Self::Halted(Halt::Spool { cause }) => {
                Failure::new(Reason::WorkspaceFailed, say::log_unwritten(cause))
            }
        };
        Some(End::Failed { failure })
    }
}

/// The words, or their beginning.
pub(crate) fn bounded(mut words: String) -> String {
    if words.len() > MOST_WORDS {
        let mut end = MOST_WORDS;
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        words.truncate(end);
        words.push('…');
    }
    words
}

impl From<SandboxError> for Cut {
    fn from(error: SandboxError) -> Self {
        let reason = match error {
            // Another start would see the same image.
            SandboxError::Image { .. } => Reason::Misconfigured,
            _ => Reason::SandboxUnavailable,
        };
        Self::failed(reason, error.said())
    }
}

impl From<WorkspaceError> for Cut {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Sandbox(error) => error.into(),
            other => Self::failed(Reason::WorkspaceFailed, other.said()),
        }
    }
}
