//! A machine with a server, a runner and a person, each a process of its own, and what they leave
//! behind.
//!
//! Invariant: everything lives below one folder whose name nobody else has, so that whatever is
//! left of a run can be found; all that was started is ended. Deliberately absent: single stories.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the real program and git"
)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            good: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What a program that must have worked printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.good, "{}\n{}", self.out, self.err);
        self.out
    }

    /// What a program that must have failed complained about.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(!self.good, "{}\n{}", self.out, self.err);
        self.err
    }
}

/// The machine.
pub(crate) struct House {
    folder: TempDir,
    server: Option<Child>,
    runner: Option<Child>,
    up: Option<Child>,
    /// The server's address.
    pub(crate) url: String,
    /// The administrator's token.
    pub(crate) token: String,
    slots: String,
    key: String,
    /// What everything here finds in its environment beside.
    pub(crate) env: Vec<(String, String)>,
}

impl House {
    /// With a server, and alice signed in as its administrator.
    pub(crate) fn with_server() -> Self {
        Self::empty().served()
    }

    /// The same, on top of what was put there before.
    pub(crate) fn served(mut self) -> Self {
        let house = &mut self;
        house.token = house.run(["operator", "found", "alice"]).ok();
        house.start_server();
        let login = house.piped(["login", &house.url], &house.token);
        login.ok();
        self
    }

    /// With a server and a runner of so many slots, which knows the agent programs and `key`.
    pub(crate) fn with_runner(slots: usize, key: &str, settings: &str) -> Self {
        Self::with_server().worked(slots, key, settings)
    }

    /// The same, with a runner.
    pub(crate) fn worked(mut self, slots: usize, key: &str, settings: &str) -> Self {
        let house = &mut self;
        house.slots = slots.to_string();
        key.clone_into(&mut house.key);
        let token = house.run(["token", "new", "--runner", "one"]).ok();
        house.write("runner.token", &token);
        house.write("runner.toml", settings);
        house.start_runner();
        self
    }

    /// With `up` alone, at a port of its own.
    pub(crate) fn with_up(slots: usize) -> Self {
        let mut house = Self::empty();
        house.slots = slots.to_string();
        house.start_up();
        house
    }

