//! How large a change is, as it is kept with its head.
//!
//! Deliberately absent: what that means for the reader ([`crate::desk`]).

use serde::{Deserialize, Serialize};

/// How many files are named.
pub const NAMED: usize = 4;

/// The size of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Files.
    pub files: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// The files with the most changed lines, at most [`NAMED`].
    pub largest: Vec<FileSize>,
}

/// The size of the change of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSize {
    /// Its path, as text.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

impl Size {
    /// The size of a change of these files.
    #[must_use]
    pub fn of(files: impl IntoIterator<Item = FileSize>) -> Self {
        let mut size = Self::default();
        for file in files {
            size.files += 1;
            size.added += file.added;
            size.removed += file.removed;
            size.largest.push(file);
        }
        size.largest
            .sort_by_key(|file| std::cmp::Reverse(file.added + file.removed));
        size.largest.truncate(NAMED);
        size
    }

    /// Lines changed.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.added + self.removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counts_and_the_largest_are_named() {
        let file = |name: &str, added, removed| FileSize {
            path: name.to_owned(),
            added,
            removed,
        };
        let size = Size::of([
            file("a", 1, 0),
            file("b", 0, 9),
            file("c", 2, 2),
            file("d", 0, 0),
            file("e", 5, 5),
        ]);
        assert_eq!((size.files, size.added, size.removed), (5, 8, 16));
        let named: Vec<_> = size.largest.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(named, ["e", "b", "c", "a"]);
        assert_eq!(size.lines(), 24);
    }
}
