//! `issue cancel`: ends an issue without a change.

use nightshift_api::issue::Words;
use nightshift_api::{Nothing, operations};

use super::{path, stands};
use crate::connection::Connection;
use crate::failure::Done;
use crate::words::Number;

/// Which issue, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The issue's number
    number: Number,
    /// Why, for those who come later
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let words = Words { text: self.reason };
        let issue = connection
            .call::<operations::IssueClose>(&path, &Nothing {}, &words)
            .await?;
        connection
            .output
            .answer(&issue, |screen| stands(screen, &issue))
    }
}
