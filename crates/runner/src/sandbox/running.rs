//! One step under way: its streams, its end, and the task that watches over it.
//!
//! Invariant: the outcome is told only after every process of the step is confirmed gone; a handle
//! that is dropped kills. The first process inside is killed by its id on the host, and bubblewrap's
//! own end is the confirmation: the kernel ends a process namespace before its first process can be
//! waited for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::cgroup::Group;
use super::error::{Part, SandboxError};
use super::report::{self, Event};
use super::spawner::Spawner;
use super::spec::{Cap, Exit, Limits};
use super::watch::{DiskWatch, family, measure};

/// How often caps are looked at.
const TICK: Duration = Duration::from_millis(100);
/// From SIGKILL to the error that says what is still alive.
const PATIENCE: Duration = Duration::from_secs(14);

type Outcome = Result<Exit, SandboxError>;

/// A step under way. Dropping it kills the step.
#[derive(Debug)]
pub struct Running {
    /// The command's input, with `Stdin::Pipe` only.
    pub stdin: Option<ChildStdin>,
    /// Its output; `None` once taken.
    pub stdout: Option<ChildStdout>,
    /// Its error output; `None` once taken.
    pub stderr: Option<ChildStderr>,
    killer: Killer,
    /// Where bubblewrap tells the first process inside.
    info: PathBuf,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Running {
    /// Waits until the step has ended and nothing of it is alive. The streams should be read
    /// meanwhile: a command whose output nobody takes waits until its time runs out.
    ///
    /// # Errors
    /// The command could not be started, or something outlived SIGKILL.
    pub async fn wait(&mut self) -> Result<Exit, SandboxError> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(Exit::Killed)),
            Err(_) => Err(SandboxError::host(
                "watching the sandbox",
                "the task was cancelled",
            )),
        }
    }

    /// Kills the step and waits until nothing of it is alive (at most 15 s).
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub async fn kill(&mut self) -> Result<Exit, SandboxError> {
        self.killer.kill();
        self.wait().await
    }

    /// Asks the command, and nothing that it started, to stop: SIGINT. Says whether it was found.
    pub async fn interrupt(&self) -> bool {
        let info = self.info.clone();
        let command = tokio::task::spawn_blocking(move || command_of(&info)).await;
        match command.ok().flatten() {
            Some(pid) => kill(Pid::from_raw(pid), Signal::SIGINT).is_ok(),
            None => false,
        }
    }

    /// A handle to end the step from elsewhere.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.killer.kill();
    }
}

/// Ends a step from elsewhere; the first reason given is the one that counts.
#[derive(Debug, Clone)]
pub struct Killer(watch::Sender<Option<Exit>>);

impl Killer {
    /// Ends the step as [`Exit::Killed`].
    pub fn kill(&self) {
        self.end(Exit::Killed);
    }

    /// Ends the step as [`Exit::Capped`]: for caps that the caller counts, such as output.
    pub fn cap(&self, cap: Cap) {
        self.end(Exit::Capped(cap));
    }

    fn end(&self, exit: Exit) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(exit);
            first
        });
    }
}

/// What the watching task holds.
pub(super) struct Watched {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) report: PathBuf,
    pub(super) info: PathBuf,
    pub(super) run_dir: PathBuf,
    pub(super) limits: Limits,
    pub(super) deadline: Instant,
    /// Cleared when the next step may start.
    pub(super) busy: Arc<AtomicBool>,
    /// The thread that started the child must live as long as the child.
    pub(super) spawner: Arc<Spawner>,
}

/// Starts the watching task and hands out the step.
pub(super) fn watch_over(mut watched: Watched, stdin: Option<ChildStdin>) -> Running {
    let (kill_sender, kill_receiver) = watch::channel(None);
    let (outcome_sender, outcome) = watch::channel(None);
    let running = Running {
        stdin,
        stdout: watched.child.stdout.take(),
        stderr: watched.child.stderr.take(),
        killer: Killer(kill_sender),
        info: watched.info.clone(),
        outcome,
    };
    tokio::spawn(async move {
        let outcome = watched.run(kill_receiver).await;
        // Over a tree in which something may still be alive nothing else may start.
        if !matches!(outcome, Err(SandboxError::NotGone { .. })) {
            watched.busy.store(false, Ordering::Release);
        }
        drop(watched.spawner);
        outcome_sender.send_replace(Some(outcome));
    });
    running
}

