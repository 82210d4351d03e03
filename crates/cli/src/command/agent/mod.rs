//! `agent`: the agent programs of this machine.

mod doctor;

use crate::environment::Environment;
use crate::failure::Done;
use crate::output::Output;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say which agents a runner here can start, and of the others why not and what to do
    Doctor(doctor::Args),
}

impl Command {
    pub(crate) fn run(self, environment: &Environment, output: Output) -> Done {
        match self {
            Self::Doctor(args) => args.run(environment, output),
        }
    }
}
