//! Taking pushes: parse, ask the policy, receive into quarantine, check, move all refs or none.
//!
//! Done here and not by `git receive-pack`, so that there is no hook to be attacked, and so that a
//! refused push leaves no object, no ref and no reflog line, whichever ref of it was at fault.
//! Order: names -> pack (`index-pack --strict`: fsck and links) -> connectivity -> policy with
//! facts -> refs locked and compared -> objects moved in -> refs written. Deliberately absent: who
//! may push (a [`PushPolicy`] is passed in), what follows a push (the caller gets the updates).

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use nightshift_domain::git_name::{ATTEMPTS, ObjectId};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::command::{Limits, read_bounded, read_tail};
use crate::error::{GitError, clean, io_error};
use crate::push::{PushRequest, advertisement};
use crate::quarantine::Quarantine;
use crate::refs::{Ref, RefUpdate};
use crate::repository::Repository;

/// What a move of a ref is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Movement {
    /// The ref is new.
    Create,
    /// The new commit has the old one in its history.
    FastForward,
    /// The old commit is not in the history of the new one, or a tag is replaced.
    Forced,
    /// The ref goes.
    Delete,
}

/// Who may move which ref: asked for every ref of a push, one refusal refuses the whole push.
pub trait PushPolicy: Send + Sync {
    /// By name only, before any object is read. The text of a refusal is shown to the pusher.
    fn may_name(&self, update: &RefUpdate) -> Result<(), String>;

    /// With what the objects tell. The text of a refusal is shown to the pusher.
    fn may_move(&self, update: &RefUpdate, movement: Movement) -> Result<(), String>;
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The body of the answer to the client (status 200, also when refused).
    pub response: Bytes,
    /// The refs that moved: all that were asked for, or none.
    pub updates: Vec<RefUpdate>,
    /// Why nothing moved: ref as sent (decoded), reason.
    pub refused: Vec<(String, String)>,
    /// Bytes of the pack.
    pub pack_bytes: u64,
}

/// The packet that keeps a waiting client's connection alive.
const HEARTBEAT: &[u8] = b"0005\x01";

impl Repository {
    /// The body of `GET …/info/refs?service=git-receive-pack`, with the refs that `visible` lets
    /// through.
    pub async fn advertise_receive(
        &self,
        visible: impl Fn(&Ref) -> bool,
    ) -> Result<Bytes, GitError> {
        let mut refs = self.list_refs("refs/").await?;
        refs.retain(visible);
        Ok(advertisement(&refs))
    }

    /// Answers `POST …/git-receive-pack`; `body` is decompressed already. `reason` goes to the
    /// reflog (who pushed). `heartbeat` gets bytes to be sent before the response while a large
    /// push is checked.
    ///
    /// Once objects and refs begin to move, dropping the future does not stop them half-way: the
    /// refs are then moved but the caller does not learn of it (it reads the refs again).
    pub async fn receive_pack(
        &self,
        body: impl AsyncRead + Send + Unpin,
        policy: &dyn PushPolicy,
        reason: &str,
        heartbeat: &(dyn Fn(Bytes) + Send + Sync),
    ) -> Result<Received, GitError> {
        let limit = self.git().limits().transport;
        tokio::time::timeout(limit, self.receive(body, policy, reason, heartbeat))
            .await
            .unwrap_or_else(|_elapsed| {
                Err(GitError::TimedOut {
                    command: "push".to_owned(),
                    after: limit,
                })
            })
    }

