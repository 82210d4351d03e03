//! Wire types of issues and of the conversation on them.

use jiff::Timestamp;
use nightshift_domain::check::Acceptance;
use nightshift_domain::failure::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An issue to be filed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIssue {
    /// One line.
    pub title: String,
    /// The order to the agent, Markdown.
    #[serde(default)]
    pub body: String,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// 0 (urgent) to 3 (low); 2 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The person who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// The agent it is delegated to; `script` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    #[serde(default)]
    pub blocked_by: Vec<i64>,
    /// Sealed tests that decide whether it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub acceptance: Option<Acceptance>,
    /// Whether it may start at once; a draft otherwise.
    #[serde(default)]
    pub ready: bool,
}

/// A change of an issue; absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditIssue {
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The order to the agent, Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// 0 (urgent) to 3 (low).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The person who looks after it; empty for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// The agent it is delegated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Vec<i64>>,
    /// Sealed tests; only before the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub acceptance: Option<Acceptance>,
    /// The version the edit is based on; a newer one refuses the edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// An issue in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuePath {
    /// The project's name.
    pub project: String,
    /// The issue's number.
    pub number: i64,
}

/// Which issues; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssueQuery {
    /// Only those in this phase; several separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Only those of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only those with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only those whose title contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where the last page ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// An issue in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssueLine {
    /// Its id.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// Its number.
    pub number: i64,
    /// One line.
    pub title: String,
    /// Where it stands.
    pub phase: String,
    /// Why it does not move; absent while somebody works on it or it has ended.
    pub waiting: Option<String>,
    /// The current round.
    pub round: i64,
    /// The agent.
    pub agent: String,
    /// Labels.
    pub labels: Vec<String>,
    /// 0 (urgent) to 3 (low).
    pub priority: i64,
    /// When it was filed.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

/// An issue, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// What a list shows.
    #[serde(flatten)]
    pub line: IssueLine,
    /// The order to the agent, Markdown.
    pub body: String,
    /// The person who looks after it.
    pub assignee: Option<String>,
    /// Who filed it.
    pub requester: String,
    /// Numbers of issues that must be done first.
    pub blocked_by: Vec<i64>,
    /// The agent's open question.
    pub question: Option<String>,
    /// The failure that waits for a person.
    #[schemars(with = "Option<serde_json::Value>")]
    pub failed: Option<Failure>,
    /// Why it was closed.
    pub closed_reason: Option<String>,
    /// The commit on the default branch, once done.
    pub landed: Option<String>,
    /// Whether it has sealed tests.
    pub has_acceptance: bool,
    /// The command line of the sealed tests.
    pub acceptance_run: Option<String>,
    /// Paths of the sealed tests.
    pub acceptance_files: Vec<String>,
    /// Rises with every change; pass it with an edit.
    pub version: i64,
    /// Whether it has a pull request.
    pub has_pull: bool,
    /// What was said, oldest first.
    pub messages: Vec<Message>,
}

/// One thing said on an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `question`, `answer`, `feedback` or `note`.
    pub kind: String,
    /// Who said it.
    pub by: String,
    /// In which round.
    pub round: i64,
    /// The words, Markdown.
    pub body: String,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// Words for an issue: an answer, a note, a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Markdown.
    pub text: String,
}
