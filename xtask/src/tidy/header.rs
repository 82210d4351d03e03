//! Every Rust file opens by saying what it is.

use super::{Finding, Rule};
use crate::checkout::Checkout;

pub(super) const RULE: Rule = Rule {
    name: "header",
    reason: "a reader decides by the first lines whether this is the file: what it is, its invariant, what it leaves out",
    check,
};

fn check(checkout: &Checkout) -> Vec<Finding> {
    let without = checkout.rust().filter(|file| !has_header(&file.text));
    without
        .map(|file| Finding::new(&file.path, 1, "does not open with //! and a sentence"))
        .collect()
}

fn has_header(text: &str) -> bool {
    let first = text.lines().find(|line| !line.starts_with("#!/"));
    let said = first.and_then(|line| line.strip_prefix("//!"));
    // Three words are the least that says anything; a file's name is not a header.
    said.is_some_and(|said| said.split_whitespace().count() >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_stands_first_and_says_something() {
        for (text, found) in [
            ("//! Ids of everything.\n", 0),
            ("#!/usr/bin/env rust\n//! Ids of everything.\n", 0),
            ("", 1),
            ("use std::fmt;\n//! Late is too late.\n", 1),
            ("/// Of the item below.\nfn f() {}\n", 1),
            ("//!\n//! Ids of everything.\n", 1),
            ("//! placeholder\n", 1),
        ] {
            assert_eq!(
                RULE.findings(&Checkout::of(&[("a.rs", text)])).len(),
                found,
                "{text:?}"
            );
        }
        assert_eq!(RULE.findings(&Checkout::of(&[("a.md", "no Rust")])), []);
    }
}
