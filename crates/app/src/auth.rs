//! Who calls, and what they may do in a project.
//!
//! A token is looked up by its hash. Who may not see a project gets "not found", so that names of
//! other people's projects do not leak. The table itself is `domain::access`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_domain::access::{self, Action, Actor, Role, Standing};
use nightshift_domain::id::{IssueId, ProjectId, RunId, RunnerId, UserId};
use nightshift_domain::job;
use nightshift_domain::sentence::Place;
use nightshift_store::Tx;
use nightshift_store::event::NewEvent;
use nightshift_store::idempotency::{self, Kept};
use nightshift_store::project::{self, Project};
use nightshift_store::run::RunState;
use nightshift_store::token::{Holder, Token};
use nightshift_store::{desk_park, event, job as jobs, member, run, token, user};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::error::plain;
use crate::say::{account, project as project_say, quoted};
use crate::use_case::session::{DEVICE, INVITATION, LINK};
use crate::{App, Error, secret};

/// Stands for the answer to a request that was carried out and is just being answered.
const PENDING: i64 = 0;
/// Stands for an answer that is not kept.
const SECRET: i64 = 1;
/// How often, and after which pause, an answer that is just being made is looked for.
const LOOKS: usize = 20;
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// The right to carry out a request under an idempotency key, given back when dropped.
pub struct Turn(#[expect(dead_code, reason = "held, never looked at")] OwnedMutexGuard<()>);

/// Who calls, proved by a token.
#[derive(Debug, Clone)]
pub struct Caller {
    who: Who,
    /// The request's idempotency key, if it has one.
    pub once: Option<Once>,
}

/// An idempotency key with the hash of the request it stands for.
#[derive(Debug, Clone)]
pub struct Once {
    /// The key.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub request: [u8; 32],
}

#[derive(Debug, Clone)]
enum Who {
    Person {
        user: UserId,
        name: String,
        is_admin: bool,
    },
    Runner(RunnerId),
    Run {
        run: RunId,
        project: ProjectId,
    },
}

/// Stands for a session without giving it away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key of this session's secret.
    #[must_use]
    pub fn of(session: &str) -> Self {
        Self(secret::hash(session))
    }
}

/// What one signed-in person may see right now, and what they put off.
#[derive(Debug)]
pub struct Sight {
    /// The person.
    pub caller: Caller,
    /// Their roles: project, its name, role; by project.
    pub roles: Vec<(ProjectId, String, Role)>,
    /// What they have put off on their desk.
    pub parked: BTreeSet<IssueId>,
}

/// Whose things a list shows. Two people with equal rights see the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rights {
    /// All projects: an administrator's.
    All,
    /// Those of these projects, in order, each with the role in it.
    Of(Vec<(ProjectId, Role)>),
}

impl Rights {
    /// How whoever has them stands in a project; none where they see nothing of it.
    pub(crate) fn standing(&self, project: ProjectId) -> Option<Standing> {
        match self {
            Self::All => Some(Standing::Admin),
            Self::Of(roles) => {
                let own = roles.iter().find(|(known, _)| *known == project);
                own.map(|(_, role)| Standing::Member(*role))
            }
        }
    }
}

impl Sight {
    /// Whose things the person sees.
    #[must_use]
    pub fn rights(&self) -> Rights {
        if self.caller.is_admin() {
            Rights::All
        } else {
            let roles = self.roles.iter();
            Rights::Of(roles.map(|(project, _, role)| (*project, *role)).collect())
        }
    }

    /// How the person stands in the project of this name, if they may see it.
    #[must_use]
    pub fn standing(&self, name: &str) -> Option<Standing> {
        if self.caller.is_admin() {
            return Some(Standing::Admin);
        }
        let role = self.roles.iter().find(|(_, known, _)| known == name);
        role.map(|(.., role)| Standing::Member(*role))
    }
}

impl Once {
    /// A key with the hash of what was asked under it.
    #[must_use]
    pub fn new(key: &str, method: &str, path: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), path.as_bytes(), body] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self {
            key: key.to_owned(),
            request: hash.finalize().into(),
        }
    }
}

