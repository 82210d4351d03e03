//! Each thing is found, and only it.

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::failure::Reason;
use crate::sentence::Kept;
use crate::told::settings as say;
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
            images: false,
            draining: false,
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
        image: None,
        runners: &case.runners,
        spent: None,
        touched: &[],
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
        detail: Kept::quoted("spent"),
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
        images: false,
        draining: false,
    }];
    let contained = [
        Runner::default(),
        Runner {
            kinds: words(&["verify"]),
            images: true,
            ..Runner::default()
        },
    ];
    let no_program = [Runner {
        kinds: None,
        harnesses: words(&["script"]),
        images: false,
        draining: false,
    }];
    let parted = [
        no_program[0].clone(),
        Runner {
            kinds: words(&["verify", "trial"]),
            ..Runner::default()
        },
    ];
    let touched = [Touched {
        number: 7,
        paths: vec!["src/a.rs".to_owned()],
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
                config_error: Some(say::not_toml("line 1")),
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
                image: Some("team/base:1"),
                runners: &[],
                ..fine.clone()
            },
            &[("stops", "no-runner")],
        ),
        (
            Facts {
                image: Some("team/base:1"),
                ..fine.clone()
            },
            &[("stops", "no-images")],
        ),
        // What a runner without images takes does not count; the agent's program is the image's.
        (
            Facts {
                image: Some("team/base:1"),
                runners: &contained,
                ..fine.clone()
            },
            &[("stops", "no-runner")],
        ),
        (
            Facts {
                runners: &contained,
                ..fine.clone()
            },
            &[],
        ),
        // The program of one that takes no agent's jobs does not count.
        (
            Facts {
                runners: &parted,
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
        (
            Facts {
                touched: &touched,
                ..fine.clone()
            },
            &[("warns", "same-files")],
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
    assert_eq!(plan[0].what.to_string(), "jobs of the kind tryout");
    let next = plan[0].next.to_string();
    assert!(next.ends_with("--kind tryout`"), "{next}");
}

#[test]
fn that_all_that_could_are_draining_is_said_and_nothing_else() {
    let case = good();
    let able = case.runners[0].clone();
    let draining = Runner {
        draining: true,
        ..able.clone()
    };
    let bare = Runner {
        harnesses: words(&[]),
        ..able.clone()
    };
    let told = |runners: &[Runner]| -> Vec<String> {
        let known = Facts {
            runners,
            ..facts(&case)
        };
        let found = plan(&known).into_iter();
        found
            .map(|one| format!("{}: {}", one.what, one.cause))
            .collect()
    };
    let said = ["runners: those that could take its jobs are draining"];
    assert_eq!(told(std::slice::from_ref(&draining)), said);
    assert_eq!(told(&[draining.clone(), bare.clone()]), said);
    assert_eq!(told(&[draining.clone(), able]), [""; 0]);
    let of_bare = told(std::slice::from_ref(&bare));
    assert_eq!(of_bare.len(), 1, "{of_bare:?}");
    let bare_draining = Runner {
        draining: true,
        ..bare.clone()
    };
    assert_eq!(told(&[bare_draining, bare]), of_bare);
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
        facts.config_error = broken.map(say::not_toml);
        facts.has_base = flags[0];
        facts.cycle = flags[1];
        facts.checks = checks;
        if flags[2] { facts.acceptance = Some(&case.acceptance); }
        if flags[3] { facts.runners = &[]; }
        let found = plan(&facts);
        prop_assert!(found.is_sorted_by_key(|finding| finding.severity));
        for finding in &found {
            for part in [&finding.what, &finding.cause, &finding.next] {
                prop_assert!(!part.to_string().is_empty());
            }
        }
        prop_assert_eq!(&found, &plan(&facts));
        prop_assert_eq!(facts.has_base, !found.iter().any(|one| one.code == Code::NoBase));
    }
}
