//! The one place that starts the `git` program.
//!
//! Invariant: the environment is cleared, system and user configuration are not read, hooks,
//! prompts, helpers and transports are off unless a call turns one on, arguments are passed as a
//! vector, output and time are bounded, and a dropped call ends its whole process group.
//! Deliberately absent: shells, and text of users in any place but an argument after the options.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one module of the crate that starts programs"
)]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::error::{GitError, clean};

/// The oldest git with everything used here: `merge-tree --write-tree` is of 2.38, and 2.39 is the
/// oldest that the tests have seen. What newer ones add (`GIT_NO_LAZY_FETCH` is of 2.45) older ones
/// ignore; it guards partial clones, and no repository of the server is one.
const OLDEST: (u32, u32) = (2, 39);
/// Bytes kept of what git says on its error output.
const STDERR_KEPT: usize = 16 * 1024;

/// What every call is told, whatever the repository's own configuration file says.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.quotePath", "false"),
    ("core.logAllRefUpdates", "always"),
    ("core.filesRefLockTimeout", "10000"),
    ("core.packedRefsTimeout", "10000"),
    ("core.bigFileThreshold", "64m"),
    ("core.fsync", "objects,derived-metadata,reference"),
    ("safe.bareRepository", "explicit"),
    ("protocol.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("transfer.fsckObjects", "true"),
    ("transfer.bundleURI", "false"),
    ("transfer.credentialsInUrl", "die"),
    ("credential.helper", ""),
    ("log.showSignature", "false"),
    ("diff.renameLimit", "1000"),
    ("diff.algorithm", "histogram"),
    ("merge.renameLimit", "2000"),
    ("pack.threads", "2"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpackfilter.allow", "false"),
    ("uploadpackfilter.blob:none.allow", "true"),
    ("uploadpackfilter.blob:limit.allow", "true"),
];

/// Bounds of what one call may take. All sizes in bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Wall-clock time of one local command.
    pub command: Duration,
    /// Wall-clock time of one fetch, push or import.
    pub transport: Duration,
    /// Longest silence of a pushing client.
    pub idle: Duration,
    /// How often a pushing client that waits for its checks is kept alive.
    pub heartbeat: Duration,
    /// Largest answer of one local command that is held in memory.
    pub output: u64,
    /// Largest pack that one push may send.
    pub push_bytes: u64,
    /// Most objects in one push.
    pub push_objects: u32,
    /// Most refs in one push.
    pub push_refs: usize,
    /// Largest single allocation of git while it reads a pushed pack.
    pub push_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(120),
            transport: Duration::from_secs(60 * 60),
            idle: Duration::from_secs(60),
            heartbeat: Duration::from_secs(5),
            output: 64 << 20,
            push_bytes: 4 << 30,
            push_objects: 5_000_000,
            push_refs: 5_000,
            push_memory: 1 << 30,
        }
    }
}

/// Where git is and how far it may go. The command line fills it in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program; a bare name is looked up in `path`.
    pub program: PathBuf,
    /// The `PATH` that git gets.
    pub path: OsString,
    /// Proxy for imports and mirrors over HTTP.
    pub proxy: Option<String>,
    /// File with the certificates to trust for imports over HTTPS.
    pub ca_file: Option<PathBuf>,
    /// Bounds of each call.
    pub limits: Limits,
}

/// The git program. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git(Arc<Settings>);

impl Git {
    /// Uses the program as `settings` say; nothing is started yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let program = found(&settings.program, &settings.path);
        Self(Arc::new(Settings {
            program,
            ..settings
        }))
    }

    /// Asks the program for its version and refuses one that is too old.
    pub async fn check_version(&self) -> Result<String, GitError> {
        let said = self.call("version").run().await?;
        let text = clean(&said.stdout, 100);
        let mut numbers = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse::<u32>().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(text),
            _ => Err(GitError::TooOld { found: text }),
        }
    }

    /// The bounds of each call.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0
    }

    /// Begins a call of a subcommand outside of any repository.
    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        Call {
            settings: Arc::clone(&self.0),
            subcommand,
            git_dir: None,
            args: Vec::new(),
            env: Vec::new(),
            config: Vec::new(),
            input: Vec::new(),
            accepted: &[0],
            output: self.0.limits.output,
            time: self.0.limits.command,
        }
    }
}

/// The program in the folders of `path`, if it is a bare name that is there. A program that has to be
/// looked up in another `PATH` than our own is started by copying this process's page tables, which
/// takes milliseconds and more the larger the process is; one that is named whole is not.
fn found(program: &Path, path: &OsStr) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|place| place.is_file() && access(place, AccessFlags::X_OK).is_ok())
        .unwrap_or_else(|| program.to_owned())
}

/// One call of git, being put together.
#[derive(Debug)]
pub(crate) struct Call {
    settings: Arc<Settings>,
    subcommand: &'static str,
    git_dir: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    config: Vec<(String, String)>,
    input: Vec<u8>,
    accepted: &'static [i32],
    output: u64,
    time: Duration,
}

/// What a finished call said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    /// The end of the error output.
    pub(crate) stderr: Vec<u8>,
}

