//! What CI does, step by step, the cheap ones first.
//!
//! Invariant: the first step that fails ends it, with the line that repeats just that step; when
//! all pass, the closing line is the test runner's own summary. Deliberately absent: steps of its
//! own. Each is a command that a person can run alone.

#![expect(
    clippy::print_stderr,
    reason = "the progress is what the person asked for"
)]

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::program::Line;
use crate::scratch::Scratch;
use crate::{generate, tidy};

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Format, tidy and clippy.
    Lint,
    /// All of it.
    Everything,
}

const FORMAT: Line<'_> = Line {
    env: &[],
    words: &["cargo", "fmt", "--all", "--check"],
};

const CLIPPY: Line<'_> = Line {
    env: &[],
    words: &[
        "cargo",
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ],
};

const DOCUMENTS: Line<'_> = Line {
    env: &[("RUSTDOCFLAGS", "--deny warnings")],
    words: &[
        "cargo",
        "doc",
        "--quiet",
        "--locked",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ],
};

/// Snapshots are compared, never written.
const TESTS: Line<'_> = Line {
    env: &[("INSTA_UPDATE", "no")],
    words: &[
        "cargo",
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--color",
        "never",
    ],
};

/// The tests that use a container engine, which is Podman above, once more on a Docker of their own.
const TESTS_ON_DOCKER: Line<'_> = Line {
    env: &[("INSTA_UPDATE", "no")],
    words: &[
        "sh",
        "scripts/containers/docker.sh",
        "cargo",
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--color",
        "never",
        "--filterset",
        "test(/container/) or binary(images)",
    ],
};

const EXAMPLES_IN_DOCUMENTS: Line<'_> = Line {
    env: &[],
    words: &[
        "cargo",
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--doc",
    ],
};

const DEMO: Line<'_> = Line {
    env: &[],
    words: &[
        "cargo",
        "run",
        "--quiet",
        "--locked",
        "--package",
        "nightshift",
        "--",
        "demo",
        "--check",
    ],
};

/// Runs the steps at the top of the checkout.
pub fn run(root: &Path, extent: Extent) -> Result<()> {
    step("format", || FORMAT.run(root))?;
    step("tidy", || {
        tidy::run(root).context("repeat it with: cargo xtask tidy")
    })?;
    step("clippy", || CLIPPY.run(root))?;
    if extent == Extent::Lint {
        return Ok(());
    }
    step("documents", || DOCUMENTS.run(root))?;
    let scratch = Scratch::new(root);
    let scratch = scratch.as_ref();
    let folder = scratch.and_then(|folder| Some(("TMPDIR", folder.path().to_str()?)));
    let mut env = TESTS.env.to_vec();
    env.extend(folder);
    let mut summary = None;
    step("tests", || {
        let tests = Line { env: &env, ..TESTS };
        summary = tests.run_and_keep(root, is_summary)?;
        ensure!(
            summary.as_deref().is_some_and(ran_tests),
            "{tests}\nran no test"
        );
        Ok(())
    })?;
    step("tests on Docker", || {
        let tests = Line {
            env: &env,
            ..TESTS_ON_DOCKER
        };
        tests.run(root)
    })?;
    step("examples in documents", || EXAMPLES_IN_DOCUMENTS.run(root))?;
    step("generated files", || generate::check(root))?;
    step("demo", || DEMO.run(root))?;
    if let Some(summary) = summary {
        eprintln!("{summary}");
    }
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("== {name}");
    let began = Instant::now();
    work().with_context(|| format!("step `{name}` failed"))?;
    eprintln!("== {name}: ok, {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Whether the line is the summary with which nextest ends.
fn is_summary(line: &str) -> bool {
    line.trim_start().starts_with("Summary [")
}

/// Whether the summary counts any test.
fn ran_tests(summary: &str) -> bool {
    summary
        .split(']')
        .nth(1)
        .is_some_and(|counts| !counts.trim_start().starts_with("0 tests run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_nextest_is_known() {
        let line = "     Summary [   2.130s] 45 tests run: 45 passed, 0 skipped";
        assert!(is_summary(line) && ran_tests(line));
        assert!(!is_summary("        PASS [   0.013s] xtask::walls Summary"));
        assert!(!ran_tests(
            "     Summary [   0.000s] 0 tests run: 0 passed, 0 skipped"
        ));
    }

    #[test]
    fn a_step_that_fails_says_how_to_repeat_it() {
        let line = Line {
            env: &[("A", "b c")],
            words: &["git", "no-such-word"],
        };
        let error = step("words", || line.run(&crate::checkout::root()))
            .expect_err("git knows no such word");
        let text = format!("{error:#}");
        assert!(
            text.contains("step `words` failed") && text.contains("A='b c' git no-such-word"),
            "{text}"
        );
    }

    #[test]
    fn a_line_of_standard_error_is_kept() {
        let line = Line {
            env: &[],
            words: &["git", "no-such-word"],
        };
        assert!(
            line.run_and_keep(&crate::checkout::root(), is_summary)
                .is_err()
        );
        let line = Line {
            env: &[("GIT_TRACE", "1")],
            words: &["git", "version"],
        };
        let kept = line.run_and_keep(&crate::checkout::root(), |line| {
            line.contains("trace: built-in")
        });
        assert!(kept.expect("git runs").is_some());
    }
}
