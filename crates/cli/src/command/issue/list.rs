//! `issue list`: those that have not ended, unless all are wanted.

use nightshift_api::issue::IssueQuery;
use nightshift_api::project::ProjectPath;
use nightshift_api::view::ViewFilter;
use nightshift_api::{Nothing, operations};
use nightshift_domain::issue::Phase;

use crate::clock;
use crate::command::view as saved;
use crate::connection::{Connection, gather};
use crate::failure::{Done, Failure};
use crate::view;

/// Which issues.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those in these phases, separated by commas: draft, ready, working, needs-input,
    /// in-review, landing, done, closed
    #[arg(long, value_name = "PHASE")]
    phase: Option<String>,
    /// Ended ones as well
    #[arg(long, conflicts_with = "phase")]
    all: bool,
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only those with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Only those whose title contains this
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// Only those that this saved view shows; the options beside it replace its own
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let kept = match &self.view {
            Some(name) => saved::named(connection, name).await?.filter,
            None => ViewFilter::default(),
        };
        let named = connection.project_if_named().or(kept.project);
        let path = ProjectPath {
            project: match named {
                Some(project) => project,
                None => connection.project().await?,
            },
        };
        let query = IssueQuery {
            phase: phases(self.phase.as_deref(), self.all)?,
            agent: self.agent.or(kept.agent),
            label: self.label.or(kept.label),
            text: self.text.or(kept.text),
            ..IssueQuery::default()
        };
        let page = gather(self.limit, |cursor, limit| {
            let query = IssueQuery {
                cursor,
                limit: Some(limit),
                ..query.clone()
            };
            let path = &path;
            async move {
                connection
                    .call::<operations::IssueList>(path, &query, &Nothing {})
                    .await
            }
        })
        .await?;
        connection.output.answer(&page, |screen| {
            view::issue::list(screen, &page.items, clock::now());
            if page.next.is_some() {
                screen.line([crate::screen::dim("there are more: --limit")]);
            }
        })
    }
}

/// The phases to ask for: the named ones, or all that have not ended.
fn phases(named: Option<&str>, all: bool) -> Done<Option<String>> {
    let Some(named) = named else {
        let open = Phase::WORDS
            .iter()
            .filter(|word| !["done", "closed"].contains(word));
        let open: Vec<_> = open.copied().collect();
        return Ok((!all).then(|| open.join(",")));
    };
    let words: Vec<_> = named.split(',').map(str::trim).collect();
    match words.iter().find(|word| !Phase::WORDS.contains(word)) {
        Some(wrong) => Err(Failure::usage(format!(
            "{wrong:?} is no phase of an issue; these are: {}",
            Phase::WORDS.join(", ")
        ))),
        None => Ok(Some(words.join(","))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_issues_are_asked_for() {
        let of = |named, all| phases(named, all).map_err(|failure| failure.message);
        assert_eq!(
            of(None, false),
            Ok(Some(
                "draft,ready,working,needs-input,in-review,landing".to_owned()
            ))
        );
        assert_eq!(of(None, true), Ok(None));
        assert_eq!(
            of(Some("done, closed"), false),
            Ok(Some("done,closed".to_owned()))
        );
        assert!(
            of(Some("finished"), false)
                .expect_err("wrong")
                .contains("\"finished\"")
        );
    }
}
