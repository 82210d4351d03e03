//! Masks: secrets are taken out of what programs print, in whatever common form they print them.
//!
//! A stream is read byte by byte. What may be the beginning of a secret is held back until it is one,
//! which becomes `***`, or is none, and goes on. Colours of terminals, line ends and other blanks
//! between the characters of a secret do not hide it. Invariant: nothing is lost or put in another
//! order but what a mask stands for. Deliberately absent: ciphers; a program that wants to hide a
//! secret in its output can.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands for a secret.
pub const MASK: &str = "***";
/// The shortest secret: shorter ones would mask ordinary text.
pub const SHORTEST: usize = 8;
/// How much of a secret may be missing at its end or its start, and it is masked all the same.
const CUT: usize = 7;

/// The forms of some secrets.
#[derive(Clone, Default)]
pub struct Forms {
    patterns: Vec<Pattern>,
    /// The patterns that begin with each byte; empty where there are none at all.
    starts: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Forms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forms({})", self.patterns.len())
    }
}

/// One form of a secret, without blanks.
#[derive(Clone)]
struct Pattern {
    bytes: Vec<u8>,
    /// For each length matched, the longest shorter one that its end is as well.
    fall: Vec<usize>,
    /// From which length on a mere beginning is masked too.
    enough: usize,
}

impl Pattern {
    fn new(bytes: Vec<u8>) -> Self {
        let mut fall = vec![0; bytes.len() + 1];
        let mut length = 0;
        for at in 1..bytes.len() {
            while length > 0 && bytes[at] != bytes[length] {
                length = fall[length];
            }
            if bytes[at] == bytes[length] {
                length += 1;
            }
            fall[at + 1] = length;
        }
        let enough = bytes.len().saturating_sub(CUT).max(SHORTEST);
        Self {
            enough,
            bytes,
            fall,
        }
    }
}

impl Forms {
    /// The forms of these values; those too short to be told from ordinary text are left out.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = BTreeSet::new();
        for value in values {
            if value.len() >= SHORTEST {
                all.extend(forms(value.as_bytes()));
            }
        }
        let plain = |form: Vec<u8>| -> Vec<u8> {
            form.into_iter().filter(|byte| !is_blank(*byte)).collect()
        };
        let all: BTreeSet<Vec<u8>> = all.into_iter().map(plain).collect();
        let long = all.into_iter().filter(|form| form.len() >= SHORTEST);
        let patterns: Vec<Pattern> = long.map(Pattern::new).collect();
        let mut starts = vec![Vec::new(); 256];
        for (place, pattern) in patterns.iter().enumerate() {
            starts[usize::from(pattern.bytes[0])].push(place);
        }
        Self { patterns, starts }
    }

    /// Whether there is nothing to mask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// A text without the secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let mut masker = Masker::new(self.clone());
        let mut out = masker.push(text.as_bytes());
        out.extend(masker.end());
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Every form of a value that is looked for.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(value);
    let mut all = vec![
        value.to_vec(),
        value.iter().rev().copied().collect(),
        hex::encode(value).into(),
        hex::encode_upper(value).into(),
        percent(value, false),
        percent(value, true),
        escaped(&text),
    ];
    // Without its start: a program that cuts there.
    if value.len() >= SHORTEST + CUT {
        all.push(value[CUT..].to_vec());
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for before in 0..3 {
            all.push(aligned(engine, value, before));
        }
    }
    all
}

/// The characters of base64 that depend on the value alone when so many bytes stand before it.
fn aligned(engine: &base64::engine::GeneralPurpose, value: &[u8], before: usize) -> Vec<u8> {
    let mut whole = vec![0; before];
    whole.extend(value);
    let coded = engine.encode(&whole);
    // Six bits a character: those that hold bits of what is before or after are not certain.
    let first = (before * 8).div_ceil(6);
    let last = whole.len() * 8 / 6;
    coded.as_bytes()[first.min(last)..last].to_vec()
}

fn percent(value: &[u8], upper: bool) -> Vec<u8> {
    let mut out = String::new();
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out.into()
}

/// As JSON writes it, without the quotes.
fn escaped(text: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0
}

/// Takes secrets out of a stream.
pub struct Masker {
    /// As the bytes are, and then as a terminal shows them.
    stages: [Stage; 2],
}

impl Masker {
    /// A masker at the beginning of a stream.
    #[must_use]
    pub fn new(forms: Forms) -> Self {
        Self {
            stages: [Stage::new(forms.clone(), false), Stage::new(forms, true)],
        }
    }

    /// Reads on; what can be said by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let [plain, shown] = &mut self.stages;
        shown.push(&plain.push(bytes))
    }

    /// What was held back, at the end of the stream.
    pub fn end(&mut self) -> Vec<u8> {
        let [plain, shown] = &mut self.stages;
        let mut out = shown.push(&plain.end());
        out.extend(shown.end());
        out
    }
}

