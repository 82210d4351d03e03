//! `user`: people whom the server knows.

mod identities;
mod invite;
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
    /// Print an address at which a person links an identity at a provider, once (administrators)
    Invite(invite::Args),
    /// List what providers vouch for a person: yourself, or another (administrators)
    Identities(identities::Args),
    /// Unlink an identity, and end the person's sessions
    Unlink(identities::Unlink),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::New(args) => args.run(connection).await,
            Self::List => list::run(connection).await,
            Self::Invite(args) => args.run(connection).await,
            Self::Identities(args) => args.run(connection).await,
            Self::Unlink(args) => args.run(connection).await,
        }
    }
}
