//! What a harness answers: everything the worker needs to start the agent program.
//!
//! Deliberately absent: HOME, PATH, the user and the mounts every sandbox has; those are the
//! sandbox's own.

use std::ffi::OsString;
use std::path::PathBuf;

use super::needs::Version;

/// What stands in the sandbox where a program wants a model key. The real one is put in its place
/// outside.
pub const PLACEHOLDER_KEY: &str = "nightshift-adds-the-key-outside";

/// One start of an agent program, in the sandbox, in the working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Program and arguments. A program without a slash is looked up in the sandbox's PATH.
    pub argv: Vec<OsString>,
    /// Variables to set beside the sandbox's own.
    pub env: Vec<(String, String)>,
    /// What standard input holds.
    pub stdin: Stdin,
    /// Files to put into HOME before the start, replacing what is there.
    pub files: Vec<HomeFile>,
    /// Directories under HOME that hold the sessions. Kept per issue, given again at its next
    /// start; nothing else in HOME outlives the run.
    pub session_dirs: Vec<PathBuf>,
    /// What of the host the program needs to see, read-only.
    pub binds: Vec<Bind>,
}

impl Invocation {
    /// The start of `argv` with nothing else.
    pub fn new(argv: Vec<OsString>, stdin: Stdin) -> Self {
        Self {
            argv,
            env: Vec::new(),
            stdin,
            files: Vec::new(),
            session_dirs: Vec::new(),
            binds: Vec::new(),
        }
    }

    /// The same, with the variable set.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// What standard input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing; it is at its end from the start.
    Null,
    /// The order's prompt, then its end.
    Prompt,
}

/// A file to put into HOME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFile {
    /// Relative to HOME; no part is `..`.
    pub path: PathBuf,
    /// What it holds.
    pub contents: Vec<u8>,
}

impl HomeFile {
    pub(super) fn new(path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            contents: contents.into(),
        }
    }
}

/// A file or directory of the host, visible read-only in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host. No part of it is a symbolic link.
    pub host: PathBuf,
    /// In the sandbox.
    pub inside: PathBuf,
}

/// Why an agent program cannot be started. Each message ends with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The program is not on this machine.
    #[error("the program {program:?} of harness {harness:?} is not on this machine: {install}")]
    ProgramMissing {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// How to install it.
        install: String,
    },
    /// The program is one that is not known to do what is asked of it here.
    #[error(
        "the program {program:?} of harness {harness:?} has version {version}, and {since} or newer is needed: {install}"
    )]
    ProgramTooOld {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// Its version.
        version: Version,
        /// The oldest that is driven.
        since: Version,
        /// How to install a newer one.
        install: String,
    },
    /// The program is a script, and nothing can execute it.
    #[error(
        "the program {program:?} of harness {harness:?} is a script of Node.js, and no native `node` is in the runner's search path: install Node.js {since} or newer, then start the runner again"
    )]
    NodeMissing {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// The oldest major version of Node.js.
        since: u32,
    },
    /// The program is a script that this Node.js cannot execute.
    #[error(
        "the program {program:?} of harness {harness:?} needs Node.js {since} or newer, and the runner's search path has Node.js {version}: install a newer one, then start the runner again"
    )]
    NodeTooOld {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// The version of Node.js.
        version: Version,
        /// The oldest major version of Node.js.
        since: u32,
    },
    /// A program that has no model of its own, and none is named.
    #[error(
        "the agent has harness {harness:?} and no model, and its program has none of its own: add model = \"...\" to the agent, one that the runner's endpoint offers"
    )]
    NoModel {
        /// The harness.
        harness: &'static str,
    },
    /// The harness `command` without a command.
    #[error(
        "the agent has harness \"command\" but no command: give it one, for example [\"my-agent\", \"{{prompt_file}}\"]"
    )]
    NoCommand,
    /// The harness `acp` without a command.
    #[error(
        "the agent has harness \"acp\" but no command: give it one that speaks the Agent Client Protocol on its standard streams, for example \"my-agent --acp\""
    )]
    NoAcpCommand,
    /// The prompt does not fit into one argument.
    #[error(
        "the prompt has {bytes} bytes and one argument of a program holds {limit}: let the command read {{prompt_file}} or standard input instead of {{prompt}}"
    )]
    PromptTooLong {
        /// Its size.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
    /// The prompt holds a byte no argument can hold.
    #[error(
        "the prompt holds a NUL byte, which no argument of a program can hold: remove it from the issue, or let the command read {{prompt_file}}"
    )]
    PromptNul,
    /// A shell block of an issue that says something unknown.
    #[error("the shell block at line {line} of the {place} says {found:?}: {expected}")]
    Block {
        /// Where: "issue" or "comment".
        place: &'static str,
        /// The line of the opening fence, from 1.
        line: usize,
        /// The part that is not understood.
        found: String,
        /// What would be.
        expected: &'static str,
    },
}

impl PlanError {
    /// Whether the program, or what executes it, is not there as it is needed.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::ProgramMissing { .. }
            | Self::ProgramTooOld { .. }
            | Self::NodeMissing { .. }
            | Self::NodeTooOld { .. } => true,
            Self::NoModel { .. }
            | Self::NoCommand
            | Self::NoAcpCommand
            | Self::PromptTooLong { .. }
            | Self::PromptNul
            | Self::Block { .. } => false,
        }
    }
}
