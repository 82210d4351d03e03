//! People, tokens, notifications, runners.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::config::is_name;
use nightshift_domain::id::{RunnerId, TokenId, UserId};
use nightshift_domain::job::LEASE;
use nightshift_store::event::NewEvent;
use nightshift_store::notification::Notification;
use nightshift_store::runner::Runner;
use nightshift_store::token::{Holder, Token};
use nightshift_store::user::User;
use nightshift_store::{event, notification, project, runner, token, user};
use serde_json::json;
use uuid::Uuid;

use super::session::{DEVICE, INVITATION, LINK, SESSION};
use crate::error::plain;
use crate::say::{account as say, quoted};
use crate::{App, Caller, Error, Secret};

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub label: String,
    /// Another person's; administrators only.
    pub user: Option<String>,
    /// A runner's; administrators only.
    pub runner: Option<String>,
    /// Days until it stops working.
    pub expires_in_days: Option<u16>,
}

/// A runner and whether it is alive.
#[derive(Debug, Clone)]
pub struct RunnerView {
    /// The runner.
    pub runner: Runner,
    /// Whether it was heard of within the last lease.
    pub alive: bool,
}

impl App {
    /// Makes the first administrator and their token on a fresh server. Refused once there is
    /// anybody.
    ///
    /// # Errors
    /// `Conflict` when the server has people already.
    pub async fn found(&self, name: &str, label: &str) -> Result<Secret, Error> {
        check_name(name)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        if !user::user_list(&mut tx).await?.is_empty() {
            return Err(plain::conflict(
                "the server has its first administrator already",
            ));
        }
        let person = User {
            id: UserId(self.ids().uuid()),
            name: name.to_owned(),
            is_admin: true,
            created_at: now,
        };
        user::user_insert(&mut tx, &person).await?;
        let (_, secret) = self
            .make_token(&mut tx, Holder::Person(person.id), label, None, now)
            .await?;
        self.commit_plain(tx).await?;
        Ok(secret)
    }

