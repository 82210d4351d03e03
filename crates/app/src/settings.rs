//! What the operator decides, passed down whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_git::Git;

use crate::{Provider, Proxies, SealKey};

/// Settings of the application.
#[derive(Clone)]
pub struct Settings {
    /// Where repositories and logs are.
    pub data: PathBuf,
    /// The git program.
    pub git: Git,
    /// What a run may use.
    pub limits: RunLimits,
    /// How long a finished run's log stays uncompressed.
    pub compress_logs_after: Duration,
    /// How long answers to repeated requests are kept.
    pub keep_answers: Duration,
    /// Names of the targets that every event is delivered to.
    pub targets: Vec<String>,
    /// Where browsers reach this server, without a slash at the end.
    pub public_url: String,
    /// Who vouches for people, in the order of the sign-in page.
    pub providers: Vec<Arc<dyn Provider>>,
    /// What seals the secrets of projects; without it none can be kept.
    pub seal_key: Option<SealKey>,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Proxies,
}

/// Caps of one run.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// Log, in bytes.
    pub log_bytes: u64,
    /// Bytes written to the workspace.
    pub disk_bytes: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            log_bytes: 64 << 20,
            disk_bytes: 10 << 30,
            memory_bytes: 4 << 30,
            processes: 2_048,
        }
    }
}

impl Settings {
    /// Settings with defaults for everything but the places.
    #[must_use]
    pub fn new(data: PathBuf, git: Git) -> Self {
        Self {
            data,
            git,
            limits: RunLimits::default(),
            compress_logs_after: Duration::from_secs(60 * 60),
            keep_answers: Duration::from_secs(24 * 60 * 60),
            targets: Vec::new(),
            public_url: String::new(),
            providers: Vec::new(),
            seal_key: None,
            trusted_proxies: Proxies::default(),
        }
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.data.join("repositories")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }
}
