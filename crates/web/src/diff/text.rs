//! The text of a line as it may be shown: what cannot be seen or would mislead is marked.
//!
//! A line is bytes. Bytes that are no UTF-8, control characters, characters without a shape and
//! characters that turn the reading direction are kept in place and named, so that what is read
//! is what is in the file. Deliberately absent: HTML, colours.

use std::ops::Range;

/// Why a character is not shown as itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    /// A carriage return at the end of the line.
    Return,
    /// A control character.
    Control(char),
    /// It has no shape of its own.
    Unseen(char),
    /// It changes the direction in which the text after it is read.
    Turn(char),
    /// A byte that is no UTF-8.
    Byte(u8),
}

impl Odd {
    /// The few letters that stand for it.
    pub(super) fn label(self) -> String {
        match self {
            Self::Return => "CR".to_owned(),
            Self::Control(c) | Self::Unseen(c) | Self::Turn(c) => format!("U+{:04X}", u32::from(c)),
            Self::Byte(byte) => format!("\\x{byte:02X}"),
        }
    }

    /// Whether it can make a reader believe in another text than the machine reads.
    pub(super) fn misleads(self) -> bool {
        matches!(self, Self::Unseen(_) | Self::Turn(_))
    }
}

/// A decoded line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    /// The characters; a byte that is no UTF-8 is one U+FFFD.
    pub(super) shown: String,
    /// What is not shown as itself, in order, without overlap.
    pub(super) odd: Vec<(Range<usize>, Odd)>,
}

impl Text {
    /// Decodes a line without its line feed.
    pub(super) fn of_line(bytes: &[u8]) -> Self {
        let mut text = Self::of(bytes);
        let end = text.shown.len();
        if let Some((range, odd)) = text.odd.last_mut()
            && range.end == end
            && *odd == Odd::Control('\r')
        {
            *odd = Odd::Return;
        }
        text
    }

    /// Decodes anything else, a path for instance.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut text = Self::default();
        let mut before = None;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                let start = text.shown.len();
                text.shown.push(c);
                if let Some(odd) = odd(c, before) {
                    text.odd.push((start..text.shown.len(), odd));
                }
                before = Some(c);
            }
            for byte in chunk.invalid() {
                let start = text.shown.len();
                text.shown.push(char::REPLACEMENT_CHARACTER);
                text.odd.push((start..text.shown.len(), Odd::Byte(*byte)));
                before = None;
            }
        }
        text
    }

    /// Whether a byte is no UTF-8.
    pub(super) fn is_lossy(&self) -> bool {
        self.odd.iter().any(|(_, odd)| matches!(odd, Odd::Byte(_)))
    }

    /// Whether something in it can mislead a reader.
    pub(super) fn misleads(&self) -> bool {
        self.odd.iter().any(|(_, odd)| odd.misleads())
    }
}

/// Joiners are part of many scripts and of emoji; after a Latin letter they only hide.
fn odd(c: char, before: Option<char>) -> Option<Odd> {
    match c {
        '\t' => None,
        c if c.is_control() => Some(Odd::Control(c)),
        c if c.is_ascii() => None,
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => Some(Odd::Turn(c)),
        '\u{200c}' | '\u{200d}' if before.is_some_and(|c| !c.is_ascii()) => None,
        '\u{00ad}'
        | '\u{034f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Some(Odd::Unseen(c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &[&str]) {
        let text = Text::of_line(bytes);
        let labels: Vec<String> = text.odd.iter().map(|(_, odd)| odd.label()).collect();
        assert_eq!(labels, expected, "{bytes:?}");
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        check(b"plain\ttext", &[]);
        check("Grüße, 世界, 👩\u{200d}🚀".as_bytes(), &[]);
        check(b"a\r", &["CR"]);
        check(b"a\rb", &["U+000D"]);
        check(b"\x00\x1b[31m", &["U+0000", "U+001B"]);
        check("if a\u{202e} {".as_bytes(), &["U+202E"]);
        check("us\u{200d}er".as_bytes(), &["U+200D"]);
        check("\u{e0041}\u{feff}".as_bytes(), &["U+E0041", "U+FEFF"]);
        check(b"caf\xe9 \xff", &["\\xE9", "\\xFF"]);
    }

    #[test]
    fn only_what_misleads_is_said_to_mislead() {
        assert!(Text::of_line("a\u{2066}".as_bytes()).misleads());
        assert!(!Text::of_line(b"a\r").misleads());
        assert!(Text::of_line(b"\xe9").is_lossy());
        assert!(!Text::of_line("\u{fffd}".as_bytes()).is_lossy());
    }
}
