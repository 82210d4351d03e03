//! The engine `container`: Docker or Podman, asked through its socket.
//!
//! One container for each step, over the run's directory. Its system is this machine's, read-only, as
//! the other engine gives it, or, for what is the project's to say, that of an image that the project
//! names. The engine makes the namespaces, limits and removes; our own first process inside gets its
//! command through a door ([`door`]) and lays our filter of system calls over the engine's. Invariants:
//! the first process is known by a descriptor of the kernel, not by a number, and its end is the
//! confirmation that nothing of the container is alive; a container ends with its runner; what a dead
//! runner left is removed by its label; an image changes what is seen, and no wall. Deliberately absent:
//! the overlay (a run has a checkout of its own), building from a file of instructions, engines without
//! root, which cannot give a container an ordinary user of this machine.

pub(super) mod door;
mod empty;
mod engine;
mod group;
mod image;
mod layer;
mod loader;
mod mounted;
mod plan;
mod process;
mod shelf;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use nix::unistd::{Gid, Uid, fchown};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

pub use self::image::Image;
pub use self::shelf::Credentials;

pub(super) use self::engine::remove;
pub(super) use self::shelf::{clean, commit, find, installed, pull, written};

use self::door::{Door, Order, Packet};
use self::engine::Coming;
use self::layer::Layer;
use self::loader::Loader;
use self::plan::{Frame, House, Root};
use self::process::Process;
use super::cgroup::Group;
use super::error::{Part, SandboxError};
use super::layout::environment;
use super::running::{self, First, Life as AnyLife, PATIENCE, Running, Streams, Watched};
use super::spec::{self, Cap, Limits, SandboxProgram, Spec, Stdin, Step, System};
use super::{Begun, Sandbox};

/// What this engine needs of the machine.
#[derive(Debug)]
pub(super) struct Container {
    docker: Docker,
    frame: Frame,
    about: String,
    /// What our own program needs in an image, if it needs anything; or why it cannot start there.
    loader: Result<Option<Loader>, String>,
}

/// A container whose first process has spoken to us.
#[derive(Debug)]
struct Live {
    pid: i32,
    /// Gone when all others are gone, too.
    process: Process,
    /// The connection that it ends with; none once it said that its command has ended.
    line: Option<UnixStream>,
}

type Starting = Pin<Box<dyn Future<Output = Result<Live, SandboxError>> + Send>>;

/// What is held of a step.
pub(super) struct Life {
    starting: Option<Starting>,
    live: Option<Live>,
    failed: Option<SandboxError>,
    group: Group,
    hit: Option<Cap>,
    limits: Limits,
    /// Whether the engine was asked to limit memory and processes.
    limited: bool,
    /// What is written into the container itself, where it may be.
    layer: Option<Layer>,
}

impl Container {
    /// Put over what engines write into `/etc`: names of the host's network.
    pub(super) const FILES: &[(&str, &str)] = &[
        ("hostname", "nightshift\n"),
        ("resolv.conf", ""),
        (plan::PRELOAD, ""),
    ];

    /// Asks the engine at `socket` who it is, and makes what all containers of a runner share.
    pub(super) async fn open(
        socket: &Path,
        label: &str,
        user: (u32, u32),
        program: &SandboxProgram,
        data: &Path,
    ) -> Result<Self, SandboxError> {
        if user.0 == 0 {
            return Err(SandboxError::part(
                Part::Engine,
                "the runner is root in a namespace without other users, and nothing runs as root in a container",
            ));
        }
        let docker = engine::connect(socket).await?;
        let found = engine::look(&docker, socket).await?;
        let image = empty::image(&docker).await?;
        Ok(Self {
            loader: Loader::prepare(program, &data.join("lib")).map_err(|e| e.to_string()),
            docker,
            about: found.about,
            frame: Frame {
                image,
                user,
                label: label.to_owned(),
                podman: found.podman,
                limits: found.limits,
            },
        })
    }

    /// Removes the containers that an earlier runner left; returns how many.
    pub(super) async fn sweep(&self) -> Result<usize, SandboxError> {
        engine::sweep(&self.docker, &self.frame.label).await
    }

    /// As whom a command finds itself inside.
    pub(super) fn user(&self) -> u32 {
        self.frame.user.0
    }

