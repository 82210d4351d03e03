//! A bare repository on disk: making, opening, checking and keeping it in shape.
//!
//! Invariant: a repository appears at its place complete or not at all; its configuration file
//! holds no rule that the calls do not set themselves. Deliberately absent: worktrees, hooks,
//! remotes, alternates.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nightshift_domain::git_name::BranchName;

use crate::command::{Call, Git};
use crate::error::{GitError, io_error};

/// For a person who runs git by hand in the directory; calls of this crate set their own.
const CONFIG_FILE: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogAllRefUpdates = always
\thooksPath = /dev/null
[gc]
\tauto = 0
[maintenance]
\tauto = false
[transfer]
\tfsckObjects = true
[receive]
\tdenyNonFastForwards = true
\tdenyDeletes = true
[uploadpack]
\tallowFilter = true
";
/// Mark in the `.keep` files that guard a pushed pack until its refs are written.
pub(crate) const KEEP_MARK: &str = "nightshift push\n";
/// Age from which something left by a crash may be removed.
const STALE: Duration = Duration::from_secs(60 * 60);

/// How thoroughly to keep a repository in shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Joins small packs and packs refs; time grows with what is new.
    Quick,
    /// Repacks everything, drops what has been unreachable for two weeks.
    Full,
}

/// A bare repository. Cheap to clone; holds no lock and no open file.
#[derive(Debug, Clone)]
pub struct Repository {
    git: Git,
    path: PathBuf,
    env: Vec<(&'static str, std::ffi::OsString)>,
}

impl Repository {
    /// Makes an empty repository whose `HEAD` names `default_branch`. The parent of `path` must
    /// exist, `path` itself must not.
    pub async fn init_bare(
        git: &Git,
        path: &Path,
        default_branch: &BranchName,
    ) -> Result<Self, GitError> {
        let made = Self::init_beside(git, path, default_branch).await?;
        Self::settle(git, made, path)
    }

    /// Opens the repository at `path`.
    pub fn open(git: &Git, path: &Path) -> Result<Self, GitError> {
        let missing = || GitError::NoRepository(path.to_owned());
        let found = path.canonicalize().map_err(|_missing| missing())?;
        if !found.join("HEAD").is_file() || !found.join("objects").is_dir() {
            return Err(missing());
        }
        Ok(Self {
            git: git.clone(),
            path: found,
            env: Vec::new(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The program it is used with.
    #[must_use]
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Removes what a crash left behind: lock files, half-received pushes and their guards, older
    /// than an hour. To be called at start, and by upkeep. Returns how many things were removed.
    pub async fn sweep(&self, now: SystemTime) -> Result<usize, GitError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || sweep_dir(&path, &path, now))
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
            .map_err(io_error(format!("sweep {}", self.path.display())))
    }

    /// Keeps the repository small and fast. Nothing that a ref reaches is ever dropped.
    pub async fn upkeep(&self, how: Upkeep, now: SystemTime) -> Result<(), GitError> {
        self.sweep(now).await?;
        let time = self.git.limits().transport;
        let pack_refs = self.call("pack-refs").args(["--all", "--prune"]);
        pack_refs.time_limit(time).run().await?;
        let repack = self
            .call("repack")
            .time_limit(time)
            .args(["-d", "-l", "-q"]);
        match how {
            Upkeep::Quick => {
                repack.arg("--geometric=2").run().await?;
            }
            Upkeep::Full => {
                let cruft = ["--cruft", "--cruft-expiration=2.weeks.ago"];
                repack.args(cruft).run().await?;
                let prune = self.call("prune").arg("--expire=2.weeks.ago");
                prune.time_limit(time).run().await?;
            }
        }
        let graph = self
            .call("commit-graph")
            .args(["write", "--reachable", "--no-progress"]);
        graph.time_limit(time).run().await?;
        Ok(())
    }

    /// Checks every object and every ref; an empty list means that all is well.
    pub async fn fsck(&self) -> Result<Vec<String>, GitError> {
        let call = self
            .call("fsck")
            .args(["--full", "--strict", "--no-dangling", "--no-progress"])
            .time_limit(self.git.limits().transport)
            // Each code is a sum of what was found; all of them are answers.
            .accept(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let said = call.run().await?;
        let mut problems: Vec<String> = [said.stdout, said.stderr]
            .iter()
            .flat_map(|text| text.split(|b| *b == b'\n'))
            .filter(|line| !line.is_empty() && !line.starts_with(b"notice: "))
            .map(|line| crate::error::clean(line, 300))
            .collect();
        if said.code != 0 && problems.is_empty() {
            problems.push(format!("git fsck ended with code {}", said.code));
        }
        Ok(problems)
    }

    /// Bytes of all files of the repository.
    pub async fn size_on_disk(&self) -> Result<u64, GitError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || size_of_dir(&path))
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
            .map_err(io_error(format!("measure {}", self.path.display())))
    }

    /// Begins a call of a subcommand on this repository.
    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        let mut call = self.git.call(subcommand).git_dir(&self.path);
        for (name, value) in &self.env {
            call = call.env(name, value);
        }
        call
    }

