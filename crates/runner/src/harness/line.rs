//! Bytes a program prints, as bounded lines and as log entries.
//!
//! Bytes stay bytes: what is not UTF-8 goes into the log as base64. No line and no entry is
//! larger than its bound, whatever the program prints; what is left out is said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

/// The longest line that is kept whole, in bytes. An event of an agent program is one line, and
/// holds a tool's whole output.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// What one [`Entry::Output`], [`Entry::Text`] or [`Entry::ToolResult`] holds at most, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 10;

/// What the input of one [`Entry::ToolCall`] holds at most, in bytes of JSON.
const MAX_INPUT_BYTES: usize = 16 << 10;

/// One line, without its line feed.
pub type Line = Vec<u8>;

/// Cuts a stream of bytes into lines of at most a bound.
#[derive(Debug)]
pub struct LineSplitter {
    line: Vec<u8>,
    dropped: u64,
    max: usize,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::new(MAX_LINE_BYTES)
    }
}

impl LineSplitter {
    /// A splitter with lines of at most `max` bytes, beside the mark that says what was cut.
    pub fn new(max: usize) -> Self {
        Self {
            line: Vec::new(),
            dropped: 0,
            max,
        }
    }

    /// The lines that end in these bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // INVARIANT: split yields at least one part; the last one has no line feed yet.
        let mut part = parts.next().unwrap_or_default();
        for next in parts {
            self.keep(part);
            lines.push(self.take());
            part = next;
        }
        self.keep(part);
        lines
    }

    /// The last line, if the stream ended without a line feed.
    pub fn end(mut self) -> Option<Line> {
        (!self.line.is_empty() || self.dropped > 0).then(|| self.take())
    }

    fn keep(&mut self, part: &[u8]) {
        let room = self.max - self.line.len();
        let kept = part.len().min(room);
        self.line.extend_from_slice(&part[..kept]);
        self.dropped += (part.len() - kept) as u64;
    }

    fn take(&mut self) -> Line {
        let mut line = std::mem::take(&mut self.line);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            line.extend_from_slice(cut_mark(dropped).as_bytes());
        }
        line
    }
}

/// Bytes that are no event, as a log entry.
pub fn output(stream: Stream, bytes: &[u8]) -> Entry {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Entry::Output {
            stream,
            text: Some(shorten(text, MAX_TEXT_BYTES)),
            base64: None,
        },
        Err(_) => {
            let kept = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
            let dropped = bytes.len() - kept.len();
            Entry::Output {
                stream,
                text: (dropped > 0).then(|| cut_mark(dropped as u64)),
                base64: Some(STANDARD.encode(kept)),
            }
        }
    }
}

/// The text, or its beginning and how much is missing.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &text[..end], cut_mark((text.len() - end) as u64))
}

/// A tool's input, bounded: as it is, or as the beginning of its JSON.
pub(super) fn shorten_input(input: Value) -> Value {
    let json = input.to_string();
    if json.len() <= MAX_INPUT_BYTES {
        input
    } else {
        Value::String(shorten(&json, MAX_INPUT_BYTES))
    }
}

fn cut_mark(bytes: u64) -> String {
    format!(" [cut: {bytes} more bytes]")
}

/// What the runner says of the program.
pub(super) fn status(text: String) -> Entry {
    Entry::Status { text }
}

/// A text of an event, or an empty one.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Words that come in pieces, put together to what is worth a line of the log.
#[derive(Debug, Default)]
pub(super) struct Pieces(String);

impl Pieces {
    /// Takes a piece; gives back what is whole and long enough.
    pub(super) fn push(&mut self, piece: &str) -> Option<Entry> {
        self.0.push_str(piece);
        (self.0.len() >= 2 << 10 && self.0.ends_with('\n') || self.0.len() >= 16 << 10)
            .then(|| self.take())
            .flatten()
    }

    /// Everything that is there.
    pub(super) fn take(&mut self) -> Option<Entry> {
        let words = std::mem::take(&mut self.0);
        (!words.trim().is_empty()).then(|| Entry::Text {
            text: shorten(&words, MAX_TEXT_BYTES),
        })
    }
}

/// The last lines of a stream, kept to say why a program failed.
#[derive(Debug, Default)]
pub(super) struct Tail {
    last: String,
}

impl Tail {
    /// Remembers a line, unless it is empty or no text.
    pub(super) fn see(&mut self, line: &[u8]) {
        if let Ok(text) = std::str::from_utf8(line)
            && !text.trim().is_empty()
        {
            self.last = shorten(text.trim(), 2 << 10);
        }
    }

