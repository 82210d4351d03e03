//! The project's guidelines: one file on the default branch that reaches every author's prompt.
//!
//! A maintainer takes a proposal of an agent into it, word for word as they read it. Invariants: what
//! nobody can see on a page (marks that have no width or turn the direction of text, control characters)
//! is not taken; the file stays within what a prompt has room for; the same guideline is there once.
//! Deliberately absent: who may (see [`crate::access`]), and git.

use std::fmt::{self, Write as _};

use crate::refusal::guideline as say;
use crate::sentence::Sentence;

/// The file's place.
pub const PATH: &str = ".nightshift/guidelines.md";

/// The most bytes of it that reach a prompt, and that it may grow to.
pub const LONGEST: usize = 32 << 10;

/// How a new file begins.
const TITLE: &str = "# Guidelines\n\n";

/// Why a proposal is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It holds what nobody sees.
    Invisible {
        /// The character.
        code: u32,
    },
    /// The file has no room for it.
    TooLong {
        /// How large it would be.
        bytes: usize,
    },
}

impl Refused {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Invisible { code } => say::invisible(format!("U+{code:04X}"), PATH),
            Self::TooLong { bytes } => say::too_long(PATH, *bytes, LONGEST),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for Refused {}

/// The file with the guideline at its end; the same text where it is there already.
///
/// # Errors
/// It holds what nobody sees, or the file has no room.
pub fn with(before: &str, guideline: &str) -> Result<String, Refused> {
    let shown = |c: char| c == '\n' || !(c.is_control() || is_invisible(c));
    if let Some(hidden) = guideline.chars().find(|c| !shown(*c)) {
        return Err(Refused::Invisible {
            code: u32::from(hidden),
        });
    }
    let item = item(guideline);
    let is_there = before.starts_with(&item) || before.contains(&format!("\n{item}"));
    if is_there {
        return Ok(before.to_owned());
    }
    let mut after = match before.trim().is_empty() {
        true => TITLE.to_owned(),
        false => before.to_owned(),
    };
    if !after.ends_with('\n') {
        after.push('\n');
    }
    after.push_str(&item);
    match after.len() <= LONGEST {
        true => Ok(after),
        false => Err(Refused::TooLong { bytes: after.len() }),
    }
}

/// One entry of the list, so that its lines stay its own.
fn item(guideline: &str) -> String {
    let mut item = String::new();
    for (place, line) in guideline.trim().lines().enumerate() {
        let line = line.trim_end();
        let _ = match (place, line) {
            (0, line) => writeln!(item, "- {line}"),
            (_, "") => writeln!(item),
            (_, line) => writeln!(item, "  {line}"),
        };
    }
    item
}

/// As much of the file as reaches a prompt, and whether that is all.
#[must_use]
pub fn for_prompt(text: &str) -> (&str, bool) {
    if text.len() <= LONGEST {
        return (text, true);
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
    let cut = &text[..end.unwrap_or(0)];
    (&cut[..cut.rfind('\n').unwrap_or(cut.len())], false)
}

/// Marks that have no width, turn the direction of text, or spell words that are not shown.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guidelines_are_entries_of_a_list_each_there_once() {
        let one = with("", "Run `make fmt`.\n\nIt is quick.\n").expect("taken");
        assert_eq!(one, "# Guidelines\n\n- Run `make fmt`.\n\n  It is quick.\n");
        let two = with(&one, "# Add, do not subtract.").expect("taken");
        assert_eq!(two, format!("{one}- # Add, do not subtract.\n"));
        assert_eq!(
            with(&two, "Run `make fmt`.\n\nIt is quick."),
            Ok(two.clone())
        );
        let by_hand = with("Ours, without a line end", "More.").expect("taken");
        assert_eq!(by_hand, "Ours, without a line end\n- More.\n");
    }

    #[test]
    fn what_nobody_sees_is_not_taken() {
        for hidden in [
            '\u{200b}',
            '\u{202e}',
            '\u{e0041}',
            '\u{1b}',
            '\r',
            '\u{fe0f}',
        ] {
            let refused = with("", &format!("Be kind{hidden}.")).expect_err("hidden");
            let code = u32::from(hidden);
            assert_eq!(refused, Refused::Invisible { code });
        }
        assert!(with("", "夜班：先跑測試 — then \u{e9}t\u{e9}.").is_ok());
    }

    #[test]
    fn the_file_stays_within_what_a_prompt_has_room_for() {
        let full = "x".repeat(LONGEST - 10);
        let refused = with(&full, "A rule that is too much.").expect_err("no room");
        assert!(matches!(refused, Refused::TooLong { bytes } if bytes > LONGEST));
        assert_eq!(for_prompt("- a\n"), ("- a\n", true));
        let long = format!("- first\n{}\u{e9}", "y".repeat(LONGEST));
        assert_eq!(for_prompt(&long), ("- first", false));
        let wide = "é".repeat(LONGEST);
        let (cut, whole) = for_prompt(&wide);
        assert!(!whole && cut.len() <= LONGEST);
    }
}
