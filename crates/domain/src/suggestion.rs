//! Suggestions: what a reviewer wants some lines to say instead, written in a fenced block named
//! `suggestion` in a comment on those lines.
//!
//! Bytes stay bytes: what is not replaced is not touched, and what is replaced keeps the line
//! endings of its place, the mark at the beginning of the file, and the missing line feed at its
//! end. Replacing lines by themselves changes nothing. Deliberately absent: where contents come
//! from, and who may.

use std::fmt;

use crate::refusal::suggestion as say;
use crate::sentence::Sentence;

/// What a fenced block is named to be a suggestion.
const NAME: &str = "suggestion";
/// The mark that some programs put at the beginning of a text.
const BOM: &str = "\u{feff}";

/// Some lines of a file, from 1, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lines {
    first: usize,
    last: usize,
}

impl Lines {
    /// The lines from `first` to `last`; `None` where these are no lines.
    #[must_use]
    pub fn new(first: i64, last: i64) -> Option<Self> {
        let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
        (first >= 1 && first <= last && last <= MOST).then_some(Self { first, last })
    }

    /// The first line.
    #[must_use]
    pub fn first(self) -> usize {
        self.first
    }

    /// The last line.
    #[must_use]
    pub fn last(self) -> usize {
        self.last
    }

    /// What people call them.
    #[must_use]
    pub fn name(self) -> Sentence {
        if self.first == self.last {
            say::line(self.first)
        } else {
            say::lines(self.first, self.last)
        }
    }

    fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Beyond every file that is looked at.
const MOST: usize = 100_000_000;

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

/// A rule that forbids a suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The comment has more than one.
    Several,
    /// The file has no lines.
    Binary,
    /// The file ends before.
    Beyond {
        /// What is meant.
        lines: Lines,
        /// How many there are.
        count: usize,
    },
    /// The lines cannot be shown as text, so that a suggestion would change what nobody sees.
    NotText {
        /// Which.
        lines: Lines,
    },
    /// Two suggestions want the same lines.
    Overlap {
        /// One.
        one: Lines,
        /// The other.
        other: Lines,
    },
}

impl Refused {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Several => say::several(),
            Self::Binary => say::binary(),
            Self::Beyond { lines, count } => say::beyond(*count, lines.name()),
            Self::NotText { lines } => say::not_text(lines.name()),
            Self::Overlap { one, other } => say::overlap(one.name(), other.name()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for Refused {}

/// A comment taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// What is said, without the suggestion.
    pub words: String,
    /// The lines that are suggested; none means that lines shall go.
    pub suggested: Option<Vec<String>>,
}

/// Takes a comment apart.
///
/// # Errors
/// `Several` where it has more than one suggestion.
pub fn read(body: &str) -> Result<Comment, Refused> {
    let body = body.replace("\r\n", "\n");
    let mut words: Vec<&str> = Vec::new();
    let mut suggested: Option<Vec<String>> = None;
    let mut open: Option<(Fence, bool)> = None;
    for line in body.lines() {
        match &open {
            None => match Fence::opened_by(line) {
                Some(fence) if fence.name == NAME => {
                    if suggested.is_some() {
                        return Err(Refused::Several);
                    }
                    suggested = Some(Vec::new());
                    open = Some((fence, true));
                }
                Some(fence) => {
                    words.push(line);
                    open = Some((fence, false));
                }
                None => words.push(line),
            },
            Some((fence, ours)) => {
                let closes = fence.is_closed_by(line);
                match (ours, &mut suggested) {
                    (true, Some(lines)) if !closes => {
                        lines.push(fence.inside(line).to_owned());
                    }
                    (true, _) => {}
                    (false, _) => words.push(line),
                }
                if closes {
                    open = None;
                }
            }
        }
    }
    Ok(Comment {
        words: words.join("\n").trim_end().to_owned(),
        suggested,
    })
}

/// Writes lines as a suggestion, fenced so that nothing in them ends it.
#[must_use]
pub fn block<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.into_iter().collect();
    let longest = lines
        .iter()
        .map(|line| line.trim_start().bytes().take_while(|b| *b == b'`').count())
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let mut text = format!("{fence}{NAME}\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&fence);
    text.push('\n');
    text
}

/// The beginning of a fenced block, as `CommonMark` has it (section 4.5).
#[derive(Debug)]
struct Fence {
    mark: u8,
    length: usize,
    indent: usize,
    name: String,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (indent, rest) = indented(line)?;
        let mark = *rest.as_bytes().first()?;
        if mark != b'`' && mark != b'~' {
            return None;
        }
        let length = rest.bytes().take_while(|b| *b == mark).count();
        let info = rest.get(length..)?.trim();
        if length < 3 || (mark == b'`' && info.contains('`')) {
            return None;
        }
        let name = info.split_whitespace().next().unwrap_or_default();
        Some(Self {
            mark,
            length,
            indent,
            name: name.to_owned(),
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let Some((_, rest)) = indented(line) else {
            return false;
        };
        let length = rest.bytes().take_while(|b| *b == self.mark).count();
        length >= self.length
            && rest
                .get(length..)
                .is_some_and(|rest| rest.trim().is_empty())
    }

    /// A line of the block, without the indentation that the fence has.
    fn inside<'a>(&self, line: &'a str) -> &'a str {
        let spaces = line.bytes().take_while(|b| *b == b' ').count();
        line.get(spaces.min(self.indent)..).unwrap_or(line)
    }
}

