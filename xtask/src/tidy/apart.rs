//! Tests stand at the end of a file, in `mod tests`, and nowhere else is there a difference
//! between a build for tests and another.

use super::{Finding, Rule};
use crate::checkout::{Checkout, File};
use crate::rust::{Source, find_word, line_of};

pub(super) const RULE: Rule = Rule {
    name: "tests-apart",
    reason: "what is tested is what is shipped: production code does not know that it is tested",
    check,
};

fn check(checkout: &Checkout) -> Vec<Finding> {
    checkout.rust().flat_map(findings).collect()
}

fn findings(file: &File) -> Vec<Finding> {
    let code = Source::split(&file.text).code;
    let end = tests_begin(&code);
    let mut findings = Vec::new();
    for word in ["cfg", "cfg_attr"] {
        for at in find_word(&code, word).filter(|&at| at != end + "#[".len()) {
            let Some(condition) = parenthesised(&code[at + word.len()..]) else {
                continue;
            };
            if find_word(condition, "test").next().is_none() || sets_lints(word, condition) {
                continue;
            }
            let what = format!("{word} of test outside a `mod tests` at the end of the file");
            findings.push(Finding::new(&file.path, line_of(&code, at), what));
        }
    }
    findings
}

/// Returns where the `#[cfg(test)] mod tests` at the end of the file begins, or the end.
pub(super) fn tests_begin(code: &str) -> usize {
    const MARK: &str = "#[cfg(test)]";
    let Some(at) = code.rfind(MARK) else {
        return code.len();
    };
    let mut rest = code[at + MARK.len()..].trim_start();
    while rest.starts_with("#[") {
        let Some(end) = matching(rest, b'[', b']') else {
            return code.len();
        };
        rest = rest[end..].trim_start();
    }
    let Some(rest) = rest.strip_prefix("mod tests").map(str::trim_start) else {
        return code.len();
    };
    let after = match rest.strip_prefix(';') {
        Some(after) => Some(after),
        None => matching(rest, b'{', b'}').map(|end| &rest[end..]),
    };
    if after.is_some_and(|after| after.trim().is_empty()) {
        at
    } else {
        code.len()
    }
}

/// The contents of the parentheses that `code` goes on with, after `!` and blanks.
fn parenthesised(code: &str) -> Option<&str> {
    let code = code.trim_start().trim_start_matches('!').trim_start();
    code.starts_with('(')
        .then(|| matching(code, b'(', b')').map(|end| &code[..end]))?
}

/// Returns the offset after the bracket that closes the first one.
pub(super) fn matching(code: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Whether it is `cfg_attr(test, expect(...))` or the like: which lints are read out changes no
/// behaviour.
fn sets_lints(word: &str, condition: &str) -> bool {
    let attribute = top_level_comma(condition).map(|at| condition[at + 1..].trim_start());
    let is_lint = |attribute: &str| LINTS.iter().any(|lint| attribute.starts_with(lint));
    word == "cfg_attr" && attribute.is_some_and(is_lint)
}

const LINTS: &[&str] = &["expect(", "warn(", "deny(", "forbid("];

/// Returns the offset of the first comma that stands in the outermost parentheses.
fn top_level_comma(condition: &str) -> Option<usize> {
    let mut depth = 0;
    condition.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        byte == b',' && depth == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        RULE.findings(&Checkout::of(&[("a.rs", text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn tests_at_the_end_are_free() {
        for text in [
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { let _ = '}'; h(\"}\") }\n}\n",
            "fn f() {}\n#[cfg(test)]\nmod tests;\n",
            "#[cfg(test)]\n#[expect(clippy::unwrap_used, reason = \"tests\")]\nmod tests {}\n// the end\n",
            "#![cfg_attr(test, expect(clippy::unwrap_used, reason = \"tests\"))]\n",
            "#![cfg_attr(not(any(test, fuzz)), warn(missing_docs))]\n",
            "#[cfg(feature = \"test\")]\nfn f() {}\n",
            "#[cfg(unix)]\nfn attest() { cfg!(unix) }\n// cfg(test)\n",
        ] {
            assert_eq!(lines(text), [], "{text}");
        }
    }

    #[test]
    fn tests_anywhere_else_are_found() {
        for (text, line) in [
            ("#[cfg(test)]\nmod tests {}\nfn f() {}\n", 1),
            ("#[cfg(test)]\nuse x::y;\n", 1),
            ("#[cfg(test)]\nmod testing {}\n", 1),
            ("\n#[cfg(not(test))]\nfn f() {}\n", 2),
            ("fn f() {\n    if cfg!(test) { return }\n}\n", 2),
            ("#[cfg(any(unix, test))]\nfn f() {}\n", 1),
            ("#[cfg_attr(test, derive(Clone))]\nstruct A;\n", 1),
            (
                "#[cfg_attr(any(test, unix), derive(Clone))]\nstruct A;\n",
                1,
            ),
            ("#[cfg(test)]\nfn f() {}\n#[cfg(test)]\nmod tests {}\n", 1),
        ] {
            assert_eq!(lines(text), [Some(line)], "{text}");
        }
    }
}