    /// With nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::Builder::new()
                .prefix("nightshift-e2e-")
                .tempdir()
                .expect("a folder"),
            server: None,
            runner: None,
            up: None,
            url: String::new(),
            token: String::new(),
            slots: String::new(),
            key: String::new(),
            env: Vec::new(),
        }
    }

    /// Starts the server; at the same address as before, if it ran before.
    pub(crate) fn start_server(&mut self) {
        let listen = match self.url.strip_prefix("http://") {
            Some(address) => address.to_owned(),
            None => "127.0.0.1:0".to_owned(),
        };
        let (child, line) = self.start(["serve", "--listen", &listen], "server.log");
        self.url = line;
        self.server = Some(child);
    }

    /// Starts the runner.
    pub(crate) fn start_runner(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("runner.log"))
            .expect("a log");
        let mut command = self.command([
            "runner",
            "--server",
            &self.url,
            "--slots",
            &self.slots,
            "--token-file",
            "runner.token",
            "--settings",
            "runner.toml",
        ]);
        let child = command
            .env("MODEL_KEY", &self.key)
            .stdout(Stdio::null())
            .stderr(log);
        self.runner = Some(child.spawn().expect("a runner"));
    }

    /// Starts `up`; at the same address as before, if it ran before.
    pub(crate) fn start_up(&mut self) {
        let port = self.url.rsplit(':').next().filter(|port| !port.is_empty());
        let port = port.unwrap_or("0").to_owned();
        let words = ["up", "--slots", &self.slots, "--port", &port];
        let (child, line) = self.start(words, "up.log");
        let address = line
            .strip_prefix("nightshift is up at ")
            .expect("an address");
        address.clone_into(&mut self.url);
        self.up = Some(child);
    }

    /// Starts a program that says on its first line that it is there.
    fn start<const N: usize>(&self, words: [&str; N], log: &str) -> (Child, String) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(log))
            .expect("a log");
        let mut child = self
            .command(words)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        out.read_line(&mut line).expect("a line");
        // It may say more, and must not be stopped by a pipe that nobody reads.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        (child, line.trim().to_owned())
    }

    /// `kill -9` of the server.
    pub(crate) fn kill_server(&mut self) {
        dies(self.server.take());
    }

    /// `kill -9` of the runner.
    pub(crate) fn kill_runner(&mut self) {
        dies(self.runner.take());
    }

    /// `kill -9` of `up`.
    pub(crate) fn kill_up(&mut self) {
        dies(self.up.take());
    }

    /// The runner that `up` has started; its server starts git as well.
    pub(crate) fn runner_of_up(&self) -> Pid {
        let up = self.up.as_ref().expect("up").id();
        within(30, "a runner below `up`", || {
            let threads = fs::read_dir(format!("/proc/{up}/task")).ok()?.flatten();
            let children: String = threads
                .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
                .collect();
            let is_runner = |id: &&str| {
                let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
                words.split(|byte| *byte == 0).nth(1) == Some(b"runner")
            };
            let id = children.split_whitespace().find(is_runner)?;
            Some(Pid::from_raw(id.parse().ok()?))
        })
    }

    /// Tells everything to stop in order, and waits until it has.
    pub(crate) fn stop(&mut self) {
        for child in [&mut self.up, &mut self.runner, &mut self.server] {
            if let Some(mut child) = child.take() {
                kill(id(&child), Signal::SIGTERM).expect("told");
                let ended = within(90, "end of the process", || {
                    child.try_wait().expect("an end")
                });
                assert_eq!(ended.code(), Some(0), "it stops in order");
            }
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("a file");
        path
    }

    /// The program in this machine's world, not started yet.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a search path"))
            .env("HOME", self.folder.path())
            .env("USER", "alice")
            .env("NIGHTSHIFT_LOG", "info")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        Said::of(&self.command(words).output().expect("it runs"))
    }

    fn piped<const N: usize>(&self, words: [&str; N], input: &str) -> Said {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("an input");
        stdin.write_all(input.as_bytes()).expect("said");
        drop(stdin);
        Said::of(&child.wait_with_output().expect("an end"))
    }

    /// The server's answer, as the client prints it.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let said = self.run(words.iter().chain(&["--json"])).ok();
        serde_json::from_str(&said).expect("JSON")
    }

    /// Asks again until the answer pleases.
    #[track_caller]
    pub(crate) fn until(&self, words: &[&str], pleases: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.json(words);
            if pleases(&answer) {
                return answer;
            }
            assert!(
                began.elapsed() < Duration::from_secs(180),
                "{words:?} still says {answer:#}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// git of a person, in a folder of this machine.
    pub(crate) fn git_with(&self, below: &str, env: &[(&str, &str)], words: &[&str]) -> Said {
        let mut command = Command::new("git");
        command
            .args(words)
            .current_dir(self.path(below))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a search path"))
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "T")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "t@example.com")))
            .envs(env.iter().copied())
            .stdin(Stdio::null());
        Said::of(&command.output().expect("git runs"))
    }

    #[track_caller]
    pub(crate) fn git(&self, below: &str, words: &[&str]) -> String {
        self.git_with(below, &[], words).ok()
    }

    /// Makes a repository with one commit of what was written below it, and a project of it.
    pub(crate) fn project(&self, name: &str) {
        self.git(name, &["init", "-q", "-b", "main"]);
        self.git(name, &["add", "-A", "-f"]);
        self.git(name, &["commit", "-q", "-m", "first"]);
        self.run(["project", "add", name]).ok();
    }

    /// Where to clone a project from, with a token.
    pub(crate) fn remote(&self, project: &str, token: &str) -> String {
        let url = self.url.replace("http://", &format!("http://x:{token}@"));
        format!("{url}/git/{project}.git")
    }

    /// The administrator's token, where `up` has made it.
    pub(crate) fn saved_token(&self) -> String {
        let settings = fs::read_to_string(self.path(".config/nightshift/client.toml"));
        let settings = settings.expect("settings");
        let from = settings.find("nst_").expect("a token");
        let token = settings[from..].chars();
        token
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    }

    /// Processes of runs: those that have anything of this machine's folder before them (also as a
    /// mount), beside the ones that were started here.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut own: BTreeSet<Pid> = [&self.server, &self.runner, &self.up]
            .into_iter()
            .flatten()
            .map(id)
            .collect();
        own.extend(self.up.as_ref().map(|_| self.runner_of_up()));
        own.insert(Pid::this());
        let folder = self.folder.path().to_str().expect("text");
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            let Ok(number) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let says = |part: &str| {
                let bytes = fs::read(entry.path().join(part)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            // A living runner's broker is no run's; one that lost its runner is left over.
            let parent = says("status").lines().find_map(|line| {
                let number = line.strip_prefix("PPid:")?.trim().parse().ok()?;
                Some(Pid::from_raw(number))
            });
            let broker = says("cmdline").ends_with(" broker ")
                && parent.is_some_and(|parent| own.contains(&parent));
            let parts = ["cmdline", "environ", "mountinfo"];
            if !own.contains(&Pid::from_raw(number))
                && !broker
                && parts.iter().any(|part| says(part).contains(folder))
            {
                found.push(format!("process {number}: {}", says("cmdline")));
            }
        }
        found
    }

    /// What of this machine's runs is there: processes, mounts, directories and control groups.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = self.processes();
        // One of its own, and the one below `up`, keep everything in the same place.
        let data = self.path(".local/share/nightshift/runner");
        let runs = fs::read_dir(data.join("runs"))
            .into_iter()
            .flatten()
            .flatten();
        left.extend(runs.map(|run| format!("directory {}", run.path().display())));
        let groups = groups(&data);
        left.extend(
            groups
                .iter()
                .map(|group| format!("control group {}", group.display())),
        );
        left
    }

    /// No process of a run is there, within the 30 seconds that a run may take to be gone.
    #[track_caller]
    pub(crate) fn nothing_runs(&self) {
        nothing(|| self.processes());
    }

    /// Nothing of a run is left at all, within the same time.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        nothing(|| self.left());
    }
}

#[track_caller]
fn nothing(look: impl Fn() -> Vec<String>) {
    let began = Instant::now();
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{left:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let all = [&mut self.up, &mut self.runner, &mut self.server];
        for child in all.into_iter().flatten() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("an id"))
}

#[track_caller]
fn dies(child: Option<Child>) {
    let mut child = child.expect("it runs");
    child.kill().expect("killed");
    child.wait().expect("an end");
}

/// Control groups of single runs, below those that belong to a runner with this data.
fn groups(data: &Path) -> Vec<PathBuf> {
    let sum = Command::new("sh")
        .args(["-c", "printf %s \"$1\" | sha256sum", "sh"])
        .arg(data)
        .output()
        .expect("a sum");
    let sum = String::from_utf8(sum.stdout).expect("text");
    let name = format!("nightshift-{}", &sum[..16]);
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-mindepth", "1", "-type", "d", "-path"])
        .arg(format!("*/{name}/*"))
        .output()
        .expect("a search");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    found.lines().map(PathBuf::from).collect()
}

/// Looks again until there is something.
#[track_caller]
pub(crate) fn within<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(seconds), "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
