//! Which commits collide with which, remembered.
//!
//! A trial merge of two commits gives the same for ever, so what was tried once is not tried again
//! while it is remembered. Deliberately absent: which changes are tried against which.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use nightshift_domain::git_name::ObjectId;
use nightshift_git::Repository;

use crate::Error;

/// Pairs that are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");

/// Where two commits collide: paths, as text.
pub(crate) type Paths = Arc<[String]>;

/// What was tried so far.
pub(crate) struct Collided {
    known: Mutex<LruCache<(ObjectId, ObjectId), Paths>>,
    /// Held by whoever tries: trial merges are made for one commit after the other.
    turn: tokio::sync::Mutex<()>,
    /// The commits for which somebody tries or waits to try.
    trying: Mutex<HashSet<ObjectId>>,
}

/// The right to try for a commit, which one has at a time.
pub(crate) struct Trying<'a> {
    of: &'a Collided,
    ours: ObjectId,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        self.of.tried_for().remove(&self.ours);
    }
}

impl Default for Collided {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(MOST)),
            turn: tokio::sync::Mutex::default(),
            trying: Mutex::default(),
        }
    }
}

impl Collided {
    /// The paths at which each of `others` collides with `ours`, where that was tried.
    pub(crate) fn known(&self, ours: &ObjectId, others: &[ObjectId]) -> Vec<Option<Paths>> {
        let mut known = self.lock();
        let of = |other: &ObjectId| known.get(&(ours.clone(), other.clone())).cloned();
        others.iter().map(of).collect()
    }

    /// The right to try for this commit; none while another has it. So however often somebody looks at a
    /// change, it is tried once at a time.
    pub(crate) fn begin(&self, ours: &ObjectId) -> Option<Trying<'_>> {
        self.tried_for().insert(ours.clone()).then(|| Trying {
            of: self,
            ours: ours.clone(),
        })
    }

    fn tried_for(&self) -> MutexGuard<'_, HashSet<ObjectId>> {
        self.trying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The paths at which each of `others` collides with `ours`.
    pub(crate) async fn try_each(
        &self,
        repository: &Repository,
        ours: &ObjectId,
        others: &[ObjectId],
    ) -> Result<Vec<Paths>, Error> {
        let known = self.known(ours, others);
        if known.iter().all(Option::is_some) {
            return Ok(known.into_iter().flatten().collect());
        }
        let _turn = self.turn.lock().await;
        let mut known = self.known(ours, others);
        let new: Vec<ObjectId> = others
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(other, _)| other.clone())
            .collect();
        let tried = repository.collisions(ours, &new).await?;
        let mut tried = new.into_iter().zip(tried).map(|(other, paths)| {
            let text = |path: &nightshift_git::GitPath| path.to_text().into_owned();
            let paths: Paths = paths.iter().map(text).collect();
            self.lock().put((ours.clone(), other), Arc::clone(&paths));
            paths
        });
        for missing in known.iter_mut().filter(|known| known.is_none()) {
            *missing = tried.next();
        }
        Ok(known.into_iter().flatten().collect())
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(ObjectId, ObjectId), Paths>> {
        // Entries are whole after any panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_tries_for_a_commit() {
        let collided = Collided::default();
        let (one, other) = ("1".repeat(40), "2".repeat(40));
        let (one, other) = (one.parse().expect("an id"), other.parse().expect("an id"));
        let right = collided.begin(&one).expect("nobody tries");
        assert!(collided.begin(&one).is_none(), "somebody tries");
        assert!(collided.begin(&other).is_some(), "another commit");
        drop(right);
        assert!(collided.begin(&one).is_some(), "nobody tries any more");
    }
}
