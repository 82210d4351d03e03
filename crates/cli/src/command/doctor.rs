//! `doctor`: looks for what is missing or broken on this machine, and says the way out.
//!
//! Invariant: it changes nothing but a folder of its own that it removes. Exit code 1 if a line says
//! `fail`. Deliberately absent: mending.

use std::io;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_api::{Nothing, operations};
use nightshift_runner::harness::{self, Programs};
use nightshift_runner::registry::Registries;
use nightshift_runner::sandbox::{Backend, HostConfig, SandboxHost, SandboxProgram};
use serde::Serialize;

use crate::command::Global;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::failure::{Done, Exit, Failure};
use crate::output::Output;
use crate::program::Git;
use crate::runner_settings::RunnerSettings;
use crate::screen::{bold, dim, green, plain, red, yellow};

/// The oldest git whose `merge-tree` writes trees, which landing needs.
const OLDEST_GIT: (u32, u32) = (2, 39);
/// Below this the runner cannot work for long.
const LEAST_FREE: u64 = 5 << 30;

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Database that `serve` will use, to see whether it answers: postgres://...
    #[arg(
        long,
        env = "NIGHTSHIFT_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    database: Option<String>,
    /// Folder whose disk is looked at; otherwise the one of `up`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    what: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    way_out: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Warn,
    Fail,
}

impl Line {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, State::Ok, found, "")
    }

    fn warn(what: &'static str, found: impl Into<String>, way_out: &str) -> Self {
        Self::new(what, State::Warn, found, way_out)
    }

    fn fail(what: &'static str, found: impl Into<String>, way_out: &str) -> Self {
        Self::new(what, State::Fail, found, way_out)
    }

    fn new(what: &'static str, state: State, found: impl Into<String>, way_out: &str) -> Self {
        Self {
            what,
            state,
            found: found.into(),
            way_out: way_out.to_owned(),
        }
    }
}

impl Args {
    pub(crate) async fn run(
        self,
        global: &Global,
        environment: Environment,
        output: Output,
    ) -> Done {
        let mut lines = vec![git(&environment)];
        {
            let _busy = output.busy("starting a sandbox");
            lines.extend(sandbox(&environment).await);
        }
        let data = self.data.unwrap_or_else(|| environment.data.clone());
        lines.push(disk(&data));
        lines.push(agents(&environment));
        if let Some(database) = &self.database {
            lines.push(postgres(database));
        }
        lines.extend(server(global, environment, output).await);
        let failed = lines.iter().any(|line| line.state == State::Fail);
        output.answer(&lines, |screen| {
            for line in &lines {
                let state = match line.state {
                    State::Ok => green("ok    "),
                    State::Warn => yellow("warn  "),
                    State::Fail => red("fail  "),
                };
                let what = format!("{:<12}", line.what);
                screen.line([state, bold(what), plain(&line.found)]);
                if !line.way_out.is_empty() {
                    screen.line([plain(" ".repeat(18)), dim(&line.way_out)]);
                }
            }
        })?;
        match failed {
            true => Err(Failure::new(Exit::Failed, "")),
            false => Ok(()),
        }
    }
}

fn git(environment: &Environment) -> Line {
    let way_out = "install git 2.39 or newer";
    match Git::new(environment, None).args(["--version"]).read() {
        Err(failure) => Line::fail("git", failure.message, way_out),
        Ok(said) => match git_version(&said) {
            Some(version) if version >= OLDEST_GIT => Line::ok("git", said),
            Some(_) => Line::fail("git", said, way_out),
            None => Line::warn("git", format!("unknown version: {said}"), way_out),
        },
    }
}