    async fn receive(
        &self,
        body: impl AsyncRead + Send + Unpin,
        policy: &dyn PushPolicy,
        reason: &str,
        heartbeat: &(dyn Fn(Bytes) + Send + Sync),
    ) -> Result<Received, GitError> {
        let limits = self.git().limits();
        let mut input = Input::new(body, limits);
        let most = limits.push_refs;
        let request = within(limits.idle, PushRequest::read(&mut input.body, most)).await??;
        if request.commands.is_empty() {
            return Ok(Received::default());
        }
        let updates = match self.check_names(&request, policy).await {
            Ok(updates) => updates,
            Err(refusal) => {
                input.drain().await?;
                return Ok(refuse(&request, refusal));
            }
        };
        let needs_pack = updates.iter().any(|update| !update.new.is_zero());
        let mut quarantine = None;
        if needs_pack {
            let place = Quarantine::new(self)?;
            if let Err(refusal) = input.receive_into(&place.inside(self)).await? {
                input.drain().await?;
                return Ok(refuse(&request, refusal));
            }
            quarantine = Some(place);
        }
        let finish = async {
            let inside = quarantine.as_ref().map(|place| place.inside(self));
            let brought = inside.is_some();
            let inside = inside.as_ref().unwrap_or(self);
            match inside.check_push(&updates, policy, brought).await? {
                Ok(()) => self.move_in(quarantine, updates.clone(), reason).await,
                Err(refusal) => Ok(Err(refusal)),
            }
        };
        let beat = request.side_band.then_some(heartbeat);
        let outcome = with_heartbeat(limits.heartbeat, finish, beat).await?;
        match outcome {
            Ok(()) => Ok(Received {
                response: request.report(Ok(()), &vec![None; updates.len()], None),
                updates,
                refused: Vec::new(),
                pack_bytes: input.pack_bytes,
            }),
            Err(refusal) => Ok(refuse(&request, refusal)),
        }
    }

    /// What can be said before any object is read.
    async fn check_names(
        &self,
        request: &PushRequest,
        policy: &dyn PushPolicy,
    ) -> Result<Vec<RefUpdate>, Refusal> {
        let mut refusal = Refusal::default();
        let mut updates = Vec::new();
        let mut names = HashSet::new();
        let head = self
            .default_branch()
            .await
            .ok()
            .map(|branch| branch.to_ref());
        for (place, command) in request.commands.iter().enumerate() {
            let Some(update) = command.to_update() else {
                refusal.add(
                    place,
                    "the name is not acceptable; use letters, digits, - _ / .",
                );
                continue;
            };
            if !names.insert(update.name.clone()) {
                refusal.add(place, "the push names it twice");
            } else if update.old.is_zero() && update.new.is_zero() {
                refusal.add(place, "there is nothing to delete");
            } else if update.new.is_zero() && head.as_ref() == Some(&update.name) {
                refusal.add(place, "the default branch cannot be deleted");
            } else if let Err(reason) = policy.may_name(&update) {
                refusal.add(place, &reason);
            }
            updates.push(update);
        }
        refusal.or(updates)
    }

    /// What the objects tell; `self` sees the quarantine.
    async fn check_push(
        &self,
        updates: &[RefUpdate],
        policy: &dyn PushPolicy,
        brought: bool,
    ) -> Result<Result<(), Refusal>, GitError> {
        let news: Vec<&ObjectId> = updates
            .iter()
            .map(|update| &update.new)
            .filter(|id| !id.is_zero())
            .collect();
        let (connected, kinds, current) = tokio::try_join!(
            self.is_connected(&news),
            self.object_kinds(&news),
            self.list_named(updates)
        )?;
        if !connected {
            return Ok(Err(Refusal::of_pack("objects are missing from the push")));
        }
        // Only a push that brought objects brings a new .gitmodules.
        if brought && let Some(reason) = self.bad_modules(&news).await? {
            return Ok(Err(Refusal::of_pack(&reason)));
        }
        let mut refusal = Refusal::default();
        let mut kinds = kinds.into_iter();
        for (place, update) in updates.iter().enumerate() {
            let kind = if update.new.is_zero() {
                None
            } else {
                kinds.next()
            };
            let found = current.iter().find(|found| found.name == update.name);
            let found = found.map_or_else(ObjectId::zero, |found| found.target.clone());
            let name = update.name.as_str();
            let commits_only = name.starts_with("refs/heads/") || name.starts_with(ATTEMPTS);
            if found != update.old {
                refusal.add(place, "fetch first: it has moved since you looked");
                continue;
            }
            if commits_only && kind.is_some_and(|kind| kind != "commit") {
                refusal.add(place, "it can only name a commit");
                continue;
            }
            let movement = self.movement(update, commits_only).await?;
            if let Err(reason) = policy.may_move(update, movement) {
                refusal.add(place, &reason);
            }
        }
        Ok(refusal.or(()))
    }

