//! `project`: repositories and who may do what in them.

pub(crate) mod add;
mod list;
mod member;
mod settings;
mod show;

use crate::connection::Connection;
use crate::failure::Done;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a project of a repository: a folder on this machine, or an address to clone from
    Add(add::Args),
    /// List the projects you may see
    List,
    /// Show a project: its checks, its agents, its issues
    Show(show::Args),
    /// Show a project's settings, or change them by a commit
    Settings(settings::Args),
    /// List members
    Members,
    /// Give a person a role, or take them out
    #[command(subcommand)]
    Member(member::Command),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::Add(args) => args.run(connection).await,
            Self::List => list::run(connection).await,
            Self::Show(args) => args.run(connection).await,
            Self::Settings(args) => args.run(connection).await,
            Self::Members => member::list(connection).await,
            Self::Member(command) => command.run(connection).await,
        }
    }
}
