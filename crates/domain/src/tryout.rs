//! Tryout: the sealed tests of an issue, run once on the base before anybody works on it.
//!
//! They should be red there, for the right reason. What looks like a fault of the tests themselves
//! (the command is missing, they hang, the set-up fails) is said as such; where that is not certain
//! the result is red, and a person sees the output. A result is about one seal on one base and decides
//! only whether the agent is let at it: a verdict measures anew. Deliberately absent: running anything.

use serde::{Deserialize, Serialize};

use crate::check::{Acceptance, CheckResult, Outcome, limit_name};
use crate::failure::{Failure, Reason};
use crate::git_name::ObjectId;
use crate::id::Number;
use crate::issue::Cause;
use crate::sentence::{Sentence, templates, text};
use crate::told::failure as say;

/// What a run brings: raw results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The base they are about.
    pub base: ObjectId,
    /// The set-up command, where the project has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<CheckResult>,
    /// The sealed tests; absent where the set-up failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<CheckResult>,
}

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tried", rename_all = "kebab-case")]
pub enum Tried {
    /// Red, as it should be.
    Red {
        /// The tests' result.
        result: CheckResult,
    },
    /// They pass without any change.
    Green {
        /// The tests' result.
        result: CheckResult,
    },
    /// They say nothing about the change.
    DoesNotRun {
        /// Why not.
        why: Why,
        /// The result of the command that could not be: the tests', or the set-up's.
        result: Option<CheckResult>,
    },
}

/// Why sealed tests do not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// The project's set-up command fails on the base.
    SetupFailed,
    /// A program that they call is not in the sandbox.
    ProgramMissing {
        /// Its name, where the output has it.
        program: Option<String>,
    },
    /// A file that the command names is neither sealed nor on the base.
    FileMissing {
        /// Its path.
        path: String,
    },
    /// A file that the command starts may not be executed.
    NotExecutable,
    /// The command, or a sealed file, cannot be read by its interpreter.
    SyntaxError,
    /// The command ran and found no test.
    NoTests,
    /// They did not end within their time.
    TimedOut,
    /// They hit a limit of the sandbox.
    Capped {
        /// Which limit.
        limit: String,
    },
    /// The run brought no result of them.
    NoResult,
}

/// Reads what a run brought.
#[must_use]
pub fn read(report: &Report, acceptance: &Acceptance) -> Tried {
    let not = |why, result: Option<&CheckResult>| Tried::DoesNotRun {
        why,
        result: result.cloned(),
    };
    match (&report.setup, &report.acceptance) {
        (Some(setup), _) if !setup.passed() => not(Why::SetupFailed, Some(setup)),
        (_, None) => not(Why::NoResult, None),
        (_, Some(result)) => match &result.outcome {
            Outcome::Passed => Tried::Green {
                result: result.clone(),
            },
            Outcome::TimedOut => not(Why::TimedOut, Some(result)),
            Outcome::Capped { limit } => not(
                Why::Capped {
                    limit: limit.clone(),
                },
                Some(result),
            ),
            Outcome::Failed { code } => match fault(*code, &result.output_tail, acceptance) {
                Some(why) => not(why, Some(result)),
                None => Tried::Red {
                    result: result.clone(),
                },
            },
        },
    }
}

/// A fault of the tests themselves, where the output leaves no doubt.
fn fault(code: i32, output: &str, acceptance: &Acceptance) -> Option<Why> {
    if code == 126 {
        return Some(Why::NotExecutable);
    }
    let program = output.lines().rev().find_map(missing_program);
    // A verdict takes this for no red test either, whatever is missing.
    if code == 127 {
        return Some(Why::ProgramMissing { program });
    }
    // Below another program a path is what the change may bring; a bare name is looked up outside.
    if output.contains("Error 127") && program.as_ref().is_some_and(|name| !name.contains('/')) {
        return Some(Why::ProgramMissing { program });
    }
    if let Some(program) = output.lines().rev().find_map(missing_runner) {
        return Some(Why::ProgramMissing {
            program: Some(program),
        });
    }
    if let Some(path) = output.lines().find_map(missing_file) {
        return Some(Why::FileMissing { path });
    }
    if syntax_error(output, acceptance) {
        return Some(Why::SyntaxError);
    }
    // What pytest says and how it ends when nothing was collected.
    (code == 5 && output.contains("no tests ran")).then_some(Why::NoTests)
}

/// `sh: 1: pytest: not found`, `bash: line 1: pytest: command not found`, `make: pytest: No such file
/// or directory`.
fn missing_program(line: &str) -> Option<String> {
    let line = line.trim_end();
    let before = [": not found", ": command not found"]
        .into_iter()
        .find_map(|end| line.strip_suffix(end))
        .or_else(|| {
            line.strip_prefix("make: ")?
                .strip_suffix(": No such file or directory")
        })?;
    let name = before.rsplit(": ").next()?.trim();
    (!name.is_empty() && !name.contains(' ')).then(|| name.to_owned())
}

