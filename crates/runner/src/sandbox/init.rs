//! The hidden command `sandbox-init`: the first process inside.
//!
//! Its orders are arguments, or come through a door of the runner (`container/door.rs`) with everything
//! that the command reads and writes. It starts the relays, sets the limits of processes, runs the
//! command, buries orphans, and ends with the command; the kernel then ends everything else. Invariant:
//! no process inside can read this one's memory or files (it is not dumpable), and the command inherits
//! standard streams only. Deliberately absent: async, configuration files, anything that reads the
//! working tree.
#![expect(
    clippy::disallowed_methods,
    reason = "the command runs in the environment that the plan made; this is where it is started"
)]

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::container::door::{self, Received};
use super::error::Part;
use super::probe;
use super::relay;
use super::report::{self, Event};
use super::seccomp;

/// What the kernel goes by when it chooses whom to end where memory ends (`oom_score_adj` in proc(5));
/// nothing where it cannot be had. It is opened while we may still look at ourselves.
struct Choice(Option<(File, Vec<u8>)>);

impl Choice {
    /// What the command and all that it starts have instead of ours, of at most 1000.
    const SOONER: &[u8] = b"500";

    fn open() -> Self {
        let opened = || {
            let mut options = OpenOptions::new();
            let mut file = options
                .read(true)
                .write(true)
                .open("/proc/self/oom_score_adj")?;
            let mut ours = Vec::new();
            file.read_to_end(&mut ours)?;
            Ok::<_, std::io::Error>((file, ours))
        };
        Self(opened().ok())
    }

    /// For what is started from now on.
    fn command(&self) {
        self.set(Self::SOONER);
    }

    /// As it was before.
    fn ourselves(&self) {
        if let Self(Some((_, ours))) = self {
            self.set(ours);
        }
    }

    fn set(&self, value: &[u8]) {
        if let Self(Some((file, _))) = self {
            file.write_at(value, 0).ok();
        }
    }
}

#[derive(Default)]
struct Options {
    report: Option<i32>,
    door: Option<PathBuf>,
    relays: Vec<(u16, PathBuf)>,
    file_bytes: Option<u64>,
    processes: Option<u64>,
    stdin: Option<PathBuf>,
    inherit_stdin: bool,
    probe: Option<Look>,
    command: Vec<String>,
}

/// Whose walls are looked at, by which user.
enum Look {
    Machine(u32),
    Image(u32),
}

/// What the command is given beside its words.
#[derive(Default)]
struct Given {
    /// All its variables; otherwise our own.
    env: Option<Vec<(String, String)>>,
    /// Its streams; otherwise our own.
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
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
    if let Some(look) = &options.probe {
        let seen = match look {
            Look::Machine(user) => probe::machine(*user),
            Look::Image(user) => probe::image(*user),
        };
        return match seen {
            Ok(()) => ExitCode::SUCCESS,
            Err(wall) => {
                report::complain(&wall);
                ExitCode::FAILURE
            }
        };
    }
    match options.door.clone() {
        Some(door) => by_door(options, &door),
        None => by_arguments(&options),
    }
}

fn by_arguments(options: &Options) -> ExitCode {
    let choice = Choice::open();
    let report = match take_report(options.report, &choice) {
        Ok(report) => report,
        Err(cause) => {
            report::complain(&format!("sandbox-init: no report: {cause}"));
            return ExitCode::from(125);
        }
    };
    told(report, |report| {
        run(options, Given::default(), &choice, report)
    })
}

