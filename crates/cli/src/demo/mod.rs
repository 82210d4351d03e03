//! The demo: the whole loop on a throwaway data folder, with nothing but this program, git,
//! bubblewrap and python3.
//!
//! Invariant: the person's own settings and data are not touched. Deliberately absent: a model; the
//! `script` harness carries out the shell blocks that stand in the issues.

mod example;
mod play;
mod scene;
mod story;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nightshift_api::issue::IssueQuery;
use nightshift_api::{Nothing, operations};
use tempfile::TempDir;

use crate::clock;
use crate::command::project::add;
use crate::command::sign_in_link;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::local::{Local, Plan};
use crate::output::Output;
use crate::program::{self, Git};
use crate::runner_settings::RunnerSettings;
use crate::screen::{bold, dim, plain};
use crate::server::private_folder;
use crate::server_settings::ServerSettings;
use crate::stop::Stop;
use crate::view;
use example::PROJECT;
use play::{Play, Role};
use scene::SCENES;

/// How the demo is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Play the reviewer too, say each step with its time, fail if anything is not as it should be
    #[arg(long)]
    check: bool,
    /// Folder for everything, which must be empty; otherwise one that is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port on this machine; otherwise a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many runs at one time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    slots: u16,
}

impl Args {
    pub(crate) async fn run(self, environment: Environment, output: Output) -> Done {
        let began = Instant::now();
        for (name, way_out) in [
            ("git", "install git"),
            (
                "python3",
                "the example program is written in it: install python3",
            ),
        ] {
            if program::find(&environment, name).is_none() {
                return Err(Failure::failed(format!("the demo needs {name}: {way_out}")));
            }
        }
        // The runner works in what the settings of this machine name.
        RunnerSettings::of(None, &environment)?.backend(&environment)?;
        let folder = Folder::make(self.data)?;
        let stop = Stop::on_signals()?;
        let plan = Plan {
            data: folder.path.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            slots: usize::from(self.slots),
            admin: crate::command::up::admin(&environment),
            settings: ServerSettings::default(),
            known: None,
        };
        let local = Local::start(plan, &environment, output, &stop).await?;
        let (server, token) = (local.server.clone(), local.token.clone());
        let connection = Connection::to(&server, &token, PROJECT, environment, output)?;
        let role = if self.check { Role::Whole } else { Role::Guide };
        let played = tokio::select! {
            played = give(&connection, &folder, role, began) => played,
            () = stop.orderly.cancelled() => Err(Failure::failed("interrupted")),
        };
        let ended = match (&played, role) {
            (Ok(()), Role::Guide) => leave(&connection, &folder, &stop, began).await,
            _ => Ok(()),
        };
        // Nothing of a demo is worth waiting for.
        stop.orderly.cancel();
        if played.is_err() || role == Role::Guide {
            stop.at_once.cancel();
        }
        let stopped = local.end(&stop).await;
        played?;
        ended?;
        stopped?;
        if role == Role::Whole {
            nothing_left(&folder)?;
            Play::new(&connection, role, began).step(None, "everything is as it should be")?;
        }
        Ok(())
    }
}

/// Where everything is.
struct Folder {
    path: PathBuf,
    /// Removes it at the end.
    _own: Option<TempDir>,
}

impl Folder {
    fn make(named: Option<PathBuf>) -> Done<Self> {
        let failed =
            |error: std::io::Error| Failure::failed(format!("cannot make a folder: {error}"));
        let Some(path) = named else {
            let own = tempfile::Builder::new()
                .prefix("nightshift-demo-")
                .tempdir()
                .map_err(failed)?;
            return Ok(Self {
                path: own.path().to_owned(),
                _own: Some(own),
            });
        };
        private_folder(&path)?;
        let path = path.canonicalize().map_err(failed)?;
        if fs::read_dir(&path).map_err(failed)?.next().is_some() {
            return Err(Failure::usage(format!(
                "{} is not empty: the demo begins with nothing",
                path.display()
            )));
        }
        Ok(Self { path, _own: None })
    }
}

/// Makes the project, files the issues, plays.
async fn give(connection: &Connection, folder: &Folder, role: Role, began: Instant) -> Done {
    let mut play = Play::new(connection, role, began);
    play.step(
        None,
        &format!("server and runner are up at {}", connection.client.server()),
    )?;
    let source = folder.path.join("examples");
    example::unpack(&source)?;
    let tree = source.join(PROJECT);
    commit(&connection.environment, &tree)?;
    let place = tree.to_string_lossy();
    let quiet = Connection::to(
        connection.client.server(),
        connection.token()?,
        PROJECT,
        connection.environment.clone(),
        connection.output.silent(),
    )?;
    let project = add::add(&quiet, &place, Some(PROJECT.to_owned()), None).await?;
    let checks: Vec<_> = project
        .checks
        .iter()
        .map(|check| check.run.as_str())
        .collect();
    play.step(
        None,
        &format!(
            "project {PROJECT} is made; its check: {}",
            checks.join(", ")
        ),
    )?;
    play.file(&source.join("demo-issues")).await?;
    play.until_settled().await?;
    if role == Role::Whole {
        main_is_whole(connection, folder, &play)?;
    }
    Ok(())
}

