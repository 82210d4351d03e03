//! What Gemini CLI, opencode, Qwen Code and Copilot printed, recorded from the real programs against a
//! scripted model (`recorded/<harness>/<what>.jsonl`; a line with `!` before it came on standard error),
//! and what is made of it.
//!
//! The versions are those that `needs` of each harness names as checked. Recorded anew when one changes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use nightshift_domain::transcript::{Entry, Stream, Usage};
use nightshift_runner::harness::{AgentFailure, AgentOrder, AgentOutcome, Exit, Session, by_name};

const ALL: [&str; 4] = ["gemini", "opencode", "qwen", "copilot"];

/// What one start used, as the script of the recordings had it: three calls.
const USED: Usage = Usage {
    input_tokens: 600,
    cached_input_tokens: 3000,
    output_tokens: 102,
    cost_micro_usd: None,
};

/// Reads a recording as the runner would have read the program.
fn read(
    harness: &str,
    what: &str,
    exit: Exit,
    before: Option<&Session>,
) -> (Vec<Entry>, AgentOutcome) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recorded")
        .join(harness)
        .join(format!("{what}.jsonl"));
    let mut order = AgentOrder::new("", "");
    order.session = before.cloned();
    let mut parser = by_name(harness).unwrap().parser(&order);
    let mut entries = Vec::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        entries.extend(match line.strip_prefix('!') {
            Some(line) => parser.line(Stream::Stderr, line.as_bytes()),
            None => parser.line(Stream::Stdout, line.as_bytes()),
        });
    }
    (entries, parser.finish(exit))
}

#[test]
fn work_is_told_in_the_words_of_every_log() {
    for harness in ALL {
        let (entries, outcome) = read(harness, "works", Exit::Code(0), None);
        assert_eq!(outcome.failure, None, "{harness}");
        assert_eq!(
            outcome.final_text.as_deref(),
            Some("add() is fixed."),
            "{harness}"
        );
        let told: Vec<String> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Text { text } => Some(text.clone()),
                Entry::ToolCall { tool, .. } => Some(format!("call {tool}")),
                Entry::ToolResult {
                    is_error, output, ..
                } => {
                    let last = output.lines().any(|line| line.contains("return a + b"));
                    Some(format!("answer {is_error} {last}"))
                }
                Entry::Output { .. }
                | Entry::Usage(_)
                | Entry::Question { .. }
                | Entry::Status { .. } => None,
            })
            .collect();
        let (tool, exit_3) = match harness {
            // It does not tell how a command ended.
            "gemini" => ("run_shell_command", "answer false true"),
            "qwen" => ("run_shell_command", "answer true true"),
            _ => ("bash", "answer true true"),
        };
        let call = format!("call {tool}");
        assert_eq!(
            told,
            [
                "I fix the operator.",
                &call,
                "answer false false",
                "Now I look.",
                &call,
                exit_3,
                "add() is fixed."
            ],
            "{harness}"
        );
        let unread = entries.iter().filter(|entry| {
            matches!(
                entry,
                Entry::Output {
                    stream: Stream::Stdout,
                    ..
                }
            )
        });
        assert_eq!(unread.count(), 0, "{harness}: an event is not known");
    }
}

#[test]
fn usage_is_of_one_start_also_after_a_resume() {
    for harness in ALL {
        let (_, first) = read(harness, "works", Exit::Code(0), None);
        let told = match harness {
            // It tells none; the broker counts.
            "copilot" => Usage::default(),
            _ => USED,
        };
        assert_eq!(first.usage, told, "{harness}");
        let session = first.session.unwrap();
        let (_, second) = read(harness, "resumes", Exit::Code(0), Some(&session));
        assert_eq!(second.usage, told, "{harness}");
        let resumed = second.session.unwrap();
        assert_eq!(resumed.id, session.id, "{harness}");
        assert_eq!(
            resumed.totals.output_tokens,
            2 * told.output_tokens,
            "{harness}"
        );
    }
}

#[test]
fn failures_are_told_apart() {
    let exit = |harness: &str, what: &str| match (harness, what) {
        ("gemini", "401") => Exit::Code(145),
        ("gemini", "429") => Exit::Code(173),
        ("gemini", "500") => Exit::Code(244),
        ("gemini", "lost") => Exit::Code(42),
        // It waits for minutes and was ended meanwhile.
        ("qwen", "429") => Exit::Stopped,
        _ => Exit::Code(1),
    };
    for harness in ALL {
        for (what, expected) in [
            ("401", "Unauthorized"),
            ("429", "RateLimited"),
            ("500", "Overloaded"),
            ("lost", "SessionLost"),
        ] {
            let (_, outcome) = read(harness, what, exit(harness, what), None);
            let told = format!("{:?}", outcome.failure.unwrap());
            assert!(told.starts_with(expected), "{harness} {what}: {told}");
            assert_eq!(outcome.usage, Usage::default(), "{harness} {what}");
        }
        let (_, outcome) = read(harness, "lost", exit(harness, "lost"), None);
        assert_eq!(outcome.session, None, "{harness}");
    }
}

#[test]
fn an_end_in_the_middle_is_no_success() {
    for harness in ALL {
        let order = AgentOrder::new("", "");
        for (exit, expected) in [(Exit::Code(0), "Crashed"), (Exit::Signal(9), "Crashed")] {
            let outcome = by_name(harness).unwrap().parser(&order).finish(exit);
            let told = format!("{:?}", outcome.failure.unwrap());
            assert!(told.starts_with(expected), "{harness}: {told}");
        }
        let outcome = by_name(harness)
            .unwrap()
            .parser(&order)
            .finish(Exit::Stopped);
        assert_eq!(outcome.failure, None, "{harness}");
    }
}

#[test]
fn a_tree_that_opencode_would_load_is_refused_and_not_tried_again() {
    let mut parser = by_name("opencode")
        .unwrap()
        .parser(&AgentOrder::new("", ""));
    parser.line(
        Stream::Stderr,
        b"nightshift: the tree has .opencode, which opencode would load: remove it",
    );
    let failure = parser.finish(Exit::Code(78)).failure.unwrap();
    assert!(
        matches!(failure, AgentFailure::Refused { .. }),
        "{failure:?}"
    );
    assert!(failure.to_string().contains("remove it"), "{failure}");
}
