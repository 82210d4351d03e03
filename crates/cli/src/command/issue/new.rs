//! `issue new`: files issues.
//!
//! Several files are filed in the order in which they block each other. Invariant: everything is
//! read and checked before the first one is filed; a text written in the editor is not lost.

use std::path::{Path, PathBuf};

use nightshift_api::issue::{Issue, NewIssue};
use nightshift_api::operations;
use nightshift_api::project::ProjectPath;

use crate::acceptance;
use crate::connection::Connection;
use crate::draft::Draft;
use crate::failure::{Done, Failure};
use crate::filing::{Filing, in_order};
use crate::issue_file::{IssueFile, TEMPLATE};
use crate::view::issue::{commands_of, findings};
use crate::words::{self, Number};

/// Where the issue is, and what stands above its file.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Files to file: settings between two lines `+++`, then Markdown; `-` reads standard input.
    /// Without one, and without --title, your editor opens
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One line
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The order to the agent, Markdown; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Folder of the sealed tests: files by their path in the tree
    #[arg(long, value_name = "DIR")]
    acceptance: Option<PathBuf>,
    /// Command that decides whether it is done, run at the top of the tree
    #[arg(long, value_name = "CMD")]
    acceptance_run: Option<String>,
    /// The sealed tests pass without the change (a refactoring)
    #[arg(long)]
    already_green: bool,
    /// Agent that takes it
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// 0 urgent, 1 high, 2 normal, 3 low
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=3))]
    priority: Option<i64>,
    /// A label; may be said several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Number of an issue that must be done first; may be said several times
    #[arg(long, value_name = "N")]
    blocked_by: Vec<Number>,
    /// The person who looks after it
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// US dollars that all runs of its agent may cost together
    #[arg(long, value_name = "USD", value_parser = words::dollars)]
    budget: Option<u64>,
    /// The same for their time, in minutes
    #[arg(long, value_name = "N")]
    budget_minutes: Option<u64>,
    /// It may start at once; otherwise it is a draft
    #[arg(long)]
    ready: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = ProjectPath {
            project: connection.project().await?,
        };
        let issues = if !self.files.is_empty() {
            self.file_all(connection, &project).await?
        } else if self.title.is_some() {
            let filing = self.filing(String::new(), IssueFile::default(), Path::new("."))?;
            vec![file(connection, &project, filing.issue).await?]
        } else {
            vec![self.compose(connection, &project).await?]
        };
        if connection.output.json {
            return match &issues[..] {
                [one] => connection.output.json(one),
                many => connection.output.json(&many),
            };
        }
        let mut screen = connection.output.screen();
        for issue in &issues {
            super::stands(&mut screen, issue);
            findings(&mut screen, &issue.preflight);
        }
        let drafts = issues.iter().filter(|issue| issue.line.phase == "draft");
        let ready: Vec<_> = drafts
            .map(|issue| format!("issue ready {}", issue.line.number))
            .collect();
        commands_of(&mut screen, &ready);
        connection.output.show(&mut screen)
    }

    /// What files say, all of them ready.
    pub(crate) fn ready(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            ready: true,
            ..Self::default()
        }
    }

    /// Files what the files say, blockers first.
    pub(crate) async fn file_all(
        &self,
        connection: &Connection,
        project: &ProjectPath,
    ) -> Done<Vec<Issue>> {
        let mut filings = Vec::new();
        for path in &self.files {
            filings.push(self.read(path)?);
        }
        let mut issues: Vec<(String, Issue)> = Vec::new();
        for mut filing in in_order(filings)? {
            for name in std::mem::take(&mut filing.after) {
                let before = issues.iter().find(|(stem, _)| *stem == name);
                filing
                    .issue
                    .blocked_by
                    .extend(before.map(|(_, issue)| issue.line.number));
            }
            let filed = file(connection, project, filing.issue).await;
            let issue = filed.map_err(|failure| match issues.len() {
                0 => failure,
                n => failure.and(&format!(
                    "{n} before it are filed, {:?} is not",
                    filing.stem
                )),
            })?;
            issues.push((filing.stem, issue));
        }
        Ok(issues.into_iter().map(|(_, issue)| issue).collect())
    }

    fn read(&self, path: &Path) -> Done<Filing> {
        let shown = path.display();
        let (text, folder) = if path == Path::new("-") {
            (words::stdin()?, PathBuf::from("."))
        } else {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
            (text, path.parent().unwrap_or(Path::new("")).to_owned())
        };
        let file =
            IssueFile::parse(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.filing(stem.into_owned(), file, &folder)
            .map_err(|failure| Failure::new(failure.exit, format!("{shown}: {failure}")))
    }

    /// What the file says; options of the command line win over it.
    fn filing(&self, stem: String, file: IssueFile, folder: &Path) -> Done<Filing> {
        let front = file.front;
        let budget = front.budget_micro_usd().map_err(Failure::usage)?;
        let body = match words::given_text(self.body.as_deref())? {
            Some(body) => body,
            None => file.body,
        };
        let title = self.title.clone().unwrap_or(front.title);
        if title.trim().is_empty() {
            return Err(Failure::usage("an issue needs a title"));
        }
        let sealed = match &self.acceptance {
            Some(folder) => Some(folder.clone()),
            None => front.acceptance.map(|below| folder.join(below)),
        };
        let run = self.acceptance_run.clone().or(front.acceptance_run);
        let green = self.already_green || front.already_green;
        let acceptance = acceptance::seal(sealed.as_deref(), run.as_deref(), green)?;
        let mut blocked_by: Vec<i64> = self.blocked_by.iter().map(|number| number.0).collect();
        let mut after = Vec::new();
        for blocker in front.blocked_by {
            match (blocker.number(), blocker) {
                (Some(number), _) => blocked_by.push(number),
                (None, crate::issue_file::Blocker::Name(name)) => after.push(name),
                (None, crate::issue_file::Blocker::Number(_)) => {}
            }
        }
        let labels = match self.labels.is_empty() {
            true => front.labels,
            false => self.labels.clone(),
        };
        Ok(Filing {
            stem,
            after,
            issue: NewIssue {
                title: title.trim().to_owned(),
                body,
                labels,
                priority: self.priority.or(front.priority),
                assignee: self.assignee.clone().or(front.assignee),
                agent: self.agent.clone().or(front.agent),
                blocked_by,
                acceptance,
                budget_micro_usd: self.budget.or(budget),
                budget_minutes: self.budget_minutes.or(front.budget_minutes),
                ready: self.ready,
            },
        })
    }

    async fn compose(&self, connection: &Connection, project: &ProjectPath) -> Done<Issue> {
        let draft = Draft::write(&connection.environment, "issue", TEMPLATE)?;
        let filed = async {
            let read = IssueFile::parse(draft.text()).map_err(Failure::usage)?;
            let filing = self.filing("issue".to_owned(), read, Path::new("."))?;
            let filing = in_order(vec![filing])?.remove(0);
            file(connection, project, filing.issue).await
        };
        match filed.await {
            Ok(issue) => {
                draft.sent();
                Ok(issue)
            }
            Err(failure) => Err(draft.keep(failure)),
        }
    }
}

