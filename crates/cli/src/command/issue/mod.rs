//! `issue`: the order, from filing to the end.

mod answer;
mod close;
mod edit;
mod host;
mod list;
pub(crate) mod new;
mod note;
mod show;
mod try_tests;
mod turn;

use nightshift_api::issue::{Issue, IssuePath};
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{Screen, bold, plain, yellow};
use crate::view::phase;
use crate::words::Number;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// File issues: from files, from standard input, or in your editor
    New(Box<new::Args>),
    /// List issues, newest first
    List(list::Args),
    /// Show an issue, with what was said and its runs
    Show(turn::Args),
    /// Change an issue that no agent works on
    Edit(Box<edit::Args>),
    /// Run the sealed tests once on the base, before the agent begins: they should be red
    Try(try_tests::Args),
    /// Say that a draft may start
    Ready(turn::Args),
    /// Take an issue back to draft, before its agent starts
    Draft(turn::Args),
    /// Try again after a failure
    Retry(turn::Args),
    /// Take a closed issue up again, as a draft
    Reopen(turn::Args),
    /// Answer the agent's question
    Answer(answer::Args),
    /// Let the agent of an issue reach a host; where nothing else is open, the work goes on
    Allow(host::Allow),
    /// Say that a host which was asked for stays out of reach
    Deny(host::Deny),
    /// Add a note for people; agents do not read it
    Note(note::Args),
    /// End an issue without a change; stops what runs for it
    #[command(visible_alias = "close")]
    Cancel(close::Args),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::New(args) => args.run(connection).await,
            Self::List(args) => args.run(connection).await,
            Self::Show(args) => show::run(connection, args.number).await,
            Self::Edit(args) => args.run(connection).await,
            Self::Try(args) => args.run(connection).await,
            Self::Ready(args) => args.run::<operations::IssueReady>(connection).await,
            Self::Draft(args) => args.run::<operations::IssueDraft>(connection).await,
            Self::Retry(args) => args.run::<operations::IssueRetry>(connection).await,
            Self::Reopen(args) => args.run::<operations::IssueReopen>(connection).await,
            Self::Answer(args) => args.run(connection).await,
            Self::Allow(args) => args.run(connection).await,
            Self::Deny(args) => args.run(connection).await,
            Self::Note(args) => args.run(connection).await,
            Self::Cancel(args) => args.run(connection).await,
        }
    }
}

/// Where an issue is on the server.
async fn path(connection: &Connection, number: Number) -> Done<IssuePath> {
    Ok(IssuePath {
        project: connection.project().await?,
        number: number.0,
    })
}

/// Fetches an issue.
async fn get(connection: &Connection, path: &IssuePath) -> Done<Issue> {
    connection
        .call::<operations::IssueGet>(path, &Nothing {}, &Nothing {})
        .await
}

/// One line about where an issue stands now, and why.
fn stands(screen: &mut Screen, issue: &Issue) {
    let line = &issue.line;
    screen.line([
        bold(format!("#{} ", line.number)),
        plain(format!("{}  ", line.title)),
        phase(&line.phase),
        yellow(
            line.waiting
                .as_ref()
                .map(|why| format!("  {why}"))
                .unwrap_or_default(),
        ),
    ]);
}
