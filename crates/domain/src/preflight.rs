//! Pre-flight: what would stop an issue tonight, or leave it without proof, said while a person is
//! still at the keyboard.
//!
//! A planner over facts: it finds, it never blocks; a draft with every finding is a draft. Each
//! finding names the thing, the cause and the next step. Deliberately absent: collecting the facts,
//! and what only the work itself can show.

use serde::{Deserialize, Serialize};

use crate::check::Acceptance;
use crate::config::{Agent, Harness};
use crate::failure::Failure;
use crate::id::Number;
use crate::job::Kind;
use crate::tryout::Tried;

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
    pub config_error: Option<String>,
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
    /// The runners that are alive.
    pub runners: &'a [Runner],
    /// Why its budget starts nothing, if it is spent.
    pub spent: Option<&'a Failure>,
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

/// What a runner that is alive says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runner {
    /// Kinds of jobs that it takes, if it says so.
    pub kinds: Option<Vec<String>>,
    /// Harnesses that it has, if it says so.
    pub harnesses: Option<Vec<String>>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of thing, as a word.
    pub code: Code,
    /// The thing.
    pub what: String,
    /// Why it is one.
    pub cause: String,
    /// What to do.
    pub next: String,
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
}

/// Everything that would stop the issue, then everything to think of.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    base(facts, &mut found);
    let agent = facts.agents.iter().find(|agent| agent.name == facts.agent);
    match agent {
        Some(agent) => runners(facts, agent, &mut found),
        None => {
            let names: Vec<&str> = facts
                .agents
                .iter()
                .map(|agent| agent.name.as_str())
                .collect();
            found.push(stops(
                Code::AgentUnknown,
                format!("the agent {:?}", facts.agent),
                "it is not defined in .nightshift/config.toml".to_owned(),
                format!("choose one of {}, or define it", names.join(", ")),
            ));
        }
    }
    order(facts, agent, &mut found);
    tests(facts, &mut found);
    blockers(facts, &mut found);
    if let Some(spent) = facts.spent {
        found.push(stops(
            Code::BudgetSpent,
            "the budget".to_owned(),
            spent.detail.clone(),
            "raise it, or close the issue".to_owned(),
        ));
    }
    // Stable: within each the order of the checks above.
    found.sort_by_key(|finding| finding.severity);
    found
}

fn finding(severity: Severity, code: Code, what: String, cause: String, next: String) -> Finding {
    Finding {
        severity,
        code,
        what,
        cause,
        next,
    }
}

fn stops(code: Code, what: String, cause: String, next: String) -> Finding {
    finding(Severity::Stops, code, what, cause, next)
}

fn warns(code: Code, what: &str, cause: String, next: &str) -> Finding {
    finding(
        Severity::Warns,
        code,
        what.to_owned(),
        cause,
        next.to_owned(),
    )
}

fn base(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    if !facts.has_base {
        found.push(stops(
            Code::NoBase,
            format!("the branch {}", facts.branch),
            "it has no commit, so there is nothing to begin from".to_owned(),
            "push one".to_owned(),
        ));
    }
    for name in facts.secrets_missing {
        found.push(stops(
            Code::SecretMissing,
            format!("the secret {name}"),
            "the project's settings name it, and it has no value".to_owned(),
            format!("set it with `nightshift secret set {name}` or on the project's page"),
        ));
    }
    if let Some(error) = &facts.config_error {
        found.push(warns(
            Code::ConfigBroken,
            "the project's settings",
            format!("{error}; the last good file is in force"),
            "mend the file, or know that what is new in it does not count",
        ));
    }
}

