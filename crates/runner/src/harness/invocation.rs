//! What a harness answers: everything the worker needs to start the agent program.
//!
//! Deliberately absent: HOME, PATH, the user and the mounts every sandbox has; those are the
//! sandbox's own.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use nightshift_domain::sentence::{Sentence, text};
use nightshift_domain::told::failure as say;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// The program is not on this machine.
    ProgramMissing {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// How to install it.
        install: Sentence,
    },
    /// The program is one that is not known to do what is asked of it here.
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
        install: Sentence,
    },
    /// The program is a script, and nothing can execute it.
    NodeMissing {
        /// The harness.
        harness: &'static str,
        /// The program.
        program: String,
        /// The oldest major version of Node.js.
        since: u32,
    },
    /// The program is a script that this Node.js cannot execute.
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
    NoModel {
        /// The harness.
        harness: &'static str,
    },
    /// The harness `command` without a command.
    NoCommand,
    /// The harness `acp` without a command.
    NoAcpCommand,
    /// The prompt does not fit into one argument.
    PromptTooLong {
        /// Its size.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
    /// The prompt holds a byte no argument can hold.
    PromptNul,
    /// A shell block of an issue that says something unknown.
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
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::ProgramMissing {
                harness,
                program,
                install,
            } => say::program_missing(quoted(program), quoted(harness), install.clone()),
            Self::ProgramTooOld {
                harness,
                program,
                version,
                since,
                install,
            } => say::program_old(
                quoted(program),
                quoted(harness),
                text(version),
                text(since),
                install.clone(),
            ),
            Self::NodeMissing {
                harness,
                program,
                since,
            } => say::node_missing(quoted(program), quoted(harness), text(since)),
            Self::NodeTooOld {
                harness,
                program,
                version,
                since,
            } => say::node_old(quoted(program), quoted(harness), text(since), text(version)),
            Self::NoModel { harness } => say::no_model(quoted(harness)),
            Self::NoCommand => say::no_command(r#"["my-agent", "{prompt_file}"]"#),
            Self::NoAcpCommand => say::no_acp_command(r#""my-agent --acp""#),
            Self::PromptTooLong { bytes, limit } => {
                say::prompt_long(*bytes, *limit, "{prompt_file}", "{prompt}")
            }
            Self::PromptNul => say::prompt_nul("{prompt_file}"),
            Self::Block {
                place,
                line,
                found,
                expected,
            } => say::block_unknown(*line, block_place(place), quoted(found), *expected),
        }
    }

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

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for PlanError {}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// What people call the place of a shell block.
pub(super) fn block_place(place: &str) -> Sentence {
    match place {
        "comment" => say::in_comment(),
        _ => say::in_issue(),
    }
}