impl Watched {
    async fn run(&mut self, mut kill: watch::Receiver<Option<Exit>>) -> Outcome {
        let mut disk = DiskWatch::new(&self.run_dir, &self.limits);
        let deadline = tokio::time::sleep_until(self.deadline.into());
        tokio::pin!(deadline);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let reason = loop {
            tokio::select! {
                biased;
                _ = self.child.wait() => break None,
                _ = kill.changed() => break Some(kill.borrow().unwrap_or(Exit::Killed)),
                () = &mut deadline => break Some(Exit::TimedOut),
                _ = ticks.tick() => if let Some(cap) = self.look(&mut disk).await {
                    break Some(Exit::Capped(cap));
                },
            }
        };
        if reason.is_some() {
            self.end().await?;
        }
        let hit = self.group.hit();
        let ended = self.group.alive();
        if !ended.is_empty() {
            // Bubblewrap was ended before its first process; the group knows its members.
            self.group.kill();
        }
        let group = std::mem::take(&mut self.group);
        let removed = tokio::task::spawn_blocking(move || group.remove()).await;
        if !removed.unwrap_or(false) {
            tracing::warn!(run_dir = %self.run_dir.display(), "a control group could not be removed yet");
        }
        match (reason, hit) {
            (Some(reason), _) => Ok(reason),
            (None, Some(cap)) => Ok(Exit::Capped(cap)),
            (None, None) => self.told(),
        }
    }

    /// One look at the caps.
    async fn look(&self, disk: &mut DiskWatch) -> Option<Cap> {
        if let Some(cap) = self.group.hit() {
            return Some(cap);
        }
        match disk.due(Instant::now()) {
            Err(cap) => return Some(cap),
            Ok(false) => {}
            Ok(true) => {
                let (roots, most) = disk.job();
                let begin = Instant::now();
                let usage = tokio::task::spawn_blocking(move || measure(&roots, most)).await;
                let now = Instant::now();
                if let Some(cap) = disk.measured(usage.unwrap_or_default(), now - begin, now) {
                    return Some(cap);
                }
            }
        }
        if !self.group.limits() {
            let first = self.child.id().and_then(|id| i32::try_from(id).ok())?;
            let family = tokio::task::spawn_blocking(move || family(first)).await;
            let (bytes, threads) = family.unwrap_or_default();
            if bytes > self.limits.memory_bytes {
                return Some(Cap::Memory(self.limits.memory_bytes));
            }
            if threads > self.limits.processes {
                return Some(Cap::Processes(self.limits.processes));
            }
        }
        None
    }

    /// SIGKILL to the first process inside, then to everything else we know of.
    async fn end(&mut self) -> Result<(), SandboxError> {
        let begin = Instant::now();
        let first = self.first_process().await;
        if let Some(first) = first {
            send_kill(first);
            if tokio::time::timeout(Duration::from_secs(5), self.child.wait())
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        self.group.kill();
        if let Some(own) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            send_kill(own);
        }
        loop {
            let own = self
                .child
                .try_wait()
                .ok()
                .flatten()
                .is_none()
                .then(|| self.child.id())
                .flatten();
            let mut alive = self.group.alive();
            alive.extend(own.and_then(|id| i32::try_from(id).ok()));
            alive.extend(first.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()));
            if alive.is_empty() {
                return Ok(());
            }
            let after = begin.elapsed();
            if after > PATIENCE {
                return Err(SandboxError::NotGone { pids: alive, after });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The host's id of the first process inside, once bubblewrap has told it. The process is a
    /// child of ours or of bubblewrap, which is not waited for yet, so the id is not another's.
    async fn first_process(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(1);
        loop {
            let told = std::fs::read(&self.info).ok();
            let told =
                told.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
            if let Some(pid) = told.and_then(|info| info["child-pid"].as_i64()) {
                let pid = i32::try_from(pid).ok()?;
                return (parent_of(pid) == self.child.id()).then_some(pid);
            }
            if Instant::now() > end || !matches!(self.child.try_wait(), Ok(None)) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the report says after an end that nobody outside caused.
    fn told(&self) -> Outcome {
        let events = report::read(&self.report)
            .map_err(|e| SandboxError::host(format!("reading {}", self.report.display()), e))?;
        match events.last() {
            Some(Event::Exited { code }) => Ok(Exit::Exited { code: *code }),
            Some(Event::Signalled { signal }) => Ok(Exit::Signalled { signal: *signal }),
            Some(Event::Failed { part, cause }) => Err(SandboxError::part(*part, cause)),
            Some(Event::Started) => Ok(Exit::Signalled {
                signal: Signal::SIGKILL as i32,
            }),
            None => Err(SandboxError::part(
                Part::Bubblewrap,
                "ended before the command started; its message is in the step's error output",
            )),
        }
    }
}

/// The host's id of the command: the first child of the first process inside, which started it before
/// anything else could become its child.
fn command_of(info: &Path) -> Option<i32> {
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(info).ok()?).ok()?;
    let first = i32::try_from(told["child-pid"].as_i64()?).ok()?;
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let command: i32 = children.split_whitespace().next()?.parse().ok()?;
    (command > 1).then_some(command)
}

fn send_kill(pid: i32) {
    // Zero and below name groups. A process that is gone already is what we want.
    if pid > 1 {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}

fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
