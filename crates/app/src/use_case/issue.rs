//! Issues: what filing takes, what a person sees, and the parts that file, change, move and show.

mod act;
mod edit;
mod file;
mod view;

use nightshift_domain::access::May;
use nightshift_domain::budget::{Budget, Spent};
use nightshift_domain::check::Acceptance;
use nightshift_domain::grant::Asked;
use nightshift_domain::id::Number;
use nightshift_domain::preflight::Finding;
use nightshift_domain::sentence::Sentence;
use nightshift_store::issue::Issue;
use nightshift_store::message::Message;

use super::tryout::TryoutView;

/// An issue to be filed.
#[derive(Debug, Clone, Default)]
pub struct NewIssue {
    /// One line.
    pub title: String,
    /// The order.
    pub body: String,
    /// Labels.
    pub labels: Vec<String>,
    /// 0 to 3.
    pub priority: Option<i64>,
    /// Who looks after it.
    pub assignee: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    pub blocked_by: Vec<Number>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// What its author runs may use together.
    pub budget: Budget,
    /// Whether it may start.
    pub ready: bool,
}

/// A change of an issue; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EditIssue {
    /// One line.
    pub title: Option<String>,
    /// The order.
    pub body: Option<String>,
    /// Labels.
    pub labels: Option<Vec<String>>,
    /// 0 to 3.
    pub priority: Option<i64>,
    /// Who looks after it; empty for nobody.
    pub assignee: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// Numbers of issues that must be done first.
    pub blocked_by: Option<Vec<Number>>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// Money, in millionths of a US dollar; 0 for what the project says.
    pub budget_micro_usd: Option<u64>,
    /// Minutes; 0 for what the project says.
    pub budget_minutes: Option<u64>,
    /// The version the edit is based on.
    pub version: Option<i64>,
}

/// An issue in a list.
#[derive(Debug, Clone)]
pub struct IssueLine {
    /// The issue.
    pub issue: Issue,
    /// Its project's name.
    pub project: String,
    /// Why it does not move.
    pub waiting: Option<Sentence>,
}

/// An issue, whole.
#[derive(Debug, Clone)]
pub struct IssueView {
    /// What a list shows.
    pub line: IssueLine,
    /// Who filed it.
    pub requester: String,
    /// Numbers of issues that must be done first.
    pub blocked_by: Vec<Number>,
    /// Sealed tests.
    pub acceptance: Option<Acceptance>,
    /// How far the trying of these tests on the base is.
    pub tryout: Option<TryoutView>,
    /// What would stop it, as long as its agent has not begun.
    pub preflight: Vec<Finding>,
    /// Its budget, with the project's where it says nothing.
    pub budget: Budget,
    /// What its author runs used.
    pub spent: Spent,
    /// Whether it has a pull request.
    pub has_pull: bool,
    /// What was said.
    pub messages: Vec<Message>,
    /// Hosts that its runs asked for or were refused, oldest first.
    pub hosts: Vec<Asked>,
    /// Secrets of the project whose values it waits for.
    pub secrets: Vec<String>,
    /// The issue whose agent split it off.
    pub split_from: Option<Number>,
    /// The issues that its own agent split off.
    pub split_into: Vec<Number>,
    /// What the caller may do about it.
    pub may: May,
}