    /// The last line that said something.
    pub(super) fn last(&self) -> Option<&str> {
        (!self.last.is_empty()).then_some(self.last.as_str())
    }
}

/// A run's own usage, from what a program reports for the whole session. When the sum is below
/// what was seen before, the program began to count anew.
pub(super) fn since(before: Usage, sum: Usage) -> Usage {
    let anew = sum.input_tokens < before.input_tokens
        || sum.cached_input_tokens < before.cached_input_tokens
        || sum.output_tokens < before.output_tokens
        || sum.cost_micro_usd < before.cost_micro_usd;
    if anew {
        return sum;
    }
    Usage {
        input_tokens: sum.input_tokens - before.input_tokens,
        cached_input_tokens: sum.cached_input_tokens - before.cached_input_tokens,
        output_tokens: sum.output_tokens - before.output_tokens,
        cost_micro_usd: sum
            .cost_micro_usd
            .map(|cost| cost - before.cost_micro_usd.unwrap_or(0)),
    }
}

/// Two usages together.
pub(super) fn plus(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        cached_input_tokens: one
            .cached_input_tokens
            .saturating_add(other.cached_input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cost_micro_usd: match (one.cost_micro_usd, other.cost_micro_usd) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(max: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::new(max);
        let mut lines: Vec<Line> = chunks.iter().flat_map(|c| splitter.push(c)).collect();
        lines.extend(splitter.end());
        lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let all = "one\n\ntwo \u{e9}\nthree".as_bytes();
        let whole = split(100, &[all]);
        assert_eq!(whole, ["one", "", "two \u{e9}", "three"]);
        for at in 0..all.len() {
            assert_eq!(split(100, &[&all[..at], &all[at..]]), whole, "cut at {at}");
        }
        assert_eq!(split(100, &[]), Vec::<String>::new());
        assert_eq!(split(100, &[b"a\n"]), ["a"]);
    }

    #[test]
    fn a_line_over_the_bound_is_cut_and_says_so() {
        assert_eq!(
            split(4, &[b"abcdef", b"gh\nij\n"]),
            ["abcd [cut: 4 more bytes]", "ij"]
        );
        assert_eq!(split(4, &[b"abcdef"]), ["abcd [cut: 2 more bytes]"]);
    }

    #[test]
    fn bytes_that_are_no_text_go_to_base64() {
        assert_eq!(
            output(Stream::Stderr, b"\xff\xfe"),
            Entry::Output {
                stream: Stream::Stderr,
                text: None,
                base64: Some("//4=".to_owned())
            }
        );
        let Entry::Output {
            text: Some(text), ..
        } = output(Stream::Stdout, "\u{e9}".repeat(MAX_TEXT_BYTES).as_bytes())
        else {
            panic!("text stays text");
        };
        assert!(text.ends_with("[cut: 65536 more bytes]"), "{}", text.len());
    }

    #[test]
    fn pieces_become_entries_and_nothing_of_them_is_lost() {
        let mut pieces = Pieces::default();
        let mut said = String::new();
        let mut entries = 0;
        let long = "word ".repeat(30) + "\n";
        let mut keep = |entry: Option<Entry>| {
            if let Some(Entry::Text { text }) = entry {
                said.push_str(&text);
                entries += 1;
            }
        };
        for _ in 0..100 {
            keep(pieces.push("a "));
            keep(pieces.push(&long));
        }
        keep(pieces.take());
        keep(pieces.take());
        assert_eq!(said, format!("a {long}").repeat(100));
        assert!((5..20).contains(&entries), "{entries}");
    }

    #[test]
    fn a_runs_usage_is_the_difference_unless_the_count_began_anew() {
        let usage = |input, cost| Usage {
            input_tokens: input,
            cached_input_tokens: 2 * input,
            output_tokens: input,
            cost_micro_usd: cost,
        };
        assert_eq!(
            since(usage(10, Some(5)), usage(30, Some(9))),
            usage(20, Some(4))
        );
        assert_eq!(
            since(usage(0, None), usage(30, Some(9))),
            usage(30, Some(9))
        );
        assert_eq!(since(usage(10, None), usage(4, None)), usage(4, None));
        assert_eq!(plus(usage(1, None), usage(2, Some(3))), usage(3, Some(3)));
    }
}
