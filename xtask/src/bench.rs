//! One table of ratios from all benchmarks, in one run.
//!
//! A benchmark prints rows of a Markdown table: measure, ours, reference, ratio, bar. Invariant:
//! only those two columns of one row may be compared; both were taken in turn on this machine.
//! Deliberately absent: a verdict. Figures of a busy machine would fail for nothing.

#![expect(clippy::print_stdout, reason = "the table is what was asked for")]
#![expect(clippy::print_stderr, reason = "says what it is about to do")]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::program::Line;

/// The packages and their benchmarks, in the order of the table.
const BENCHES: &[(&str, &str)] = &[
    ("nightshift", "whole"),
    ("nightshift-runner", "start"),
    ("nightshift-runner", "stream"),
    ("nightshift-store", "claim"),
    ("nightshift-testkit", "pages"),
];
const HEAD: &str = "| measure | ours | reference | ratio | bar |\n|---|---|---|---|---|\n";
const DOCUMENT: &str = "docs/PERFORMANCE.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench --write` -->\n";
const END: &str = "<!-- end -->\n";

/// Runs all benchmarks and prints one table; with `write` it also goes into the document.
pub fn run(root: &Path, write: bool) -> Result<()> {
    let mut table = HEAD.to_owned();
    for (package, bench) in BENCHES {
        let words = [
            "cargo", "bench", "--quiet", "--locked", "-p", package, "--bench", bench,
        ];
        let line = Line {
            env: &[],
            words: &words,
        };
        eprintln!("xtask: {line}");
        let rows = rows(&line.output(root)?);
        ensure!(!rows.is_empty(), "{line}\nprinted no row");
        table.push_str(&rows);
    }
    print!("{table}");
    if write {
        let path = root.join(DOCUMENT);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
        let text = replace(&text, &table)
            .with_context(|| format!("{DOCUMENT} has no place for the table: {BEGIN}{END}"))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {DOCUMENT}"))?;
    }
    Ok(())
}

/// The rows of what a benchmark printed, each with its line end.
fn rows(printed: &str) -> String {
    let rows = printed.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| format!("{row}\n")).collect()
}

/// Puts the table between the marks.
fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_are_kept() {
        assert_eq!(
            rows("hello\n| a | b |\n\n| c | d |"),
            "| a | b |\n| c | d |\n"
        );
        assert_eq!(rows("running 1 test\n"), "");
    }

    #[test]
    fn the_table_takes_the_place_of_the_old_one() {
        let text = format!("one\n{BEGIN}old\n{END}two\n");
        let new = replace(&text, "| new |\n").expect("marks");
        assert_eq!(new, format!("one\n{BEGIN}\n| new |\n\n{END}two\n"));
        assert_eq!(replace("no marks", "| new |\n"), None);
    }
}
