//! `issue ready`, `draft`, `retry`, `reopen`: turns of an issue that need nothing but its number.

use nightshift_api::Nothing;
use nightshift_api::issue::{Issue, IssuePath};
use nightshift_api::operation::Operation;

use super::{path, stands};
use crate::connection::Connection;
use crate::failure::Done;
use crate::words::Number;

/// Which issue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number
    pub(crate) number: Number,
}

impl Args {
    pub(crate) async fn run<O>(self, connection: &Connection) -> Done
    where
        O: Operation<Path = IssuePath, Query = Nothing, Input = Nothing, Output = Issue>,
    {
        let path = path(connection, self.number).await?;
        let issue = connection
            .call::<O>(&path, &Nothing {}, &Nothing {})
            .await?;
        connection
            .output
            .answer(&issue, |screen| stands(screen, &issue))
    }
}
