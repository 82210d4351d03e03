//! What many watch at once: computed once for all who see the same, never more often than
//! [`PAUSE`] allows.
//!
//! Something committed begins a **burst**; whoever needs what was committed waits for a burst that
//! began later, and the first one to ask does the work for all. So a viewer always gets the newest
//! state and nothing queues up for a slow one; a viewer that goes away half-way leaves the work to
//! the next. Rights are looked up anew in every burst, for all viewers with the same few
//! statements. Deliberately absent: tasks of its own, and what the pages look like.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_app::{App, Error, SessionKey, Sight};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The least time between two bursts.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// How old a burst may be although nothing was committed here: other server processes commit too,
/// and time itself changes what a page says.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The live pages of one server process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Live(Arc<Inner>);

#[derive(Default)]
struct Inner {
    viewers: Mutex<HashMap<u64, SessionKey>>,
    next: AtomicU64,
    current: tokio::sync::Mutex<Option<Arc<Burst>>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    bursts: AtomicU64,
    computed: AtomicU64,
    sent: AtomicU64,
}

/// What live pages did since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Who watches right now.
    pub viewers: usize,
    /// How often everything was looked at.
    pub bursts: u64,
    /// How many things were loaded or rendered.
    pub computed: u64,
    /// How many updates went out.
    pub sent: u64,
}

impl Live {
    /// What was done so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            viewers: self.viewers().len(),
            bursts: count(&self.0.counts.bursts),
            computed: count(&self.0.counts.computed),
            sent: count(&self.0.counts.sent),
        }
    }

    /// Somebody begins to watch, until what is returned is dropped.
    pub(crate) fn enter(&self, session: SessionKey) -> Viewer {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.viewers().insert(number, session);
        Viewer {
            live: self.clone(),
            number,
            session,
        }
    }

    /// A burst that has seen `commits` commits, and is not too old.
    pub(crate) async fn burst(&self, app: &App, commits: u64) -> Arc<Burst> {
        let mut current = self.0.current.lock().await;
        if let Some(burst) = &*current {
            if burst.commits >= commits && burst.begun.elapsed() < LOOK_AGAIN {
                return Arc::clone(burst);
            }
            tokio::time::sleep_until(burst.begun + PAUSE).await;
        }
        self.0.counts.bursts.fetch_add(1, Ordering::Relaxed);
        let burst = Arc::new(Burst {
            live: self.clone(),
            commits: *app.signals().commits().borrow(),
            begun: Instant::now(),
            sights: OnceCell::new(),
            slots: Mutex::default(),
        });
        *current = Some(Arc::clone(&burst));
        burst
    }

    /// Takes note of an update that goes out.
    pub(crate) fn sends(&self) {
        self.0.counts.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn viewers(&self) -> std::sync::MutexGuard<'_, HashMap<u64, SessionKey>> {
        self.0
            .viewers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches.
pub(crate) struct Viewer {
    live: Live,
    number: u64,
    session: SessionKey,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.live.viewers().remove(&self.number);
    }
}

/// One look at everything that somebody watches.
pub(crate) struct Burst {
    live: Live,
    commits: u64,
    begun: Instant,
    sights: OnceCell<HashMap<SessionKey, Option<Arc<Sight>>>>,
    slots: Mutex<HashMap<Key, Slot>>,
}

type Slot = Arc<OnceCell<Arc<dyn std::any::Any + Send + Sync>>>;

/// What is computed once in a burst: the kind of thing, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    what: &'static str,
    of: String,
}

impl Key {
    /// A thing of this kind, told apart from others of the kind by `of`.
    pub(crate) fn new(what: &'static str, of: impl std::fmt::Debug) -> Self {
        Self {
            what,
            of: format!("{of:?}"),
        }
    }
}

impl Burst {
    /// What the viewer may see; `None` when their session does not count any more.
    pub(crate) async fn sight(
        &self,
        app: &App,
        viewer: &Viewer,
    ) -> Result<Option<Arc<Sight>>, Error> {
        let all = self
            .sights
            .get_or_try_init(|| async {
                let mut sessions: Vec<SessionKey> = self.live.viewers().values().copied().collect();
                // Whoever came since then is looked up alone.
                sessions.push(viewer.session);
                self.count();
                let mut found: HashMap<SessionKey, Option<Arc<Sight>>> =
                    sessions.iter().map(|session| (*session, None)).collect();
                for (session, sight) in app.sights(&sessions).await? {
                    found.insert(session, Some(sight));
                }
                Ok::<_, Error>(found)
            })
            .await?;
        if let Some(known) = all.get(&viewer.session) {
            return Ok(known.clone());
        }
        self.count();
        let mut one = app.sights(&[viewer.session]).await?;
        Ok(one.remove(&viewer.session))
    }

    /// The thing of this key: computed by whoever asks first, for all who ask in this burst.
    pub(crate) async fn shared<T, F>(
        &self,
        key: Key,
        compute: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, Error>>,
    {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let thing = slot
            .get_or_try_init(|| async {
                self.count();
                let made: Arc<dyn std::any::Any + Send + Sync> = Arc::new(compute().await?);
                Ok::<_, Error>(made)
            })
            .await?;
        Arc::clone(thing)
            .downcast()
            .map_err(|_| Error::internal("two kinds of things have one key"))
    }

    fn count(&self) {
        self.live.0.counts.computed.fetch_add(1, Ordering::Relaxed);
    }
}