impl Call {
    pub(crate) fn git_dir(mut self, path: &Path) -> Self {
        self.git_dir = Some(path.to_owned());
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.push((key.into(), value.into()));
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Exit codes that are answers and not failures.
    pub(crate) fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    pub(crate) fn output_limit(mut self, bytes: u64) -> Self {
        self.output = bytes;
        self
    }

    pub(crate) fn time_limit(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Runs to the end and returns the whole output, or fails when it is over the limit.
    pub(crate) async fn run(self) -> Result<Output, GitError> {
        let (output, cut) = self.run_cut().await?;
        match cut {
            Some(too_large) => Err(too_large),
            None => Ok(output),
        }
    }

    /// Runs to the end or to the output limit; then the second value says so.
    pub(crate) async fn run_cut(self) -> Result<(Output, Option<GitError>), GitError> {
        let (command, time, limit, accepted) =
            (self.subcommand, self.time, self.output, self.accepted);
        let mut call = self;
        let input = std::mem::take(&mut call.input);
        let mut running = call.spawn()?;
        let work = async {
            let (mut stdin, stdout, mut stderr) = (
                running.stdin.take(),
                running.stdout.take(),
                running.stderr.take(),
            );
            let feed = async {
                if let Some(pipe) = stdin.as_mut() {
                    // A program that does not read to the end has its own say by exit code.
                    let _closed_early = pipe.write_all(&input).await;
                }
                drop(stdin);
            };
            let read = async {
                let read = read_bounded(stdout, limit).await;
                if read.as_ref().is_ok_and(|(_, cut)| *cut) {
                    // It is blocked on a full pipe and would never close its error output.
                    running.kill();
                }
                read
            };
            let complain = read_tail(stderr.as_mut());
            let ((), read, said) = tokio::join!(feed, read, complain);
            let (stdout, cut) = read.map_err(crate::error::io_error("read from git"))?;
            if cut {
                let too_large = GitError::TooLarge {
                    command: command.to_owned(),
                    limit,
                };
                let output = Output {
                    code: 0,
                    stdout,
                    stderr: said,
                };
                return Ok((output, Some(too_large)));
            }
            let status = running.wait().await?;
            match status {
                Some(code) if accepted.contains(&code) => {
                    let stderr = said;
                    Ok((
                        Output {
                            code,
                            stdout,
                            stderr,
                        },
                        None,
                    ))
                }
                code => Err(GitError::Failed {
                    command: command.to_owned(),
                    code,
                    message: clean(&said, 2_000),
                }),
            }
        };
        tokio::time::timeout(time, work)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(GitError::TimedOut {
                    command: command.to_owned(),
                    after: time,
                })
            })
    }

    /// Starts the program with three pipes.
    pub(crate) fn spawn(self) -> Result<Running, GitError> {
        let mut command = Command::new(&self.settings.program);
        command
            .env_clear()
            .env("PATH", &self.settings.path)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_EDITOR", "true")
            .env("GIT_PAGER", "cat")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_ADVICE", "0")
            .env("GIT_COMMITTER_NAME", "Nightshift")
            .env("GIT_COMMITTER_EMAIL", "nightshift@localhost")
            .env("GIT_AUTHOR_NAME", "Nightshift")
            .env("GIT_AUTHOR_EMAIL", "nightshift@localhost");
        let own = self.config.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let mut count = 0_usize;
        for (key, value) in CONFIG.iter().copied().chain(own) {
            command
                .env(format!("GIT_CONFIG_KEY_{count}"), key)
                .env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        for (name, value) in &self.env {
            command.env(name, value);
        }
        if let Some(path) = &self.git_dir {
            let mut option = OsString::from("--git-dir=");
            option.push(path);
            command.arg(option);
        }
        tracing::trace!(subcommand = self.subcommand, args = ?self.args, "git");
        let mut child = command
            .arg(self.subcommand)
            .args(&self.args)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| GitError::Start {
                program: self.settings.program.clone(),
                source,
            })?;
        Ok(Running {
            command: self.subcommand,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            ends_by_itself: false,
            child,
        })
    }
}

/// A started git; dropping it ends its process group.
#[derive(Debug)]
pub(crate) struct Running {
    command: &'static str,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    ends_by_itself: bool,
    child: Child,
}

impl Running {
    /// Is not killed when dropped but loses its pipes: for a program that holds lock files, which
    /// even SIGTERM can leave behind (git opens a lock before it remembers to remove it).
    pub(crate) fn end_by_itself(mut self) -> Self {
        self.ends_by_itself = true;
        self
    }

    /// Waits for the end and returns the exit code, `None` after a signal.
    pub(crate) async fn wait(&mut self) -> Result<Option<i32>, GitError> {
        let status = self.child.wait().await;
        status
            .map(|status| status.code())
            .map_err(crate::error::io_error(format!(
                "wait for git {}",
                self.command
            )))
    }

    fn kill(&self) {
        // After the end was waited for, the id is gone and may belong to somebody else.
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself just now.
            let _gone = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ends_by_itself {
            self.kill();
        }
    }
}

/// Reads at most `limit` bytes; the second value says that there was more.
pub(crate) async fn read_bounded(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: u64,
) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .await?;
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, cut))
}

/// Reads to the end and keeps the last bytes.
pub(crate) async fn read_tail(pipe: Option<&mut (impl AsyncRead + Unpin)>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(pipe) = pipe else { return kept };
    let mut chunk = [0_u8; 4096];
    while let Ok(count) = pipe.read(&mut chunk).await {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_once() {
        let at = |program: &str, path: &str| found(Path::new(program), OsStr::new(path));
        assert_eq!(at("sh", "/nonexistent:/bin:/usr/bin"), Path::new("/bin/sh"));
        let from_here = format!("{}bin", "../".repeat(30));
        assert_eq!(at("sh", &from_here), Path::new("sh"), "not from here");
        assert_eq!(at("no such", "/bin"), Path::new("no such"));
        assert_eq!(at("/opt/git", "/bin"), Path::new("/opt/git"));
        assert_eq!(at("tmp", "/"), Path::new("tmp"), "a folder is no program");
    }
}
