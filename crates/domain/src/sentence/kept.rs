//! A text as records keep it: what it says in English, and the sentence that it is, where it is one.
//!
//! A record of before has the English text alone and is shown as it stands; so is one whose sentence
//! no catalogue knows any more. Invariant: the English text is always there, so whoever reads no
//! sentences misses nothing. Deliberately absent: who may say it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Place, Sentence, filled, first_line};

/// A text that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Kept {
    pub(crate) text: String,
    pub(crate) said: Option<Word>,
}

/// The word of a sentence with what stands in its places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    key: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    places: BTreeMap<String, Filling>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Filling {
    Text(String),
    Said(Word),
}

/// How a record has it: the text, or the text and the sentence.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Both { text: String, said: Word },
}

impl Kept {
    /// A text that is the same in every language: words of a person, an agent or a program.
    #[must_use]
    pub fn quoted(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            said: None,
        }
    }

    /// From a record that has the text and its sentence apart.
    #[must_use]
    pub fn whole(text: String, said: Option<Word>) -> Self {
        Self { text, said }
    }

    /// The sentence that it is, where it is one, for a record that has the text apart.
    #[must_use]
    pub fn word(&self) -> Option<&Word> {
        self.said.as_ref()
    }

    /// The English text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The English text without its sentence, as programs are told.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { said: None, ..self }
    }

    /// The text in another language, as [`Sentence::said`] has it.
    #[must_use]
    pub fn said<'a>(&self, text: &impl Fn(&str) -> Option<&'a str>) -> String {
        let said = self.said.as_ref().and_then(|word| word.said(text));
        said.unwrap_or_else(|| self.text.clone())
    }

    /// The same, from somebody who is not believed: with its sentence only where that is one of the
    /// rules' and says in English what the text says.
    #[must_use]
    pub fn checked(self) -> Self {
        let english = |key: &str| {
            let found = super::all().find(|template| template.key == key);
            found.map(|template| template.english)
        };
        let agrees = self.said.as_ref().is_none_or(|word| {
            word.is_spare(&english) && word.said(&english).as_ref() == Some(&self.text)
        });
        if agrees { self } else { self.plain() }
    }
}

impl Word {
    fn said<'a>(&self, text: &impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        filled(text(&self.key)?, |name| match self.places.get(name)? {
            Filling::Text(text) => Some(text.clone()),
            Filling::Said(word) => word.said(text),
        })
    }

    /// Whether it carries nothing that is not said.
    fn is_spare<'a>(&self, text: &impl Fn(&str) -> Option<&'a str>) -> bool {
        let template = text(&self.key).unwrap_or_default();
        self.places.iter().all(|(name, filling)| {
            let inner = match filling {
                Filling::Text(_) => true,
                Filling::Said(word) => word.is_spare(text),
            };
            inner && template.contains(&format!("{{{name}}}"))
        })
    }
}

impl From<&Sentence> for Word {
    fn from(sentence: &Sentence) -> Self {
        let filling = |place: &Place| match place {
            Place::Text(text) => Filling::Text(text.clone()),
            Place::Said(sentence) => Filling::Said(sentence.into()),
            Place::Kept(kept) => kept
                .said
                .clone()
                .map_or_else(|| Filling::Text(kept.text.clone()), Filling::Said),
            Place::Line(kept) => Filling::Text(first_line(&kept.text).to_owned()),
        };
        let places = sentence.places.iter();
        Self {
            key: sentence.key().to_owned(),
            places: places
                .map(|(name, place)| ((*name).to_owned(), filling(place)))
                .collect(),
        }
    }
}

impl From<Sentence> for Kept {
    fn from(sentence: Sentence) -> Self {
        Self {
            text: sentence.to_string(),
            said: Some((&sentence).into()),
        }
    }
}

impl From<Stored> for Kept {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Text(text) => Self { text, said: None },
            Stored::Both { text, said } => Self {
                text,
                said: Some(said),
            },
        }
    }
}

