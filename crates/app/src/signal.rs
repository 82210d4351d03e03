//! What wakes whoever waits. Only hints: missing one costs time, never correctness, since every
//! waiter looks again by the clock.

use std::sync::Arc;

use nightshift_domain::id::RunId;
use tokio::sync::{Notify, broadcast, watch};

/// The bells of one server process.
#[derive(Clone)]
pub struct Signals {
    jobs: Arc<Notify>,
    reconcile: Arc<Notify>,
    events: broadcast::Sender<i64>,
    logs: broadcast::Sender<RunId>,
    commits: watch::Sender<u64>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            jobs: Arc::new(Notify::new()),
            reconcile: Arc::new(Notify::new()),
            events: broadcast::channel(256).0,
            logs: broadcast::channel(1_024).0,
            commits: watch::channel(0).0,
        }
    }
}

impl Signals {
    /// Something was committed, up to this place in the event log.
    pub(crate) fn committed(&self, seq: Option<i64>) {
        if let Some(seq) = seq {
            // Nobody may be listening; that is no error.
            drop(self.events.send(seq));
        }
        self.commits.send_modify(|count| *count += 1);
        self.jobs.notify_waiters();
        self.reconcile.notify_one();
    }

    pub(crate) fn log_grew(&self, run: RunId) {
        drop(self.logs.send(run));
    }

    /// Rings when a job may have become claimable.
    #[must_use]
    pub fn jobs(&self) -> &Notify {
        &self.jobs
    }

    /// Rings when a reconciler may have something to do.
    #[must_use]
    pub fn reconcile(&self) -> &Notify {
        &self.reconcile
    }

    /// Rings with the newest place in the event log.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<i64> {
        self.events.subscribe()
    }

    /// How often something was committed. Whoever waits sees the newest count only, however many
    /// there were.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Rings with the run whose log grew or ended.
    #[must_use]
    pub fn logs(&self) -> broadcast::Receiver<RunId> {
        self.logs.subscribe()
    }
}
