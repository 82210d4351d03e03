//! What an agent may say to the platform from inside its run, how long, and how often.
//!
//! Invariant: a limit is counted per run and kept by the platform, so that a captured agent can
//! waste its own words only. Each refusal says what the agent can do instead. Deliberately absent:
//! who speaks (see [`crate::access`]), and what comes of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speech {
    /// A question to a person; the run ends with it.
    Ask,
    /// How far it is.
    Progress,
    /// A rule for later work, as a suggestion to a person.
    Guideline,
    /// Work that belongs into an issue of its own.
    Split,
}

/// How much of one kind a run may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In one run.
    pub most: i64,
    /// The shortest time from one to the next.
    pub apart: Duration,
    /// The longest text, in bytes.
    pub bytes: usize,
}

/// What a run said of one kind so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// How often.
    pub count: i64,
    /// When last.
    pub last_at: Option<Timestamp>,
}

/// Why something is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A run asks once.
    #[error("this run has asked already: stop now, it will be resumed with the answer")]
    Asked,
    /// All of them are used up.
    #[error(
        "this run has {what} {most} times, which is the most: go on without, and say the rest in your summary"
    )]
    Spent {
        /// What it did.
        what: &'static str,
        /// How often it may.
        most: i64,
    },
    /// Too soon after the last.
    #[error("that is too soon after the last: at most one in {seconds} s; go on working")]
    TooSoon {
        /// The time between two.
        seconds: u64,
    },
    /// Nothing was said.
    #[error("`{field}` is empty: say something")]
    Empty {
        /// Where.
        field: &'static str,
    },
    /// It is too long.
    #[error("`{field}` has {given} bytes, and the most is {most}: make it shorter")]
    TooLong {
        /// Where.
        field: &'static str,
        /// How long it is.
        given: usize,
        /// How long it may be.
        most: usize,
    },
}

impl Speech {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ask, Self::Progress, Self::Guideline, Self::Split];

    /// How much of it a run may say.
    #[must_use]
    pub fn limit(self) -> Limit {
        let (most, apart, bytes) = match self {
            Self::Ask => (1, 0, 16 << 10),
            Self::Progress => (1_000, 1, 1_000),
            Self::Guideline => (5, 0, 2_000),
            Self::Split => (10, 0, 64 << 10),
        };
        Limit {
            most,
            apart: Duration::from_secs(apart),
            bytes,
        }
    }

    /// The run's count with this one, or why it is not heard.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn count(self, said: Said, now: Timestamp) -> Result<Said, Refused> {
        let Limit { most, apart, .. } = self.limit();
        if said.count >= most {
            let what = match self {
                Self::Ask => return Err(Refused::Asked),
                Self::Progress => "reported progress",
                Self::Guideline => "proposed a guideline",
                Self::Split => "split off an issue",
            };
            return Err(Refused::Spent { what, most });
        }
        // A clock that was set back is no reason to be silent for long.
        let passed = said.last_at.map(|last| now.duration_since(last));
        let soon =
            passed.is_some_and(|passed| !passed.is_negative() && passed.unsigned_abs() < apart);
        if soon {
            return Err(Refused::TooSoon {
                seconds: apart.as_secs(),
            });
        }
        Ok(Said {
            count: said.count + 1,
            last_at: Some(now),
        })
    }

    /// The text without the blanks around it, if it can be said.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn text(self, field: &'static str, text: &str) -> Result<String, Refused> {
        fit(field, text, self.limit().bytes)
    }
}

/// The longest feedback that a guideline is said to come from, in bytes.
pub const SOURCE_BYTES: usize = 2_000;

/// The text without the blanks around it, if it has 1 to `most` bytes.
///
/// # Errors
/// It is empty or too long.
pub fn fit(field: &'static str, text: &str, most: usize) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refused::Empty { field });
    }
    if text.len() > most {
        return Err(Refused::TooLong {
            field,
            given: text.len(),
            most,
        });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

    #[test]
    fn each_kind_has_its_own_limits() {
        let mut table = String::new();
        for speech in Speech::ALL {
            let limit = speech.limit();
            let mut said = Said::default();
            let mut at = NOW;
            let refused = loop {
                match speech.count(said, at) {
                    Ok(next) => said = next,
                    Err(refused) => break refused,
                }
                at += limit.apart;
            };
            assert_eq!(said.count, limit.most, "{speech:?}");
            table.push_str(&format!("{speech:?}: {} bytes; {refused}\n", limit.bytes));
        }
        insta::assert_snapshot!(table, @r"
        Ask: 16384 bytes; this run has asked already: stop now, it will be resumed with the answer
        Progress: 1000 bytes; this run has reported progress 1000 times, which is the most: go on without, and say the rest in your summary
        Guideline: 2000 bytes; this run has proposed a guideline 5 times, which is the most: go on without, and say the rest in your summary
        Split: 65536 bytes; this run has split off an issue 10 times, which is the most: go on without, and say the rest in your summary
        ");
    }

    #[test]
    fn progress_is_said_at_most_once_a_second() {
        let said = Said {
            count: 1,
            last_at: Some(NOW),
        };
        for (after_ms, heard) in [(-5_000, true), (0, false), (999, false), (1_000, true)] {
            let at = NOW + jiff::SignedDuration::from_millis(after_ms);
            let counted = Speech::Progress.count(said, at);
            assert_eq!(counted.is_ok(), heard, "{after_ms}: {counted:?}");
        }
        assert!(Speech::Guideline.count(said, NOW).is_ok());
    }

    #[test]
    fn a_text_is_neither_empty_nor_too_long() {
        let most = Speech::Progress.limit().bytes;
        for (text, fits) in [
            (" half way\n", true),
            (" \n", false),
            (&"x".repeat(most), true),
            (&"x".repeat(most + 1), false),
            // Bytes count, not characters.
            (&"\u{1f600}".repeat(most / 4 + 1), false),
        ] {
            let said = Speech::Progress.text("text", text);
            assert_eq!(said.is_ok(), fits, "{} bytes: {said:?}", text.len());
        }
        assert_eq!(Speech::Ask.text("text", " why? "), Ok("why?".to_owned()));
    }
}
