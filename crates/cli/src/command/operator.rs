//! `operator`: what is done on the server's own machine, without a token: whoever can read the
//! database is its operator.
//!
//! With SQLite the server must be stopped, since one process has the file.

use std::path::PathBuf;

use crate::environment::Environment;
use crate::failure::Done;
use crate::output::Output;
use crate::server::Place;
use crate::server_settings::ServerSettings;

/// Which server, and what to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of repositories and logs, as for `serve`
    #[arg(long, env = "NIGHTSHIFT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Database, as for `serve`
    #[arg(
        long,
        env = "NIGHTSHIFT_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    database: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the first administrator of a fresh server, and print their token
    Found {
        /// The name: 1 to 40 letters, digits, `-`, `_` or `.`
        name: String,
    },
    /// Make a token for a person or a runner, and print it
    Token {
        /// For this person
        #[arg(
            long,
            value_name = "NAME",
            required_unless_present = "runner",
            conflicts_with = "runner"
        )]
        user: Option<String>,
        /// For a runner of this name
        #[arg(long, value_name = "NAME")]
        runner: Option<String>,
    },
}

impl Args {
    pub(crate) async fn run(self, environment: &Environment, output: Output) -> Done {
        let data = self.data.unwrap_or(environment.data.join("server"));
        let app = Place::new(&data, self.database.as_deref())?
            .open(environment, &ServerSettings::default(), "")
            .await?
            .app;
        let secret = match self.command {
            Command::Found { name } => app.found(&name, "made by the operator").await?,
            Command::Token { user, runner } => {
                app.operator_token(user.as_deref(), runner.as_deref(), "made by the operator")
                    .await?
            }
        };
        output.bytes(format!("{}\n", secret.reveal()).as_bytes())
    }
}