/// A line without its indentation, which a fence has at most three spaces of.
fn indented(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len() - rest.len();
    (indent <= 3).then_some((indent, rest))
}

/// Lines that shall be replaced by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which.
    pub lines: Lines,
    /// By these, without line endings.
    pub by: Vec<String>,
}

/// The lines of a content as texts, without their endings.
///
/// # Errors
/// Where the content has no such lines, or they are no text.
pub fn shown(content: &[u8], lines: Lines) -> Result<Vec<String>, Refused> {
    let all = split(content)?;
    let meant = pick(&all, lines)?;
    meant
        .iter()
        .map(|line| text_of(line, lines).map(str::to_owned))
        .collect()
}

/// The content with all of these edits made at once; every one means the lines as they are before.
///
/// # Errors
/// Where it has no such lines, they are no text, or two edits mean the same lines.
pub fn apply(content: &[u8], edits: &[Edit]) -> Result<Vec<u8>, Refused> {
    let all = split(content)?;
    let mut order: Vec<&Edit> = edits.iter().collect();
    order.sort_by_key(|edit| edit.lines);
    for pair in order.windows(2) {
        if let [one, other] = pair
            && one.lines.meets(other.lines)
        {
            return Err(Refused::Overlap {
                one: one.lines,
                other: other.lines,
            });
        }
    }
    // Lines of a file that ends in the middle of one get what its other lines have.
    let usual = all.iter().map(|line| ending(line)).find(|e| !e.is_empty());
    let usual = usual.unwrap_or(b"\n");
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut next = 0;
    for edit in order {
        let meant = pick(&all, edit.lines)?;
        for line in meant {
            text_of(line, edit.lines)?;
        }
        let start = edit.lines.first - 1;
        out.extend(all[next..start].iter().map(|line| line.to_vec()));
        next = edit.lines.last;
        let marked = start == 0
            && meant
                .first()
                .is_some_and(|line| line.starts_with(BOM.as_bytes()));
        let endings: Vec<&[u8]> = meant.iter().map(|line| ending(line)).collect();
        let end = endings.last().copied().unwrap_or(usual);
        for (at, line) in edit.by.iter().enumerate() {
            let mut bytes = Vec::new();
            if at == 0 && marked && !line.starts_with(BOM) {
                bytes.extend_from_slice(BOM.as_bytes());
            }
            bytes.extend_from_slice(line.as_bytes());
            let own = if at + 1 == edit.by.len() {
                end
            } else {
                let same = endings.get(at).copied().filter(|e| !e.is_empty());
                same.unwrap_or(usual)
            };
            bytes.extend_from_slice(own);
            out.push(bytes);
        }
        if edit.by.is_empty()
            && end.is_empty()
            && let Some(line) = out.last_mut()
        {
            // The file goes on ending without a line feed.
            line.truncate(line.len() - ending(line).len());
        }
    }
    out.extend(all[next..].iter().map(|line| line.to_vec()));
    Ok(out.concat())
}

/// What changed between two contents, as a diff without context tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The first line that is gone; where none is, the line after which something came.
    pub at: usize,
    /// How many are gone.
    pub gone: usize,
    /// How many came.
    pub came: usize,
}

