//! `serve`: the server alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::failure::Done;
use crate::logging;
use crate::output::Output;
use crate::server::{self, Place};
use crate::stop::Stop;

/// Where it listens and where it keeps what it knows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port
    #[arg(long, default_value = "127.0.0.1:4321", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Folder of repositories and logs; otherwise one in your data folder
    #[arg(long, env = "NIGHTSHIFT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`; otherwise a SQLite file among the data
    #[arg(
        long,
        env = "NIGHTSHIFT_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    database: Option<String>,
    /// Listen on an address that others can reach: something in front of it encrypts
    #[arg(long)]
    behind_tls: bool,
    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

impl Args {
    pub(crate) async fn run(self, environment: &Environment, output: Output) -> Done {
        logging::start(environment, self.log_json, None)?;
        let data = self.data.unwrap_or(environment.data.join("server"));
        let place = Place::new(&data, self.database.as_deref())?;
        let listener = server::listen(self.listen, self.behind_tls).await?;
        let address = listener.local_addr().map_or(self.listen, |address| address);
        let opened = place.open(environment).await?;
        let stop = Stop::on_signals()?;
        output.bytes(format!("http://{address}\n").as_bytes())?;
        tracing::info!(%address, data = %data.display(), "serving");
        server::serve(opened, listener, stop.orderly).await?;
        tracing::info!("stopped");
        Ok(())
    }
}
