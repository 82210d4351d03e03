//! Rust source, taken apart into code, texts and comments, as far as rules about words need it.
//!
//! Invariant: each part is as long as the source and has its lines, so an offset or a line number
//! means the same in all of them; what belongs to another part is blank. Deliberately absent: a
//! parser. Rules that need syntax trees belong into clippy.

/// A source file in parts of equal length.
#[derive(Debug)]
pub struct Source {
    /// Everything but the contents of literals, and comments.
    pub code: String,
    /// The contents of string literals.
    pub texts: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Text,
    Other,
}

impl Source {
    /// Takes `source` apart.
    #[must_use]
    pub fn split(source: &str) -> Self {
        let bytes = source.as_bytes();
        let mut parts = vec![Part::Code; bytes.len()];
        let mut at = 0;
        while at < bytes.len() {
            let (from, to, part, next) = token(bytes, at);
            parts[from..to].fill(part);
            at = next;
        }
        let only = |wanted: Part| {
            let keep = |(byte, part): (&u8, &Part)| {
                if *part == wanted || *byte == b'\n' {
                    *byte
                } else {
                    b' '
                }
            };
            let kept = bytes.iter().zip(&parts).map(keep).collect::<Vec<u8>>();
            // Parts begin and end at ASCII delimiters, so what is kept is whole characters.
            String::from_utf8_lossy(&kept).into_owned()
        };
        Self {
            code: only(Part::Code),
            texts: only(Part::Text),
        }
    }

    /// How many lines before the offset `end` have code or text on them.
    #[must_use]
    pub fn code_lines(&self, end: usize) -> usize {
        let lines = self.code[..end].lines().zip(self.texts[..end].lines());
        lines
            .filter(|(code, text)| !code.trim().is_empty() || !text.trim().is_empty())
            .count()
    }
}

/// Returns the range of the literal or comment at `at`, its part, and where to go on.
fn token(bytes: &[u8], at: usize) -> (usize, usize, Part, usize) {
    let rest = &bytes[at..];
    let line_end = || at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    match rest[0] {
        b'/' if rest.starts_with(b"//") => (at, line_end(), Part::Other, line_end()),
        b'/' if rest.starts_with(b"/*") => {
            let end = block_comment(bytes, at);
            (at, end, Part::Other, end)
        }
        b'"' => {
            let end = quoted(bytes, at + 1, b'"');
            (at + 1, end, Part::Text, (end + 1).min(bytes.len()))
        }
        b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => prefixed(bytes, at),
        b'\'' => character(bytes, at),
        _ => (at, at, Part::Code, at + 1),
    }
}

fn block_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns where the literal that began before `at` has its closing `quote`.
fn quoted(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// A literal with a prefix (`r"`, `br#"`, `b'`, `c"`), or the word that only begins like one.
fn prefixed(bytes: &[u8], start: usize) -> (usize, usize, Part, usize) {
    let letters = bytes[start..]
        .iter()
        .take_while(|b| matches!(b, b'r' | b'b' | b'c'))
        .count();
    let hashes = bytes[start + letters..]
        .iter()
        .take_while(|b| **b == b'#')
        .count();
    let open = start + letters + hashes;
    let raw = bytes[start..start + letters].contains(&b'r');
    match bytes.get(open) {
        Some(b'"') if raw => {
            let mut close = vec![b'"'];
            close.resize(hashes + 1, b'#');
            let body = &bytes[open + 1..];
            let length = body
                .windows(close.len())
                .position(|window| window == close)
                .unwrap_or(body.len());
            let end = open + 1 + length;
            (
                open + 1,
                end,
                Part::Text,
                (end + close.len()).min(bytes.len()),
            )
        }
        Some(b'"' | b'\'') if hashes == 0 => token(bytes, open),
        _ => (start, start, Part::Code, start + letters),
    }
}

/// A character literal, or the quote of a lifetime.
fn character(bytes: &[u8], at: usize) -> (usize, usize, Part, usize) {
    let is_literal = match &bytes[at + 1..] {
        [b'\\', ..] => true,
        [first, b'\'', ..] => *first != b'\'',
        [first, ..] => !first.is_ascii(),
        [] => false,
    };
    if !is_literal {
        return (at, at, Part::Code, at + 1);
    }
    let end = quoted(bytes, at + 1, b'\'');
    (at + 1, end, Part::Other, (end + 1).min(bytes.len()))
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// Returns the offsets where `word` stands in `text` with no part of a word before it, nor after
/// it where it ends in a part of a word.
pub fn find_word<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let open_end = !word.bytes().last().is_some_and(is_word);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = at.checked_sub(1).is_none_or(|i| !is_word(bytes[i]));
            let after = bytes.get(at + word.len()).is_none_or(|b| !is_word(*b));
            (before || !word.bytes().next().is_some_and(is_word)) && (open_end || after)
        })
}

/// Returns the number of the line, from 1, that `offset` is on.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, code: &str, texts: &str) {
        let parts = Source::split(source);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (code, texts) = (words(code), words(texts));
        assert_eq!(
            (words(&parts.code), words(&parts.texts)),
            (code, texts),
            "{source}"
        );
        assert_eq!(parts.code.len(), source.len(), "{source}");
    }

    #[test]
    fn comments_are_neither() {
        check("a // todo!()\nb", "a b", "");
        check("a /* x /* y */ z */ b", "a b", "");
        check("//! head \"quote\nfn f() {}", "fn f() {}", "");
    }

    #[test]
    fn literals_are_texts() {
        check(r#"f("one // \" two")"#, r#"f(" ")"#, r#"one // \" two"#);
        check(r###"f(r#"a " b"#, 1)"###, r###"f(r#" "#, 1)"###, r#"a " b"#);
        check(
            r##"f(br"x\", b"y", c"z")"##,
            r##"f(br" ", b" ", c" ")"##,
            r"x\ y z",
        );
        check("r#type bar \"t\"", "r#type bar \" \"", "t");
    }

    #[test]
    fn characters_and_lifetimes() {
        check(
            r#"let q = '"'; let t = "x";"#,
            r#"let q = ' '; let t = " ";"#,
            "x",
        );
        check(
            r"let q = '\''; f::<'a>(b'\\')",
            r"let q = ' '; f::<'a>(b' ')",
            "",
        );
        check("let e = 'é'; f(\"ü\")", "let e = '  '; f(\"  \")", "ü");
        check(
            "'outer: loop { break 'outer }",
            "'outer: loop { break 'outer }",
            "",
        );
    }

    #[test]
    fn what_does_not_end_is_no_panic() {
        for source in [
            "\"open", "\"open\\", "/* open", "r#\"open", "'", "b'", "'\\", "r", "r#", "\"é",
        ] {
            let parts = Source::split(source);
            assert_eq!(parts.code.len(), source.len(), "{source}");
        }
    }

    #[test]
    fn lines_of_code_leave_comments_and_blanks_out() {
        let source = "//! head\n\nfn f() {\n    // why\n    g(\"a\n\n b\");\n}\n";
        assert_eq!(Source::split(source).code_lines(source.len()), 4);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(
            find_word("todo!() my_todo!() todo", "todo!").collect::<Vec<_>>(),
            [0]
        );
        assert_eq!(
            find_word("test tests attest (test)", "test").collect::<Vec<_>>(),
            [0, 19]
        );
    }
}