    /// Why there cannot be images of projects, if there cannot.
    pub(super) fn no_images(&self) -> Option<&str> {
        self.loader.as_ref().err().map(String::as_str)
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// What the runner's own images and containers are known by.
    pub(super) fn label(&self) -> &str {
        &self.frame.label
    }

    /// The words that start our own program in an image.
    pub(super) fn words(&self, program: &SandboxProgram) -> Vec<String> {
        let mut words = match &self.loader {
            Ok(Some(loader)) => return loader.words().to_vec(),
            Ok(None) | Err(_) => vec![spec::PROGRAM.to_owned()],
        };
        words.extend_from_slice(&program.prefix_args);
        words
    }

    /// What a step's container is called.
    pub(super) fn name(&self, spec: &Spec, number: u32) -> String {
        let run = spec.run_dir.file_name().unwrap_or_default();
        format!("{}-{}-{number}", self.frame.label, run.to_string_lossy())
    }

    pub(super) fn describe(&self) -> &str {
        &self.about
    }

    /// For people: how memory and processes are limited.
    pub(super) fn caps(&self) -> &'static str {
        match self.frame.limits {
            true => "control groups, by the container engine",
            false => "resource limits and watching only: the container engine limits nothing",
        }
    }

    /// Begins a step; the container comes up in the background.
    pub(super) fn start(
        &self,
        sandbox: &Sandbox,
        step: &Step,
        begun: Begun,
    ) -> Result<Running, SandboxError> {
        let Sandbox { host, spec, .. } = sandbox;
        let name = format!("{}.door", begun.number);
        let etc = host.config.data.join("etc");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|e| SandboxError::host("reading /proc/self/mountinfo", e))?;
        let root = match (step.system, &spec.image) {
            (System::Project, Some(image)) => Root::Image(image),
            (System::Install, Some(image)) => Root::Install(image),
            (System::Machine | System::Project | System::Install, _) => Root::Machine,
        };
        let installs = step.system == System::Install;
        let house = House {
            program: &host.config.program,
            loader: self.loader.as_ref().ok().and_then(Option::as_ref),
            read_only: &host.config.read_only,
            etc: &etc,
            mounts: &mounts,
        };
        let door = format!("{}/{name}", spec::SOCKETS);
        let body = plan::body(&self.frame, &house, spec, root, &door)?;
        let sockets = spec.run_dir.join("sockets");
        let door = Door::open(&sockets, &name, host.owner()).map_err(|e| {
            let place = sockets.join(&name);
            SandboxError::host(format!("opening {}", place.display()), e)
        })?;
        let report = std::fs::File::options()
            .append(true)
            .open(&begun.report)
            .map_err(|e| SandboxError::host(format!("opening {}", begun.report.display()), e))?;
        let user = match installs {
            true => (0, 0),
            false => self.frame.user,
        };
        let (streams, files) = streams(step, report.into(), user)?;
        let below = match root {
            Root::Machine => &[][..],
            Root::Image(image) | Root::Install(image) => image.env(),
        };
        let packet = Packet {
            order: self.order(spec, step, below),
            files,
        };
        let name = self.name(spec, begun.number);
        let layer = installs.then(|| {
            let most = spec.limits.disk_bytes;
            Layer::new(self.docker.clone(), name.clone(), most)
        });
        let first = Arc::new(OnceLock::new());
        let starting = engine::start(Coming {
            first: Arc::clone(&first),
            docker: self.docker.clone(),
            places: plan::places(&body, root),
            name,
            body,
            image: match root {
                Root::Machine => None,
                Root::Image(image) | Root::Install(image) => Some(image.name().to_owned()),
            },
            door,
            user: user.0,
            packet,
        });
        let life = Life {
            starting: Some(Box::pin(starting)),
            live: None,
            failed: None,
            group: Group::default(),
            hit: None,
            limits: spec.limits.clone(),
            limited: self.frame.limits,
            layer,
        };
        let watched = Watched::new(AnyLife::Container(life), sandbox, begun);
        Ok(running::watch_over(watched, streams, First::Known(first)))
    }

    fn order(&self, spec: &Spec, step: &Step, below: &[(String, String)]) -> Order {
        let relays = spec.relays.iter();
        Order {
            relays: relays
                .map(|relay| (relay.port, Path::new(spec::SOCKETS).join(&relay.socket)))
                .collect(),
            file_bytes: spec.limits.file_bytes,
            // A little above what is watched, so that it can be seen that the limit is passed.
            processes: (!self.frame.limits).then(|| spec.limits.processes.saturating_add(32)),
            stdin: match &step.stdin {
                Stdin::File(path) => Some(path.clone()),
                Stdin::Closed | Stdin::Pipe => None,
            },
            env: environment(below, &step.env),
            command: step.command.clone(),
        }
    }
}

