//! The rows of a changed file: its lines decoded, paired, marked and coloured.
//!
//! Every line of every hunk is in exactly one cell, in the order of the patch; the split layout
//! holds the same cells side by side. Deliberately absent: HTML, comments, which files are open.

use std::ops::Range;

use nightshift_app::git::{FileDiff, Hunk, Line, LineKind};

use super::colour::Colours;
use super::kept;
use super::options::Time;
use super::text::Text;
use super::word::{is_marked, marks, pair};

/// One line with all that is known about its text.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    pub(super) line: &'a Line,
    pub(super) text: Text,
    pub(super) colours: Colours,
    /// The words that differ from the line it is paired with.
    pub(super) marks: Vec<Range<usize>>,
}

/// Two sides of one row of the split layout, as places among the cells; a context line is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) old: Option<usize>,
    pub(super) new: Option<usize>,
}

/// A hunk.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) hunk: &'a Hunk,
    /// Unchanged lines between this hunk and the one before, or the start of the file.
    pub(super) above: u32,
    /// How many more lines around each change would show all of them.
    pub(super) missing: u32,
    pub(super) cells: Vec<Cell<'a>>,
    pub(super) beside: Vec<Beside>,
}

/// All rows of a file.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) blocks: Vec<Block<'a>>,
    /// Whether unchanged lines may follow the last hunk.
    pub(super) below: bool,
    /// Some byte is no UTF-8.
    pub(super) lossy: bool,
    /// Some added line holds what misleads a reader.
    pub(super) misleads: bool,
    /// Some lines are plain for want of time.
    pub(super) unfinished: bool,
}

/// Builds the rows. `context` is how many lines around a change the patch was asked for; without
/// `coloured` there are no colours.
pub(super) fn rows<'a>(
    file: &FileDiff,
    hunks: &'a [Hunk],
    context: u32,
    coloured: bool,
    time: Time<'_>,
) -> Rows<'a> {
    let decoded: Vec<(&Hunk, Vec<Text>)> = hunks
        .iter()
        .map(|hunk| {
            let texts = hunk.lines.iter().map(|line| Text::of_line(&line.bytes));
            (hunk, texts.collect())
        })
        .collect();
    let path = file.path().to_text();
    let (colours, is_whole) = match coloured {
        true => kept::coloured(&path, &decoded, time.colours),
        false => (None, true),
    };
    let colours = colours.as_deref().map(Vec::as_slice).unwrap_or_default();
    let mut colours = colours.iter();
    let whole = file.old.is_none() || file.new.is_none();
    let mut end = 0;
    let mut blocks = Vec::with_capacity(decoded.len());
    for (hunk, texts) in decoded {
        let start = hunk
            .new_start
            .saturating_add(u32::from(hunk.new_lines == 0));
        let above = if whole {
            0
        } else {
            start.saturating_sub(end).saturating_sub(1)
        };
        end = start.saturating_add(hunk.new_lines).saturating_sub(1);
        let (cells, beside) = cells(hunk, texts, colours.next(), time.marks);
        // Between two hunks both grow towards each other.
        let missing = if blocks.is_empty() {
            above
        } else {
            above.div_ceil(2)
        };
        blocks.push(Block {
            hunk,
            above,
            missing,
            cells,
            beside,
        });
    }
    let added = |cell: &&Cell<'_>| cell.line.kind == LineKind::Added;
    let all = || blocks.iter().flat_map(|block| &block.cells);
    Rows {
        below: !whole && hunks.last().is_some_and(|hunk| goes_on(hunk, context)),
        lossy: all().any(|cell| cell.text.is_lossy()),
        misleads: all().filter(added).any(|cell| cell.text.misleads()),
        unfinished: !is_whole,
        blocks,
    }
}

/// Whether the file may go on after its last hunk: git showed all the context it was asked for.
fn goes_on(hunk: &Hunk, context: u32) -> bool {
    let unchanged = |line: &&Line| line.kind == LineKind::Context;
    let tail = hunk.lines.iter().rev().take_while(unchanged).count();
    let ended = hunk.lines.last().is_some_and(|line| line.no_newline);
    !ended && u32::try_from(tail).unwrap_or(u32::MAX) >= context
}

