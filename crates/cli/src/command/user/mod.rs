//! `user`: people whom the server knows.

mod list;
mod new;

use crate::connection::Connection;
use crate::failure::Done;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a person known (administrators)
    New(new::Args),
    /// List people
    List,
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::New(args) => args.run(connection).await,
            Self::List => list::run(connection).await,
        }
    }
}