fn runners(facts: &Facts<'_>, agent: &Agent, found: &mut Vec<Finding>) {
    if facts.runners.is_empty() {
        found.push(stops(
            Code::NoRunner,
            "runners".to_owned(),
            "none is alive".to_owned(),
            "start one with `nightshift runner`".to_owned(),
        ));
        return;
    }
    let takes = |runner: &Runner, kind: Kind| {
        let kinds = runner.kinds.as_ref();
        kinds.is_none_or(|kinds| kinds.iter().any(|own| own == kind.as_str()))
    };
    let mut needed = vec![Kind::Author, Kind::Verify];
    if facts.acceptance.is_some() {
        needed.push(Kind::Tryout);
    }
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|kind| !facts.runners.iter().any(|runner| takes(runner, *kind)))
        .map(Kind::as_str)
        .collect();
    if !missing.is_empty() {
        found.push(stops(
            Code::NoRunner,
            format!("jobs of the kind {}", missing.join(" and ")),
            "no runner that is alive takes them".to_owned(),
            format!(
                "start a runner that does: `nightshift runner --kind {}`",
                missing.join(" --kind ")
            ),
        ));
    }
    let harness = agent.harness.as_str();
    let has = |runner: &Runner| {
        let own = runner.harnesses.as_ref();
        takes(runner, Kind::Author) && own.is_none_or(|own| own.iter().any(|one| one == harness))
    };
    if !facts.runners.iter().any(has) {
        found.push(stops(
            Code::NoHarness,
            format!("the harness {harness} of the agent {:?}", agent.name),
            "no runner that is alive has its program and its model endpoint".to_owned(),
            "install the program and set the endpoint in a runner's settings, or choose another agent"
                .to_owned(),
        ));
    }
}

fn order(facts: &Facts<'_>, agent: Option<&Agent>, found: &mut Vec<Finding>) {
    let body = facts.body.trim();
    if agent.is_some_and(|agent| agent.harness == Harness::Script) {
        if !body.contains("```") {
            found.push(stops(
                Code::NoBlock,
                "the order".to_owned(),
                format!(
                    "the agent {:?} runs the fenced blocks of the order, and there is none",
                    facts.agent
                ),
                "write a block ```sh, or choose another agent".to_owned(),
            ));
        }
        return;
    }
    let length = body.chars().count();
    if length < SHORT {
        let cause = match length {
            0 => "the agent gets nothing but the title".to_owned(),
            some => format!("it has {some} characters"),
        };
        found.push(warns(
            Code::OrderShort,
            "the order",
            cause,
            "say what, why, and how one sees that it is done",
        ));
    }
}

fn tests(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let Some(acceptance) = facts.acceptance else {
        if facts.checks == 0 {
            found.push(warns(
                Code::NoProof,
                "the proof",
                "the project has no check and the issue no sealed test: the result would be unproven"
                    .to_owned(),
                "seal a test, or define a check in .nightshift/config.toml",
            ));
        }
        return;
    };
    let at = facts
        .number
        .map_or_else(String::new, |number| format!(" {number}"));
    match facts.tried {
        None if facts.being_tried => {}
        None => found.push(warns(
            Code::Untried,
            "the sealed tests",
            "they were not tried on the base as it is now".to_owned(),
            &format!("try them (`nightshift issue try{at}`); before the agent begins they are tried anyway"),
        )),
        Some(tried) if tried.is_fit(acceptance.already_green) => {}
        Some(Tried::DoesNotRun { why, .. }) => found.push(stops(
            Code::TestsBroken,
            "the sealed tests".to_owned(),
            format!("they do not run on the base: {}", why.words()),
            "correct them".to_owned(),
        )),
        Some(Tried::Red { .. } | Tried::Green { .. }) => found.push(stops(
            Code::TestsGreen,
            "the sealed tests".to_owned(),
            "they pass on the base without any change".to_owned(),
            "make them test what is wrong, or say that they may pass already".to_owned(),
        )),
    }
}

