//! `run show`: one run, whole, without its log.

use super::Which;
use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::view;

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let run = self.which.find(connection).await?;
        connection
            .output
            .answer(&run, |screen| view::run::whole(screen, &run, clock::now()))
    }
}
