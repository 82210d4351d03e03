//! A run's log as pages: the end of it, from a place on, or before a place; and a search through it.
//!
//! A page costs the same however long the log is, and holds whole records only. A search looks at a
//! bounded part and says where to go on. Deliberately absent: what the records say.

use std::io::{BufRead as _, BufReader, Read as _};

use nightshift_domain::id::RunId;
use nightshift_store::run::RunState;

use super::run::RunView;
use crate::log::MAX_WINDOW;
use crate::{App, Caller, Error};

/// How much of a log one page shows, in bytes, unless a single record is longer.
pub const PAGE: u64 = 128 << 10;
/// How much of a log one search looks at, in bytes.
pub const SCAN: u64 = 16 << 20;
/// How many finds end a search.
pub const FINDS: usize = 50;

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The newest part.
    End,
    /// From the first record at or after this offset on.
    From(u64),
    /// The part that ends at this offset.
    Before(u64),
}

/// One record, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it begins, in bytes; it never changes.
    pub offset: u64,
    /// The bytes, without the newline.
    pub bytes: Vec<u8>,
}

/// A part of a run's log.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// The run.
    pub view: RunView,
    /// The records.
    pub lines: Vec<LogLine>,
    /// Where the part begins.
    pub from: u64,
    /// Where it ends, and the next one begins.
    pub to: u64,
    /// How long the log is.
    pub size: u64,
    /// Whether the run has ended, so that nothing will follow.
    pub ended: bool,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The run.
    pub view: RunView,
    /// The finds, each with the offset of its record.
    pub finds: Vec<(u64, T)>,
    /// Where to go on, if the log goes on.
    pub next: Option<u64>,
    /// How long the log is.
    pub size: u64,
}

impl App {
    /// Reads a part of a run's log.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the run.
    pub async fn run_log_page(
        &self,
        caller: &Caller,
        id: RunId,
        look: Look,
    ) -> Result<LogPage, Error> {
        let view = self.run_get(caller, id).await?;
        let ended = view.run.state != RunState::Running;
        let size = u64::try_from(view.run.log_bytes).unwrap_or_default();
        let mut part = Part::default();
        for most in [PAGE, MAX_WINDOW - 1] {
            let span = span(look, size, most);
            // One byte more: whether the part begins with a record shows in the byte before it.
            let before = u64::from(span.0 > 0);
            let bytes = self
                .log_window(id, span.0 - before, span.1 - span.0 + before)
                .await?;
            part = cut(span, before > 0, &bytes);
            if !part.lines.is_empty() || span.1 - span.0 < most {
                break;
            }
        }
        Ok(LogPage {
            view,
            lines: part.lines,
            from: part.from,
            to: part.to,
            size: size.max(part.to),
            ended,
        })
    }

    /// Searches a run's log from the record at `from` on; `find` looks at one record. Ends after
    /// [`SCAN`] bytes or [`FINDS`] finds and says where to go on.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the run.
    pub async fn run_log_search<T: Send + 'static>(
        &self,
        caller: &Caller,
        id: RunId,
        from: u64,
        find: impl Fn(&[u8]) -> Option<T> + Send + 'static,
    ) -> Result<Found<T>, Error> {
        let view = self.run_get(caller, id).await?;
        let size = u64::try_from(view.run.log_bytes).unwrap_or_default();
        let from = from.min(size);
        let (finds, to) = self
            .log_open(id, from, move |reader| {
                let mut reader = BufReader::new(reader.take(SCAN));
                let (mut at, mut finds, mut line) = (from, Vec::new(), Vec::new());
                while finds.len() < FINDS {
                    line.clear();
                    let read = reader.read_until(b'\n', &mut line)?;
                    if line.last() != Some(&b'\n') {
                        // A record longer than the whole part is passed over.
                        let whole = at == from && read as u64 == SCAN;
                        at += if whole { SCAN } else { 0 };
                        break;
                    }
                    line.pop();
                    if let Some(found) = find(&line) {
                        finds.push((at, found));
                    }
                    at += read as u64;
                }
                Ok((finds, at))
            })
            .await?;
        Ok(Found {
            view,
            finds,
            next: (to < size && to > from).then_some(to),
            size,
        })
    }
}

/// Records with the place they were cut from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    lines: Vec<LogLine>,
    from: u64,
    to: u64,
}