    /// The same repository with more environment in each call (other object directories).
    pub(crate) fn with_env(&self, env: Vec<(&'static str, std::ffi::OsString)>) -> Self {
        Self {
            env,
            ..self.clone()
        }
    }

    /// Makes a repository in a temporary directory beside `path`.
    pub(crate) async fn init_beside(
        git: &Git,
        path: &Path,
        default_branch: &BranchName,
    ) -> Result<tempfile::TempDir, GitError> {
        if path.symlink_metadata().is_ok() {
            return Err(GitError::Exists(path.to_owned()));
        }
        let action = || format!("make a repository at {}", path.display());
        let parent = path
            .parent()
            .ok_or_else(|| GitError::NoRepository(path.to_owned()))?;
        let parent = parent.canonicalize().map_err(io_error(action()))?;
        let place = tempfile::Builder::new()
            .prefix(".new-repository-")
            .tempdir_in(parent)
            .map_err(io_error(action()))?;
        git.call("init")
            .args(["--bare", "--quiet", "--template=", "--object-format=sha1"])
            .arg(format!("--initial-branch={default_branch}"))
            .arg("--end-of-options")
            .arg(place.path())
            .run()
            .await?;
        std::fs::write(place.path().join("config"), CONFIG_FILE).map_err(io_error(action()))?;
        Ok(place)
    }

    /// Moves a repository made by [`Self::init_beside`] to its place.
    pub(crate) fn settle(
        git: &Git,
        made: tempfile::TempDir,
        path: &Path,
    ) -> Result<Self, GitError> {
        if path.symlink_metadata().is_ok() {
            return Err(GitError::Exists(path.to_owned()));
        }
        std::fs::rename(made.path(), path)
            .map_err(io_error(format!("move a repository to {}", path.display())))?;
        // The directory has a new name, so nothing is left to remove.
        let _old_name = made.keep();
        Self::open(git, path)
    }
}

/// Removes stale things of known names below `dir`, never following a link.
fn sweep_dir(root: &Path, dir: &Path, now: SystemTime) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let facts = match entry.metadata() {
            Ok(facts) => facts,
            // Somebody else was done with it in the meantime.
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
            Err(other) => return Err(other),
        };
        let age = facts
            .modified()
            .ok()
            .and_then(|at| now.duration_since(at).ok());
        let stale = age.is_some_and(|age| age > STALE);
        if facts.is_dir() {
            if stale && dir == root.join("objects") && name.starts_with("tmp_objdir-incoming-") {
                std::fs::remove_dir_all(&path)?;
                removed += 1;
            } else if dir == root || name != "pack" || path.ends_with("objects/pack") {
                removed += sweep_dir(root, &path, now)?;
            }
        } else if stale && is_left_over(root, &path, &name) {
            std::fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_left_over(root: &Path, path: &Path, name: &str) -> bool {
    let in_objects = path.starts_with(root.join("objects"));
    if name.ends_with(".lock") {
        return !in_objects;
    }
    name.ends_with(".keep")
        && in_objects
        && std::fs::read(path).is_ok_and(|text| text == KEEP_MARK.as_bytes())
}

fn size_of_dir(dir: &Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(facts) if facts.is_dir() => size += size_of_dir(&entry.path()).unwrap_or(0),
            Ok(facts) => size += facts.len(),
            // Git replaces files while this walks.
            Err(_gone) => {}
        }
    }
    Ok(size)
}
