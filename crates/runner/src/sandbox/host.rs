//! What the runner's machine offers for sandboxes, found out once at the start by running one.
//!
//! Invariant: a [`SandboxHost`] exists only when a real sandbox came up and every wall was seen from
//! inside, whatever makes them; one runner process owns a data directory. Deliberately absent: weaker
//! walls. Two things may be missing: the overlay, which costs speed, and control groups, whose limits
//! are then watched.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::bubblewrap::{self, Bubblewrap};
use super::cgroup::Cgroups;
use super::container::Container;
use super::error::{Part, SandboxError};
use super::etc;
use super::images::Images;
use super::prove;
use super::run_dir::{self, RunDir};
use super::spec::{Bind, SandboxProgram};

/// As whom sandboxes run when the runner is root: an id in a range that neither packages nor
/// systemd nor container engines hand out.
const IDENTITY: u32 = 60_700;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Our own program.
    pub program: SandboxProgram,
    /// What makes the walls.
    pub backend: Backend,
    /// The runner's data directory.
    pub data: PathBuf,
    /// Visible in every sandbox, read-only: tool chains outside `/usr`.
    pub read_only: Vec<Bind>,
}

/// What makes the walls of this machine's sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Bubblewrap, a program of the system.
    Bubblewrap {
        /// Where it is.
        program: PathBuf,
    },
    /// Docker or Podman.
    Container {
        /// Where it listens.
        socket: PathBuf,
    },
}

/// The same, once it was found to be there.
#[derive(Debug)]
pub(super) enum Engine {
    Bubblewrap(Bubblewrap),
    Container(Box<Container>),
}

/// What was found; for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// What makes the walls, with its version where it tells one.
    pub engine: String,
    /// Why there is no overlay, if there is none.
    pub no_overlay: Option<String>,
    /// Why runs cannot see the system of an image that their project names, if they cannot.
    pub no_images: Option<String>,
    /// How memory and processes are limited.
    pub caps: String,
    /// The user on the host as whom sandboxes run, when it is not the runner's own.
    pub identity: Option<u32>,
    /// Run directories, control groups and containers that an earlier runner left and that were
    /// removed.
    pub swept: usize,
}

/// A machine on which sandboxes are known to work.
#[derive(Debug)]
pub struct SandboxHost {
    pub(super) config: HostConfig,
    pub(super) identity: Option<(u32, u32)>,
    pub(super) engine: Engine,
    pub(super) images: Images,
    support: Support,
    _lock: File,
}

impl SandboxHost {
    /// Takes the data directory, removes what an earlier runner left, and proves the sandbox.
    ///
    /// # Errors
    /// A part is missing or does not hold: no sandbox may be started on this machine.
    pub async fn open(mut config: HostConfig) -> Result<Arc<Self>, SandboxError> {
        executable(&config.program.path, Part::Program)?;
        let lock = take(&config.data)?;
        // Sandboxes are started from another directory than ours.
        for path in [&mut config.data, &mut config.program.path] {
            let whole = path.canonicalize();
            *path =
                whole.map_err(|e| SandboxError::host(format!("reading {}", path.display()), e))?;
        }
        let identity = identity();
        let name = name(&config.data);
        let engine = match &config.backend {
            Backend::Bubblewrap { program } => {
                Engine::Bubblewrap(Bubblewrap::open(program, cgroups(&name))?)
            }
            Backend::Container { socket } => {
                let user = identity.unwrap_or_else(own_ids);
                let (program, data) = (&config.program, &config.data);
                let engine = Container::open(socket, &name, user, program, data).await?;
                Engine::Container(Box::new(engine))
            }
        };
        let mut swept = engine.sweep().await?;
        let runs = config.data.join("runs");
        swept += run_dir::sweep(&runs)
            .map_err(|e| SandboxError::host(format!("reading {}", runs.display()), e))?;
        let etc = config.data.join("etc");
        etc::compose(Path::new("/etc"), &etc, engine.user(), engine.files())
            .map_err(|e| SandboxError::host(format!("making {}", etc.display()), e))?;
        let support = Support {
            engine: engine.describe(),
            no_overlay: engine.no_overlay(),
            no_images: engine.no_images(),
            caps: engine.caps(),
            identity: identity.map(|(uid, _)| uid),
            swept,
        };
        let host = Self {
            config,
            identity,
            engine,
            images: Images::default(),
            support,
            _lock: lock,
        };
        let host = host.proved().await?;
        host.image_clean().await;
        Ok(host)
    }

    /// What was found.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// The runner's data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    /// Makes the directory of a run, owned by this process until it is dropped or removed.
    ///
    /// # Errors
    /// The run has one already, or the file system refuses.
    pub fn run_dir(&self, name: &str) -> Result<RunDir, SandboxError> {
        RunDir::create(&self.config.data.join("runs"), name, self.identity)
    }

