//! How much of requests is held in memory at one time: of each run, and of all together.
//!
//! Invariant: what is held is counted before it is kept, and given back when its holder is dropped, so that
//! no number of connections makes the broker grow without bound. Deliberately absent: how large one request
//! may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one run may have in memory: the largest request, and some more.
pub(super) const OF_A_RUN: u64 = 96 << 20;
/// What all runs may have together.
pub(super) const OF_ALL: u64 = 1 << 30;

/// A bound, and what is held of it.
#[derive(Debug)]
pub(super) struct Shelf {
    held: AtomicU64,
    most: u64,
}

impl Shelf {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            most,
        })
    }

    /// Takes so much, if there is room.
    fn take(&self, bytes: u64) -> bool {
        let room = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The run's own.
    Run,
    /// The one of all runs.
    All,
}

/// What one request holds, until this is dropped.
pub(super) struct Held {
    run: Arc<Shelf>,
    all: Arc<Shelf>,
    bytes: u64,
}

impl Held {
    pub(super) fn new(run: &Arc<Shelf>, all: &Arc<Shelf>) -> Self {
        Self {
            run: Arc::clone(run),
            all: Arc::clone(all),
            bytes: 0,
        }
    }

    /// Takes so much more.
    pub(super) fn more(&mut self, bytes: usize) -> Result<(), Full> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if !self.run.take(bytes) {
            return Err(Full::Run);
        }
        if !self.all.take(bytes) {
            self.run.give_back(bytes);
            return Err(Full::All);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.run.give_back(self.bytes);
        self.all.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_all_runs_have_a_bound_each_and_what_is_dropped_is_free() {
        let all = Shelf::new(15);
        let (one, other) = (Shelf::new(10), Shelf::new(10));
        let mut first = Held::new(&one, &all);
        assert_eq!(first.more(6), Ok(()));
        assert_eq!(first.more(5), Err(Full::Run));
        assert_eq!(first.more(4), Ok(()));
        let mut second = Held::new(&other, &all);
        assert_eq!(second.more(6), Err(Full::All));
        assert_eq!(second.more(5), Ok(()));
        // What was refused by the one is not held of the other.
        drop(first);
        assert_eq!(second.more(5), Ok(()));
        assert_eq!(second.more(usize::MAX), Err(Full::Run));
        drop(second);
        assert_eq!(Held::new(&one, &all).more(10), Ok(()));
    }
}
