//! Wire types of runs.

use jiff::Timestamp;
use nightshift_domain::failure::Failure;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// The number.
    pub number: i64,
    /// `author`, `verify` or `trial`.
    pub kind: String,
    /// The round.
    pub round: i64,
    /// The fence of its job.
    pub epoch: i64,
    /// The agent; `nightshift` where the platform proves something.
    pub agent: String,
    /// The runner's name.
    pub runner: String,
    /// `running`, `succeeded`, `failed`, `stopped` or `asked`.
    pub state: String,
    /// Why it failed.
    #[schemars(with = "Option<serde_json::Value>")]
    pub failure: Option<Failure>,
    /// What it last said about its progress.
    pub progress: Option<String>,
    /// The commit it started from, or proves.
    pub start: String,
    /// The commit it pushed, also where it failed.
    pub attempt: Option<String>,
    /// What its program says it used.
    #[schemars(with = "Option<serde_json::Value>")]
    pub usage: Option<Usage>,
    /// What it reached and what it was refused, as the broker counted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub traffic: Option<Traffic>,
    /// The session of the agent's program, for resume and take-over.
    pub session: Option<String>,
    /// The size of its log, in bytes.
    pub log_bytes: i64,
    /// What people said to it, oldest first; in lists it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steers: Vec<Steer>,
    /// Guidelines that its agent proposes, oldest first; in lists it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<Proposal>,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
}

/// Words to a run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSteer {
    /// Markdown.
    pub text: String,
    /// Whether the agent is interrupted for it, where its program can be; else it hears it when it
    /// stops by itself.
    #[serde(default)]
    pub now: bool,
}

/// Words that were said to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Steer {
    /// Their id.
    pub id: Uuid,
    /// The run.
    pub run: Uuid,
    /// Who said it.
    pub by: String,
    /// The words, Markdown.
    pub text: String,
    /// Whether the agent is interrupted for it.
    pub now: bool,
    /// `waiting`, `handed` (the agent has it) or `late` (the run ended without it; the next one gets
    /// it).
    pub state: String,
    /// When it was said.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A guideline that an agent proposes, from inside its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProposal {
    /// The rule, Markdown; at most 2000 bytes.
    pub text: String,
    /// The feedback it comes from, in the words of whoever gave it; at most 2000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A guideline that an agent proposed: an agent's words, for a person to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its id.
    pub id: Uuid,
    /// The run it comes from.
    pub run: Uuid,
    /// The round of that run.
    pub round: i64,
    /// The rule, Markdown.
    pub text: String,
    /// The feedback that the agent says it comes from.
    pub source: Option<String>,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `accepted` (it is in `.nightshift/guidelines.md`) or `dismissed`; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub decided_at: Option<Timestamp>,
}

/// What becomes of a proposed guideline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideProposal {
    /// Its id.
    pub proposal: Uuid,
    /// `true`: a commit of yours takes it into `.nightshift/guidelines.md` on the default branch, word for
    /// word. `false`: nothing comes of it.
    pub accept: bool,
}

/// Hosts that an agent asks for, from inside its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHostAsk {
    /// 1 to 10 hosts, as `packages.example.com`; with a port where it is not 80 or 443.
    pub hosts: Vec<String>,
    /// What they are needed for, Markdown; at most 2000 bytes.
    pub why: String,
}

/// Work that an agent splits off, from inside its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSplit {
    /// One line, at most 200 characters.
    pub title: String,
    /// What is to be done, Markdown; at most 64 KiB.
    pub body: String,
}

/// The draft that was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitOff {
    /// Its number.
    pub number: i64,
    /// Its title.
    pub title: String,
}

/// A run in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPath {
    /// The run's id.
    pub run: Uuid,
}

/// Which runs; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunQuery {
    /// Only those of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only those of this issue; needs `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Where the last page ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}
