//! `runner`: claims jobs and carries them out in sandboxes; `runner drain` has another one take no
//! more.
//!
//! Invariant: the token comes from a file or the environment, never from an argument.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use nightshift_api::runner::RunnerPath;
use nightshift_api::{Nothing, operations};
use nightshift_domain::job::Kind;
use nightshift_runner::broker::BrokerProgram;
use nightshift_runner::config::{Config, Timing};
use nightshift_runner::sandbox::SandboxProgram;
use nightshift_runner::secret::Secret;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use crate::client_settings::{ClientSettings, normal_server};
use crate::clock;
use crate::command::Global;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::failure::{Done, Exit, Failure};
use crate::logging;
use crate::output::Output;
use crate::program;
use crate::runner_settings::RunnerSettings;
use crate::screen::plain;
use crate::stop::Stop;
use crate::view::issue::commands_of;

/// Whose jobs, and how many at one time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with the runner's token (`nightshift token new --runner NAME`); otherwise it is in
    /// `NIGHTSHIFT_RUNNER_TOKEN`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many runs at one time; otherwise one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    slots: Option<u16>,
    /// Folder of workspaces and caches; otherwise one in your data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings: model endpoints and agent programs; otherwise runner.toml in your settings folder,
    /// if it is there
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A model endpoint: its name, its address, the header of the key, and the variable that holds
    /// the key; may be said several times
    #[arg(long = "model-endpoint", value_name = "NAME=URL,HEADER,VARIABLE")]
    endpoints: Vec<String>,
    /// Take only jobs of this kind: author, verify or trial; may be said several times
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
    /// End when this process ends
    #[arg(long, hide = true, value_name = "PID")]
    with_parent: Option<i32>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Hand a runner no new jobs; it finishes what it has (administrators)
    Drain {
        /// Its name, as `nightshift runners` lists it
        runner: String,
        /// Hand it jobs again
        #[arg(long)]
        undo: bool,
    },
}

/// Drains a runner of the server, or takes it back.
async fn drain(connection: &Connection, runner: String, undo: bool) -> Done {
    let path = RunnerPath { runner };
    let line = match undo {
        false => {
            connection
                .call::<operations::RunnerDrain>(&path, &Nothing {}, &Nothing {})
                .await?
        }
        true => {
            connection
                .call::<operations::RunnerResume>(&path, &Nothing {}, &Nothing {})
                .await?
        }
    };
    connection.output.answer(&line, |screen| {
        screen.line([plain(match line.draining {
            true => format!("{} takes no new jobs and finishes what it has", line.name),
            false => format!("{} takes jobs again", line.name),
        })]);
        if line.draining {
            let back = format!("runner drain {} --undo", line.name);
            commands_of(screen, &["runners".to_owned(), back]);
        }
    })
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::parse(word).ok_or_else(|| "expected author, verify or trial".to_owned())
}

impl Args {
    pub(crate) async fn run(
        mut self,
        global: &Global,
        environment: Environment,
        output: Output,
    ) -> Done {
        if let Some(Command::Drain { runner, undo }) = self.command.take() {
            let connection = Connection::open(global, environment, output)?;
            return drain(&connection, runner, undo).await;
        }
        let environment = &environment;
        if let Some(parent) = self.with_parent {
            end_with(parent)?;
        }
        logging::start(environment, self.log_json, None)?;
        let config = self.config(global, environment)?;
        let stop = Stop::on_signals()?;
        let at_once = stop.at_once.clone();
        tokio::select! {
            ended = nightshift_runner::run(config, Arc::new(clock::now), stop.orderly) => Ok(ended?),
            () = at_once.cancelled() => Err(Failure::failed("stopped at once; runs were cut off")),
        }
    }

    fn config(self, global: &Global, environment: &Environment) -> Done<Config> {
        let mut settings = RunnerSettings::of(self.settings.as_deref(), environment)?;
        for text in &self.endpoints {
            settings
                .add_endpoint(text)
                .map_err(|form| Failure::usage(format!("--model-endpoint {text:?}: {form}")))?;
        }
        let server = match &global.server {
            Some(server) => normal_server(server)?,
            None => ClientSettings::read(&environment.config)?
                .server
                .ok_or_else(|| Failure::usage("which server? say --server http://host:port"))?,
        };
        let token = match (&self.token_file, &environment.runner_token) {
            (Some(file), _) => fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?,
            (None, Some(token)) => token.clone(),
            (None, None) => {
                return Err(Failure::new(
                    Exit::NotAllowed,
                    "a runner needs a token of its own: `nightshift token new --runner NAME > FILE`, \
                     then --token-file FILE",
                ));
            }
        };
        let program = |name: &str, way_out: &str| {
            program::find(environment, name)
                .ok_or_else(|| Failure::failed(format!("{name} is not installed: {way_out}")))
        };
        let slots = match self.slots {
            Some(slots) => usize::from(slots),
            None => processors(),
        };
        let kinds = match self.kinds.is_empty() {
            true => Kind::ALL.to_vec(),
            false => self.kinds,
        };
        Ok(Config {
            server,
            token: Secret::new(token.trim()),
            data: self.data.unwrap_or(environment.data.join("runner")),
            slots,
            kinds,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program: SandboxProgram {
                path: program::own()?,
                prefix_args: Vec::new(),
            },
            broker: BrokerProgram {
                path: program::own()?,
                args: match self.log_json {
                    true => vec!["broker".to_owned(), "--log-json".to_owned()],
                    false => vec!["broker".to_owned()],
                },
            },
            backend: settings.backend(environment)?,
            git: program("git", "install the package git")?,
            read_only: settings.binds(),
            programs: settings.programs(&environment.path)?,
            endpoints: settings.endpoints()?,
            prices: settings.prices(),
            network: settings.network(),
            registries: settings.registries()?,
            timing: Timing::default(),
        })
    }
}

/// How many processors this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Asks the system for a SIGTERM when the parent is gone.
fn end_with(parent: i32) -> Done {
    prctl::set_pdeathsig(Signal::SIGTERM)
        .map_err(|error| Failure::failed(format!("cannot watch the parent: {error}")))?;
    if getppid().as_raw() == parent {
        Ok(())
    } else {
        Err(Failure::failed(
            "the process that started this runner is gone",
        ))
    }
}
