//! Files that are written by the program itself, and committed so that a review sees them change.
//!
//! Invariant: `check` compares and writes nothing. Deliberately absent: how the files are made;
//! the commands below print them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::program::Line;

/// The files, and the words after `nightshift` that print them.
const GENERATED: &[(&str, &[&str])] = &[
    ("docs/openapi.json", &["openapi"]),
    ("docs/states.md", &["states"]),
];

/// Writes all generated files.
pub fn write(root: &Path) -> Result<()> {
    for (path, words) in GENERATED {
        let full = root.join(path);
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder of {path}"))?;
        }
        std::fs::write(&full, print(root, words)?)
            .with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// Compares the committed files with what would be written.
pub fn check(root: &Path) -> Result<()> {
    let mut stale = Vec::new();
    for (path, words) in GENERATED {
        let committed = std::fs::read_to_string(root.join(path)).ok();
        let differs = difference(committed.as_deref(), &print(root, words)?);
        stale.extend(differs.map(|difference| format!("{path} {difference}")));
    }
    if !stale.is_empty() {
        bail!(
            "{}\nwrite them with: cargo xtask generate",
            stale.join("\n")
        );
    }
    Ok(())
}

fn print(root: &Path, words: &[&str]) -> Result<String> {
    let program = [
        "cargo",
        "run",
        "--quiet",
        "--locked",
        "--package",
        "nightshift",
        "--",
    ];
    let words = [&program, words].concat();
    Line {
        env: &[],
        words: &words,
    }
    .output(root)
}

/// Says where the committed text first differs from the generated one, if it does.
fn difference(committed: Option<&str>, generated: &str) -> Option<String> {
    let Some(committed) = committed else {
        return Some("is missing".to_owned());
    };
    if committed == generated {
        return None;
    }
    let same = committed
        .lines()
        .zip(generated.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let line = |text: &str| {
        text.lines()
            .nth(same)
            .map_or_else(|| "the end".to_owned(), |line| format!("`{}`", line.trim()))
    };
    Some(format!(
        "line {}: committed is {}, generated is {}",
        same + 1,
        line(committed),
        line(generated)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_named_with_its_first_difference() {
        assert_eq!(difference(Some("a\nb\n"), "a\nb\n"), None);
        assert_eq!(difference(None, "a\n").as_deref(), Some("is missing"));
        assert_eq!(
            difference(Some("a\nb\n"), "a\n c\n").as_deref(),
            Some("line 2: committed is `b`, generated is `c`")
        );
        assert_eq!(
            difference(Some("a\n"), "a\nb\n").as_deref(),
            Some("line 2: committed is the end, generated is `b`")
        );
        // Only the last line end differs: still stale.
        assert!(difference(Some("a"), "a\n").is_some());
    }
}
