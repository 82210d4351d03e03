//! Why a run's work does not go on, and what that means for its end.
//!
//! Invariant: what the runner or its machine lacks never looks like the run's own fault.

use nightshift_api::runner::End;
use nightshift_domain::budget::dollars;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::traffic::Traffic;

use crate::sandbox::{Cap, SandboxError};
use crate::supervisor::{Control, Halt};
use crate::workspace::WorkspaceError;

/// The most of a failure's words.
const MOST_WORDS: usize = 4 << 10;

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
    pub(crate) fn failed(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Failed(Failure {
            reason,
            detail: bounded(detail.into()),
            retry_at: None,
        })
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
                let hosts = blocked.join(", ");
                failure.detail = bounded(format!(
                    "{}\nIt could not reach {hosts}: where it should, allow it on the issue's page or with `nightshift issue allow`, and the work goes on",
                    failure.detail.trim_end()
                ));
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
        Self::failed(reason, format!("the run {cap} and was ended"))
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
            Self::Halted(Halt::Released) => plain(
                Reason::Released,
                "the runner shuts down and gave the job back; another start follows by itself"
                    .to_owned(),
            ),
            Self::Halted(Halt::LogLimit { bytes }) => plain(
                Reason::LogLimit,
                format!(
                    "the run wrote more than {bytes} bytes of log and was ended: let it print less"
                ),
            ),
            Self::Halted(Halt::Broker { how }) => plain(
                Reason::BrokerLost,
                format!(
                    "the run's only way out was lost ({how}); it is there again, and another start follows by itself"
                ),
            ),
            Self::Halted(Halt::Limited { until, why }) => Failure {
                reason: Reason::RateLimited,
                detail: format!("the model's provider limits the account: {why}"),
                retry_at: until,
            },
            Self::Halted(Halt::Login { why }) => plain(Reason::Unauthorized, why),
            Self::Halted(Halt::Budget { most }) => plain(
                Reason::BudgetExhausted,
                format!(
                    "the run used what was left of the issue's budget ({}): raise it and the work goes on, or close the issue",
                    dollars(most)
                ),
            ),
            Self::Halted(Halt::Spool { cause }) => plain(
                Reason::WorkspaceFailed,
                format!("the runner cannot write the run's log: {cause}"),
            ),
        };
        Some(End::Failed { failure })
    }
}

fn plain(reason: Reason, detail: String) -> Failure {
    Failure {
        reason,
        detail,
        retry_at: None,
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
        Self::failed(reason, error.to_string())
    }
}

impl From<WorkspaceError> for Cut {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Sandbox(error) => error.into(),
            other => Self::failed(Reason::WorkspaceFailed, other.to_string()),
        }
    }
}