/// The bytes to look at, at most `most`.
fn span(look: Look, size: u64, most: u64) -> (u64, u64) {
    match look {
        Look::End => (size.saturating_sub(most), size),
        Look::From(from) => {
            let from = from.min(size);
            (from, from.saturating_add(most))
        }
        Look::Before(to) => {
            let to = to.min(size);
            (to.saturating_sub(most), to)
        }
    }
}

/// Cuts the bytes of a span into records; with `one_before`, the first byte is the one before it.
fn cut(span: (u64, u64), one_before: bool, bytes: &[u8]) -> Part {
    let mut at = span.0 - u64::from(one_before);
    let mut lines = Vec::new();
    // What comes first is the end of an earlier record: a newline alone where the span begins well.
    let mut skips = one_before;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some((b'\n', bytes)) = line.split_last() else {
            break;
        };
        if !skips {
            lines.push(LogLine {
                offset: at,
                bytes: bytes.to_vec(),
            });
        }
        skips = false;
        at += line.len() as u64;
    }
    let read = (bytes.len() as u64).saturating_sub(u64::from(one_before));
    match lines.first() {
        Some(first) => Part {
            from: first.offset,
            to: at,
            lines,
        },
        // No record ends here: the next part begins behind what was read.
        None => Part {
            lines,
            from: span.0,
            to: span.0 + read,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(part: &Part) -> Vec<(u64, String)> {
        let text = |line: &LogLine| String::from_utf8_lossy(&line.bytes).into_owned();
        part.lines
            .iter()
            .map(|line| (line.offset, text(line)))
            .collect()
    }

    #[test]
    fn spans_stay_inside_the_log() {
        assert_eq!(span(Look::End, 10, 4), (6, 10));
        assert_eq!(span(Look::End, 3, 4), (0, 3));
        assert_eq!(span(Look::From(99), 10, 4), (10, 14));
        assert_eq!(span(Look::From(u64::MAX), 10, 4), (10, 14));
        assert_eq!(span(Look::Before(8), 10, 4), (4, 8));
        assert_eq!(span(Look::Before(99), 10, 4), (6, 10));
        assert_eq!(span(Look::Before(0), 10, 4), (0, 0));
    }

    #[test]
    fn a_part_begins_with_a_whole_record() {
        // The log: "aa\nbb\ncc\n".
        let begin = cut((0, 9), false, b"aa\nbb\ncc\n");
        assert_eq!(
            offsets(&begin),
            [(0, "aa".into()), (3, "bb".into()), (6, "cc".into())]
        );
        assert_eq!((begin.from, begin.to), (0, 9));
        // From 3: the byte before it is the newline of "aa".
        let well = cut((3, 9), true, b"\nbb\ncc\n");
        assert_eq!(offsets(&well), [(3, "bb".into()), (6, "cc".into())]);
        // From 4, in the middle of "bb".
        let amid = cut((4, 9), true, b"bb\ncc\n");
        assert_eq!(offsets(&amid), [(6, "cc".into())]);
        assert_eq!((amid.from, amid.to), (6, 9));
        // A record that is still being written is left for later.
        let cut_off = cut((3, 8), true, b"\nbb\ncc");
        assert_eq!((offsets(&cut_off).len(), cut_off.to), (1, 6));
        assert_eq!(
            cut((4, 6), true, b"bb"),
            Part {
                lines: vec![],
                from: 4,
                to: 5
            }
        );
    }

    #[test]
    fn parts_going_back_and_forth_hold_every_record_once() {
        let log: Vec<u8> = (0..300)
            .flat_map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}\n", "y".repeat(n % 37)).into_bytes())
            .collect();
        let size = log.len() as u64;
        let read = |look| {
            let span = span(look, size, 200);
            let before = span.0 > 0;
            let first = usize::try_from(span.0 - u64::from(before)).expect("small");
            let last = usize::try_from(span.1.min(size)).expect("small");
            cut(span, before, &log[first..last])
        };
        let mut forth = Vec::new();
        let mut at = 0;
        while at < size {
            let part = read(Look::From(at));
            forth.extend(offsets(&part));
            assert!(part.to > at);
            at = part.to;
        }
        let mut back = Vec::new();
        let mut at = size;
        while at > 0 {
            let part = read(Look::Before(at));
            let mut lines = offsets(&part);
            lines.extend(back);
            back = lines;
            assert!(part.from < at);
            at = part.from;
        }
        assert_eq!(forth.len(), 300);
        assert_eq!(forth, back);
    }
}