/// Pipes: our ends, and what goes inside behind the report, for this user.
fn streams(
    step: &Step,
    report: OwnedFd,
    (uid, gid): (u32, u32),
) -> Result<(Streams, Vec<OwnedFd>), SandboxError> {
    let pipes = || -> io::Result<(Streams, Vec<OwnedFd>)> {
        let (output, stdout) = io::pipe()?;
        let (errors, stderr) = io::pipe()?;
        let mut files: Vec<OwnedFd> = vec![report, stdout.into(), stderr.into()];
        let mut streams = Streams {
            stdin: None,
            stdout: Some(tokio::process::ChildStdout::from_std(ChildStdout::from(
                OwnedFd::from(output),
            ))?),
            stderr: Some(tokio::process::ChildStderr::from_std(ChildStderr::from(
                OwnedFd::from(errors),
            ))?),
        };
        if step.stdin == Stdin::Pipe {
            let (stdin, input) = io::pipe()?;
            files.push(stdin.into());
            let input = ChildStdin::from(OwnedFd::from(input));
            streams.stdin = Some(tokio::process::ChildStdin::from_std(input)?);
        }
        for file in files.iter().skip(1) {
            // So that `/dev/stdout` can be opened by its name.
            fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok((streams, files))
    };
    pipes().map_err(|e| SandboxError::host("making pipes", e))
}

impl Life {
    /// Returns when the container has ended by itself, or did not come up.
    pub(super) async fn ended(&mut self) {
        if let Some(starting) = &mut self.starting {
            let started = starting.await;
            self.started(started);
        }
        let Some(live) = &mut self.live else {
            return;
        };
        if let Some(line) = &mut live.line {
            let mut word = [0];
            tokio::select! {
                biased;
                _ = line.read(&mut word) => {
                    // The kernel forgets what was reached when the group goes with its last process.
                    self.hit = self.hit.or(self.group.hit());
                    live.line = None;
                }
                () = live.process.gone() => {}
            }
        }
        live.process.gone().await;
        self.hit = self.hit.or(self.group.hit());
    }

    fn started(&mut self, started: Result<Live, SandboxError>) {
        self.starting = None;
        match started {
            Ok(live) => {
                if self.limited {
                    self.group = group::of(live.pid, &self.limits);
                }
                self.live = Some(live);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// The cap that the kernel enforced, if any.
    pub(super) fn hit(&self) -> Option<Cap> {
        self.hit.or_else(|| self.group.hit())
    }

    /// The cap on what is written into the container itself, if it is passed.
    pub(super) async fn overwritten(&mut self) -> Option<Cap> {
        self.live.as_ref()?;
        self.layer.as_mut()?.passed().await
    }

    /// Where to watch, if the engine limits nothing.
    pub(super) fn unlimited(&self) -> Option<i32> {
        let live = self.live.as_ref()?;
        (!self.group.limits()).then_some(live.pid)
    }

    /// SIGKILL to the first process; the kernel ends all others with it.
    pub(super) async fn end(&mut self) -> Result<(), SandboxError> {
        let begin = Instant::now();
        if let Some(starting) = &mut self.starting {
            let Ok(started) = tokio::time::timeout(PATIENCE, starting).await else {
                // What may still come up finds its door shut, and ends without a command.
                self.starting = None;
                return Ok(());
            };
            self.started(started);
        }
        let Some(live) = &mut self.live else {
            return Ok(());
        };
        live.process.kill();
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if tokio::time::timeout(left.max(Duration::from_secs(1)), live.process.gone())
            .await
            .is_ok()
        {
            return Ok(());
        }
        let mut pids = self.group.alive();
        if pids.is_empty() {
            pids.push(live.pid);
        }
        let after = begin.elapsed();
        Err(SandboxError::NotGone { pids, after })
    }

    /// The engine removes the container by itself; what went wrong at its start is told once.
    pub(super) fn clear(&mut self) -> Option<SandboxError> {
        self.failed.take()
    }
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life")
            .field("live", &self.live)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
