//! Signing in by a provider of identities.
//!
//! A sign-in begins at our page, goes through the provider's, and comes back with a code. What
//! binds the three together is a secret that only the browser keeps, in a cookie: state, nonce and
//! proof key are made of it, so an answer that another browser asked for fits nowhere, and the
//! server keeps nothing of sign-ins that never come back. Invariant: an answer is taken once.
//! Deliberately absent: HTTP, and how a provider is asked.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::admission::{self, Known, Turned, Way};
use nightshift_domain::id::{IdentityId, UserId};
use nightshift_store::event::NewEvent;
use nightshift_store::identity::{self, Identity};
use nightshift_store::token::{Holder, Token};
use nightshift_store::user::User;
use nightshift_store::{Tx, event, sign_in, token, user};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::session::{INVITATION, SESSION, SESSION_LASTS};
use crate::say::{account as say, quoted};
use crate::{App, Error, Provider, ProviderError, Secret, SignInKeys, Vouched, secret};

/// How long a sign-in may take at the provider.
pub const SIGN_IN_LASTS: Duration = Duration::from_secs(15 * 60);
/// How long is remembered that a sign-in came back; longer than any may take.
const REMEMBER: Duration = Duration::from_secs(24 * 3_600);
/// The longest address to go to afterwards that a cookie has room for.
const LONGEST_NEXT: usize = 800;

/// A sign-in that has begun.
pub struct Begun {
    /// Where the browser goes now.
    pub address: String,
    /// Tells this sign-in's cookie from others of the browser.
    pub tag: String,
    /// What the browser keeps until it is back.
    pub cookie: String,
}

/// What a browser comes back with.
#[derive(Clone, Default)]
pub struct Answer {
    /// What it kept.
    pub cookie: Option<String>,
    /// The state that the provider passed on.
    pub state: String,
    /// The code to redeem.
    pub code: Option<String>,
    /// What the provider says instead.
    pub error: Option<String>,
    /// Who the provider says it is (RFC 9207).
    pub issuer: Option<String>,
}

/// Why a sign-in did not work.
#[derive(Debug)]
pub enum NotIn {
    /// There is no such provider.
    NoProvider,
    /// This browser did not begin it, or it took too long, or it came back before.
    Stale,
    /// The provider does not answer.
    Silent {
        /// Its title.
        provider: String,
    },
    /// The provider says no.
    Denied {
        /// Its title.
        provider: String,
        /// Its words.
        said: String,
    },
    /// What the provider says is not to be trusted.
    Untrusted {
        /// Its title.
        provider: String,
        /// Why.
        why: String,
    },
    /// The invitation was used or is too old.
    InvitationGone,
    /// The provider vouches for the person, and the settings do not let them in.
    Turned {
        /// Its title.
        provider: String,
        /// Who it vouches for.
        who: String,
        /// Why.
        why: Turned,
    },
    /// Something else.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for NotIn {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What the cookie says.
#[derive(Serialize, Deserialize)]
struct Kept {
    secret: String,
    begun: i64,
    provider: String,
    invitation: Option<String>,
    next: String,
}

impl App {
    /// Name and title of each provider.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.settings().providers.iter();
        all.map(|one| (one.name(), one.title()))
    }

    /// Begins a sign-in at a provider.
    ///
    /// # Errors
    /// `NoProvider`, `Silent`, `Untrusted`.
    pub async fn sign_in_begin(
        &self,
        name: &str,
        next: &str,
        invitation: Option<&str>,
    ) -> Result<Begun, NotIn> {
        let provider = self.provider(name)?;
        let fits = next.len() <= LONGEST_NEXT;
        let kept = Kept {
            secret: hex::encode(self.ids().secret()),
            begun: self.now().as_second(),
            provider: name.to_owned(),
            invitation: invitation.map(str::to_owned),
            next: if fits { next } else { "/" }.to_owned(),
        };
        let cookie = hex::encode(serde_json::to_vec(&kept).map_err(Error::internal)?);
        let keys = keys(&cookie);
        let address = provider
            .address(&keys, &self.back(name))
            .await
            .map_err(|error| lost(provider, error))?;
        Ok(Begun {
            address,
            tag: tag(&keys.state).to_owned(),
            cookie,
        })
    }

