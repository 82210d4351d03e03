//! `up`: everything on this machine, with nothing to set up.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nightshift_api::client::Client;
use nightshift_domain::config::is_name;

use crate::client_settings::{ClientSettings, path};
use crate::command::runner::processors;
use crate::command::sign_in_link;
use crate::connection::http;
use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::local::{Local, Plan};
use crate::logging;
use crate::output::Output;
use crate::screen::{bold, dim, plain};
use crate::server::private_folder;
use crate::server_settings::ServerSettings;
use crate::stop::Stop;
use crate::view::issue::commands_of;

/// Where, and how much at one time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port on this machine
    #[arg(long, default_value_t = 4321)]
    port: u16,
    /// Folder of everything; otherwise one in your data folder
    #[arg(long, env = "NIGHTSHIFT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many runs at one time; otherwise one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    slots: Option<u16>,
    /// The server's settings; otherwise `server.toml` in your settings folder, if it is there
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Args {
    pub(crate) async fn run(self, environment: &Environment, output: Output) -> Done {
        let data = self.data.unwrap_or_else(|| environment.data.clone());
        private_folder(&data)?;
        let log = data.join("server.log");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", log.display())))?;
        logging::start(environment, false, Some(file))?;
        let mut settings = ClientSettings::read(&environment.config)?;
        let server = ServerSettings::read(self.settings.as_deref(), &environment.config)?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let plan = Plan {
            data: data.clone(),
            listen,
            slots: self.slots.map_or_else(processors, usize::from),
            admin: admin(environment),
            settings: server,
            known: settings.tokens.get(&format!("http://{listen}")).cloned(),
        };
        let (slots, admin) = (plan.slots, plan.admin.clone());
        let stop = Stop::on_signals()?;
        let local = Local::start(plan, environment, output, &stop).await?;
        settings.remember(&local.server, &local.token);
        settings.write(&environment.config)?;
        let client = Client::new(
            http(&local.server)?,
            &local.server,
            Some(local.token.clone()),
        );
        let link = sign_in_link::own(&client).await?;
        let mut screen = output.screen();
        screen.line([plain("nightshift is up at "), bold(&local.server)]);
        screen.line([plain("sign a browser in, once: "), bold(&link)]);
        screen.line([dim(format!(
            "signed in as {admin} ({}), {slots} slots, data and logs in {}",
            path(&environment.config).display(),
            data.display()
        ))]);
        let next = ["project add PATH", "issue new", "pr list"];
        commands_of(&mut screen, &next.map(str::to_owned));
        screen.gap();
        screen.line([dim(
            "Ctrl-C stops it; what is under way goes on at the next start",
        )]);
        output.show(&mut screen)?;
        let told = stop.orderly.clone();
        tokio::spawn(async move {
            told.cancelled().await;
            output.note("stopping when the runs under way are given back; again to stop at once");
        });
        local.end(&stop).await
    }
}

/// The first administrator: named as the person is on this machine.
pub(crate) fn admin(environment: &Environment) -> String {
    let user = environment.user.clone();
    user.filter(|name| is_name(name))
        .unwrap_or_else(|| "admin".to_owned())
}
