//! What can go wrong with git: one enum, with fields.
//!
//! Texts of the git program are kept short and free of control characters. Deliberately absent:
//! decisions about what a person may see; `app` translates.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_domain::git_name::{ObjectId, RefName};

/// A ref was not where the caller expected it: the compare of a compare-and-swap failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} moved: expected {}, found {}", show(.expected.as_ref()), show(.found.as_ref()))]
pub struct RefMoved {
    /// The ref.
    pub name: RefName,
    /// The value that the caller built on; `None`: must not exist.
    pub expected: Option<ObjectId>,
    /// The value found; `None`: it does not exist.
    pub found: Option<ObjectId>,
}

/// An operation on a repository failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The git program could not be started.
    #[error("cannot start {program:?}; install git 2.39 or newer and check the path")]
    Start {
        /// The program as configured.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The git program is too old.
    #[error("{found} is too old; install git 2.39 or newer")]
    TooOld {
        /// What `git version` said.
        found: String,
    },
    /// The git program reported a failure.
    #[error("git {command} failed: {message}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The exit code; `None` when a signal ended it.
        code: Option<i32>,
        /// What it said, cut to a few lines.
        message: String,
    },
    /// A time limit ended the operation.
    #[error("git {command} was stopped after {} s", .after.as_secs())]
    TimedOut {
        /// The subcommand.
        command: String,
        /// The limit.
        after: Duration,
    },
    /// The answer is larger than the caller accepts.
    #[error("git {command} answered with more than {limit} bytes")]
    TooLarge {
        /// The subcommand.
        command: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The git program answered in a way that this crate does not know.
    #[error("git {command} answered unexpectedly: {answer}")]
    Unexpected {
        /// The subcommand.
        command: String,
        /// The start of the answer.
        answer: String,
    },
    /// A ref is not where the caller expected it.
    #[error(transparent)]
    RefMoved(#[from] RefMoved),
    /// A ref cannot exist beside another one, or is locked.
    #[error("{name} cannot be written: {reason}")]
    RefBlocked {
        /// The ref.
        name: RefName,
        /// Git's reason.
        reason: String,
    },
    /// No object has this id.
    #[error("object {0} is not in the repository")]
    NoObject(ObjectId),
    /// No repository at this place.
    #[error("{0:?} is not a bare repository")]
    NoRepository(PathBuf),
    /// The place for a new repository is taken.
    #[error("{0:?} exists already; choose another place or remove it")]
    Exists(PathBuf),
    /// A path inside a tree is not acceptable.
    #[error("path {path:?} cannot be written: {why}")]
    BadPath {
        /// The path, decoded for people.
        path: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A repository cannot be imported from this source.
    #[error("cannot import from {source_text:?}: {why}")]
    BadSource {
        /// The source as given.
        source_text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Two commits have no common ancestor.
    #[error("{ours} and {theirs} have no common history")]
    Unrelated {
        /// One side.
        ours: ObjectId,
        /// The other side.
        theirs: ObjectId,
    },
    /// A git client sent something that is not the protocol, or over its limits.
    #[error("the git request is malformed: {0}")]
    BadRequest(String),
    /// Files of the repository could not be read or written.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Makes a [`GitError::Io`] out of an IO error.
pub(crate) fn io_error(action: impl Into<String>) -> impl FnOnce(io::Error) -> GitError {
    let action = action.into();
    move |source| GitError::Io { action, source }
}

/// Cuts and cleans a text of the git program for people: no control characters but line ends.
pub(crate) fn clean(text: &[u8], max_chars: usize) -> String {
    String::from_utf8_lossy(text)
        .trim()
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| *c == '\n' || !c.is_control())
        .take(max_chars)
        .collect()
}

fn show(id: Option<&ObjectId>) -> &str {
    id.map_or("nothing", ObjectId::as_str)
}
