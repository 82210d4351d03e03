//! Wire types of pull requests, verdicts, reviews and the merge queue.

use jiff::Timestamp;
use nightshift_domain::check::{CheckResult, Colour};
use nightshift_domain::facts::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::issue::May;
use crate::run::Proposal;

/// A pull request in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PullLine {
    /// The project's name.
    pub project: String,
    /// Its number, the same as its issue's.
    pub number: i64,
    /// The issue's title.
    pub title: String,
    /// Where the issue stands.
    pub phase: String,
    /// Why it does not move.
    pub waiting: Option<String>,
    /// The current round.
    pub round: i64,
    /// The agent.
    pub agent: String,
    /// The commit to decide on.
    pub head: String,
    /// The colour of the verdict on that very commit; absent while it is being proved.
    #[schemars(with = "Option<String>")]
    pub verdict: Option<Colour>,
    /// When it last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

/// A pull request, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pull {
    /// What a list shows.
    #[serde(flatten)]
    pub line: PullLine,
    /// The branch, a full ref.
    pub branch: String,
    /// The commit of the default branch that the head was last brought up to date with.
    pub base: String,
    /// The agent's summary, Markdown.
    pub summary: String,
    /// The verdict on the head.
    pub proof: Option<Verdict>,
    /// What changed, file by file.
    pub files: Vec<FileLine>,
    /// Every head there was, oldest first.
    pub heads: Vec<HeadLine>,
    /// Every decision, oldest first.
    pub reviews: Vec<Review>,
    /// Guidelines that its agent proposes, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<Proposal>,
    /// The commit on the default branch, once landed.
    pub landed: Option<String>,
    /// What the caller may do about it.
    #[serde(default)]
    pub may: May,
}

/// What the platform itself proved about a head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The commit.
    pub head: String,
    /// The base whose definitions were used.
    pub base: String,
    /// The judgement.
    #[schemars(with = "String")]
    pub colour: Colour,
    /// Why it is not green.
    pub reasons: Vec<String>,
    /// What to look at first.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub findings: Vec<Finding>,
    /// The set-up command's result.
    #[schemars(with = "Option<serde_json::Value>")]
    pub setup: Option<CheckResult>,
    /// The sealed tests on the base.
    #[schemars(with = "Option<serde_json::Value>")]
    pub acceptance_on_base: Option<CheckResult>,
    /// The sealed tests on the head.
    #[schemars(with = "Option<serde_json::Value>")]
    pub acceptance_on_head: Option<CheckResult>,
    /// The required checks.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub checks: Vec<CheckResult>,
    /// The run that proved it.
    pub run: Uuid,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileLine {
    /// The path after the change.
    pub path: String,
    /// The path before, where it was renamed.
    pub old_path: Option<String>,
    /// `added`, `deleted`, `modified` or `renamed`.
    pub status: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Whether it is binary.
    pub binary: bool,
}

/// One head of the branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadLine {
    /// The commit.
    pub head: String,
    /// The round it belongs to.
    pub round: i64,
    /// The run that made it; absent for a person's push.
    pub run: Option<Uuid>,
    /// Who made it.
    pub by: String,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A decision to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// The commit it is about; a newer head refuses it.
    pub head: String,
    /// `approve` or `send-back`.
    pub decision: Decision,
    /// What to say; needed to send back.
    #[serde(default)]
    pub body: String,
    /// Comments on lines; all of them start one round.
    #[serde(default)]
    pub comments: Vec<LineComment>,
    /// Approve although nothing was proved (no check, no acceptance test).
    #[serde(default)]
    pub accept_unproven: bool,
    /// How long the decision waits before anything comes of it, so that it can be withdrawn, in
    /// seconds; at most 60.
    #[serde(default)]
    pub hold_s: u8,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Land it.
    Approve,
    /// Start another round.
    SendBack,
}

/// A comment on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// The line after the change, counted from 1, or the last one of a range; absent for the whole
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
    /// The first line of a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
    /// Markdown. A fenced block named `suggestion` says what the lines shall say instead.
    pub body: String,
}

/// Suggestions to be applied as one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplySuggestions {
    /// The commit that was looked at; a newer head refuses it.
    pub head: String,
    /// The review whose suggestions are meant; without it the newest one that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Uuid>,
    /// Only these of the review, by their place among its suggestions, from 1; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<usize>,
    /// In the place of a review's: one's own that are not said yet; empty: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drafts: Option<Vec<Uuid>>,
}

/// A decision that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// Its id.
    pub id: Uuid,
    /// In which round.
    pub round: i64,
    /// The commit it is about.
    pub head: String,
    /// What was decided.
    pub decision: Decision,
    /// What was said.
    pub body: String,
    /// Comments on lines.
    pub comments: Vec<LineComment>,
    /// By whom.
    pub by: String,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// One entry of the merge queue, first to land first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueLine {
    /// The pull request's number.
    pub number: i64,
    /// The issue's title.
    pub title: String,
    /// The commit that was approved.
    pub approved: String,
    /// The commit built for landing.
    pub candidate: Option<String>,
    /// Why it does not move.
    pub waiting: Option<String>,
    /// Since when it is in the queue.
    #[schemars(with = "String")]
    pub entered_at: Timestamp,
}
