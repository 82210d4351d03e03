//! Why a run ended without its result, as a closed list, and what follows from each reason.
//!
//! The policy is total: a new reason does not compile until it says whether it retries, parks or
//! waits for a person. Deliberately absent: free text as a criterion; `detail` is for people only.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sentence::{Kept, Sentence, Template, beside};

beside!(detail, "detail");

/// A run that did not bring its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason, from the closed list.
    pub reason: Reason,
    /// What happened, in words: the thing, the cause, the next step.
    #[serde(flatten, with = "detail")]
    pub detail: Kept,
    /// When it is worth trying again, if somebody said so (a provider's reset time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

impl Failure {
    /// A failure of which this is said, without a time to try again.
    #[must_use]
    pub fn new(reason: Reason, said: Sentence) -> Self {
        Self {
            reason,
            detail: said.into(),
            retry_at: None,
        }
    }

    /// The same with its English text alone, as programs are told.
    #[must_use]
    pub fn plain(self) -> Self {
        let detail = self.detail.plain();
        Self { detail, ..self }
    }

    /// The same as somebody who is not believed tells it, as [`Kept::checked`] has it.
    #[must_use]
    pub fn checked(self) -> Self {
        let detail = self.detail.checked();
        Self { detail, ..self }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// The closed list of reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reason {
            $($(#[$doc])* $name),+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word used in tables, on the wire and in the command line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            fn template(self) -> &'static Template {
                match self {
                    $(Self::$name => &Template { key: concat!("failure.", $word), english: $word }),+
                }
            }
        }

        /// What the reasons are called, for catalogues.
        pub(crate) static TEMPLATES: &[&Template] = &[
            $(&Template { key: concat!("failure.", $word), english: $word }),+
        ];
    };
}

reasons! {
    /// The runner fell silent and its lease ran out.
    RunnerLost = "runner-lost",
    /// The runner gave the job back, since it is shutting down.
    Released = "released",
    /// A part of the sandbox is missing or did not start.
    SandboxUnavailable = "sandbox-unavailable",
    /// The runner's broker died or hung, and with it the run's only way out.
    BrokerLost = "broker-lost",
    /// The runner could not fetch the repository or make the workspace.
    WorkspaceFailed = "workspace-failed",
    /// The push of the result did not arrive.
    PublishFailed = "publish-failed",
    /// The model provider says: too many requests, or the session's limit is reached.
    RateLimited = "rate-limited",
    /// The model provider is overloaded or answers with server errors.
    ModelUnavailable = "model-unavailable",
    /// The model provider refuses the credential.
    Unauthorized = "unauthorized",
    /// The agent's program is not installed on the runner.
    ProgramMissing = "program-missing",
    /// The project's configuration does not define what the issue needs.
    Misconfigured = "misconfigured",
    /// A secret that the project's steps need has no value.
    SecretMissing = "secret-missing",
    /// What a proof could not reach must be allowed, or denied, by a person.
    HostMissing = "host-missing",
    /// The project's set-up command failed.
    SetupFailed = "setup-failed",
    /// The agent's program ended with a failure.
    AgentFailed = "agent-failed",
    /// The agent ended well and changed nothing.
    NoChange = "no-change",
    /// The run's time is used up.
    TimeLimit = "time-limit",
    /// The run wrote more log than it may.
    LogLimit = "log-limit",
    /// The run filled its disk.
    DiskLimit = "disk-limit",
    /// The run used more memory or processes than it may.
    MemoryLimit = "memory-limit",
    /// The run's budget is used up.
    BudgetExhausted = "budget-exhausted",
    /// The sealed tests pass on the base, and the issue does not say so.
    AcceptanceGreen = "acceptance-green",
    /// The sealed tests do not run on the base.
    AcceptanceBroken = "acceptance-broken",
    /// What was pushed is not a change on top of what the run started from.
    PublishRejected = "publish-rejected",
}

impl Reason {
    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == word)
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> Sentence {
        self.template().plain()
    }
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Try again by itself.
    Retry {
        /// How long to wait first; doubled with every start.
        after: Duration,
        /// Whether the start counts towards the limit of starts.
        counts: bool,
    },
    /// Wait until the time the provider named, or this long; the start does not count.
    Park {
        /// The wait when nobody named a time.
        default: Duration,
    },
    /// A person must decide: nothing would change by trying again.
    Gate,
}

impl Reason {
    /// What follows from this reason.
    #[must_use]
    pub fn policy(self) -> Policy {
        let retry = |seconds, counts| Policy::Retry {
            after: Duration::from_secs(seconds),
            counts,
        };
        match self {
            Self::RunnerLost => retry(0, true),
            Self::Released => retry(0, false),
            Self::BrokerLost => retry(5, false),
            Self::SandboxUnavailable | Self::WorkspaceFailed | Self::PublishFailed => {
                retry(10, true)
            }
            Self::ModelUnavailable => retry(60, true),
            Self::RateLimited => Policy::Park {
                default: Duration::from_secs(15 * 60),
            },
            Self::Unauthorized
            | Self::ProgramMissing
            | Self::Misconfigured
            | Self::SecretMissing
            | Self::HostMissing
            | Self::SetupFailed
            | Self::AgentFailed
            | Self::NoChange
            | Self::TimeLimit
            | Self::LogLimit
            | Self::DiskLimit
            | Self::MemoryLimit
            | Self::BudgetExhausted
            | Self::AcceptanceGreen
            | Self::AcceptanceBroken
            | Self::PublishRejected => Policy::Gate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_serialised_names_agree() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            let wire = serde_json::to_string(reason).expect("a word");
            assert_eq!(wire, format!("\"{}\"", reason.as_str()));
        }
    }

    #[test]
    fn a_failure_is_told_to_programs_of_before_and_read_from_them() {
        let failure = Failure::new(Reason::RunnerLost, crate::told::failure::silent());
        let wire = serde_json::to_value(&failure).expect("a failure");
        let detail = "the runner sent no heartbeat until its lease ran out";
        assert_eq!(wire["detail"], detail);
        assert_eq!(wire["said"]["key"], "failed.silent");
        let read = |value| serde_json::from_value::<Failure>(value).expect("a failure");
        assert_eq!(read(wire), failure);
        let older = serde_json::json!({ "reason": "runner-lost", "detail": detail });
        let plain = read(older.clone());
        assert_eq!(plain, failure.plain());
        assert_eq!(serde_json::to_value(&plain).expect("a failure"), older);
    }

    #[test]
    fn quota_is_never_retried_as_a_generic_failure() {
        assert!(matches!(Reason::RateLimited.policy(), Policy::Park { .. }));
        assert_eq!(Reason::BudgetExhausted.policy(), Policy::Gate);
    }

    #[test]
    fn a_lost_broker_is_nobodys_start() {
        let policy = Reason::BrokerLost.policy();
        assert!(matches!(policy, Policy::Retry { counts: false, .. }));
    }
}
