//! Where untrusted code runs, with walls that never depend on a repository, a prompt or a model.
//!
//! Two engines make them, and the operator chooses: `bubblewrap`, a program of the system, and
//! `container`, Docker or Podman by their socket. Inside, both begin with our own program as
//! `sandbox-init` ([`init`]), which starts the command. Invariants: a missing part means that nothing
//! runs; when a step's end is told, nothing of it is alive; no secret of the platform goes in; the
//! network is the loopback. Deliberately absent: any reading of the working tree from outside.

mod bubblewrap;
mod cgroup;
mod container;
mod error;
mod etc;
mod host;
mod images;
pub mod init;
mod layout;
mod machine;
mod probe;
mod prove;
mod relay;
mod remove;
mod report;
mod run_dir;
mod running;
mod seccomp;
pub mod spec;
mod watch;

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

pub use bubblewrap::enter;
pub use container::{Credentials, Image};
pub use error::{Part, SandboxError};
pub use host::{Backend, HostConfig, SandboxHost, Support};
pub use images::Making;
pub use run_dir::RunDir;
pub use running::{Killer, Running};
pub use spec::{Bind, Cap, Exit, Limits, Relay, SandboxProgram, Spec, Stdin, Step, System, Tree};

pub(crate) use layout::environment;
pub(crate) use remove::remove_tree;
pub(crate) use report::complain;
pub(crate) use run_dir::listen;
pub(crate) use watch::free as free_bytes;

use host::Engine;

/// The sandbox of one run: one step at a time, each in fresh namespaces over the same tree.
#[derive(Debug)]
pub struct Sandbox {
    host: Arc<SandboxHost>,
    spec: Spec,
    steps: AtomicU32,
    busy: Arc<AtomicBool>,
}

/// A step that is about to start.
struct Begun {
    /// Its number in the run.
    number: u32,
    /// The file that takes its report.
    report: PathBuf,
    /// The end of its time.
    deadline: Instant,
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
        self.mount_points()?;
        let begun = Begun {
            number,
            report,
            deadline,
        };
        match &self.host.engine {
            Engine::Bubblewrap(_)
                if step.system != System::Machine && self.spec.image.is_some() =>
            {
                Err(SandboxError::part(
                    Part::Engine,
                    "bubblewrap cannot show the system of an image",
                ))
            }
            Engine::Bubblewrap(engine) => engine.start(self, step, begun).await,
            Engine::Container(engine) => engine.start(self, step, begun),
        }
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
