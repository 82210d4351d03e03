//! What a use case or a page refuses is a sentence, not a text.

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

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
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
}
