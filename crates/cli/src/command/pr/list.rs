//! `pr list`: those that have not ended, unless all are wanted.

use nightshift_api::project::ProjectPath;
use nightshift_api::{Nothing, PageQuery, operations};

use crate::clock;
use crate::connection::{Connection, gather};
use crate::failure::Done;
use crate::view;

/// Which pull requests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Landed and closed ones as well
    #[arg(long)]
    all: bool,
    /// How many are looked at
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = ProjectPath {
            project: connection.project().await?,
        };
        let mut page = gather(self.limit, |cursor, limit| {
            let path = &path;
            async move {
                let query = PageQuery {
                    cursor,
                    limit: Some(limit),
                };
                connection
                    .call::<operations::PullList>(path, &query, &Nothing {})
                    .await
            }
        })
        .await?;
        if !self.all {
            page.items
                .retain(|pull| !["done", "closed"].contains(&pull.phase.as_str()));
        }
        connection.output.answer(&page, |screen| {
            view::pull::list(screen, &page.items, clock::now());
        })
    }
}