/// Nothing of the command exists before the runner has said through its door what it is, and nothing
/// of it is left once the door is shut.
fn by_door(mut options: Options, place: &Path) -> ExitCode {
    let emptied = closed(&[]);
    let choice = Choice::open();
    let received = emptied
        .and_then(|()| prctl::set_dumpable(false).map_err(|e| e.to_string()))
        .and_then(|()| door::receive(place));
    let Received {
        order,
        report,
        stdin,
        stdout,
        stderr,
        line,
    } = match received {
        Ok(received) => received,
        Err(cause) => {
            report::complain(&format!("sandbox-init: {}: {cause}", place.display()));
            return ExitCode::from(125);
        }
    };
    options.relays = order.relays;
    options.file_bytes = Some(order.file_bytes);
    options.processes = order.processes;
    options.command = order.command;
    options.stdin = order.stdin;
    let given = Given {
        env: Some(order.env),
        stdin,
        stdout: Some(stdout),
        stderr: Some(stderr),
    };
    let code = told(report, |report| {
        // Also the thread that listens at the door is behind the filter.
        seccomp::apply().map_err(|e| (Part::Seccomp, e))?;
        line.watch().map_err(|e| (Part::Program, e.to_string()))?;
        run(&options, given, &choice, report)
    });
    // The runner looks at the caps while the kernel still knows of them.
    line.end();
    code
}

/// Does it and tells the runner how it went.
fn told(
    mut report: File,
    run: impl FnOnce(&mut File) -> Result<ExitStatus, (Part, String)>,
) -> ExitCode {
    let (event, code) = match run(&mut report) {
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

fn run(
    options: &Options,
    given: Given,
    choice: &Choice,
    report: &mut File,
) -> Result<ExitStatus, (Part, String)> {
    if !prctl::get_no_new_privs().unwrap_or(false) {
        return Err((
            Part::Namespaces,
            "no_new_privs is not set inside".to_owned(),
        ));
    }
    relay::start(&options.relays).map_err(|e| (Part::Relay, e))?;
    limits(options).map_err(|e| (Part::Command, format!("setting limits: {e}")))?;
    let (name, args) = options
        .command
        .split_first()
        .ok_or_else(|| (Part::Command, "no command".to_owned()))?;
    let stdin = match (given.stdin, &options.stdin) {
        (Some(pipe), _) => pipe.into(),
        _ if options.inherit_stdin => Stdio::inherit(),
        (None, None) => Stdio::null(),
        (None, Some(path)) => File::open(path)
            .map_err(|e| (Part::Command, format!("{}: {e}", path.display())))?
            .into(),
    };
    let mut command = Command::new(name);
    command.args(args).stdin(stdin);
    if let Some(env) = given.env {
        command.env_clear().envs(env);
    }
    if let Some(stdout) = given.stdout {
        command.stdout(stdout);
    }
    if let Some(stderr) = given.stderr {
        command.stderr(stderr);
    }
    // Where memory ends, the kernel ends the command before us, who say what became of it.
    choice.command();
    let child = command.spawn();
    let child = child.map_err(|e| (Part::Command, format!("{name}: {e}")))?;
    // Our copies of its streams would keep them open beyond its end.
    drop(command);
    choice.ourselves();
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
fn take_report(number: Option<i32>, choice: &Choice) -> Result<File, String> {
    let number = number.ok_or("no --report")?;
    let file = OpenOptions::new()
        .append(true)
        .open(format!("/proc/self/fd/{number}"))
        .map_err(|e| e.to_string())?;
    prctl::set_dumpable(false).map_err(|e| e.to_string())?;
    let choice = choice.0.iter().map(|(file, _)| file.as_raw_fd());
    let kept: Vec<i32> = choice.chain([file.as_raw_fd()]).collect();
    closed(&kept)?;
    Ok(file)
}

/// Closes every file beside the standard streams and these.
fn closed(kept: &[i32]) -> Result<(), String> {
    let names: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map_err(|e| e.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in names {
        if fd > 2 && !kept.contains(&fd) {
            // The directory's own descriptor is in the list and closed already.
            match nix::unistd::close(fd) {
                Ok(()) | Err(Errno::EBADF) => {}
                Err(error) => return Err(format!("closing {fd}: {error}")),
            }
        }
    }
    Ok(())
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
                options.probe = Some(Look::Machine(number(&value()?)?));
                return Ok(options);
            }
            "--probe-image" => {
                options.probe = Some(Look::Image(number(&value()?)?));
                return Ok(options);
            }
            "--door" => {
                options.door = Some(PathBuf::from(value()?));
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
