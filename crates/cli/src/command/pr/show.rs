//! `pr show`: one screen to decide on.

use super::{get, path};
use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::view;
use crate::words::Number;

/// Which pull request.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number, the same as its issue's
    number: Number,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let pull = get(connection, &path(connection, self.number).await?).await?;
        connection.output.answer(&pull, |screen| {
            view::pull::whole(screen, &pull, clock::now());
        })
    }
}
