//! What a use case can answer instead of a result.
//!
//! The public text and the private cause are different things: the cause has no `Display`, so it
//! cannot end up in an answer. What a page can show is a sentence that the reader's language has; the
//! constructors here take nothing else. Deliberately absent: status codes.

use std::fmt;

use nightshift_domain::config::ConfigError;
use nightshift_domain::sentence::{Place, Sentence, joined, text};
use nightshift_domain::{issue, job, speech};
use nightshift_git::GitError;
use nightshift_store::Error as StoreError;

use crate::say::server;

/// Why an intention was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the caller may not know of it.
    #[error("{detail}")]
    NotFound {
        /// What is missing and where to look.
        detail: Place,
    },
    /// The caller is nobody we know.
    #[error("{detail}")]
    Unauthenticated {
        /// Why, and how to get a token.
        detail: Place,
    },
    /// The caller may see it but not do this.
    #[error("{detail}")]
    Forbidden {
        /// What role would be needed.
        detail: Place,
    },
    /// What was sent is not acceptable.
    #[error("{detail}")]
    Invalid {
        /// Which field, why, and what is expected.
        detail: Place,
    },
    /// A file that was sent is not acceptable; each mistake has its place.
    #[error("{}", told(.problems))]
    Unfit {
        /// What is wrong; never empty.
        problems: Vec<ConfigError>,
    },
    /// A rule forbids it in the present state.
    #[error("{detail}")]
    Refused {
        /// Which rule, and what to do.
        detail: Place,
    },
    /// Somebody else was faster, or the name is taken.
    #[error("{detail}")]
    Conflict {
        /// What changed, and what to do.
        detail: Place,
    },
    /// The head that the decision is about is not the head any more.
    #[error("{detail}")]
    StaleHead {
        /// What is the head now.
        detail: Place,
    },
    /// The writer lost its lease.
    #[error("{detail}")]
    StaleEpoch {
        /// Which epochs.
        detail: Place,
    },
    /// The caller tries too often.
    #[error("{detail}")]
    TooMany {
        /// How long to wait.
        detail: Place,
        /// The same, in seconds.
        seconds: u64,
    },
    /// It cannot be done right now; the same request may work later.
    #[error("{detail}")]
    Unavailable {
        /// What is wrong.
        detail: Place,
    },
    /// Our fault.
    #[error("{}", server::inside())]
    Internal(Cause),
}

/// A private cause, for the server's own log only.
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// The cause with all that is below it, for the log.
    #[must_use]
    pub fn for_log(&self) -> String {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        text
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cause")
    }
}

impl Error {
    /// A failure of ours, with its private cause.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Cause(source.into()))
    }

    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Place {
        match self {
            Self::NotFound { detail }
            | Self::Unauthenticated { detail }
            | Self::Forbidden { detail }
            | Self::Invalid { detail }
            | Self::Refused { detail }
            | Self::Conflict { detail }
            | Self::StaleHead { detail }
            | Self::StaleEpoch { detail }
            | Self::TooMany { detail, .. }
            | Self::Unavailable { detail } => detail.clone(),
            Self::Unfit { problems } => told(problems),
            Self::Internal(_) => server::inside().into(),
        }
    }

    pub(crate) fn not_found(said: Sentence) -> Self {
        let detail = said.into();
        Self::NotFound { detail }
    }

    pub(crate) fn forbidden(said: Sentence) -> Self {
        let detail = said.into();
        Self::Forbidden { detail }
    }

    pub(crate) fn invalid(said: Sentence) -> Self {
        let detail = said.into();
        Self::Invalid { detail }
    }

    pub(crate) fn unfit(problems: Vec<ConfigError>) -> Self {
        Self::Unfit { problems }
    }

    pub(crate) fn refused(said: Sentence) -> Self {
        let detail = said.into();
        Self::Refused { detail }
    }

    pub(crate) fn conflict(said: Sentence) -> Self {
        let detail = said.into();
        Self::Conflict { detail }
    }

    pub(crate) fn stale_head(said: Sentence) -> Self {
        let detail = said.into();
        Self::StaleHead { detail }
    }

    pub(crate) fn unavailable(said: Sentence) -> Self {
        let detail = said.into();
        Self::Unavailable { detail }
    }
}

/// Errors that no page can show, in plain English: those of the protocol of runners, of what an agent
/// may do, of keys of requests, and of states that a page cannot bring about.
pub(crate) mod plain {
    use nightshift_domain::sentence::Place;

    use super::Error;

    pub(crate) fn not_found(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::NotFound { detail }
    }

    pub(crate) fn forbidden(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::Forbidden { detail }
    }

    pub(crate) fn unauthenticated(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::Unauthenticated { detail }
    }

    pub(crate) fn invalid(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::Invalid { detail }
    }

    pub(crate) fn refused(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::Refused { detail }
    }

    pub(crate) fn conflict(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::Conflict { detail }
    }

    pub(crate) fn stale_epoch(detail: impl Into<Place>) -> Error {
        let detail = detail.into();
        Error::StaleEpoch { detail }
    }
}

/// All mistakes in one text, for whoever reads no fields.
fn told(problems: &[ConfigError]) -> Place {
    let told = joined(problems.iter().map(ConfigError::said_at_field));
    told.unwrap_or_else(|| text(""))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { what } => Self::conflict(server::changed(what)),
            StoreError::Duplicate { what } => Self::conflict(server::exists(what)),
            StoreError::Full(_) => Self::unavailable(server::database_full()),
            StoreError::Unavailable(source) => {
                tracing::warn!(%source, "the database is unavailable");
                Self::unavailable(server::database_silent())
            }
            other => Self::internal(other),
        }
    }
}

impl From<GitError> for Error {
    fn from(error: GitError) -> Self {
        match error {
            GitError::BadRequest(_) => Self::invalid(server::as_said(error.to_string())),
            GitError::TimedOut { .. } => Self::unavailable(server::git_slow(error.to_string())),
            other => Self::internal(other),
        }
    }
}

impl From<issue::Refused> for Error {
    fn from(refused: issue::Refused) -> Self {
        Self::refused(refused.said())
    }
}

impl From<speech::Refused> for Error {
    fn from(refused: speech::Refused) -> Self {
        match refused {
            speech::Refused::Empty { .. } | speech::Refused::TooLong { .. } => {
                plain::invalid(refused.to_string())
            }
            speech::Refused::TooSoon { seconds } => Self::TooMany {
                detail: refused.to_string().into(),
                seconds,
            },
            speech::Refused::Asked | speech::Refused::Spent { .. } => {
                plain::refused(refused.to_string())
            }
        }
    }
}

impl From<job::Refused> for Error {
    fn from(refused: job::Refused) -> Self {
        match refused {
            job::Refused::StaleEpoch { .. } => {
                plain::stale_epoch(format!("{refused}: the run lost its lease; stop it"))
            }
            job::Refused::NotQueued(_)
            | job::Refused::NotLeased(_)
            | job::Refused::NotDue(_)
            | job::Refused::LeaseHolds(_)
            | job::Refused::Ended(_) => plain::refused(refused.to_string()),
        }
    }
}
