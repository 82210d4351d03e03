//! One change as a text to scroll through: what was proved, what was said, what changed.
//!
//! It is what `pr show`, `issue show` and `pr diff` print, in one. Deliberately absent: drawing.

use jiff::Timestamp;
use nightshift_api::issue::Issue;
use nightshift_api::pull::Pull;

use super::state::Page;
use crate::screen::Screen;
use crate::view;

/// Lines of a diff that a terminal is given; whoever wants more wants another tool.
const MOST_LINES: usize = 20_000;

/// Puts a page together. `width` is the terminal's.
pub(crate) fn page(
    issue: &Issue,
    change: Option<(&Pull, &str)>,
    colour: bool,
    width: u16,
    now: Timestamp,
) -> Page {
    let mut screen = Screen::new(colour, Some(width));
    if let Some((pull, _)) = change {
        view::pull::whole(&mut screen, pull, now);
        screen.gap();
    }
    view::issue::whole(&mut screen, issue, &[], now);
    let mut lines = lines_of(&mut screen);
    let mut files = Vec::new();
    if let Some((pull, diff)) = change {
        lines.push(String::new());
        let all: Vec<&str> = diff.trim_end_matches('\n').split('\n').collect();
        let seen = &all[..all.len().min(MOST_LINES)];
        let begins = seen.iter().enumerate();
        let begins = begins.filter(|(_, line)| line.starts_with("diff --git "));
        files.extend(begins.map(|(place, _)| lines.len() + place));
        // One line in, one line out.
        view::diff::whole(&mut screen, &seen.join("\n"));
        lines.extend(lines_of(&mut screen));
        if all.len() > seen.len() {
            let number = pull.line.number;
            lines.push(format!("... there is more: `nightshift pr diff {number}`"));
        }
    }
    Page { lines, files }
}

fn lines_of(screen: &mut Screen) -> Vec<String> {
    screen.take().lines().map(str::to_owned).collect()
}
