//! Where untrusted code runs: bubblewrap with walls that never depend on a repository, a prompt or
//! a model.
//!
//! Three processes in a row: the runner starts our own program as `sandbox-enter` ([`enter`]), which
//! mounts the overlay in a namespace of its own and becomes bubblewrap, which starts our program
//! again as `sandbox-init` ([`init`]) inside, which starts the command. Invariants: a missing part
//! means that nothing runs; when a step's end is told, nothing of it is alive; no secret of the
//! platform goes in; the network is the loopback. Deliberately absent: other engines, and any
//! reading of the working tree from outside.

mod cgroup;
pub mod enter;
mod error;
mod etc;
mod host;
pub mod init;
mod plan;
mod probe;
mod relay;
mod remove;
mod report;
mod run_dir;
mod running;
mod seccomp;
mod spawner;
pub mod spec;
mod watch;

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

pub use error::{Part, SandboxError};
pub use host::{HostConfig, SandboxHost, Support};
pub use run_dir::RunDir;
pub use running::{Killer, Running};
pub use spec::{Bind, Cap, Exit, Limits, Relay, SandboxProgram, Spec, Stdin, Step, Tree};

pub(crate) use plan::environment;
pub(crate) use remove::remove_tree;
pub(crate) use report::complain;
pub(crate) use watch::free as free_bytes;

use cgroup::Group;
use running::Watched;

/// The sandbox of one run: one step at a time, each in fresh namespaces over the same tree.
#[derive(Debug)]
pub struct Sandbox {
    host: Arc<SandboxHost>,
    spec: Spec,
    steps: AtomicU32,
    busy: Arc<AtomicBool>,
}

impl Sandbox {
    /// A sandbox for the run whose directory the specification names. Nothing starts yet.
    #[must_use]
    pub fn new(host: Arc<SandboxHost>, spec: Spec) -> Self {
        Self {
            host,
            spec,
            steps: AtomicU32::new(0),
            busy: Arc::new(AtomicBool::new(false)),
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Starts a step. Its wall clock runs from this call.
    ///
    /// # Errors
    /// A part is missing, or the step before still runs. Parts that fail after the start are told by
    /// [`Running::wait`].
    pub async fn spawn(&self, step: &Step) -> Result<Running, SandboxError> {
        let deadline = Instant::now() + step.timeout;
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(SandboxError::Busy);
        }
        let started = self.start(step, deadline).await;
        if started.is_err() {
            self.busy.store(false, Ordering::Release);
        }
        started
    }

    async fn start(&self, step: &Step, deadline: Instant) -> Result<Running, SandboxError> {
        let (number, report) = self.report()?;
        let info = self.run_file(&format!("{number}.info"))?;
        self.mount_points()?;
        let args = plan::arguments(
            &self.spec,
            step,
            &self.host.config.read_only,
            &self.host.config.data.join("etc"),
        )?;
        let group = self.group(number)?;
        // A little above what the watcher allows, so that it can see the limit being passed.
        let most = self.spec.limits.processes.saturating_add(32);
        let processes = (!group.limits()).then_some(most);
        let prefix = &self.host.config.program.prefix_args;
        let plan = enter::Plan {
            parent: i32::try_from(std::process::id()).unwrap_or(0),
            report: report.clone(),
            info: info.clone(),
            cgroups: group.join_files(),
            identity: self.host.identity,
            run_dir: self.spec.run_dir.clone(),
            lower: match &self.spec.tree {
                Tree::Overlay { lower } => Some(lower.clone()),
                Tree::Plain => None,
            },
            mounts: plan::below_control(&self.spec, &self.host.config.program.path),
            bwrap: self.host.config.bwrap.clone(),
            args,
            command: plan::command(&self.spec, step, prefix, processes),
        };
        let entered = match report::encode_plan(&plan) {
            Ok(bytes) => self.enter().await.map(|child| (bytes, child)),
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
        let stdin = child.stdin.take();
        let watched = Watched {
            child,
            group,
            report,
            info,
            run_dir: self.spec.run_dir.clone(),
            limits: self.spec.limits.clone(),
            deadline,
            busy: Arc::clone(&self.busy),
            spawner: Arc::clone(&self.host.spawner),
        };
        let mut running = running::watch_over(watched, stdin);
        if let Some(stdin) = &mut running.stdin {
            // A process that ended before reading it says why in its report; the clock is armed.
            stdin.write_all(&bytes).await.ok();
        }
        if step.stdin != Stdin::Pipe {
            running.stdin = None;
        }
        Ok(running)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where sandboxes are started, with a cleared environment"
    )]
    async fn enter(&self) -> Result<Child, SandboxError> {
        let program = &self.host.config.program;
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
        let child = self.host.spawner.spawn(command).await;
        child.map_err(|e| {
            SandboxError::part(Part::Program, format!("{}: {e}", program.path.display()))
        })
    }

    fn group(&self, number: u32) -> Result<Group, SandboxError> {
        let run = self
            .spec
            .run_dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        self.host
            .cgroups
            .create(&format!("{run}-{number}"), &self.spec.limits)
            .map_err(|e| SandboxError::part(Part::Cgroup, e))
    }

    /// The next free number of a step in this run, with its report file.
    fn report(&self) -> Result<(u32, PathBuf), SandboxError> {
        loop {
            let number = self.steps.fetch_add(1, Ordering::Relaxed);
            let name = format!("{number}.report");
            if !self.spec.run_dir.join("steps").join(&name).exists() {
                return Ok((number, self.run_file(&name)?));
            }
        }
    }

    fn run_file(&self, name: &str) -> Result<PathBuf, SandboxError> {
        let path = self.spec.run_dir.join("steps").join(name);
        let made = File::create_new(&path).and_then(|_| self.host.give(&path));
        made.map_err(|e| SandboxError::host(format!("making {}", path.display()), e))?;
        Ok(path)
    }

    /// Makes the places under the home on which something is bound, as real directories: an earlier
    /// step may have left a link there, which bubblewrap would follow. Nothing of it is alive now.
    fn mount_points(&self) -> Result<(), SandboxError> {
        let home = self.spec.run_dir.join("home");
        for bind in self.spec.read_only.iter().chain(&self.spec.writable) {
            let Ok(below) = bind.target.strip_prefix(spec::HOME) else {
                continue;
            };
            let directory = bind.source.is_dir();
            let mut place = home.clone();
            let mut parts = below.components().peekable();
            while let Some(part) = parts.next() {
                let Component::Normal(name) = part else {
                    return Err(SandboxError::Place(bind.target.clone()));
                };
                place.push(name);
                let wants_file = parts.peek().is_none() && !directory;
                self.real(&place, wants_file)
                    .map_err(|e| SandboxError::host(format!("making {}", place.display()), e))?;
            }
        }
        Ok(())
    }

    fn real(&self, place: &Path, wants_file: bool) -> io::Result<()> {
        match fs::symlink_metadata(place) {
            Ok(found) if found.is_dir() && !wants_file => return Ok(()),
            Ok(found) if found.is_dir() => remove_tree(place)?,
            Ok(found) if found.is_file() && wants_file => return Ok(()),
            Ok(_) => fs::remove_file(place)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if wants_file {
            File::create_new(place)?;
            self.host.give(place)
        } else {
            run_dir::directory(place, self.host.identity)
        }
    }
}
