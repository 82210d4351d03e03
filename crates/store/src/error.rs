//! What can go wrong with the store, by what the caller can do about it.
//!
//! Every database error is sorted here and nowhere else. Deliberately absent: rules of the business
//! (those are refusals of the domain) and the words of an HTTP answer.

use std::path::PathBuf;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row it is about, or a row it refers to, is not there.
    #[error("no such {what}")]
    NotFound {
        /// The noun of the table.
        what: &'static str,
    },
    /// A row with this key is there already.
    #[error("such a {what} exists already")]
    Duplicate {
        /// The noun of the table.
        what: &'static str,
    },
    /// Somebody else saved the row since it was read: read again, decide again.
    #[error("the {what} was changed by someone else in the meantime")]
    Stale {
        /// The noun of the table.
        what: &'static str,
    },
    /// Another process has the SQLite database open.
    #[error(
        "the database is in use by another process{}: {} is locked; stop that process, or give this one another data directory",
        holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process id that the lock file names.
        holder: Option<String>,
    },
    /// The disk is full or read-only: nothing was written, reading still works.
    #[error(
        "the database cannot be written: the disk is full or read-only; free space, then try again"
    )]
    Full(#[source] sqlx::Error),
    /// The database did not answer, or two transactions collided: trying again may help.
    #[error("the database is not available just now")]
    Unavailable(#[source] sqlx::Error),
    /// A row that cannot be read, or one that the schema refuses. Sweeps skip such rows.
    #[error("the {what} in the database is damaged: {detail}")]
    Corrupt {
        /// The noun of the table.
        what: &'static str,
        /// Which row and why, for the operator.
        detail: String,
    },
    /// The record of events was changed after it was written.
    #[error("the event log was altered: event {seq} does not follow from the one before it")]
    BrokenChain {
        /// The first event that does not fit.
        seq: i64,
    },
    /// The schema is newer than this program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: start a newer nightshift, or restore the backup made before the upgrade"
    )]
    TooNew {
        /// What the database says.
        found: i64,
        /// What this program can do.
        known: i64,
    },
    /// The text does not say where a database is.
    #[error(
        "{text:?} is not a database location: expected sqlite:/path/to/file or postgres://user@host/name"
    )]
    BadLocation {
        /// What was given, without any password.
        text: String,
    },
    /// The folder or the lock file of a SQLite database cannot be made.
    #[error("cannot open {}: check that the folder exists and may be written", path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anything else the database says: a bug, not a state of the world.
    #[error("the database refused a statement")]
    Sql(#[source] sqlx::Error),
}

impl Error {
    /// Sorts a database error; `what` is the noun of the table.
    pub(crate) fn sort(what: &'static str, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Io(_)
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            sqlx::Error::ColumnDecode { index, source } => Self::Corrupt {
                what,
                detail: format!("column {index}: {source}"),
            },
            sqlx::Error::Database(refusal) => {
                use sqlx::error::ErrorKind;
                match refusal.kind() {
                    ErrorKind::UniqueViolation => return Self::Duplicate { what },
                    ErrorKind::ForeignKeyViolation => {
                        return Self::NotFound {
                            what: "record that it refers to",
                        };
                    }
                    ErrorKind::CheckViolation | ErrorKind::NotNullViolation => {
                        return Self::Corrupt {
                            what,
                            detail: refusal.message().to_owned(),
                        };
                    }
                    _ => {}
                }
                let is_sqlite = refusal
                    .try_downcast_ref::<sqlx::sqlite::SqliteError>()
                    .is_some();
                let code = refusal.code().unwrap_or_default().into_owned();
                let detail = refusal.message().to_owned();
                let class = if is_sqlite {
                    sqlite_class(&code)
                } else {
                    postgres_class(&code)
                };
                match class {
                    Class::Full => Self::Full(error),
                    Class::Retry => Self::Unavailable(error),
                    Class::Damaged => Self::Corrupt {
                        what: "file",
                        detail,
                    },
                    Class::Bug => Self::Sql(error),
                }
            }
            _ => Self::Sql(error),
        }
    }

    /// Whether the same transaction may succeed if it is tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Stale { .. })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Full,
    Retry,
    Damaged,
    Bug,
}

/// By the primary result code, the low byte: <https://www.sqlite.org/rescode.html>.
fn sqlite_class(code: &str) -> Class {
    match code.parse::<i64>().unwrap_or(0) & 0xff {
        // SQLITE_FULL, SQLITE_READONLY
        13 | 8 => Class::Full,
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_CANTOPEN
        5 | 6 | 9 | 10 | 14 => Class::Retry,
        // SQLITE_CORRUPT, SQLITE_NOTADB
        11 | 26 => Class::Damaged,
        _ => Class::Bug,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_class(code: &str) -> Class {
    match code {
        // disk_full, read_only_sql_transaction
        "53100" | "25006" => Class::Full,
        // serialization_failure, deadlock_detected, lock_not_available, the idle and statement
        // timeouts, and the shutdown family
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => {
            Class::Retry
        }
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => Class::Damaged,
        // connection_exception, insufficient_resources
        _ if code.starts_with("08") || code.starts_with("53") => Class::Retry,
        _ => Class::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_the_caller_can_do() {
        for (code, class) in [
            ("13", Class::Full),
            ("1032", Class::Full),
            ("5", Class::Retry),
            ("517", Class::Retry),
            ("11", Class::Damaged),
            ("1", Class::Bug),
        ] {
            assert_eq!(sqlite_class(code), class, "SQLite {code}");
        }
        for (code, class) in [
            ("53100", Class::Full),
            ("25006", Class::Full),
            ("40001", Class::Retry),
            ("40P01", Class::Retry),
            ("08006", Class::Retry),
            ("53300", Class::Retry),
            ("42601", Class::Bug),
        ] {
            assert_eq!(postgres_class(code), class, "PostgreSQL {code}");
        }
    }
}
