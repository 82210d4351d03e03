//! The hidden command `sandbox-init`: the first process inside.
//!
//! It starts the relays, sets the limits of processes, runs the command, buries orphans, and ends
//! with the command; the kernel then ends everything else. Invariant: no process inside can read
//! this one's memory or files (it is not dumpable), and the command inherits standard streams only.
//! Deliberately absent: async, configuration files, anything that reads the working tree.
#![expect(
    clippy::disallowed_methods,
    reason = "the command runs in the environment that the plan made; this is where it is started"
)]

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::error::Part;
use super::probe;
use super::relay;
use super::report::{self, Event};

#[derive(Default)]
struct Options {
    report: Option<i32>,
    relays: Vec<(u16, PathBuf)>,
    file_bytes: Option<u64>,
    processes: Option<u64>,
    stdin: Option<PathBuf>,
    inherit_stdin: bool,
    probe: bool,
    command: Vec<String>,
}

/// Runs the hidden command; its exit code is the step's command's.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let options = match parse(args) {
        Ok(options) => options,
        Err(cause) => {
            report::complain(&format!("sandbox-init: {cause}"));
            return ExitCode::from(125);
        }
    };
    if options.probe {
        return match probe::look() {
            Ok(()) => ExitCode::SUCCESS,
            Err(wall) => {
                report::complain(&wall);
                ExitCode::FAILURE
            }
        };
    }
    let mut report = match take_report(options.report) {
        Ok(report) => report,
        Err(cause) => {
            report::complain(&format!("sandbox-init: no report: {cause}"));
            return ExitCode::from(125);
        }
    };
    let (event, code) = match run(&options, &mut report) {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (Event::Exited { code }, code),
            (None, signal) => {
                let signal = signal.unwrap_or(0);
                (Event::Signalled { signal }, 128 + signal)
            }
        },
        Err((part, cause)) => (Event::Failed { part, cause }, 125),
    };
    match report::write(&mut report, &event) {
        Ok(()) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Err(_) => ExitCode::from(125),
    }
}

fn run(options: &Options, report: &mut File) -> Result<ExitStatus, (Part, String)> {
    if !prctl::get_no_new_privs().unwrap_or(false) {
        return Err((
            Part::Bubblewrap,
            "no_new_privs is not set inside".to_owned(),
        ));
    }
    relay::start(&options.relays).map_err(|e| (Part::Relay, e))?;
    limits(options).map_err(|e| (Part::Command, format!("setting limits: {e}")))?;
    let (name, args) = options
        .command
        .split_first()
        .ok_or_else(|| (Part::Command, "no command".to_owned()))?;
    let stdin = match &options.stdin {
        _ if options.inherit_stdin => Stdio::inherit(),
        None => Stdio::null(),
        Some(path) => File::open(path)
            .map_err(|e| (Part::Command, format!("{}: {e}", path.display())))?
            .into(),
    };
    let child = Command::new(name).args(args).stdin(stdin).spawn();
    let child = child.map_err(|e| (Part::Command, format!("{name}: {e}")))?;
    report::write(report, &Event::Started).map_err(|e| (Part::Program, e.to_string()))?;
    wait_for(child.id()).map_err(|e| (Part::Program, format!("waiting: {e}")))
}

/// Buries every child until the command itself has ended.
fn wait_for(command: u32) -> Result<ExitStatus, Errno> {
    loop {
        let status = match waitpid(None::<Pid>, None) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let raw = match status {
            WaitStatus::Exited(_, code) => code << 8,
            WaitStatus::Signaled(_, signal, _) => signal as i32,
            _ => continue,
        };
        if status
            .pid()
            .is_some_and(|pid| i64::from(pid.as_raw()) == i64::from(command))
        {
            return Ok(ExitStatus::from_raw(raw));
        }
    }
}

fn limits(options: &Options) -> nix::Result<()> {
    let lower = |resource, wanted: u64| {
        let (_, hard) = getrlimit(resource)?;
        let value = wanted.min(hard);
        setrlimit(resource, value, value)
    };
    lower(Resource::RLIMIT_CORE, 0)?;
    if let Some(bytes) = options.file_bytes {
        lower(Resource::RLIMIT_FSIZE, bytes)?;
    }
    if let Some(processes) = options.processes {
        lower(Resource::RLIMIT_NPROC, processes)?;
    }
    Ok(())
}

/// Opens the report for ourselves, becomes unreadable for everybody else inside, and closes every
/// file that was inherited beside the standard streams.
fn take_report(number: Option<i32>) -> Result<File, String> {
    let number = number.ok_or("no --report")?;
    let file = OpenOptions::new()
        .append(true)
        .open(format!("/proc/self/fd/{number}"))
        .map_err(|e| e.to_string())?;
    prctl::set_dumpable(false).map_err(|e| e.to_string())?;
    let own = std::os::fd::AsRawFd::as_raw_fd(&file);
    let names: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map_err(|e| e.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in names {
        if fd > 2 && fd != own {
            // The directory's own descriptor is in the list and closed already.
            match nix::unistd::close(fd) {
                Ok(()) | Err(Errno::EBADF) => {}
                Err(error) => return Err(format!("closing {fd}: {error}")),
            }
        }
    }
    Ok(file)
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(word) = args.next() {
        let mut value = || args.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--report" => options.report = Some(number(&value()?)?),
            "--relay" => {
                let text = value()?;
                let (port, path) = text.split_once('=').ok_or("--relay is PORT=PATH")?;
                options.relays.push((number(port)?, PathBuf::from(path)));
            }
            "--file-bytes" => options.file_bytes = Some(number(&value()?)?),
            "--processes" => options.processes = Some(number(&value()?)?),
            "--stdin" => options.stdin = Some(PathBuf::from(value()?)),
            "--inherit-stdin" => options.inherit_stdin = true,
            "--probe" => {
                options.probe = true;
                return Ok(options);
            }
            "--" => {
                options.command = args.collect();
                return Ok(options);
            }
            other => return Err(format!("unknown word {other}")),
        }
    }
    Err("no command".to_owned())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
