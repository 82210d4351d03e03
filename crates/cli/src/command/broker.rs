//! `broker`: the only way out of a runner's sandboxes. A runner starts it; nobody else has a use for it.
//!
//! Invariant: what it may do comes from the runner on standard input, keys from the environment and
//! from files.

use nightshift_runner::broker;

use crate::clock;
use crate::environment::{self, Environment};
use crate::failure::{Done, Failure};
use crate::logging;

/// How it logs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

impl Args {
    pub(crate) fn run(self, environment: &Environment) -> Done {
        logging::start(environment, self.log_json, None)?;
        // Its own runtime, on threads of its own: this one only waits.
        let served = std::thread::spawn(|| broker::serve(environment::text, clock::now)).join();
        match served {
            Ok(served) => served.map_err(|error| Failure::failed(format!("no broker: {error}"))),
            Err(_panic) => Err(Failure::failed("the broker broke off; its log says why")),
        }
    }
}
