//! The hidden command `inside mcp`: the platform's tools, for an agent program inside a run.
//!
//! A server of the Model Context Protocol on standard input and output, started by the agent's own
//! program. What it may look up and which checks it runs stand in one read-only file that the
//! runner wrote when the run began; everything else it asks the platform for, with the run's own
//! token, over the relay. Invariant: it has no right that the agent has not, and nobody trusts what
//! it says; it is a convenience, not a wall. Deliberately absent: configuration from the tree or
//! the environment.

mod checks;
mod control;
mod server;
mod tool;

pub(crate) use self::control::{Control, FILE, Sealed};
pub(super) use self::server::Tools;
pub(super) use self::tool::told;

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use nightshift_api::client::Client;
use rmcp::ServiceExt as _;

use crate::harness::McpServer;
use crate::sandbox::{complain, spec};

/// The name of the hidden command.
const COMMAND: &str = "inside mcp";

/// The name that the tools are shown under.
pub(super) const NAME: &str = "nightshift";

/// How an agent program starts the server.
#[must_use]
pub(crate) fn server() -> McpServer {
    McpServer {
        name: NAME.to_owned(),
        command: spec::PROGRAM.to_owned(),
        args: vec![
            "inside".to_owned(),
            "mcp".to_owned(),
            Path::new(spec::CONTROL).join(FILE).display().to_string(),
        ],
    }
}

/// The tools that the control file speaks of, to be called without a server.
pub(super) fn tools(path: &Path) -> Result<Tools, String> {
    let control = Control::read(path)?;
    Ok(Tools::new(client(&control)?, control))
}

/// Runs the hidden command: serves until standard input ends. The argument is the control file.
pub(super) fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    let served = match args.next() {
        None => Err("the path of the control file is missing".to_owned()),
        Some(path) => serve(Path::new(&path)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            complain(&format!("{COMMAND}: {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &Path) -> Result<(), String> {
    let tools = tools(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads: {error}"))?;
    let served = runtime.block_on(async {
        let ended = tools
            .serve((open(std::io::stdin())?, open(std::io::stdout())?))
            .await
            .map_err(|error| error.to_string())?;
        ended.waiting().await.map_err(|error| error.to_string())?;
        Ok(())
    });
    // A read of standard input that blocks is not waited for.
    runtime.shutdown_background();
    served
}

/// A standard stream, whatever it is connected to.
fn open(stream: impl AsFd) -> Result<tokio::fs::File, String> {
    let own = stream
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| format!("a standard stream is closed: {error}"))?;
    Ok(tokio::fs::File::from_std(own.into()))
}

/// The relay is on the loopback, in plain HTTP, and is never reached through a proxy. No certificates
/// are looked for: an image may have none, and a client that looks for them is none there.
fn client(control: &Control) -> Result<Client, String> {
    // A second call finds it installed.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .map_err(|error| format!("no client: {error}"))?;
    Ok(Client::new(
        http,
        &control.platform,
        Some(control.token.clone()),
    ))
}
