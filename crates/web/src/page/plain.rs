//! Text that a program printed, made harmless: control sequences of terminals are taken out, and
//! characters that hide or reorder text are shown by their names.
//!
//! Invariant: no letter that was printed is lost; a sequence that does not end takes nothing but its
//! introducer. Deliberately absent: colours.

/// How far the end of a string sequence (a window title, a link) is looked for, in bytes.
const LONGEST: usize = 4_096;

/// The text without sequences, with other control characters made visible.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = sequence(rest);
        if skipped > 0 {
            rest = &rest[skipped..];
            continue;
        }
        rest = &rest[first.len_utf8()..];
        push(&mut out, first, rest);
    }
    out
}

fn push(out: &mut String, one: char, rest: &str) {
    match one {
        '\n' | '\t' => out.push(one),
        // A line that was written over keeps what it said before.
        '\r' if rest.starts_with('\n') => {}
        '\r' => out.push('\n'),
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(one)).unwrap_or('\u{fffd}')),
        '\u{7f}' => out.push('\u{2421}'),
        '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => {
            out.push_str(&format!("⟨U+{:04X}⟩", u32::from(one)));
        }
        _ => out.push(one),
    }
}

/// How many bytes the control sequence takes with which the text begins; 0 if with none.
fn sequence(text: &str) -> usize {
    let mut chars = text.chars();
    match chars.next() {
        Some('\u{1b}') => match chars.next() {
            Some('[') => control(text, 2),
            Some(']' | 'P' | 'X' | '^' | '_') => string(text, 2),
            Some(' '..='/') => {
                let more = text[1..]
                    .bytes()
                    .take_while(|b| matches!(b, b' '..=b'/'))
                    .count();
                let ends = matches!(text.as_bytes().get(1 + more), Some(b'0'..=b'~'));
                1 + if ends { more + 1 } else { 0 }
            }
            Some('0'..='~') => 2,
            _ => 1,
        },
        Some('\u{9b}') => control(text, 2),
        Some('\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => string(text, 2),
        Some('\u{80}'..='\u{9f}') => 2,
        _ => 0,
    }
}

/// A control sequence: parameters, intermediates, one final byte (ECMA-48, 5.4).
fn control(text: &str, from: usize) -> usize {
    let bytes = &text.as_bytes()[from..];
    let parameters = bytes
        .iter()
        .take_while(|b| matches!(b, b'0'..=b'?'))
        .count();
    let more = bytes[parameters..]
        .iter()
        .take_while(|b| matches!(b, b' '..=b'/'))
        .count();
    match bytes.get(parameters + more) {
        Some(b'@'..=b'~') => from + parameters + more + 1,
        _ => from,
    }
}

/// A string with a terminator: BEL, or ST (ECMA-48, 5.6).
fn string(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    for (at, one) in rest.char_indices().take_while(|(at, _)| *at < LONGEST) {
        match one {
            '\u{7}' => return from + at + 1,
            '\u{9c}' => return from + at + 2,
            '\u{1b}' if rest[at + 1..].starts_with('\\') => return from + at + 2,
            '\n' => break,
            _ => {}
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_letters_stay() {
        for (printed, shown) in [
            ("plain ä 中\n\ttext", "plain ä 中\n\ttext"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;2;1;2;3mx\u{1b}[K\u{1b}[?25l", "x"),
            ("\u{1b}]0;title\u{7}after", "after"),
            (
                "\u{1b}]8;;http://evil.test\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{1b}]0;no end\nnext line", "0;no end\nnext line"),
            ("\u{1b}Pq#0\u{1b}\\x", "x"),
            ("\u{9b}31mx\u{9d}0;t\u{9c}y\u{85}z", "xyz"),
            ("\u{1b}(Bx\u{1b}cy\u{1b}", "xy"),
            ("\u{1b}[31", "31"),
            ("\u{1b}[ä", "ä"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("\0\u{8}\u{7f}", "␀␈␡"),
            ("a\u{202e}b\u{2066}\u{200f}", "a⟨U+202E⟩b⟨U+2066⟩⟨U+200F⟩"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
        ] {
            assert_eq!(plain(printed), shown, "{printed:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_controls_survives(text in "(\\PC|[\u{0}-\u{a0}]|\u{1b}[\\[\\]P_^X]|[0-9;m\u{202e}]){0,60}") {
            let shown = plain(&text);
            for one in shown.chars() {
                assert!(one == '\n' || one == '\t' || !one.is_control(), "{text:?} became {shown:?}");
            }
            assert_eq!(plain(&shown), shown);
        }
    }
}
