//! One step under way: its streams, its end, and the task that watches over it.
//!
//! Invariant: the outcome is told only after every process of the step is confirmed gone; a handle
//! that is dropped kills. Deliberately absent: how an engine starts, ends and confirms.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::error::{Part, SandboxError};
use super::report::{self, Event};
use super::spec::{Cap, Exit, Limits};
use super::watch::{DiskWatch, family, measure};
use super::{Begun, Sandbox, bubblewrap, container};

/// How often caps are looked at.
const TICK: Duration = Duration::from_millis(100);
/// From SIGKILL to the error that says what is still alive.
pub(super) const PATIENCE: Duration = Duration::from_secs(14);

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
    first: First,
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
        let first = self.first.clone();
        let command = tokio::task::spawn_blocking(move || command_of(&first)).await;
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

/// What a step reads and writes, on our side.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// Where the host's id of the first process inside is learned.
#[derive(Debug, Clone)]
pub(super) enum First {
    /// A file into which bubblewrap writes it.
    Told(PathBuf),
    /// Known once the process has spoken to us.
    Known(Arc<OnceLock<i32>>),
}

/// What an engine holds of a step.
#[derive(Debug)]
pub(super) enum Life {
    Bubblewrap(bubblewrap::Life),
    Container(container::Life),
}

impl Life {
    /// Returns when nothing of the step is alive, by an end that nobody outside caused. It may be
    /// dropped and called again.
    async fn ended(&mut self) {
        match self {
            Self::Bubblewrap(life) => life.ended().await,
            Self::Container(life) => life.ended().await,
        }
    }

    /// Kills everything, and returns when it is confirmed gone.
    async fn end(&mut self) -> Result<(), SandboxError> {
        match self {
            Self::Bubblewrap(life) => life.end().await,
            Self::Container(life) => life.end().await,
        }
    }

    /// The cap that the kernel enforced, if any.
    fn hit(&self) -> Option<Cap> {
        match self {
            Self::Bubblewrap(life) => life.group().hit(),
            Self::Container(life) => life.hit(),
        }
    }

    /// Where to look at memory and processes ourselves, where the kernel does not limit them.
    fn unlimited(&self) -> Option<i32> {
        match self {
            Self::Bubblewrap(life) => (!life.group().limits()).then(|| life.first()).flatten(),
            Self::Container(life) => life.unlimited(),
        }
    }

    /// Puts away what is left when all processes are gone; what went wrong at the start, if
    /// anything did.
    async fn clear(&mut self) -> Option<SandboxError> {
        match self {
            Self::Bubblewrap(life) => {
                life.clear().await;
                None
            }
            Self::Container(life) => life.clear(),
        }
    }

    /// The cap on what is written where no directory of the run is, if it is passed.
    async fn overwritten(&mut self) -> Option<Cap> {
        match self {
            Self::Bubblewrap(_) => None,
            Self::Container(life) => life.overwritten().await,
        }
    }

    fn part(&self) -> Part {
        match self {
            Self::Bubblewrap(_) => Part::Bubblewrap,
            Self::Container(_) => Part::Engine,
        }
    }
}

/// What the watching task holds.
pub(super) struct Watched {
    life: Life,
    report: PathBuf,
    run_dir: PathBuf,
    limits: Limits,
    deadline: Instant,
    /// Cleared when the next step may start.
    busy: Arc<AtomicBool>,
}

/// Starts the watching task and hands out the step.
pub(super) fn watch_over(mut watched: Watched, streams: Streams, first: First) -> Running {
    let (kill_sender, kill_receiver) = watch::channel(None);
    let (outcome_sender, outcome) = watch::channel(None);
    let running = Running {
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        killer: Killer(kill_sender),
        first,
        outcome,
    };
    tokio::spawn(async move {
        let outcome = watched.run(kill_receiver).await;
        // Over a tree in which something may still be alive nothing else may start.
        if !matches!(outcome, Err(SandboxError::NotGone { .. })) {
            watched.busy.store(false, Ordering::Release);
        }
        drop(watched.life);
        outcome_sender.send_replace(Some(outcome));
    });
    running
}

impl Watched {
    /// A step of this sandbox, about to be watched.
    pub(super) fn new(life: Life, sandbox: &Sandbox, begun: Begun) -> Self {
        Self {
            life,
            report: begun.report,
            run_dir: sandbox.spec.run_dir.clone(),
            limits: sandbox.spec.limits.clone(),
            deadline: begun.deadline,
            busy: Arc::clone(&sandbox.busy),
        }
    }

    async fn run(&mut self, mut kill: watch::Receiver<Option<Exit>>) -> Outcome {
        let mut disk = DiskWatch::new(&self.run_dir, &self.limits);
        let deadline = tokio::time::sleep_until(self.deadline.into());
        tokio::pin!(deadline);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let reason = loop {
            tokio::select! {
                biased;
                () = self.life.ended() => break None,
                _ = kill.changed() => break Some(kill.borrow().unwrap_or(Exit::Killed)),
                () = &mut deadline => break Some(Exit::TimedOut),
                _ = ticks.tick() => if let Some(cap) = self.look(&mut disk).await {
                    break Some(Exit::Capped(cap));
                },
            }
        };
        if reason.is_some() {
            self.life.end().await?;
        }
        let hit = self.life.hit();
        let failed = self.life.clear().await;
        match (reason, hit, failed) {
            (Some(reason), ..) => Ok(reason),
            (None, Some(cap), _) => Ok(Exit::Capped(cap)),
            (None, None, Some(error)) => Err(error),
            (None, None, None) => self.told(),
        }
    }

    /// One look at the caps.
    async fn look(&mut self, disk: &mut DiskWatch) -> Option<Cap> {
        if let Some(cap) = self.life.hit() {
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
        if let Some(cap) = self.life.overwritten().await {
            return Some(cap);
        }
        if let Some(first) = self.life.unlimited() {
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
                self.life.part(),
                "ended before the command started; its message is in the step's error output",
            )),
        }
    }
}

/// The host's id of the command: the first child of the first process inside, which started it before
/// anything else could become its child.
fn command_of(first: &First) -> Option<i32> {
    let first = match first {
        First::Told(info) => told(info)?,
        First::Known(pid) => *pid.get()?,
    };
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let command: i32 = children.split_whitespace().next()?.parse().ok()?;
    (command > 1).then_some(command)
}

/// What bubblewrap has told of its first process.
pub(super) fn told(info: &Path) -> Option<i32> {
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(info).ok()?).ok()?;
    i32::try_from(told["child-pid"].as_i64()?).ok()
}
