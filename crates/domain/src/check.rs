//! Checks: named commands, their results, and the verdict they add up to.
//!
//! Green means: every required check and the sealed acceptance tests passed on exactly this head,
//! the acceptance tests were red on the base (or declared already green), and no sealed file was
//! changed. With nothing to prove there is no green, only `unproven`. Deliberately absent: any
//! result that the agent's own sandbox produced.

use serde::{Deserialize, Serialize};

use crate::git_name::ObjectId;
use crate::sentence::{Kept, Place, Sentence, text};
use crate::told::verdict as say;

/// A check as the base branch defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique in the project.
    pub name: String,
    /// The command line, run by `sh -c` in the root of the tree.
    pub run: String,
    /// The limit of its wall-clock time, in seconds.
    pub timeout_s: u64,
}

/// Tests fixed when the issue is filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The command line that decides, run by `sh -c` in the root of the tree.
    pub run: String,
    /// Whether they may pass on the base already.
    pub already_green: bool,
    /// The limit of its wall-clock time, in seconds.
    pub timeout_s: u64,
    /// The sealed files.
    pub files: Vec<SealedFile>,
}

/// One sealed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Path from the root of the tree, with `/`.
    pub path: String,
    /// Whether it is executable.
    pub executable: bool,
    /// Its bytes, base64.
    pub content_base64: String,
}

/// How one command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Exit status 0.
    Passed,
    /// Another exit status.
    Failed {
        /// The exit status, or 128 + signal.
        code: i32,
    },
    /// Ran longer than it may.
    TimedOut,
    /// Ended by a limit of the sandbox.
    Capped {
        /// Which limit.
        limit: String,
    },
}

/// One command's result on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's name; `acceptance` for the sealed tests, `setup` for the set-up command.
    pub name: String,
    /// The commit it ran on.
    pub commit: ObjectId,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The last part of its output, at most 16 KiB, decoded lossily.
    pub output_tail: String,
}

impl CheckResult {
    /// Whether it passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}

/// What a verify or trial run reports: raw results, no judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofReport {
    /// The commit that was proved.
    pub head: ObjectId,
    /// The set-up command on the head, where the project has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<CheckResult>,
    /// The sealed tests on the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_on_base: Option<CheckResult>,
    /// The sealed tests on the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_on_head: Option<CheckResult>,
    /// The required checks on the head.
    pub checks: Vec<CheckResult>,
}

/// What has to be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required<'a> {
    /// The head the platform asked about.
    pub head: &'a ObjectId,
    /// The checks of the base.
    pub checks: &'a [Check],
    /// The sealed tests.
    pub acceptance: Option<&'a Acceptance>,
    /// Sealed files whose content in the head differs from the seal.
    pub sealed_changed: &'a [String],
    /// Whether the set-up command must have run.
    pub has_setup: bool,
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// Everything required was proved.
    Green,
    /// Something required failed.
    Red,
    /// Nothing failed, but nothing was proved: there is neither check nor acceptance test.
    Unproven,
}

impl Colour {
    /// The word used in tables and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Red => "red",
            Self::Unproven => "unproven",
        }
    }
}

/// Judges a report. Returns the colour and, for red and unproven, every reason.
#[must_use]
pub fn judge(report: &ProofReport, required: &Required<'_>) -> (Colour, Vec<Kept>) {
    let (colour, reasons) = judged(report, required);
    (colour, reasons.into_iter().map(Kept::from).collect())
}

fn judged(report: &ProofReport, required: &Required<'_>) -> (Colour, Vec<Sentence>) {
    let mut reasons = Vec::new();
    if report.head != *required.head {
        reasons.push(say::other_head(report.head.short(), required.head.short()));
        return (Colour::Red, reasons);
    }
    match &report.setup {
        Some(setup) if !setup.passed() => reasons.push(say::setup(ended(&setup.outcome))),
        None if required.has_setup => reasons.push(say::no_setup()),
        Some(_) | None => {}
    }
    for check in required.checks {
        let name = text(format_args!("{:?}", check.name));
        match report
            .checks
            .iter()
            .find(|result| result.name == check.name)
        {
            None => reasons.push(say::no_result(name)),
            Some(result) if result.commit != *required.head => {
                reasons.push(say::other_commit(name));
            }
            Some(result) if !result.passed() => {
                reasons.push(say::check(name, ended(&result.outcome)));
            }
            Some(_) => {}
        }
    }
    if let Some(acceptance) = required.acceptance {
        judge_acceptance(report, required, acceptance, &mut reasons);
    }
    if !reasons.is_empty() {
        return (Colour::Red, reasons);
    }
    if required.checks.is_empty() && required.acceptance.is_none() {
        reasons.push(say::nothing());
        return (Colour::Unproven, reasons);
    }
    (Colour::Green, reasons)
}

fn judge_acceptance(
    report: &ProofReport,
    required: &Required<'_>,
    acceptance: &Acceptance,
    reasons: &mut Vec<Sentence>,
) {
    reasons.extend(required.sealed_changed.iter().map(say::sealed));
    match &report.acceptance_on_head {
        None => reasons.push(say::tests_no_result()),
        Some(result) if result.commit != *required.head => {
            reasons.push(say::tests_other_commit());
        }
        Some(result) if !result.passed() => reasons.push(say::tests(ended(&result.outcome))),
        Some(_) => {}
    }
    match &report.acceptance_on_base {
        None => reasons.push(say::base_no_result()),
        Some(result) => match result.outcome {
            Outcome::Passed if acceptance.already_green => {}
            Outcome::Passed => reasons.push(say::base_green()),
            Outcome::Failed { code: 126 | 127 } => reasons.push(say::base_broken()),
            Outcome::Failed { .. } => {}
            Outcome::TimedOut | Outcome::Capped { .. } => {
                reasons.push(say::base(ended(&result.outcome)));
            }
        },
    }
}

