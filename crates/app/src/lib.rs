//! What is done: one use case for each intention, and the reconcilers that keep promises.
//!
//! A use case loads, lets `domain` decide, and saves, with the event in the same transaction. A
//! reconciler looks at everything, takes no input, and running it twice changes nothing.
//! Deliberately absent: HTTP, JSON of the wire, SQL, the clock and randomness (ports), tasks
//! started behind the caller's back.

mod acceptance;
mod auth;
mod change;
mod collided;
mod error;
mod findings;
mod keyed;
mod limit;
mod log;
mod order;
mod port;
mod proxy;
mod repository;
mod say;
mod seal;
mod secret;
mod settings;
mod signal;
mod standing;
mod used;

pub mod reconcile;
pub mod use_case;

pub use auth::{Caller, Once, Rights, SessionKey, Sight, Turn};
pub use error::{Cause, Error};
pub use limit::{Limiter, Limits};
pub use order::Prepared;
pub use port::{Asked, Clock, Ids, Provider, ProviderError, SignInKeys, Vouched};
pub use proxy::Proxies;
pub use say::all as sentences;
pub use seal::SealKey;
pub use secret::Secret;
pub use settings::{RunLimits, Settings};
pub use signal::Signals;

/// What is stored, as use cases return it; doors read the fields and never touch the store.
pub mod record {
    pub use nightshift_store::{
        Decision, Event, Head, Identity, Issue, IssueFilter, LineComment, Message, MessageKind,
        Notification, Project, Proposal, Pull, QueueEntry, Review, Run, RunState, Runner, Steer,
        Taken, Token, User, Verdict, View,
    };
}

/// What is versioned, as use cases return it.
pub mod git {
    pub use nightshift_git::{
        ByteStream, DiffOptions, FileDiff, FilePatch, GitPath, Hunk, Line, LineKind, Mode, Patch,
        Protocol, PushPolicy, Repository, Service, Side, Status,
    };
}

use std::sync::Arc;

use nightshift_store::Db;

/// The application: everything a door needs. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    db: Db,
    settings: Settings,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    signals: Signals,
    appending: keyed::Locks<nightshift_domain::id::RunId>,
    syncing: keyed::Locks<nightshift_domain::id::ProjectId>,
    hashing: tokio::sync::Semaphore,
    limits: Limits,
    used: used::Used,
    collided: collided::Collided,
    branches: std::sync::Mutex<reconcile::Seen>,
    repeating: keyed::Locks<[u8; 32]>,
    /// When the reconcilers last looked at everything, in seconds since 1970; 0 for never.
    ticked: std::sync::atomic::AtomicI64,
    /// What the last walk through the data found.
    storage: std::sync::Mutex<Option<Arc<use_case::storage::Storage>>>,
}

impl App {
    /// Puts the parts together and makes the directories it needs.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn open(
        settings: Settings,
        db: Db,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, Error> {
        for directory in [settings.repositories(), settings.logs()] {
            std::fs::create_dir_all(&directory).map_err(|source| {
                Error::unavailable(say::server::no_folder(
                    directory.display().to_string(),
                    source.to_string(),
                ))
            })?;
        }
        let limits = Limits::new(&clock);
        Ok(Self(Arc::new(Inner {
            db,
            limits,
            used: used::Used::default(),
            collided: collided::Collided::default(),
            settings,
            clock,
            ids,
            signals: Signals::default(),
            appending: keyed::Locks::default(),
            syncing: keyed::Locks::default(),
            hashing: tokio::sync::Semaphore::new(use_case::session::HASHING_AT_ONCE),
            branches: std::sync::Mutex::default(),
            repeating: keyed::Locks::default(),
            ticked: std::sync::atomic::AtomicI64::default(),
            storage: std::sync::Mutex::default(),
        })))
    }

    /// What wakes whoever waits.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.0.signals
    }

    /// How often somebody may try.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What the forms of one answer carry, to prove that they come from the session's own pages.
    #[must_use]
    pub fn form_token(&self, session: &str) -> String {
        Secret::form_token(session, self.ids().secret())
    }

    /// A time from now.
    #[must_use]
    pub fn later(&self, span: std::time::Duration) -> jiff::Timestamp {
        self.now() + span
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn ids(&self) -> &dyn Ids {
        self.0.ids.as_ref()
    }
}
