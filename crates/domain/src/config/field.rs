//! Every key of the settings file, declared once: where it stands, what it takes, its default.
//!
//! Forms, the command line and the API read this table; the parser stays the judge. A key that the
//! parser knows and this table does not fails a test. Deliberately absent: words for people (the
//! catalogues of the pages have a name and a help for each).

use serde::{Deserialize, Serialize};

use super::Harness;

/// A part of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name in the file.
    pub name: &'static str,
    /// Whether there may be several, in an order, as in `[[check]]`.
    pub many: bool,
    /// Its keys, in the order of a form.
    pub fields: &'static [Field],
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the file.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where it is not given, as it would be typed; empty for nothing.
    pub default: &'static str,
    /// Whether it must be given.
    pub needed: bool,
    /// The harnesses that use it; empty for all.
    pub only: &'static [Harness],
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of one line.
    Line,
    /// Text of several lines.
    Text,
    /// A duration such as `10m`.
    Span,
    /// A whole number.
    Number,
    /// A number, such as an amount of money.
    Decimal,
    /// Yes or no.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts, typed one a line.
    Lines,
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A number.
    Decimal(f64),
    /// Text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The whole file, in the order of a form.
pub const SECTIONS: &[Section] = &[
    Section::one(
        "environment",
        &[
            Field::new("image", Kind::Line, ""),
            Field::new("install", Kind::Text, ""),
            Field::new("setup", Kind::Text, ""),
            Field::new("timeout", Kind::Span, "10m"),
            Field::new("cache", Kind::Lines, ""),
        ],
    ),
    Section::one("network", &[Field::new("allow", Kind::Lines, "")]),
    Section::many(
        "check",
        &[
            Field::new("name", Kind::Line, "").needed(),
            Field::new("run", Kind::Text, "").needed(),
            Field::new("timeout", Kind::Span, "10m"),
        ],
    ),
    Section::many(
        "secret",
        &[
            Field::new("name", Kind::Line, "").needed(),
            Field::new("steps", Kind::Lines, "").needed(),
            Field::new("author", Kind::Flag, "false"),
        ],
    ),
    Section::many(
        "agent",
        &[
            Field::new("name", Kind::Line, "").needed(),
            Field::new("harness", Kind::Choice(HARNESSES), "").needed(),
            Field::new("model", Kind::Line, "").only(&Harness::WITH_MODEL),
            Field::new("command", Kind::Text, "").only(&[Harness::Command, Harness::Acp]),
            Field::new("mode", Kind::Line, "").only(&[Harness::Acp]),
            Field::new("prompt", Kind::Choice(PROMPTS), "stdin").only(&[Harness::Command]),
            Field::new("timeout", Kind::Span, "1h"),
            Field::new("instructions", Kind::Text, "").only(&[
                Harness::Command,
                Harness::Native,
                Harness::ClaudeCode,
                Harness::Codex,
                Harness::Gemini,
                Harness::Opencode,
                Harness::Qwen,
                Harness::Copilot,
                Harness::Acp,
            ]),
        ],
    ),
    Section::one(
        "merge",
        &[
            Field::new("method", Kind::Choice(METHODS), "squash"),
            Field::new("protect", Kind::Lines, ".nightshift/**"),
            Field::new("direct_push", Kind::Flag, "false"),
            Field::new("four_eyes", Kind::Flag, "false"),
        ],
    ),
    Section::one(
        "repair",
        &[
            Field::new("in_run", Kind::Number, "2"),
            Field::new("after_verdict", Kind::Number, "1"),
        ],
    ),
    Section::one(
        "budget",
        &[
            Field::new("issue", Kind::Decimal, ""),
            Field::new("issue_minutes", Kind::Number, ""),
        ],
    ),
];

const HARNESSES: &[&str] = &[
    "script",
    "command",
    "native",
    "claude-code",
    "codex",
    "gemini",
    "opencode",
    "qwen",
    "copilot",
    "acp",
];
const PROMPTS: &[&str] = &["stdin", "argument", "file"];
const METHODS: &[&str] = &["squash", "merge", "rebase"];

/// The section of this name.
#[must_use]
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

impl Section {
    const fn one(name: &'static str, fields: &'static [Field]) -> Self {
        Self {
            name,
            many: false,
            fields,
        }
    }

    const fn many(name: &'static str, fields: &'static [Field]) -> Self {
        Self {
            name,
            many: true,
            fields,
        }
    }

    /// The key of this name.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Field {
    const fn new(key: &'static str, kind: Kind, default: &'static str) -> Self {
        Self {
            key,
            kind,
            default,
            needed: false,
            only: &[],
        }
    }

    const fn needed(self) -> Self {
        Self {
            needed: true,
            ..self
        }
    }

    const fn only(self, only: &'static [Harness]) -> Self {
        Self { only, ..self }
    }
}

