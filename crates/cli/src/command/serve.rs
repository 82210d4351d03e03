//! `serve`: the server alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::failure::Done;
use crate::logging;
use crate::output::Output;
use crate::server::{self, Place};
use crate::server_settings::ServerSettings;
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
    /// A proxy in front, as an address or a network, whose word on where a request comes from is
    /// taken; may be said several times
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,
    /// The server's settings; otherwise `server.toml` in your settings folder, if it is there
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

impl Args {
    pub(crate) async fn run(self, environment: &Environment, output: Output) -> Done {
        logging::start(environment, self.log_json, None)?;
        let data = self.data.unwrap_or(environment.data.join("server"));
        let place = Place::new(&data, self.database.as_deref())?;
        let mut settings = ServerSettings::read(self.settings.as_deref(), &environment.config)?;
        settings.trusted_proxies.extend(self.trusted_proxy);
        settings.proxies()?;
        let listener = server::listen(self.listen, self.behind_tls).await?;
        let address = listener.local_addr().map_or(self.listen, |address| address);
        let own = format!("http://{address}");
        let opened = place.open(environment, &settings, &own).await?;
        let stop = Stop::on_signals()?;
        output.bytes(format!("{own}\n").as_bytes())?;
        tracing::info!(%address, data = %data.display(), "serving");
        server::serve(opened, listener, stop.orderly).await?;
        tracing::info!("stopped");
        Ok(())
    }
}
