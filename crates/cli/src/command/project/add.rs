//! `project add`: makes a project, and pushes a repository to it with the person's own git.
//!
//! What git may read is what the person may read: the server is never given their credentials.
//! Invariant: run again after a broken push, it goes on; it never writes to a project that already
//! has commits. Deliberately absent: keeping the two repositories in step afterwards.

use std::path::{Path, PathBuf};

use nightshift_api::project::{NewProject, Project, ProjectPath};
use nightshift_api::{Nothing, operations};
use nightshift_domain::git_name::{BranchName, ISSUE_BRANCHES};
use tempfile::TempDir;

use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::output::Output;
use crate::program::Git;
use crate::screen::{Screen, plain, yellow};
use crate::view::issue::commands_of;

/// Which repository.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a repository on this machine, or an address that git can clone
    #[arg(value_name = "PATH|URL")]
    source: String,
    /// Name of the project; otherwise the repository's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Default branch; otherwise the repository's own
    #[arg(long, value_name = "BRANCH")]
    branch: Option<BranchName>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = add(connection, &self.source, self.name, self.branch).await?;
        let url = format!("{}{}", connection.client.server(), project.git_path);
        connection
            .output
            .answer(&project, |screen| tell(screen, &project, &url))
    }
}

/// Makes a project of the repository at `source`.
pub(crate) async fn add(
    connection: &Connection,
    source: &str,
    name: Option<String>,
    branch: Option<BranchName>,
) -> Done<Project> {
    let source = Source::find(source)?;
    let name = match name {
        Some(name) => name,
        None => name_of(&source)?,
    };
    connection.token()?;
    let here = Local::open(connection, &source)?;
    let branch = match branch {
        Some(branch) => branch,
        None => here.default_branch(connection)?,
    };
    let project = create(connection, &name, &branch).await?;
    if here.has_branches(connection)? {
        here.push(connection, &project)?;
    }
    let path = ProjectPath {
        project: project.name,
    };
    connection
        .call::<operations::ProjectGet>(&path, &Nothing {}, &Nothing {})
        .await
}

/// Where the repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Folder(PathBuf),
    Address(String),
}

impl Source {
    fn find(text: &str) -> Done<Self> {
        let path = Path::new(text);
        if path.is_dir() {
            let whole = path
                .canonicalize()
                .map_err(|error| Failure::failed(format!("cannot read {text}: {error}")))?;
            return Ok(Self::Folder(whole));
        }
        // `host:path` is how ssh is written; `C:\` is not known here.
        let scp = text.split_once(':').is_some_and(|(host, path)| {
            !host.is_empty() && !host.contains('/') && !path.is_empty()
        });
        if (text.contains("://") || scp) && !text.starts_with('-') {
            return Ok(Self::Address(text.to_owned()));
        }
        Err(Failure::new(
            Exit::NotFound,
            format!("{text} is neither a folder here nor an address that git can clone"),
        ))
    }
}

/// A project's name, from where the repository is.
fn name_of(source: &Source) -> Done<String> {
    let whole = match source {
        Source::Folder(path) => path.to_string_lossy().into_owned(),
        Source::Address(address) => address.clone(),
    };
    let last = whole
        .trim_end_matches('/')
        .trim_end_matches("/.git")
        .rsplit(['/', ':'])
        .next()
        .unwrap_or_default();
    let name: String = last
        .trim_end_matches(".git")
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
            _ => '-',
        })
        .take(40)
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() {
        return Err(Failure::usage(
            "the repository's name makes no name for a project: say --name",
        ));
    }
    Ok(name.to_owned())
}

/// Makes the project, or finds the one that an earlier, broken call made.
async fn create(connection: &Connection, name: &str, branch: &BranchName) -> Done<Project> {
    let input = NewProject {
        name: name.to_owned(),
        default_branch: Some(branch.as_str().to_owned()),
    };
    let refused = match connection
        .create::<operations::ProjectCreate>(&Nothing {}, &input)
        .await
    {
        Err(failure) if failure.exit == Exit::Conflict => failure,
        other => return other,
    };
    let path = ProjectPath {
        project: name.to_owned(),
    };
    let there = connection
        .call::<operations::ProjectGet>(&path, &Nothing {}, &Nothing {})
        .await;
    match there {
        Ok(project) if project.head.is_none() && project.default_branch == branch.as_str() => {
            Ok(project)
        }
        Ok(project) if project.head.is_none() => Err(Failure::new(
            Exit::Conflict,
            format!(
                "project {name} is there, empty, with the default branch {0}: say --branch {0}, or \
                 another --name",
                project.default_branch
            ),
        )),
        Ok(project) => Err(Failure::new(
            Exit::Conflict,
            format!(
                "project {name} is there and has commits: push to {}{} with git, or say another \
                 --name",
                connection.client.server(),
                project.git_path
            ),
        )),
        // There, and hidden from this person.
        Err(_) => Err(refused),
    }
}

/// A repository on this machine, perhaps just cloned.
#[derive(Debug)]
struct Local {
    folder: PathBuf,
    /// Keeps a clone until it is pushed.
    _clone: Option<TempDir>,
}

