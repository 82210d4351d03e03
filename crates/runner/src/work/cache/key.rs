//! The key of a set-up: what its result depends on.
//!
//! Invariants: pure; two keys are the same only where all of it is the same, and nothing of it can be
//! mistaken for something else, since each part is hashed with its length. Deliberately absent: what the
//! command reads beside the files that the project names; that is the project's to say.

use nightshift_domain::id::ProjectId;
use sha2::{Digest as _, Sha256};

/// What a key is made of and how what it names is kept; another number makes all anew.
const SCHEME: &str = "1";

/// A path that the project names, and what a tree has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    /// Mode, type and object, as git has them; none where nothing is there.
    pub(super) what: Option<String>,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A path is a link: what it leads to would not count.
    Link(String),
    /// Git does not say what is there, or not in words that are known.
    Listing(String),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(path) => write!(
                f,
                "{path} is a symbolic link, whose target would not count: name that in environment.cache"
            ),
            Self::Listing(cause) => write!(
                f,
                "git does not say what is at the paths of environment.cache: {cause}"
            ),
        }
    }
}

/// Reads what `git ls-tree -z` said about these paths; each once, in order.
pub(super) fn entries(listing: &[u8], paths: &[String]) -> Result<Vec<Entry>, Unfit> {
    let mut all: Vec<Entry> = paths
        .iter()
        .map(|path| Entry {
            path: path.clone(),
            what: None,
        })
        .collect();
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all.dedup();
    for line in listing.split(|byte| *byte == 0).filter(|l| !l.is_empty()) {
        let line = std::str::from_utf8(line).map_err(|_| unknown())?;
        let (what, path) = line.split_once('\t').ok_or_else(unknown)?;
        let entry = all.iter_mut().find(|entry| entry.path == path);
        let entry = entry.ok_or_else(unknown)?;
        if what.starts_with("120000 ") {
            return Err(Unfit::Link(path.to_owned()));
        }
        entry.what = Some(what.to_owned());
    }
    Ok(all)
}

fn unknown() -> Unfit {
    Unfit::Listing("an entry that is not understood".to_owned())
}

/// The key of a command in the trees that have these entries, on a system.
pub(super) fn key(project: ProjectId, line: &str, system: &str, entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    for text in [SCHEME, &project.to_string(), line, system] {
        part(text);
    }
    for entry in entries {
        part(&entry.path);
        part(match &entry.what {
            Some(_) => "there",
            None => "absent",
        });
        part(entry.what.as_deref().unwrap_or_default());
    }
    hex::encode(&hash.finalize()[..16])
}

