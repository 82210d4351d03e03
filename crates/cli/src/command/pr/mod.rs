//! `pr`: results, and what a person decides on them.

mod apply;
mod approve;
mod diff;
mod guideline;
mod list;
mod send_back;
mod show;

use nightshift_api::issue::IssuePath;
use nightshift_api::pull::Pull;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::words::{Number, short_commit};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List pull requests, newest first
    List(list::Args),
    /// Show all that is needed to decide
    Show(show::Args),
    /// Show the change
    Diff(diff::Args),
    /// Approve a head; it lands as soon as its merged tree is proved
    Approve(approve::Args),
    /// Apply suggestions of a review as one commit of yours; it is proved anew
    Apply(apply::Args),
    /// Take a guideline that an agent proposed into the project's, or dismiss it (maintainers)
    Guideline(guideline::Args),
    /// Send a head back; the same agent starts the next round on the same branch
    SendBack(send_back::Args),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::List(args) => args.run(connection).await,
            Self::Show(args) => args.run(connection).await,
            Self::Diff(args) => args.run(connection).await,
            Self::Approve(args) => args.run(connection).await,
            Self::Apply(args) => args.run(connection).await,
            Self::Guideline(args) => args.run(connection).await,
            Self::SendBack(args) => args.run(connection).await,
        }
    }
}

async fn path(connection: &Connection, number: Number) -> Done<IssuePath> {
    Ok(IssuePath {
        project: connection.project().await?,
        number: number.0,
    })
}

async fn get(connection: &Connection, path: &IssuePath) -> Done<Pull> {
    connection
        .call::<operations::PullGet>(path, &Nothing {}, &Nothing {})
        .await
}

/// The whole id of the head that is meant: `given` (which may be its beginning), or the current
/// one. Refuses if the head has moved on since the person looked.
fn meant_head(pull: &Pull, given: Option<&str>) -> Done<String> {
    let head = &pull.line.head;
    match given {
        Some(given) if given.len() < 7 => Err(Failure::usage(
            "--head needs at least seven digits of the commit",
        )),
        Some(given) if !head.starts_with(&given.to_ascii_lowercase()) => Err(Failure::new(
            Exit::Conflict,
            format!(
                "the head of #{n} is {}, no longer {given}: look again with `nightshift pr show {n}`",
                short_commit(head),
                n = pull.line.number,
            ),
        )),
        _ => Ok(head.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_about_the_head_that_was_seen() {
        let text = include_str!("../../../testdata/pull.json");
        let pull = serde_json::from_str(text).expect("the wire form");
        let head = |given| meant_head(&pull, given).map_err(|failure| failure.exit);
        let whole = "a".repeat(40);
        assert_eq!(head(None), Ok(whole.clone()));
        assert_eq!(head(Some("aaaaaaa")), Ok(whole.clone()));
        assert_eq!(head(Some(&whole)), Ok(whole.clone()));
        assert_eq!(head(Some("aaaaaab")), Err(Exit::Conflict));
        assert_eq!(head(Some("aaa")), Err(Exit::Usage));
    }
}
