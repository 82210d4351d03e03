//! `run list`: who worked on what, and how it ended.

use nightshift_api::run::RunQuery;
use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::{Connection, gather};
use crate::failure::Done;
use crate::view;
use crate::words::Number;

/// Which runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this issue
    issue: Option<Number>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 30)]
    limit: usize,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = match self.issue {
            Some(_) => Some(connection.project().await?),
            None => connection.project_if_named(),
        };
        let page = gather(self.limit, |cursor, limit| {
            let query = RunQuery {
                project: project.clone(),
                number: self.issue.map(|number| number.0),
                cursor,
                limit: Some(limit),
            };
            async move {
                connection
                    .call::<operations::RunList>(&Nothing {}, &query, &Nothing {})
                    .await
            }
        })
        .await?;
        connection.output.answer(&page, |screen| {
            view::run::list(screen, &page.items, clock::now());
        })
    }
}
