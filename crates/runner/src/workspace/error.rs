//! What can go wrong before a run has its tree.
//!
//! Invariant: no message holds the token that was sent to the server.

use std::path::PathBuf;

use nightshift_domain::git_name::ObjectId;

use crate::sandbox::{Exit, SandboxError};

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The server's repository could not be read.
    #[error(
        "fetching from {url}: {cause}; next: check that the server runs and that this runner's token is valid"
    )]
    Fetch {
        /// The repository's address.
        url: String,
        /// What git said, without the token.
        cause: String,
    },
    /// The host's git did something unexpected.
    #[error("git {verb} in {}: {cause}", path.display())]
    Git {
        /// Its sub-command.
        verb: String,
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
    /// A checkout did not come out as the commit says.
    #[error("checking out {commit} ended with {exit:?}: {said}")]
    Checkout {
        /// The commit.
        commit: ObjectId,
        /// How the step ended.
        exit: Exit,
        /// What it printed last.
        said: String,
    },
    /// No room for another run.
    #[error("the runner's disk is nearly full: {free} bytes free, {needed} needed; next: free space under {}", path.display())]
    Full {
        /// The data directory.
        path: PathBuf,
        /// Bytes.
        free: u64,
        /// Bytes.
        needed: u64,
    },
    /// The sandbox in which checkouts are made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The file system.
    #[error("{what}: {cause}")]
    Host {
        /// What was tried, naming the path.
        what: String,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

impl WorkspaceError {
    pub(super) fn host(what: impl Into<String>, cause: std::io::Error) -> Self {
        Self::Host {
            what: what.into(),
            cause,
        }
    }
}
