//! Wire types of the desk: what waits for a person, in ranked order.

use jiff::Timestamp;
use nightshift_domain::failure::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::issue::May;
use crate::pull::Verdict;

/// A person's desk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Desk {
    /// What waits, first things first; the first fifty, and what is decided makes room for the next.
    pub cards: Vec<Card>,
    /// How many wait, parked ones left out; counted up to ten thousand.
    pub total: usize,
    /// How many are parked for later.
    pub parked: usize,
    /// Projects whose settings file is broken; the last good one is in force.
    pub broken: Vec<BrokenProject>,
}

/// One thing that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    /// The project's name.
    pub project: String,
    /// The issue's number.
    pub number: i64,
    /// The issue's title.
    pub title: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// The current round.
    pub round: i64,
    /// The agent.
    pub agent: String,
    /// The commit to decide on.
    pub head: Option<String>,
    /// What was proved about it, without what the checks printed.
    pub proof: Option<Verdict>,
    /// The agent's summary, Markdown.
    pub summary: String,
    /// How large the change is, once it was measured.
    pub size: Option<Size>,
    /// What the agent asks, Markdown.
    pub question: Option<String>,
    /// What went wrong.
    #[schemars(with = "Option<serde_json::Value>")]
    pub failed: Option<Failure>,
    /// Numbers of issues that wait for this one.
    pub blocks: Vec<i64>,
    /// Hosts that its runs could not reach, and about which nobody has decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Hosts that its proof missed, and about which nobody has decided: they can be allowed for the
    /// project alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof_hosts: Vec<String>,
    /// Secrets of the project whose values it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// How often the author ran.
    pub runs: i64,
    /// What that cost, in millionths of a US dollar.
    pub cost_micros: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// The sum of the weights below; the highest comes first.
    pub score: i64,
    /// Why it stands where it stands, weightiest first.
    pub reasons: Vec<Reason>,
    /// Since when it waits.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// What the caller may do about it.
    #[serde(default)]
    pub may: May,
}

/// How large a change is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// How many files it touches.
    pub files: u64,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// The files with most changed lines.
    pub largest: Vec<FileSize>,
}

/// How much of a file changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileSize {
    /// The path after the change.
    pub path: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// What a person is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// An agent asked and waits.
    Answer,
    /// A result waits for approve or send back.
    Review,
    /// Something failed; retry, edit or close.
    Rescue,
}

/// A part of a card's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// `unblocks`, `agent-waits`, `important`, `low`, `proved`, `red`, `failed`, `small`, `large`,
    /// `risky` or `waits`.
    pub reason: String,
    /// How many issues (`unblocks`), how many hours (`waits`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What it adds to the score.
    pub weight: i64,
}

/// A project whose settings file is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokenProject {
    /// Its name.
    pub project: String,
    /// What is wrong.
    pub error: String,
}

/// A card to be hidden from one's own desk for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Park {
    /// The project's name.
    pub project: String,
    /// The issue's number.
    pub number: i64,
    /// Until when, at most a year from now; in 20 hours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
}

/// What to bring back to one's desk: one card, or every parked one if nothing is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unpark {
    /// The project's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The issue's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
}
