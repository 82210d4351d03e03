//! `pr send-back`: all comments together start one round.
//!
//! Invariant: it binds to the head that was looked at; a text from the editor is not lost.

use std::path::PathBuf;

use nightshift_api::issue::IssuePath;
use nightshift_api::pull::{Decision, LineComment, NewReview, Pull};
use nightshift_api::{Nothing, operations};

use super::{get, meant_head, path};
use crate::clock;
use crate::connection::Connection;
use crate::draft::{Draft, above_scissors, below_scissors};
use crate::failure::{Done, Failure};
use crate::screen::{Screen, plain, yellow};
use crate::view;
use crate::words::{Number, given_text, line_comment, short_commit};

/// Which head, and what to say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the pull request
    number: Number,
    /// What should be different, Markdown; `-` reads standard input; without any text your editor
    /// opens
    #[arg(conflicts_with = "file")]
    text: Option<String>,
    /// Read the text from a file
    #[arg(long, short = 'F', value_name = "FILE")]
    file: Option<PathBuf>,
    /// A comment on a line: path:line:text, or path:text for a whole file; may be said several
    /// times
    #[arg(long = "comment", value_name = "COMMENT", value_parser = line_comment)]
    comments: Vec<LineComment>,
    /// The commit you have looked at (seven digits or more); otherwise the latest head
    #[arg(long, value_name = "COMMIT")]
    head: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let before = get(connection, &path).await?;
        let head = meant_head(&before, self.head.as_deref())?;
        let send = async |body: &str| {
            let body = body.trim();
            if body.is_empty() && self.comments.is_empty() {
                return Err(Failure::usage("say what should be different"));
            }
            let review = NewReview {
                head: head.clone(),
                decision: Decision::SendBack,
                body: body.to_owned(),
                comments: self.comments.clone(),
                accept_unproven: false,
                hold_s: 0,
            };
            review_of(connection, &path, &review).await
        };
        let text = match (&self.file, given_text(self.text.as_deref())?) {
            (Some(file), _) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?),
            (None, Some(text)) => Some(text),
            (None, None) if !self.comments.is_empty() => Some(String::new()),
            (None, None) => None,
        };
        let pull = match text {
            Some(text) => send(&text).await?,
            None => {
                let mut about = Screen::new(false, None);
                view::pull::whole(&mut about, &before, clock::now());
                let start = below_scissors(about.as_str());
                let draft = Draft::write(&connection.environment, "send-back", &start)?;
                match send(above_scissors(draft.text())).await {
                    Ok(pull) => {
                        draft.sent();
                        pull
                    }
                    Err(failure) => return Err(draft.keep(failure)),
                }
            }
        };
        connection.output.answer(&pull, |screen| {
            screen.line([
                yellow("sent back "),
                plain(format!(
                    "#{} at {}: round {} begins",
                    pull.line.number,
                    short_commit(&head),
                    pull.line.round
                )),
            ]);
        })
    }
}

async fn review_of(connection: &Connection, path: &IssuePath, review: &NewReview) -> Done<Pull> {
    connection
        .call::<operations::PullReview>(path, &Nothing {}, review)
        .await
}
