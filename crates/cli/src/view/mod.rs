//! What a person sees of each noun: wire types drawn on a [`Screen`](crate::screen::Screen).
//!
//! Invariant: drawing is pure; time comes in as a value. Deliberately absent: calls to the server.

pub(crate) mod diff;
pub(crate) mod event;
pub(crate) mod issue;
pub(crate) mod pull;
pub(crate) mod run;
pub(crate) mod transcript;

use jiff::Timestamp;

use crate::screen::{Span, Style};

/// How long ago, in one number.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    span_words(now.as_second() - at.as_second())
}

/// A span in seconds, in one number: `45s`, `3m`, `5h`, `12d`.
pub(crate) fn span_words(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// A duration in milliseconds, for people.
pub(crate) fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A size in bytes, for people.
pub(crate) fn bytes(count: i64) -> String {
    match count {
        ..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{} KiB", count / 1_024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

/// A phase of an issue, or a run's state, by whose turn it is: yellow waits for a person, cyan for
/// a machine, green has its result, red needs care.
pub(crate) fn phase(word: &str) -> Span {
    let style = match word {
        "needs-input" | "in-review" | "asked" => Style::Yellow,
        "working" | "landing" | "ready" | "running" => Style::Cyan,
        "done" | "succeeded" => Style::Green,
        "failed" => Style::Red,
        _ => Style::Dim,
    };
    Span::new(style, word)
}

/// The word for a priority.
pub(crate) fn priority(number: i64) -> &'static str {
    match number {
        0 => "urgent",
        1 => "high",
        2 => "normal",
        _ => "low",
    }
}

/// One thing or many.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_one_number() {
        let words: Vec<_> = [-5, 59, 60, 3_599, 3_600, 172_799, 172_800]
            .map(span_words)
            .to_vec();
        assert_eq!(words, ["0s", "59s", "1m", "59m", "1h", "47h", "2d"]);
        assert_eq!(
            [999, 1_250, 61_000].map(millis),
            ["999 ms", "1.2 s", "1 min 1 s"]
        );
        assert_eq!([12, 2_048, 3 << 20].map(bytes), ["12 B", "2 KiB", "3 MiB"]);
    }
}
