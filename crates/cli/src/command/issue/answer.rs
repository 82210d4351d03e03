//! `issue answer`: the agent asked; this goes on.

use nightshift_api::issue::Words;
use nightshift_api::{Nothing, operations};

use super::{get, path, stands};
use crate::connection::Connection;
use crate::draft::{Draft, above_scissors, below_scissors};
use crate::failure::{Done, Failure};
use crate::words::{Number, given_text};

/// Which issue, and the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The issue's number
    number: Number,
    /// The answer, Markdown; `-` reads standard input, without it your editor opens
    text: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let send = async |text: &str| {
            if text.trim().is_empty() {
                return Err(Failure::usage("an answer needs words"));
            }
            let words = Words {
                text: text.trim().to_owned(),
            };
            connection
                .call::<operations::IssueAnswer>(&path, &Nothing {}, &words)
                .await
        };
        let issue = match given_text(self.text.as_deref())? {
            Some(text) => send(&text).await?,
            None => {
                let question = get(connection, &path).await?.question.unwrap_or_default();
                let start = below_scissors(&question);
                let draft = Draft::write(&connection.environment, "answer", &start)?;
                match send(above_scissors(draft.text())).await {
                    Ok(issue) => {
                        draft.sent();
                        issue
                    }
                    Err(failure) => return Err(draft.keep(failure)),
                }
            }
        };
        connection
            .output
            .answer(&issue, |screen| stands(screen, &issue))
    }
}
