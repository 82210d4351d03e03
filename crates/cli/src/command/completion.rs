//! `completion`: the script that lets a shell complete commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::command::Cli;
use crate::failure::Done;
use crate::output::Output;

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell, for example: nightshift completion bash > ~/.local/share/bash-completion/completions/nightshift
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, output: Output) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "nightshift", &mut script);
        output.bytes(&script)
    }
}
