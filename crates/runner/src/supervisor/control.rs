//! The two levers on a run: halt it (its result so far is still kept), or lose it (its lease is
//! gone, nothing of it counts any more).
//!
//! Invariant: the first reason of each is the one that counts, and a lost run is also halted.
//! Deliberately absent: what is killed; whoever waits on a step listens here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use nightshift_api::runner::SteerOrder;
use nightshift_domain::transcript::Usage;
use tokio::sync::watch;
use uuid::Uuid;

/// Why a run is to end before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A person cancelled it.
    Stopped,
    /// The runner shuts down.
    Released,
    /// It wrote more log than it may.
    LogLimit {
        /// The limit, in bytes.
        bytes: u64,
    },
    /// The broker was lost, and with it every connection.
    Broker {
        /// How.
        how: String,
    },
    /// The model's provider wants no more calls for now.
    Limited {
        /// Until when.
        until: Option<Timestamp>,
        /// Why.
        why: String,
    },
    /// The login at the model's provider is worth nothing any more.
    Login {
        /// Which, and what to do.
        why: String,
    },
    /// The run's calls have cost what they may, in millionths of a dollar.
    Budget {
        /// What they may.
        most: u64,
    },
    /// The runner cannot write its log.
    Spool {
        /// What the system said.
        cause: String,
    },
}

/// Why a run is not this runner's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The server says so.
    Stale,
    /// The server was out of reach for nearly the time of the lease.
    Silent,
}

/// The levers of one run.
#[derive(Debug)]
pub(crate) struct Control {
    halt: watch::Sender<Option<Halt>>,
    lost: watch::Sender<Option<Lost>>,
    words: Mutex<Words>,
    /// What calls to models used so far, as the broker measured.
    used: Mutex<Option<Usage>>,
    /// Whether words wait for which the agent's turn is to end.
    urgent: watch::Sender<bool>,
}

/// What people said to the run.
#[derive(Debug, Default)]
struct Words {
    /// What the agent was not given yet, oldest first.
    waiting: Vec<SteerOrder>,
    /// What it was given, whether the server knows it or not.
    handed: Vec<Uuid>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            halt: watch::Sender::new(None),
            lost: watch::Sender::new(None),
            words: Mutex::default(),
            used: Mutex::default(),
            urgent: watch::Sender::new(false),
        }
    }
}

impl Control {
    /// Ends the run's work; what it has so far is kept.
    pub(crate) fn halt(&self, why: Halt) {
        self.halt.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }

    /// Ends everything about the run: its lease is gone.
    pub(crate) fn lose(&self, why: Lost) {
        self.lost.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }

    /// Why it is to end, if it is.
    #[must_use]
    pub(crate) fn is_halted(&self) -> Option<Halt> {
        self.halt.borrow().clone()
    }

    /// Why it is lost, if it is.
    #[must_use]
    pub(crate) fn is_lost(&self) -> Option<Lost> {
        *self.lost.borrow()
    }

    /// Waits until the run is to end, or is lost.
    pub(crate) async fn until_halted(&self) {
        let mut halt = self.halt.subscribe();
        // The sender lives as long as `self`.
        tokio::select! {
            biased;
            _ = self.until_lost() => {}
            _ = halt.wait_for(Option::is_some) => {}
        }
    }

    /// Waits until the run is lost.
    pub(crate) async fn until_lost(&self) -> Lost {
        let mut lost = self.lost.subscribe();
        let why = lost.wait_for(Option::is_some).await.map(|why| *why);
        match why {
            Ok(why) => why.unwrap_or(Lost::Silent),
            // INVARIANT: the sender is a field of `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes in words of people, each once however often the server sends it.
    pub(crate) fn say(&self, steers: Vec<SteerOrder>) {
        let mut words = self.words();
        for steer in steers {
            let known = words.handed.contains(&steer.id)
                || words.waiting.iter().any(|waiting| waiting.id == steer.id);
            if !known {
                words.waiting.push(steer);
            }
        }
        let urgent = words.waiting.iter().any(|waiting| waiting.now);
        drop(words);
        self.urgent.send_replace(urgent);
    }

    /// Words that the agent was not given yet.
    #[must_use]
    pub(crate) fn waiting(&self) -> Vec<SteerOrder> {
        self.words().waiting.clone()
    }

    /// Notes that the agent is given these.
    pub(crate) fn hand(&self, given: &[SteerOrder]) {
        let mut words = self.words();
        words.handed.extend(given.iter().map(|steer| steer.id));
        let Words { waiting, handed } = &mut *words;
        waiting.retain(|steer| !handed.contains(&steer.id));
        let urgent = waiting.iter().any(|waiting| waiting.now);
        drop(words);
        self.urgent.send_replace(urgent);
    }

    /// Everything that the agent was given.
    #[must_use]
    pub(crate) fn handed(&self) -> Vec<Uuid> {
        self.words().handed.clone()
    }

    /// Notes what calls to models used so far.
    pub(crate) fn note_used(&self, usage: Usage) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }

    /// What calls to models used so far, if that was measured.
    #[must_use]
    pub(crate) fn used(&self) -> Option<Usage> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until words are there for which the agent's turn is to end.
    pub(crate) async fn until_urgent(&self) {
        let mut urgent = self.urgent.subscribe();
        if urgent.wait_for(|urgent| *urgent).await.is_err() {
            // INVARIANT: the sender is a field of `self`.
            std::future::pending::<()>().await;
        }
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
