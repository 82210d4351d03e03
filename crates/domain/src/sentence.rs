//! What is said to people: a text with places, which has a word so that a catalogue can say it in
//! another language.
//!
//! Invariant: an English text is written here once; what shows it in English and what translates it
//! begin with the same sentence. Deliberately absent: the other languages, and plural forms.

use std::fmt;

/// A text with places, such as `blocked by {issues}`.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// The word under which a catalogue has it.
    pub key: &'static str,
    /// The English text.
    pub english: &'static str,
}

/// A text whose places are filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    template: &'static Template,
    places: Vec<(&'static str, Place)>,
}

/// What stands in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The same in every language.
    Text(String),
    /// Said in the language of the whole.
    Said(Sentence),
}

impl Template {
    /// The text, which has no place.
    #[must_use]
    pub fn plain(&'static self) -> Sentence {
        self.with([])
    }

    /// The text with these places filled.
    #[must_use]
    pub fn with<const N: usize>(&'static self, places: [(&'static str, Place); N]) -> Sentence {
        Sentence {
            template: self,
            places: places.into(),
        }
    }
}

impl Sentence {
    /// The word under which a catalogue has the text.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.template.key
    }

    /// The whole in another language: `text` knows the texts by their words.
    #[must_use]
    pub fn said<'a>(&self, text: &impl Fn(&'static Template) -> &'a str) -> String {
        let mut rest = text(self.template);
        let mut whole = String::with_capacity(rest.len());
        // One pass, so that nothing that is put in is taken for a place.
        while let Some((before, after)) = rest.split_once('{') {
            whole.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                whole.push('{');
                rest = after;
                continue;
            };
            match self.places.iter().find(|(place, _)| *place == name) {
                Some((_, Place::Text(text))) => whole.push_str(text),
                Some((_, Place::Said(sentence))) => whole.push_str(&sentence.said(text)),
                None => {}
            }
            rest = after;
        }
        whole.push_str(rest);
        whole
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(&|template: &'static Template| template.english))
    }
}

/// A place that is the same in every language.
pub fn text(value: impl fmt::Display) -> Place {
    Place::Text(value.to_string())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Said(sentence) => sentence.fmt(f),
        }
    }
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Place {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Place {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

/// Numbers are the same in every language.
macro_rules! numbers {
    ($($kind:ty),+) => {
        $(impl From<$kind> for Place {
            fn from(number: $kind) -> Self {
                text(number)
            }
        })+
    };
}
numbers!(i64, u64, u128, usize);

impl From<Sentence> for Place {
    fn from(sentence: Sentence) -> Self {
        Self::Said(sentence)
    }
}

/// Writes down texts, with a list of all of them: `NAME = "word": "text";`.
macro_rules! templates {
    ($($name:ident = $key:literal: $english:literal;)+) => {
        $(static $name: $crate::sentence::Template =
            $crate::sentence::Template { key: $key, english: $english };)+

        /// Every text of this part, for catalogues.
        pub(crate) static TEMPLATES: &[&$crate::sentence::Template] = &[$(&$name),+];
    };
}
pub(crate) use templates;

/// Writes down texts as functions of what stands in their places, with a list of all of them:
/// `name(place, other) = "word": "text with {place} and {other}";`.
#[macro_export]
macro_rules! sentences {
    ($($name:ident($($place:ident),*) = $key:literal: $english:literal;)+) => {
        $(
            #[doc = $english]
            pub(crate) fn $name(
                $($place: impl Into<$crate::sentence::Place>),*
            ) -> $crate::sentence::Sentence {
                templates::$name.with([$((stringify!($place), $place.into())),*])
            }
        )+

        #[expect(non_upper_case_globals, reason = "a text is named as its function")]
        mod templates {
            $(pub(super) static $name: $crate::sentence::Template =
                $crate::sentence::Template { key: $key, english: $english };)+
        }

        /// Every text of this part, for catalogues.
        pub(crate) static TEMPLATES: &[&$crate::sentence::Template] = &[$(&templates::$name),+];
    };
}
pub(crate) use sentences;

/// Every text that rules say to people.
pub fn all() -> impl Iterator<Item = &'static Template> {
    [
        crate::failure::TEMPLATES,
        crate::merge::TEMPLATES,
        crate::preflight::TEMPLATES,
        crate::preflight::runners::TEMPLATES,
        crate::tryout::TEMPLATES,
        crate::waiting::TEMPLATES,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain(crate::refusal::all())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    templates! {
        OUTER = "test.outer": "{who} says: {what}, {who}";
        INNER = "test.inner": "wait for {who}";
    }

    #[test]
    fn places_are_filled_once_in_every_language() {
        let inner = INNER.with([("who", text("{what}"))]);
        let outer = OUTER.with([("who", text("a {b}")), ("what", inner.into())]);
        assert_eq!(outer.to_string(), "a {b} says: wait for {what}, a {b}");
        let other = |template: &'static Template| match template.key {
            "test.outer" => "({what}) {who}",
            _ => "<{who}>",
        };
        assert_eq!(outer.said(&other), "(<{what}>) a {b}");
        assert_eq!(OUTER.plain().to_string(), " says: , ");
        assert_eq!(TEMPLATES, [&OUTER, &INNER]);
    }

    #[test]
    fn every_text_has_a_word_of_its_own() {
        let keys: Vec<_> = all().map(|template| template.key).collect();
        let different: BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }
}
