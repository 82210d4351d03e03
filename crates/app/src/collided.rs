//! Which commits collide with which, remembered.
//!
//! A trial merge of two commits gives the same for ever, so what was tried once is not tried again
//! while it is remembered. Deliberately absent: which changes are tried against which.

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
    /// Held by whoever tries, so that those who come meanwhile find what it brought.
    turn: tokio::sync::Mutex<()>,
}

impl Default for Collided {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(MOST)),
            turn: tokio::sync::Mutex::default(),
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