    async fn movement(&self, update: &RefUpdate, commits: bool) -> Result<Movement, GitError> {
        if update.new.is_zero() {
            return Ok(Movement::Delete);
        }
        if update.old.is_zero() {
            return Ok(Movement::Create);
        }
        if update.old == update.new
            || (commits && self.is_ancestor(&update.old, &update.new).await?)
        {
            return Ok(Movement::FastForward);
        }
        Ok(Movement::Forced)
    }

    /// Refs locked and compared, then objects moved in, then refs written. Runs as a task of its
    /// own so that a client that goes away cannot stop it in the middle.
    async fn move_in(
        &self,
        quarantine: Option<Quarantine>,
        updates: Vec<RefUpdate>,
        reason: &str,
    ) -> Result<Result<(), Refusal>, GitError> {
        let beside = quarantine.as_ref().map(|place| place.beside(self));
        let beside = beside.unwrap_or_else(|| self.clone());
        let reason = reason.to_owned();
        let task = tokio::spawn(async move {
            let prepared = match beside.prepare_refs(&updates, &reason).await {
                Ok(prepared) => prepared,
                Err(error) => return refusal_of(error, &updates),
            };
            let _guards = match quarantine {
                None => None,
                Some(place) => Some(
                    tokio::task::spawn_blocking(move || place.migrate())
                        .await
                        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
                        .map_err(io_error("move pushed objects in"))?,
                ),
            };
            prepared.commit().await.map(Ok)
        });
        task.await.unwrap_or_else(|panic| {
            Err(GitError::Io {
                action: "move refs".to_owned(),
                source: std::io::Error::other(panic),
            })
        })
    }
}

/// A ref that moved meanwhile is the pusher's to know; anything else is ours.
fn refusal_of(error: GitError, updates: &[RefUpdate]) -> Result<Result<(), Refusal>, GitError> {
    let (name, reason) = match &error {
        GitError::RefMoved(moved) => (&moved.name, "fetch first: it has moved since you looked"),
        GitError::RefBlocked { name, .. } => (name, "another ref is in its way"),
        _ => return Err(error),
    };
    let place = updates.iter().position(|update| update.name == *name);
    let mut refusal = Refusal::default();
    refusal.add(place.unwrap_or(0), reason);
    Ok(Err(refusal))
}

/// Why a push is refused.
#[derive(Debug, Default)]
struct Refusal {
    /// The objects are at fault, in words for the report.
    pack: Option<String>,
    /// The refs at fault, by place in the request.
    refs: Vec<(usize, String)>,
}

impl Refusal {
    fn of_pack(reason: &str) -> Self {
        Self {
            pack: Some(reason.to_owned()),
            refs: Vec::new(),
        }
    }

    fn add(&mut self, place: usize, reason: &str) {
        self.refs.push((place, reason.to_owned()));
    }

