//! `token`: credentials of people and of runners.

mod list;
mod new;
mod revoke;

use crate::connection::Connection;
use crate::failure::Done;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token; its secret is shown this once
    New(new::Args),
    /// List your tokens
    List,
    /// Make a token stop working, at once
    Revoke(revoke::Args),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::New(args) => args.run(connection).await,
            Self::List => list::run(connection).await,
            Self::Revoke(args) => args.run(connection).await,
        }
    }
}
