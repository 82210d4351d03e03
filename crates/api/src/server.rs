//! Wire types of the server itself: whether it is well, and how much room it takes.

use jiff::Timestamp;
use nightshift_domain::health::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The server, for whoever administers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// What was measured just now.
    pub health: Vec<Sign>,
    /// How much room the data takes, as the last walk in the background found it; absent before the
    /// first has ended.
    pub storage: Option<Storage>,
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sign {
    /// `database`, `reconcilers`, `space`, `inodes` or `runners`.
    pub what: String,
    /// `well`, `warning` or `bad`.
    #[schemars(with = "String")]
    pub level: Level,
    /// What was found, in words.
    pub note: String,
}

/// How much room the data takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// When it was measured.
    #[schemars(with = "String")]
    pub measured_at: Timestamp,
    /// The database, in bytes.
    pub database_bytes: u64,
    /// Repositories by project, the largest first.
    pub repositories: Vec<Repository>,
    /// Logs of runs, in bytes.
    pub log_bytes: u64,
    /// How many files the logs are.
    pub log_files: u64,
    /// The file system of repositories and logs, in bytes.
    pub disk_bytes: u64,
    /// What of it is free.
    pub disk_free_bytes: u64,
    /// How many inodes it has; 0 where it does not count them.
    pub inodes: u64,
    /// How many of them are free.
    pub inodes_free: u64,
}

/// A repository's room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// The project's name.
    pub project: String,
    /// Bytes of all files.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// Whether there is more than a walk looks at.
    #[serde(default)]
    pub at_least: bool,
}