impl Kind {
    /// What was typed, as a value; nothing typed is none. What does not fit stays text, and the
    /// parser says so.
    #[must_use]
    pub fn read(self, typed: &str) -> Option<Value> {
        let text = typed.replace("\r\n", "\n");
        let line = text.trim();
        if line.is_empty() {
            return None;
        }
        let line = || Value::Text(line.to_owned());
        Some(match self {
            Self::Line | Self::Span | Self::Choice(_) => line(),
            Self::Text => Value::Text(text),
            Self::Number => text.trim().parse().map_or_else(|_| line(), Value::Number),
            Self::Decimal => decimal(text.trim()).unwrap_or_else(line),
            Self::Flag => text.trim().parse().map_or_else(|_| line(), Value::Flag),
            Self::Lines => Value::List(
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
        })
    }
}

/// A number that a file can hold; others are left to the parser as text.
fn decimal(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Value::Decimal(number))
}

impl Value {
    /// As a person types it.
    #[must_use]
    pub fn typed(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(list) => list.join("\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Config;
    use super::*;

    /// The keys that the parser expects where it finds one it does not know.
    fn expected(text: &str) -> BTreeSet<String> {
        let error = Config::parse(text).expect_err("an unknown key");
        let (_, list) = error
            .message
            .as_str()
            .split_once("expected ")
            .unwrap_or_else(|| panic!("{error}"));
        list.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_table_has_every_key_of_the_parser_and_no_other() {
        let names: BTreeSet<String> = SECTIONS.iter().map(|s| s.name.to_owned()).collect();
        assert_eq!(names, expected("zzz = 1"), "sections");
        for section in SECTIONS {
            let brackets = if section.many {
                ("[[", "]]")
            } else {
                ("[", "]")
            };
            let text = format!("{}{}{}\nzzz = 1", brackets.0, section.name, brackets.1);
            let keys: BTreeSet<String> = section.fields.iter().map(|f| f.key.to_owned()).collect();
            assert_eq!(keys, expected(&text), "keys of {}", section.name);
        }
    }

    /// A file with the least that makes this key legal, and this value of it.
    fn with(section: &Section, field: &Field, value: &str) -> String {
        let mut text = if section.many {
            format!("[[{}]]\n", section.name)
        } else {
            format!("[{}]\n", section.name)
        };
        let harness = field.only.first().map_or("script", |h| h.as_str());
        let least = [
            (
                "name",
                if section.name == "secret" {
                    "\"A\""
                } else {
                    "\"a\""
                },
            ),
            ("run", "\"true\""),
            ("harness", &format!("{harness:?}")),
            ("steps", "[\"setup\"]"),
        ];
        for (key, least) in least {
            if key != field.key && section.field(key).is_some() {
                text.push_str(&format!("{key} = {least}\n"));
            }
        }
        let is_command =
            ["command", "acp"].contains(&harness) || ["\"command\"", "\"acp\""].contains(&value);
        if section.name == "agent" && is_command && field.key != "command" {
            text.push_str("command = \"x\"\n");
        }
        let is_native = harness == "native" || value == "\"native\"";
        if section.name == "agent" && is_native && field.key != "model" {
            text.push_str("model = \"x\"\n");
        }
        text.push_str(&format!("{} = {value}\n", field.key));
        text
    }

    #[test]
    fn a_default_is_what_holds_without_the_key() {
        for section in SECTIONS {
            for field in section.fields.iter().filter(|f| !f.default.is_empty()) {
                let value = match field.kind.read(field.default).expect("a default") {
                    Value::Flag(flag) => flag.to_string(),
                    Value::Number(number) => number.to_string(),
                    Value::Decimal(number) => number.to_string(),
                    Value::Text(text) => format!("{text:?}"),
                    Value::List(list) => format!("{list:?}"),
                };
                let given = with(section, field, &value);
                let line = format!("{} = {value}\n", field.key);
                let absent = given.replace(&line, "");
                assert_ne!(given, absent);
                assert_eq!(Config::parse(&given), Config::parse(&absent), "{given}");
                assert!(Config::parse(&given).is_ok(), "{given}");
            }
        }
    }

    #[test]
    fn choices_are_those_of_the_parser() {
        for section in SECTIONS {
            for field in section.fields {
                let Kind::Choice(words) = field.kind else {
                    continue;
                };
                let text = with(section, field, "\"zzz\"");
                let words: BTreeSet<String> = words.iter().map(|w| (*w).to_owned()).collect();
                assert_eq!(words, expected(&text), "{}.{}", section.name, field.key);
                for word in words {
                    let text = with(section, field, &format!("{word:?}"));
                    assert!(Config::parse(&text).is_ok(), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_typed_becomes_what_is_meant() {
        for (kind, typed, value) in [
            (Kind::Line, "  a b ", Some(Value::Text("a b".to_owned()))),
            (Kind::Line, "  ", None),
            (
                Kind::Text,
                "a\r\nb\r\n",
                Some(Value::Text("a\nb\n".to_owned())),
            ),
            (Kind::Number, "3", Some(Value::Number(3))),
            (Kind::Number, "three", Some(Value::Text("three".to_owned()))),
            (Kind::Decimal, "2.50", Some(Value::Decimal(2.5))),
            (Kind::Decimal, "inf", Some(Value::Text("inf".to_owned()))),
            (Kind::Flag, "true", Some(Value::Flag(true))),
            (
                Kind::Lines,
                " a \r\n\r\nb",
                Some(Value::List(vec!["a".to_owned(), "b".to_owned()])),
            ),
        ] {
            assert_eq!(kind.read(typed), value, "{typed:?}");
        }
    }
}
