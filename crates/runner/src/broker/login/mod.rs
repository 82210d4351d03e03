//! An account that is a login: an access token that ends soon, and a refresh token that gets the next one.
//!
//! The theory: one place refreshes. Whoever needs a token takes the one that is held; the first who finds
//! it due asks the token endpoint, in a task that nothing cuts short, and all who come meanwhile wait for
//! what it brings. Invariants: a new refresh token is on the disk before anything of its answer is used,
//! since the old one is worth nothing from then on; a refusal of the endpoint is not asked again before
//! somebody logged in anew; an access token that was just got and is refused gets no third. No token is in
//! an error, a log, or another process. Deliberately absent: how somebody logs in, and any provider's name.

mod ask;
mod file;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use self::ask::Answer;
use self::file::{LoginFile, Stamp, Tokens};
use super::account::Credential;
use super::model::Clock;
use crate::secret::Secret;

/// How long before its end a token is replaced; less for one that lives shorter.
const BEFORE: Duration = Duration::from_secs(60);
/// A token that is younger than this and refused is not replaced again.
const FRESH: Duration = Duration::from_secs(60);
/// The pause after a first try that got no answer, doubled with each, and its longest.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How many tokens of before are still kept out of texts.
const REMEMBERED: usize = 16;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Somebody must log in again.
    Login(String),
    /// It may work later.
    Later {
        /// What went wrong.
        why: String,
        /// When another try makes sense.
        wait: Duration,
    },
}

/// A login, shared by all calls of its account.
pub(super) struct Login {
    file: LoginFile,
    header: String,
    prefix: String,
    held: Mutex<Arc<Held>>,
    turn: tokio::sync::Mutex<Turn>,
    known: Mutex<Vec<Secret>>,
}

/// The token in use.
pub(super) struct Held {
    pub(super) credential: Credential,
    /// Rises with each token.
    pub(super) generation: u64,
    tokens: Tokens,
    /// When it is to be replaced, if it says when it ends.
    due: Option<Timestamp>,
    /// When it was got; nothing where it stood in the file.
    got: Option<Instant>,
}

/// What is known by whoever refreshes.
#[derive(Default)]
struct Turn {
    /// The endpoint's refusal, of the file as it was then.
    refused: Option<(String, Stamp)>,
    /// Tries that got no answer, in a row, and when the next may be made.
    failed: u32,
    not_before: Option<Instant>,
    /// Tokens that could not be written yet. Nobody has used them.
    unwritten: Option<Tokens>,
}

impl Login {
    /// Reads the file and sees that it can be written.
    pub(super) fn open(path: &Path, header: &str, prefix: &str) -> Result<Self, String> {
        let file = LoginFile::open(path)?;
        let tokens = file.read()?;
        file.try_to_write()?;
        let login = Self {
            held: Mutex::new(Arc::new(held(&tokens, header, prefix, 0, None)?)),
            file,
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            turn: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        };
        login.remember(&tokens);
        Ok(login)
    }

    /// A token that is not about to end.
    pub(super) async fn token(
        self: &Arc<Self>,
        client: &reqwest::Client,
        now: Clock,
    ) -> Result<Arc<Held>, Missing> {
        let held = self.held();
        if !is_due(&held, now) {
            return Ok(held);
        }
        match self.renewed(client, now, held.generation).await {
            // It is not at its end yet.
            Err(Missing::Later { .. }) if held.tokens.expires_at.is_some_and(|at| now() < at) => {
                Ok(held)
            }
            renewed => renewed,
        }
    }

    /// Another token than the one of this generation, which was refused or is about to end.
    pub(super) async fn renewed(
        self: &Arc<Self>,
        client: &reqwest::Client,
        now: Clock,
        seen: u64,
    ) -> Result<Arc<Held>, Missing> {
        let (login, client) = (Arc::clone(self), client.clone());
        // A caller that goes away must not take an answer with it that nobody else will get.
        let renewing = tokio::spawn(async move {
            let mut turn = login.turn.lock().await;
            let held = login.held();
            if held.generation != seen {
                return Ok(held);
            }
            login.renew(&mut turn, &client, now, &held).await
        });
        renewing.await.unwrap_or_else(|_| {
            Err(Missing::Later {
                why: "the refresh of the login broke off".to_owned(),
                wait: PAUSE,
            })
        })
    }

