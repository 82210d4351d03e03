//! What came of one start of an agent program, told by its own protocol.
//!
//! No verdict rests on this: "no failure" only means that the program did not report one.

use std::time::Duration;

use jiff::Timestamp;
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentFailure {
    /// The model's provider limits the account; the same start may work later.
    #[error("the model's provider limits this account's rate: {detail}")]
    RateLimited {
        /// When it may work again, if it was said.
        resets_at: Option<Timestamp>,
        /// How long to wait, counted from the program's end, if that was said.
        retry_after: Option<Duration>,
        /// What was said.
        detail: String,
    },
    /// The model's provider refused the credential; a person must replace it.
    #[error(
        "the model's provider refused the credential ({detail}): replace the agent's model key"
    )]
    Unauthorized {
        /// What was said.
        detail: String,
    },
    /// The model's provider is overloaded, broken or out of reach; the same start may work soon.
    #[error("the model's provider does not answer: {detail}")]
    Overloaded {
        /// What was said.
        detail: String,
    },
    /// The session to resume is not known any more; start without one.
    #[error("the agent's session is not known any more: {detail}")]
    SessionLost {
        /// What was said.
        detail: String,
    },
    /// A bound on turns or money is reached.
    #[error("the agent's limit is reached: {detail}")]
    BudgetExhausted {
        /// What was said.
        detail: String,
    },
    /// The program cannot be found or executed in the sandbox.
    #[error("the program {program:?} cannot be executed in the sandbox: {install}")]
    ProgramMissing {
        /// The program.
        program: String,
        /// What to do.
        install: String,
    },
    /// It cannot be started on this tree or with these settings.
    #[error("the agent was not started: {detail}")]
    Refused {
        /// Why, and what to do.
        detail: String,
    },
    /// Anything else.
    #[error("the agent program failed: {detail}")]
    Crashed {
        /// The most telling thing that was said, and how it ended.
        detail: String,
    },
}
