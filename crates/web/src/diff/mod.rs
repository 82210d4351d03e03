//! Changed files as HTML: rows, colours, marks of words, notes, anchors for comments.
//!
//! Pure: a patch and options in, markup out, the same each time. Whatever a repository holds is
//! text: it is escaped, and what cannot be seen is named. Colours and marks are bounded in work
//! and never change the text. No inline style, no script. Deliberately absent: reading git, the
//! page around, scripts, the stylesheet.
//!
//! # For the stylesheet
//!
//! | selector | what |
//! |---|---|
//! | `section.file` | one file; `.later` when its lines come by a link. Has `id="f<N>"`, `data-file`, `data-path`; `data-plain` while some lines have no colours for want of time |
//! | `.file-head` | its head: `h3`, `.status.<added, deleted, modified, renamed, copied, type-changed>`, `.path`, `.count` with `.plus` and `.minus`, `.talks`, `.tools` |
//! | `p.note`, `.warn`, `.binary` | a box with one fact; `.warn` asks for care; images have `data-image` |
//! | `p.later` with `a.load` | the lines are not here; says why. `data-rows` is their number |
//! | `details.lines` | folds the lines |
//! | `div.elsewhere` | comments on lines that are not shown; `div.one` with `data-n` for each line |
//! | `div.scroll` | scrolls sideways: lines never wrap |
//! | `table.diff`, `.split` | the lines; cells keep white space |
//! | `.quiet` | read aloud, not seen (caption, head of the table, words beside numbers) |
//! | `tr.add`, `tr.del`, `tr.ctx` | rows of the unified layout; `tr.chg`, `tr.ctx` of the split one, where `td.add`, `td.del`, `td.none` (no line on this side) tell |
//! | `tr.hunk`, `tr.gap`, `a.more`, `span.at` | where a hunk starts; more lines after the last one; the way to more lines |
//! | `tr.talk` | comments under a line |
//! | `td.n`, `td.s`, `td.c` | number, sign (`+`, `-`), content; the first two are not to be selected |
//! | `mark` | a word that differs from the other side |
//! | `.odd` | stands for a character that cannot be shown; not to be selected |
//! | `.eof` | no line feed at the end of the file; not to be selected |
//! | `.s-*` | `attribute comment constant emphasis escape function heading keyword number string strong tag type variable` |
//!
//! # Anchors
//!
//! `f<N>` is file N of the patch, `f<N>L<line>` a line of its new side, `f<N>R<line>` a removed line
//! of its old side; anchors of lines are on their number cell. `table.diff[data-file]` and
//! `tr[data-n]` (new number) tell scripts what a row is.

mod colour;
mod kept;
mod line;
mod note;
mod options;
mod plan;
mod rows;
mod table;
mod text;
mod word;
mod wording;

pub use colour::warm_colours;
pub use kept::colour_later;
pub(crate) use options::{Comments, Layout, Options, Time};
pub(crate) use plan::{Budget, Seen, plan};
pub(crate) use wording::Wording;

use maud::{Markup, html};
use nightshift_app::git::{FilePatch, Status};

use line::plain;
use options::Below;
use plan::{Shape, Why};
use rows::Rows;
use text::Text;
use wording::{fill, fill_text};

/// A text that somebody wrote, with what cannot be seen named.
pub(crate) fn shown(text: &str, wording: &Wording) -> Markup {
    plain(&Text::of(text.as_bytes()), wording)
}

/// One changed file: head, notes, and its lines or the way to them.
pub(crate) fn render_file(patch: &FilePatch, o: &Options<'_>) -> Markup {
    let file = &patch.file;
    let path = Text::of(file.path().as_bytes());
    let below = o.comments.below(&path.shown);
    let hunks = match (&patch.hunks, o.shape) {
        (Some(hunks), Shape::Open { coloured }) if !note::is_submodule(file) => {
            Some((hunks, coloured))
        }
        _ => None,
    };
    let rows = hunks.map(|(hunks, coloured)| rows::rows(file, hunks, o.context, coloured, o.time));
    let rows = rows.as_ref();
    let why = match (o.shape, &patch.hunks) {
        (Shape::Later(why), _) => Some(why),
        (Shape::Open { .. }, None) => Some(Why::Missing),
        (Shape::Open { .. }, Some(_)) => None,
    };
    html! {
        section.file.later[why.is_some()] id={ "f" (o.index) } aria-labelledby={ "f" (o.index) "h" }
            data-plain[rows.is_some_and(|rows| rows.unfinished)] data-file=(o.index) data-path=(path.shown.replace(char::is_control, "\u{fffd}")) {
            (head(patch, &path, &below, o))
            (note::notes(patch, rows, o))
            @if let Some(picture) = &o.picture { (picture) }
            (elsewhere(&below, rows, o))
            @if let Some(why) = why {
                (later(patch, why, o))
            } @else if let Some(rows) = rows.filter(|rows| !rows.blocks.is_empty()) {
                details.lines open {
                    summary { (o.wording.lines) }
                    (table::table(&path, rows, &below, o))
                }
            }
        }
    }
}

fn head(patch: &FilePatch, path: &Text, below: &Below<'_>, o: &Options<'_>) -> Markup {
    let (file, w) = (&patch.file, o.wording);
    let (class, word) = match file.status {
        Status::Added => ("added", w.added),
        Status::Deleted => ("deleted", w.deleted),
        Status::Modified => ("modified", w.modified),
        Status::Renamed => ("renamed", w.renamed),
        Status::Copied => ("copied", w.copied),
        Status::TypeChanged => ("type-changed", w.type_changed),
    };
    let count = |class: &str, sign: &str, number: u64, words: &str| {
        html! {
            span class=(class) {
                span aria-hidden="true" { (sign) (number) }
                span.quiet { (fill_text(words, &number.to_string())) }
            }
        }
    };
    html! {
        div.file-head {
            h3 id={ "f" (o.index) "h" } { span.path { (plain(path, w)) } }
            " " span.status.(class) { (word) }
            @if !file.binary {
                " " span.count {
                    (count("plus", "+", file.additions, w.lines_added)) " "
                    (count("minus", "−", file.deletions, w.lines_deleted))
                }
            }
            @if below.count() > 0 {
                " " span.talks { (fill_text(w.comments, &below.count().to_string())) }
            }
            @if let Some(tools) = &o.tools { div.tools { (tools) } }
        }
    }
}

/// Comments that have no row.
fn elsewhere(below: &Below<'_>, rows: Option<&Rows<'_>>, o: &Options<'_>) -> Markup {
    let left = below.elsewhere(rows);
    html! {
        @if !left.is_empty() {
            div.elsewhere {
                h4 { (o.wording.elsewhere) }
                @for (line, said) in left {
                    div.one data-n=(line) {
                        @if line > 0 { span.n { (line) } }
                        @for one in said { (one) }
                    }
                }
            }
        }
    }
}

/// Says why the lines are not here, and how to get them.
fn later(patch: &FilePatch, why: Why, o: &Options<'_>) -> Markup {
    let w = o.wording;
    let rows = plan::rows(patch);
    let said = match why {
        Why::Viewed => w.viewed,
        Why::Generated => w.generated,
        Why::Large => w.large,
        Why::Rest => w.rest,
        Why::Missing => w.missing,
    };
    html! {
        p.later data-rows=[rows] {
            (fill(said, &[html! { (rows.unwrap_or(0)) }]))
            @if let Some(address) = o.address(&format!("open={}", o.index)) {
                " " a.load href=(address) { (w.load) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
