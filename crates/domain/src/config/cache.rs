//! The paths that decide whether a set-up is the same: what may be named, and why not.
//!
//! A path names one file, or a folder with all that is in it, exactly as git has it. Deliberately
//! absent: patterns. Git tells what a tree has at a path without looking at anything else, and nobody has
//! to guess which files count.

use super::quoted;
use crate::sentence::Sentence;
use crate::told::settings as say;

/// How many may be named.
const MOST: usize = 64;
/// The longest path, in bytes.
const LONGEST: usize = 512;

/// Checks one path of the list.
pub(super) fn check(path: &str) -> Result<(), Sentence> {
    let why = if path.trim().is_empty() {
        say::cache_empty()
    } else if path.len() > LONGEST || path.chars().any(char::is_control) {
        say::cache_length()
    } else if path.contains(['*', '?']) {
        say::cache_pattern()
    } else if !path.split('/').all(is_part) {
        say::cache_place()
    } else {
        return Ok(());
    };
    Err(say::cache(quoted(path), why))
}

/// Checks how many there are.
pub(super) fn count(paths: usize) -> Result<(), Sentence> {
    match paths {
        0..=MOST => Ok(()),
        _ => Err(say::cache_many(MOST)),
    }
}

fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_of_the_tree_and_nothing_else() {
        for good in [
            "package-lock.json",
            "tools/versions",
            "a b/[id].lock",
            "gems/Ünïcode.lock",
            ".tool-versions",
            "-odd",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "it is empty"),
            ("  ", "it is empty"),
            ("**/go.sum", "name each, or their folder"),
            ("lock?", "name each, or their folder"),
            ("/etc/passwd", "within the repository"),
            ("vendor/", "within the repository"),
            ("a//b", "within the repository"),
            ("../up", "within the repository"),
            ("./here", "within the repository"),
            ("a/.git/config", "within the repository"),
            (".GIT", "within the repository"),
            ("a\nb", "512 bytes"),
        ] {
            let said = check(bad).expect_err(bad).to_string();
            assert!(said.contains(why), "{bad}: {said}");
        }
        assert!(check(&"x".repeat(LONGEST)).is_ok());
        assert!(check(&"x".repeat(LONGEST + 1)).is_err());
        assert!(count(MOST).is_ok());
        assert!(count(MOST + 1).is_err());
    }
}
