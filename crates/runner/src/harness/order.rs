//! What a harness is told: the order for one start of an agent.
//!
//! Everything in it was decided outside the sandbox. Deliberately absent: anything read from
//! the working tree, and credentials.

use std::path::PathBuf;

use nightshift_domain::transcript::Usage;
use serde::{Deserialize, Serialize};

use super::invocation::PLACEHOLDER_KEY;
use super::program::Programs;
use crate::broker::Dialect;

/// One start of an agent in a run.
#[derive(Debug, Clone)]
pub struct AgentOrder {
    /// The whole prompt, as built for this start.
    pub prompt: String,
    /// The issue's body alone, Markdown. Only `script` reads it.
    pub issue_body: String,
    /// What the person wrote when sending back, Markdown; none in the first round. Only `script`
    /// reads it.
    pub feedback: Option<String>,
    /// The round, from 1.
    pub round: u32,
    /// Which repair of this round: 0 the first start, then one up at each start after red checks.
    pub repair: u32,
    /// The session to go on in, if there is one.
    pub session: Option<Session>,
    /// The model's name as the agent program knows it; its own default if none.
    pub model: Option<String>,
    /// The program and its arguments. Only `command` and `acp` read it.
    pub command: Vec<String>,
    /// The mode that is configured. Only `acp` reads it.
    pub mode: Option<String>,
    /// Where the agent programs of this machine are.
    pub programs: Programs,
    /// The model endpoint as seen in the sandbox, without `/v1` and without a slash at the end.
    pub model_base_url: String,
    /// What is spoken there, for a program that can be told.
    pub model_dialect: Dialect,
    /// What the program presents there as its key; the real one is put in its place outside.
    pub model_key: String,
    /// The server of the platform's tools that the program is given.
    pub mcp: Option<McpServer>,
    /// Bounds the program itself is asked to keep. The broker and the wall clock keep theirs.
    pub limits: AgentLimits,
    /// Where things are in the sandbox.
    pub paths: Paths,
}

impl AgentOrder {
    /// The order of a first round, with nothing configured.
    pub fn new(prompt: impl Into<String>, issue_body: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            issue_body: issue_body.into(),
            feedback: None,
            round: 1,
            repair: 0,
            session: None,
            model: None,
            command: Vec::new(),
            mode: None,
            programs: Programs::default(),
            model_base_url: "http://127.0.0.1:7071".to_owned(),
            model_dialect: Dialect::OpenAi,
            model_key: PLACEHOLDER_KEY.to_owned(),
            mcp: None,
            limits: AgentLimits::default(),
            paths: Paths::default(),
        }
    }
}

/// A server of the Model Context Protocol that an agent program starts inside the sandbox and speaks
/// to on standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// The name its tools are shown under.
    pub name: String,
    /// The program, a path inside.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A conversation an agent program can go on in. Kept per issue, beside the session files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The program's own id of it.
    pub id: String,
    /// What the program has reported for this session so far. Some programs report a session's
    /// sum after a resume; a run's own usage is the difference to this.
    pub totals: Usage,
}

impl Session {
    /// The session of that id, if the id can be an argument of a program: it comes from the
    /// sandbox, and must not be able to say anything else than an id.
    pub(super) fn from_program(id: &str, totals: Usage) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        (id.len() <= 128
            && id.chars().all(plain)
            && id.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .then(|| Self {
            id: id.to_owned(),
            totals,
        })
    }
}

/// Bounds given to the agent program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentLimits {
    /// Model turns in one start, where the program has such a bound (Claude Code, the built-in agent).
    pub max_turns: Option<u32>,
    /// Money for one start, in millionths of a US dollar, where the program has such a bound
    /// (Claude Code).
    pub max_cost_micro_usd: Option<u64>,
    /// How often the program repeats a failed model call. Left alone, Claude Code repeats even a
    /// refused credential for three minutes.
    pub model_retries: u32,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            max_turns: None,
            max_cost_micro_usd: None,
            model_retries: 4,
        }
    }
}

/// Where things are in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// HOME.
    pub home: PathBuf,
    /// The working tree, the current directory.
    pub workspace: PathBuf,
    /// The read-only control directory.
    pub control: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            home: PathBuf::from("/home/agent"),
            workspace: PathBuf::from("/workspace"),
            control: PathBuf::from("/nightshift"),
        }
    }
}
