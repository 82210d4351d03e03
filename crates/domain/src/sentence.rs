//! What is said to people: a text with places, which has a word so that a catalogue can say it in
//! another language.
//!
//! Invariant: an English text is written here once; what shows it in English and what translates it
//! begin with the same sentence. Deliberately absent: the other languages, and plural forms.

use std::fmt;

pub(crate) use kept::beside;
pub use kept::{Kept, Word};

mod kept;

/// What stands where a text was cut.
const CUT: &str = "…";

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
    /// From a record: said in the language of the whole where it is a sentence.
    Kept(Kept),
    /// From a record, the first line of it.
    Line(Kept),
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

    /// The same, with the longest text in its places shortened where the whole has more than `most`
    /// bytes in English.
    #[must_use]
    pub fn within(mut self, most: usize) -> Self {
        let over = self.to_string().len().saturating_sub(most);
        if over > 0
            && let Some(text) = self.longest()
        {
            let mut end = text.len().saturating_sub(over + CUT.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str(CUT);
        }
        self
    }

    fn longest(&mut self) -> Option<&mut String> {
        let texts = self.places.iter_mut().filter_map(|(_, place)| match place {
            Place::Text(text) => Some(text),
            Place::Said(sentence) => sentence.longest(),
            Place::Kept(_) | Place::Line(_) => None,
        });
        texts.max_by_key(|text| text.len())
    }

    /// The whole in another language: `text` knows the texts by their words.
    #[must_use]
    pub fn said<'a>(&self, text: &impl Fn(&str) -> Option<&'a str>) -> String {
        let template = text(self.template.key).unwrap_or(self.template.english);
        let place = |name: &str| {
            let found = self.places.iter().find(|(place, _)| *place == name);
            Some(found.map_or_else(String::new, |(_, place)| place.said(text)))
        };
        // INVARIANT: every place has something, if only nothing.
        filled(template, place).expect("every place is filled")
    }
}

/// The template with its places filled; none where one of them has nothing to stand there.
fn filled(template: &str, place: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut rest = template;
    let mut whole = String::with_capacity(rest.len());
    // One pass, so that nothing that is put in is taken for a place.
    while let Some((before, after)) = rest.split_once('{') {
        whole.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            whole.push('{');
            rest = after;
            continue;
        };
        whole.push_str(&place(name)?);
        rest = after;
    }
    whole.push_str(rest);
    Some(whole)
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(&|_| None))
    }
}

impl Place {
    /// What stands there in another language, as [`Sentence::said`] has it.
    #[must_use]
    pub fn said<'a>(&self, text: &impl Fn(&str) -> Option<&'a str>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Said(sentence) => sentence.said(text),
            Self::Kept(kept) => kept.said(text),
            Self::Line(kept) => first_line(&kept.said(text)).to_owned(),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A place that is the same in every language.
pub fn text(value: impl fmt::Display) -> Place {
    Place::Text(value.to_string())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(&|_| None))
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
numbers!(i32, i64, u64, u128, usize);

impl From<Sentence> for Place {
    fn from(sentence: Sentence) -> Self {
        Self::Said(sentence)
    }
}

impl From<Kept> for Place {
    fn from(kept: Kept) -> Self {
        Self::Kept(kept)
    }
}

impl From<&Kept> for Place {
    fn from(kept: &Kept) -> Self {
        Self::Kept(kept.clone())
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
/// `name(place, other) = "word": "text with {place} and {other}";`. Begins with `pub;` where other
/// crates say them.
#[macro_export]
macro_rules! sentences {
    (pub; $($rest:tt)+) => { $crate::sentences! { @ (pub) $($rest)+ } };
    (@ ($vis:vis) $($name:ident($($place:ident),*) = $key:literal: $english:literal;)+) => {
        $(
            #[doc = concat!("~~~text\n", $english, "\n~~~")]
            $vis fn $name(
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
    ($($rest:tt)+) => { $crate::sentences! { @ (pub(crate)) $($rest)+ } };
}
pub(crate) use sentences;

templates! {
    AND = "said.and": "{one}; {other}";
}

/// Several texts as one, in their order; none of none.
pub fn joined<P: Into<Place>>(texts: impl IntoIterator<Item = P>) -> Option<Place> {
    let and = |one: Place, other| AND.with([("one", one), ("other", other)]).into();
    texts.into_iter().map(Into::into).reduce(and)
}

/// Every text that rules say to people.
pub fn all() -> impl Iterator<Item = &'static Template> {
    [
        TEMPLATES,
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
    .chain(crate::told::all())
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
        let other = |key: &str| match key {
            "test.outer" => Some("({what}) {who}"),
            _ => Some("<{who}>"),
        };
        assert_eq!(outer.said(&other), "(<{what}>) a {b}");
        assert_eq!(OUTER.plain().to_string(), " says: , ");
        assert_eq!(TEMPLATES, [&OUTER, &INNER]);
    }

    #[test]
    fn what_others_said_is_shortened_and_not_the_sentence() {
        let inner = INNER.with([("who", text("é".repeat(40)))]);
        let outer = OUTER.with([("who", text("a")), ("what", inner.into())]);
        let whole = outer.to_string();
        assert_eq!(outer.clone().within(whole.len()), outer);
        let short = outer.within(40).to_string();
        assert!(short.len() <= 40 && short.len() > 35, "{short}");
        assert!(
            short.starts_with("a says: wait for éé") && short.ends_with("…, a"),
            "{short}"
        );
    }

    #[test]
    fn every_text_has_a_word_of_its_own() {
        let keys: Vec<_> = all().map(|template| template.key).collect();
        let different: BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }
}
