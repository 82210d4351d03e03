//! Which deleted line became which added line, and which words in it.
//!
//! Lines of one run are paired in order, those that share most words first; words are compared
//! only inside pairs that are alike. The work is bounded: long lines and long runs are paired but
//! not marked. Deliberately absent: anything about the file around the run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Longest line whose words are compared, in bytes.
const LONGEST_LINE: usize = 2_000;
/// Longest run, in lines of one side, whose words are compared.
const LONGEST_RUN: usize = 200;
/// Largest run, as deleted times added lines, in which likeness decides the pairs.
const LARGEST_MATCH: usize = 2_500;
/// Most tokens of a line whose words are compared.
const MOST_TOKENS: usize = 400;
/// How much two lines must share for their words to be compared, from 0 to 1.
const ALIKE: f32 = 0.4;

/// A deleted line beside the added line it became; one of them may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Its place among the deleted lines of the run.
    pub(super) old: Option<usize>,
    /// Its place among the added lines of the run.
    pub(super) new: Option<usize>,
}

/// What changed inside a pair, as byte ranges of either line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// In the deleted line.
    pub(super) old: Vec<Range<usize>>,
    /// In the added line.
    pub(super) new: Vec<Range<usize>>,
}

/// Pairs the lines of one run; every line appears once, in order.
pub(super) fn pair(old: &[&str], new: &[&str]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(old.len().max(new.len()));
    let (mut from_old, mut from_new) = (0, 0);
    for (at_old, at_new) in anchors(old, new) {
        zip(from_old..at_old, from_new..at_new, &mut pairs);
        pairs.push(Pair {
            old: Some(at_old),
            new: Some(at_new),
        });
        (from_old, from_new) = (at_old + 1, at_new + 1);
    }
    zip(from_old..old.len(), from_new..new.len(), &mut pairs);
    pairs
}

/// Whether the words of a run of this size are compared at all.
pub(super) fn is_marked(old: usize, new: usize) -> bool {
    old.max(new) <= LONGEST_RUN
}

/// The words that differ; nothing when the lines are too long or too unlike.
pub(super) fn marks(old: &str, new: &str) -> Marks {
    if old.len().max(new.len()) > LONGEST_LINE {
        return Marks::default();
    }
    let (left, right) = (tokens(old), tokens(new));
    if left.len().max(right.len()) > MOST_TOKENS
        || likeness(&fingerprint(&left), &fingerprint(&right)) < ALIKE
    {
        return Marks::default();
    }
    let mut marks = Marks::default();
    for op in capture_diff_slices(Algorithm::Myers, &texts(&left), &texts(&right)) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        mark(&left, op.old_range(), old, &mut marks.old);
        mark(&right, op.new_range(), new, &mut marks.new);
    }
    marks
}

/// Adds the tokens to the marks, and closes a gap of blanks to the mark before.
fn mark(tokens: &[Token<'_>], range: Range<usize>, line: &str, marks: &mut Vec<Range<usize>>) {
    let Some(tokens) = tokens.get(range).filter(|tokens| !tokens.is_empty()) else {
        return;
    };
    let start = tokens[0].at;
    let end = tokens.last().map_or(start, Token::end);
    match marks.last_mut() {
        Some(last) if line[last.end..start].trim().is_empty() => last.end = end,
        _ => marks.push(start..end),
    }
}

/// Pairs of like lines that do not cross, so that the sum of their likeness is the highest.
fn anchors(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let size = old.len() * new.len();
    if size == 0 || size > LARGEST_MATCH {
        return Vec::new();
    }
    let prints = |lines: &[&str]| -> Vec<Vec<u64>> {
        lines
            .iter()
            .map(|line| {
                if line.len() > LONGEST_LINE {
                    Vec::new()
                } else {
                    fingerprint(&tokens(line))
                }
            })
            .collect()
    };
    let (old, new) = (prints(old), prints(new));
    let width = new.len() + 1;
    let alike: Vec<f32> = old
        .iter()
        .flat_map(|left| new.iter().map(|right| likeness(left, right)))
        .collect();
    let score = |i: usize, j: usize| alike[i * new.len() + j];
    // best[i][j]: the highest sum over the lines from i and from j on.
    let mut best = vec![0.0f32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let skip = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let alike = score(i, j);
            let take = if alike >= ALIKE {
                alike + best[(i + 1) * width + j + 1]
            } else {
                0.0
            };
            best[i * width + j] = skip.max(take);
        }
    }
    let mut anchors = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let here = best[i * width + j];
        if here <= best[(i + 1) * width + j] {
            i += 1;
        } else if here <= best[i * width + j + 1] {
            j += 1;
        } else {
            anchors.push((i, j));
            (i, j) = (i + 1, j + 1);
        }
    }
    anchors
}

fn zip(old: Range<usize>, new: Range<usize>, pairs: &mut Vec<Pair>) {
    let (mut old, mut new) = (old, new);
    loop {
        let pair = Pair {
            old: old.next(),
            new: new.next(),
        };
        if pair.old.is_none() && pair.new.is_none() {
            return;
        }
        pairs.push(pair);
    }
}

