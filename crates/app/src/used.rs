//! Which tokens opened something, remembered until it is written down.
//!
//! A token that is used all day is written once an hour, by the next look of the reconciler
//! `retention`, so that no request waits for a writer. What a crash takes with it is a few seconds.
//! Deliberately absent: tokens of runs, which live as long as their run.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::id::TokenId;
use nightshift_store::token::{Holder, Token};

/// How exact the time of a token's last use is.
const EXACT: Duration = Duration::from_secs(60 * 60);

/// Uses that are not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Used(Mutex<HashMap<TokenId, Timestamp>>);

impl Used {
    /// Takes note that a token opened something now.
    pub(crate) fn note(&self, token: &Token, now: Timestamp) {
        let known = token.used_at.is_some_and(|at| at + EXACT > now);
        match token.holder {
            Holder::Person(_) | Holder::Runner(_) if !known => {
                self.lock().insert(token.id, now);
            }
            Holder::Person(_) | Holder::Runner(_) | Holder::Run { .. } => {}
        }
    }

    /// What is to be written down; it is forgotten here.
    pub(crate) fn take(&self) -> HashMap<TokenId, Timestamp> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Timestamp>> {
        // A map of times is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
