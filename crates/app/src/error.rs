//! What a use case can answer instead of a result.
//!
//! The public text and the private cause are different things: the cause has no `Display`, so it
//! cannot end up in an answer. Deliberately absent: status codes.

use std::fmt;

use nightshift_domain::config::ConfigError;
use nightshift_domain::{issue, job, speech};
use nightshift_git::GitError;
use nightshift_store::Error as StoreError;

/// Why an intention was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the caller may not know of it.
    #[error("{detail}")]
    NotFound {
        /// What is missing and where to look.
        detail: String,
    },
    /// The caller is nobody we know.
    #[error("{detail}")]
    Unauthenticated {
        /// Why, and how to get a token.
        detail: String,
    },
    /// The caller may see it but not do this.
    #[error("{detail}")]
    Forbidden {
        /// What role would be needed.
        detail: String,
    },
    /// What was sent is not acceptable.
    #[error("{detail}")]
    Invalid {
        /// Which field, why, and what is expected.
        detail: String,
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
        detail: String,
    },
    /// Somebody else was faster, or the name is taken.
    #[error("{detail}")]
    Conflict {
        /// What changed, and what to do.
        detail: String,
    },
    /// The head that the decision is about is not the head any more.
    #[error("{detail}")]
    StaleHead {
        /// What is the head now.
        detail: String,
    },
    /// The writer lost its lease.
    #[error("{detail}")]
    StaleEpoch {
        /// Which epochs.
        detail: String,
    },
    /// The caller tries too often.
    #[error("{detail}")]
    TooMany {
        /// How long to wait.
        detail: String,
        /// The same, in seconds.
        seconds: u64,
    },
    /// It cannot be done right now; the same request may work later.
    #[error("{detail}")]
    Unavailable {
        /// What is wrong.
        detail: String,
    },
    /// Our fault.
    #[error("something went wrong inside the server; its log says what")]
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

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::NotFound {
            detail: detail.into(),
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid {
            detail: detail.into(),
        }
    }

    pub(crate) fn unfit(problems: Vec<ConfigError>) -> Self {
        Self::Unfit { problems }
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused {
            detail: detail.into(),
        }
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::Conflict {
            detail: detail.into(),
        }
    }
}

/// All mistakes in one text, for whoever reads no fields.
fn told(problems: &[ConfigError]) -> String {
    let one = |problem: &ConfigError| {
        let field = problem.field.as_ref().map(|field| format!("`{field}`: "));
        format!("{}{}", field.unwrap_or_default(), problem.message)
    };
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { what } => Self::conflict(format!(
                "the {what} changed in the meantime: look at it again and repeat"
            )),
            StoreError::Duplicate { what } => Self::conflict(format!("the {what} exists already")),
            StoreError::Full(_) => Self::Unavailable {
                detail: "the database cannot be written (is the disk full?): nothing was changed; \
                         free some space and repeat"
                    .to_owned(),
            },
            StoreError::Unavailable(source) => {
                tracing::warn!(%source, "the database is unavailable");
                Self::Unavailable {
                    detail: "the database does not answer: nothing was changed; repeat in a moment"
                        .to_owned(),
                }
            }
            other => Self::internal(other),
        }
    }
}

impl From<GitError> for Error {
    fn from(error: GitError) -> Self {
        match error {
            GitError::BadRequest(_) => Self::invalid(error.to_string()),
            GitError::TimedOut { .. } => Self::Unavailable {
                detail: format!("{error}: nothing was changed; repeat it"),
            },
            other => Self::internal(other),
        }
    }
}

impl From<issue::Refused> for Error {
    fn from(refused: issue::Refused) -> Self {
        Self::refused(refused.to_string())
    }
}

impl From<speech::Refused> for Error {
    fn from(refused: speech::Refused) -> Self {
        match refused {
            speech::Refused::Empty { .. } | speech::Refused::TooLong { .. } => {
                Self::invalid(refused.to_string())
            }
            speech::Refused::TooSoon { seconds } => Self::TooMany {
                detail: refused.to_string(),
                seconds,
            },
            speech::Refused::Asked | speech::Refused::Spent { .. } => {
                Self::refused(refused.to_string())
            }
        }
    }
}

impl From<job::Refused> for Error {
    fn from(refused: job::Refused) -> Self {
        match refused {
            job::Refused::StaleEpoch { .. } => Self::StaleEpoch {
                detail: format!("{refused}: the run lost its lease; stop it"),
            },
            job::Refused::NotQueued(_)
            | job::Refused::NotLeased(_)
            | job::Refused::NotDue(_)
            | job::Refused::LeaseHolds(_)
            | job::Refused::Ended(_) => Self::refused(refused.to_string()),
        }
    }
}
