//! The hidden command `sandbox-enter`: becomes bubblewrap, after making what bubblewrap cannot.
//!
//! In a mount namespace of its own it mounts the overlay, joins the control group, and gives up the
//! runner's user for one that owns nothing else. Invariant: the overlay lives in this namespace
//! only, so it cannot outlive the processes; any failure ends the process before bubblewrap starts.
//! It must be called while the process has one thread. Deliberately absent: any decision: the
//! runner sends the whole plan on standard input.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, execve, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::plan::Arg;
use super::wire;
use crate::sandbox::error::Part;
use crate::sandbox::report::{self, Event};
use crate::sandbox::seccomp;
use crate::sandbox::spec::Bind;

/// The plan, sent as eight hexadecimal digits of length and JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The runner's process; when it is not our parent any more we end.
    pub(super) parent: i32,
    /// Where events are appended.
    pub(super) report: PathBuf,
    /// Where bubblewrap writes the host's id of its first process.
    pub(super) info: PathBuf,
    /// The files `cgroup.procs` to join.
    pub(super) cgroups: Vec<PathBuf>,
    /// The user and group to become; `None` stays the caller, in a user namespace.
    pub(super) identity: Option<(u32, u32)>,
    /// The run's directory.
    pub(super) run_dir: PathBuf,
    /// The overlays to mount in it.
    pub(super) layers: Vec<Layers>,
    /// What to mount below the run's directory first.
    pub(super) mounts: Vec<Bind>,
    /// The program bubblewrap.
    pub(super) bwrap: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<Arg>,
    /// What it executes.
    pub(super) command: Vec<String>,
}

/// One overlay: places in the run's directory, and what lies below.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Layers {
    /// Where it is seen.
    merged: String,
    /// What is written.
    upper: String,
    /// The kernel's own.
    work: String,
    /// Never written, from top to bottom, with the place that each is made visible at.
    pub(super) lower: Vec<Bind>,
}

impl Layers {
    pub(super) fn new(merged: &str, upper: &str, work: &str) -> Self {
        Self {
            merged: merged.to_owned(),
            upper: upper.to_owned(),
            work: work.to_owned(),
            lower: Vec::new(),
        }
    }
}

/// Where the host's paths are gathered when the user changes: this directory exists on every
/// system, and is covered in our own mount namespace only.
const STAGE: &str = "/tmp";

type Failed = (Part, String);

/// Runs the hidden command; returns only when it failed.
pub fn main(_args: impl Iterator<Item = String>) -> ExitCode {
    let plan = match wire::receive_plan() {
        Ok(plan) => plan,
        Err(cause) => {
            report::complain(&format!(
                "sandbox-enter: no plan on standard input: {cause}"
            ));
            return ExitCode::from(125);
        }
    };
    let Err((part, cause)) = enter(&plan);
    let event = Event::Failed { part, cause };
    if let Err(error) = report::append(&plan.report, &event) {
        report::complain(&format!("sandbox-enter: {event:?}; and no report: {error}"));
    }
    ExitCode::from(125)
}

fn enter(plan: &Plan) -> Result<Infallible, Failed> {
    die_with(plan.parent)?;
    for procs in &plan.cgroups {
        std::fs::write(procs, "0").map_err(|e| (Part::Cgroup, at(procs, e)))?;
    }
    let report = inherited(&plan.report)?;
    let info = inherited(&plan.info)?;
    namespaces(plan.identity.is_none())?;
    std::env::set_current_dir(&plan.run_dir).map_err(|e| (Part::Bind, at(&plan.run_dir, e)))?;
    for layers in &plan.layers {
        overlay(layers, plan.identity.is_some())?;
    }
    for mount in &plan.mounts {
        bind(&mount.source, &mount.target).map_err(|e| (Part::Bind, at(&mount.source, e)))?;
    }
    let mut args = match plan.identity {
        Some(identity) => {
            let staged = stage(&plan.args)?;
            become_user(identity)?;
            die_with(plan.parent)?;
            staged
        }
        None => plan.args.iter().map(unstaged).collect::<Result<_, _>>()?,
    };
    args.extend(["--info-fd".to_owned(), info.number()]);
    let mut filters = Vec::new();
    for program in seccomp::programs().map_err(|e| (Part::Seccomp, e))? {
        let filter = memory(&program).map_err(|e| (Part::Seccomp, e))?;
        args.extend(["--add-seccomp-fd".to_owned(), filter.number()]);
        filters.push(filter);
    }
    let mut joined = args.join("\0");
    joined.push('\0');
    let list = memory(joined.as_bytes()).map_err(|e| (Part::Bubblewrap, e))?;
    let words = ["bwrap", "--args", &list.number(), "--"].map(str::to_owned);
    let words = words
        .into_iter()
        .chain(plan.command.iter().map(|word| {
            if word == report::PLACEHOLDER {
                report.number()
            } else {
                word.clone()
            }
        }))
        .map(CString::new)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| (Part::Command, e.to_string()))?;
    let program = CString::new(plan.bwrap.as_os_str().as_encoded_bytes())
        .map_err(|e| (Part::Bubblewrap, e.to_string()))?;
    let none: [&std::ffi::CStr; 0] = [];
    execve(&program, &words, &none).map_err(|e| (Part::Bubblewrap, at(&plan.bwrap, e)))
}

