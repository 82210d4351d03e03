//! The text of a line, or a path, as HTML: colours, marks of words, and marks of odd characters.
//!
//! The only place of the diff that writes tags by hand. Every character of the text is written
//! exactly once, in order, escaped, or is named inside of a `span.odd`; tags nest. Deliberately
//! absent: rows and cells.

use maud::{Markup, PreEscaped, Render as _};

use super::rows::Cell;
use super::text::{Odd, Text};
use super::wording::Wording;

/// The content of a cell.
pub(super) fn content(cell: &Cell<'_>, wording: &Wording) -> Markup {
    let mut out = String::with_capacity(cell.text.shown.len() * 2);
    let (mut marks, mut at) = (cell.marks.iter(), 0);
    // Marks are outside, colours inside of them.
    loop {
        let mark = marks.next();
        let until = mark.map_or(cell.text.shown.len(), |mark| mark.start);
        coloured(cell, at, until, wording, &mut out);
        let Some(mark) = mark else {
            break;
        };
        out.push_str("<mark>");
        coloured(cell, mark.start, mark.end, wording, &mut out);
        out.push_str("</mark>");
        at = mark.end;
    }
    if cell.line.no_newline {
        out.push_str("<span class=\"eof\">");
        wording.no_newline.render_to(&mut out);
        out.push_str("</span>");
    }
    PreEscaped(out)
}

/// A text without colours.
pub(super) fn plain(text: &Text, wording: &Wording) -> Markup {
    let mut out = String::with_capacity(text.shown.len());
    plain_part(text, 0, text.shown.len(), wording, &mut out);
    PreEscaped(out)
}

fn coloured(cell: &Cell<'_>, from: usize, to: usize, wording: &Wording, out: &mut String) {
    let first = cell.colours.partition_point(|(range, _)| range.end <= from);
    let mut at = from;
    for (range, class) in &cell.colours[first..] {
        if range.start >= to {
            break;
        }
        let (start, end) = (range.start.max(from), range.end.min(to));
        plain_part(&cell.text, at, start, wording, out);
        out.push_str("<span class=\"");
        out.push_str(class);
        out.push_str("\">");
        plain_part(&cell.text, start, end, wording, out);
        out.push_str("</span>");
        at = end;
    }
    plain_part(&cell.text, at, to, wording, out);
}

fn plain_part(text: &Text, from: usize, to: usize, wording: &Wording, out: &mut String) {
    let first = text.odd.partition_point(|(range, _)| range.start < from);
    let mut at = from;
    for (range, odd) in &text.odd[first..] {
        if range.start >= to {
            break;
        }
        text.shown[at..range.start].render_to(out);
        out.push_str("<span class=\"odd\" title=\"");
        title(*odd, wording).render_to(out);
        out.push_str("\">");
        odd.label().render_to(out);
        out.push_str("</span>");
        at = range.end;
    }
    text.shown[at..to].render_to(out);
}

fn title(odd: Odd, wording: &Wording) -> &'static str {
    match odd {
        Odd::Return => wording.odd_return,
        Odd::Control(_) => wording.odd_control,
        Odd::Unseen(_) => wording.odd_unseen,
        Odd::Turn(_) => wording.odd_turn,
        Odd::Byte(_) => wording.odd_byte,
    }
}
