//! `issue note`: words for people.

use nightshift_api::issue::Words;
use nightshift_api::operations;

use super::{path, stands};
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::words::{Number, given_text};

/// Which issue, and the note.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The issue's number
    number: Number,
    /// The note, Markdown; `-` reads standard input
    text: String,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let text = given_text(Some(&self.text))?.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Failure::usage("a note needs words"));
        }
        let issue = connection
            .create::<operations::IssueNote>(&path, &Words { text })
            .await?;
        connection
            .output
            .answer(&issue, |screen| stands(screen, &issue))
    }
}
