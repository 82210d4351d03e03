//! Pre-flight: what would stop an issue tonight, or leave it without proof, said while a person is
//! still at the keyboard.
//!
//! A planner over facts: it finds, it never blocks; a draft with every finding is a draft. Each
//! finding names the thing, the cause and the next step. Deliberately absent: collecting the facts,
//! and what only the work itself can show.

mod files;
pub(crate) mod runners;

use serde::{Deserialize, Serialize};

use crate::check::Acceptance;
use crate::config::{Agent, Harness};
use crate::failure::Failure;
use crate::id::Number;
use crate::route::Runner;
use crate::sentence::{Place, Sentence, Template, templates, text};
use crate::tryout::Tried;

pub use files::{meant, named};

/// An order with fewer characters than this leaves too much to the agent.
const SHORT: usize = 40;

/// What is known of an issue that is filed or is about to be.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Its number, once it has one.
    pub number: Option<Number>,
    /// The order.
    pub body: &'a str,
    /// The name of its agent.
    pub agent: &'a str,
    /// The agents that the project defines.
    pub agents: &'a [Agent],
    /// What is wrong with the project's settings.
    pub config_error: Option<Sentence>,
    /// The name of the default branch.
    pub branch: &'a str,
    /// Whether that has a commit.
    pub has_base: bool,
    /// Secrets that the settings name and that have no value.
    pub secrets_missing: &'a [String],
    /// How many checks the project has.
    pub checks: usize,
    /// The issue's sealed tests.
    pub acceptance: Option<&'a Acceptance>,
    /// What these did on the base as it is now.
    pub tried: Option<&'a Tried>,
    /// Whether they are being tried.
    pub being_tried: bool,
    /// What must be done first.
    pub blockers: &'a [Blocker],
    /// Whether the issue would wait for itself.
    pub cycle: bool,
    /// The image that the settings name.
    pub image: Option<&'a str>,
    /// The runners that are alive.
    pub runners: &'a [Runner],
    /// Why its budget starts nothing, if it is spent.
    pub spent: Option<&'a Failure>,
    /// Files that the order names, with the open changes that touch them.
    pub touched: &'a [Touched],
}

/// An open change that touches files which the order names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The number of its issue.
    pub number: Number,
    /// The files.
    pub paths: Vec<String>,
}

/// An issue that must be done first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Its number.
    pub number: Number,
    /// The word of its phase; none for a number that there is not.
    pub phase: Option<&'static str>,
    /// Whether it failed and waits for a person.
    pub failed: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The issue would not get anywhere.
    Stops,
    /// It would, with a result that may be worth less.
    Warns,
}