impl Caller {
    /// The actor, for the record.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Person { user, name, .. } => Actor::Person {
                user: *user,
                name: name.clone(),
            },
            Who::Runner(runner) => Actor::Runner { runner: *runner },
            Who::Run { run, project } => Actor::Run {
                run: *run,
                project: *project,
            },
        }
    }

    /// The person, where the caller is one.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub fn person(&self) -> Result<(UserId, &str), Error> {
        match &self.who {
            Who::Person { user, name, .. } => Ok((*user, name)),
            Who::Runner(_) | Who::Run { .. } => Err(plain::forbidden(
                "this needs a person's token; runners and runs cannot do it",
            )),
        }
    }

    /// The runner, where the caller is one.
    ///
    /// # Errors
    /// `Forbidden` for everybody else.
    pub fn runner(&self) -> Result<RunnerId, Error> {
        match &self.who {
            Who::Runner(runner) => Ok(*runner),
            Who::Person { .. } | Who::Run { .. } => Err(plain::forbidden(
                "this needs a runner's token: `nightshift token new --runner NAME`",
            )),
        }
    }

    /// The run, where the caller is one.
    ///
    /// # Errors
    /// `Forbidden` for everybody else.
    pub fn run(&self) -> Result<RunId, Error> {
        match &self.who {
            Who::Run { run, .. } => Ok(*run),
            Who::Person { .. } | Who::Runner(_) => {
                Err(plain::forbidden("this needs the token of a live run"))
            }
        }
    }

    /// Whether the caller administers the server.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        matches!(self.who, Who::Person { is_admin: true, .. })
    }

    /// A stable name of the caller, for its idempotency keys.
    #[must_use]
    pub fn holder(&self) -> String {
        match &self.who {
            Who::Person { user, .. } => format!("person {user}"),
            Who::Runner(runner) => format!("runner {runner}"),
            Who::Run { run, .. } => format!("run {run}"),
        }
    }
}

impl App {
    /// Looks a bearer secret up.
    ///
    /// # Errors
    /// `Unauthenticated`, always with the same words, whatever is wrong with it.
    pub async fn authenticate(&self, text: &str) -> Result<Caller, Error> {
        let refused = || {
            plain::unauthenticated(
                "the token is unknown, expired or revoked: make one with `nightshift token new`",
            )
        };
        let now = self.now();
        let mut tx = self.db().read().await?;
        let found = token::token_by_hash(&mut tx, &secret::hash(text))
            .await?
            .ok_or_else(refused)?;
        if !counts(&found, now) {
            return Err(refused());
        }
        let who = match found.holder {
            Holder::Person(id) => {
                let person = user::user_get(&mut tx, id).await?.ok_or_else(refused)?;
                Who::Person {
                    user: id,
                    name: person.name,
                    is_admin: person.is_admin,
                }
            }
            Holder::Runner(id) => Who::Runner(id),
            Holder::Run { run: id, project } => {
                let live = run::run_get(&mut tx, id)
                    .await?
                    .filter(|run| run.state == RunState::Running)
                    .ok_or_else(refused)?;
                let job = jobs::job_get(&mut tx, live.job)
                    .await?
                    .ok_or_else(refused)?;
                match job.state.phase {
                    job::Phase::Leased { run, until, .. } if run == id && until > now => {}
                    _ => return Err(refused()),
                }
                Who::Run { run: id, project }
            }
        };
        self.0.used.note(&found, now);
        Ok(Caller { who, once: None })
    }