/// The paths at which two trees differ.
pub(super) fn differing<'a>(one: &'a [Entry], other: &[Entry]) -> Vec<&'a str> {
    let differs = |entry: &&Entry| !other.contains(entry);
    let paths = one.iter().filter(differs);
    paths.map(|entry| entry.path.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ONE: &str = "100644 blob 1111111111111111111111111111111111111111";

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn project(number: u128) -> ProjectId {
        ProjectId(Uuid::from_u128(number))
    }

    #[test]
    fn what_git_says_becomes_one_entry_for_each_path() {
        let listing = format!("{ONE}\ta b/lock\0040000 tree 22\ttools\0");
        let wanted = paths(&["tools", "a b/lock", "gone", "tools"]);
        let found = entries(listing.as_bytes(), &wanted).expect("entries");
        let entry = |path: &str, what: Option<&str>| Entry {
            path: path.to_owned(),
            what: what.map(str::to_owned),
        };
        assert_eq!(
            found,
            [
                entry("a b/lock", Some(ONE)),
                entry("gone", None),
                entry("tools", Some("040000 tree 22")),
            ]
        );
        let link = "120000 blob 33\tlock\0";
        assert_eq!(
            entries(link.as_bytes(), &paths(&["lock"])),
            Err(Unfit::Link("lock".to_owned()))
        );
        for bad in [
            &b"rubbish\0"[..],
            b"100644 blob 1\tother\0",
            b"\xff\tlock\0",
        ] {
            assert_eq!(entries(bad, &paths(&["lock"])), Err(unknown()));
        }
    }

    #[test]
    fn each_part_makes_another_key_and_the_order_of_paths_does_not() {
        let at = |listing: &str, wanted: &[&str]| {
            let listing = listing.replace("ONE", ONE);
            entries(listing.as_bytes(), &paths(wanted)).expect("entries")
        };
        let of = |number, line: &str, system: &str, listing: &str, wanted: &[&str]| {
            key(project(number), line, system, &at(listing, wanted))
        };
        let first = of(1, "npm ci", "system", "ONE\tlock\0", &["lock", "gone"]);
        let again = of(
            1,
            "npm ci",
            "system",
            "ONE\tlock\0",
            &["gone", "lock", "lock"],
        );
        assert_eq!(first, again);
        let others = [
            (
                "another project",
                of(2, "npm ci", "system", "ONE\tlock\0", &["lock", "gone"]),
            ),
            (
                "another command",
                of(1, "npm i", "system", "ONE\tlock\0", &["lock", "gone"]),
            ),
            (
                "another system",
                of(1, "npm ci", "other", "ONE\tlock\0", &["lock", "gone"]),
            ),
            (
                "another content",
                of(
                    1,
                    "npm ci",
                    "system",
                    "100644 blob 2\tlock\0",
                    &["lock", "gone"],
                ),
            ),
            (
                "another mode",
                of(
                    1,
                    "npm ci",
                    "system",
                    &format!("{}\tlock\0", ONE.replace("644", "755")),
                    &["lock", "gone"],
                ),
            ),
            ("removed", of(1, "npm ci", "system", "", &["lock", "gone"])),
            (
                "added",
                of(
                    1,
                    "npm ci",
                    "system",
                    "ONE\tlock\0ONE\tgone\0",
                    &["lock", "gone"],
                ),
            ),
            (
                "moved",
                of(1, "npm ci", "system", "ONE\tgone\0", &["lock", "gone"]),
            ),
            (
                "no longer named",
                of(1, "npm ci", "system", "ONE\tlock\0", &["lock"]),
            ),
            (
                "moved between parts",
                of(1, "npm", " cisystem", "ONE\tlock\0", &["lock", "gone"]),
            ),
        ];
        let mut seen = HashMap::from([(first, "the first")]);
        for (why, key) in others {
            if let Some(same) = seen.insert(key, why) {
                panic!("{why} has the key of {same}");
            }
        }
    }

    #[test]
    fn what_differs_is_named() {
        let base = entries(
            format!("{ONE}\ta\0{ONE}\tb\0").as_bytes(),
            &paths(&["a", "b", "c"]),
        );
        let head = entries(
            format!("{ONE}\ta\0{ONE}\tc\0").as_bytes(),
            &paths(&["a", "b", "c"]),
        );
        let (base, head) = (base.expect("entries"), head.expect("entries"));
        assert_eq!(differing(&head, &base), ["b", "c"]);
        assert!(differing(&head, &head).is_empty());
    }

    proptest! {
        /// Whatever is in it, a key is the same for the same and another for another.
        #[test]
        fn keys_are_the_same_for_the_same_alone(
            one in parts(),
            other in parts(),
        ) {
            let of = |(line, system, entries): &Parts| key(project(1), line, system, entries);
            prop_assert_eq!(of(&one), of(&one.clone()));
            prop_assert_eq!(one == other, of(&one) == of(&other));
        }
    }

    type Parts = (String, String, Vec<Entry>);

    fn parts() -> impl Strategy<Value = Parts> {
        let text = || "[a-b]{0,2}";
        let entry = (text(), proptest::option::of(text()));
        let entry = entry.prop_map(|(path, what)| Entry { path, what });
        (text(), text(), proptest::collection::vec(entry, 0..3))
    }
}