fn cells<'a>(
    hunk: &'a Hunk,
    texts: Vec<Text>,
    colours: Option<&Vec<Colours>>,
    go_on: &dyn Fn() -> bool,
) -> (Vec<Cell<'a>>, Vec<Beside>) {
    let mut colours = colours.into_iter().flatten();
    let mut cells: Vec<Cell<'a>> = hunk
        .lines
        .iter()
        .zip(texts)
        .map(|(line, text)| Cell {
            line,
            text,
            colours: colours.next().cloned().unwrap_or_default(),
            marks: Vec::new(),
        })
        .collect();
    let mut beside = Vec::with_capacity(cells.len());
    let mut at = 0;
    while at < cells.len() {
        if cells[at].line.kind == LineKind::Context {
            beside.push(Beside {
                old: Some(at),
                new: Some(at),
            });
            at += 1;
            continue;
        }
        let old = run(&cells, at, LineKind::Deleted);
        let new = run(&cells, old.end, LineKind::Added);
        at = new.end;
        change(&mut cells, old, new, &mut beside, go_on);
    }
    (cells, beside)
}

/// The lines of this kind from here on.
fn run(cells: &[Cell<'_>], from: usize, kind: LineKind) -> Range<usize> {
    let rest = cells.get(from..).unwrap_or_default();
    let length = rest
        .iter()
        .take_while(|cell| cell.line.kind == kind)
        .count();
    from..from + length
}

/// Puts deleted lines beside the added ones that follow them, and marks the words.
fn change(
    cells: &mut [Cell<'_>],
    old: Range<usize>,
    new: Range<usize>,
    beside: &mut Vec<Beside>,
    go_on: &dyn Fn() -> bool,
) {
    let lines = |range: &Range<usize>| -> Vec<&str> {
        cells[range.clone()]
            .iter()
            .map(|cell| cell.text.shown.as_str())
            .collect()
    };
    let pairs = pair(&lines(&old), &lines(&new));
    let marked = is_marked(old.len(), new.len());
    for pair in pairs {
        let row = Beside {
            old: pair.old.map(|place| old.start + place),
            new: pair.new.map(|place| new.start + place),
        };
        beside.push(row);
        if let (Some(left), Some(right)) = (row.old, row.new)
            && marked
            && go_on()
        {
            let found = marks(&cells[left].text.shown, &cells[right].text.shown);
            cells[left].marks = found.old;
            cells[right].marks = found.new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample::{file, hunk};
    use super::*;

    const ALL: Time<'_> = Time {
        colours: &|| true,
        marks: &|| true,
    };
    const NONE: Time<'_> = Time {
        colours: &|| false,
        marks: &|| false,
    };

    #[test]
    fn gaps_are_counted_from_the_lines_shown() {
        let hunks = [
            hunk(3, 3, &[" a", "-b", "+c", " d"]),
            hunk(20, 19, &["-gone"]),
            hunk(31, 29, &[" x", "+y"]),
        ];
        let file = file("a");
        let rows = rows(&file, &hunks, 1, false, ALL);
        let above: Vec<u32> = rows.blocks.iter().map(|block| block.above).collect();
        // New lines shown: 3 to 5, none after 19, 29 and 30.
        assert_eq!(above, [2, 14, 9]);
        assert!(!rows.below, "the last line shown is a change");
    }

    #[test]
    fn more_may_follow_where_all_context_was_shown() {
        let file = file("a");
        let below = |lines: &[&str], context| {
            let hunks = [hunk(1, 1, lines)];
            rows(&file, &hunks, context, false, ALL).below
        };
        assert!(below(&["+a", " b", " c", " d"], 3));
        assert!(!below(&["+a", " b", " c"], 3));
        assert!(!below(&["+a", " b", " c", " d", "\\"], 3));
    }

    #[test]
    fn a_changed_line_stands_beside_what_it_was() {
        let hunks = [hunk(1, 1, &[" a", "-let b = 1;", "+new", "+let b = 2;"])];
        let file = file("a");
        let rows = rows(&file, &hunks, 3, false, ALL);
        let beside: Vec<_> = rows.blocks[0]
            .beside
            .iter()
            .map(|b| (b.old, b.new))
            .collect();
        assert_eq!(
            beside,
            [(Some(0), Some(0)), (None, Some(2)), (Some(1), Some(3))]
        );
        assert_eq!(rows.blocks[0].cells[1].marks.first(), Some(&(8..9)));
        assert_eq!(rows.blocks[0].cells[3].marks.first(), Some(&(8..9)));
    }

    #[test]
    fn without_time_there_are_rows_but_no_marks() {
        let hunks = [hunk(1, 1, &["-let b = 1;", "+let b = 2;"])];
        let file = file("a.rs");
        let rows = rows(&file, &hunks, 3, true, NONE);
        let cells = &rows.blocks[0].cells;
        assert!(
            cells
                .iter()
                .all(|c| c.marks.is_empty() && c.colours.is_empty())
        );
    }
}
