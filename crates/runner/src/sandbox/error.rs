//! What can be wrong with a sandbox, each naming the part, the cause and the next step.
//!
//! Invariant: every error here means "the command did not run, or was ended": there is no path on
//! which a missing part is replaced by a weaker one.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A part without which no sandbox starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The program `bwrap`.
    Bubblewrap,
    /// Docker or Podman.
    Engine,
    /// User, mount, process and network namespaces of the kernel.
    Namespaces,
    /// The overlay mount that gives a run its own view of the warm checkout.
    Overlay,
    /// The filter of system calls.
    Seccomp,
    /// The control group that limits memory and processes.
    Cgroup,
    /// Our own program, which is started outside and inside.
    Program,
    /// A directory or file that was to be visible inside.
    Bind,
    /// A relay from a loopback port to one of the broker's sockets.
    Relay,
    /// The command of the step.
    Command,
}

impl Part {
    /// What a person does about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::Bubblewrap => {
                "install the package `bubblewrap` (0.8 or newer) or set its path in the runner's configuration"
            }
            Self::Engine => {
                "start Docker or Podman, let the runner's user open its socket, name that under [sandbox] in the runner's settings, and see with `nightshift doctor`; or take the engine \"bubblewrap\" there"
            }
            Self::Namespaces => {
                "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0) or run the runner as root"
            }
            Self::Overlay => {
                "use a local file system (ext4, xfs, btrfs) for the runner's data directory and a kernel of 5.11 or newer"
            }
            Self::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
            Self::Cgroup => {
                "run `nightshift doctor` and delegate the memory and pids controllers to the runner's service, or remove them"
            }
            Self::Program => {
                "check that the path of the nightshift program exists and is executable by everyone"
            }
            Self::Bind => "check that the path exists on the runner",
            Self::Relay => "run `nightshift doctor` on the runner",
            Self::Command => {
                "check that the program exists inside the sandbox (/usr and the read-only directories of the runner's configuration)"
            }
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Engine => "container engine",
            Self::Namespaces => "namespaces",
            Self::Overlay => "overlay mount",
            Self::Seccomp => "system call filter",
            Self::Cgroup => "control group",
            Self::Program => "nightshift program",
            Self::Bind => "visible path",
            Self::Relay => "relay",
            Self::Command => "command",
        })
    }
}

/// Why a sandbox did not start, or could not be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// A part failed; nothing ran.
    #[error("sandbox not started: {part}: {cause}; next: {}", part.fix())]
    Part {
        /// Which part.
        part: Part,
        /// What it said.
        cause: String,
    },
    /// Another step of the same run is still alive.
    #[error(
        "sandbox not started: another step of this run still runs; next: wait for it or kill it"
    )]
    Busy,
    /// A path that may not be a place inside the sandbox.
    #[error("sandbox not started: {} may not be a place inside the sandbox; next: choose one under /home/agent or /opt", .0.display())]
    Place(PathBuf),
    /// The project's image cannot be used.
    #[error(
        "the image {name} cannot be used: {cause}; next: correct the image, or name another one as environment.image in .nightshift/config.toml"
    )]
    Image {
        /// As the project names it.
        name: String,
        /// Why not.
        cause: String,
    },
    /// The project's image did not come from its registry.
    #[error(
        "the image {name} could not be pulled: {cause}; next: see on the runner that its engine reaches the registry, and that a private one is named as [[sandbox.registry]] in the runner's settings"
    )]
    Pull {
        /// As the project names it.
        name: String,
        /// What the engine said.
        cause: String,
    },
    /// Another runner process uses the data directory.
    #[error("the data directory {} is used by another runner; next: stop it or choose another directory", .0.display())]
    DataInUse(PathBuf),
    /// Processes that outlived SIGKILL.
    #[error("processes of the sandbox are still alive {} s after SIGKILL: {pids:?}; next: look for a hung file system or device on the runner", after.as_secs())]
    NotGone {
        /// Their ids on the host.
        pids: Vec<i32>,
        /// How long was waited.
        after: Duration,
    },
    /// Something of the host failed.
    #[error("{what}: {cause}")]
    Host {
        /// What was tried, naming the path.
        what: String,
        /// What the system said.
        cause: String,
    },
}

impl SandboxError {
    /// Shorthand for a failed part.
    pub(crate) fn part(part: Part, cause: impl std::fmt::Display) -> Self {
        Self::Part {
            part,
            cause: cause.to_string(),
        }
    }

    /// Shorthand for a failed operation of the host.
    pub(crate) fn host(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Host {
            what: what.into(),
            cause: cause.to_string(),
        }
    }
}
