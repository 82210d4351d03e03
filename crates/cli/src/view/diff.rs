//! A unified diff on a terminal.
//!
//! Invariant: every byte of the files that could steer the terminal, or that makes code read
//! differently from what it is, is shown as an escape. Deliberately absent: parsing.

use crate::screen::{Screen, Span, Style};

/// Draws a diff.
pub(crate) fn whole(screen: &mut Screen, diff: &str) {
    let mut in_file = false;
    for line in diff.trim_end_matches('\n').split('\n') {
        if line.starts_with("diff --git ") {
            in_file = false;
        } else if line.starts_with("@@") {
            in_file = true;
        }
        let style = match line.as_bytes().first() {
            _ if line.starts_with("@@") => Style::Cyan,
            Some(b'+') if in_file => Style::Green,
            Some(b'-') if in_file => Style::Red,
            _ if !in_file => Style::Bold,
            _ => Style::Plain,
        };
        // A line end of another system is part of the change, so it is seen.
        let shown = line.replace('\t', "    ").replace('\r', "\u{240d}");
        screen.line([Span::new(style, shown)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_coloured_and_harmless() {
        let diff =
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\u{1b}[0m\n+new\r\n same\n";
        let mut screen = Screen::new(true, None);
        whole(&mut screen, diff);
        insta::assert_snapshot!(screen.as_str().replace('\u{1b}', "^"), @r"
        ^[1mdiff --git a/x b/x^[0m
        ^[1m--- a/x^[0m
        ^[1m+++ b/x^[0m
        ^[36m@@ -1 +1 @@^[0m
        ^[31m-old\u{1b}[0m^[0m
        ^[32m+new␍^[0m
         same
        ");
    }
}