    /// Ends a sign-in: a session, and where to go.
    ///
    /// # Errors
    /// See [`NotIn`].
    pub async fn sign_in_end(&self, name: &str, answer: Answer) -> Result<(Secret, String), NotIn> {
        let provider = self.provider(name)?;
        let cookie = answer.cookie.ok_or(NotIn::Stale)?;
        let kept: Kept = hex::decode(&cookie)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or(NotIn::Stale)?;
        let keys = keys(&cookie);
        let now = self.now();
        let begun = Timestamp::from_second(kept.begun).map_err(|_| NotIn::Stale)?;
        let fits = secret::hash(&keys.state) == secret::hash(&answer.state)
            && kept.provider == name
            && begun + SIGN_IN_LASTS > now;
        if !fits {
            return Err(NotIn::Stale);
        }
        // From here on it is this browser's own sign-in, and the provider's words may be shown.
        let untrusted = |why: &str| NotIn::Untrusted {
            provider: provider.title().to_owned(),
            why: why.to_owned(),
        };
        if answer
            .issuer
            .is_some_and(|issuer| issuer != provider.issuer())
        {
            return Err(untrusted("the answer names another issuer"));
        }
        if let Some(said) = answer.error {
            return Err(NotIn::Denied {
                provider: provider.title().to_owned(),
                said: said.chars().take(300).collect(),
            });
        }
        let code = answer.code.ok_or_else(|| untrusted("there is no code"))?;
        let vouched = provider
            .redeem(&code, &keys, &self.back(name))
            .await
            .map_err(|error| lost(provider, error))?;
        let invitation = kept.invitation.as_deref();
        let session = self
            .enter(provider, &vouched, &keys.state, invitation)
            .await?;
        Ok((session, kept.next))
    }

    /// Decides on a person whom a provider vouches for, and opens their session.
    async fn enter(
        &self,
        provider: &dyn Provider,
        vouched: &Vouched,
        state: &str,
        invitation: Option<&str>,
    ) -> Result<Secret, NotIn> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        sign_in::sign_in_sweep(&mut tx, now - REMEMBER).await?;
        if !sign_in::sign_in_insert(&mut tx, &secret::hash(state), now).await? {
            return Err(NotIn::Stale);
        }
        let (issuer, subject) = (&vouched.issuer, &vouched.subject);
        let linked = identity::identity_by_subject(&mut tx, issuer, subject).await?;
        let invited = match invitation {
            Some(text) => Some(invited(&mut tx, text, now).await?),
            None => None,
        };
        let known = match (&linked, &invited) {
            (Some(linked), Some((_, user))) if linked.user != *user => Known::Taken,
            (Some(_), _) => Known::Linked,
            (None, Some(_)) => Known::Invited,
            (None, None) => Known::Stranger,
        };
        let claims = &vouched.claims;
        let way = admission::admit(provider.policy(), claims, known).map_err(|why| {
            let who = claims.email.as_ref().or(claims.username.as_ref());
            NotIn::Turned {
                provider: provider.title().to_owned(),
                who: who.unwrap_or(subject).clone(),
                why,
            }
        })?;
        let whose = match (way, linked, invited) {
            (Way::Enter, Some(linked), _) => {
                let email = claims.email.as_deref();
                identity::identity_used(&mut tx, linked.id, email, now).await?;
                linked.user
            }
            (Way::Link, _, Some((link, user))) => {
                token::token_revoke(&mut tx, link.id, now).await?;
                self.link(&mut tx, provider, vouched, user).await?;
                user
            }
            (Way::Enter | Way::Link | Way::Create, _, _) => {
                let user = self.newcomer(&mut tx, vouched).await?;
                self.link(&mut tx, provider, vouched, user).await?;
                user
            }
        };
        self.follow_role(&mut tx, provider, vouched, whose).await?;
        let session = self
            .limited_token(&mut tx, whose, SESSION, SESSION_LASTS)
            .await?;
        self.commit_plain(tx).await?;
        Ok(session)
    }

    /// Makes an account under a name that is free.
    async fn newcomer(&self, tx: &mut Tx, vouched: &Vouched) -> Result<UserId, Error> {
        let wish = admission::name_of(&vouched.claims);
        let more = (2..1_000).map(|number| format!("{wish}-{number}"));
        for name in std::iter::once(wish.clone()).chain(more) {
            if user::user_by_name(tx, &name).await?.is_some() {
                continue;
            }
            let person = User {
                id: UserId(self.ids().uuid()),
                name,
                is_admin: false,
                created_at: self.now(),
            };
            user::user_insert(tx, &person).await?;
            let data = json!({ "name": person.name, "issuer": vouched.issuer });
            self.record_of(tx, &person, "user.created", data).await?;
            return Ok(person.id);
        }
        Err(Error::conflict(say::wish_taken(quoted(wish))))
    }

    /// Links an identity to an account.
    async fn link(
        &self,
        tx: &mut Tx,
        provider: &dyn Provider,
        vouched: &Vouched,
        whose: UserId,
    ) -> Result<(), Error> {
        let now = self.now();
        let new = Identity {
            id: IdentityId(self.ids().uuid()),
            user: whose,
            provider: provider.name().to_owned(),
            issuer: vouched.issuer.clone(),
            subject: vouched.subject.clone(),
            email: vouched.claims.email.clone(),
            created_at: now,
            used_at: now,
        };
        identity::identity_insert(tx, &new).await?;
        let person = person(tx, whose).await?;
        let data = json!({ "name": person.name, "issuer": new.issuer, "subject": new.subject });
        self.record_of(tx, &person, "identity.linked", data).await
    }

    /// Gives or takes administration, where the provider decides that. The last administrator
    /// stays one, since nobody could mend it.
    async fn follow_role(
        &self,
        tx: &mut Tx,
        provider: &dyn Provider,
        vouched: &Vouched,
        whose: UserId,
    ) -> Result<(), Error> {
        let person = person(tx, whose).await?;
        let wanted = admission::administers(provider.policy(), &vouched.claims);
        let Some(is_admin) = wanted.filter(|wanted| *wanted != person.is_admin) else {
            return Ok(());
        };
        if !is_admin {
            let all = user::user_list(tx).await?;
            if !all.iter().any(|one| one.is_admin && one.id != whose) {
                tracing::warn!(name = person.name, "the last administrator stays one");
                return Ok(());
            }
        }
        user::user_set_admin(tx, whose, is_admin).await?;
        let data = json!({ "name": person.name, "is_admin": is_admin });
        self.record_of(tx, &person, "user.role-set", data).await
    }

    async fn record_of(
        &self,
        tx: &mut Tx,
        person: &User,
        kind: &str,
        data: serde_json::Value,
    ) -> Result<(), Error> {
        let new = NewEvent {
            project: None,
            issue: None,
            run: None,
            kind: kind.to_owned(),
            actor: Actor::Person {
                user: person.id,
                name: person.name.clone(),
            },
            data,
        };
        event::event_append(tx, &new, self.now()).await?;
        Ok(())
    }

    fn provider(&self, name: &str) -> Result<&dyn Provider, NotIn> {
        let mut all = self.settings().providers.iter();
        all.find(|one| one.name() == name)
            .map(|one| &**one)
            .ok_or(NotIn::NoProvider)
    }

    /// Where a provider sends the browser back to.
    fn back(&self, name: &str) -> String {
        format!("{}/sign-in/with/{name}/back", self.settings().public_url)
    }
}