/// `/usr/bin/python3: No module named pytest`, without a traceback: the interpreter says it of `-m`.
fn missing_runner(line: &str) -> Option<String> {
    let (before, module) = line.trim_end().split_once(": No module named ")?;
    let module = module.trim_matches('\'');
    let runner = ["pytest", "unittest", "nose2", "tox", "behave"].contains(&module);
    (before.contains("python") && !before.contains(' ') && runner).then(|| module.to_owned())
}

/// `sh: 0: cannot open t.sh: No such file`, `python3: can't open file '/workspace/t.py': [Errno 2] …`.
fn missing_file(line: &str) -> Option<String> {
    if let Some((before, rest)) = line.split_once(": cannot open ")
        && before.ends_with(": 0")
    {
        return Some(rest.split(": ").next()?.to_owned());
    }
    let (_, rest) = line.split_once(": can't open file '")?;
    let path = rest.split('\'').next()?;
    Some(path.trim_start_matches("/workspace/").to_owned())
}

/// An interpreter's complaint about the command itself, or beside the name of a sealed file.
fn syntax_error(output: &str, acceptance: &Acceptance) -> bool {
    let sealed = |line: &str| {
        let named = |path: &str| !path.is_empty() && line.contains(path);
        acceptance.files.iter().any(|file| named(&file.path))
    };
    let own = |line: &str| {
        ["sh: ", "/bin/sh: ", "bash: ", "/bin/sh: -c: "]
            .iter()
            .any(|shell| line.starts_with(shell))
    };
    let lines: Vec<&str> = output.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let shell = line.contains(": Syntax error: ") || line.contains(": syntax error ");
        if shell {
            return own(line) || sealed(line);
        }
        // Python, Node and Ruby name the file some lines before.
        let words = ["SyntaxError: ", "IndentationError: ", "TabError: "];
        words.iter().any(|word| line.trim_start().starts_with(word))
            && lines[at.saturating_sub(6)..at]
                .iter()
                .any(|line| sealed(line))
    })
}

impl Tried {
    /// The word used on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Red { .. } => "red",
            Self::Green { .. } => "green",
            Self::DoesNotRun { .. } => "does-not-run",
        }
    }

    /// The result of the command that decided.
    #[must_use]
    pub fn result(&self) -> Option<&CheckResult> {
        match self {
            Self::Red { result } | Self::Green { result } => Some(result),
            Self::DoesNotRun { result, .. } => result.as_ref(),
        }
    }

    /// In words, without a full stop.
    #[must_use]
    pub fn words(&self, already_green: bool) -> String {
        match self {
            Self::Red { .. } => "red as expected".to_owned(),
            Self::Green { .. } if already_green => "green, as the issue says".to_owned(),
            Self::Green { .. } => "already green".to_owned(),
            Self::DoesNotRun { why, .. } => format!("does not run: {}", why.words()),
        }
    }

    /// Whether the agent can be let at it.
    #[must_use]
    pub fn is_fit(&self, already_green: bool) -> bool {
        match self {
            Self::Red { .. } => true,
            Self::Green { .. } => already_green,
            Self::DoesNotRun { .. } => false,
        }
    }
}

templates! {
    SETUP_FAILED = "tryout.setup-failed": "the project's set-up command fails on the base";
    PROGRAM_MISSING = "tryout.program-missing": "the program `{program}` is missing";
    SOME_PROGRAM_MISSING = "tryout.some-program": "a program is missing";
    FILE_MISSING = "tryout.file-missing": "the file `{path}` is neither sealed nor on the base";
    NOT_EXECUTABLE = "tryout.not-executable": "a file that the command starts is not executable";
    SYNTAX_ERROR = "tryout.syntax-error": "the tests have a syntax error";
    NO_TESTS = "tryout.no-tests": "the command found no test";
    TIMED_OUT = "tryout.timed-out": "they did not end within their time";
    CAPPED = "tryout.capped": "they hit the {limit} limit of the sandbox";
    NO_RESULT = "tryout.no-result": "the run brought no result";
}