/// How a command ended.
#[must_use]
pub fn ended(outcome: &Outcome) -> Sentence {
    match outcome {
        Outcome::Passed => say::passed(),
        Outcome::Failed { code } => say::failed(*code),
        Outcome::TimedOut => say::timed_out(),
        Outcome::Capped { limit } => say::capped(limit_name(limit)),
    }
}

/// What people call a limit of the sandbox that a runner names.
#[must_use]
pub fn limit_name(limit: &str) -> Place {
    match limit {
        "memory" => say::memory().into(),
        "process" => say::processes().into(),
        "disk" => say::disk().into(),
        "log" => say::log().into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: char) -> ObjectId {
        digit.to_string().repeat(40).parse().expect("an object id")
    }

    fn result(name: &str, commit: char, outcome: Outcome) -> CheckResult {
        CheckResult {
            name: name.to_owned(),
            commit: oid(commit),
            outcome,
            duration_ms: 1,
            output_tail: String::new(),
        }
    }

    fn acceptance(already_green: bool) -> Acceptance {
        Acceptance {
            run: "true".to_owned(),
            already_green,
            timeout_s: 60,
            files: vec![],
        }
    }

    struct Case {
        report: ProofReport,
        checks: Vec<Check>,
        acceptance: Option<Acceptance>,
        sealed_changed: Vec<String>,
        has_setup: bool,
    }

    /// A change with one check and acceptance tests, proved.
    fn proved() -> Case {
        Case {
            report: ProofReport {
                head: oid('a'),
                setup: None,
                acceptance_on_base: Some(result("acceptance", 'b', Outcome::Failed { code: 1 })),
                acceptance_on_head: Some(result("acceptance", 'a', Outcome::Passed)),
                checks: vec![result("test", 'a', Outcome::Passed)],
            },
            checks: vec![Check {
                name: "test".to_owned(),
                run: "make test".to_owned(),
                timeout_s: 60,
            }],
            acceptance: Some(acceptance(false)),
            sealed_changed: vec![],
            has_setup: false,
        }
    }

    fn colour(case: &Case) -> (Colour, Vec<Kept>) {
        judge(
            &case.report,
            &Required {
                head: &oid('a'),
                checks: &case.checks,
                acceptance: case.acceptance.as_ref(),
                sealed_changed: &case.sealed_changed,
                has_setup: case.has_setup,
            },
        )
    }

    #[test]
    fn everything_proved_is_green() {
        assert_eq!(colour(&proved()), (Colour::Green, vec![]));
    }

    type Breakage = (&'static str, fn(&mut Case));

    #[test]
    fn each_missing_proof_alone_is_red() {
        let breakages: &[Breakage] = &[
            ("another head", |c| c.report.head = oid('c')),
            ("check failed", |c| {
                c.report.checks[0].outcome = Outcome::Failed { code: 2 }
            }),
            ("check timed out", |c| {
                c.report.checks[0].outcome = Outcome::TimedOut;
            }),
            ("check capped", |c| {
                c.report.checks[0].outcome = Outcome::Capped {
                    limit: "memory".to_owned(),
                };
            }),
            ("check missing", |c| c.report.checks.clear()),
            ("check renamed", |c| {
                c.report.checks[0].name = "tset".to_owned();
            }),
            ("check on another commit", |c| {
                c.report.checks[0].commit = oid('b');
            }),
            ("acceptance red on head", |c| {
                c.report.acceptance_on_head =
                    Some(result("acceptance", 'a', Outcome::Failed { code: 1 }));
            }),
            ("acceptance missing on head", |c| {
                c.report.acceptance_on_head = None;
            }),
            ("acceptance on another commit", |c| {
                c.report.acceptance_on_head = Some(result("acceptance", 'b', Outcome::Passed));
            }),
            ("acceptance green on base", |c| {
                c.report.acceptance_on_base = Some(result("acceptance", 'b', Outcome::Passed));
            }),
            ("acceptance cannot run on base", |c| {
                c.report.acceptance_on_base =
                    Some(result("acceptance", 'b', Outcome::Failed { code: 127 }));
            }),
            ("acceptance missing on base", |c| {
                c.report.acceptance_on_base = None;
            }),
            ("sealed file changed", |c| {
                c.sealed_changed = vec!["t.py".to_owned()];
            }),
            ("setup failed", |c| {
                c.report.setup = Some(result("setup", 'a', Outcome::Failed { code: 1 }));
            }),
            ("setup missing", |c| c.has_setup = true),
        ];
        for (name, breakage) in breakages {
            let mut case = proved();
            breakage(&mut case);
            let (colour, reasons) = colour(&case);
            assert_eq!(colour, Colour::Red, "{name}");
            assert_eq!(reasons.len(), 1, "{name}: {reasons:?}");
        }
    }

    #[test]
    fn already_green_has_to_be_declared() {
        let mut case = proved();
        case.report.acceptance_on_base = Some(result("acceptance", 'b', Outcome::Passed));
        case.acceptance = Some(acceptance(true));
        assert_eq!(colour(&case).0, Colour::Green);
    }

    #[test]
    fn nothing_to_prove_is_never_green() {
        let mut case = proved();
        case.checks.clear();
        case.report.checks.clear();
        case.acceptance = None;
        let (colour, reasons) = colour(&case);
        assert_eq!(colour, Colour::Unproven);
        assert!(reasons[0].as_str().contains("nothing was proved"));
    }
}
