//! The walls, as rules that can fail.
//!
//! Each rule is a pure function from a checkout to findings, in a file of its own, with its reason
//! in [`RULES`] and a broken twin in its tests. An exception is written where it is made: a line
//! that carries `tidy-ok(<rule>): <why>` is passed over by that rule. Deliberately absent: repair.
//! Tidy says what is wrong, a person puts it right.

mod apart;
mod changelog;
mod edge;
mod header;
mod length;
mod library;
mod local;
mod said;
mod shortcut;
mod snapshot;
mod sql;
mod workspace;

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::checkout::Checkout;

/// A rule of the house.
pub struct Rule {
    /// What it is called in messages and exceptions.
    pub name: &'static str,
    /// Why it is there; stands in every message.
    pub reason: &'static str,
    /// Finds what breaks it.
    pub check: fn(&Checkout) -> Vec<Finding>,
}

/// All rules, in the order of their messages.
pub const RULES: &[Rule] = &[
    edge::RULE,
    library::RULE,
    library::LISTED,
    library::USED,
    workspace::RULE,
    header::RULE,
    length::RULE,
    sql::RULE,
    apart::RULE,
    said::RULE,
    shortcut::RULE,
    local::RULE,
    snapshot::RULE,
    changelog::RULE,
];

/// One thing that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Relative to the top of the checkout.
    pub path: String,
    /// From 1, where it is one line's fault.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
    /// Whether it only warns.
    pub warns: bool,
}

impl Finding {
    fn new(path: &str, line: impl Into<Option<usize>>, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: line.into(),
            what: what.into(),
            warns: false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Rule {
    /// Returns what breaks the rule, less the exceptions that say why.
    #[must_use]
    pub fn findings(&self, checkout: &Checkout) -> Vec<Finding> {
        let mut findings = (self.check)(checkout);
        findings.retain(|finding| !self.is_excepted(checkout, finding));
        findings
    }

    fn is_excepted(&self, checkout: &Checkout, finding: &Finding) -> bool {
        let line = finding.line.zip(checkout.file(&finding.path));
        let line = line.and_then(|(line, file)| file.text.lines().nth(line - 1));
        let mark = format!("tidy-ok({}):", self.name);
        line.and_then(|line| line.split_once(&mark))
            .is_some_and(|(_, why)| !why.trim().is_empty())
    }
}

/// Checks all rules and prints what breaks them; an error when something does more than warn.
pub fn run(root: &Path) -> Result<()> {
    let checkout = Checkout::read(root)?;
    let mut broken = 0;
    for rule in RULES {
        let findings = rule.findings(&checkout);
        report(rule, &findings);
        broken += findings.iter().filter(|finding| !finding.warns).count();
    }
    ensure!(broken == 0, "tidy found {broken} places that break a rule");
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "the findings are what the person asked for"
)]
fn report(rule: &Rule, findings: &[Finding]) {
    for finding in findings {
        let weight = if finding.warns { "warning: " } else { "" };
        eprintln!("{weight}{finding}");
    }
    if !findings.is_empty() {
        eprintln!("  rule {}: {}\n", rule.name, rule.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_a_reason() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(rule.reason.len() > 20, "{} needs a reason", rule.name);
            assert!(
                RULES[..i].iter().all(|other| other.name != rule.name),
                "{} twice",
                rule.name
            );
        }
    }

    #[test]
    fn an_exception_needs_the_rule_and_a_why() {
        let find = |line: &str| {
            shortcut::RULE
                .findings(&Checkout::of(&[("a.rs", line)]))
                .len()
        };
        assert_eq!(find("fn f() { dbg!(1) }"), 1);
        assert_eq!(
            find("fn f() { dbg!(1) } // tidy-ok(shortcut): the macro under test"),
            0
        );
        assert_eq!(find("fn f() { dbg!(1) } // tidy-ok(shortcut):"), 1);
        assert_eq!(find("fn f() { dbg!(1) } // tidy-ok(length): no"), 1);
    }

    #[test]
    fn a_finding_reads_as_path_line_and_what() {
        assert_eq!(
            Finding::new("a.rs", 3, "is wrong").to_string(),
            "a.rs:3: is wrong"
        );
        assert_eq!(
            Finding::new("a.rs", None, "is wrong").to_string(),
            "a.rs: is wrong"
        );
    }
}