/// Makes a repository of the example, whatever the person's git is set to.
fn commit(environment: &Environment, tree: &Path) -> Done {
    let git = || {
        Git::new(environment, Some(tree))
            .setting("user.name", "Demo")
            .setting("user.email", "demo@nightshift.invalid")
            .setting("commit.gpgSign", "false")
            .setting("core.hooksPath", "/dev/null")
            .setting("core.autocrlf", "false")
    };
    git()
        .args(["init", "--quiet", "--initial-branch=main"])
        .read()?;
    git().args(["add", "--all"]).read()?;
    git()
        .args(["commit", "--quiet", "--message", "tally: keep the hours"])
        .read()?;
    Ok(())
}

/// Looks at what anybody sees who clones: one landed commit for each issue, each naming its issue.
fn main_is_whole(connection: &Connection, folder: &Folder, play: &Play<'_>) -> Done {
    let clone = folder.path.join("clone");
    let server = connection.client.server();
    let token = connection.token()?;
    Git::new(&connection.environment, None)
        .token(server, token)
        .args(["clone", "--quiet"])
        .arg(format!("{server}/git/{PROJECT}.git"))
        .arg(&clone)
        .read()?;
    let log = Git::new(&connection.environment, Some(&clone))
        .args([
            "log",
            "--first-parent",
            "--format=%(trailers:key=Nightshift-Issue,valueonly,separator=%x2C)",
        ])
        .read()?;
    let issues: Vec<_> = log.lines().filter(|line| !line.is_empty()).collect();
    for number in 1..=SCENES.len() {
        let name = format!("{PROJECT}#{number}");
        if issues.iter().filter(|issue| **issue == name).count() != 1 {
            return Err(Failure::failed(format!(
                "main must have one commit of {name}; it has those of {issues:?}"
            )));
        }
    }
    play.step(
        None,
        &format!(
            "a fresh clone of main has one commit for each of {} issues",
            issues.len()
        ),
    )
}

/// Nothing of a run is left when the runner has ended.
fn nothing_left(folder: &Folder) -> Done {
    let runs = folder.path.join("runner/runs");
    let left = fs::read_dir(&runs).map_or(0, Iterator::count);
    match left {
        0 => Ok(()),
        n => Err(Failure::failed(format!(
            "{n} runs have left something in {}",
            runs.display()
        ))),
    }
}

/// Shows what waits for the person, and keeps the server up until they have enough.
async fn leave(connection: &Connection, folder: &Folder, stop: &Stop, began: Instant) -> Done {
    let token = folder.path.join("admin.token");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&token)
        .and_then(|mut file| file.write_all(connection.token().unwrap_or_default().as_bytes()))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", token.display())))?;
    let issues = connection
        .call::<operations::IssueList>(&play::project(), &IssueQuery::default(), &Nothing {})
        .await?;
    let mut screen = connection.output.screen();
    screen.gap();
    view::issue::list(&mut screen, &issues.items, clock::now());
    screen.gap();
    let link = sign_in_link::own(&connection.client).await?;
    screen.line([
        bold("What waits is yours to decide."),
        plain(" In a browser, signed in once by this address:"),
    ]);
    screen.gap();
    screen.line([plain(format!("  {link}"))]);
    screen.gap();
    screen.line([plain("In another terminal:")]);
    screen.gap();
    let program = program::own()?;
    let lines = [
        format!("export NIGHTSHIFT_SERVER={}", connection.client.server()),
        format!("export NIGHTSHIFT_TOKEN=$(cat {})", token.display()),
        format!("alias nightshift={}", program.display()),
    ];
    for line in &lines {
        screen.line([plain(format!("  {line}"))]);
    }
    screen.gap();
    for issue in issues.items.iter().rev() {
        let n = issue.number;
        let (command, about) = match issue.phase.as_str() {
            "needs-input" => (
                format!("issue answer {n} \"On Monday.\""),
                "the agent asked",
            ),
            "in-review" => (
                format!("pr show {n}"),
                "then `pr approve` or `pr send-back`",
            ),
            _ => continue,
        };
        let line = format!("  nightshift {command:<30}");
        screen.line([plain(line), dim(format!("  # {}: {about}", issue.title))]);
    }
    screen.gap();
    screen.line([dim(
        "The server runs, and what happens is shown here, until Ctrl-C.",
    )]);
    connection.output.show(&mut screen)?;
    let mut play = Play::new(connection, Role::Guide, began);
    play.skip_told().await?;
    loop {
        tokio::select! {
            () = stop.orderly.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(300)) => play.tell().await?,
        }
    }
}