    fn or<T>(self, value: T) -> Result<T, Self> {
        if self.refs.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

fn refuse(request: &PushRequest, refusal: Refusal) -> Received {
    let other = match &refusal.pack {
        Some(_) => "the objects were refused",
        None => "another ref of this push was refused",
    };
    let mut reasons = vec![Some(other.to_owned()); request.commands.len()];
    for (place, reason) in refusal.refs {
        if let Some(slot) = reasons.get_mut(place) {
            *slot = Some(reason);
        }
    }
    let unpack = refusal.pack.as_deref().map_or(Ok(()), |reason| {
        Err(reason.lines().next().unwrap_or("failed"))
    });
    let response = request.report(unpack, &reasons, refusal.pack.as_deref());
    let name = |command: &crate::push::Command| clean(&command.sent_name, 300);
    let refused = request.commands.iter().map(name).zip(
        reasons
            .into_iter()
            .map(|reason| refusal.pack.clone().or(reason).unwrap_or_default()),
    );
    Received {
        response,
        refused: refused.collect(),
        ..Received::default()
    }
}

/// The request body, watched for silence and size.
struct Input<R> {
    body: BufReader<R>,
    pack_bytes: u64,
    idle: Duration,
    most: u64,
    most_objects: u32,
    memory: u64,
}

impl<R: AsyncRead + Send + Unpin> Input<R> {
    fn new(body: R, limits: &Limits) -> Self {
        Self {
            body: BufReader::with_capacity(64 * 1024, body),
            pack_bytes: 0,
            idle: limits.idle,
            most: limits.push_bytes,
            most_objects: limits.push_objects,
            memory: limits.push_memory,
        }
    }

    /// Reads and indexes the pack; `inside` writes to the quarantine.
    async fn receive_into(&mut self, inside: &Repository) -> Result<Result<(), Refusal>, GitError> {
        let mut head = [0_u8; 12];
        let read = within(self.idle, self.body.read_exact(&mut head)).await?;
        if read.is_err() || !head.starts_with(b"PACK\0\0\0") {
            return Ok(Err(Refusal::of_pack("the push holds no pack")));
        }
        self.pack_bytes = 12;
        let [.., a, b, c, d] = head;
        let count = u32::from_be_bytes([a, b, c, d]);
        if count > self.most_objects {
            let reason = format!("more than {} objects in one push", self.most_objects);
            return Ok(Err(Refusal::of_pack(&reason)));
        }
        if count == 0 {
            // Nothing but the checksum of nothing: the refs name objects that are there.
            self.drain().await?;
            return Ok(Ok(()));
        }
        let mut running = inside
            .call("index-pack")
            .env("GIT_ALLOC_LIMIT", self.memory.to_string())
            .args(["--stdin", "--fix-thin", "--strict"])
            .arg(format!("--max-input-size={}", self.most))
            .spawn()?;
        let (stdin, stdout) = (running.stdin.take(), running.stdout.take());
        let mut stderr = running.stderr.take();
        let feed = async {
            let Some(mut pipe) = stdin else { return Ok(()) };
            if pipe.write_all(&head).await.is_ok() {
                self.copy_to(&mut pipe).await?;
            }
            Ok::<(), GitError>(())
        };
        let (fed, _name, said) =
            tokio::join!(feed, read_bounded(stdout, 4096), read_tail(stderr.as_mut()));
        fed?;
        if running.wait().await? == Some(0) {
            return Ok(Ok(()));
        }
        let said = clean(&said, 500);
        let said = if said.is_empty() {
            "the pack could not be read".to_owned()
        } else {
            said
        };
        Ok(Err(Refusal::of_pack(&said)))
    }

    /// Copies the body until its end or until the reader has enough.
    async fn copy_to(
        &mut self,
        pipe: &mut (impl tokio::io::AsyncWrite + Unpin),
    ) -> Result<(), GitError> {
        let mut chunk = vec![0_u8; 64 * 1024];
        loop {
            let count = self.read_chunk(&mut chunk).await?;
            if count == 0 || pipe.write_all(&chunk[..count]).await.is_err() {
                // A reader that has enough says by its exit code what it thinks of it.
                return Ok(());
            }
        }
    }

    /// Reads the rest of the body, so that the client gets to read the answer. A client that sends
    /// more than it may is cut off.
    async fn drain(&mut self) -> Result<(), GitError> {
        let mut chunk = vec![0_u8; 64 * 1024];
        while self.read_chunk(&mut chunk).await? > 0 {
            if self.pack_bytes > self.most {
                break;
            }
        }
        Ok(())
    }

    async fn read_chunk(&mut self, chunk: &mut [u8]) -> Result<usize, GitError> {
        let read = within(self.idle, self.body.read(chunk)).await?;
        let count = read.map_err(io_error("read from the git client"))?;
        self.pack_bytes += count as u64;
        Ok(count)
    }
}

/// Ends a wait for a silent client.
async fn within<T>(idle: Duration, wait: impl Future<Output = T>) -> Result<T, GitError> {
    tokio::time::timeout(idle, wait)
        .await
        .map_err(|_elapsed| GitError::TimedOut {
            command: "push".to_owned(),
            after: idle,
        })
}

/// Awaits `work` and beats now and then.
async fn with_heartbeat<T>(
    every: Duration,
    work: impl Future<Output = T>,
    beat: Option<&(dyn Fn(Bytes) + Send + Sync)>,
) -> T {
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(every, &mut work).await {
            Ok(done) => return done,
            Err(_elapsed) => {
                if let Some(beat) = beat {
                    beat(Bytes::from_static(HEARTBEAT));
                }
            }
        }
    }
}
