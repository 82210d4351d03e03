//! How often somebody may try: limits by address, by account, by browser.
//!
//! The idea: a flood waits for itself. What is tried without proof (a password, a link, a token, a
//! search) is counted by where it comes from; tries at one account are counted together, but those
//! of a browser that has been in before are counted apart, so nobody can lock a person out by
//! trying at their name. What makes the server look through much is done one at a time for a caller,
//! so that one who asks for much has one processor at most. Whoever has a valid session or token is never turned away for what others
//! do. Invariant: memory is bounded; beyond so many callers at one time, new ones share one count.
//! Deliberately absent: HTTP.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::Clock as Ticks;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Mutex, MutexGuard};

use crate::say::server;
use crate::{Clock, Error};

/// Callers that one limit tells apart at one time.
const MOST: usize = 20_000;
/// How many times more than one caller all those may do who are beyond that.
const CROWD: u32 = 10;
/// The shortest pause between two sweeps, in milliseconds.
const SWEEP: i64 = 1_000;
/// Turns that are told apart: callers who share one wait for each other.
const TURNS: usize = 1_024;

/// Every limit of the server.
pub struct Limits {
    /// Passwords and links tried from one address.
    pub sign_in: Limiter,
    /// Sign-ins begun or ended at a provider from one address.
    pub provider: Limiter,
    /// Requests without proof of who they are from one address: wrong tokens, ended sessions.
    pub guess: Limiter,
    /// Searches of one caller.
    pub search: Limiter,
    /// Searches of one caller at one time.
    pub searching: Turns,
    /// Passwords tried at one account by browsers that were never in.
    pub(crate) account: Limiter,
    /// Passwords tried by one browser that was, or set by one person.
    pub(crate) device: Limiter,
    /// Passwords tried by all browsers that were never in.
    pub(crate) strangers: Limiter,
}

impl Limits {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let limit = |burst, every| Limiter::new(clock, burst, Duration::from_millis(every), MOST);
        Self {
            sign_in: limit(60, 2_000),
            provider: limit(60, 2_000),
            guess: limit(600, 100),
            search: limit(60, 200),
            searching: Turns::default(),
            account: limit(20, 10_000),
            device: limit(10, 5_000),
            strangers: limit(30, 200),
        }
    }
}

/// One limit: so many at once, and one more after each pause.
pub struct Limiter {
    clock: Time,
    seed: RandomState,
    each: RateLimiter<u64, HashMapStateStore<u64>, Time, NoOpMiddleware<Nanos>>,
    crowd: RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Nanos>>,
    most: usize,
    swept: AtomicI64,
}

/// One at a time for each caller; the others of the same caller stand in line.
pub struct Turns {
    seed: RandomState,
    lines: Vec<Mutex<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            seed: RandomState::new(),
            lines: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
        }
    }
}

impl Turns {
    /// Waits for this caller's turn, which lasts until what is returned is dropped.
    pub async fn wait(&self, who: impl Hash) -> MutexGuard<'_, ()> {
        let hash = usize::try_from(self.seed.hash_one(who) % TURNS as u64).unwrap_or_default();
        self.lines[hash].lock().await
    }
}

/// The server's clock, as the library reads one.
#[derive(Clone)]
struct Time(Arc<dyn Clock>);

impl Time {
    fn millis(&self) -> i64 {
        self.0.now().as_millisecond()
    }
}

impl Ticks for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.millis()).unwrap_or_default();
        Nanos::new(millis.saturating_mul(1_000_000))
    }
}

impl Limiter {
    fn new(clock: &Arc<dyn Clock>, burst: u32, every: Duration, most: usize) -> Self {
        let clock = Time(Arc::clone(clock));
        let quota = |burst: u32, every: Duration| {
            let quota = Quota::with_period(every).expect("a pause that is not nothing");
            quota.allow_burst(NonZeroU32::new(burst).expect("a number that is not nothing"))
        };
        let crowd = quota(burst.saturating_mul(CROWD), every / CROWD);
        Self {
            seed: RandomState::new(),
            each: RateLimiter::new(
                quota(burst, every),
                HashMapStateStore::default(),
                clock.clone(),
            ),
            crowd: RateLimiter::new(crowd, InMemoryState::default(), clock.clone()),
            most,
            swept: AtomicI64::new(0),
            clock,
        }
    }

