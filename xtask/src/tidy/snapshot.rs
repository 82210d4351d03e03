//! Snapshots belong to a test that is there, and are accepted.

use super::{Finding, Rule};
use crate::checkout::Checkout;

pub(super) const RULE: Rule = Rule {
    name: "snapshot",
    reason: "a snapshot whose test is gone is never compared, and one that waits for acceptance was not looked at",
    check,
};

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &checkout.files {
        if file.path.ends_with(".snap.new") || file.path.ends_with(".pending-snap") {
            findings.push(Finding::new(
                &file.path,
                None,
                "is not accepted; look at it, then run `cargo insta review` or rename it",
            ));
        }
        if file.path.ends_with(".snap") {
            let source = file
                .text
                .lines()
                .take(8)
                .find_map(|line| line.strip_prefix("source: "));
            let is_there = |source: &str| checkout.file(source.trim().trim_matches('"')).is_some();
            if !source.is_some_and(is_there) {
                let source = source.unwrap_or("nowhere");
                findings.push(Finding::new(
                    &file.path,
                    None,
                    format!("comes from {source}, which is not there; remove it"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_without_a_test_are_found() {
        let snap = "---\nsource: crates/x/src/a.rs\nexpression: x\n---\nbody\n";
        let path = "crates/x/src/snapshots/x__a.snap";
        assert_eq!(
            RULE.findings(&Checkout::of(&[(path, snap), ("crates/x/src/a.rs", "")])),
            []
        );
        assert_eq!(RULE.findings(&Checkout::of(&[(path, snap)])).len(), 1);
        assert_eq!(RULE.findings(&Checkout::of(&[(path, "no head")])).len(), 1);
        assert_eq!(
            RULE.findings(&Checkout::of(&[("a.snap.new", snap)])).len(),
            1
        );
    }
}