/// Where some lines are after all of these, in the order of the file; `None` where they were
/// changed themselves.
#[must_use]
pub fn carry(lines: Lines, moves: &[Moved]) -> Option<Lines> {
    let (mut more, mut less) = (0, 0);
    for moved in moves {
        let before = if moved.gone == 0 {
            if (lines.first..lines.last).contains(&moved.at) {
                return None;
            }
            moved.at < lines.first
        } else {
            let last = moved.at + moved.gone - 1;
            if moved.at <= lines.last && last >= lines.first {
                return None;
            }
            last < lines.first
        };
        if before {
            more += moved.came;
            less += moved.gone;
        }
    }
    Some(Lines {
        first: (lines.first + more).checked_sub(less)?,
        last: (lines.last + more).checked_sub(less)?,
    })
}

/// Where `count` lines would be that came in the place of these; `None` for no lines.
#[must_use]
pub fn begun(lines: Lines, moves: &[Moved], count: usize) -> Option<Lines> {
    let (mut more, mut less) = (0, 0);
    for moved in moves {
        let last = moved.at + moved.gone.max(1) - 1;
        if last < lines.first {
            more += moved.came;
            less += moved.gone;
        }
    }
    let first = (lines.first + more).checked_sub(less)?;
    (count > 0 && first > 0).then(|| Lines {
        first,
        last: first + count - 1,
    })
}

/// The lines of a content, with their endings.
fn split(content: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    if content.contains(&0) {
        return Err(Refused::Binary);
    }
    Ok(content.split_inclusive(|byte| *byte == b'\n').collect())
}

fn pick<'a, 'b>(all: &'a [&'b [u8]], lines: Lines) -> Result<&'a [&'b [u8]], Refused> {
    all.get(lines.first - 1..lines.last).ok_or(Refused::Beyond {
        lines,
        count: all.len(),
    })
}

/// A line without its ending, if a form can carry it unchanged.
fn text_of(line: &[u8], lines: Lines) -> Result<&str, Refused> {
    let bytes = &line[..line.len() - ending(line).len()];
    std::str::from_utf8(bytes)
        .ok()
        // A form makes a line feed of it.
        .filter(|text| !text.contains('\r'))
        .ok_or(Refused::NotText { lines })
}

