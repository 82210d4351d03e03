//! What came of one start of an agent program, told by its own protocol.
//!
//! No verdict rests on this: "no failure" only means that the program did not report one.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::sentence::{Place, Sentence};
use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::Usage;

use super::order::Session;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The runner ended it: time, cancel, or no patience left.
    Stopped,
}

/// What came of one start.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentOutcome {
    /// The session to resume at the next start, with what it has used as a whole.
    pub session: Option<Session>,
    /// What this start used, as the program says. Zero when it says nothing.
    pub usage: Usage,
    /// The agent's last words, Markdown.
    pub final_text: Option<String>,
    /// Why it failed, if the program or its end says so. None for [`Exit::Stopped`] unless the
    /// program had said before what it was waiting for.
    pub failure: Option<AgentFailure>,
}

/// The ways an agent program fails that are treated differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentFailure {
    /// The model's provider limits the account; the same start may work later.
    RateLimited {
        /// When it may work again, if it was said.
        resets_at: Option<Timestamp>,
        /// How long to wait, counted from the program's end, if that was said.
        retry_after: Option<Duration>,
        /// What was said.
        detail: String,
    },
    /// The model's provider refused the credential; a person must replace it.
    Unauthorized {
        /// What was said.
        detail: String,
    },
    /// The model's provider is overloaded, broken or out of reach; the same start may work soon.
    Overloaded {
        /// What was said.
        detail: String,
    },
    /// The session to resume is not known any more; start without one.
    SessionLost {
        /// What was said.
        detail: String,
    },
    /// A bound on turns or money is reached.
    BudgetExhausted {
        /// What was said.
        detail: Place,
    },
    /// The program cannot be found or executed in the sandbox.
    ProgramMissing {
        /// The program.
        program: String,
        /// What to do.
        install: Sentence,
    },
    /// It cannot be started on this tree or with these settings.
    Refused {
        /// Why, and what to do.
        detail: String,
    },
    /// Anything else.
    Crashed {
        /// The most telling thing that was said, and how it ended.
        detail: Place,
    },
}

impl AgentFailure {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::RateLimited { detail, .. } => say::provider_limits(detail),
            Self::Unauthorized { detail } => say::provider_refuses(detail),
            Self::Overloaded { detail } => say::provider_silent(detail),
            Self::SessionLost { detail } => say::session_lost(detail),
            Self::BudgetExhausted { detail } => say::agent_limit(detail.clone()),
            Self::ProgramMissing { program, install } => {
                say::not_executable(format!("{program:?}"), install.clone())
            }
            Self::Refused { detail } => say::agent_refused(detail),
            Self::Crashed { detail } => say::agent_crashed(detail.clone()),
        }
    }
}

impl fmt::Display for AgentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for AgentFailure {}
