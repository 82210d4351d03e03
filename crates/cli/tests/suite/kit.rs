//! A person at a terminal with a folder of their own, and a server beside them.
//!
//! Invariant: nothing of the machine's own settings is seen; whatever was started is ended.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the real program and git"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The standard output of a command that must have worked.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }

    /// The one line of a command that must have ended with `code`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.err.trim_end().lines().count(), 1, "{}", self.err);
        self.err
    }
}

/// A person and their folder.
pub(crate) struct Person {
    folder: TempDir,
    server: Option<Child>,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Person {
    /// Without a server.
    pub(crate) fn alone() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            server: None,
            url: String::new(),
            token: String::new(),
        }
    }

    /// With a server of their own, signed in as its administrator.
    pub(crate) fn with_server() -> Self {
        let mut person = Self::alone();
        person.token = person
            .run(["operator", "found", "alice"])
            .ok()
            .trim()
            .to_owned();
        let mut server = person
            .command(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        let out = server.stdout.take().expect("its output");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its address");
        person.server = Some(server);
        person.url = line.trim().to_owned();
        let login = person.run_with(["login", &person.url], &person.token).ok();
        assert!(login.starts_with("signed in to http://"), "{login}");
        person
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn server_id(&self) -> i32 {
        let id = self.server.as_ref().expect("a server").id();
        i32::try_from(id).expect("an id")
    }

    /// Waits for the server to end.
    pub(crate) fn server_ends(&mut self) -> Option<i32> {
        let mut server = self.server.take().expect("a server");
        server.wait().expect("an end").code()
    }

    /// The program in this person's world, not started yet.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a search path"))
            .env("HOME", self.folder.path())
            .env("USER", "alice")
            .env("NIGHTSHIFT_LOG", "warn")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        Said::of(self.command(words).output().expect("it runs"))
    }

    /// With something on standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Said {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("an input");
        // A program that needs none may have ended.
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        Said::of(child.wait_with_output().expect("an end"))
    }

    /// With variables of the environment.
    pub(crate) fn run_env<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
        variables: &[(&str, &str)],
    ) -> Said {
        let mut command = self.command(words);
        command.envs(variables.iter().copied());
        Said::of(command.output().expect("it runs"))
    }

    pub(crate) fn write(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("a file");
        path
    }

    /// A repository with one commit of what was written below it.
    pub(crate) fn repository(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        git(&path, &["init", "-q", "-b", "main"]);
        git(&path, &["add", "-A"]);
        git(&path, &["commit", "-q", "-m", "first"]);
        path
    }

    /// Asks again until the answer pleases, for at most two minutes.
    #[track_caller]
    pub(crate) fn until(&self, words: &[&str], pleases: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.run(words.iter().chain(&["--json"])).json();
            if pleases(&answer) {
                return answer;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "still {answer:#}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill().ok();
            server.wait().ok();
        }
    }
}

#[track_caller]
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "T")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "t@example.com")))
        .output()
        .expect("git runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {words:?}: {err}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}
