//! `pr apply`: suggestions of a review, as one commit of yours on the branch.

use nightshift_api::pull::ApplySuggestions;
use nightshift_api::{Nothing, operations};
use nightshift_domain::suggestion;

use super::{get, meant_head, path};
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::{green, plain, yellow};
use crate::words::{Number, short_commit};

/// Which suggestions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the pull request
    number: Number,
    /// The review, counted from 1 as `pr show` lists them; otherwise the newest one that has
    /// suggestions
    #[arg(long, value_name = "N")]
    review: Option<usize>,
    /// Only this suggestion of it, counted from 1; may be said several times
    #[arg(long, value_name = "N")]
    only: Vec<usize>,
    /// The commit you have looked at (seven digits or more); otherwise the latest head
    #[arg(long, value_name = "COMMIT")]
    head: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let before = get(connection, &path).await?;
        let head = meant_head(&before, self.head.as_deref())?;
        let suggests =
            |body: &str| suggestion::read(body).is_ok_and(|comment| comment.suggested.is_some());
        let review = match self.review {
            Some(place) => place
                .checked_sub(1)
                .and_then(|place| before.reviews.get(place)),
            None => before
                .reviews
                .iter()
                .rfind(|review| review.comments.iter().any(|said| suggests(&said.body))),
        };
        let Some(review) = review else {
            return Err(Failure::failed(format!(
                "#{n} has no such review, or none with suggestions: `nightshift pr show {n}` lists them",
                n = path.number
            )));
        };
        let apply = ApplySuggestions {
            head,
            review: Some(review.id),
            only: self.only,
            drafts: None,
        };
        let pull = connection
            .call::<operations::PullApply>(&path, &Nothing {}, &apply)
            .await?;
        connection.output.answer(&pull, |screen| {
            screen.line([
                green("applied "),
                plain(format!(
                    "to #{}: the head is {} now",
                    pull.line.number,
                    short_commit(&pull.line.head)
                )),
            ]);
            if let Some(why) = &pull.line.waiting {
                screen.line([yellow(why)]);
            }
        })
    }
}
