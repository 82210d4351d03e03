//! The table of a file's lines, unified or side by side, with comments under their lines.
//!
//! Both layouts hold the same lines under the same anchors. Deliberately absent: what is around
//! the table.

use maud::{Markup, html};
use nightshift_app::git::LineKind;

use super::line::{content, plain};
use super::options::{Below, Layout, Options, href};
use super::rows::{Block, Cell, Rows};
use super::text::Text;
use super::wording::{fill, fill_text};

/// The most lines that one step shows around a change.
const MOST_CONTEXT: u32 = 100_000;
/// How many lines a step shows at least.
const STEP: u32 = 20;

/// The table.
pub(super) fn table(path: &Text, rows: &Rows<'_>, below: &Below<'_>, o: &Options<'_>) -> Markup {
    let label = fill_text(
        o.wording.caption,
        &path.shown.replace(char::is_control, " "),
    );
    html! {
        div.scroll role="region" tabindex="0" aria-label=(label) {
            table.diff.split[o.layout == Layout::Split] data-file=(o.index) {
                caption.quiet { (fill(o.wording.caption, &[plain(path, o.wording)])) }
                (head(o))
                tbody {
                    @for block in &rows.blocks {
                        (hunk(block, o))
                        @match o.layout {
                            Layout::Unified => (unified(block, below, o)),
                            Layout::Split => (split(block, below, o)),
                        }
                    }
                    @if rows.below { (gap(o)) }
                }
            }
        }
    }
}

fn head(o: &Options<'_>) -> Markup {
    let w = o.wording;
    html! {
        thead.quiet {
            tr {
                @match o.layout {
                    Layout::Unified => {
                        th scope="col" { (w.old_number) }
                        th scope="col" { (w.new_number) }
                        th scope="col" { (w.sign) }
                        th scope="col" { (w.content) }
                    }
                    Layout::Split => {
                        th scope="col" { (w.old_number) }
                        th scope="col" { (w.sign) }
                        th scope="col" { (w.before) }
                        th scope="col" { (w.new_number) }
                        th scope="col" { (w.sign) }
                        th scope="col" { (w.after) }
                    }
                }
            }
        }
    }
}

/// Columns right of the first number.
fn rest(o: &Options<'_>) -> u8 {
    match o.layout {
        Layout::Unified => 3,
        Layout::Split => 5,
    }
}

/// The first row of a hunk: a way to the lines above, and the place in the file.
fn hunk(block: &Block<'_>, o: &Options<'_>) -> Markup {
    let heading = Text::of(&block.hunk.heading);
    let (old, new) = (block.hunk.old_start, block.hunk.new_start);
    html! {
        tr.hunk {
            td.n {
                @if block.above > 0 {
                    @let label = fill_text(o.wording.more, &block.above.to_string());
                    (more(block.missing, &label, o))
                }
            }
            td.c colspan=(rest(o)) {
                span.at { "@@ -" (old) "," (block.hunk.old_lines) " +" (new) "," (block.hunk.new_lines) " @@" }
                " " (plain(&heading, o.wording))
            }
        }
    }
}

/// The row after the last hunk.
fn gap(o: &Options<'_>) -> Markup {
    html! {
        tr.gap {
            td.n { (more(STEP, o.wording.more_below, o)) }
            td.c colspan=(rest(o)) {}
        }
    }
}

/// A link to the same page with more lines around each change of this file.
fn more(lines: u32, label: &str, o: &Options<'_>) -> Markup {
    // A small gap closes at once, a large one step by step: each step doubles what is shown.
    let step = lines.min(o.context.max(STEP));
    let context = o.context.saturating_add(step).min(MOST_CONTEXT);
    let query = format!("context={context}&file={}", o.index);
    html! {
        @if let Some(address) = o.address(&query) {
            a.more href=(address) aria-label=(label) title=(label) { "↕" }
        }
    }
}

fn unified(block: &Block<'_>, below: &Below<'_>, o: &Options<'_>) -> Markup {
    html! {
        @for cell in &block.cells {
            tr class=(kind(cell)) data-n=[cell.line.new_number] {
                (number_old(cell, o))
                (number_new(cell, o))
                (text(cell, o))
            }
            (comments(cell, below, o))
        }
    }
}

fn kind(cell: &Cell<'_>) -> &'static str {
    match cell.line.kind {
        LineKind::Added => "add",
        LineKind::Deleted => "del",
        LineKind::Context => "ctx",
    }
}

fn split(block: &Block<'_>, below: &Below<'_>, o: &Options<'_>) -> Markup {
    let cell = |place: Option<usize>| place.and_then(|place| block.cells.get(place));
    html! {
        @for row in &block.beside {
            @let (old, new) = (cell(row.old), cell(row.new));
            @let line = new.and_then(|cell| cell.line.new_number);
            tr class=(if row.old == row.new { "ctx" } else { "chg" }) data-n=[line] {
                @match old {
                    Some(cell) => { (number_old(cell, o)) (text(cell, o)) }
                    None => { td.n {} td.s {} td.c.none {} }
                }
                @match new {
                    Some(cell) => { (number_new(cell, o)) (text(cell, o)) }
                    None => { td.n {} td.s {} td.c.none {} }
                }
            }
            @if let Some(cell) = new { (comments(cell, below, o)) }
        }
    }
}

fn number_old(cell: &Cell<'_>, o: &Options<'_>) -> Markup {
    // A context line has one anchor, that of its new number.
    let own = cell.line.kind == LineKind::Deleted;
    html! {
        @match cell.line.old_number {
            Some(number) if own => td.n id={ "f" (o.index) "R" (number) } { (number) },
            number => td.n { @if let Some(number) = number { (number) } },
        }
    }
}

fn number_new(cell: &Cell<'_>, o: &Options<'_>) -> Markup {
    html! {
        @match cell.line.new_number {
            Some(number) => td.n id={ "f" (o.index) "L" (number) } {
                @match o.comment.and_then(|start| href(start)) {
                    // Out of the order of focus: a page has thousands of lines.
                    Some(start) => a tabindex="-1"
                        href={ (start) (o.index) "." (number) "#f" (o.index) "L" (number) }
                        aria-label=(fill_text(o.wording.comment_on, &number.to_string())) { (number) },
                    None => (number),
                }
            },
            None => td.n {},
        }
    }
}

fn text(cell: &Cell<'_>, o: &Options<'_>) -> Markup {
    // Side by side a row has no single kind, so its cells have.
    let split = o.layout == Layout::Split;
    let (sign, class) = match cell.line.kind {
        LineKind::Added => ("+", if split { "c add" } else { "c" }),
        LineKind::Deleted => ("-", if split { "c del" } else { "c" }),
        LineKind::Context => ("", "c"),
    };
    html! {
        td.s { (sign) }
        td class=(class) { (content(cell, o.wording)) }
    }
}

/// The comments on a line of the new side.
fn comments(cell: &Cell<'_>, below: &Below<'_>, o: &Options<'_>) -> Markup {
    html! {
        @if let Some(said) = cell.line.new_number.and_then(|number| below.of(number)) {
            tr.talk {
                td colspan=(rest(o) + 1) {
                    @for one in said { (one) }
                }
            }
        }
    }
}