    /// Looks many sessions up at once, with what each may see. One that does not count any more, or
    /// is no person's, is left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sights(
        &self,
        sessions: &[SessionKey],
    ) -> Result<HashMap<SessionKey, Arc<Sight>>, Error> {
        let now = self.now();
        let hashes: Vec<[u8; 32]> = sessions.iter().map(|session| session.0).collect();
        let mut tx = self.db().read().await?;
        let mut held = token::token_list_held(&mut tx, &hashes).await?;
        held.retain(|(_, token, _)| counts(token, now));
        let mut people: Vec<UserId> = held.iter().map(|(_, _, user)| user.id).collect();
        people.sort_unstable();
        people.dedup();
        let roles = member::member_list_of_users(&mut tx, &people).await?;
        let parks = desk_park::park_list_of_users(&mut tx, &people, now).await?;
        let mut sights: HashMap<UserId, Arc<Sight>> = HashMap::new();
        let mut found = HashMap::new();
        for (hash, _, user) in held {
            let sight = sights.entry(user.id).or_insert_with(|| {
                Arc::new(Sight {
                    roles: roles
                        .iter()
                        .filter(|(whose, ..)| *whose == user.id)
                        .map(|(_, project, name, role)| (*project, name.clone(), *role))
                        .collect(),
                    parked: parks
                        .iter()
                        .filter(|(whose, _)| *whose == user.id)
                        .map(|(_, issue)| *issue)
                        .collect(),
                    caller: Caller {
                        who: Who::Person {
                            user: user.id,
                            name: user.name,
                            is_admin: user.is_admin,
                        },
                        once: None,
                    },
                })
            });
            found.insert(SessionKey(hash), Arc::clone(sight));
        }
        Ok(found)
    }

    /// How the caller stands in a project.
    pub(crate) async fn standing(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        project: ProjectId,
    ) -> Result<Standing, Error> {
        Ok(match &caller.who {
            Who::Person { is_admin: true, .. } => Standing::Admin,
            Who::Person { user, .. } => member::member_role(tx, project, *user)
                .await?
                .map_or(Standing::Outsider, Standing::Member),
            Who::Runner(_) => Standing::Runner,
            Who::Run { project: own, .. } if *own == project => Standing::Run,
            Who::Run { .. } => Standing::Outsider,
        })
    }

    /// The project of this name, if the caller may do this in it.
    pub(crate) async fn project_for(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &str,
        action: Action,
    ) -> Result<(Project, Standing), Error> {
        let missing = || Error::not_found(project_say::no_project(quoted(name)));
        let found = project::project_by_name(tx, name)
            .await?
            .ok_or_else(missing)?;
        let standing = self.standing(tx, caller, found.id).await?;
        if !access::allowed(standing, Action::ProjectRead) {
            return Err(missing());
        }
        if !access::allowed(standing, action) {
            return Err(forbidden(name, action));
        }
        Ok((found, standing))
    }

    /// The project of an object that was found by its own id.
    pub(crate) async fn project_of(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: ProjectId,
        action: Action,
        missing: impl Fn() -> Error,
    ) -> Result<Project, Error> {
        let found = project::project_get(tx, id).await?.ok_or_else(&missing)?;
        let standing = self.standing(tx, caller, id).await?;
        if !access::allowed(standing, Action::ProjectRead) {
            return Err(missing());
        }
        if !access::allowed(standing, action) {
            return Err(forbidden(&found.name, action));
        }
        Ok(found)
    }

    /// Refuses whoever does not administer the server.
    pub(crate) fn admin(&self, caller: &Caller) -> Result<(), Error> {
        if caller.is_admin() {
            Ok(())
        } else {
            Err(Error::forbidden(account::needs_admin()))
        }
    }

    /// Waits until no other request of this process is being carried out under the same key. Hold
    /// what it returns until the answer is kept.
    pub async fn turn(&self, caller: &Caller) -> Option<Turn> {
        let once = caller.once.as_ref()?;
        let whose = Once::new("", &caller.holder(), &once.key, b"");
        Some(Turn(self.0.repeating.lock(whose.request).await))
    }

    /// The answer given to this very request before, if its key is known. Where another server
    /// process is just carrying it out, waits a moment for its answer.
    ///
    /// # Errors
    /// `Conflict` when the key stands for another request, or when the answer is gone.
    pub async fn answer_before(&self, caller: &Caller) -> Result<Option<(i64, Vec<u8>)>, Error> {
        let Some(once) = &caller.once else {
            return Ok(None);
        };
        for _ in 0..LOOKS {
            let mut tx = self.db().read().await?;
            let kept = idempotency::idempotency_get(&mut tx, &caller.holder(), &once.key).await?;
            drop(tx);
            match kept {
                None => return Ok(None),
                Some(kept) if kept.request_hash != once.request => {
                    return Err(plain::conflict(
                        "this idempotency key was used for another request: take a new one",
                    ));
                }
                Some(kept) if kept.status == SECRET => {
                    return Err(plain::conflict(
                        "this request was carried out, and its answer held a secret that is shown \
                         once: look at the result, or make another under a new key",
                    ));
                }
                Some(kept) if kept.status == PENDING => tokio::time::sleep(LOOK_AGAIN).await,
                Some(kept) => return Ok(Some((kept.status, kept.body))),
            }
        }
        Err(plain::conflict(
            "this request was carried out and its answer was lost: look at the result",
        ))
    }

    /// Takes note that the answer to a request that was carried out is not kept, since it holds a
    /// secret.
    ///
    /// # Errors
    /// When it cannot be written; the request stays carried out.
    pub async fn keep_secret(&self, caller: &Caller) -> Result<(), Error> {
        self.keep_answer(caller, SECRET, &[]).await
    }

    /// Keeps the answer to a request that was carried out.
    ///
    /// # Errors
    /// When it cannot be written; the request stays carried out.
    pub async fn keep_answer(
        &self,
        caller: &Caller,
        status: i64,
        body: &[u8],
    ) -> Result<(), Error> {
        let Some(once) = &caller.once else {
            return Ok(());
        };
        let mut tx = self.db().write().await?;
        idempotency::idempotency_answer(&mut tx, &caller.holder(), &once.key, status, body).await?;
        Ok(tx.commit().await?)
    }

    /// Commits what a caller changed, with its idempotency key, and wakes whoever waits.
    pub(crate) async fn commit(&self, mut tx: Tx, caller: &Caller) -> Result<(), Error> {
        if let Some(once) = &caller.once {
            let kept = Kept {
                request_hash: once.request,
                status: PENDING,
                body: Vec::new(),
            };
            let new = idempotency::idempotency_insert(
                &mut tx,
                &caller.holder(),
                &once.key,
                &kept,
                self.now(),
            )
            .await?;
            if !new {
                return Err(plain::conflict(
                    "a request with this idempotency key was carried out at the same time: repeat \
                     it to get its answer",
                ));
            }
        }
        self.commit_plain(tx).await
    }

    /// Commits what the platform itself changed, and wakes whoever waits.
    pub(crate) async fn commit_plain(&self, mut tx: Tx) -> Result<(), Error> {
        let seq = event::event_last_seq(&mut tx).await?;
        tx.commit().await?;
        self.signals().committed(Some(seq));
        Ok(())
    }

    /// Records that a run tried what it may not.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn record_refusal(&self, caller: &Caller, what: &str) -> Result<(), Error> {
        let Who::Run { run, project } = &caller.who else {
            return Ok(());
        };
        let mut tx = self.db().write().await?;
        let new = NewEvent {
            project: Some(*project),
            issue: None,
            run: Some(*run),
            kind: "run.refused".to_owned(),
            actor: caller.actor(),
            data: json!({ "what": what }),
        };
        event::event_append(&mut tx, &new, self.now()).await?;
        self.commit_plain(tx).await
    }
}

/// Whether a token still opens anything. A sign-in link does one thing only: it becomes a session;
/// an invitation links an identity; a known browser is only counted apart from strangers.
fn counts(token: &Token, now: Timestamp) -> bool {
    ![LINK, INVITATION, DEVICE].contains(&token.label.as_str())
        && token.revoked_at.is_none()
        && token.expires_at.is_none_or(|end| end > now)
}

fn forbidden(project: &str, action: Action) -> Error {
    let need = if access::allowed(Standing::Member(access::Role::Writer), action) {
        "writer".into()
    } else if access::allowed(Standing::Member(access::Role::Maintainer), action) {
        "maintainer".into()
    } else {
        Place::from(account::other_token())
    };
    Error::forbidden(account::needs_role(project, need))
}
