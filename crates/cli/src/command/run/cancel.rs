//! `run cancel`: the runner is told with its next heartbeat.

use nightshift_api::run::RunPath;
use nightshift_api::{Nothing, operations};

use super::Which;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::plain;
use crate::words::short_id;

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let meant = self.which.find(connection).await?;
        let path = RunPath { run: meant.id };
        let run = connection
            .call::<operations::RunCancel>(&path, &Nothing {}, &Nothing {})
            .await?;
        connection.output.answer(&run, |screen| {
            let id = short_id(&run.id);
            screen.line([plain(match run.ended_at {
                Some(_) => format!("run {id} of #{} has ended: {}", run.number, run.state),
                None => format!(
                    "run {id} of #{} is told to stop; it is gone within 15 seconds",
                    run.number
                ),
            })]);
        })
    }
}