/// An open file that survives `exec`.
struct Kept(OwnedFd);

impl Kept {
    fn new(fd: OwnedFd) -> Result<Self, String> {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|e| e.to_string())?;
        Ok(Self(fd))
    }

    fn number(&self) -> String {
        self.0.as_raw_fd().to_string()
    }
}

fn inherited(path: &Path) -> Result<Kept, Failed> {
    let file = OpenOptions::new().append(true).open(path);
    let file = file.map_err(|e| (Part::Bind, at(path, e)))?;
    Kept::new(file.into()).map_err(|e| (Part::Bind, at(path, e)))
}

fn memory(bytes: &[u8]) -> Result<Kept, String> {
    let fd = memfd_create(c"nightshift", MFdFlags::empty()).map_err(|e| e.to_string())?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|e| e.to_string())?;
    file.rewind().map_err(|e| e.to_string())?;
    Kept::new(file.into())
}

/// Asks the kernel to end us with the runner, and checks that it is still there.
fn die_with(parent: i32) -> Result<(), Failed> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| (Part::Program, e.to_string()))?;
    if nix::unistd::getppid().as_raw() == parent {
        Ok(())
    } else {
        Err((
            Part::Program,
            "the runner ended while the sandbox started".to_owned(),
        ))
    }
}

/// A mount namespace of our own, inside a user namespace with the same ids when `user` is set.
fn namespaces(user: bool) -> Result<(), Failed> {
    let failed = |e: nix::Error| (Part::Namespaces, e.to_string());
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let mut flags = CloneFlags::CLONE_NEWNS;
    if user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(failed)?;
    if user {
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("{uid} {uid} 1")),
            ("gid_map", format!("{gid} {gid} 1")),
        ] {
            std::fs::write(Path::new("/proc/self").join(file), text)
                .map_err(|e| (Part::Namespaces, format!("/proc/self/{file}: {e}")))?;
        }
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(failed)
}

/// Mounts an overlay in the current directory. Paths are relative, so that the mount table seen from
/// inside names no directory of the host and no character of a path can become an option.
fn overlay(layers: &Layers, root: bool) -> Result<(), Failed> {
    let failed = |what: &str, e: nix::Error| (Part::Overlay, format!("{what}: {e}"));
    let mut lower = Vec::new();
    for Bind { source, target } in &layers.lower {
        bind(source, target)
            .map_err(|e| failed(&format!("making {} visible", source.display()), e))?;
        lower.push(target.display().to_string());
    }
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={},index=off",
        lower.join(":"),
        layers.upper,
        layers.work
    );
    // Directories of the checkout can be renamed only where the kernel may store a redirect.
    options += if root {
        ",redirect_dir=on,xino=off"
    } else {
        ",userxattr"
    };
    mount(
        Some("overlay"),
        layers.merged.as_str(),
        Some("overlay"),
        MsFlags::MS_NODEV | MsFlags::MS_NOSUID,
        Some(options.as_str()),
    )
    .map_err(|e| failed("mounting", e))
}

fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    mount(
        Some(source),
        target,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
}

/// Makes every source reachable for a user who may not enter the runner's directories: opens all,
/// covers [`STAGE`] with a fresh file system and binds each there.
fn stage(args: &[Arg]) -> Result<Vec<String>, Failed> {
    let mut opened = Vec::new();
    for arg in args {
        opened.push(match arg {
            Arg::Source(path) if !path.starts_with("/usr") => {
                let fd = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
                    .map_err(|e| (Part::Bind, at(path, e)))?;
                Some((path, fd))
            }
            Arg::Source(_) | Arg::Plain(_) => None,
        });
    }
    let failed = |path: &Path, e: nix::Error| (Part::Bind, at(path, e));
    mount(
        Some("tmpfs"),
        STAGE,
        Some("tmpfs"),
        MsFlags::MS_NODEV | MsFlags::MS_NOSUID,
        Some("mode=0755,size=1m"),
    )
    .map_err(|e| failed(Path::new(STAGE), e))?;
    let mut words = Vec::new();
    for (number, (arg, opened)) in args.iter().zip(&opened).enumerate() {
        let Some((path, fd)) = opened else {
            words.push(unstaged(arg)?);
            continue;
        };
        let place = PathBuf::from(STAGE).join(number.to_string());
        let link = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        let made = if link.is_dir() {
            std::fs::create_dir(&place)
        } else {
            File::create_new(&place).map(drop)
        };
        made.map_err(|e| (Part::Bind, at(&place, e)))?;
        bind(&link, &place).map_err(|e| failed(path, e))?;
        words.push(place.display().to_string());
    }
    Ok(words)
}

fn unstaged(arg: &Arg) -> Result<String, Failed> {
    match arg {
        Arg::Plain(word) => Ok(word.clone()),
        Arg::Source(path) if path.exists() => Ok(path.display().to_string()),
        Arg::Source(path) => Err((Part::Bind, at(path, "does not exist or may not be entered"))),
    }
}

fn become_user((uid, gid): (u32, u32)) -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[])
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid))
        .map_err(|e| (Part::Namespaces, format!("becoming user {uid}: {e}")))
}

fn at(path: &Path, cause: impl std::fmt::Display) -> String {
    format!("{}: {cause}", path.display())
}
