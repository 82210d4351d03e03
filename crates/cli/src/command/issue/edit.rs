//! `issue edit`: changes an issue by options, or in the editor.
//!
//! Invariant: an edit names the version it was made on; if somebody was faster, the text is kept
//! and nothing is overwritten.

use std::path::PathBuf;

use nightshift_api::issue::{EditIssue, Issue, IssuePath};
use nightshift_api::{Nothing, operations};

use super::{get, path, stands};
use crate::acceptance;
use crate::connection::Connection;
use crate::draft::Draft;
use crate::failure::{Done, Failure};
use crate::issue_file::{Blocker, Front, IssueFile};
use crate::words::{Number, dollars_or_none, given_text};

/// Which issue, and what changes; without an option your editor opens.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number
    number: Number,
    /// One line
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The order to the agent, Markdown; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Folder of the sealed tests; only before the first run
    #[arg(long, value_name = "DIR", requires = "acceptance_run")]
    acceptance: Option<PathBuf>,
    /// Command that decides whether it is done; only before the first run
    #[arg(long, value_name = "CMD")]
    acceptance_run: Option<String>,
    /// The sealed tests pass without the change (a refactoring)
    #[arg(long, requires = "acceptance_run")]
    already_green: bool,
    /// Agent that takes it
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// 0 urgent, 1 high, 2 normal, 3 low
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=3))]
    priority: Option<i64>,
    /// Labels, all of them; may be said several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Numbers of issues that must be done first, all of them; 0 for none
    #[arg(long, value_name = "N")]
    blocked_by: Vec<i64>,
    /// US dollars that all runs of its agent may cost together; 0 for what the project says. Raising
    /// one that is spent lets the work go on
    #[arg(long, value_name = "USD", value_parser = dollars_or_none)]
    budget: Option<u64>,
    /// The same for their time, in minutes
    #[arg(long, value_name = "N")]
    budget_minutes: Option<u64>,
    /// The person who looks after it; empty for nobody
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let before = get(connection, &path).await?;
        let edit = EditIssue {
            title: self.title,
            body: given_text(self.body.as_deref())?,
            labels: (!self.labels.is_empty()).then_some(self.labels),
            priority: self.priority,
            assignee: self.assignee,
            agent: self.agent,
            blocked_by: (!self.blocked_by.is_empty())
                .then(|| self.blocked_by.into_iter().filter(|n| *n != 0).collect()),
            acceptance: acceptance::seal(
                self.acceptance.as_deref(),
                self.acceptance_run.as_deref(),
                self.already_green,
            )?,
            budget_micro_usd: self.budget,
            budget_minutes: self.budget_minutes,
            version: None,
        };
        let after = if edit == EditIssue::default() {
            in_editor(connection, &path, &before).await?
        } else {
            send(connection, &path, &before, edit).await?
        };
        connection
            .output
            .answer(&after, |screen| stands(screen, &after))
    }
}

async fn send(
    connection: &Connection,
    path: &IssuePath,
    before: &Issue,
    edit: EditIssue,
) -> Done<Issue> {
    let edit = EditIssue {
        version: Some(before.version),
        ..edit
    };
    connection
        .call::<operations::IssueEdit>(path, &Nothing {}, &edit)
        .await
}

async fn in_editor(connection: &Connection, path: &IssuePath, before: &Issue) -> Done<Issue> {
    let start = as_file(before);
    let text = start.render().map_err(Failure::failed)?;
    let draft = Draft::write(&connection.environment, "edit", &text)?;
    let sent = async {
        let file = IssueFile::parse(draft.text()).map_err(Failure::usage)?;
        let edit = difference(&start, file)?;
        send(connection, path, before, edit).await
    };
    match sent.await {
        Ok(issue) => {
            draft.sent();
            Ok(issue)
        }
        Err(failure) => Err(draft.keep(failure)),
    }
}

fn as_file(issue: &Issue) -> IssueFile {
    IssueFile {
        front: Front {
            title: issue.line.title.clone(),
            labels: issue.line.labels.clone(),
            priority: Some(issue.line.priority),
            assignee: issue.assignee.clone(),
            agent: Some(issue.line.agent.clone()),
            blocked_by: issue
                .blocked_by
                .iter()
                .copied()
                .map(Blocker::Number)
                .collect(),
            budget: issue.budget.own_micro_usd.map(|micro| micro as f64 / 1e6),
            budget_minutes: issue.budget.own_minutes,
            ..Front::default()
        },
        body: issue.body.trim().to_owned(),
    }
}

/// What of the file is not as it was.
fn difference(before: &IssueFile, after: IssueFile) -> Done<EditIssue> {
    fn changed<T: PartialEq>(before: &T, after: T) -> Option<T> {
        (*before != after).then_some(after)
    }
    let (old, new) = (&before.front, after.front);
    let numbers = |blockers: &[Blocker]| -> Done<Vec<i64>> {
        let number = |blocker: &Blocker| {
            blocker.number().ok_or_else(|| {
                Failure::usage("blocked_by takes numbers of issues here, such as [3, 4]")
            })
        };
        blockers.iter().map(number).collect()
    };
    let micro = |front: &Front| front.budget_micro_usd().map_err(Failure::usage);
    let sealed = acceptance::seal(
        new.acceptance.as_deref().map(std::path::Path::new),
        new.acceptance_run.as_deref(),
        new.already_green,
    )?;
    let money = changed(&micro(old)?, micro(&new)?).map(Option::unwrap_or_default);
    Ok(EditIssue {
        title: changed(&old.title, new.title),
        body: changed(&before.body, after.body),
        labels: changed(&old.labels, new.labels),
        priority: changed(&old.priority, new.priority).flatten(),
        assignee: changed(&old.assignee, new.assignee).map(Option::unwrap_or_default),
        agent: changed(&old.agent, new.agent).flatten(),
        blocked_by: changed(&numbers(&old.blocked_by)?, numbers(&new.blocked_by)?),
        acceptance: sealed,
        budget_micro_usd: money,
        budget_minutes: changed(&old.budget_minutes, new.budget_minutes)
            .map(Option::unwrap_or_default),
        version: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_sent() {
        let text = include_str!("../../../testdata/issue.json");
        let mut issue: Issue = serde_json::from_str(text).expect("the wire form");
        issue.assignee = Some("alice".to_owned());
        issue.budget.own_micro_usd = Some(2_500_000);
        let before = as_file(&issue);
        let read = |text: &str| IssueFile::parse(text).expect("a file");
        let same = read(&before.render().expect("written"));
        assert_eq!(
            difference(&before, same).expect("nothing"),
            EditIssue::default()
        );
        let text = before.render().expect("written");
        let text = text
            .replace("priority = 2", "priority = 0")
            .replace("blocked_by = [1]", "blocked_by = [2, \"#3\"]")
            .replace("assignee = \"alice\"\n", "")
            .replace("budget = 2.5\n", "budget_minutes = 30\n")
            .replace("One line", "Two lines");
        let edit = difference(&before, read(&text)).expect("an edit");
        let expected = EditIssue {
            body: Some("Two lines a week.".to_owned()),
            priority: Some(0),
            assignee: Some(String::new()),
            blocked_by: Some(vec![2, 3]),
            budget_micro_usd: Some(0),
            budget_minutes: Some(30),
            ..EditIssue::default()
        };
        assert_eq!(edit, expected);
    }
}
