//! The changelog is there, and has a place for what comes next.

use super::{Finding, Rule};
use crate::checkout::Checkout;

pub(super) const RULE: Rule = Rule {
    name: "changelog",
    reason: "who runs the program learns from it what an update changes; it is written with the change, not before a release",
    check,
};

const PATH: &str = "CHANGELOG.md";
const HEADING: &str = "## [Unreleased]";

fn check(checkout: &Checkout) -> Vec<Finding> {
    let Some(file) = checkout.file(PATH) else {
        return vec![Finding::new(PATH, None, "is missing")];
    };
    let mut lines = file
        .text
        .lines()
        .skip_while(|line| line.trim() != HEADING)
        .skip(1);
    if !file.text.lines().any(|line| line.trim() == HEADING) {
        return vec![Finding::new(
            PATH,
            None,
            format!("has no heading `{HEADING}`"),
        )];
    }
    let next = lines.find(|line| line.starts_with("## "));
    if next.is_some_and(|next| next.contains("[Unreleased]")) {
        return vec![Finding::new(PATH, None, format!("has `{HEADING}` twice"))];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changelog_has_a_place_for_what_comes() {
        let count = |text| RULE.findings(&Checkout::of(&[(PATH, text)])).len();
        assert_eq!(count("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n"), 0);
        assert_eq!(count("# Changelog\n\n## [0.1.0]\n"), 1);
        assert_eq!(count("## [Unreleased]\n## [Unreleased]\n"), 1);
        assert_eq!(RULE.findings(&Checkout::default()).len(), 1);
    }
}