impl Severity {
    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Warns => "warns",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of thing, as a word.
    pub code: Code,
    /// The thing.
    pub what: Sentence,
    /// Why it is one.
    pub cause: Sentence,
    /// What to do.
    pub next: Sentence,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// The kinds of things that can be found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code {
            $($(#[$doc])* $name),+
        }

        impl Code {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word used on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

codes! {
    /// The agent is not defined.
    AgentUnknown = "agent-unknown",
    /// The order says nothing, or nearly nothing.
    OrderShort = "order-short",
    /// The `script` agent has no block to run.
    NoBlock = "no-block",
    /// The settings file is broken.
    ConfigBroken = "config-broken",
    /// The default branch has no commit.
    NoBase = "no-base",
    /// A secret that steps need has no value.
    SecretMissing = "secret-missing",
    /// No runner is alive, or none takes such jobs.
    NoRunner = "no-runner",
    /// No runner has the agent's harness.
    NoHarness = "no-harness",
    /// No runner can have the image that the project names.
    NoImages = "no-images",
    /// Nothing would prove the result.
    NoProof = "no-proof",
    /// The sealed tests were not tried.
    Untried = "untried",
    /// The sealed tests pass already.
    TestsGreen = "tests-green",
    /// The sealed tests do not run.
    TestsBroken = "tests-broken",
    /// Something that must be done first will not be done by itself.
    Blocked = "blocked",
    /// It would wait for itself.
    Cycle = "cycle",
    /// The budget is spent.
    BudgetSpent = "budget-spent",
    /// Another open change touches what the order names.
    SameFiles = "same-files",
}

templates! {
    BRANCH = "found.branch": "the branch {branch}";
    BRANCH_CAUSE = "found.branch-cause": "it has no commit, so there is nothing to begin from";
    BRANCH_NEXT = "found.branch-next": "push one";
    SECRET = "found.secret": "the secret {name}";
    SECRET_CAUSE = "found.secret-cause": "the project's settings name it, and it has no value";
    SECRET_NEXT = "found.secret-next": "set it with `nightshift secret set {name}` or on the project's page";
    SETTINGS = "found.settings": "the project's settings";
    SETTINGS_CAUSE = "found.settings-cause": "{error}; the last good file is in force";
    SETTINGS_NEXT = "found.settings-next": "mend the file, or know that what is new in it does not count";
    AGENT = "found.agent": "the agent {agent}";
    AGENT_CAUSE = "found.agent-cause": "it is not defined in .nightshift/config.toml";
    AGENT_NEXT = "found.agent-next": "choose one of {agents}, or define it";
    ORDER = "found.order": "the order";
    NO_BLOCK_CAUSE = "found.no-block-cause": "the agent {agent} runs the fenced blocks of the order, and there is none";
    NO_BLOCK_NEXT = "found.no-block-next": "write a block ```sh, or choose another agent";
    EMPTY_CAUSE = "found.empty-cause": "the agent gets nothing but the title";
    SHORT_CAUSE = "found.short-cause": "it has {count} characters";
    SHORT_NEXT = "found.short-next": "say what, why, and how one sees that it is done";
    PROOF = "found.proof": "the proof";
    PROOF_CAUSE = "found.proof-cause": "the project has no check and the issue no sealed test: the result would be unproven";
    PROOF_NEXT = "found.proof-next": "seal a test, or define a check in .nightshift/config.toml";
    TESTS = "found.tests": "the sealed tests";
    UNTRIED_CAUSE = "found.untried-cause": "they were not tried on the base as it is now";
    UNTRIED_NEXT = "found.untried-next": "try them (`nightshift issue try{number}`); before the agent begins they are tried anyway";
    BROKEN_CAUSE = "found.broken-cause": "they do not run on the base: {why}";
    BROKEN_NEXT = "found.broken-next": "correct them";
    GREEN_CAUSE = "found.green-cause": "they pass on the base without any change";
    GREEN_NEXT = "found.green-next": "make them test what is wrong, or say that they may pass already";
    FIRST = "found.first": "what must be done first";
    CYCLE_CAUSE = "found.cycle-cause": "these issues would wait for each other for ever";
    CYCLE_NEXT = "found.cycle-next": "take one of them out";
    BLOCKER = "found.blocker": "#{number}, which must be done first";
    GONE_CAUSE = "found.gone-cause": "there is no such issue";
    GONE_NEXT = "found.gone-next": "take it out";
    FAILED_CAUSE = "found.failed-cause": "it failed and waits for a person";
    FAILED_NEXT = "found.failed-next": "look at it: `nightshift issue show {number}`";
    DRAFT_CAUSE = "found.draft-cause": "it is a draft, so nothing works on it";
    DRAFT_NEXT = "found.draft-next": "mark it ready: `nightshift issue ready {number}`";
    ASKED_CAUSE = "found.asked-cause": "its agent asked and waits";
    ASKED_NEXT = "found.asked-next": "answer: `nightshift issue answer {number}`";
    REVIEW_CAUSE = "found.review-cause": "it waits for a decision";
    REVIEW_NEXT = "found.review-next": "decide: `nightshift pr show {number}`";
    CLOSED_CAUSE = "found.closed-cause": "it was closed without a change, and holds nothing up any more";
    CLOSED_NEXT = "found.closed-next": "make sure that this issue can do without it";
    BUDGET = "found.budget": "the budget";
    BUDGET_CAUSE = "found.budget-cause": "{detail}";
    BUDGET_NEXT = "found.budget-next": "raise it, or close the issue";
    SAME_FILES = "found.same-files": "{paths}";
    SAME_FILES_CAUSE = "found.same-files-cause": "the open change of #{number} touches it too";
    SAME_FILES_NEXT = "found.same-files-next": "say that #{number} must be done first, or expect a conflict";
}

/// Everything that would stop the issue, then everything to think of.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    base(facts, &mut found);
    let agent = facts.agents.iter().find(|agent| agent.name == facts.agent);
    match agent {
        Some(agent) => runners::look(facts, agent, &mut found),
        None => {
            let names = facts.agents.iter().map(|agent| agent.name.as_str());
            let names: Vec<&str> = names.collect();
            found.push(stops(
                Code::AgentUnknown,
                AGENT.with([("agent", quoted(facts.agent))]),
                &AGENT_CAUSE,
                AGENT_NEXT.with([("agents", text(names.join(", ")))]),
            ));
        }
    }
    order(facts, agent, &mut found);
    tests(facts, &mut found);
    blockers(facts, &mut found);
    if let Some(spent) = facts.spent {
        found.push(Finding {
            severity: Severity::Stops,
            code: Code::BudgetSpent,
            what: BUDGET.plain(),
            cause: BUDGET_CAUSE.with([("detail", (&spent.detail).into())]),
            next: BUDGET_NEXT.plain(),
        });
    }
    for touched in facts.touched {
        let number = || text(touched.number);
        found.push(Finding {
            severity: Severity::Warns,
            code: Code::SameFiles,
            what: SAME_FILES.with([("paths", text(touched.paths.join(", ")))]),
            cause: SAME_FILES_CAUSE.with([("number", number())]),
            next: SAME_FILES_NEXT.with([("number", number())]),
        });
    }
    // Stable: within each the order of the checks above.
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What would stop it, for a cause that is the same each time.
fn stops(code: Code, what: Sentence, cause: &'static Template, next: Sentence) -> Finding {
    Finding {
        severity: Severity::Stops,
        code,
        what,
        cause: cause.plain(),
        next,
    }
}

/// What to think of.
fn warns(code: Code, what: &'static Template, cause: Sentence, next: Sentence) -> Finding {
    Finding {
        severity: Severity::Warns,
        code,
        what: what.plain(),
        cause,
        next,
    }
}

fn quoted(name: &str) -> Place {
    text(format_args!("{name:?}"))
}

fn base(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    if !facts.has_base {
        found.push(stops(
            Code::NoBase,
            BRANCH.with([("branch", text(facts.branch))]),
            &BRANCH_CAUSE,
            BRANCH_NEXT.plain(),
        ));
    }
    for name in facts.secrets_missing {
        found.push(stops(
            Code::SecretMissing,
            SECRET.with([("name", text(name))]),
            &SECRET_CAUSE,
            SECRET_NEXT.with([("name", text(name))]),
        ));
    }
    if let Some(error) = &facts.config_error {
        found.push(warns(
            Code::ConfigBroken,
            &SETTINGS,
            SETTINGS_CAUSE.with([("error", error.clone().into())]),
            SETTINGS_NEXT.plain(),
        ));
    }
}

fn order(facts: &Facts<'_>, agent: Option<&Agent>, found: &mut Vec<Finding>) {
    let body = facts.body.trim();
    if agent.is_some_and(|agent| agent.harness == Harness::Script) {
        if !body.contains("```") {
            found.push(Finding {
                severity: Severity::Stops,
                code: Code::NoBlock,
                what: ORDER.plain(),
                cause: NO_BLOCK_CAUSE.with([("agent", quoted(facts.agent))]),
                next: NO_BLOCK_NEXT.plain(),
            });
        }
        return;
    }
    let length = body.chars().count();
    if length < SHORT {
        let cause = match length {
            0 => EMPTY_CAUSE.plain(),
            some => SHORT_CAUSE.with([("count", text(some))]),
        };
        found.push(warns(Code::OrderShort, &ORDER, cause, SHORT_NEXT.plain()));
    }
}

fn tests(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let Some(acceptance) = facts.acceptance else {
        if facts.checks == 0 {
            found.push(warns(
                Code::NoProof,
                &PROOF,
                PROOF_CAUSE.plain(),
                PROOF_NEXT.plain(),
            ));
        }
        return;
    };
    match facts.tried {
        None if facts.being_tried => {}
        None => {
            let at = facts.number.map(|number| format!(" {number}"));
            found.push(warns(
                Code::Untried,
                &TESTS,
                UNTRIED_CAUSE.plain(),
                UNTRIED_NEXT.with([("number", text(at.unwrap_or_default()))]),
            ));
        }
        Some(tried) if tried.is_fit(acceptance.already_green) => {}
        Some(Tried::DoesNotRun { why, .. }) => found.push(Finding {
            severity: Severity::Stops,
            code: Code::TestsBroken,
            what: TESTS.plain(),
            cause: BROKEN_CAUSE.with([("why", why.words().into())]),
            next: BROKEN_NEXT.plain(),
        }),
        Some(Tried::Red { .. } | Tried::Green { .. }) => found.push(stops(
            Code::TestsGreen,
            TESTS.plain(),
            &GREEN_CAUSE,
            GREEN_NEXT.plain(),
        )),
    }
}

fn blockers(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    if facts.cycle {
        found.push(stops(
            Code::Cycle,
            FIRST.plain(),
            &CYCLE_CAUSE,
            CYCLE_NEXT.plain(),
        ));
    }
    for blocker in facts.blockers {
        let number = || [("number", text(blocker.number))];
        let (severity, cause, next) = match blocker.phase {
            None => (Severity::Stops, &GONE_CAUSE, &GONE_NEXT),
            Some(_) if blocker.failed => (Severity::Stops, &FAILED_CAUSE, &FAILED_NEXT),
            Some("draft") => (Severity::Stops, &DRAFT_CAUSE, &DRAFT_NEXT),
            Some("needs-input") => (Severity::Stops, &ASKED_CAUSE, &ASKED_NEXT),
            Some("in-review") => (Severity::Stops, &REVIEW_CAUSE, &REVIEW_NEXT),
            Some("closed") => (Severity::Warns, &CLOSED_CAUSE, &CLOSED_NEXT),
            Some(_) => continue,
        };
        found.push(Finding {
            severity,
            code: Code::Blocked,
            what: BLOCKER.with(number()),
            cause: cause.plain(),
            next: next.with(number()),
        });
    }
}

#[cfg(test)]
mod tests;
