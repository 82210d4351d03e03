//! A working copy on the test's own disk, driven by the real git client.
#![expect(
    clippy::disallowed_methods,
    reason = "starts the real git client, for tests only"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A working copy with a remote on a server.
#[derive(Debug)]
pub struct Checkout {
    folder: tempfile::TempDir,
    token: String,
}

impl Checkout {
    /// An empty repository whose `origin` is `url`, used with `token`.
    #[must_use]
    pub fn empty(url: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Self {
            folder,
            token: token.to_owned(),
        };
        made.git(&["init", "--quiet", "--initial-branch=main"]);
        made.git(&["remote", "add", "origin", url]);
        made
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
        std::fs::write(file, text).expect("a file");
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).expect("a file")
    }

    /// Where a file is.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Commits everything and returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Fetches and checks a commit or branch out.
    pub fn take(&self, what: &str) {
        self.git(&["fetch", "--quiet", "origin", what]);
        self.git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
    }

    /// Pushes, and says whether the server took it, with its words.
    ///
    /// # Errors
    /// What git printed.
    pub fn push(&self, refspecs: &[&str]) -> Result<String, String> {
        let mut words = vec!["push", "--porcelain", "origin"];
        words.extend_from_slice(refspecs);
        let output = self.run(&words);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }

    /// Runs git and returns what it printed; fails the test when git fails.
    pub fn git(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(
            output.status.success(),
            "git {words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs git and returns its whole result.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        Command::new("git")
            .args(words)
            .current_dir(self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "tester")
            .env("GIT_AUTHOR_EMAIL", "tester@example.com")
            .env("GIT_COMMITTER_NAME", "tester")
            .env("GIT_COMMITTER_EMAIL", "tester@example.com")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env(
                "GIT_CONFIG_VALUE_0",
                format!("Authorization: Bearer {}", self.token),
            )
            .output()
            .expect("git is installed")
    }
}
