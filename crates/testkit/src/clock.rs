//! Time and luck that a test owns.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_app::{Clock, Ids};
use uuid::Uuid;

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    fn default() -> Self {
        // Some morning; no test depends on which.
        Self(AtomicI64::new(1_760_000_000_000))
    }
}

impl ManualClock {
    /// Lets time pass.
    pub fn pass(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("a span that fits");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // A millisecond passes at every look, so that what happens later is later.
        let millis = self.0.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_millisecond(millis).expect("a time")
    }
}

/// Identities that count up, so that a failing test fails the same way again.
#[derive(Debug, Default)]
pub struct SeededIds(AtomicU64);

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let next = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        // Version 7 in form: sorts by the counter.
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, next, 0))
    }

    fn secret(&self) -> [u8; 32] {
        let next = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&next.to_be_bytes());
        secret
    }
}