    async fn renew(
        &self,
        turn: &mut Turn,
        client: &reqwest::Client,
        now: Clock,
        held: &Arc<Held>,
    ) -> Result<Arc<Held>, Missing> {
        if let Some(tokens) = turn.unwritten.take() {
            return self.keep(turn, tokens, held);
        }
        if let Some((why, stamp)) = &turn.refused
            && *stamp == self.file.stamp()
        {
            return Err(Missing::Login(why.clone()));
        }
        // Somebody logged in again, or another runner of this machine was faster.
        let _lock = self
            .file
            .lock()
            .await
            .map_err(|why| self.later(turn, why))?;
        let tokens = self.file.read().map_err(Missing::Login)?;
        if tokens.access != held.tokens.access {
            let other = self.made(&tokens, held.generation + 1, None)?;
            if !is_due(&other, now) {
                *turn = Turn::default();
                return Ok(self.take(other));
            }
        }
        if held.got.is_some_and(|got| got.elapsed() < FRESH) && !is_due(held, now) {
            return Err(Missing::Login(format!(
                "the provider refuses the access token that was just got with {}: log in again, and \
                 see that the login has the right to use the model",
                self.file
            )));
        }
        if let Some(until) = turn.not_before.filter(|until| *until > Instant::now()) {
            return Err(Missing::Later {
                why: "the login could not be refreshed a moment ago".to_owned(),
                wait: until.saturating_duration_since(Instant::now()),
            });
        }
        match ask::refresh(client, &tokens, now).await {
            Answer::Tokens(new) => {
                self.remember(&new);
                self.keep(turn, *new, held)
            }
            Answer::Refused(code) => {
                let why = format!(
                    "the provider does not refresh the login of {} any more ({code}): log in again and put \
                     the new tokens into the file; runs that wait are then tried again",
                    self.file
                );
                tracing::warn!(file = %self.file, code, "a login is refused");
                turn.refused = Some((why.clone(), self.file.stamp()));
                Err(Missing::Login(why))
            }
            Answer::None(why) => {
                tracing::warn!(file = %self.file, why, "a login could not be refreshed");
                Err(self.later(turn, why))
            }
        }
    }

    /// Writes tokens down, and only then gives them out.
    fn keep(&self, turn: &mut Turn, new: Tokens, held: &Held) -> Result<Arc<Held>, Missing> {
        if let Err(why) = self.file.write(&new) {
            tracing::error!(file = %self.file, why, "new tokens of a login are not on the disk");
            turn.unwritten = Some(new);
            return Err(Missing::Later { why, wait: PAUSE });
        }
        *turn = Turn::default();
        let made = self.made(&new, held.generation + 1, Some(Instant::now()))?;
        Ok(self.take(made))
    }

    fn made(
        &self,
        tokens: &Tokens,
        generation: u64,
        got: Option<Instant>,
    ) -> Result<Held, Missing> {
        held(tokens, &self.header, &self.prefix, generation, got).map_err(Missing::Login)
    }

    fn take(&self, new: Held) -> Arc<Held> {
        self.remember(&new.tokens);
        let new = Arc::new(new);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        new
    }

    fn later(&self, turn: &mut Turn, why: String) -> Missing {
        let wait = PAUSE
            .saturating_mul(1 << turn.failed.min(16))
            .min(LONGEST_PAUSE);
        turn.failed += 1;
        turn.not_before = Some(Instant::now() + wait);
        Missing::Later { why, wait }
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The text without any token of this login, of now or of before.
    pub(super) fn clean(&self, mut text: String) -> String {
        for secret in self.known().iter() {
            text = text.replace(secret.expose(), "***");
        }
        text
    }

    fn remember(&self, tokens: &Tokens) {
        let mut known = self.known();
        for secret in tokens.secrets() {
            if !known.contains(secret) {
                known.push(secret.clone());
            }
        }
        let over = known.len().saturating_sub(REMEMBERED);
        known.drain(..over);
    }

    fn known(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(held: &Held, now: Clock) -> bool {
    held.due.is_some_and(|due| now() >= due)
}

fn held(
    tokens: &Tokens,
    header: &str,
    prefix: &str,
    generation: u64,
    got: Option<Instant>,
) -> Result<Held, String> {
    Ok(Held {
        credential: Credential::new(header, prefix, tokens.access.clone())?,
        generation,
        due: tokens.due(BEFORE),
        tokens: tokens.clone(),
        got,
    })
}

#[cfg(test)]
mod tests;
