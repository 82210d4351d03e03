//! What the parser says about a settings file, as sentences.
//!
//! The parser hands through nothing but an English text. What it says about keys and values has few
//! shapes, which are read here; a mistake of ours travels through it as the record of its sentence.
//! Anything else, such as words about TOML itself, stays as it is.

use serde::de;

use crate::sentence::{Kept, Place, Sentence};
use crate::told::settings as say;

/// A mistake of ours, for the parser to carry.
pub(super) fn custom<E: de::Error>(said: Sentence) -> E {
    let kept = Kept::from(said);
    E::custom(serde_json::to_string(&kept).unwrap_or_else(|_| kept.to_string()))
}

/// The key that the parser misses.
pub(super) fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// What the parser said.
pub(super) fn read(message: &str) -> Kept {
    if message.starts_with('{')
        && let Ok(own) = serde_json::from_str(message)
    {
        return own;
    }
    let said = missing(message)
        .map(say::missing)
        .or_else(|| unknown(message))
        .or_else(|| unfit(message))
        .unwrap_or_else(|| say::not_toml(message));
    said.into()
}

fn unknown(message: &str) -> Option<Sentence> {
    let (key, rest) = message
        .strip_prefix("unknown ")?
        .split_once(' ')
        .filter(|(what, _)| matches!(*what, "field" | "variant"))?;
    let (found, known) = match rest.split_once(", expected ") {
        Some((found, known)) => (found, Some(known)),
        None => (rest, None),
    };
    let known = known.map(|known| match known.strip_prefix("one of ") {
        Some(words) => say::one_of(words).into(),
        None => Place::from(known),
    });
    match (key, known) {
        ("field", Some(keys)) => Some(say::unknown_key_of(found, keys)),
        ("field", None) => Some(say::unknown_key(found)),
        (_, Some(words)) => Some(say::unknown_word(found, words)),
        (_, None) => None,
    }
}

fn unfit(message: &str) -> Option<Sentence> {
    let (what, rest) = message.split_once(": ")?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let (found, expected) = (self::found(found), self::expected(expected));
    match what {
        "invalid type" => Some(say::wrong_type(found, expected)),
        "invalid value" => Some(say::wrong_value(found, expected)),
        _ => None,
    }
}

fn found(text: &str) -> Place {
    let of = |kind: &str| text.strip_prefix(kind);
    if let Some(value) = of("string ") {
        say::a_string(value).into()
    } else if let Some(value) = of("integer ") {
        say::an_integer(value).into()
    } else if let Some(value) = of("floating point ") {
        say::a_float(value).into()
    } else if let Some(value) = of("boolean ") {
        say::a_boolean(value).into()
    } else {
        match text {
            "map" => say::a_map().into(),
            "sequence" => say::a_sequence().into(),
            other => other.into(),
        }
    }
}

fn expected(text: &str) -> Place {
    match text {
        "a string" => say::text().into(),
        "a sequence" => say::list().into(),
        "a boolean" => say::flag().into(),
        "u8" => say::byte().into(),
        "i64" => say::whole().into(),
        "f64" => say::number().into(),
        other if other.starts_with("struct ") => say::table().into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// In a language of one word.
    fn translated(kept: &Kept) -> String {
        let known = crate::sentence::all().map(|one| one.key);
        let known: std::collections::BTreeSet<&str> = known.collect();
        kept.said(&|key: &str| known.contains(key).then_some("*"))
    }

    #[test]
    fn what_the_parser_says_about_keys_and_values_is_a_sentence() {
        for (text, says) in [
            (
                "zzz = 1",
                "unknown field `zzz`, expected one of `environment`",
            ),
            (
                "[network]\nzzz = 1",
                "unknown field `zzz`, expected `allow`",
            ),
            (
                "[merge]\nmethod = \"force\"",
                "unknown variant `force`, expected one of",
            ),
            ("[[check]]\nname = \"a\"", "`run` is missing"),
            ("[environment]\nsetup = 5", "integer `5`, expected a string"),
            (
                "[environment]\ncache = \"a, expected b\"",
                "expected a list, such as",
            ),
            (
                "[merge]\ndirect_push = [1]",
                "sequence, expected true or false",
            ),
            ("[repair]\nin_run = 300", "expected a number from 0 to 255"),
            ("[repair]\nin_run = 1.5", "floating point `1.5`"),
            ("[budget]\nissue_minutes = \"x\"", "expected a whole number"),
            (
                "[budget]\nissue = true",
                "boolean `true`, expected a number",
            ),
            ("environment = 5", "expected a table"),
            ("[environment]\ntimeout = \"x\"", "is no duration"),
            ("[budget]\nissue = -1.0", "is no budget in US dollars"),
            ("[budget]\nissue_minutes = 0", "is no budget in minutes"),
        ] {
            let error = Config::parse(text).expect_err(text);
            assert!(error.message.as_str().contains(says), "{text}: {error}");
            assert!(!error.message.as_str().contains("\"said\""), "{error}");
            assert_eq!(translated(&error.message), "*", "{text}: {error}");
            let not_toml = serde_json::to_string(&error).expect("a record");
            assert!(!not_toml.contains("not-toml"), "{text}: {not_toml}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_in_the_parsers_words() {
        let error = Config::parse("[merge\nmethod = 1").expect_err("no TOML");
        assert_eq!(error.message.as_str(), "unclosed table, expected `]`");
        let stored = serde_json::to_string(&error).expect("a record");
        assert!(stored.contains("not-toml"), "{stored}");
    }
}
