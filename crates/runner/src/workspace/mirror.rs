//! The project's objects on this runner: a bare repository that only the runner's git writes.
//!
//! Invariant: the token travels in the environment of one git process and in no file or argument;
//! a commit counts as present only when the ref that keeps it is there, which git writes after all
//! its objects. Objects are never pruned here: warm checkouts and live runs borrow them.
//! Deliberately absent: a working tree, hooks, and the host's git configuration.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place where the host's git is started, with a cleared environment"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nightshift_domain::git_name::ObjectId;
use tokio::process::Command;

use super::error::WorkspaceError;
use crate::secret::Secret;

/// The longest a fetch may take.
const FETCH: Duration = Duration::from_secs(30 * 60);

/// Settings that hold for every call, whatever the repository's own file says.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.sharedRepository", "0644"),
    ("credential.helper", ""),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "60"),
];

/// A bare repository, made when first needed.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    git: PathBuf,
    path: PathBuf,
}

impl Mirror {
    pub(super) fn new(git: &Path, path: PathBuf) -> Self {
        Self {
            git: git.to_owned(),
            path,
        }
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Whether the commit and everything it needs is here.
    pub(super) fn has(&self, commit: &ObjectId) -> bool {
        self.path.join("refs/keep").join(commit.as_str()).is_file()
    }

    /// Brings the commits that are not here.
    pub(super) async fn fetch(
        &self,
        url: &str,
        token: &Secret,
        commits: &[ObjectId],
    ) -> Result<(), WorkspaceError> {
        let missing: Vec<_> = commits.iter().filter(|commit| !self.has(commit)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.init().await?;
        let mut args: Vec<String> = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--end-of-options",
            url,
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(
            missing
                .iter()
                .map(|commit| format!("{commit}:refs/keep/{commit}")),
        );
        let header = format!("Authorization: Bearer {}", token.expose());
        self.run(&args, &[("http.extraHeader", &header)])
            .await
            .map(drop)
            .map_err(|cause| WorkspaceError::Fetch {
                url: url.to_owned(),
                cause: cause.replace(token.expose(), "***"),
            })
    }

    /// What a commit has at these paths, as `git ls-tree -z` prints it. A path is taken as it stands.
    pub(super) async fn listing(
        &self,
        commit: &ObjectId,
        paths: &[String],
    ) -> Result<Vec<u8>, WorkspaceError> {
        let mut args = ["ls-tree", "-z", "--full-tree", commit.as_str(), "--"]
            .map(str::to_owned)
            .to_vec();
        args.extend_from_slice(paths);
        self.read("ls-tree", &args).await
    }

    /// The paths that one commit has and the other has not, each with a zero byte behind it.
    pub(super) async fn removed(
        &self,
        from: &ObjectId,
        to: &ObjectId,
    ) -> Result<Vec<u8>, WorkspaceError> {
        let args = [
            "diff-tree",
            "-r",
            "-z",
            "--no-renames",
            "--name-only",
            "--diff-filter=D",
            from.as_str(),
            to.as_str(),
        ];
        self.read("diff-tree", &args.map(str::to_owned)).await
    }

    async fn read(&self, verb: &str, args: &[String]) -> Result<Vec<u8>, WorkspaceError> {
        let said = self.run(args, &[]).await;
        said.map_err(|cause| WorkspaceError::Git {
            verb: verb.to_owned(),
            path: self.path.clone(),
            cause,
        })
    }

    async fn init(&self) -> Result<(), WorkspaceError> {
        if self.path.join("HEAD").is_file() && self.objects().is_dir() {
            return Ok(());
        }
        let args = ["init", "--quiet", "--bare", "--template="].map(str::to_owned);
        std::fs::create_dir_all(&self.path)
            .map_err(|e| WorkspaceError::host(format!("making {}", self.path.display()), e))?;
        self.read("init", &args).await.map(drop)
    }

    async fn run(&self, args: &[String], extra: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.git);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("GIT_DIR", &self.path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let settings = SETTINGS.iter().chain(extra);
        let mut count = 0;
        for (name, value) in settings {
            command.env(format!("GIT_CONFIG_KEY_{count}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        let output = tokio::time::timeout(FETCH, command.output())
            .await
            .map_err(|_| format!("no end after {} s", FETCH.as_secs()))?
            .map_err(|e| format!("{}: {e}", self.git.display()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().rev().take(6).collect();
        let said: Vec<&str> = lines.into_iter().rev().collect();
        Err(format!("{}: {}", output.status, said.join("; ")))
    }
}