impl Why {
    /// In words, without a full stop.
    #[must_use]
    pub fn words(&self) -> Sentence {
        match self {
            Self::SetupFailed => SETUP_FAILED.plain(),
            Self::ProgramMissing {
                program: Some(program),
            } => PROGRAM_MISSING.with([("program", text(program))]),
            Self::ProgramMissing { program: None } => SOME_PROGRAM_MISSING.plain(),
            Self::FileMissing { path } => FILE_MISSING.with([("path", text(path))]),
            Self::NotExecutable => NOT_EXECUTABLE.plain(),
            Self::SyntaxError => SYNTAX_ERROR.plain(),
            Self::NoTests => NO_TESTS.plain(),
            Self::TimedOut => TIMED_OUT.plain(),
            Self::Capped { limit } => CAPPED.with([("limit", limit_name(limit))]),
            Self::NoResult => NO_RESULT.plain(),
        }
    }
}

/// What is known when an author is about to be queued.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The issue's number.
    pub number: Number,
    /// Why the author would start.
    pub cause: &'a Cause,
    /// Whether nothing was brought for the issue yet.
    pub first: bool,
    /// The issue's sealed tests.
    pub acceptance: Option<&'a Acceptance>,
    /// What these very tests did on the base as it is now.
    pub tried: Option<&'a Tried>,
}

/// Whether the author may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Start,
    /// The sealed tests are tried first.
    TryFirst,
    /// A person must look at the tests first.
    Stop(Failure),
}

/// Decides whether the author may start: sealed tests are tried before the first one, and what is wrong
/// with them is told then and not after a night. A person who tries again without changing the tests
/// means it.
#[must_use]
pub fn gate(facts: &Facts<'_>) -> Gate {
    let Some(acceptance) = facts.acceptance.filter(|_| facts.first) else {
        return Gate::Start;
    };
    match facts.tried {
        None => Gate::TryFirst,
        Some(tried) if tried.is_fit(acceptance.already_green) => Gate::Start,
        Some(_) if *facts.cause == Cause::Retry => Gate::Start,
        Some(tried) => Gate::Stop(unfit(tried, facts.number)),
    }
}

fn unfit(tried: &Tried, number: Number) -> Failure {
    match tried {
        Tried::Red { .. } | Tried::Green { .. } => {
            Failure::new(Reason::AcceptanceGreen, say::tests_green(number))
        }
        Tried::DoesNotRun { why, result } => {
            let tail = result
                .as_ref()
                .map(|result| last_lines(&result.output_tail));
            let tail = tail.filter(|tail| !tail.is_empty());
            let broken = say::tests_broken(why.words(), number);
            let whole = match tail {
                Some(tail) => say::with_last_words(broken, tail),
                None => broken,
            };
            Failure::new(Reason::AcceptanceBroken, whole)
        }
    }
}

