//! What can be wrong with a sandbox, each naming the part, the cause and the next step.
//!
//! Invariant: every error here means "the command did not run, or was ended": there is no path on
//! which a missing part is replaced by a weaker one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use serde::{Deserialize, Serialize};

/// A part without which no sandbox starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The program `bwrap`.
    Bubblewrap,
    /// Docker or Podman.
    Engine,
    /// User, mount, process and network namespaces of the kernel.
    Namespaces,
    /// The overlay mount that gives a run its own view of the warm checkout.
    Overlay,
    /// The filter of system calls.
    Seccomp,
    /// The control group that limits memory and processes.
    Cgroup,
    /// Our own program, which is started outside and inside.
    Program,
    /// A directory or file that was to be visible inside.
    Bind,
    /// A relay from a loopback port to one of the broker's sockets.
    Relay,
    /// The command of the step.
    Command,
}

impl Part {
    /// What a person does about it.
    fn fix(self) -> Sentence {
        match self {
            Self::Bubblewrap => say::fix_bubblewrap(),
            Self::Engine => say::fix_engine(),
            Self::Namespaces => say::fix_namespaces(),
            Self::Overlay => say::fix_overlay(),
            Self::Seccomp => say::fix_seccomp(),
            Self::Cgroup => say::fix_cgroup(),
            Self::Program => say::fix_program(),
            Self::Bind => say::fix_bind(),
            Self::Relay => say::fix_relay(),
            Self::Command => say::fix_command(),
        }
    }

    /// What people call it.
    fn name(self) -> Sentence {
        match self {
            Self::Bubblewrap => say::bubblewrap(),
            Self::Engine => say::engine(),
            Self::Namespaces => say::namespaces(),
            Self::Overlay => say::overlay(),
            Self::Seccomp => say::seccomp(),
            Self::Cgroup => say::cgroup(),
            Self::Program => say::program(),
            Self::Bind => say::visible_path(),
            Self::Relay => say::relay(),
            Self::Command => say::command(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

/// Why a sandbox did not start, or could not be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxError {
    /// A part failed; nothing ran.
    Part {
        /// Which part.
        part: Part,
        /// What it said.
        cause: String,
    },
    /// Another step of the same run is still alive.
    Busy,
    /// A path that may not be a place inside the sandbox.
    Place(PathBuf),
    /// The project's image cannot be used.
    Image {
        /// As the project names it.
        name: String,
        /// Why not.
        cause: String,
    },
    /// The project's image did not come from its registry.
    Pull {
        /// As the project names it.
        name: String,
        /// What the engine said.
        cause: String,
    },
    /// Another runner process uses the data directory.
    DataInUse(PathBuf),
    /// Processes that outlived SIGKILL.
    NotGone {
        /// Their ids on the host.
        pids: Vec<i32>,
        /// How long was waited.
        after: Duration,
    },
    /// Something of the host failed.
    Host {
        /// What was tried, naming the path.
        what: String,
        /// What the system said.
        cause: String,
    },
}

impl SandboxError {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Part { part, cause } => say::part(part.name(), cause, part.fix()),
            Self::Busy => say::busy(),
            Self::Place(path) => say::bad_place(path.display().to_string()),
            Self::Image { name, cause } => say::image_unfit(name, cause),
            Self::Pull { name, cause } => say::image_unpulled(name, cause),
            Self::DataInUse(path) => say::data_in_use(path.display().to_string()),
            Self::NotGone { pids, after } => say::not_gone(after.as_secs(), format!("{pids:?}")),
            Self::Host { what, cause } => say::as_said(format!("{what}: {cause}")),
        }
    }

    /// Shorthand for a failed part.
    pub(crate) fn part(part: Part, cause: impl std::fmt::Display) -> Self {
        Self::Part {
            part,
            cause: cause.to_string(),
        }
    }

    /// Shorthand for a failed operation of the host.
    pub(crate) fn host(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Host {
            what: what.into(),
            cause: cause.to_string(),
        }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for SandboxError {}