    /// Counts one try of this caller.
    ///
    /// # Errors
    /// `TooMany`, with the time to wait.
    pub fn take(&self, who: impl Hash) -> Result<(), Error> {
        let wait = if self.is_full() {
            let checked = self.crowd.check();
            checked.map_err(|not| not.wait_time_from(self.clock.now()))
        } else {
            let checked = self.each.check_key(&self.seed.hash_one(who));
            checked.map_err(|not| not.wait_time_from(self.clock.now()))
        };
        wait.map_err(|wait| {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            Error::TooMany {
                detail: server::too_many_tries(seconds).into(),
                seconds: u64::try_from(seconds).unwrap_or(u64::MAX),
            }
        })
    }

    /// Whether no more callers can be told apart; forgets those that may do everything again.
    fn is_full(&self) -> bool {
        if self.each.len() < self.most {
            return false;
        }
        let now = self.clock.millis();
        let last = self.swept.load(Ordering::Relaxed);
        let turn = now - last >= SWEEP
            && self
                .swept
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if turn {
            self.each.retain_recent();
            self.each.shrink_to_fit();
        }
        self.each.len() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).expect("a time")
        }
    }

    fn limiter(most: usize) -> (Arc<Hands>, Limiter) {
        let hands = Arc::new(Hands::default());
        hands.0.store(1_700_000_000_000, Ordering::SeqCst);
        let clock: Arc<dyn Clock> = Arc::clone(&hands) as Arc<dyn Clock>;
        let limiter = Limiter::new(&clock, 3, Duration::from_secs(2), most);
        (hands, limiter)
    }

    fn taken(limiter: &Limiter, who: &str, times: usize) -> usize {
        (0..times).filter(|_| limiter.take(who).is_ok()).count()
    }

    #[test]
    fn each_has_its_own_count_and_time_gives_it_back() {
        let (hands, limiter) = limiter(100);
        assert_eq!(taken(&limiter, "a", 10), 3);
        assert_eq!(taken(&limiter, "b", 2), 2);
        match limiter.take("a") {
            Err(Error::TooMany { seconds, .. }) => assert_eq!(seconds, 2),
            other => panic!("{other:?}"),
        }
        hands.0.fetch_add(2_000, Ordering::SeqCst);
        assert_eq!(taken(&limiter, "a", 10), 1);
        hands.0.fetch_add(60_000, Ordering::SeqCst);
        assert_eq!(taken(&limiter, "a", 10), 3);
    }

    #[tokio::test]
    async fn a_caller_has_one_turn_and_others_have_theirs() {
        use futures_util::FutureExt as _;
        let turns = Turns::default();
        let mine = turns.wait("a").await;
        assert!(turns.wait("a").now_or_never().is_none(), "it is taken");
        let others = (0..20).filter(|n| turns.wait(n).now_or_never().is_some());
        assert!(others.count() > 10, "nobody waits for somebody else");
        drop(mine);
        assert!(turns.wait("a").now_or_never().is_some());
    }

    #[test]
    fn ever_new_callers_fill_no_memory_and_share_a_count() {
        let (hands, limiter) = limiter(100);
        let through = (0..10_000)
            .filter(|number| limiter.take(format!("{number}")).is_ok())
            .count();
        assert_eq!(through, 100 + 30);
        assert!(limiter.each.len() <= 100);
        // They are forgotten when their time is over.
        hands.0.fetch_add(60_000, Ordering::SeqCst);
        assert_eq!(taken(&limiter, "x", 10), 3);
        assert_eq!(limiter.each.len(), 1);
    }
}