async fn file(connection: &Connection, project: &ProjectPath, issue: NewIssue) -> Done<Issue> {
    connection
        .create::<operations::IssueCreate>(project, &issue)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_win_over_the_file() {
        let file = || {
            IssueFile::parse(
                "+++\ntitle = \"of the file\"\nlabels = [\"bug\"]\npriority = 1\n\
                 blocked_by = [3, \"other\"]\nacceptance_run = \"make a\"\nbudget = 2.5\n+++\nbody\n",
            )
            .expect("a file")
        };
        let plain = Args::default();
        let filing = plain
            .filing("x".to_owned(), file(), Path::new("."))
            .expect("it");
        assert_eq!(filing.issue.title, "of the file");
        assert_eq!(filing.issue.blocked_by, [3]);
        assert_eq!(filing.after, ["other"]);
        assert_eq!(filing.issue.budget_micro_usd, Some(2_500_000));
        assert_eq!(filing.issue.acceptance.expect("sealed").run, "make a");
        let args = Args {
            title: Some("mine".to_owned()),
            labels: vec!["a".to_owned()],
            priority: Some(0),
            acceptance_run: Some("make b".to_owned()),
            budget: Some(7_000_000),
            ready: true,
            ..Args::default()
        };
        let filing = args
            .filing("x".to_owned(), file(), Path::new("."))
            .expect("it");
        assert_eq!(filing.issue.title, "mine");
        assert_eq!(filing.issue.labels, ["a"]);
        assert_eq!(filing.issue.priority, Some(0));
        assert_eq!(filing.issue.budget_micro_usd, Some(7_000_000));
        assert_eq!(filing.issue.acceptance.expect("sealed").run, "make b");
        assert!(filing.issue.ready && filing.issue.body == "body");
        let nameless = plain.filing(String::new(), IssueFile::default(), Path::new("."));
        assert_eq!(
            nameless.expect_err("no title").message,
            "an issue needs a title"
        );
    }
}
