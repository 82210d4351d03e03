//! A file has one subject, and so an end.
//!
//! What counts is a line with code or text on it; comments and blank lines are free.

use super::{Finding, Rule, apart};
use crate::checkout::{Checkout, File};
use crate::rust::Source;

pub(super) const RULE: Rule = Rule {
    name: "length",
    reason: "a file that does not fit into a head has two subjects; split it where they part",
    check,
};

/// From here on a file is long.
const LONG: usize = 400;
/// From here on a file is too long.
const TOO_LONG: usize = 600;
/// From here on a file is too long, its tests counted with it, or being tests.
const TOO_LONG_WITH_TESTS: usize = 800;

fn check(checkout: &Checkout) -> Vec<Finding> {
    checkout.rust().filter_map(finding).collect()
}

fn finding(file: &File) -> Option<Finding> {
    let source = Source::split(&file.text);
    let whole = source.code_lines(source.code.len());
    let only_tests = file
        .path
        .split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
    let own = if only_tests {
        0
    } else {
        source.code_lines(apart::tests_begin(&source.code))
    };
    let (what, warns) = if whole > TOO_LONG_WITH_TESTS {
        (
            format!("has {whole} lines of code, tests included; {TOO_LONG_WITH_TESTS} is the end"),
            false,
        )
    } else if own > TOO_LONG {
        (
            format!("has {own} lines of code; {TOO_LONG} is the end"),
            false,
        )
    } else if own > LONG {
        (
            format!("has {own} lines of code; it should end by {LONG}"),
            true,
        )
    } else {
        return None;
    };
    Some(Finding {
        warns,
        ..Finding::new(&file.path, None, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, code: usize, tests: usize) -> Option<bool> {
        let tests = "        assert!(true);\n".repeat(tests);
        let text = format!(
            "//! Head.\n\n{}#[cfg(test)]\nmod tests {{\n{tests}}}\n",
            "fn f() {} // why\n// a comment\n".repeat(code)
        );
        RULE.findings(&Checkout::of(&[(path, &text)]))
            .first()
            .map(|finding| finding.warns)
    }

    #[test]
    fn long_warns_and_too_long_fails() {
        assert_eq!(find("src/a.rs", 400, 100), None);
        assert_eq!(find("src/a.rs", 401, 0), Some(true));
        assert_eq!(find("src/a.rs", 600, 0), Some(true));
        assert_eq!(find("src/a.rs", 601, 0), Some(false));
    }

    #[test]
    fn tests_may_be_longer_and_end_too() {
        assert_eq!(find("src/a.rs", 100, 690), None);
        assert_eq!(find("src/a.rs", 100, 700), Some(false));
        assert_eq!(find("tests/a.rs", 790, 0), None);
        assert_eq!(find("src/a/tests.rs", 790, 0), None);
        assert_eq!(find("tests/a.rs", 800, 0), Some(false));
    }
}