fn blockers(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    if facts.cycle {
        found.push(stops(
            Code::Cycle,
            "what must be done first".to_owned(),
            "these issues would wait for each other for ever".to_owned(),
            "take one of them out".to_owned(),
        ));
    }
    for blocker in facts.blockers {
        let what = format!("#{}, which must be done first", blocker.number);
        let number = blocker.number;
        let stop =
            |cause: &str, next: String| stops(Code::Blocked, what.clone(), cause.to_owned(), next);
        match blocker.phase {
            None => found.push(stop("there is no such issue", "take it out".to_owned())),
            Some(_) if blocker.failed => found.push(stop(
                "it failed and waits for a person",
                format!("look at it: `nightshift issue show {number}`"),
            )),
            Some("draft") => found.push(stop(
                "it is a draft, so nothing works on it",
                format!("mark it ready: `nightshift issue ready {number}`"),
            )),
            Some("needs-input") => found.push(stop(
                "its agent asked and waits",
                format!("answer: `nightshift issue answer {number}`"),
            )),
            Some("in-review") => found.push(stop(
                "it waits for a decision",
                format!("decide: `nightshift pr show {number}`"),
            )),
            Some("closed") => found.push(warns(
                Code::Blocked,
                &what,
                "it was closed without a change, and holds nothing up any more".to_owned(),
                "make sure that this issue can do without it",
            )),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::failure::Reason;
    use crate::tryout::Why;

    const BODY: &str = "Say hello to everybody who comes in, in their own language.";

    struct Case {
        agents: Vec<Agent>,
        acceptance: Acceptance,
        runners: Vec<Runner>,
    }

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Nothing is wrong: an agent that a runner has, one check.
    fn good() -> Case {
        let text = "[[agent]]\nname = \"claude\"\nharness = \"claude-code\"";
        Case {
            agents: Config::parse(text).expect("a file").agents,
            acceptance: Acceptance {
                run: "make accept".to_owned(),
                already_green: false,
                timeout_s: 60,
                files: vec![],
            },
            runners: vec![Runner {
                kinds: words(&["author", "verify", "trial", "tryout"]),
                harnesses: words(&["script", "command", "claude-code"]),
            }],
        }
    }

    fn facts(case: &Case) -> Facts<'_> {
        Facts {
            number: Some(4),
            body: BODY,
            agent: "claude",
            agents: &case.agents,
            config_error: None,
            branch: "main",
            has_base: true,
            secrets_missing: &[],
            checks: 1,
            acceptance: None,
            tried: None,
            being_tried: false,
            blockers: &[],
            cycle: false,
            runners: &case.runners,
            spent: None,
        }
    }

    fn found(facts: &Facts<'_>) -> Vec<(&'static str, &'static str)> {
        plan(facts)
            .iter()
            .map(|finding| (finding.severity.as_str(), finding.code.as_str()))
            .collect()
    }

    #[test]
    fn each_thing_is_found_and_only_it() {
        let case = good();
        let fine = facts(&case);
        assert_eq!(found(&fine), []);
        let missing = ["A".to_owned(), "B".to_owned()];
        let green = Tried::Green {
            result: crate::check::CheckResult {
                name: "acceptance".to_owned(),
                commit: crate::git_name::ObjectId::zero(),
                outcome: crate::check::Outcome::Passed,
                duration_ms: 1,
                output_tail: String::new(),
            },
        };
        let broken = Tried::DoesNotRun {
            why: Why::TimedOut,
            result: None,
        };
        let spent = Failure {
            reason: Reason::BudgetExhausted,
            detail: "spent".to_owned(),
            retry_at: None,
        };
        let blocked = |phase, failed| {
            vec![Blocker {
                number: 3,
                phase,
                failed,
            }]
        };
        let (draft, failed) = (blocked(Some("draft"), false), blocked(Some("ready"), true));
        let (closed, working) = (
            blocked(Some("closed"), false),
            blocked(Some("working"), false),
        );
        let (gone, review) = (blocked(None, false), blocked(Some("in-review"), false));
        let silent = [Runner::default()];
        let proofs_only = [Runner {
            kinds: words(&["verify"]),
            harnesses: words(&[]),
        }];
        let no_program = [Runner {
            kinds: None,
            harnesses: words(&["script"]),
        }];
        let tests = Some(&case.acceptance);
        let cases: Vec<(Facts<'_>, &[(&str, &str)])> = vec![
            (
                Facts {
                    agent: "gone",
                    ..fine.clone()
                },
                &[("stops", "agent-unknown")],
            ),
            (
                Facts {
                    body: " ",
                    ..fine.clone()
                },
                &[("warns", "order-short")],
            ),
            (
                Facts {
                    body: "Do it.",
                    ..fine.clone()
                },
                &[("warns", "order-short")],
            ),
            (
                Facts {
                    agent: "script",
                    ..fine.clone()
                },
                &[("stops", "no-block")],
            ),
            (
                Facts {
                    agent: "script",
                    body: "```sh\ntrue\n```",
                    ..fine.clone()
                },
                &[],
            ),
            (
                Facts {
                    config_error: Some("line 1".to_owned()),
                    ..fine.clone()
                },
                &[("warns", "config-broken")],
            ),
            (
                Facts {
                    secrets_missing: &missing,
                    ..fine.clone()
                },
                &[("stops", "secret-missing"), ("stops", "secret-missing")],
            ),
            (
                Facts {
                    has_base: false,
                    ..fine.clone()
                },
                &[("stops", "no-base")],
            ),
            (
                Facts {
                    runners: &[],
                    ..fine.clone()
                },
                &[("stops", "no-runner")],
            ),
            (
                Facts {
                    runners: &silent,
                    ..fine.clone()
                },
                &[],
            ),
            (
                Facts {
                    runners: &proofs_only,
                    ..fine.clone()
                },
                &[("stops", "no-runner"), ("stops", "no-harness")],
            ),
            (
                Facts {
                    runners: &no_program,
                    ..fine.clone()
                },
                &[("stops", "no-harness")],
            ),
            (
                Facts {
                    checks: 0,
                    ..fine.clone()
                },
                &[("warns", "no-proof")],
            ),
            (
                Facts {
                    acceptance: tests,
                    ..fine.clone()
                },
                &[("warns", "untried")],
            ),
            (
                Facts {
                    acceptance: tests,
                    checks: 0,
                    being_tried: true,
                    ..fine.clone()
                },
                &[],
            ),
            (
                Facts {
                    acceptance: tests,
                    tried: Some(&green),
                    ..fine.clone()
                },
                &[("stops", "tests-green")],
            ),
            (
                Facts {
                    acceptance: tests,
                    tried: Some(&broken),
                    ..fine.clone()
                },
                &[("stops", "tests-broken")],
            ),
            (
                Facts {
                    blockers: &draft,
                    ..fine.clone()
                },
                &[("stops", "blocked")],
            ),
            (
                Facts {
                    blockers: &failed,
                    ..fine.clone()
                },
                &[("stops", "blocked")],
            ),
            (
                Facts {
                    blockers: &gone,
                    ..fine.clone()
                },
                &[("stops", "blocked")],
            ),
            (
                Facts {
                    blockers: &review,
                    ..fine.clone()
                },
                &[("stops", "blocked")],
            ),
            (
                Facts {
                    blockers: &closed,
                    ..fine.clone()
                },
                &[("warns", "blocked")],
            ),
            (
                Facts {
                    blockers: &working,
                    ..fine.clone()
                },
                &[],
            ),
            (
                Facts {
                    cycle: true,
                    ..fine.clone()
                },
                &[("stops", "cycle")],
            ),
            (
                Facts {
                    spent: Some(&spent),
                    ..fine.clone()
                },
                &[("stops", "budget-spent")],
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(found(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_tests_command_is_only_wanted_of_runners_where_there_are_tests() {
        let mut case = good();
        case.runners[0].kinds = words(&["author", "verify", "trial"]);
        assert_eq!(found(&facts(&case)), []);
        let with_tests = Facts {
            acceptance: Some(&case.acceptance),
            ..facts(&case)
        };
        let plan = plan(&with_tests);
        assert_eq!(plan[0].code, Code::NoRunner);
        assert_eq!(plan[0].what, "jobs of the kind tryout");
        assert!(plan[0].next.ends_with("--kind tryout`"), "{}", plan[0].next);
    }

    #[test]
    fn words_and_serialised_names_agree() {
        for code in Code::ALL {
            let wire = serde_json::to_string(code).expect("a word");
            assert_eq!(wire, format!("\"{}\"", code.as_str()));
        }
    }

    proptest! {
        /// Whatever is known: what stops comes first, every finding says all three things, and looking
        /// twice finds the same.
        #[test]
        fn findings_are_whole_and_in_order(
            body in ".{0,60}",
            agent in prop::sample::select(vec!["claude", "script", "gone"]),
            broken in prop::option::of("[a-z]{1,9}"),
            flags in prop::array::uniform4(any::<bool>()),
            checks in 0..3_usize,
        ) {
            let case = good();
            let mut facts = facts(&case);
            facts.body = &body;
            facts.agent = agent;
            facts.config_error = broken;
            facts.has_base = flags[0];
            facts.cycle = flags[1];
            facts.checks = checks;
            if flags[2] { facts.acceptance = Some(&case.acceptance); }
            if flags[3] { facts.runners = &[]; }
            let found = plan(&facts);
            prop_assert!(found.is_sorted_by_key(|finding| finding.severity));
            for finding in &found {
                prop_assert!(!finding.what.is_empty() && !finding.cause.is_empty() && !finding.next.is_empty());
            }
            prop_assert_eq!(&found, &plan(&facts));
            prop_assert_eq!(facts.has_base, !found.iter().any(|one| one.code == Code::NoBase));
        }
    }
}
