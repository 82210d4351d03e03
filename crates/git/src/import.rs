//! Taking over an existing repository: branches and tags from a directory or a URL.
//!
//! The new repository appears complete or not at all. Sources are a local directory, `http` or
//! `https`; no other transport, no helper, no credential of this machine. Deliberately absent:
//! submodules, large-file stores, remotes that are kept, refs that belong to the platform.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use nightshift_domain::git_name::{BranchName, ISSUE_BRANCHES};
use tokio::io::AsyncReadExt as _;

use crate::command::{Call, Git, Running, read_bounded};
use crate::error::{GitError, clean};
use crate::repository::Repository;

/// Faults that old histories are full of and that harm nobody. A push has no such excuse.
const OLD_FAULTS: &[&str] = &[
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "extraHeaderEntry",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];
/// What a branch is called when the source does not say.
const FALLBACK_BRANCHES: &[&str] = &["main", "master", "trunk", "develop"];

/// Where a repository is taken from, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// A directory of this machine: a bare repository or a worktree.
    Directory(PathBuf),
    /// An `http` or `https` URL without credentials.
    Url(String),
}

impl FromStr for ImportSource {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        let bad = |why| {
            Err(GitError::BadSource {
                source_text: text.chars().take(200).collect(),
                why,
            })
        };
        if text.is_empty() || text.starts_with('-') {
            return bad("it is empty or begins with -");
        }
        if text.chars().any(char::is_control) {
            return bad("it holds a control character");
        }
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') {
                Ok(Self::Directory(PathBuf::from(path)))
            } else {
                bad("a file URL begins with file:///")
            };
        }
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        if let Some(rest) = rest {
            let host = rest.split(['/', '?', '#']).next().unwrap_or("");
            if host.is_empty() || text.contains(char::is_whitespace) {
                return bad("it is no complete URL");
            }
            if host.contains('@') {
                return bad("it holds credentials; give them apart from the URL");
            }
            return Ok(Self::Url(text.to_owned()));
        }
        if text.contains("::") || text.contains("://") {
            return bad("only http, https and local directories can be imported");
        }
        let local = text.starts_with('/') || text.starts_with("./") || text.starts_with("../");
        if !local && text.contains(':') {
            return bad("ssh is not supported; use an https URL");
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }
}

/// What was taken over.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The new repository.
    pub repository: Repository,
    /// What `HEAD` names; also for an empty repository.
    pub default_branch: BranchName,
    /// Number of branches.
    pub branches: usize,
    /// Number of tags.
    pub tags: usize,
}

impl Repository {
    /// Takes the branches and tags of `source` into a new repository at `path`. `authorization` is
    /// the value of the HTTP header of this name, for a private source. `progress` gets lines for
    /// people.
    pub async fn import(
        git: &Git,
        source: &ImportSource,
        path: &Path,
        authorization: Option<&str>,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<Imported, GitError> {
        let transport = Transport::new(git, source, authorization)?;
        let head = transport.head_branch().await?;
        let default = head
            .clone()
            .map_or_else(|| FALLBACK_BRANCHES[0].parse(), Ok);
        let default: BranchName = default.map_err(|_bad| crate::refs::odd("import", b"HEAD"))?;
        let place = Self::init_beside(git, path, &default).await?;
        let new = Self::open(git, place.path())?;
        transport.fetch(&new, &mut progress).await?;
        let branches = new.list_refs("refs/heads/").await?;
        let tags = new.list_refs("refs/tags/").await?.len();
        let has = |name: &BranchName| branches.iter().any(|found| found.name == name.to_ref());
        let mut default_branch = default;
        if !has(&default_branch) {
            let known = FALLBACK_BRANCHES
                .iter()
                .filter_map(|name| name.parse().ok());
            let first = branches
                .first()
                .and_then(|first| first.name.branch()?.parse().ok());
            if let Some(other) = known.chain(first).find(|name| has(name)) {
                default_branch = other;
            }
            new.set_default_branch(&default_branch).await?;
        }
        let count = branches.len();
        let repository = Self::settle(git, place, path)?;
        Ok(Imported {
            repository,
            default_branch,
            branches: count,
            tags,
        })
    }
}

/// Calls that may use the network, and only as far as the source needs it.
struct Transport<'a> {
    git: &'a Git,
    address: String,
    config: Vec<(&'static str, String)>,
}

impl<'a> Transport<'a> {
    fn new(
        git: &'a Git,
        source: &ImportSource,
        authorization: Option<&str>,
    ) -> Result<Self, GitError> {
        let always = || "always".to_owned();
        let mut config = Vec::new();
        let address = match source {
            ImportSource::Directory(path) => {
                let bad = |why| GitError::BadSource {
                    source_text: path.display().to_string(),
                    why,
                };
                let found = path
                    .canonicalize()
                    .map_err(|_gone| bad("no such directory"))?;
                if !found.is_dir() {
                    return Err(bad("it is no directory"));
                }
                config.push(("protocol.file.allow", always()));
                let text = found.into_os_string().into_string();
                text.map_err(|_bytes| bad("its path is not UTF-8"))?
            }
            ImportSource::Url(url) => {
                config.push(("protocol.http.allow", always()));
                config.push(("protocol.https.allow", always()));
                url.clone()
            }
        };
        if let Some(value) = authorization {
            if value.chars().any(char::is_control) {
                return Err(GitError::BadSource {
                    source_text: address,
                    why: "the credentials hold a control character",
                });
            }
            config.push(("http.extraHeader", format!("Authorization: {value}")));
            // A redirect would carry the header to another host.
            config.push(("http.followRedirects", "false".to_owned()));
        }
        if let Some(proxy) = &git.settings().proxy {
            config.push(("http.proxy", proxy.clone()));
        }
        if let Some(file) = &git.settings().ca_file {
            config.push(("http.sslCAInfo", file.display().to_string()));
        }
        Ok(Self {
            git,
            address,
            config,
        })
    }