/// The part of a state that names its cookie.
#[must_use]
pub fn tag(state: &str) -> &str {
    state.get(..8).unwrap_or_default()
}

/// What is derived from what the browser keeps. The hash lets nobody go from one to another.
fn keys(cookie: &str) -> SignInKeys {
    let derive = |what: &str| hex::encode(Sha256::digest(format!("{what}\n{cookie}")));
    SignInKeys {
        state: derive("sign-in state"),
        nonce: derive("sign-in nonce"),
        verifier: derive("sign-in verifier"),
    }
}

/// The account of an invitation that still works.
async fn invited(tx: &mut Tx, text: &str, now: Timestamp) -> Result<(Token, UserId), NotIn> {
    let found = token::token_by_hash(tx, &secret::hash(text)).await?;
    let open = found.filter(|one| {
        one.label == INVITATION
            && one.revoked_at.is_none()
            && one.expires_at.is_some_and(|end| end > now)
    });
    match open.map(|one| (one.holder, one)) {
        Some((Holder::Person(user), one)) => Ok((one, user)),
        Some(_) | None => Err(NotIn::InvitationGone),
    }
}

async fn person(tx: &mut Tx, id: UserId) -> Result<User, Error> {
    let found = user::user_get(tx, id).await?;
    found.ok_or_else(|| Error::not_found(say::account_gone()))
}

fn lost(provider: &dyn Provider, error: ProviderError) -> NotIn {
    let title = provider.title().to_owned();
    match error {
        ProviderError::Silent(cause) => {
            tracing::warn!(provider = provider.name(), cause, "a provider is silent");
            NotIn::Silent { provider: title }
        }
        ProviderError::Untrusted(why) => {
            tracing::warn!(
                provider = provider.name(),
                why,
                "a provider's word is not taken"
            );
            NotIn::Untrusted {
                provider: title,
                why,
            }
        }
    }
}
