//! The vocabulary of a run's log: one record a line, newline-delimited JSON.
//!
//! Every harness translates its program's events into these, so that a log reads the same for
//! any agent. Deliberately absent: anything a verdict may rest on. A transcript is what the
//! agent's side said; what is true is measured elsewhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the runner saw it.
    pub at: Timestamp,
    /// Which step of the run said it.
    pub step: Step,
    /// What was said.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Workspace and sandbox are made.
    Prepare,
    /// The project's own set-up command.
    Setup,
    /// The agent works.
    Agent,
    /// Checks and acceptance tests.
    Checks,
    /// Commit and push.
    Publish,
    /// Anything the runner itself says about the run.
    Runner,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Words of the agent.
    Text {
        /// Markdown.
        text: String,
    },
    /// The agent calls a tool.
    ToolCall {
        /// The agent program's id of the call, to pair it with its result.
        id: String,
        /// The tool's name.
        tool: String,
        /// Its arguments, shortened to 16 KiB.
        input: serde_json::Value,
    },
    /// What the tool answered.
    ToolResult {
        /// The id of the call.
        id: String,
        /// Whether the tool reports an error.
        is_error: bool,
        /// Its output, shortened to 64 KiB.
        output: String,
    },
    /// Bytes a program printed that are no event of its harness.
    Output {
        /// Which stream.
        stream: Stream,
        /// The text, when the bytes are UTF-8.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The bytes in base64, when they are not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    },
    /// What the agent program says it used, for this run (not cumulative over resumes).
    Usage(Usage),
    /// The agent asks the person.
    Question {
        /// The question, Markdown.
        text: String,
    },
    /// Something about the run itself.
    Status {
        /// One line.
        text: String,
    },
}

/// Which stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Model usage as an agent program reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent that were not read from a cache.
    pub input_tokens: u64,
    /// Tokens sent that were read from a cache.
    pub cached_input_tokens: u64,
    /// Tokens produced.
    pub output_tokens: u64,
    /// What the program says it cost, in millionths of a US dollar, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}