/// One way of reading the stream.
struct Stage {
    forms: Forms,
    /// Whether sequences that a terminal obeys count as nothing.
    strips: bool,
    /// How much of each pattern was seen.
    seen: Vec<usize>,
    /// The patterns of which something was seen.
    begun: Vec<usize>,
    /// What is held back.
    held: Vec<Held>,
    /// Whether what was let go last was masked.
    masked: bool,
    escape: Escape,
}

/// One byte that is held back.
#[derive(Clone, Copy)]
struct Held {
    byte: u8,
    /// Whether it counts as a character; colours and blanks do not.
    counts: bool,
    masked: bool,
}

/// Where in an escape sequence of terminals (ECMA-48) the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// In a control sequence, up to its final byte.
    Control,
    /// In a string, up to BEL or the string terminator.
    String,
}

impl Stage {
    fn new(forms: Forms, strips: bool) -> Self {
        Self {
            seen: vec![0; forms.patterns.len()],
            begun: Vec::new(),
            held: Vec::new(),
            masked: false,
            escape: Escape::None,
            strips,
            forms,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.forms.is_empty() {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let counts = match self.strips {
                true => self.shows(*byte),
                false => !is_blank(*byte),
            };
            self.held.push(Held {
                byte: *byte,
                counts,
                masked: false,
            });
            if counts {
                self.step(*byte);
            }
            self.release(&mut out);
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        for place in std::mem::take(&mut self.begun) {
            let length = std::mem::take(&mut self.seen[place]);
            let pattern = &self.forms.patterns[place];
            if length >= pattern.enough && length < pattern.bytes.len() {
                self.mask_last(length, 0);
            }
        }
        let mut out = Vec::new();
        self.release(&mut out);
        out
    }

    /// Whether a terminal shows the byte, and it is no blank.
    fn shows(&mut self, byte: u8) -> bool {
        let (next, shows) = match (self.escape, byte) {
            (_, 0x1b) => (Escape::Begun, false),
            (Escape::None, byte) => (Escape::None, !is_blank(byte)),
            (Escape::Begun, b'[') => (Escape::Control, false),
            (Escape::Begun, b']' | b'P' | b'X' | b'^' | b'_') => (Escape::String, false),
            (Escape::Begun, _) => (Escape::None, false),
            (Escape::Control, 0x40..=0x7e) => (Escape::None, false),
            (Escape::Control, 0x20..=0x3f) => (Escape::Control, false),
            // No sequence after all: a byte that cannot be in one ends it, and is shown.
            (Escape::Control, byte) => (Escape::None, !is_blank(byte)),
            // A secret does not hide in a title: its characters count, but the end does not.
            (Escape::String, 0x07) => (Escape::None, false),
            (Escape::String, byte) => (Escape::String, !is_blank(byte)),
        };
        self.escape = next;
        shows
    }

    fn step(&mut self, byte: u8) {
        let begun = std::mem::take(&mut self.begun);
        for place in &begun {
            self.go_on(*place, byte);
        }
        self.begun = begun;
        self.begun.retain(|place| self.seen[*place] > 0);
        let starts = &self.forms.starts[usize::from(byte)];
        for place in starts {
            // What had begun was looked at above.
            if self.seen[*place] == 0 {
                self.seen[*place] = 1;
                self.begun.push(*place);
            }
        }
    }

    /// One more character of a pattern that has begun, or the end of it.
    fn go_on(&mut self, place: usize, byte: u8) {
        let pattern = &self.forms.patterns[place];
        let (before, whole) = (self.seen[place], pattern.bytes.len());
        let mut length = before;
        while length > 0 && (length == whole || pattern.bytes[length] != byte) {
            length = pattern.fall[length];
        }
        if pattern.bytes[length] == byte {
            length += 1;
        }
        let broke_late = length <= before && before >= pattern.enough && before < whole;
        self.seen[place] = length;
        if broke_late {
            // The byte that broke it is the last one held.
            self.mask_last(before, 1);
        }
        if length == whole {
            self.mask_last(whole, 0);
        }
    }

    /// Masks the last so many characters but some, and what lies between them.
    fn mask_last(&mut self, count: usize, skip: usize) {
        let mut left = count;
        let mut skip = skip;
        for held in self.held.iter_mut().rev() {
            if skip > 0 {
                skip -= usize::from(held.counts);
                continue;
            }
            if left == 0 {
                break;
            }
            // What follows the last character is not the secret's.
            if left == count && !held.counts {
                continue;
            }
            held.masked = true;
            left -= usize::from(held.counts);
        }
    }

    /// Lets go of what no pattern that has begun reaches back to.
    fn release(&mut self, out: &mut Vec<u8>) {
        let reach = |place: &usize| self.seen[*place];
        let mut left = self.begun.iter().map(reach).max().unwrap_or(0);
        let mut keep = self.held.len();
        for (place, held) in self.held.iter().enumerate().rev() {
            if left == 0 {
                break;
            }
            left -= usize::from(held.counts);
            keep = place;
        }
        for held in self.held.drain(..keep) {
            if !held.masked {
                out.push(held.byte);
            } else if !self.masked {
                out.extend(MASK.as_bytes());
            }
            self.masked = held.masked;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cr3t/Pass+word\"\u{e9}-42";

    fn mask(text: &str) -> String {
        Forms::of([SECRET]).text(text)
    }

    #[test]
    fn every_common_form_is_masked_and_what_is_around_it_stays() {
        let value = SECRET.as_bytes();
        let base64 = |before: usize, after: usize| {
            let mut whole = vec![b'x'; before];
            whole.extend(value);
            whole.extend(vec![b'y'; after]);
            STANDARD_NO_PAD.encode(whole)
        };
        let lines: String = SECRET.chars().map(|c| format!("{c}\n")).collect();
        let coloured: String = SECRET
            .chars()
            .map(|c| format!("\u{1b}[31m{c}\u{1b}[0m"))
            .collect();
        let mut given = vec![
            SECRET.to_owned(),
            SECRET.chars().rev().collect(),
            serde_json::Value::from(SECRET).to_string(),
            hex::encode(value),
            hex::encode_upper(value),
            "s3cr3t%2FPass%2Bword%22%C3%A9-42".to_owned(),
            "s3cr3t%2fPass%2bword%22%c3%a9-42".to_owned(),
            lines,
            coloured,
            format!("{}\r\n{}", &SECRET[..9], &SECRET[9..]),
            // Cut by a few characters at either end.
            SECRET[..SECRET.len() - 7].to_owned(),
            SECRET[7..].to_owned(),
        ];
        for before in 0..3 {
            for after in 0..3 {
                given.push(base64(before, after));
            }
        }
        // Reversed bytes of what is not ASCII are no text; such a value is looked for as bytes.
        given.remove(1);
        for form in given {
            let masked = mask(&format!("before {form} after"));
            assert!(masked.contains(MASK), "{form:?}: {masked:?}");
            assert!(
                masked.starts_with("before ") && masked.ends_with(" after"),
                "{masked:?}"
            );
            for part in [&SECRET[..9], &SECRET[7..14], "c3cz", "733363"] {
                assert!(!masked.contains(part), "{form:?}: {masked:?}");
            }
        }
        let reversed: String = "secret-word-42".chars().rev().collect();
        assert_eq!(Forms::of(["secret-word-42"]).text(&reversed), MASK);
    }

    #[test]
    fn ordinary_text_stays_and_short_values_are_no_secrets() {
        for text in [
            "",
            "s3cr3t",
            "s3cr3t/Pass",
            "\u{1b}[1mbold\u{1b}[0m",
            "a\n\nb\n",
        ] {
            assert_eq!(mask(text), text);
        }
        let short = Forms::of(["1234567", ""]);
        assert!(short.is_empty());
        assert_eq!(short.text("1234567"), "1234567");
    }

    #[test]
    fn a_secret_that_overlaps_itself_is_found_wherever_it_begins() {
        let forms = Forms::of(["ababababac"]);
        assert_eq!(forms.text("xxabababababac"), "xx***");
        assert_eq!(forms.text("xababababacab"), "x***ab");
    }

    #[test]
    fn what_cannot_be_a_secret_is_not_held_back() {
        let mut masker = Masker::new(Forms::of([SECRET]));
        assert_eq!(masker.push(b"hello\n"), b"hello\n");
        assert_eq!(masker.push(b"s3cr3t/"), b"");
        assert_eq!(masker.push(b"!\n"), b"s3cr3t/!\n");
        assert_eq!(masker.push(b"s3c"), b"");
        assert_eq!(masker.end(), b"s3c");
    }

    proptest! {
        /// However a stream is cut, what comes out is the same; nothing but secrets is lost.
        #[test]
        fn cuts_make_no_difference(
            parts in prop::collection::vec(
                prop_oneof!["[a-c \n]{0,9}", Just("abcabcab".to_owned()), Just("\u{1b}[3".to_owned())],
                0..9,
            ),
            cut in 1..7_usize,
        ) {
            let forms = Forms::of(["abcabcab"]);
            let text = parts.concat();
            let mut masker = Masker::new(forms.clone());
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(cut) {
                out.extend(masker.push(piece));
            }
            out.extend(masker.end());
            let out = String::from_utf8(out).expect("text");
            prop_assert_eq!(&out, &forms.text(&text));
            let plain: String = out.split_whitespace().collect();
            prop_assert!(!plain.contains("abcabcab"), "{} of {}", plain, text);
            if !out.contains(MASK) {
                prop_assert_eq!(out, text);
            }
        }
    }
}