    /// A token for a person or runner made by the operator on the server's own machine.
    ///
    /// # Errors
    /// `NotFound` for an unknown person.
    pub async fn operator_token(
        &self,
        user: Option<&str>,
        runner: Option<&str>,
        label: &str,
    ) -> Result<Secret, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let holder = self.holder(&mut tx, user, runner, now).await?;
        let (_, secret) = self.make_token(&mut tx, holder, label, None, now).await?;
        self.commit_plain(tx).await?;
        Ok(secret)
    }

    /// Makes a person known.
    ///
    /// # Errors
    /// `Forbidden` without administration, `Conflict` for a taken name.
    pub async fn user_create(
        &self,
        caller: &Caller,
        name: &str,
        is_admin: bool,
    ) -> Result<User, Error> {
        self.admin(caller)?;
        check_name(name)?;
        let person = User {
            id: UserId(self.ids().uuid()),
            name: name.to_owned(),
            is_admin,
            created_at: self.now(),
        };
        let mut tx = self.db().write().await?;
        if user::user_by_name(&mut tx, name).await?.is_some() {
            return Err(Error::conflict(say::person_exists(quoted(name))));
        }
        user::user_insert(&mut tx, &person).await?;
        self.record_server(&mut tx, caller, "user.created", json!({ "name": name }))
            .await?;
        self.commit(tx, caller).await?;
        Ok(person)
    }

    /// Lists people.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn user_list(&self, caller: &Caller) -> Result<Vec<User>, Error> {
        caller.person()?;
        let mut tx = self.db().read().await?;
        Ok(user::user_list(&mut tx).await?)
    }

    /// Makes a token.
    ///
    /// # Errors
    /// `Forbidden` for another's token without administration.
    pub async fn token_create(
        &self,
        caller: &Caller,
        new: &NewToken,
    ) -> Result<(Token, Secret), Error> {
        let (own, own_name) = caller.person()?;
        if new.label.trim().is_empty() || new.label.len() > 200 {
            return Err(Error::invalid(say::token_label()));
        }
        if [SESSION, LINK, INVITATION, DEVICE].contains(&new.label.trim()) {
            return Err(Error::invalid(say::token_label_taken(quoted(&new.label))));
        }
        let foreign = new.runner.is_some() || new.user.as_deref().is_some_and(|u| u != own_name);
        if foreign {
            self.admin(caller)?;
        }
        let now = self.now();
        let mut tx = self.db().write().await?;
        let holder = if foreign {
            self.holder(&mut tx, new.user.as_deref(), new.runner.as_deref(), now)
                .await?
        } else {
            Holder::Person(own)
        };
        let expires = new
            .expires_in_days
            .map(|days| now + Duration::from_secs(u64::from(days) * 86_400));
        let made = self
            .make_token(&mut tx, holder, &new.label, expires, now)
            .await?;
        self.record_server(
            &mut tx,
            caller,
            "token.created",
            json!({ "label": new.label }),
        )
        .await?;
        self.commit(tx, caller).await?;
        Ok(made)
    }

    /// Lists one's own tokens.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn token_list(&self, caller: &Caller) -> Result<Vec<Token>, Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().read().await?;
        Ok(token::token_list_of_user(&mut tx, own).await?)
    }

    /// Revokes one of one's own tokens.
    ///
    /// # Errors
    /// `NotFound` for a token that is not one's own.
    pub async fn token_revoke(&self, caller: &Caller, id: TokenId) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().write().await?;
        let known = token::token_list_of_user(&mut tx, own).await?;
        if !known.iter().any(|token| token.id == id) {
            return Err(Error::not_found(say::no_token(id.to_string())));
        }
        token::token_revoke(&mut tx, id, self.now()).await?;
        self.record_server(&mut tx, caller, "token.revoked", json!({ "id": id }))
            .await?;
        self.commit(tx, caller).await
    }

    /// Makes every token of a runner stop working; how many there were.
    ///
    /// # Errors
    /// `Forbidden` without administration, `NotFound` for an unknown name.
    pub async fn runner_revoke(&self, caller: &Caller, name: &str) -> Result<i64, Error> {
        self.admin(caller)?;
        let mut tx = self.db().write().await?;
        let known = runner::runner_by_name(&mut tx, name)
            .await?
            .ok_or_else(|| Error::not_found(say::no_runner(quoted(name))))?;
        let count = token::token_revoke_runner(&mut tx, known.id, self.now()).await?;
        let data = json!({ "runner": name, "tokens": count });
        self.record_server(&mut tx, caller, "runner.revoked", data)
            .await?;
        self.commit(tx, caller).await?;
        Ok(count)
    }

    /// Hands a runner no new jobs, or hands it jobs again; what it works on goes on either way. Saying
    /// it twice changes nothing.
    ///
    /// # Errors
    /// `Forbidden` without administration, `NotFound` for an unknown name.
    pub async fn runner_drain(
        &self,
        caller: &Caller,
        name: &str,
        draining: bool,
    ) -> Result<RunnerView, Error> {
        self.admin(caller)?;
        let mut tx = self.db().write().await?;
        let known = runner::runner_by_name(&mut tx, name)
            .await?
            .ok_or_else(|| Error::not_found(say::no_runner(quoted(name))))?;
        if known.draining != draining {
            runner::runner_drain(&mut tx, known.id, draining).await?;
            let kind = match draining {
                true => "runner.drained",
                false => "runner.resumed",
            };
            let data = json!({ "runner": name });
            self.record_server(&mut tx, caller, kind, data).await?;
        }
        self.commit(tx, caller).await?;
        Ok(RunnerView {
            alive: alive(&known, self.now()),
            runner: Runner { draining, ..known },
        })
    }

    /// Lists what waits for the caller, newest first, each with its project's name.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn notification_list(
        &self,
        caller: &Caller,
        unread: bool,
    ) -> Result<Vec<(Notification, String)>, Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().read().await?;
        let mut found = Vec::new();
        for one in notification::notification_list(&mut tx, own, unread, 200).await? {
            let name = project::project_get(&mut tx, one.project)
                .await?
                .map(|project| project.name)
                .unwrap_or_default();
            found.push((one, name));
        }
        Ok(found)
    }

    /// Marks a notification read.
    ///
    /// # Errors
    /// `NotFound` for one that is not the caller's.
    pub async fn notification_read(&self, caller: &Caller, id: Uuid) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().write().await?;
        if !notification::notification_read(&mut tx, own, id, self.now()).await? {
            return Err(Error::not_found(say::no_notification(id.to_string())));
        }
        self.commit(tx, caller).await
    }

    /// Lists runners.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn runner_list(&self, caller: &Caller) -> Result<Vec<RunnerView>, Error> {
        caller.person()?;
        let now = self.now();
        let mut tx = self.db().read().await?;
        let known = runner::runner_list(&mut tx).await?;
        Ok(known
            .into_iter()
            .map(|runner| RunnerView {
                alive: alive(&runner, now),
                runner,
            })
            .collect())
    }

    async fn holder(
        &self,
        tx: &mut nightshift_store::Tx,
        user: Option<&str>,
        runner: Option<&str>,
        now: Timestamp,
    ) -> Result<Holder, Error> {
        match (user, runner) {
            (Some(_), Some(_)) => Err(plain::invalid("give `user` or `runner`, not both")),
            (Some(name), None) => user::user_by_name(tx, name)
                .await?
                .map(|person| Holder::Person(person.id))
                .ok_or_else(|| Error::not_found(say::no_person(quoted(name)))),
            (None, Some(name)) => {
                check_name(name)?;
                if let Some(known) = runner::runner_by_name(tx, name).await? {
                    return Ok(Holder::Runner(known.id));
                }
                let new = Runner {
                    id: RunnerId(self.ids().uuid()),
                    name: name.to_owned(),
                    slots: 0,
                    version: String::new(),
                    kinds: None,
                    harnesses: None,
                    images: false,
                    draining: false,
                    last_seen_at: Timestamp::UNIX_EPOCH,
                    created_at: now,
                };
                runner::runner_insert(tx, &new).await?;
                Ok(Holder::Runner(new.id))
            }
            (None, None) => Err(plain::invalid("give `user` or `runner`")),
        }
    }

    async fn make_token(
        &self,
        tx: &mut nightshift_store::Tx,
        holder: Holder,
        label: &str,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Token, Secret), Error> {
        let secret = Secret::new(self.ids().secret());
        let new = Token {
            id: TokenId(self.ids().uuid()),
            holder,
            label: label.to_owned(),
            expires_at,
            revoked_at: None,
            created_at: now,
            used_at: None,
        };
        token::token_insert(tx, &new, &secret.hash()).await?;
        Ok((new, secret))
    }

    pub(crate) async fn record_server(
        &self,
        tx: &mut nightshift_store::Tx,
        caller: &Caller,
        kind: &str,
        data: serde_json::Value,
    ) -> Result<(), Error> {
        let new = NewEvent {
            project: None,
            issue: None,
            run: None,
            kind: kind.to_owned(),
            actor: caller.actor(),
            data,
        };
        event::event_append(tx, &new, self.now()).await?;
        Ok(())
    }
}

pub(crate) fn alive(runner: &Runner, now: Timestamp) -> bool {
    runner.last_seen_at + LEASE > now
}

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Error::invalid(say::bad_name(quoted(name))))
    }
}

/// The platform as an actor.
pub(crate) const SYSTEM: Actor = Actor::System;
