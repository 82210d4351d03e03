//! An issue as a file: settings in TOML between two lines of `+++`, then the prompt in Markdown.
//!
//! `examples/README.md` describes the form for people. Invariant: an unknown setting is an error
//! with its line, since a misspelt `acceptance` that is ignored would file an issue without proof.
//! Deliberately absent: reading the files that it names.

use nightshift_domain::budget::parse_dollars;
use serde::{Deserialize, Serialize};

/// An issue file, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct IssueFile {
    /// The settings.
    pub(crate) front: Front,
    /// The prompt.
    pub(crate) body: String,
}

/// The settings in front.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Front {
    /// One line.
    #[serde(default)]
    pub(crate) title: String,
    /// Labels.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// 0 to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i64>,
    /// The person who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assignee: Option<String>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    /// Numbers of issues, or names of other files without `.md`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocked_by: Vec<Blocker>,
    /// The folder of the sealed tests, relative to the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acceptance: Option<String>,
    /// The command that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acceptance_run: Option<String>,
    /// Whether the sealed tests pass on the base.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) already_green: bool,
    /// What its author runs may cost together, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<f64>,
    /// The same for their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget_minutes: Option<u64>,
}

impl Front {
    /// The budget in millionths of a US dollar.
    pub(crate) fn budget_micro_usd(&self) -> Result<Option<u64>, String> {
        let Some(amount) = self.budget else {
            return Ok(None);
        };
        parse_dollars(&format!("{amount:.6}"))
            .map(Some)
            .ok_or_else(|| format!("budget: {amount} is no amount of US dollars, such as 5.00"))
    }
}

/// What must be done first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Blocker {
    /// An issue of the project.
    Number(i64),
    /// Another file, without `.md`; or a number written as text.
    Name(String),
}

impl Blocker {
    /// The number, also where it was written as text or with `#`.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => name.strip_prefix('#').unwrap_or(name).parse().ok(),
        }
    }
}

const FENCE: &str = "+++";

impl IssueFile {
    /// Reads the form. Without settings in front, a first line `# title` is the title.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n");
        let first = text.lines().next().unwrap_or_default();
        if first.trim_end() != FENCE {
            return Ok(Self::plain(&text));
        }
        let mut front = String::new();
        let mut lines = text.lines().skip(1);
        loop {
            match lines.next() {
                Some(line) if line.trim_end() == FENCE => break,
                Some(line) => {
                    front.push_str(line);
                    front.push('\n');
                }
                None => return Err("the settings in front have no closing line `+++`".to_owned()),
            }
        }
        let body: Vec<_> = lines.collect();
        let front = toml::from_str(&front).map_err(|error| {
            // The settings begin on the second line of the file.
            let line = error
                .span()
                .map(|span| front[..span.start.min(front.len())].matches('\n').count() + 2);
            match line {
                Some(line) => format!("line {line}: {}", error.message()),
                None => error.message().to_owned(),
            }
        })?;
        Ok(Self {
            front,
            body: body.join("\n").trim().to_owned(),
        })
    }

    fn plain(text: &str) -> Self {
        let text = text.trim();
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        match first.strip_prefix("# ") {
            Some(title) => Self {
                front: Front {
                    title: title.trim().to_owned(),
                    ..Front::default()
                },
                body: rest.trim().to_owned(),
            },
            None => Self {
                front: Front::default(),
                body: text.to_owned(),
            },
        }
    }

    /// Writes the form; reading it gives the same.
    pub(crate) fn render(&self) -> Result<String, String> {
        let front = toml::to_string(&self.front).map_err(|error| error.to_string())?;
        Ok(format!("{FENCE}\n{front}{FENCE}\n\n{}\n", self.body))
    }
}

/// What a person finds in the editor.
pub(crate) const TEMPLATE: &str = r#"+++
title = ""
labels = []
priority = 2                      # 0 urgent, 1 high, 2 normal, 3 low
# agent = "script"                # the agent that takes it
# blocked_by = [1]                # issues that must be done first
# acceptance = "path/to/folder"   # files laid over the tree to decide whether it is done
# acceptance_run = "make accept"  # exit status 0 means done; must fail without the change
# already_green = false           # true: it passes without the change (a refactoring)
# budget = 5.00                   # US dollars for all runs of its agent together
# budget_minutes = 90             # the same for their time
+++

"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_examples_is_read() {
        let file = IssueFile::parse(
            "+++\ntitle = \"a title\"\nlabels = [\"bug\"]\npriority = 1\n\
             blocked_by = [\"01-first\", 7, \"#8\"]\nacceptance = \"acceptance/02\"\n\
             acceptance_run = \"make accept\"\nalready_green = true\nbudget = 5\nbudget_minutes = 90\n+++\r\n\n# Why\n\nBecause.\n",
        )
        .expect("it reads");
        assert_eq!(file.front.title, "a title");
        assert_eq!(file.body, "# Why\n\nBecause.");
        assert!(file.front.already_green);
        assert_eq!(file.front.budget_micro_usd(), Ok(Some(5_000_000)));
        assert_eq!(file.front.budget_minutes, Some(90));
        let numbers: Vec<_> = file.front.blocked_by.iter().map(Blocker::number).collect();
        assert_eq!(numbers, [None, Some(7), Some(8)]);
        let again = IssueFile::parse(&file.render().expect("written")).expect("read");
        assert_eq!(again, file);
    }

    #[test]
    fn without_settings_the_first_heading_is_the_title() {
        let file = IssueFile::parse("# Do it\n\nPlease.\n").expect("it reads");
        assert_eq!(
            (file.front.title.as_str(), file.body.as_str()),
            ("Do it", "Please.")
        );
        let file = IssueFile::parse("Just words\n").expect("it reads");
        assert_eq!(
            (file.front.title.as_str(), file.body.as_str()),
            ("", "Just words")
        );
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error =
            IssueFile::parse("+++\ntitle = \"x\"\nacceptence = \"y\"\n+++\n").expect_err("no");
        assert!(
            error.starts_with("line 3: unknown field `acceptence`"),
            "{error}"
        );
        let error = IssueFile::parse("+++\ntitle = \"x\"\n").expect_err("no");
        assert!(error.contains("no closing line"), "{error}");
    }

    #[test]
    fn the_template_is_an_empty_issue() {
        let file = IssueFile::parse(TEMPLATE).expect("it reads");
        assert_eq!((file.front.title.as_str(), file.body.as_str()), ("", ""));
        assert_eq!(file.front.priority, Some(2));
    }
}
