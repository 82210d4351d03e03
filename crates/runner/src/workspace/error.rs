//! What can go wrong before a run has its tree.
//!
//! Invariant: no message holds the token that was sent to the server.

use std::fmt;
use std::path::PathBuf;

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;

use crate::sandbox::{Exit, SandboxError};

/// Why there is no workspace.
#[derive(Debug)]
pub enum WorkspaceError {
    /// The server's repository could not be read.
    Fetch {
        /// The repository's address.
        url: String,
        /// What git said, without the token.
        cause: String,
    },
    /// The host's git did something unexpected.
    Git {
        /// Its sub-command.
        verb: String,
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
    /// A checkout did not come out as the commit says.
    Checkout {
        /// The commit.
        commit: ObjectId,
        /// How the step ended.
        exit: Exit,
        /// What it printed last.
        said: String,
    },
    /// No room for another run.
    Full {
        /// The data directory.
        path: PathBuf,
        /// Bytes.
        free: u64,
        /// Bytes.
        needed: u64,
    },
    /// The sandbox in which checkouts are made.
    Sandbox(SandboxError),
    /// The file system.
    Host {
        /// What was tried, naming the path.
        what: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl WorkspaceError {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Fetch { url, cause } => say::not_fetched(url, cause),
            Self::Git { verb, path, cause } => {
                say::git_failed(verb, path.display().to_string(), cause)
            }
            Self::Checkout { commit, exit, said } => {
                say::not_checked_out(commit.as_str(), format!("{exit:?}"), said)
            }
            Self::Full { path, free, needed } => {
                say::disk_full(*free, *needed, path.display().to_string())
            }
            Self::Sandbox(error) => error.said(),
            Self::Host { what, cause } => say::as_said(format!("{what}: {cause}")),
        }
    }

    pub(super) fn host(what: impl Into<String>, cause: std::io::Error) -> Self {
        Self::Host {
            what: what.into(),
            cause,
        }
    }
}

impl fmt::Display for WorkspaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for WorkspaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host { cause, .. } => Some(cause),
            Self::Sandbox(error) => error.source(),
            Self::Fetch { .. } | Self::Git { .. } | Self::Checkout { .. } | Self::Full { .. } => {
                None
            }
        }
    }
}

impl From<SandboxError> for WorkspaceError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}
