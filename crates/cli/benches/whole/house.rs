//! A server and a runner with one slot, as processes in a folder of their own, and a client.
//!
//! Invariant: nothing of the machine's own settings is seen; both end with the benchmark.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nightshift_api::client::Client;
use tempfile::TempDir;

/// Both, running.
pub(crate) struct House {
    folder: TempDir,
    parts: Vec<Child>,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) client: Client,
}

impl House {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server_data = folder.path().join("server");
        let said = |words: &[&str]| {
            let mut command = program(folder.path(), &["operator", "--data"]);
            let output = command.arg(&server_data).args(words).output();
            let output = output.expect("it runs");
            assert!(output.status.success(), "{words:?}: {output:?}");
            String::from_utf8(output.stdout)
                .expect("text")
                .trim()
                .to_owned()
        };
        let token = said(&["found", "alice"]);
        let runner_token = said(&["token", "--runner", "one"]);
        let log = |name: &str| File::create(folder.path().join(name)).expect("a log");
        let mut server = program(folder.path(), &["serve", "--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(&server_data)
            .stdout(Stdio::piped())
            .stderr(log("server.log"))
            .spawn()
            .expect("a server");
        let mut url = String::new();
        let out = server.stdout.take().expect("its output");
        BufReader::new(out)
            .read_line(&mut url)
            .expect("its address");
        let url = url.trim().to_owned();
        let runner = program(folder.path(), &["runner", "--slots", "1", "--data"])
            .arg(folder.path().join("runner"))
            .env("NIGHTSHIFT_SERVER", &url)
            .env("NIGHTSHIFT_RUNNER_TOKEN", runner_token)
            .stderr(log("runner.log"))
            .spawn()
            .expect("a runner");
        // Without a provider there is no client; nobody else sets one here.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let http = reqwest::Client::builder().no_proxy().build();
        let client = Client::new(http.expect("a client"), &url, Some(token.clone()));
        Self {
            parts: vec![runner, server],
            folder,
            url,
            token,
            client,
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Makes a project of a repository.
    pub(crate) fn add(&self, repository: &Path, name: &str) {
        let mut command = program(self.folder.path(), &["project", "add", "--name", name]);
        let output = command
            .arg(repository)
            .env("NIGHTSHIFT_SERVER", &self.url)
            .env("NIGHTSHIFT_TOKEN", &self.token)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Where git finds a project, with the token in the address.
    pub(crate) fn git_url(&self, name: &str) -> String {
        let host = self.url.trim_start_matches("http://");
        format!("http://alice:{}@{host}/git/{name}.git", self.token)
    }

    /// The warm checkouts of the runner.
    pub(crate) fn checkouts(&self, commit: &str) -> Vec<PathBuf> {
        let projects = fs::read_dir(self.path("runner/projects")).expect("projects");
        let trees = projects.map(|project| {
            let project = project.expect("a project").path();
            project.join("checkouts").join(commit).join("tree")
        });
        trees.filter(|tree| tree.exists()).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for part in &mut self.parts {
            part.kill().ok();
            part.wait().ok();
        }
    }
}

fn program(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift"));
    command
        .args(words)
        .current_dir(home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a search path"))
        .env("HOME", home)
        .env("NIGHTSHIFT_LOG", "warn")
        .stdin(Stdio::null());
    command
}

/// A repository with `size` files of a few lines.
pub(crate) fn repository(path: &Path, size: usize) -> String {
    for number in 0..size {
        let file = path.join(format!("d{}/f{number}.txt", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
        }
        fs::write(file, format!("file {number}\n").repeat(20)).expect("a file");
    }
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "first"]);
    git(path, &["rev-parse", "HEAD"])
}

pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(["http_proxy", "https_proxy", "all_proxy"].map(|name| (name, "")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "T")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "t@example.com")))
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {words:?}: {output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}