/// Major and minor of `git version 2.47.3 (Vendor)`.
fn git_version(said: &str) -> Option<(u32, u32)> {
    let version = said.split_whitespace().nth(2)?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn sandbox(environment: &Environment) -> Vec<Line> {
    let settings = RunnerSettings::of(None, environment);
    let backend = settings.and_then(|all| Ok((all.backend(environment)?, all.registries()?)));
    let (backend, registries) = match backend {
        Ok(found) => found,
        Err(failure) => {
            return vec![Line::fail(
                "sandbox",
                failure.message,
                "agents run nowhere else",
            )];
        }
    };
    let (found, way_out) = match &backend {
        Backend::Bubblewrap { program } => (
            Line::ok("bubblewrap", program.display().to_string()),
            "allow user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or \
             an AppArmor profile for bwrap; in a container, run it with those rights",
        ),
        Backend::Container { socket } => (
            Line::ok("container", socket.display().to_string()),
            "start Docker or Podman with a socket that this user may open, and name it under \
             [sandbox] in runner.toml; it must run as root, on this machine",
        ),
    };
    let container = matches!(backend, Backend::Container { .. });
    let opened = async {
        let folder = tempfile::tempdir()?;
        let config = HostConfig {
            program: SandboxProgram {
                path: std::env::current_exe()?,
                prefix_args: Vec::new(),
            },
            backend,
            data: folder.path().to_owned(),
            read_only: Vec::new(),
        };
        let host = SandboxHost::open(config).await?;
        let support = host.support().clone();
        anyhow::Ok(support)
    };
    let support = match opened.await {
        Ok(support) => support,
        Err(error) => {
            let line = Line::fail("sandbox", format!("{error:#}"), way_out);
            return vec![found, line];
        }
    };
    let overlay = match (support.no_overlay, container) {
        (None, _) => Line::ok("overlay", "workspaces cost the same at any size"),
        (Some(why), true) => Line::ok("overlay", format!("none: {why}")),
        (Some(why), false) => Line::warn(
            "overlay",
            format!("not available: {why}"),
            "works without, slower: every run copies its repository",
        ),
    };
    vec![
        found,
        Line::ok(
            "sandbox",
            format!("starts, and its walls hold: {}", support.engine),
        ),
        overlay,
        Line::ok("caps", support.caps),
        images(support.no_images, container, &registries),
    ]
}

/// Whether a project may name an image, and where it may come from.
fn images(none: Option<String>, container: bool, registries: &Registries) -> Line {
    let rules: Vec<String> = registries.pull.iter().map(ToString::to_string).collect();
    match none {
        Some(why) if container => Line::warn(
            "images",
            format!("none: {why}"),
            "works without: projects that name an image wait for another runner",
        ),
        Some(why) => Line::ok("images", format!("none: {why}")),
        None if rules.is_empty() => Line::ok(
            "images",
            "those that the engine has; none is pulled, since [sandbox] in runner.toml has no pull",
        ),
        None => Line::ok(
            "images",
            format!("those that the engine has; pulled: {}", rules.join(", ")),
        ),
    }
}

fn disk(data: &Path) -> Line {
    // The nearest folder that is there already.
    let place = data.ancestors().find(|path| path.exists());
    let place = place.unwrap_or(Path::new("/"));
    let shown = place.display();
    match nix::sys::statvfs::statvfs(place) {
        Err(error) => Line::warn("disk", format!("cannot look at {shown}: {error}"), ""),
        Ok(about) => {
            let free = about.blocks_available() * about.fragment_size();
            let found = format!("{} GiB free in {shown}", free >> 30);
            if free >= LEAST_FREE {
                Line::ok("disk", found)
            } else {
                Line::warn(
                    "disk",
                    found,
                    "make room, or choose another folder with --data",
                )
            }
        }
    }
}

/// Agent programs. None is needed: the script harness has no program.
fn agents(environment: &Environment) -> Line {
    let programs = Programs::find(None, Some(&environment.path));
    let (here, not): (Vec<_>, Vec<_>) = harness::ALL
        .iter()
        .filter_map(|harness| Some((harness.name(), harness.needs()?)))
        .partition(|(name, needs)| needs.located(name, &programs).is_ok());
    let names = |all: Vec<(&'static str, _)>| {
        let names: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
        names.join(", ")
    };
    let way_out = "nightshift agent doctor says of each why not, and what to do";
    match (here.is_empty(), not.is_empty()) {
        (true, _) => Line::warn(
            "agents",
            "no program of an agent in the search path",
            way_out,
        ),
        (false, true) => Line::ok("agents", names(here)),
        (false, false) => Line::ok(
            "agents",
            format!("{}; not here: {}", names(here), names(not)),
        ),
    }
}

fn postgres(database: &str) -> Line {
    if database.starts_with("sqlite:") {
        return Line::ok("database", "SQLite, embedded");
    }
    let way_out = "start PostgreSQL, or correct --database";
    let Ok(url) = reqwest::Url::parse(database) else {
        return Line::fail("database", "no address of a database", way_out);
    };
    let host = url.host_str().unwrap_or("localhost").to_owned();
    let port = url.port().unwrap_or(5432);
    let reached = (host.as_str(), port).to_socket_addrs().and_then(|mut all| {
        let address = all.next().ok_or(io::ErrorKind::NotFound)?;
        std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))
    });
    match reached {
        Ok(_) => Line::ok("database", format!("PostgreSQL answers at {host}:{port}")),
        Err(error) => Line::fail("database", format!("{host}:{port}: {error}"), way_out),
    }
}

