//! Signing in: by a one-time link, or by a password. A session is a token with an end.
//!
//! Tries are counted by account and by browser, apart from each other: `limit.rs` says how. A
//! browser that was in by a password carries a token that does nothing but tell so.
//!
//! Every refusal has the same words and takes the same work, whoever it is about. Deliberately
//! absent: account lock-out, which would be a weapon in the hand of whoever knows a name.

use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use jiff::Timestamp;
use nightshift_domain::id::{TokenId, UserId};
use nightshift_store::token::{Holder, Token};
use nightshift_store::{password, token, user};
use serde_json::json;

use crate::say::{account as say, quoted, server};
use crate::{App, Caller, Error, Secret, secret};

/// The label of a session's token.
pub const SESSION: &str = "session";
/// The label of a one-time link's token.
pub const LINK: &str = "sign-in link";
/// The label of an invitation's token.
pub const INVITATION: &str = "invitation";
/// The label of the token of a browser that has been in by a password.
pub const DEVICE: &str = "known browser";
/// How long a browser is known.
pub const DEVICE_LASTS: Duration = Duration::from_secs(365 * 24 * 3_600);
/// How long a session lasts.
pub const SESSION_LASTS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a one-time link works.
pub const LINK_LASTS: Duration = Duration::from_secs(30 * 60);
/// Passwords that are worked on at one time.
pub(crate) const HASHING_AT_ONCE: usize = 2;
/// How long a try waits for its turn.
const HASHING_PATIENCE: Duration = Duration::from_secs(5);
/// The shortest password (NIST SP 800-63B-4 asks for 15 where it stands alone).
pub const SHORTEST_PASSWORD: usize = 15;

/// A person who is in.
pub struct SignedIn {
    /// Their session.
    pub session: Secret,
    /// What their browser keeps to be known the next time, if it was not known.
    pub device: Option<Secret>,
}

impl App {
    /// Makes a one-time sign-in link's secret for a person, on the server's own machine.
    ///
    /// # Errors
    /// `NotFound` for an unknown name.
    pub async fn link_create(&self, name: &str) -> Result<Secret, Error> {
        let mut tx = self.db().write().await?;
        let person = user::user_by_name(&mut tx, name)
            .await?
            .ok_or_else(|| Error::not_found(say::no_person(quoted(name))))?;
        let secret = self
            .limited_token(&mut tx, person.id, LINK, LINK_LASTS)
            .await?;
        self.commit_plain(tx).await?;
        Ok(secret)
    }

    /// Makes a one-time sign-in link's secret: one's own, or as an administrator another's. Says
    /// until when it works.
    ///
    /// # Errors
    /// `Forbidden` for another's without administration, `NotFound` for an unknown name.
    pub async fn session_link(
        &self,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<(Secret, Timestamp), Error> {
        let (own, own_name) = caller.person()?;
        let mut tx = self.db().write().await?;
        let (whose, name) = match name.filter(|name| *name != own_name) {
            None => (own, own_name),
            Some(name) => {
                self.admin(caller)?;
                let person = user::user_by_name(&mut tx, name)
                    .await?
                    .ok_or_else(|| Error::not_found(say::no_person_listed(quoted(name))))?;
                (person.id, name)
            }
        };
        let secret = self.limited_token(&mut tx, whose, LINK, LINK_LASTS).await?;
        self.record_server(&mut tx, caller, "session.linked", json!({ "name": name }))
            .await?;
        self.commit(tx, caller).await?;
        Ok((secret, self.now() + LINK_LASTS))
    }

    /// Turns a one-time link's secret into a session; the link does not work again.
    ///
    /// # Errors
    /// `Unauthenticated` for a link that is unknown, used or too old.
    pub async fn sign_in_by_link(&self, text: &str) -> Result<Secret, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let found = token::token_by_hash(&mut tx, &secret::hash(text)).await?;
        let link = found.filter(|link| {
            link.label == LINK
                && link.revoked_at.is_none()
                && link.expires_at.is_some_and(|end| end > now)
        });
        let Some((link, Holder::Person(person))) = link.map(|link| (link.id, link.holder)) else {
            return Err(refused());
        };
        if !token::token_revoke(&mut tx, link, now).await? {
            return Err(refused());
        }
        let secret = self
            .limited_token(&mut tx, person, SESSION, SESSION_LASTS)
            .await?;
        self.commit_plain(tx).await?;
        Ok(secret)
    }

