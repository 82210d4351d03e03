//! The words of the pages: one catalogue a language, one file each. A third language is one file
//! and one line here. What rules and use cases say ([`nightshift_domain::sentence`]) is English where
//! it is written, so that only the other files have it.
//!
//! Invariant, tested: every catalogue has every key, with the same `{places}`.

use std::collections::HashMap;
use std::sync::LazyLock;

use nightshift_app::Error;
use nightshift_domain::sentence::{Kept, Place, Sentence};

use super::say;

/// The words of one language.
#[derive(Debug)]
pub(crate) struct Words {
    /// The language, as in the `lang` attribute.
    pub(crate) code: &'static str,
    /// The language's own name for itself.
    pub(crate) name: &'static str,
    texts: HashMap<String, String>,
}

const FILES: [(&str, &str, &str); 2] = [
    ("en", "English", include_str!("../words/en.toml")),
    ("zh-Hant", "繁體中文", include_str!("../words/zh-Hant.toml")),
];

static ALL: LazyLock<Vec<Words>> = LazyLock::new(|| {
    FILES
        .into_iter()
        .map(|(code, name, text)| {
            // INVARIANT: the files are part of the program, and a test reads them.
            let mut texts: HashMap<String, String> =
                toml::from_str(text).expect("a catalogue of words");
            if code == "en" {
                let said = say::all();
                texts.extend(said.map(|one| (one.key.to_owned(), one.english.to_owned())));
            }
            Words { code, name, texts }
        })
        .collect()
});

impl Words {
    /// The text of this key.
    pub(crate) fn get<'a>(&'a self, key: &'a str) -> &'a str {
        match self.texts.get(key) {
            Some(text) => text,
            None => key,
        }
    }

    /// What the rules say, in this language.
    pub(crate) fn say(&self, sentence: &Sentence) -> String {
        sentence.said(&self.texts())
    }

    /// What stands in a place of a sentence, in this language.
    pub(crate) fn place(&self, place: &Place) -> String {
        place.said(&self.texts())
    }

    /// What a record says, in this language.
    pub(crate) fn kept(&self, kept: &Kept) -> String {
        kept.said(&self.texts())
    }

    fn texts<'a>(&'a self) -> impl Fn(&str) -> Option<&'a str> {
        |key| self.texts.get(key).map(String::as_str)
    }

    /// What a use case says instead of a result, in this language.
    pub(crate) fn refusal(&self, error: &Error) -> String {
        self.place(&error.said())
    }

    /// The text of this key with its places filled.
    pub(crate) fn fill(&self, key: &str, places: &[(&str, &dyn std::fmt::Display)]) -> String {
        let mut text = self.get(key).to_owned();
        for (name, value) in places {
            text = text.replace(&format!("{{{name}}}"), &value.to_string());
        }
        text
    }
}

/// Every language.
pub(crate) fn all() -> &'static [Words] {
    &ALL
}

/// The language of this code.
pub(crate) fn by_code(code: &str) -> Option<&'static Words> {
    ALL.iter().find(|words| words.code == code)
}

/// The language that a browser's `Accept-Language` prefers; the first one is the default.
pub(crate) fn preferred(accept: &str) -> &'static Words {
    let mut wanted: Vec<(&str, f32)> = accept
        .split(',')
        .filter_map(|item| {
            let mut parts = item.trim().split(';');
            let code = parts.next()?.trim();
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            (!code.is_empty()).then_some((code, weight))
        })
        .collect();
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (code, _) in wanted {
        let lower = code.to_ascii_lowercase();
        if lower.starts_with("zh-hant") || lower == "zh-tw" || lower == "zh-hk" || lower == "zh" {
            return &ALL[1];
        }
        if lower.starts_with("en") {
            return &ALL[0];
        }
    }
    &ALL[0]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
            .collect()
    }

    #[test]
    fn every_language_has_every_word_with_the_same_places() {
        let keys = |words: &Words| -> BTreeSet<String> { words.texts.keys().cloned().collect() };
        let english = &all()[0];
        for other in &all()[1..] {
            assert_eq!(keys(english), keys(other), "{}", other.code);
            for (key, text) in &english.texts {
                assert_eq!(
                    places(text),
                    places(other.get(key)),
                    "{}: {key}",
                    other.code
                );
            }
        }
    }

    /// What the rules say is written once in English, so the file has none of it.
    #[test]
    fn the_rules_own_words_stand_in_no_english_file() {
        let file: HashMap<String, String> = toml::from_str(FILES[0].2).expect("a catalogue");
        for one in say::all() {
            assert!(!file.contains_key(one.key), "{}", one.key);
        }
    }

    /// Every key that stands in the sources is in the catalogue, and none is there in vain.
    #[test]
    fn keys_and_sources_agree() {
        let mut source = String::new();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    source.push_str(&std::fs::read_to_string(path).expect("a file"));
                }
            }
        }
        let english = &all()[0];
        let said: BTreeSet<&str> = say::all().map(|one| one.key).collect();
        for key in english
            .texts
            .keys()
            .filter(|key| !said.contains(key.as_str()))
        {
            let stem = key.rsplit_once('.').map_or(key.as_str(), |(stem, _)| stem);
            let used =
                source.contains(&format!("\"{key}\"")) || source.contains(&format!("\"{stem}.\""));
            assert!(used, "{key} is used nowhere");
        }
        for call in ["words.get(\"", "words.fill(\"", " t(\"", "{t(\""] {
            for rest in source.split(call).skip(1) {
                let key = rest.split('"').next().expect("an end");
                let known = key.ends_with('.') || english.texts.contains_key(key);
                assert!(known, "{key} is in no catalogue");
            }
        }
    }

    #[test]
    fn the_browsers_wish_decides() {
        assert_eq!(preferred("").code, "en");
        assert_eq!(preferred("zh-TW,zh;q=0.9,en;q=0.8").code, "zh-Hant");
        assert_eq!(preferred("de,en;q=0.5,zh-TW;q=0.1").code, "en");
    }
}
