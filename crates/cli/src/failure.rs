//! How a command ends when it does not end well: one line for a person, one number for a script.
//!
//! Invariant: a cause has one number, whichever command meets it. Deliberately absent: printing.

use std::fmt;
use std::process::ExitCode;

use nightshift_api::client::CallError;

/// What every command returns.
pub(crate) type Done<T = ()> = Result<T, Failure>;

/// The exit codes, as `--help` and `docs/cli.md` list them.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done
  1  it failed, or the server refused it
  2  the command was used wrongly
  3  not found
  4  not allowed: no token, a wrong one, or one without the right
  5  the server cannot be reached
  6  conflict: somebody was faster (a newer head, a newer version)";

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It failed, or the server refused it.
    Failed = 1,
    /// The command was used wrongly.
    Usage = 2,
    /// No such thing.
    NotFound = 3,
    /// No token, a wrong one, or one without the right.
    NotAllowed = 4,
    /// The server cannot be reached.
    Unreachable = 5,
    /// Somebody was faster.
    Conflict = 6,
}

/// A command's bad end.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The number.
    pub(crate) exit: Exit,
    /// The thing, the cause, the next step; empty if it has been said already.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what else the person must know.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message = format!("{}; {more}", self.message);
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match &error {
            CallError::Problem(problem) => match problem.status {
                401 | 403 => Exit::NotAllowed,
                404 => Exit::NotFound,
                409 if error.kind() == Some("refused") => Exit::Failed,
                409 | 412 => Exit::Conflict,
                _ => Exit::Failed,
            },
            CallError::Unreachable { .. } => Exit::Unreachable,
            CallError::Strange { .. } => Exit::Failed,
        };
        let mut message = error.to_string();
        if let CallError::Problem(problem) = &error {
            if problem.status == 401 {
                message.push_str("; sign in with `nightshift login`");
            }
            if let (500.., Some(id)) = (problem.status, &problem.request_id) {
                message.push_str(&format!(" (request {id} in the server's log)"));
            }
        }
        Self { exit, message }
    }
}

impl From<nightshift_app::Error> for Failure {
    /// What the server says to its own operator, who may see the cause.
    fn from(error: nightshift_app::Error) -> Self {
        let exit = match &error {
            nightshift_app::Error::NotFound { .. } => Exit::NotFound,
            nightshift_app::Error::Conflict { .. } => Exit::Conflict,
            nightshift_app::Error::Internal(cause) => {
                return Self::failed(format!("{error}: {}", cause.for_log()));
            }
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use nightshift_api::Problem;

    use super::*;

    #[test]
    fn the_status_decides_the_number() {
        let of = |status, kind: &str| {
            let problem = Problem {
                kind: format!("/problems/{kind}"),
                title: String::new(),
                status,
                detail: "so it is".to_owned(),
                errors: Vec::new(),
                request_id: Some("r1".to_owned()),
            };
            let failure = Failure::from(CallError::Problem(Box::new(problem)));
            (failure.exit, failure.message)
        };
        let exit = |status| of(status, "x");
        assert_eq!(of(409, "refused").0, Exit::Failed);
        assert_eq!(of(409, "stale-head").0, Exit::Conflict);
        assert_eq!(exit(422), (Exit::Failed, "so it is".to_owned()));
        assert_eq!(exit(404).0, Exit::NotFound);
        assert_eq!(exit(403).0, Exit::NotAllowed);
        assert_eq!(exit(409).0, Exit::Conflict);
        assert_eq!(
            exit(401).1,
            "so it is; sign in with `nightshift login`".to_owned()
        );
        assert!(exit(500).1.contains("request r1"));
    }
}
