//! Wire types of issues and of the conversation on them.

use jiff::Timestamp;
use nightshift_domain::check::Acceptance;
use nightshift_domain::failure::Failure;
use nightshift_domain::grant::Decision;
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
    /// What its author runs may use together, in millionths of a US dollar; what the project says if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_micro_usd: Option<u64>,
    /// The same for their time, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_minutes: Option<u64>,
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
    /// What its author runs may use together, in millionths of a US dollar; 0 for what the project
    /// says. Raising a budget that is spent lets the work go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_micro_usd: Option<u64>,
    /// The same for their time, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_minutes: Option<u64>,
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
    /// The issue whose agent split this one off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_from: Option<i64>,
    /// The issues that the agent of this one split off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split_into: Vec<i64>,
    /// Hosts that its runs asked for or were refused, and what was decided, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostAsk>,
    /// Secrets of the project whose values it waits for; a maintainer sets them with `secret.set`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
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
    /// How far the trying of the sealed tests on the base is; absent where they were never tried as
    /// they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tryout: Option<Tryout>,
    /// What would stop it or leave it without proof, worst first; empty once its agent began.
    #[serde(default)]
    pub preflight: Vec<Finding>,
    /// What its author runs may use, and used.
    #[serde(default)]
    pub budget: Budget,
    /// Rises with every change; pass it with an edit.
    pub version: i64,
    /// Whether it has a pull request.
    pub has_pull: bool,
    /// What was said, oldest first.
    pub messages: Vec<Message>,
    /// What the caller may do about it.
    #[serde(default)]
    pub may: May,
}

/// What the caller may do about an issue and its change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct May {
    /// Edit the issue, let it start, end it.
    pub write: bool,
    /// Answer its agent.
    pub answer: bool,
    /// Let its author runs reach a host, or deny it.
    pub hosts: bool,
    /// Approve its change or send it back, with comments.
    pub review: bool,
    /// Stop its runs, and try again what failed.
    pub control: bool,
    /// Move its branch.
    pub push: bool,
    /// Change the settings of its project: allow a host for all of it, and set secrets.
    pub configure: bool,
}

impl Default for May {
    /// An older server does not say it, and refuses what somebody may not.
    fn default() -> Self {
        Self {
            write: true,
            answer: true,
            hosts: true,
            review: true,
            control: true,
            push: true,
            configure: true,
        }
    }
}

/// Sealed tests, tried once on the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tryout {
    /// `waiting`, `running`, `red`, `green`, `does-not-run`, `failed` (it could not be made) or
    /// `stopped`.
    pub state: String,
    /// The same in words.
    pub words: String,
    /// Whether the agent can be let at the tests; absent while it is not known.
    pub fit: Option<bool>,
    /// Whether it is about the base as it is now.
    pub current: bool,
    /// The base that the tests ran on.
    pub base: Option<String>,
    /// The run, for its log.
    pub run: Option<Uuid>,
    /// The last part of what they printed.
    pub output_tail: Option<String>,
    /// When it was asked for.
    #[schemars(with = "String")]
    pub asked_at: Timestamp,
    /// When the result was there.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
}

/// One thing that would stop an issue, or to think of before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// `stops` or `warns`.
    pub severity: String,
    /// Which kind of thing, as a word.
    pub code: String,
    /// The thing.
    pub what: String,
    /// Why it is one.
    pub cause: String,
    /// What to do.
    pub next: String,
}

/// What an issue's author runs may use together, and what they used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Its own money, in millionths of a US dollar; absent where the project's holds.
    pub own_micro_usd: Option<u64>,
    /// Its own minutes; absent where the project's hold.
    pub own_minutes: Option<u64>,
    /// The money that holds; absent where nothing bounds it.
    pub micro_usd: Option<u64>,
    /// The minutes that hold; absent where nothing bounds them.
    pub minutes: Option<u64>,
    /// The money that was used, as far as it is known.
    pub spent_micro_usd: u64,
    /// The time that was used, in milliseconds.
    pub spent_ms: u64,
    /// In how many runs.
    pub runs: u64,
}

/// A host that an issue's runs asked for or were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostAsk {
    /// The host, as a list names it.
    pub host: String,
    /// `author`, or `proof`: then it can be allowed for the project alone.
    #[serde(default = "author")]
    pub need: String,
    /// Why the agent needs it, in its own words; absent where the platform saw it refused.
    pub why: Option<String>,
    /// The run that asked or was refused.
    pub run: Option<Uuid>,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `issue`, `project` or `denied`; absent while it is open.
    pub decision: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    #[schemars(with = "Option<String>")]
    pub decided_at: Option<Timestamp>,
}

fn author() -> String {
    "author".to_owned()
}

/// What a person decides about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideHost {
    /// The host, as a list names it: `packages.example.com`, `*.example.com`, with a port where it is
    /// not 80 or 443.
    pub host: String,
    /// `issue`, `project` or `denied`.
    #[schemars(with = "String")]
    pub decision: Decision,
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
