//! `pr guideline`: takes a guideline that an agent proposed into the project's, or dismisses it.

use nightshift_api::run::DecideProposal;
use nightshift_api::{Nothing, operations};
use nightshift_domain::guideline;

use super::{get, path};
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::{green, plain};
use crate::words::Number;

/// Which proposal.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the pull request
    number: Number,
    /// The proposal, counted from 1 as `pr show` lists them
    proposal: usize,
    /// Dismiss it; otherwise a commit of yours on the default branch takes it in, word for word
    #[arg(long)]
    dismiss: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let pull = get(connection, &path).await?;
        let place = self.proposal.checked_sub(1);
        let Some(proposal) = place.and_then(|place| pull.proposals.get(place)) else {
            return Err(Failure::failed(format!(
                "#{n} has {} proposed guidelines, and {} is none of them: `nightshift pr show {n}` lists them",
                pull.proposals.len(),
                self.proposal,
                n = path.number
            )));
        };
        let decide = DecideProposal {
            proposal: proposal.id,
            accept: !self.dismiss,
        };
        let decided = connection
            .call::<operations::PullGuideline>(&path, &Nothing {}, &decide)
            .await?;
        connection.output.answer(&decided, |screen| {
            screen.line(match self.dismiss {
                true => vec![plain("dismissed: nothing comes of it")],
                false => vec![
                    green("accepted "),
                    plain(format!(
                        "into {}; agents read it from their next start on",
                        guideline::PATH
                    )),
                ],
            });
        })
    }
}
