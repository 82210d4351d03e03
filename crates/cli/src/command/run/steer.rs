//! `run steer`: says something to the agent while it works.

use nightshift_api::run::{NewSteer, RunPath};
use nightshift_api::{Nothing, operations};

use super::Which;
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::plain;
use crate::words::{given_text, short_id};

/// Which run, and what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// The words, Markdown; `-` reads standard input
    text: String,
    /// Interrupt the agent's turn, where its program can be interrupted
    #[arg(long)]
    now: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let text = given_text(Some(self.text.as_str()))?
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| Failure::usage("say something"))?;
        let meant = self.which.find(connection).await?;
        let path = RunPath { run: meant.id };
        let steer = NewSteer {
            text,
            now: self.now,
        };
        let said = connection
            .call::<operations::RunSteer>(&path, &Nothing {}, &steer)
            .await?;
        connection.output.answer(&said, |screen| {
            let id = short_id(&meant.id);
            screen.line([plain(match (said.state.as_str(), said.now) {
                ("late", _) => format!(
                    "too late for run {id}: the next run of #{} gets it",
                    meant.number
                ),
                (_, true) => format!("run {id} is interrupted for it within 15 seconds"),
                (_, false) => format!("the agent of run {id} hears it when its turn ends"),
            })]);
        })
    }
}