/// The last lines of an output, for a message.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().rev().take(8).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::SealedFile;

    fn acceptance(run: &str, path: &str, already_green: bool) -> Acceptance {
        Acceptance {
            run: run.to_owned(),
            already_green,
            timeout_s: 60,
            files: vec![SealedFile {
                path: path.to_owned(),
                executable: false,
                content_base64: String::new(),
            }],
        }
    }

    fn result(outcome: Outcome, output: &str) -> CheckResult {
        CheckResult {
            name: "acceptance".to_owned(),
            commit: ObjectId::zero(),
            outcome,
            duration_ms: 5,
            output_tail: output.to_owned(),
        }
    }

    fn tried(outcome: Outcome, output: &str) -> Tried {
        let report = Report {
            base: ObjectId::zero(),
            setup: None,
            acceptance: Some(result(outcome, output)),
        };
        read(&report, &acceptance("sh tests/t.sh", "tests/t.sh", false))
    }

    #[test]
    fn a_fault_of_the_tests_is_told_from_a_red() {
        let python = "Traceback (most recent call last):\n  File \"/workspace/t.py\", line 1\nModuleNotFoundError: No module named 'greet'\n";
        let cases = [
            (1, "", "red as expected"),
            (1, python, "red as expected"),
            (1, "AssertionError: 1 != 2", "red as expected"),
            (
                2,
                "make: *** [Makefile:3: accept] Error 1",
                "red as expected",
            ),
            (
                127,
                "/bin/sh: 1: pytest: not found",
                "does not run: the program `pytest` is missing",
            ),
            (
                127,
                "tests/t.sh: line 3: cargo: command not found\n",
                "does not run: the program `cargo` is missing",
            ),
            (
                2,
                "make: npm: No such file or directory\nmake: *** [Makefile:2: accept] Error 127",
                "does not run: the program `npm` is missing",
            ),
            // What the change shall bring.
            (
                2,
                "make: ./greet: No such file or directory\nmake: *** [Makefile:2: accept] Error 127",
                "red as expected",
            ),
            // A verdict would not take it for a red test.
            (
                127,
                "tests/t.sh: 2: ./greet: not found",
                "does not run: the program `./greet` is missing",
            ),
            (
                127,
                "nothing that is known",
                "does not run: a program is missing",
            ),
            (
                1,
                "/usr/bin/python3: No module named pytest",
                "does not run: the program `pytest` is missing",
            ),
            (
                1,
                "/usr/bin/python3: No module named greet",
                "red as expected",
            ),
            (
                2,
                "sh: 0: cannot open tests/x.sh: No such file",
                "does not run: the file `tests/x.sh` is neither sealed nor on the base",
            ),
            (
                2,
                "python3: can't open file '/workspace/t.py': [Errno 2] No such file or directory",
                "does not run: the file `t.py` is neither sealed nor on the base",
            ),
            (
                126,
                "/bin/sh: 1: tests/t.sh: Permission denied",
                "does not run: a file that the command starts is not executable",
            ),
            (
                2,
                "tests/t.sh: 3: Syntax error: end of file unexpected (expecting \"fi\")",
                "does not run: the tests have a syntax error",
            ),
            (
                2,
                "/bin/sh: 1: Syntax error: Unterminated quoted string",
                "does not run: the tests have a syntax error",
            ),
            // In a file of the project: that may be the very thing to mend.
            (
                2,
                "lib.sh: 3: Syntax error: \"}\" unexpected",
                "red as expected",
            ),
            (
                1,
                "  File \"/workspace/tests/t.sh\", line 2\n    def x(\n         ^\nSyntaxError: '(' was never closed",
                "does not run: the tests have a syntax error",
            ),
            (
                5,
                "collected 0 items\n\n== no tests ran in 0.01s ==",
                "does not run: the command found no test",
            ),
        ];
        for (code, output, expected) in cases {
            let tried = tried(Outcome::Failed { code }, output);
            assert_eq!(tried.words(false), expected, "{code}: {output}");
        }
        assert_eq!(tried(Outcome::Passed, "").words(false), "already green");
        assert_eq!(
            tried(Outcome::Passed, "").words(true),
            "green, as the issue says"
        );
        assert_eq!(
            tried(Outcome::TimedOut, "").words(false),
            "does not run: they did not end within their time"
        );
    }

    #[test]
    fn a_set_up_that_fails_is_not_a_red_test() {
        let report = Report {
            base: ObjectId::zero(),
            setup: Some(result(Outcome::Failed { code: 1 }, "no network")),
            acceptance: None,
        };
        let tried = read(&report, &acceptance("x", "x", false));
        assert_eq!(
            tried.words(false),
            "does not run: the project's set-up command fails on the base"
        );
        assert_eq!(
            tried.result().map(|r| r.output_tail.as_str()),
            Some("no network")
        );
    }

    #[test]
    fn the_gate_as_a_table() {
        let red = tried(Outcome::Failed { code: 1 }, "");
        let green = tried(Outcome::Passed, "");
        let broken = tried(Outcome::TimedOut, "still waiting");
        let tests = acceptance("x", "x", false);
        let refactoring = acceptance("x", "x", true);
        let facts = |first, acceptance, tried, cause| Facts {
            number: 4,
            cause,
            first,
            acceptance,
            tried,
        };
        let (first, retry) = (&Cause::First, &Cause::Retry);
        let start = [
            facts(true, None, None, first),
            facts(false, Some(&tests), None, first),
            facts(true, Some(&tests), Some(&red), first),
            facts(true, Some(&refactoring), Some(&green), first),
            facts(true, Some(&tests), Some(&green), retry),
            facts(true, Some(&tests), Some(&broken), retry),
        ];
        for facts in start {
            assert_eq!(gate(&facts), Gate::Start, "{facts:?}");
        }
        for cause in [first, retry] {
            assert_eq!(
                gate(&facts(true, Some(&tests), None, cause)),
                Gate::TryFirst
            );
        }
        let stopped = |tried| match gate(&facts(true, Some(&tests), Some(tried), first)) {
            Gate::Stop(failure) => failure,
            other => panic!("{other:?}"),
        };
        assert_eq!(stopped(&green).reason, Reason::AcceptanceGreen);
        let broken = stopped(&broken);
        assert_eq!(broken.reason, Reason::AcceptanceBroken);
        assert!(
            broken.detail.as_str().ends_with("still waiting"),
            "{}",
            broken.detail
        );
    }

    proptest! {
        /// Whatever the tests print: a pass is never called red, and no exit status but 0 is green.
        #[test]
        fn output_decides_nothing_about_colour(code in 1..255, output in ".{0,200}") {
            let failed = tried(Outcome::Failed { code }, &output);
            prop_assert!(failed.as_str() != "green");
            let passed = tried(Outcome::Passed, &output);
            prop_assert_eq!(passed.as_str(), "green");
        }
    }
}
