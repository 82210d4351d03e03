//! `pr approve`: binds to a head commit; a newer head refuses it.

use nightshift_api::pull::{Decision, NewReview};
use nightshift_api::{Nothing, operations};
use nightshift_domain::check::Colour;

use super::{get, meant_head, path};
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::{green, plain, yellow};
use crate::words::{Number, short_commit};

/// Which head.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the pull request
    number: Number,
    /// The commit you have looked at (seven digits or more); otherwise the latest head
    #[arg(long, value_name = "COMMIT")]
    head: Option<String>,
    /// Approve although nothing was proved: no check, no acceptance test
    #[arg(long)]
    accept_unproven: bool,
    /// Words that go with it
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    message: String,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let before = get(connection, &path).await?;
        let head = meant_head(&before, self.head.as_deref())?;
        if before.line.verdict == Some(Colour::Unproven) && !self.accept_unproven {
            return Err(Failure::failed(format!(
                "nothing is proved about #{n}: there is neither check nor acceptance test; look at \
                 the change (`nightshift pr diff {n}`) and say --accept-unproven",
                n = path.number
            )));
        }
        let review = NewReview {
            head: head.clone(),
            decision: Decision::Approve,
            body: self.message,
            comments: Vec::new(),
            accept_unproven: self.accept_unproven,
            hold_s: 0,
        };
        let pull = connection
            .call::<operations::PullReview>(&path, &Nothing {}, &review)
            .await?;
        connection.output.answer(&pull, |screen| {
            screen.line([
                green("approved "),
                plain(format!(
                    "#{} at {}: {}",
                    pull.line.number,
                    short_commit(&head),
                    pull.line.title
                )),
            ]);
            if let Some(why) = &pull.line.waiting {
                screen.line([yellow(why)]);
            }
        })
    }
}
