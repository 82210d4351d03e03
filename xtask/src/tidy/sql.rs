//! Statements stand in the store only.
//!
//! Looks at string literals for the words with which statements begin, in capitals, as the store
//! writes them. Its own folder is left out: the words below are texts too.

use super::{Finding, Rule};
use crate::checkout::Checkout;
use crate::rust::{Source, find_word, line_of};

pub(super) const RULE: Rule = Rule {
    name: "sql",
    reason: "every statement is prepared on both engines by one test, which can only see those of the store",
    check,
};

const WORDS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    "ON CONFLICT ",
    "FOR UPDATE SKIP LOCKED",
];

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    let elsewhere = |path: &str| !path.starts_with("crates/store/") && !path.starts_with("xtask/");
    for file in checkout.rust().filter(|file| elsewhere(&file.path)) {
        let texts = Source::split(&file.text).texts;
        for word in WORDS {
            for at in find_word(&texts, word) {
                let what = format!(
                    "a statement ({}...) outside the store; make it a method there",
                    word.trim()
                );
                findings.push(Finding::new(&file.path, line_of(&texts, at), what));
            }
        }
        for at in find_word(&texts, "UPDATE ").filter(|&at| sets(&texts[at..])) {
            let what = "a statement (UPDATE ... SET) outside the store; make it a method there";
            findings.push(Finding::new(&file.path, line_of(&texts, at), what));
        }
    }
    findings
}

/// Whether the text goes on as `UPDATE <table> SET`, with a line end or none.
fn sets(text: &str) -> bool {
    text.split_whitespace().nth(2) == Some("SET")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<Option<usize>> {
        RULE.findings(&Checkout::of(&[(path, text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn statements_elsewhere_are_found() {
        for text in [
            "SELECT id",
            "INSERT INTO x",
            "DELETE FROM x",
            "UPDATE x\\n SET y = 1",
            "CREATE TABLE x",
        ] {
            let code = format!(
                "//! Head.\nconst A: &str = \"{}\";",
                text.replace("\\n", "\n")
            );
            assert_eq!(lines("crates/app/src/a.rs", &code), [Some(2)], "{text}");
            assert_eq!(lines("crates/store/src/a.rs", &code), [], "{text}");
        }
    }

    #[test]
    fn words_of_other_kinds_are_not() {
        for code in [
            "// SELECT id",
            "const SELECT: u8 = 1;",
            "f(\"SELECTED x\", \"Select one\", \"UPDATE it now\")",
        ] {
            assert_eq!(lines("crates/app/src/a.rs", code), [], "{code}");
        }
    }
}
