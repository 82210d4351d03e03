//! Harnesses: the adapters that know how one agent program is started and what its words mean.
//!
//! A harness is a file of facts: it turns an [`AgentOrder`] into an [`Invocation`] (what to
//! start, with which files and environment) and gives an [`EventParser`] that turns what the
//! program prints into a run's log and, at the end, into an [`AgentOutcome`]. Nothing here
//! starts a process, opens a connection or asks the clock; the worker that runs sandbox steps
//! does. An outcome says what the *program* said about itself: it tells failures apart so that
//! each gets its retry policy, and it never stands for "the work is done". That is measured.
//!
//! Deliberately absent: credentials (the broker outside the sandbox adds them), prompts
//! (built elsewhere), and any setting that comes from the repository the agent works on.

mod acp;
mod acp_event;
mod claude;
mod claude_event;
mod codex;
mod codex_event;
mod command;
mod copilot;
mod copilot_event;
mod fault;
mod gemini;
mod gemini_event;
mod invocation;
mod line;
mod native;
mod native_event;
mod needs;
mod opencode;
mod opencode_event;
mod order;
mod outcome;
mod program;
mod qwen;
mod qwen_event;
mod script;
mod script_block;

pub use self::acp::Acp;
pub use self::claude::ClaudeCode;
pub use self::codex::Codex;
pub use self::command::Command;
pub use self::copilot::Copilot;
pub use self::gemini::Gemini;
pub use self::invocation::{Bind, HomeFile, Invocation, PLACEHOLDER_KEY, PlanError, Stdin};
pub use self::line::{Line, LineSplitter, MAX_LINE_BYTES, output};
pub use self::native::Native;
pub(crate) use self::native::speaks as native_speaks;
pub use self::needs::{Kind, Needs, Version};
pub use self::opencode::Opencode;
pub use self::order::{AgentLimits, AgentOrder, McpServer, Paths, Session};
pub use self::outcome::{AgentFailure, AgentOutcome, Exit};
pub use self::program::{Program, Programs};
pub use self::qwen::Qwen;
pub use self::script::Script;

use std::time::Duration;

use nightshift_domain::transcript::{Entry, Stream};

/// One agent program's facts.
pub trait Harness: Send + Sync {
    /// The harness's name, as agents are configured with it.
    fn name(&self) -> &'static str;

    /// What it needs of its program; nothing where the agent's settings say what to start.
    fn needs(&self) -> Option<Needs> {
        None
    }

    /// Whether a later start can go on in the conversation of an earlier one.
    fn resumes(&self) -> bool;

    /// Whether the program, sent SIGINT in the middle of a turn, ends with a session that a later start
    /// can go on in.
    fn interrupts(&self) -> bool {
        false
    }

    /// Whether what its program tells of tokens is all that it used; else the broker's count is taken.
    fn counts_whole(&self) -> bool {
        true
    }

    /// What to start for this order, or why it cannot be started.
    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError>;

    /// A reader of what the program prints when started for this order.
    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser>;
}

/// Reads what one start of an agent program prints.
pub trait EventParser: Send {
    /// What one line says (without its line feed). Never fails: what is no event of the harness
    /// becomes [`Entry::Output`].
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry>;

    /// How long the next line may take, if the program just said something after which some
    /// programs wait without end (Codex obeys a `Retry-After` of an hour, and waits for a
    /// network for ever). When it takes longer the program should be stopped, and
    /// [`finish`](Self::finish) be told [`Exit::Stopped`].
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Whether the program has said by now which session a later start can go on in.
    fn can_resume(&self) -> bool {
        false
    }

    /// What came of it all. Both streams must have ended before.
    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome;
}

/// The harness of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Harness> {
    ALL.iter().copied().find(|harness| harness.name() == name)
}

/// Every harness this runner has, in the order they are offered.
pub const ALL: [&dyn Harness; 10] = [
    &Script,
    &Command,
    &Native,
    &ClaudeCode,
    &Codex,
    &Gemini,
    &Opencode,
    &Qwen,
    &Copilot,
    &Acp,
];