fn texts<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    tokens.iter().map(|token| token.text).collect()
}

struct Token<'a> {
    at: usize,
    text: &'a str,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Word,
    Blank,
    Single,
}

/// Words, runs of blanks, and single other characters. Scripts without spaces go by character.
fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut sort = None;
    for (at, c) in line.char_indices() {
        let next = if c.is_whitespace() && c != '\r' {
            Sort::Blank
        } else if c == '_' || (c.is_alphanumeric() && c < '\u{2e80}') {
            Sort::Word
        } else {
            Sort::Single
        };
        if sort.is_some_and(|sort| sort != next || next == Sort::Single) {
            tokens.push(Token {
                at: start,
                text: &line[start..at],
            });
            start = at;
        }
        sort = Some(next);
    }
    if start < line.len() {
        tokens.push(Token {
            at: start,
            text: &line[start..],
        });
    }
    tokens
}

/// The tokens that are no blanks, hashed and sorted.
fn fingerprint(tokens: &[Token<'_>]) -> Vec<u64> {
    let mut print: Vec<u64> = tokens
        .iter()
        .filter(|token| !token.text.trim().is_empty())
        .map(|token| {
            let mut hasher = DefaultHasher::new();
            token.text.hash(&mut hasher);
            hasher.finish()
        })
        .collect();
    print.sort_unstable();
    print
}

/// The share of tokens that both have, from 0 to 1; two lines of blanks are alike.
fn likeness(old: &[u64], new: &[u64]) -> f32 {
    if old.is_empty() && new.is_empty() {
        return 1.0;
    }
    let (mut i, mut j, mut common) = (0, 0, 0u16);
    while let (Some(left), Some(right)) = (old.get(i), new.get(j)) {
        match left.cmp(right) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common = common.saturating_add(1);
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    let total = u16::try_from(old.len() + new.len()).unwrap_or(u16::MAX);
    2.0 * f32::from(common) / f32::from(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(old: &str, new: &str, gone: &[&str], come: &[&str]) {
        let marks = marks(old, new);
        let cut = |line: &str, marks: &[Range<usize>]| -> Vec<String> {
            marks.iter().map(|m| line[m.clone()].to_owned()).collect()
        };
        assert_eq!(cut(old, &marks.old), gone, "{old:?} -> {new:?}");
        assert_eq!(cut(new, &marks.new), come, "{old:?} -> {new:?}");
    }

    #[test]
    fn words_that_differ_are_marked() {
        check("let a = 1;", "let a = 2;", &["1"], &["2"]);
        check("f(a, b)", "f(a, b, c)", &[], &[", c"]);
        check(
            "the old name here",
            "the new word here",
            &["old name"],
            &["new word"],
        );
        check("今天天氣好", "今天天氣壞", &["好"], &["壞"]);
        check("a();\r", "a();", &["\r"], &[]);
        check("  x", "    x", &["  "], &["    "]);
    }

    #[test]
    fn lines_that_are_unlike_or_long_have_no_marks() {
        check("return None;", "use std::fmt::Write as _", &[], &[]);
        let long = "a ".repeat(1_001);
        check(&long, &format!("{long}b"), &[], &[]);
    }

    #[test]
    fn a_line_stays_with_the_line_it_resembles() {
        let old = ["fn parse(text: &str) -> u32 {", "    text.len()"];
        let new = [
            "/// Parses.",
            "fn parse(text: &str) -> u64 {",
            "    let n = 1;",
        ];
        let pairs: Vec<(Option<usize>, Option<usize>)> = pair(&old, &new)
            .into_iter()
            .map(|p| (p.old, p.new))
            .collect();
        assert_eq!(
            pairs,
            [(None, Some(0)), (Some(0), Some(1)), (Some(1), Some(2)),]
        );
    }

    proptest! {
        #[test]
        fn every_line_is_paired_once_and_in_order(
            old in prop::collection::vec("[ab ]{0,6}", 0..70),
            new in prop::collection::vec("[ab ]{0,6}", 0..70),
        ) {
            let (old, new): (Vec<&str>, Vec<&str>) =
                (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
            let pairs = pair(&old, &new);
            let left: Vec<usize> = pairs.iter().filter_map(|p| p.old).collect();
            let right: Vec<usize> = pairs.iter().filter_map(|p| p.new).collect();
            prop_assert_eq!(left, (0..old.len()).collect::<Vec<_>>());
            prop_assert_eq!(right, (0..new.len()).collect::<Vec<_>>());
        }

        #[test]
        fn marks_are_in_order_and_on_characters(old in "\\PC{0,40}", new in "\\PC{0,40}") {
            let marks = marks(&old, &new);
            for (line, marks) in [(&old, &marks.old), (&new, &marks.new)] {
                let mut end = 0;
                for mark in marks {
                    prop_assert!(mark.start >= end && mark.end > mark.start);
                    prop_assert!(line.get(mark.clone()).is_some());
                    end = mark.end;
                }
            }
        }
    }
}
