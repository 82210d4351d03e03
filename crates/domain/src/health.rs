//! Whether a server is well: what was measured, and how it is judged.
//!
//! Deliberately absent: measuring.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a sign is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Well.
    Well,
    /// Somebody should look at it today.
    Warning,
    /// Work stands still, or soon will.
    Bad,
}

impl Level {
    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// How long the database took to answer, in milliseconds.
    Database {
        /// Milliseconds.
        millis: u64,
    },
    /// How long ago the reconcilers last looked at everything, in seconds; `None` if never.
    Reconcilers {
        /// Seconds.
        seconds: Option<u64>,
    },
    /// Free space where repositories and logs are, in bytes.
    Space {
        /// What is free.
        free: u64,
        /// What there is.
        total: u64,
    },
    /// Free inodes there: how many more files there can be.
    Inodes {
        /// What is free.
        free: u64,
        /// What there is; 0 where the file system does not count them.
        total: u64,
    },
    /// Runners that were heard of lately.
    Runners {
        /// How many.
        alive: usize,
        /// Whether work waits for one.
        wanted: bool,
    },
}

/// An answer of the database that a person feels, in milliseconds.
const SLOW: u64 = 250;
/// After how many seconds without a look something is wrong: the timer is every 5.
const LATE: u64 = 60;
/// Space that one large push may need, in bytes.
const RESERVE: u64 = 1 << 30;

impl Sign {
    /// The word used on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Database { .. } => "database",
            Self::Reconcilers { .. } => "reconcilers",
            Self::Space { .. } => "space",
            Self::Inodes { .. } => "inodes",
            Self::Runners { .. } => "runners",
        }
    }

    /// How it is to be taken.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Database { millis } if millis > SLOW => Level::Warning,
            Self::Reconcilers { seconds: None } => Level::Bad,
            Self::Reconcilers { seconds: Some(s) } if s > LATE => Level::Bad,
            Self::Space { free, .. } if free < RESERVE => Level::Bad,
            Self::Space { free, total } | Self::Inodes { free, total } if free < total / 50 => {
                Level::Bad
            }
            Self::Space { free, total } | Self::Inodes { free, total } if free < total / 10 => {
                Level::Warning
            }
            Self::Runners {
                alive: 0,
                wanted: true,
            } => Level::Bad,
            Self::Runners { alive: 0, .. } => Level::Warning,
            Self::Database { .. }
            | Self::Reconcilers { .. }
            | Self::Space { .. }
            | Self::Inodes { .. }
            | Self::Runners { .. } => Level::Well,
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Database { millis } => write!(f, "the database answers in {millis} ms"),
            Self::Reconcilers { seconds: None } => f.write_str("the reconcilers have not run yet"),
            Self::Reconcilers { seconds: Some(s) } => {
                write!(f, "the reconcilers ran {s} s ago")
            }
            Self::Space { free, total } => {
                write!(f, "{} of {} are free", size(free), size(total))
            }
            Self::Inodes { free, total } => write!(f, "{free} of {total} inodes are free"),
            Self::Runners { alive, .. } => write!(f, "{alive} alive"),
        }
    }
}

/// A number of bytes as a person reads it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut whole, mut tenth, mut unit) = (bytes, 0, 0);
    while whole >= 1_024 && unit + 1 < UNITS.len() {
        tenth = (whole % 1_024) * 10 / 1_024;
        whole /= 1_024;
        unit += 1;
    }
    if unit == 0 {
        format!("{whole} B")
    } else {
        format!("{whole}.{tenth} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_judged() {
        const GIB: u64 = 1 << 30;
        for (sign, level) in [
            (Sign::Database { millis: 3 }, Level::Well),
            (Sign::Database { millis: 900 }, Level::Warning),
            (Sign::Reconcilers { seconds: Some(5) }, Level::Well),
            (Sign::Reconcilers { seconds: Some(61) }, Level::Bad),
            (Sign::Reconcilers { seconds: None }, Level::Bad),
            (
                Sign::Space {
                    free: 50 * GIB,
                    total: 100 * GIB,
                },
                Level::Well,
            ),
            (
                Sign::Space {
                    free: 9 * GIB,
                    total: 100 * GIB,
                },
                Level::Warning,
            ),
            (
                Sign::Space {
                    free: GIB,
                    total: 100 * GIB,
                },
                Level::Bad,
            ),
            (
                Sign::Space {
                    free: GIB - 1,
                    total: 2 * GIB,
                },
                Level::Bad,
            ),
            (Sign::Inodes { free: 0, total: 0 }, Level::Well),
            (
                Sign::Inodes {
                    free: 1,
                    total: 100,
                },
                Level::Bad,
            ),
            (
                Sign::Runners {
                    alive: 1,
                    wanted: true,
                },
                Level::Well,
            ),
            (
                Sign::Runners {
                    alive: 0,
                    wanted: false,
                },
                Level::Warning,
            ),
            (
                Sign::Runners {
                    alive: 0,
                    wanted: true,
                },
                Level::Bad,
            ),
        ] {
            assert_eq!(sign.level(), level, "{sign:?}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