impl Local {
    fn open(connection: &Connection, source: &Source) -> Done<Self> {
        let (folder, clone) = match source {
            Source::Folder(folder) => (folder.clone(), None),
            Source::Address(address) => {
                let place = tempfile::tempdir()
                    .map_err(|error| Failure::failed(format!("cannot make a folder: {error}")))?;
                quiet(connection.output, "cloning");
                let bare = place.path().join("clone.git");
                Git::new(&connection.environment, None)
                    .args(["clone", "--bare", "--progress", "--"])
                    .arg(address)
                    .arg(&bare)
                    .watch(connection.output.shows_progress())?;
                (bare, Some(place))
            }
        };
        let local = Self {
            folder,
            _clone: clone,
        };
        local
            .git(connection)
            .args(["rev-parse", "--git-dir"])
            .read()
            .map_err(|_| {
                Failure::new(
                    Exit::NotFound,
                    format!(
                        "{} is no git repository: make it one with `git init`, `git add`, `git \
                         commit`",
                        local.folder.display()
                    ),
                )
            })?;
        let shallow = local
            .git(connection)
            .args(["rev-parse", "--is-shallow-repository"])
            .read()?;
        if shallow == "true" {
            return Err(Failure::failed(format!(
                "{} is a shallow clone, whose history cannot be pushed: `git fetch --unshallow` \
                 first",
                local.folder.display()
            )));
        }
        Ok(local)
    }

    fn git(&self, connection: &Connection) -> Git {
        Git::new(&connection.environment, Some(&self.folder))
    }

    fn default_branch(&self, connection: &Connection) -> Done<BranchName> {
        let head = self
            .git(connection)
            .args(["symbolic-ref", "--short", "HEAD"])
            .read()
            .map_err(|_| Failure::usage("the repository is on no branch: say --branch"))?;
        head.parse()
            .map_err(|error| Failure::usage(format!("{error}: say --branch")))
    }

    fn has_branches(&self, connection: &Connection) -> Done<bool> {
        let refs = self
            .git(connection)
            .args(["for-each-ref", "--count=1", "refs/heads", "refs/tags"])
            .read()?;
        Ok(!refs.is_empty())
    }

    /// Pushes every branch and tag, all of them or none.
    fn push(&self, connection: &Connection, project: &Project) -> Done {
        let server = connection.client.server();
        quiet(connection.output, "pushing");
        self.git(connection)
            .token(server, connection.token()?)
            // Branches of issues belong to the platform; a copy of another server has its own.
            .args(["push", "--no-verify", "--atomic", "--progress"])
            .arg(format!("{server}{}", project.git_path))
            .args(["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"])
            .arg(format!("^{ISSUE_BRANCHES}*"))
            .watch(connection.output.shows_progress())
            .map_err(|failure| {
                failure.and(&format!(
                    "project {} is there and empty; the same command goes on",
                    project.name
                ))
            })
    }
}

/// git shows its own progress on a terminal; ours would be in its way.
fn quiet(output: Output, what: &str) {
    if output.shows_progress() {
        output.note(&format!("{what} ..."));
    }
}

fn tell(screen: &mut Screen, project: &Project, url: &str) {
    screen.line([plain(format!("project {} is at {url}", project.name))]);
    if project.head.is_none() {
        screen.line([yellow(format!(
            "it has no commit on {0} yet: git push {url} {0}",
            project.default_branch
        ))]);
        return;
    }
    if let Some(error) = &project.config_error {
        screen.line([yellow(error.to_string())]);
    } else if project.checks.is_empty() {
        screen.line([yellow(
            "it defines no check, so nothing can be proved but acceptance tests: add some to \
             .nightshift/config.toml",
        )]);
    }
    commands_of(
        screen,
        &[
            format!("issue new -p {}", project.name),
            format!("project show {}", project.name),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_from_the_place() {
        let name = |source: Source| name_of(&source).map_err(|failure| failure.exit);
        let address = |text: &str| name(Source::Address(text.to_owned()));
        assert_eq!(
            address("https://example.com/a/tally.git"),
            Ok("tally".to_owned())
        );
        assert_eq!(address("git@example.com:tally.git"), Ok("tally".to_owned()));
        assert_eq!(address("https://example.com/a/b c/"), Ok("b-c".to_owned()));
        assert_eq!(
            name(Source::Folder("/srv/repositories/tally".into())),
            Ok("tally".to_owned())
        );
        assert_eq!(name(Source::Folder("/".into())), Err(Exit::Usage));
    }

    #[test]
    fn a_source_is_a_folder_or_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().to_str().expect("text");
        assert!(matches!(Source::find(text), Ok(Source::Folder(_))));
        for address in [
            "https://example.com/a.git",
            "git@example.com:a",
            "ssh://h/a",
        ] {
            assert!(
                matches!(Source::find(address), Ok(Source::Address(_))),
                "{address}"
            );
        }
        for bad in ["no-such-folder", "./a:b", "--upload-pack=x:y"] {
            assert_eq!(Source::find(bad).expect_err(bad).exit, Exit::NotFound);
        }
    }
}