    fn ready(&self, call: Call) -> Call {
        let call = call
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
            .env("GIT_HTTP_LOW_SPEED_TIME", "60")
            .time_limit(self.git.limits().transport);
        self.config
            .iter()
            .fold(call, |call, (key, value)| call.config(*key, value))
    }

    /// The branch that the source's `HEAD` names, if it says so.
    async fn head_branch(&self) -> Result<Option<BranchName>, GitError> {
        let call = self.ready(self.git.call("ls-remote"));
        let call = call.args(["--quiet", "--symref", "--end-of-options"]);
        let said = call.arg(&self.address).arg("HEAD").run().await?;
        let text = String::from_utf8_lossy(&said.stdout);
        Ok(text.lines().find_map(|line| {
            let (target, name) = line.strip_prefix("ref: refs/heads/")?.split_once('\t')?;
            if name == "HEAD" {
                target.parse().ok()
            } else {
                None
            }
        }))
    }

    async fn fetch(
        &self,
        into: &Repository,
        progress: &mut (impl FnMut(&str) + Send),
    ) -> Result<(), GitError> {
        let mut call = self
            .ready(into.call("fetch"))
            .args([
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-gc",
                "--progress",
            ])
            .arg("--end-of-options")
            .arg(&self.address)
            .args(["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"])
            .arg(format!("^{ISSUE_BRANCHES}*"));
        for fault in OLD_FAULTS {
            call = call.config(format!("fetch.fsck.{fault}"), "ignore");
        }
        let limit = self.git.limits().transport;
        let running = call.spawn()?;
        tokio::time::timeout(limit, follow(running, progress))
            .await
            .unwrap_or_else(|_elapsed| {
                Err(GitError::TimedOut {
                    command: "fetch".to_owned(),
                    after: limit,
                })
            })
    }
}

/// Passes on what git says while it works, a line at a time.
async fn follow(
    mut running: Running,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), GitError> {
    running.stdin = None;
    let stdout = running.stdout.take();
    let mut stderr = running.stderr.take();
    let mut said = Vec::new();
    let listen = async {
        let mut line = Vec::new();
        let mut chunk = [0_u8; 4096];
        while let Some(pipe) = stderr.as_mut() {
            let Ok(count @ 1..) = pipe.read(&mut chunk).await else {
                break;
            };
            for byte in &chunk[..count] {
                if !matches!(byte, b'\r' | b'\n') {
                    line.push(*byte);
                    continue;
                }
                let text = clean(&line, 200);
                if !text.is_empty() {
                    progress(&text);
                    if !text.contains('%') {
                        said.push(text);
                    }
                }
                line.clear();
            }
        }
    };
    let ((), _nothing) = tokio::join!(listen, read_bounded(stdout, 64 * 1024));
    match running.wait().await? {
        Some(0) => Ok(()),
        code => {
            let start = said.len().saturating_sub(8);
            Err(GitError::Failed {
                command: "fetch".to_owned(),
                code,
                message: clean(said[start..].join("\n").as_bytes(), 1_000),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_could_run_something_are_refused() {
        for bad in [
            "",
            "-u./x",
            "--upload-pack=touch x",
            "ext::sh -c id",
            "fd::17",
            "ssh://host/x",
            "git://host/x",
            "host:path",
            "git@host:path",
            "https://",
            "https://u:p@host/x",
            "http://host/a b",
            "file://host/x",
            "https://host/\nx",
            "ftp://host/x",
            "a::b",
        ] {
            assert!(bad.parse::<ImportSource>().is_err(), "{bad:?} was accepted");
        }
        for good in [
            "/srv/x.git",
            "./x",
            "../a:b",
            "x",
            "file:///srv/x",
            "https://host/a/b.git",
        ] {
            assert!(good.parse::<ImportSource>().is_ok(), "{good:?} was refused");
        }
    }
}
