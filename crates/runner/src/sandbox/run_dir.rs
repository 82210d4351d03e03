//! The directory of one run on the runner: what is bound into its sandboxes and what stays outside.
//!
//! ```text
//! <data>/runs/<run id>/   0700, the runner's
//!   lock      held while a runner process owns the run
//!   control/  read-only inside at /nightshift: prompt, acceptance tests
//!   sockets/  the broker's sockets
//!   home/     the run's /home/agent
//!   upper/    what the run changes over the warm checkout, with work/, lower/, merged/ for the mount,
//!             and setup/ for what a set-up left below; home-* are the same places for the home
//!   tree/     a checkout of its own, where there are no overlays
//!   steps/    reports of the sandboxes; not visible inside
//! ```
//! Invariant: it appears whole, by rename, and goes only when its lock is free. Names made by the
//! agent are below `home`, `upper` and `tree` only.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tokio::net::UnixListener;

use super::error::SandboxError;
use super::remove::remove_tree;

/// Directories of the run's own user.
const AGENTS: &[&str] = &["home", "upper", "tree"];
/// Directories of the runner, some of them only places to mount on.
const OURS: &[&str] = &[
    "control",
    "control/acceptance",
    "control/bin",
    "control/lib",
    "control/objects",
    "control/sockets",
    "home-lower",
    "home-merged",
    "home-work",
    "lower",
    "merged",
    "setup",
    "sockets",
    "steps",
    "work",
];

/// A run's directory, owned by this process.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    lock: File,
}

impl RunDir {
    /// Makes the directory `name` below `runs`; the agent's part belongs to `owner` if given.
    ///
    /// # Errors
    /// The name exists already, or the file system refuses.
    pub(crate) fn create(
        runs: &Path,
        name: &str,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, SandboxError> {
        let path = runs.join(name);
        let failed = |e: io::Error| SandboxError::host(format!("making {}", path.display()), e);
        let staging = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(runs)
            .map_err(failed)?;
        let base = staging.path();
        let lock = File::create_new(base.join("lock")).map_err(failed)?;
        lock.try_lock()
            .map_err(|e| failed(io::Error::other(e.to_string())))?;
        for part in OURS {
            directory(&base.join(part), None).map_err(failed)?;
        }
        for part in AGENTS {
            directory(&base.join(part), owner).map_err(failed)?;
        }
        File::create_new(base.join("control/bin/nightshift")).map_err(failed)?;
        if path.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(base, &path).map_err(failed)?;
        // The name it had is gone; there is nothing left to remove.
        let _renamed: PathBuf = staging.keep();
        Ok(Self { path, lock })
    }

    /// Where it is on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that the agent can read at `/nightshift/<name>`; its directories are made.
    ///
    /// # Errors
    /// `name` leaves the directory, or the file system refuses.
    pub fn write_control(
        &self,
        name: &Path,
        bytes: &[u8],
        executable: bool,
    ) -> Result<(), SandboxError> {
        let failed = |e: &dyn std::fmt::Display| {
            SandboxError::host(format!("writing the control file {}", name.display()), e)
        };
        let plain = name
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain || name.as_os_str().is_empty() {
            return Err(failed(&"the name must be relative and without `..`"));
        }
        let control = self.path.join("control");
        let mut parent = control.clone();
        for part in name.parent().into_iter().flat_map(Path::components) {
            parent.push(part);
            if !parent.is_dir() {
                directory(&parent, None).map_err(|e| failed(&e))?;
            }
        }
        let path = control.join(name);
        fs::write(&path, bytes).map_err(|e| failed(&e))?;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(|e| failed(&e))
    }

    /// Removes everything. Nothing of the run may be alive any more.
    ///
    /// # Errors
    /// The file system refuses; the next start's sweep tries again.
    pub fn remove(self) -> Result<(), SandboxError> {
        let Self { path, lock } = self;
        let gone = remove_tree(&path);
        drop(lock);
        gone.map_err(|e| SandboxError::host(format!("removing {}", path.display()), e))
    }
}

/// Removes every run directory below `runs` that no living process owns; returns how many.
///
/// A directory without a lock file that we could take is left alone: it is not known to be ours.
pub(crate) fn sweep(runs: &Path) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        let Ok(lock) = File::open(path.join("lock")) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => match remove_tree(&path) {
                Ok(()) => swept += 1,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a left-over run directory stays");
                }
            },
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::warn!(path = %path.display(), %error, "a run directory's lock cannot be read");
            }
        }
    }
    Ok(swept)
}

/// Makes a directory that everybody may enter and `owner` may write. What protects it from other
/// users of the host is the run's directory around it.
pub(super) fn directory(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    give(path, owner)
}

/// Gives a file or directory to the user as whom sandboxes run.
pub(super) fn give(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// A socket that only the user of the sandboxes may connect to. It is bound by way of the directory's
/// descriptor, because the path itself may be longer than a socket's address. One that an earlier
/// process left is replaced.
pub(crate) fn listen(
    directory: &Path,
    name: &str,
    owner: Option<(u32, u32)>,
) -> io::Result<UnixListener> {
    let path = directory.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let open = nix::fcntl::open(directory, flags, Mode::empty())?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    if let Some((uid, gid)) = owner {
        chown(&path, Some(uid), Some(gid))?;
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_takes_what_nobody_owns_and_leaves_the_rest() {
        let runs = tempfile::tempdir().expect("a directory");
        let live = RunDir::create(runs.path(), "live", None).expect("a run");
        drop(RunDir::create(runs.path(), "dead", None).expect("a run"));
        fs::create_dir(runs.path().join("unknown")).expect("a directory");
        assert_eq!(sweep(runs.path()).expect("a sweep"), 1);
        assert!(live.path().exists());
        assert!(runs.path().join("unknown").exists());
        assert!(!runs.path().join("dead").exists());
        assert!(RunDir::create(runs.path(), "live", None).is_err());
        assert!(live.path().join("home").exists());
    }

    #[test]
    fn a_control_file_stays_in_its_directory() {
        let runs = tempfile::tempdir().expect("a directory");
        let run = RunDir::create(runs.path(), "run", None).expect("a run");
        run.write_control(Path::new("acceptance/a/t.sh"), b"x", true)
            .expect("a file");
        for bad in ["../x", "/x", "a/../../x", ""] {
            assert!(
                run.write_control(Path::new(bad), b"x", false).is_err(),
                "{bad}"
            );
        }
    }
}
