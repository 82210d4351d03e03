//! The one program: client commands, server, runner. The composition root.
//!
//! Invariant: environment, clock, identities and the start of tasks are here and are passed down.
//! Deliberately absent: rules, SQL, HTTP doors; those have crates of their own.

mod acceptance;
mod client_settings;
mod clock;
mod command;
mod connection;
mod demo;
mod desk;
mod draft;
mod environment;
mod event_source;
mod failure;
mod filing;
mod follow;
mod issue_file;
mod local;
mod logging;
mod output;
mod program;
mod runner_settings;
mod screen;
mod server;
mod server_settings;
mod stop;
mod view;
mod words;

use std::process::ExitCode;

use clap::Parser as _;
use nightshift_runner::{inside, sandbox};

use crate::command::Cli;
use crate::failure::{Done, Failure};

fn main() -> ExitCode {
    // The sandbox's own two commands come first: they must run before any thread starts.
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("sandbox-enter") => return sandbox::enter::main(std::env::args().skip(2)),
        Some("sandbox-init") => return sandbox::init::main(std::env::args().skip(2)),
        // What of ours runs inside has a runtime of its own, and only what it needs.
        Some("inside") => return inside::main(std::env::args().skip(2)),
        _ => {}
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // clap prints help to standard output and mistakes to standard error; its codes are ours.
        Err(error) => error.exit(),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start threads: {error}")))?;
    runtime.block_on(cli.run())
}
