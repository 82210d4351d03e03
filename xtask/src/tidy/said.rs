//! What a use case or a page refuses, and what a record tells people, is a sentence, not a text.

use super::apart::{matching, tests_begin};
use super::{Finding, Rule};
use crate::checkout::Checkout;
use crate::rust::{Source, line_of};

pub(super) const RULE: Rule = Rule {
    name: "said",
    reason: "what people read is said in their language: write a sentence in say/, and where no page can show it use crate::error::plain",
    check,
};

/// Where people are refused something. The constructors of `error.rs` take nothing but sentences, so
/// that only an error written out can hold a text.
const PLACES: &[&str] = &["crates/app/src/", "crates/web/src/page/"];
const CONSTRUCTORS: &str = "crates/app/src/error.rs";

/// What a record keeps is made of a sentence by its type; these are the ways round it: a text that is
/// the same in every language, and sentences that are nothing but somebody's words.
const KEPT: &str = "crates/domain/src/sentence/";
const QUOTED: &[&str] = &["Kept::quoted(", "Kept::whole("];
const AS_SAID: &[&str] = &["as_said(", "not_toml("];

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in checkout.rust() {
        if file.path.contains("/src/") && !file.path.starts_with(KEPT) && !is_test(&file.path) {
            findings.extend(kept(&file.path, &file.text));
        }
    }
    for file in checkout.rust() {
        let here = PLACES.iter().any(|place| file.path.starts_with(place));
        if !here || file.path == CONSTRUCTORS {
            continue;
        }
        let code = Source::split(&file.text).code;
        for (at, _) in code.match_indices("Error::") {
            let rest = &code[at..];
            let Some((name, inside)) = rest.split_once('{') else {
                continue;
            };
            let is_variant = name["Error::".len()..]
                .trim_end()
                .chars()
                .all(char::is_alphanumeric);
            let inside = &inside[..inside.find('}').unwrap_or(inside.len())];
            let has_text = inside
                .split_once("detail:")
                .is_some_and(|(_, value)| is_text(value.trim_start()));
            if is_variant && has_text {
                let what = format!("{} with a text", name.trim_end());
                findings.push(Finding::new(&file.path, line_of(&code, at), what));
            }
        }
    }
    findings
}

/// Texts of ours that a record would keep in English only.
fn kept(path: &str, source: &str) -> Vec<Finding> {
    let parts = Source::split(source);
    let end = tests_begin(&parts.code);
    let (code, texts) = (&parts.code[..end], &parts.texts[..end]);
    let quoted = QUOTED.iter().flat_map(|call| code.match_indices(call));
    let mut places: Vec<usize> = quoted.map(|(at, _)| at).collect();
    for call in AS_SAID {
        for (at, _) in code.match_indices(call) {
            let open = at + call.len() - 1;
            let to = matching(&code[open..], b'(', b')').map_or(code.len(), |end| open + end);
            if has_words(&texts[open..to]) {
                places.push(at);
            }
        }
    }
    let found = |at| Finding::new(path, line_of(code, at), "a record with a text".to_owned());
    places.into_iter().map(found).collect()
}

/// Whether there is more in a text than places and signs.
fn has_words(text: &str) -> bool {
    let mut inside = false;
    text.chars().any(|sign| {
        match sign {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        !inside && sign.is_alphabetic()
    })
}

/// Whether the file has tests only, or serves them.
fn is_test(path: &str) -> bool {
    path.starts_with("crates/testkit/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether it is neither a sentence nor from a catalogue.
fn is_text(value: &str) -> bool {
    value.contains('"') && !value.starts_with("say::") && !value.contains("words.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, code: &str) -> Vec<Option<usize>> {
        let findings = RULE.findings(&Checkout::of(&[(path, code)]));
        findings.iter().map(|found| found.line).collect()
    }

    #[test]
    fn a_text_that_is_refused_with_is_found() {
        for code in [
            "fn f() {\n    Error::Refused { detail: \"no\".into() }\n}",
            "fn f() {\n    Err(Error::Invalid {\n        detail: format!(\"{x} no\").into(),\n    })\n}",
        ] {
            assert_eq!(lines("crates/app/src/a.rs", code), [Some(2)], "{code}");
            assert_eq!(lines("crates/web/src/page/a.rs", code), [Some(2)], "{code}");
            assert_eq!(lines("crates/web/src/token.rs", code), []);
        }
    }

    #[test]
    fn sentences_and_words_of_a_catalogue_are_not() {
        for code in [
            "fn f() { Error::Refused { detail: say::no(format!(\"{x:?}\")).into() } }",
            "fn f() { Error::Invalid { detail: visit.words.get(\"account.differ\").into() } }",
            "fn f() { match e { Error::Refused { .. } => \"x\", } }",
            "fn f() { Failure { detail: \"x\".to_owned() } }",
        ] {
            assert_eq!(lines("crates/app/src/a.rs", code), [], "{code}");
        }
    }

    #[test]
    fn a_text_that_a_record_would_keep_is_found() {
        for code in [
            "fn f() {\n    Failure { detail: Kept::quoted(\"no\") }\n}",
            "fn f() {\n    Kept::whole(\"no\".to_owned(), None)\n}",
            "fn f() {\n    fail(say::as_said(format!(\"no ({x})\")))\n}",
            "fn f() {\n    say::not_toml(\"no\")\n}",
        ] {
            for path in ["crates/domain/src/a.rs", "crates/runner/src/work/a.rs"] {
                assert_eq!(lines(path, code), [Some(2)], "{code}");
            }
            let test = format!("#[cfg(test)]\nmod tests {{ {code} }}");
            assert_eq!(lines("crates/domain/src/a.rs", &test), []);
            assert_eq!(lines("crates/store/tests/a.rs", code), []);
        }
    }

    #[test]
    fn words_of_others_may_be_kept() {
        for code in [
            "fn f() { say::as_said(format!(\"{what}: {cause:#}\")) }",
            "fn f() { say::as_said(error.to_string()) + \"words\" }",
            "fn f() { say::with(tail, \"--budget USD\") }",
        ] {
            assert_eq!(lines("crates/runner/src/work/a.rs", code), [], "{code}");
        }
    }
}
