//! A PostgreSQL server for tests, started from the installed programs in a temporary folder.
//!
//! It listens on a unix socket in that folder only, and ends with the thread that started it, even
//! when that is killed. Where PostgreSQL is missing, starting fails and says how to install it:
//! nothing is skipped. Deliberately absent: anything of ours; this file stands alone, so that the
//! store's own tests can include it.
#![expect(
    clippy::disallowed_methods,
    reason = "starts the programs of PostgreSQL, for tests only"
)]

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);
const INSTALL: &str = "PostgreSQL is not installed, and these tests do not skip: install it with `apt-get install postgresql` (Debian, Ubuntu) or `dnf install postgresql-server` (Fedora)";

/// A running server. Stopped, and its data removed, when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Server {
    /// Makes a cluster and starts a server on it, with these settings (`name=value`) on top of the
    /// defaults. Start it on a thread that lives as long as the server is needed.
    ///
    /// # Errors
    /// What is missing, or the server's own words.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        let programs = programs().ok_or(INSTALL)?;
        let folder = tempfile::Builder::new()
            .prefix("pg")
            .tempdir()
            .map_err(|error| format!("no temporary folder for PostgreSQL: {error}"))?;
        let owner = owner()?;
        if let Some(owner) = &owner {
            chown(
                folder.path(),
                Some(owner.uid.as_raw()),
                Some(owner.gid.as_raw()),
            )
            .map_err(|error| format!("cannot give the folder to {}: {error}", owner.name))?;
        }
        let data = folder.path().join("data");
        let made = as_owner(owner.as_ref(), &programs.join("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=nightshift", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync"])
            .current_dir(folder.path())
            .output()
            .map_err(|error| format!("cannot run initdb: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let log = folder.path().join("log");
        let log_file = File::create(&log).map_err(|error| format!("no log file: {error}"))?;
        let mut command = as_owner(owner.as_ref(), &programs.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in ["listen_addresses=", "max_connections=200"]
            .iter()
            .chain(settings)
        {
            command.args(["-c", setting]);
        }
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .map_err(|error| format!("cannot start PostgreSQL: {error}"))?;
        let mut server = Self {
            child,
            folder,
            programs,
        };
        server.wait_until_ready(&log)?;
        Ok(server)
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// The server's own words.
    pub fn database(&self, name: &str) -> Result<String, String> {
        let made = Command::new(self.programs.join("createdb"))
            .arg("--host")
            .arg(self.folder.path())
            .args(["--username=nightshift", name])
            .output()
            .map_err(|error| format!("cannot run createdb: {error}"))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let host = self.folder.path().display();
        Ok(format!(
            "postgres://nightshift@localhost/{name}?host={host}"
        ))
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = Command::new(self.programs.join("pg_isready"))
                .arg("--quiet")
                .arg("--host")
                .arg(self.folder.path())
                .status()
                .is_ok_and(|status| status.success());
            if ready {
                return Ok(());
            }
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!("PostgreSQL did not start:\n{said}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT: at once, without a checkpoint; the data is thrown away.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _status = self.child.wait();
    }
}

/// Where the programs are: Debian keeps them out of the search path, by version.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort();
    let newest_first = versions.into_iter().rev().map(|(_, path)| path);
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    newest_first
        .chain(std::env::split_paths(&search_path))
        .find(|folder| {
            ["initdb", "postgres", "createdb", "pg_isready"]
                .iter()
                .all(|p| folder.join(p).exists())
        })
}

/// Whom the server runs as: PostgreSQL refuses to run as root.
fn owner() -> Result<Option<User>, String> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(Some)
        .ok_or_else(|| {
            "PostgreSQL cannot run as root, and there is no user postgres or nobody".to_owned()
        })
}

/// A command that runs as `owner` and is ended when the thread that started it is gone.
fn as_owner(owner: Option<&User>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(owner) = owner {
        command
            .arg(format!("--reuid={}", owner.uid))
            .arg(format!("--regid={}", owner.gid))
            .arg("--clear-groups");
    }
    command.arg("--pdeathsig=QUIT").arg("--").arg(program);
    command
}
