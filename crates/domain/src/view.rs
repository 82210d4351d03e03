//! Saved views: which issues a board shows, kept by a person under a name.
//!
//! A view is a filter, not a list: it shows what fits it now. Deliberately absent: views that others
//! see, and any right. What a filter names is looked for among what its person may see.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::refusal::view as say;
use crate::sentence::Sentence;

/// How many views one person keeps.
pub const MOST: usize = 20;
/// The longest name, in characters.
pub const NAME: usize = 40;
/// The longest part of a filter, in characters.
pub const PART: usize = 200;

/// Which issues; whatever is left empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// A project's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// An agent's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// A label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A part of the title, whatever its case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Filter {
    /// The filter with blank parts left out and blanks around the others cut.
    #[must_use]
    pub fn tidy(self) -> Self {
        let part = |part: Option<String>| {
            part.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        Self {
            project: part(self.project),
            agent: part(self.agent),
            label: part(self.label),
            text: part(self.text),
        }
    }

    /// Whether it leaves issues of a project out, so that counts of phases say nothing.
    #[must_use]
    pub fn narrows(&self) -> bool {
        self.agent.is_some() || self.label.is_some() || self.text.is_some()
    }

    /// Its parts by their names, those that are set.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("project", &self.project),
            ("agent", &self.agent),
            ("label", &self.label),
            ("text", &self.text),
        ]
        .into_iter()
        .filter_map(|(name, part)| Some((name, part.as_deref()?)))
    }
}

/// Why a view is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The name.
    Name,
    /// Part of the filter.
    Part {
        /// Which.
        part: &'static str,
    },
    /// A filter that shows everything.
    Everything,
    /// One more than a person keeps.
    TooMany,
    /// The name of another one.
    Taken {
        /// The name.
        name: String,
    },
}

impl Unfit {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Name => say::unfit_name(NAME),
            Self::Part { part } => say::unfit_part(*part, PART),
            Self::Everything => say::everything(),
            Self::TooMany => say::too_many(MOST),
            Self::Taken { name } => say::taken(format!("{name:?}")),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for Unfit {}

/// The name as it is kept, with the blanks around it cut.
///
/// # Errors
/// [`Unfit::Name`] for a name that is blank, too long or holds control characters.
pub fn name(text: &str) -> Result<String, Unfit> {
    let text = text.trim();
    // A name stands in addresses, where these two mean other places.
    let fits = !["", ".", ".."].contains(&text)
        && text.chars().count() <= NAME
        && !text.chars().any(|c| c.is_control() || is_invisible(c));
    fits.then(|| text.to_owned()).ok_or(Unfit::Name)
}

/// The filter as it is kept.
///
/// # Errors
/// [`Unfit::Everything`] where it leaves nothing out, [`Unfit::Part`] for one that is too long.
pub fn filter(given: Filter) -> Result<Filter, Unfit> {
    let filter = given.tidy();
    if filter == Filter::default() {
        return Err(Unfit::Everything);
    }
    let long = filter
        .parts()
        .find(|(_, text)| text.chars().count() > PART)
        .map(|(part, _)| part);
    match long {
        Some(part) => Err(Unfit::Part { part }),
        None => Ok(filter),
    }
}

/// Marks that turn the direction of text or have no width: two names that look alike would differ.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_visible() {
        for (given, kept) in [("  Mine ", "Mine"), ("夜班", "夜班"), ("a/b?c", "a/b?c")] {
            assert_eq!(name(given), Ok(kept.to_owned()));
        }
        let long = "x".repeat(NAME + 1);
        for bad in [
            "",
            "  ",
            ".",
            " .. ",
            "a\nb",
            "a\u{202e}b",
            "\u{200b}",
            long.as_str(),
        ] {
            assert_eq!(name(bad), Err(Unfit::Name), "{bad:?}");
        }
        let fits = "夜".repeat(NAME);
        assert_eq!(name(&fits), Ok(fits.clone()));
    }

    #[test]
    fn a_filter_is_kept_without_its_blanks_and_leaves_something_out() {
        let part = |text: &str| Some(text.to_owned());
        let given = Filter {
            project: part(" "),
            agent: part(""),
            label: part(" ui "),
            text: None,
        };
        let kept = Filter {
            label: part("ui"),
            ..Filter::default()
        };
        assert_eq!(filter(given), Ok(kept.clone()));
        assert_eq!(kept.parts().collect::<Vec<_>>(), [("label", "ui")]);
        assert!(kept.narrows());
        assert_eq!(filter(Filter::default()), Err(Unfit::Everything));
        let long = Filter {
            text: part(&"x".repeat(PART + 1)),
            ..Filter::default()
        };
        assert_eq!(filter(long), Err(Unfit::Part { part: "text" }));
        let whole = Filter {
            project: part("shop"),
            ..Filter::default()
        };
        assert!(!whole.narrows(), "a project is a board of its own");
    }
}