    /// Turns a name and a password into a session. `device` is what this browser was given when it
    /// was in before.
    ///
    /// # Errors
    /// `Unauthenticated`, with the same words whatever is wrong; `TooMany`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        device: Option<&str>,
    ) -> Result<SignedIn, Error> {
        let mut tx = self.db().read().await?;
        let person = user::user_by_name(&mut tx, name).await?;
        let known_here = match (&person, device) {
            (Some(person), Some(text)) => self.device_of(&mut tx, text, person.id).await?,
            _ => false,
        };
        // Whoever was in before is not kept out by others who try at the same name.
        let limits = self.limits();
        if known_here {
            limits.device.take(device)?;
        } else {
            limits.account.take(name)?;
            limits.strangers.take(())?;
        }
        let known = match &person {
            Some(person) => password::password_get(&mut tx, person.id).await?,
            None => None,
        };
        drop(tx);
        // An unknown name costs the same work as a wrong password.
        let hash = known.clone().unwrap_or_else(|| NOBODY.to_owned());
        let password = password.to_owned();
        let turn = self.hashing_turn().await?;
        let fits = tokio::task::spawn_blocking(move || verify(&hash, &password))
            .await
            .map_err(Error::internal)?;
        drop(turn);
        let (Some(person), Some(_), true) = (person, known, fits) else {
            return Err(refused());
        };
        let mut tx = self.db().write().await?;
        let session = self
            .limited_token(&mut tx, person.id, SESSION, SESSION_LASTS)
            .await?;
        let device = match known_here {
            true => None,
            false => Some(
                self.limited_token(&mut tx, person.id, DEVICE, DEVICE_LASTS)
                    .await?,
            ),
        };
        self.commit_plain(tx).await?;
        Ok(SignedIn { session, device })
    }

    /// Whether this is a browser that the person was in with.
    async fn device_of(
        &self,
        tx: &mut nightshift_store::Tx,
        text: &str,
        person: UserId,
    ) -> Result<bool, Error> {
        let now = self.now();
        let found = token::token_by_hash(tx, &secret::hash(text)).await?;
        Ok(found.is_some_and(|one| {
            one.label == DEVICE
                && one.holder == Holder::Person(person)
                && one.revoked_at.is_none()
                && one.expires_at.is_some_and(|end| end > now)
        }))
    }

    /// Sets the caller's own password, and ends all of their sessions and links.
    ///
    /// # Errors
    /// `Invalid` for a short one.
    pub async fn password_set(&self, caller: &Caller, new: &str) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let length = new.chars().count();
        if !(SHORTEST_PASSWORD..=256).contains(&length) {
            return Err(Error::invalid(say::password_length(SHORTEST_PASSWORD)));
        }
        self.limits().device.take(caller.holder())?;
        let new = new.to_owned();
        let salt = self.ids().secret();
        let turn = self.hashing_turn().await?;
        let hash = tokio::task::spawn_blocking(move || {
            Argon2::default()
                .hash_password_with_salt(new.as_bytes(), &salt[..16])
                .map(|hash| hash.to_string())
                .map_err(|error| error.to_string())
        })
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)?;
        drop(turn);
        let now = self.now();
        let mut tx = self.db().write().await?;
        password::password_set(&mut tx, own, &hash, now).await?;
        for label in [SESSION, LINK, INVITATION, DEVICE] {
            token::token_revoke_labelled(&mut tx, own, label, now).await?;
        }
        self.record_server(&mut tx, caller, "user.password-set", json!({}))
            .await?;
        self.commit(tx, caller).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_out(&self, session: &str) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        if let Some(found) = token::token_by_hash(&mut tx, &secret::hash(session)).await? {
            token::token_revoke(&mut tx, found.id, now).await?;
        }
        self.commit_plain(tx).await
    }

    /// Waits for a turn to work on a password: each takes 19 MiB and tens of milliseconds, so a
    /// flood of tries waits for itself and takes nothing from others.
    async fn hashing_turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        let turn = tokio::time::timeout(HASHING_PATIENCE, self.0.hashing.acquire()).await;
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Error::unavailable(server::crowded())),
        }
    }

    pub(crate) async fn limited_token(
        &self,
        tx: &mut nightshift_store::Tx,
        person: UserId,
        label: &str,
        lasts: Duration,
    ) -> Result<Secret, Error> {
        let now = self.now();
        let secret = Secret::new(self.ids().secret());
        let new = Token {
            id: TokenId(self.ids().uuid()),
            holder: Holder::Person(person),
            label: label.to_owned(),
            expires_at: Some(now + lasts),
            revoked_at: None,
            created_at: now,
            used_at: None,
        };
        token::token_insert(tx, &new, &secret.hash()).await?;
        Ok(secret)
    }
}

/// A hash that no password has, with the default costs.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn verify(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

fn refused() -> Error {
    Error::Unauthenticated {
        detail: say::not_signed_in().into(),
    }
}