    /// Makes a directory for the use of sandboxes (a harness's session directory) if it is not
    /// there, and gives it to their user. Its parents must exist and be the runner's.
    ///
    /// # Errors
    /// The file system refuses, or something else has the name.
    pub fn shared_dir(&self, path: &Path) -> Result<(), SandboxError> {
        let made = match run_dir::directory(path, self.identity) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                match fs::symlink_metadata(path) {
                    Ok(found) if found.is_dir() => Ok(()),
                    Ok(_) => Err(e),
                    Err(e) => Err(e),
                }
            }
            other => other,
        };
        made.map_err(|e| SandboxError::host(format!("making {}", path.display()), e))
    }

    /// To whom a file is to belong that sandboxes use; the runner itself where there is no other.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.identity
    }

    /// Gives a file of the runner to the user of the sandboxes.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        run_dir::give(path, self.identity)
    }

    /// Runs one sandbox with everything, and again without what may be missing.
    async fn proved(self) -> Result<Arc<Self>, SandboxError> {
        let mut host = Arc::new(self);
        let mut overlay = host.support.no_overlay.is_none();
        loop {
            let outcome = prove::machine(&host, overlay).await;
            let Some(only) = Arc::get_mut(&mut host) else {
                let cause = "the probe is still under way";
                return Err(SandboxError::host("proving the sandbox", cause));
            };
            match outcome {
                Ok(()) => return Ok(host),
                Err(SandboxError::Part {
                    part: Part::Overlay,
                    cause,
                }) if overlay => {
                    only.support.no_overlay = Some(cause);
                    overlay = false;
                }
                // Groups that can be made but not joined; the limits are watched then.
                Err(SandboxError::Part {
                    part: Part::Cgroup,
                    cause,
                }) => {
                    if !only.engine.forget_groups() {
                        return Err(SandboxError::part(Part::Cgroup, cause));
                    }
                    only.support.caps = only.engine.caps();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Engine {
    /// As whom a command finds itself inside.
    pub(super) fn user(&self) -> u32 {
        match self {
            Self::Bubblewrap(_) => bubblewrap::USER,
            Self::Container(engine) => engine.user(),
        }
    }

    /// What stands in the sandboxes' `/etc` besides.
    fn files(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Bubblewrap(_) => &[],
            Self::Container(_) => Container::FILES,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Bubblewrap(_) => "bubblewrap".to_owned(),
            Self::Container(engine) => engine.describe().to_owned(),
        }
    }

    /// Why there never is an overlay, if there is none.
    fn no_overlay(&self) -> Option<String> {
        match self {
            Self::Bubblewrap(_) => None,
            Self::Container(_) => Some("containers work on a checkout of their own".to_owned()),
        }
    }

    /// Why projects cannot have images, if they cannot.
    fn no_images(&self) -> Option<String> {
        match self {
            Self::Bubblewrap(_) => Some(
                "bubblewrap shows this machine's own system: choose engine = \"container\" under [sandbox] in the runner's settings".to_owned(),
            ),
            Self::Container(engine) => engine.no_images().map(str::to_owned),
        }
    }

    fn caps(&self) -> String {
        match self {
            Self::Bubblewrap(engine) => engine.caps().to_owned(),
            Self::Container(engine) => engine.caps().to_owned(),
        }
    }

    async fn sweep(&self) -> Result<usize, SandboxError> {
        match self {
            Self::Bubblewrap(engine) => Ok(engine.sweep()),
            Self::Container(engine) => engine.sweep().await,
        }
    }

    fn forget_groups(&mut self) -> bool {
        match self {
            Self::Bubblewrap(engine) => engine.forget_groups(),
            Self::Container(_) => false,
        }
    }
}

pub(super) fn executable(path: &Path, part: Part) -> Result<(), SandboxError> {
    let found = fs::metadata(path)
        .map_err(|e| SandboxError::part(part, format!("{}: {e}", path.display())))?;
    if found.is_file() && found.permissions().mode() & 0o111 != 0 {
        Ok(())
    } else {
        Err(SandboxError::part(
            part,
            format!("{} is not a program", path.display()),
        ))
    }
}

/// Makes the data directory with its parts, and locks it.
fn take(data: &Path) -> Result<File, SandboxError> {
    let failed = |e: io::Error| SandboxError::host(format!("making {}", data.display()), e);
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700);
    for part in ["", "runs", "projects"] {
        private.create(data.join(part)).map_err(failed)?;
    }
    let lock = File::create(data.join("lock")).map_err(failed)?;
    lock.try_lock()
        .map_err(|_| SandboxError::DataInUse(data.to_owned()))?;
    Ok(lock)
}

/// A user of its own for sandboxes, where the runner is root and that user exists in its namespace.
fn identity() -> Option<(u32, u32)> {
    let mapped = |file: &str| {
        fs::read_to_string(file).is_ok_and(|map| {
            map.lines().any(|line| {
                let fields: Vec<u64> = line
                    .split_whitespace()
                    .filter_map(|f| f.parse().ok())
                    .collect();
                matches!(fields[..], [first, _, count]
                    if (first..first.saturating_add(count)).contains(&u64::from(IDENTITY)))
            })
        })
    };
    let root = nix::unistd::geteuid().is_root();
    (root && mapped("/proc/self/uid_map") && mapped("/proc/self/gid_map"))
        .then_some((IDENTITY, IDENTITY))
}

/// The runner's own user.
fn own_ids() -> (u32, u32) {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    (uid.as_raw(), gid.as_raw())
}

/// What everything that belongs to a data directory is called outside of it.
fn name(data: &Path) -> String {
    let hash = Sha256::digest(data.as_os_str().as_encoded_bytes());
    format!("nightshift-{}", hex::encode(&hash[..8]))
}

fn cgroups(name: &str) -> Cgroups {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Cgroups::detect(Path::new("/sys/fs/cgroup"), &own, name)
}
