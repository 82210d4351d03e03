//! The person's own programs: git, editor, pager. Started here and nowhere else.
//!
//! They are the person's, run as the person, with the person's environment. Invariant: a token is
//! handed over in the environment, never in arguments or an address. Deliberately absent: anything
//! an agent runs.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that starts the person's own programs"
)]

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::screen::clean;

/// A call of the person's git.
#[derive(Debug)]
pub(crate) struct Git {
    command: Command,
    settings: usize,
    words: String,
}

impl Git {
    /// A call without words yet, in `folder` if there is one.
    pub(crate) fn new(environment: &Environment, folder: Option<&Path>) -> Self {
        let mut command = Command::new("git");
        if let Some(folder) = folder {
            command.arg("-C").arg(folder);
        }
        command.stdin(Stdio::null());
        Self {
            command,
            settings: environment.git_settings,
            words: String::new(),
        }
    }

    /// Adds a word.
    pub(crate) fn arg(mut self, word: impl AsRef<std::ffi::OsStr>) -> Self {
        if self.words.is_empty() {
            self.words = word.as_ref().to_string_lossy().into_owned();
        }
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub(crate) fn args<const N: usize>(self, words: [&str; N]) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    /// Adds a setting, through the environment.
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        let at = self.settings;
        self.command
            .env(format!("GIT_CONFIG_KEY_{at}"), key)
            .env(format!("GIT_CONFIG_VALUE_{at}"), value);
        self.settings += 1;
        self.command
            .env("GIT_CONFIG_COUNT", self.settings.to_string());
        self
    }

    /// Lets it speak to the server with a token, and ask nobody.
    pub(crate) fn token(self, server: &str, token: &str) -> Self {
        let basic = STANDARD.encode(format!("nightshift:{token}"));
        let mut git = self
            .setting(
                &format!("http.{server}/.extraHeader"),
                &format!("Authorization: Basic {basic}"),
            )
            .setting(&format!("credential.{server}.helper"), "");
        if crate::connection::is_loopback(server) {
            git = git.setting(&format!("http.{server}/.proxy"), "");
        }
        git.command.env("GIT_TERMINAL_PROMPT", "0");
        git
    }

    /// Runs it and returns what it printed, trimmed.
    pub(crate) fn read(mut self) -> Done<String> {
        let output = self.command.output().map_err(|error| missing(&error))?;
        self.checked(&output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs it with its own progress on the terminal if `shown`; else what it said is in the error.
    pub(crate) fn watch(mut self, shown: bool) -> Done {
        if shown {
            self.command.stdin(Stdio::inherit()).stdout(Stdio::null());
            let status = self.command.status().map_err(|error| missing(&error))?;
            if status.success() {
                return Ok(());
            }
            return Err(Failure::failed(format!(
                "git {} failed ({status}); what it said stands above",
                self.words
            )));
        }
        let output = self.command.output().map_err(|error| missing(&error))?;
        self.checked(&output)
    }

    fn checked(&self, output: &Output) -> Done {
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = lines[lines.len().saturating_sub(4)..].join(" | ");
        Err(Failure::failed(format!(
            "git {} failed: {}",
            self.words,
            clean(&last)
        )))
    }
}

fn missing(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot start git: {error}; install git"))
}

/// Opens the person's editor on a file and waits for it.
pub(crate) fn edit(environment: &Environment, file: &Path) -> Done {
    let editor = environment.editor.as_deref().unwrap_or("vi");
    let status = shell(editor).arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!(
            "the editor {editor:?} ended with {status}"
        ))),
        Err(error) => Err(Failure::failed(format!(
            "cannot start the editor {editor:?}: {error}; set EDITOR"
        ))),
    }
}

/// Shows text through the person's pager; `false` if there is none.
pub(crate) fn page(environment: &Environment, text: &str) -> bool {
    let pager = environment.pager.as_deref().unwrap_or("less");
    let mut command = shell(pager);
    command.stdin(Stdio::piped());
    if environment.pager.is_none() {
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that is left early closes its end.
        stdin.write_all(text.as_bytes()).ok();
    }
    // 127: the shell found no such program.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}

/// This very program, to be started again.
pub(crate) fn own() -> Done<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot tell where this program is: {error}")))
}

/// Starts this program as a runner that ends with this process. It gets the environment, since the
/// keys of model endpoints stand there; its sandboxes do not.
pub(crate) fn runner(
    words: &[std::ffi::OsString],
    token: &str,
    log: fs::File,
) -> io::Result<tokio::process::Child> {
    let program = std::env::current_exe()?;
    let errors = log.try_clone()?;
    tokio::process::Command::new(program)
        .args(words)
        .env("NIGHTSHIFT_RUNNER_TOKEN", token)
        .env_remove("NIGHTSHIFT_TOKEN")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A key press in the terminal is for us; we tell it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Finds a program in the person's search path.
pub(crate) fn find(environment: &Environment, name: &str) -> Option<PathBuf> {
    std::env::split_paths(&environment.path)
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
        })
}

/// A command line of the person's, as git starts editors: by the shell, with words after it.
fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{line} \"$@\"")).arg(line);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_no_argument() {
        let environment = Environment {
            git_settings: 1,
            ..Environment::default()
        };
        let git = Git::new(&environment, None)
            .args(["push", "http://127.0.0.1:1/git/p.git"])
            .token("http://127.0.0.1:1", "secret");
        let words = format!("{:?}", git.command.get_args().collect::<Vec<_>>());
        assert!(
            !words.contains("secret") && !words.contains(&STANDARD.encode("nightshift:secret"))
        );
        let of = |name: &str| {
            let mut all = git.command.get_envs();
            let found = all.find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value?.to_str().map(str::to_owned))
        };
        // One that was there before keeps its place.
        assert_eq!(of("GIT_CONFIG_KEY_0"), None);
        assert_eq!(
            of("GIT_CONFIG_KEY_1").as_deref(),
            Some("http.http://127.0.0.1:1/.extraHeader")
        );
        assert_eq!(of("GIT_CONFIG_COUNT").as_deref(), Some("4"));
    }

    #[test]
    fn what_git_said_is_in_the_error() {
        let error = Git::new(&Environment::default(), None)
            .args(["rev-parse", "--verify", "no-such-thing-at-all"])
            .read()
            .expect_err("it fails");
        assert!(error.message.contains("git rev-parse failed: "), "{error}");
    }
}