fn ending(line: &[u8]) -> &[u8] {
    let length = match line {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    };
    &line[line.len() - length..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(first: i64, last: i64) -> Lines {
        Lines::new(first, last).expect("lines")
    }

    fn edit(first: i64, last: i64, by: &[&str]) -> Edit {
        Edit {
            lines: lines(first, last),
            by: by.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    /// A comment, its words, and the lines it suggests.
    type Apart<'a> = (&'a str, &'a str, Option<&'a [&'a str]>);

    #[test]
    fn comments_are_taken_apart() {
        let cases: [Apart<'_>; 14] = [
            ("why?", "why?", None),
            ("```suggestion\na\nb\n```", "", Some(&["a", "b"])),
            (
                "so:\n\n```suggestion\na\n```\nthanks",
                "so:\n\nthanks",
                Some(&["a"]),
            ),
            ("```suggestion\r\na\r\n```\r\n", "", Some(&["a"])),
            ("```suggestion\n```", "", Some(&[])),
            ("```suggestion\n\n```", "", Some(&[""])),
            ("~~~ suggestion more\na\n~~~~", "", Some(&["a"])),
            (
                "````suggestion\n```\na\n```\n````",
                "",
                Some(&["```", "a", "```"]),
            ),
            ("  ```suggestion\n   a\n b\n  ```", "", Some(&[" a", "b"])),
            // Not closed: it goes on to the end.
            ("```suggestion\na", "", Some(&["a"])),
            ("```rust\na\n```", "```rust\na\n```", None),
            // A block within another one is its text.
            (
                "````\n```suggestion\na\n```\n````",
                "````\n```suggestion\na\n```\n````",
                None,
            ),
            ("    ```suggestion\n    a", "    ```suggestion\n    a", None),
            ("```suggestions\na\n```", "```suggestions\na\n```", None),
        ];
        for (body, words, suggested) in cases {
            let found = read(body).expect("a comment");
            assert_eq!(found.words, words, "{body:?}");
            let suggested: Option<Vec<String>> =
                suggested.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
            assert_eq!(found.suggested, suggested, "{body:?}");
        }
        let two = "```suggestion\na\n```\n```suggestion\nb\n```";
        assert_eq!(read(two), Err(Refused::Several));
    }

    /// A content, what is edited, and what comes of it.
    type Edited<'a> = (&'a [u8], &'a [Edit], &'a [u8]);

    #[test]
    fn edits_keep_what_they_do_not_mean() {
        let cases: [Edited<'_>; 16] = [
            (b"a\nb\nc\n", &[edit(2, 2, &["x"])], b"a\nx\nc\n"),
            (b"a\nb\nc\n", &[edit(1, 2, &["x"])], b"x\nc\n"),
            (b"a\nb\nc\n", &[edit(2, 2, &["x", "y"])], b"a\nx\ny\nc\n"),
            (b"a\nb\nc\n", &[edit(2, 3, &[])], b"a\n"),
            // The end of the file, with and without a line feed.
            (b"a\nb", &[edit(2, 2, &["x"])], b"a\nx"),
            (b"a\nb", &[edit(2, 2, &["x", "y"])], b"a\nx\ny"),
            (b"a\nb", &[edit(2, 2, &[])], b"a"),
            (b"a\nb", &[edit(1, 2, &[])], b""),
            (b"a", &[edit(1, 1, &["x", "y"])], b"x\ny"),
            // Line endings, all of one kind and mixed.
            (
                b"a\r\nb\r\n",
                &[edit(2, 2, &["x", "y"])],
                b"a\r\nx\r\ny\r\n",
            ),
            (b"a\r\nb", &[edit(2, 2, &["x", "y"])], b"a\r\nx\r\ny"),
            (
                b"a\nb\r\nc\n",
                &[edit(1, 3, &["x", "y", "z"])],
                b"x\ny\r\nz\n",
            ),
            // Two at once, in any order.
            (
                b"a\nb\nc\nd\n",
                &[edit(4, 4, &["z"]), edit(1, 2, &["x", "y", "y"])],
                b"x\ny\ny\nc\nz\n",
            ),
            // The mark at the beginning stays.
            (
                b"\xef\xbb\xbfa\nb\n",
                &[edit(1, 1, &["x"])],
                b"\xef\xbb\xbfx\nb\n",
            ),
            // Bytes that are no text stay where nobody means them.
            (
                b"\xff\nb\n",
                &[edit(2, 2, &["\u{e4}"])],
                b"\xff\n\xc3\xa4\n",
            ),
            (b"a\rb\nc\n", &[edit(2, 2, &["x"])], b"a\rb\nx\n"),
        ];
        for (content, edits, expected) in cases {
            let found = apply(content, edits).expect("edited");
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(expected),
                "{edits:?}"
            );
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_cannot_be_said_of_lines_is_refused() {
        let (one, two) = (lines(1, 2), lines(2, 3));
        let both = [edit(2, 3, &["y"]), edit(1, 2, &["x"])];
        let cases: [(&[u8], &[Edit], Refused); 6] = [
            (b"a\nb\nc\n", &both, Refused::Overlap { one, other: two }),
            (
                b"a\nb\n",
                &both[..1],
                Refused::Beyond {
                    lines: two,
                    count: 2,
                },
            ),
            (
                b"",
                &[edit(1, 1, &["x"])],
                Refused::Beyond {
                    lines: lines(1, 1),
                    count: 0,
                },
            ),
            (b"a\0b\n", &[edit(1, 1, &["x"])], Refused::Binary),
            (
                b"\xff\n",
                &[edit(1, 1, &["x"])],
                Refused::NotText { lines: lines(1, 1) },
            ),
            (
                b"a\rb\n",
                &[edit(1, 1, &["x"])],
                Refused::NotText { lines: lines(1, 1) },
            ),
        ];
        for (content, edits, expected) in cases {
            assert_eq!(apply(content, edits), Err(expected), "{edits:?}");
        }
        for (first, last) in [(0, 1), (2, 1), (-1, 1), (1, i64::MAX)] {
            assert_eq!(Lines::new(first, last), None);
        }
    }

    /// What changed, and where the lines are then.
    type Carried<'a> = (&'a [Moved], Option<(i64, i64)>);

    #[test]
    fn lines_are_carried_over_what_changed_around_them() {
        let moved = |at, gone, came| Moved { at, gone, came };
        let cases: [Carried<'_>; 12] = [
            (&[], Some((3, 4))),
            (&[moved(1, 1, 3)], Some((5, 6))),
            (&[moved(1, 2, 0)], Some((1, 2))),
            (&[moved(0, 0, 2)], Some((5, 6))),
            // Right before, right after, in between.
            (&[moved(2, 0, 1)], Some((4, 5))),
            (&[moved(4, 0, 1)], Some((3, 4))),
            (&[moved(3, 0, 1)], None),
            (&[moved(5, 2, 1)], Some((3, 4))),
            (&[moved(4, 1, 1)], None),
            (&[moved(1, 3, 3)], None),
            (&[moved(2, 9, 0)], None),
            (
                &[moved(1, 1, 0), moved(2, 1, 4), moved(9, 1, 0)],
                Some((5, 6)),
            ),
        ];
        for (moves, expected) in cases {
            let expected = expected.map(|(first, last)| lines(first, last));
            assert_eq!(carry(lines(3, 4), moves), expected, "{moves:?}");
        }
    }

    #[test]
    fn what_came_in_the_place_of_lines_is_found() {
        let moved = |at, gone, came| Moved { at, gone, came };
        for (moves, count, expected) in [
            (vec![moved(3, 2, 1)], 1, Some((3, 3))),
            (vec![moved(1, 1, 3), moved(3, 2, 3)], 3, Some((5, 7))),
            (vec![moved(2, 0, 1), moved(3, 2, 2)], 2, Some((4, 5))),
            (vec![moved(3, 2, 0)], 0, None),
        ] {
            let expected = expected.map(|(first, last)| lines(first, last));
            assert_eq!(begun(lines(3, 4), &moves, count), expected, "{moves:?}");
        }
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        let line = ("[a-c `~]{0,4}", prop_oneof![Just("\n"), Just("\r\n")]);
        (proptest::collection::vec(line, 1..8), any::<bool>()).prop_map(|(lines, cut)| {
            let mut text: String = lines
                .into_iter()
                .map(|(line, end)| format!("{line}{end}"))
                .collect();
            if cut {
                text.push('z');
            }
            text.into_bytes()
        })
    }

    proptest! {
        #[test]
        fn lines_replaced_by_themselves_change_nothing(
            content in content(), a in 0_usize..8, b in 0_usize..8,
        ) {
            let count = split(&content).expect("text").len();
            let (first, last) = (a.min(b) % count + 1, a.max(b) % count + 1);
            let meant = Lines { first: first.min(last), last: first.max(last) };
            let same = shown(&content, meant).expect("text");
            let edit = Edit { lines: meant, by: same.clone() };
            prop_assert_eq!(apply(&content, &[edit]).expect("edited"), content.clone());
            // And what is prefilled is read back as it was.
            let body = block(same.iter().map(String::as_str));
            let read = read(&body).expect("a comment");
            prop_assert_eq!(read.suggested, Some(same));
            prop_assert_eq!(read.words, "");
        }

        #[test]
        fn several_at_once_are_each_by_itself_from_the_end(
            content in content(),
            by in proptest::collection::vec(proptest::collection::vec("[x-z]{0,3}", 0..3), 8),
            mask in any::<u8>(),
        ) {
            let count = split(&content).expect("text").len();
            let edits: Vec<Edit> = (1..=count)
                .filter(|line| mask & (1 << (line % 8)) != 0)
                .map(|line| Edit {
                    lines: Lines { first: line, last: line },
                    by: by[line % 8].clone(),
                })
                .collect();
            // The last line decides how the file ends, so it is left to the tables.
            let edits: Vec<Edit> = edits
                .into_iter()
                .filter(|edit| edit.lines.last < count)
                .collect();
            let at_once = apply(&content, &edits).expect("edited");
            let mut one_by_one = content.clone();
            for edit in edits.iter().rev() {
                one_by_one = apply(&one_by_one, std::slice::from_ref(edit)).expect("edited");
            }
            let ends = |bytes: &[u8]| bytes.ends_with(b"\n");
            prop_assert_eq!(ends(&at_once), ends(&content));
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
