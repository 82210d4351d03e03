//! The engine `bubblewrap`: one system program, no daemon.
//!
//! Three processes in a row: the runner starts our own program as `sandbox-enter` ([`enter`]), which
//! mounts the overlay in a namespace of its own and becomes bubblewrap, which starts our program
//! again as `sandbox-init` inside, which starts the command. Invariant: the first process inside is
//! killed by its id on the host, and bubblewrap's own end is the confirmation: the kernel ends a
//! process namespace before its first process can be waited for.

pub mod enter;
mod plan;
mod spawner;
mod wire;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use self::spawner::Spawner;
use super::cgroup::{Cgroups, Group};
use super::error::{Part, SandboxError};
use super::host::{SandboxHost, executable};
use super::running::{self, First, Life as AnyLife, PATIENCE, Running, Streams, Watched};
use super::spec::{Stdin, Step};
use super::{Begun, Sandbox};

/// As whom a command finds itself inside.
pub(super) const USER: u32 = 1000;

/// What this engine needs of the machine.
#[derive(Debug)]
pub(super) struct Bubblewrap {
    program: PathBuf,
    cgroups: Cgroups,
    spawner: Arc<Spawner>,
}

/// What it holds of a step.
#[derive(Debug)]
pub(super) struct Life {
    child: Child,
    group: Group,
    /// Where bubblewrap tells the first process inside.
    info: PathBuf,
    /// The thread that started the child must live as long as the child.
    _spawner: Arc<Spawner>,
}

impl Bubblewrap {
    /// With the program and the control groups of a data directory.
    pub(super) fn open(program: &Path, cgroups: Cgroups) -> Result<Self, SandboxError> {
        executable(program, Part::Bubblewrap)?;
        // Sandboxes are started from another directory than ours.
        let program = program
            .canonicalize()
            .map_err(|e| SandboxError::host(format!("reading {}", program.display()), e))?;
        let spawner = Spawner::start().map_err(|e| SandboxError::host("starting a thread", e))?;
        Ok(Self {
            program,
            cgroups,
            spawner: Arc::new(spawner),
        })
    }

    /// Ends and removes the groups that an earlier runner left; returns how many.
    pub(super) fn sweep(&self) -> usize {
        self.cgroups.sweep()
    }

    /// For people: how memory and processes are limited.
    pub(super) fn caps(&self) -> &'static str {
        self.cgroups.describe()
    }

    /// Does without groups from now on; says whether there were any.
    pub(super) fn forget_groups(&mut self) -> bool {
        let had = self.cgroups != Cgroups::None;
        self.cgroups = Cgroups::None;
        had
    }

    /// Starts a step.
    pub(super) async fn start(
        &self,
        sandbox: &Sandbox,
        step: &Step,
        begun: Begun,
    ) -> Result<Running, SandboxError> {
        let Sandbox { host, spec, .. } = sandbox;
        let info = sandbox.run_file(&format!("{}.info", begun.number))?;
        let data = host.config.data.join("etc");
        let args = plan::arguments(spec, step, &host.config.read_only, &data)?;
        let run = spec.run_dir.file_name().unwrap_or_default();
        let name = format!("{}-{}", run.to_string_lossy(), begun.number);
        let group = self.cgroups.create(&name, &spec.limits);
        let group = group.map_err(|e| SandboxError::part(Part::Cgroup, e))?;
        // A little above what the watcher allows, so that it can see the limit being passed.
        let most = spec.limits.processes.saturating_add(32);
        let processes = (!group.limits()).then_some(most);
        let prefix = &host.config.program.prefix_args;
        let plan = enter::Plan {
            parent: i32::try_from(std::process::id()).unwrap_or(0),
            report: begun.report.clone(),
            info: info.clone(),
            cgroups: group.join_files(),
            identity: host.identity,
            run_dir: spec.run_dir.clone(),
            layers: plan::layers(spec),
            mounts: plan::below_control(spec, &host.config.program.path),
            bwrap: self.program.clone(),
            args,
            command: plan::command(spec, step, prefix, processes),
        };
        let entered = match wire::encode_plan(&plan) {
            Ok(bytes) => self.enter(host).await.map(|child| (bytes, child)),
            Err(e) => Err(SandboxError::part(
                Part::Bind,
                format!("a path is not UTF-8: {e}"),
            )),
        };
        let (bytes, mut child) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                group.remove();
                return Err(error);
            }
        };
        let mut stdin = child.stdin.take();
        let streams = Streams {
            stdin: None,
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let life = Life {
            child,
            group,
            info: info.clone(),
            _spawner: Arc::clone(&self.spawner),
        };
        let watched = Watched::new(AnyLife::Bubblewrap(life), sandbox, begun);
        let mut running = running::watch_over(watched, streams, First::Told(info));
        if let Some(stdin) = &mut stdin {
            // A process that ended before reading it says why in its report; the clock is armed.
            stdin.write_all(&bytes).await.ok();
        }
        running.stdin = stdin.filter(|_: &ChildStdin| step.stdin == Stdin::Pipe);
        Ok(running)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where sandboxes are started, with a cleared environment"
    )]
    async fn enter(&self, host: &SandboxHost) -> Result<Child, SandboxError> {
        let program = &host.config.program;
        let mut command = Command::new(&program.path);
        command
            .args(&program.prefix_args)
            .arg("sandbox-enter")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = self.spawner.spawn(command).await;
        child.map_err(|e| {
            SandboxError::part(Part::Program, format!("{}: {e}", program.path.display()))
        })
    }
}

impl Life {
    /// Returns when bubblewrap has ended by itself.
    pub(super) async fn ended(&mut self) {
        // That it cannot be waited for means that it was.
        self.child.wait().await.ok();
    }

    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// Where watching begins.
    pub(super) fn first(&self) -> Option<i32> {
        self.child.id().and_then(|id| i32::try_from(id).ok())
    }

    /// SIGKILL to the first process inside, then to everything else we know of.
    pub(super) async fn end(&mut self) -> Result<(), SandboxError> {
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
        if let Some(own) = self.first() {
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

    /// Removes the control group.
    pub(super) async fn clear(&mut self) {
        if !self.group.alive().is_empty() {
            // Bubblewrap was ended before its first process; the group knows its members.
            self.group.kill();
        }
        let group = std::mem::take(&mut self.group);
        let removed = tokio::task::spawn_blocking(move || group.remove()).await;
        if !removed.unwrap_or(false) {
            tracing::warn!(info = %self.info.display(), "a control group could not be removed yet");
        }
    }

    /// The host's id of the first process inside, once bubblewrap has told it. The process is a
    /// child of ours or of bubblewrap, which is not waited for yet, so the id is not another's.
    async fn first_process(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(1);
        loop {
            if let Some(pid) = running::told(&self.info) {
                return (parent_of(pid) == self.child.id()).then_some(pid);
            }
            if Instant::now() > end || !matches!(self.child.try_wait(), Ok(None)) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
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
