//! What a caller says about a sandbox: the run's tree and limits, and one step's command.
//!
//! Invariant: nothing here is read from a repository, a prompt or a model; these values come from
//! the platform and the operator only. Deliberately absent: host secrets, and any switch that would
//! weaken the walls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use serde::{Deserialize, Serialize};

use super::Image;

/// Where the working tree is inside.
pub const WORKSPACE: &str = "/workspace";
/// The home directory inside.
pub const HOME: &str = "/home/agent";
/// The read-only directory of the platform inside.
pub const CONTROL: &str = "/nightshift";
/// Our own program inside. In an image it may be a script that starts it.
pub const PROGRAM: &str = "/nightshift/bin/nightshift";
/// What our own program needs in an image whose system is not this machine's.
pub const LIB: &str = "/nightshift/lib";
/// The broker's sockets inside.
pub const SOCKETS: &str = "/nightshift/sockets";
/// The project's objects inside; alternates of warm checkouts point here.
pub const OBJECTS: &str = "/nightshift/objects";
/// The loopback port of the platform's relay.
pub const PLATFORM_PORT: u16 = 7070;
/// The loopback port of the model's relay.
pub const MODEL_PORT: u16 = 7071;

/// The loopback port of the network's relay, an HTTP proxy.
pub const PROXY_PORT: u16 = 7072;

/// How our own program is started: by path, with arguments before the hidden command.
#[derive(Debug, Clone)]
pub struct SandboxProgram {
    /// On the host; also bound into the sandbox as [`PROGRAM`].
    pub path: PathBuf,
    /// Put before `sandbox-enter` and `sandbox-init`; empty for the product.
    pub prefix_args: Vec<String>,
}

/// A path of the host made visible inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
}

/// The tree at [`WORKSPACE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// `upper` of the run's directory over a warm checkout that is never written.
    Overlay {
        /// The warm checkout's tree.
        lower: PathBuf,
        /// What a set-up left, never written either: its `tree` lies under the warm checkout, so that
        /// what git tracks hides it, and its `home` under the run's home.
        setup: Option<PathBuf>,
    },
    /// The directory `tree` of the run's directory, a checkout of its own.
    Plain,
}

/// From a loopback port inside to a socket of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// On 127.0.0.1.
    pub port: u16,
    /// The socket's file name in the run's `sockets` directory.
    pub socket: String,
}

/// What a run may use at most. Reaching one ends that run only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all processes, bytes, with temporary files.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Processor time per second, in thousandths of one processor; `None` is no limit.
    pub cpu_millis: Option<u64>,
    /// What the run adds to its tree and its home, bytes.
    pub disk_bytes: u64,
    /// What the run adds to its tree and its home, files and directories.
    pub disk_files: u64,
    /// The largest single file, bytes.
    pub file_bytes: u64,
    /// `/tmp` (and again `/dev/shm`), bytes of memory.
    pub tmp_bytes: u64,
    /// Free space that must stay on the runner's file system, bytes.
    pub host_free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            processes: 1024,
            cpu_millis: None,
            disk_bytes: 10 << 30,
            disk_files: 1_000_000,
            file_bytes: 4 << 30,
            tmp_bytes: 1 << 30,
            host_free_bytes: 1 << 30,
        }
    }
}

/// What is the same for all steps of a run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The run's directory, as `workspace::RunDir` makes it.
    pub run_dir: PathBuf,
    /// The working tree.
    pub tree: Tree,
    /// The system of steps of [`System::Project`]; none is the machine's own.
    pub image: Option<Arc<Image>>,
    /// Visible, never writable: agent programs, the project's objects.
    pub read_only: Vec<Bind>,
    /// Visible and writable: a harness's session directory. Targets under [`HOME`].
    pub writable: Vec<Bind>,
    /// The ways out.
    pub relays: Vec<Relay>,
    /// The caps.
    pub limits: Limits,
}

/// Whose system a command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum System {
    /// This machine's own: for what the platform does in the tree.
    #[default]
    Machine,
    /// The project's: its image, where it names one.
    Project,
    /// The project's image, to be added to: as root inside, its file system can be written and
    /// outlives the step as long as [`super::Making`]. Neither the
    /// tree nor a home is there.
    Install,
}

/// Where the command's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// At its end from the start.
    Closed,
    /// A file inside the sandbox, such as `/nightshift/prompt.md`.
    File(PathBuf),
    /// Written by the caller through [`super::Running::stdin`].
    Pipe,
}

/// One command in one fresh sandbox over the run's tree.
#[derive(Debug, Clone)]
pub struct Step {
    /// Program and arguments; the program is searched in the step's `PATH`.
    pub command: Vec<String>,
    /// All variables, beside `PATH`, `HOME`, `USER`, `LANG`, `TMPDIR`, which may be set here too.
    pub env: Vec<(String, String)>,
    /// Whose system it sees.
    pub system: System,
    /// Its input.
    pub stdin: Stdin,
    /// The wall clock, armed before the start.
    pub timeout: Duration,
}

/// The cap that ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// More memory than allowed, bytes.
    Memory(u64),
    /// More processes than allowed.
    Processes(u64),
    /// More bytes on disk than allowed.
    DiskBytes(u64),
    /// More files than allowed.
    DiskFiles(u64),
    /// Directories nested deeper than anything that can be cleaned up in good time.
    DiskDepth(u64),
    /// The runner's file system is nearly full: less than this many bytes free.
    HostDisk(u64),
    /// More output than the caller takes, bytes.
    Output(u64),
}

impl Cap {
    /// What was done, as in "the run ... and was ended".
    #[must_use]
    pub fn said(self) -> Sentence {
        match self {
            Self::Memory(limit) => say::much_memory(limit),
            Self::Processes(limit) => say::many_processes(limit),
            Self::DiskBytes(limit) => say::much_disk(limit),
            Self::DiskFiles(limit) => say::many_files(limit),
            Self::DiskDepth(limit) => say::deep_folders(limit),
            Self::HostDisk(limit) => say::little_left(limit),
            Self::Output(limit) => say::much_output(limit),
        }
    }
}

impl std::fmt::Display for Cap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.said().fmt(f)
    }
}

/// How a step ended. In every case nothing of it is alive any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command ended by itself.
    Exited {
        /// Its status, 0 to 255.
        code: i32,
    },
    /// The command was ended by a signal from inside.
    Signalled {
        /// Its number.
        signal: i32,
    },
    /// A cap was reached.
    Capped(Cap),
    /// The wall clock ran out.
    TimedOut,
    /// [`super::Killer::kill`] was called, or the handle was dropped.
    Killed,
}
