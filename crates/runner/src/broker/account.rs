//! A model endpoint and the accounts that share its calls.
//!
//! Invariants: a call goes to the account that carries the fewest, and among these to the one that had
//! the fewest so far; one that is limited is left out until its reset; no key is ever formatted.
//! Deliberately absent: what limits an account (`reset.rs`), and how a login gets its tokens (`login`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::login::Login;
use crate::secret::Secret;

/// How a real key is presented to a model endpoint.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    name: HeaderName,
    value: HeaderValue,
    secret: Secret,
}

impl Credential {
    /// The key behind `prefix`, in the header of that name.
    pub(super) fn new(header: &str, prefix: &str, secret: Secret) -> Result<Self, String> {
        let name = header
            .parse()
            .map_err(|_| "the credential's header has no valid name".to_owned())?;
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", secret.expose()))
            .map_err(|_| "the credential is no valid header value".to_owned())?;
        value.set_sensitive(true);
        Ok(Self {
            name,
            value,
            secret,
        })
    }

    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }
}

/// A model endpoint.
pub(super) struct Endpoint {
    pub(super) base: reqwest::Url,
    accounts: Mutex<Vec<Account>>,
}

/// What an account presents.
#[derive(Clone)]
pub(super) enum Key {
    /// Nothing: a model that wants none.
    None,
    /// Always the same.
    Fixed(Credential),
    /// The token of a login, which changes.
    Login(Arc<Login>),
}

struct Account {
    key: Key,
    limited: Option<Instant>,
    busy: u64,
    calls: u64,
}

/// An account in use, until this is dropped.
pub(super) struct Lease {
    endpoint: Arc<Endpoint>,
    at: usize,
    pub(super) key: Key,
}

impl Endpoint {
    /// Without a credential it is an endpoint that wants none.
    pub(super) fn new(base: reqwest::Url, keys: Vec<Key>) -> Self {
        let account = |key| Account {
            key,
            limited: None,
            busy: 0,
            calls: 0,
        };
        let mut accounts: Vec<Account> = keys.into_iter().map(account).collect();
        if accounts.is_empty() {
            accounts.push(account(Key::None));
        }
        Self {
            base,
            accounts: Mutex::new(accounts),
        }
    }

    /// An account for a call, or when the first one is free again.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Result<Lease, Instant> {
        let mut accounts = self.accounts();
        for account in accounts.iter_mut() {
            account.limited = account.limited.filter(|until| *until > now);
        }
        let free = accounts
            .iter_mut()
            .enumerate()
            .filter(|(_, account)| account.limited.is_none())
            .min_by_key(|(_, account)| (account.busy, account.calls));
        if let Some((at, account)) = free {
            account.busy += 1;
            account.calls += 1;
            return Ok(Lease {
                endpoint: Arc::clone(self),
                at,
                key: account.key.clone(),
            });
        }
        let first = accounts.iter().filter_map(|account| account.limited).min();
        Err(first.unwrap_or(now))
    }

    /// The text without any key of this endpoint.
    pub(super) fn clean(&self, mut text: String) -> String {
        for account in self.accounts().iter() {
            text = match &account.key {
                Key::None => text,
                Key::Fixed(credential) => text.replace(credential.secret.expose(), "***"),
                Key::Login(login) => login.clean(text),
            };
        }
        text
    }

    /// How many accounts share its calls.
    pub(super) fn count(&self) -> usize {
        self.accounts().len()
    }

    fn accounts(&self) -> MutexGuard<'_, Vec<Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Leaves the account out until then.
    pub(super) fn limit(&self, until: Instant) {
        if let Some(account) = self.endpoint.accounts().get_mut(self.at) {
            account.limited = account.limited.max(Some(until));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(account) = self.endpoint.accounts().get_mut(self.at) {
            account.busy = account.busy.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn accounts_share_and_a_limited_one_is_left_out() {
        let credentials = ["a", "b", "c"]
            .map(|key| Credential::new("x-api-key", "", Secret::new(key)).expect("a credential"));
        let base = "http://127.0.0.1:1".parse().expect("an address");
        let keys = credentials.iter().cloned().map(Key::Fixed).collect();
        let endpoint = Arc::new(Endpoint::new(base, keys));
        let now = Instant::now();
        let take = |at| {
            endpoint
                .take(at)
                .map(|lease| (lease.at, lease))
                .map_err(|until| until - at)
        };
        let (one, first) = take(now).expect("free");
        let (two, second) = take(now).expect("free");
        let (three, third) = take(now).expect("free");
        let mut all = [one, two, three];
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        drop(second);
        assert_eq!(
            take(now).expect("free").0,
            two,
            "the one that carries nothing"
        );
        let minute = Duration::from_secs(60);
        first.limit(now + minute);
        drop((first, third));
        for _ in 0..6 {
            assert_ne!(take(now).expect("free").0, one);
        }
        for at in [two, three] {
            let lease = loop {
                let lease = take(now).expect("free").1;
                if lease.at == at {
                    break lease;
                }
            };
            lease.limit(now + 2 * minute);
        }
        assert_eq!(take(now).map(|taken| taken.0).err(), Some(minute));
        assert_eq!(take(now + minute).expect("free").0, one);
        assert_eq!(
            endpoint.clean("b is not shown".to_owned()),
            "*** is not shown"
        );
        assert!(!format!("{credentials:?}").contains("\"a\""));
    }
}