impl From<Kept> for Stored {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept { text, said: None } => Self::Text(text),
            Kept {
                text,
                said: Some(said),
            } => Self::Both { text, said },
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text and the sentence as two fields of the record that they are in, so that the text stands
/// where it always did: `beside!(module, "field");`, then `#[serde(flatten, with = "module")]`.
macro_rules! beside {
    ($module:ident, $field:literal) => {
        mod $module {
            use $crate::sentence::Kept;

            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(remote = "Kept")]
            struct Fields {
                #[serde(rename = $field)]
                text: String,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                said: Option<$crate::sentence::Word>,
            }

            pub(super) fn serialize<S: serde::Serializer>(
                kept: &Kept,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                Fields::serialize(kept, serializer)
            }

            pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Kept, D::Error> {
                Fields::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use beside;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::sentences;

    sentences! {
        outer(who, what) = "test.kept-outer": "{who} says: {what}";
        inner(count) = "test.kept-inner": "wait {count}";
    }

    beside!(detail, "detail");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        at: u64,
        #[serde(flatten, with = "detail")]
        detail: Kept,
    }

    fn other(key: &str) -> Option<&'static str> {
        match key {
            "test.kept-outer" => Some("({what}) {who}"),
            "test.kept-inner" => Some("<{count}>"),
            _ => None,
        }
    }

    #[test]
    fn texts_are_listed() {
        assert_eq!(TEMPLATES.len(), 2);
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("a record")
    }

    #[test]
    fn a_sentence_is_kept_with_its_english_text() {
        let kept = Kept::from(outer("a", inner(3_u64)));
        let stored = json(&kept);
        let read: Kept = serde_json::from_str(&stored).expect("a record");
        assert_eq!(read, kept, "{stored}");
        assert_eq!(read.as_str(), "a says: wait 3");
        assert_eq!(read.said(&other), "(<3>) a");
    }

    #[test]
    fn a_record_of_before_is_shown_as_it_stands() {
        let read: Kept = serde_json::from_str("\"it {failed}\"").expect("a text");
        assert_eq!(read.said(&other), "it {failed}");
        assert_eq!(json(&read), "\"it {failed}\"");
        let read: Record = serde_json::from_str(r#"{"at":1,"detail":"old"}"#).expect("a record");
        assert_eq!(read.detail.said(&other), "old");
        assert_eq!(json(&read), r#"{"at":1,"detail":"old"}"#);
    }

    #[test]
    fn a_record_has_the_text_where_it_always_was() {
        let detail = Kept::from(inner(3_u64));
        let record = Record { at: 1, detail };
        let stored = json(&record);
        assert_eq!(
            stored,
            r#"{"at":1,"detail":"wait 3","said":{"key":"test.kept-inner","places":{"count":"3"}}}"#
        );
        let read: Record = serde_json::from_str(&stored).expect("a record");
        assert_eq!(read, record);
    }

    #[test]
    fn what_no_catalogue_knows_any_more_is_shown_in_english() {
        let kept = Kept::from(outer("a", inner(3_u64)));
        assert_eq!(kept.said(&|_| None), "a says: wait 3");
        let half = |key: &str| (key == "test.kept-outer").then_some("({what}) {who}");
        assert_eq!(kept.said(&half), "a says: wait 3", "its part is not known");
        let grown = |_: &str| Some("{who} {new}");
        assert_eq!(kept.said(&grown), "a says: wait 3", "a place is not known");
    }

    #[test]
    fn a_kept_text_stands_in_a_sentence_in_its_language() {
        let kept = Kept::from(inner(3_u64));
        let whole = outer("a", &kept);
        assert_eq!(whole.said(&other), "(<3>) a");
        assert_eq!(Kept::from(whole).said(&other), "(<3>) a");
        assert_eq!(outer("a", Kept::quoted("x")).said(&other), "(x) a");
    }

    #[test]
    fn a_stranger_is_believed_where_both_say_the_same() {
        let told = |text: &str, places: &str| -> Kept {
            let said = format!(r#"{{"key":"waiting.blocked","places":{places}}}"#);
            let both = format!(r#"{{"text":"{text}","said":{said}}}"#);
            serde_json::from_str(&both).expect("a text")
        };
        let good = told("blocked by #1", r##"{"issues":"#1"}"##);
        assert_eq!(good.clone().checked(), good);
        for bad in [
            told("blocked by #2", r##"{"issues":"#1"}"##),
            told("blocked by #1", "{}"),
            told("blocked by #1", r##"{"issues":"#1","more":"x"}"##),
            Kept::from(outer("a", "b")),
        ] {
            let text = bad.to_string();
            assert_eq!(bad.checked(), Kept::quoted(text));
        }
        let inner = r##"{"issues":{"key":"waiting.draft","places":{"more":"x"}}}"##;
        let hidden = told("blocked by it is a draft: mark it ready", inner);
        assert_eq!(hidden.clone().checked(), hidden.plain());
    }
}