async fn server(global: &Global, environment: Environment, output: Output) -> Vec<Line> {
    let connection = match Connection::open(global, environment, output) {
        Ok(connection) => connection,
        Err(failure) => return vec![Line::warn("server", failure.message, "")],
    };
    let mut lines = Vec::new();
    let address = connection.client.server().to_owned();
    let health = connection
        .call::<operations::HealthGet>(&Nothing {}, &Nothing {}, &Nothing {})
        .await;
    match health {
        Err(failure) => {
            lines.push(Line::fail(
                "server",
                failure.message,
                "start it: nightshift up",
            ));
            return lines;
        }
        Ok(health) if health.status != "ok" => {
            lines.push(Line::fail("server", health.status, "see its log"));
        }
        Ok(health) if health.version != env!("CARGO_PKG_VERSION") => lines.push(Line::warn(
            "server",
            format!(
                "{address} has version {}, this is {}",
                health.version,
                env!("CARGO_PKG_VERSION")
            ),
            "install the same version on both sides",
        )),
        Ok(health) => lines.push(Line::ok(
            "server",
            format!("{address}, version {}", health.version),
        )),
    }
    let me = connection
        .call::<operations::MeGet>(&Nothing {}, &Nothing {}, &Nothing {})
        .await;
    match me {
        Ok(me) => lines.push(Line::ok("token", format!("signed in as {}", me.name))),
        Err(failure) => {
            lines.push(Line::fail("token", failure.message, "nightshift login"));
            return lines;
        }
    }
    let runners = connection
        .call::<operations::RunnerList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await;
    lines.push(match runners {
        Err(failure) if failure.exit == Exit::NotAllowed => {
            Line::ok("runner", "only administrators see runners")
        }
        Err(failure) => Line::warn("runner", failure.message, ""),
        Ok(page) => {
            let alive: Vec<_> = page.items.iter().filter(|runner| runner.alive).collect();
            match alive.first() {
                Some(runner) => Line::ok(
                    "runner",
                    format!("{} alive, {} first", alive.len(), runner.name),
                ),
                None => Line::fail("runner", "none is alive", "start one: nightshift runner"),
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git() {
        assert_eq!(git_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(
            git_version("git version 2.39.5 (Apple Git-154)"),
            Some((2, 39))
        );
        assert_eq!(git_version("git"), None);
    }

    #[test]
    fn a_database_that_does_not_answer_is_said_without_its_password() {
        let line = postgres("postgres://me:secret@127.0.0.1:1/x");
        assert_eq!(line.state, State::Fail);
        assert!(line.found.starts_with("127.0.0.1:1: "), "{}", line.found);
        assert_eq!(postgres("sqlite:x.db").state, State::Ok);
    }
}
