//! What use cases say to people when they refuse something, by subject: a function for each text.
//!
//! Invariant: whatever a page can show is one of these or a rule's own, so that it is said in the
//! reader's language; [`crate::Error`] takes nothing else. Deliberately absent: what only programs
//! are told ([`crate::error::plain`]), and the other languages.

use std::fmt;

use nightshift_domain::sentence::{Place, Template, text};

pub(crate) mod account;
pub(crate) mod change;
pub(crate) mod issue;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod server;

/// What somebody wrote, in quotes.
pub(crate) fn quoted(name: impl fmt::Debug) -> Place {
    text(format_args!("{name:?}"))
}

/// Every text that is said to people, by the rules and by use cases.
pub fn all() -> impl Iterator<Item = &'static Template> {
    let own = [
        account::TEMPLATES,
        change::TEMPLATES,
        issue::TEMPLATES,
        project::TEMPLATES,
        run::TEMPLATES,
        server::TEMPLATES,
    ];
    let own = own.into_iter().flatten().copied();
    nightshift_domain::sentence::all().chain(own)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_text_has_a_word_of_its_own() {
        let keys: Vec<_> = all().map(|template| template.key).collect();
        let different: BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn what_is_quoted_is_whole() {
        let said = account::bad_name(quoted("a \"b\" {name}")).to_string();
        assert!(said.starts_with(r#""a \"b\" {name}" is no name"#), "{said}");
    }
}
