//! Facts about changed files that need their contents: sizes, encoding, line ends.
//!
//! For the rules of `domain` (churn of line ends, binaries, size). Reading is bounded per file and
//! in sum; what was not read has no text facts. Deliberately absent: any judgement.

use std::collections::HashMap;

use nightshift_domain::git_name::ObjectId;

use crate::diff::{Diff, DiffOptions, FileDiff, Side};
use crate::error::GitError;
use crate::path::{GitPath, Mode};
use crate::repository::Repository;

/// Largest file that is read for its text facts, in bytes.
const FILE_LIMIT: u64 = 1 << 20;
/// Most bytes read for one comparison.
const SUM_LIMIT: u64 = 32 << 20;

/// A changed file and what its contents say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The change.
    pub file: FileDiff,
    /// Bytes before; 0 when there was no file.
    pub old_size: u64,
    /// Bytes after; 0 when there is no file.
    pub new_size: u64,
    /// Lines added when carriage returns at line ends are ignored.
    pub additions_ignoring_cr: u64,
    /// Lines deleted when carriage returns at line ends are ignored.
    pub deletions_ignoring_cr: u64,
    /// The text before; `None` when there was none, it is binary, or too large.
    pub old_text: Option<TextFacts>,
    /// The text after; `None` when there is none, it is binary, or too large.
    pub new_text: Option<TextFacts>,
}

impl FileFacts {
    /// Every changed line differs by its line end only.
    #[must_use]
    pub fn only_line_ends(&self) -> bool {
        let changed = self.file.additions + self.file.deletions > 0;
        changed && self.additions_ignoring_cr + self.deletions_ignoring_cr == 0
    }
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextFacts {
    /// It is UTF-8.
    pub utf8: bool,
    /// It starts with the UTF-8 byte order mark.
    pub byte_order_mark: bool,
    /// Lines ended by a line feed alone.
    pub lf: u64,
    /// Lines ended by carriage return and line feed.
    pub crlf: u64,
    /// The last line is ended; true for an empty text.
    pub final_newline: bool,
}

impl TextFacts {
    fn of(bytes: &[u8]) -> Self {
        let mut facts = Self {
            utf8: std::str::from_utf8(bytes).is_ok(),
            byte_order_mark: bytes.starts_with(b"\xef\xbb\xbf"),
            final_newline: bytes.last().is_none_or(|b| *b == b'\n'),
            ..Self::default()
        };
        let mut before = 0;
        for byte in bytes {
            match (before, byte) {
                (b'\r', b'\n') => facts.crlf += 1,
                (_, b'\n') => facts.lf += 1,
                _ => {}
            }
            before = *byte;
        }
        facts
    }
}

impl Repository {
    /// Compares two commits or trees and reads what the rules about a change need.
    pub async fn diff_facts(
        &self,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<Vec<FileFacts>, GitError> {
        let ignoring_cr = DiffOptions {
            ignore_cr_at_eol: true,
            ..DiffOptions::default()
        };
        let plain = DiffOptions::default();
        let (plain, ignoring) = tokio::try_join!(
            self.diff(old, new, &plain),
            self.diff(old, new, &ignoring_cr)
        )?;
        let ignoring: HashMap<GitPath, (u64, u64)> = ignoring
            .files
            .iter()
            .map(|file| (file.path().clone(), (file.additions, file.deletions)))
            .collect();
        let blobs = blobs_of(&plain);
        let sizes: Vec<u64> = self.blob_sizes(&blobs).await?;
        let sizes: HashMap<ObjectId, u64> = blobs.iter().copied().cloned().zip(sizes).collect();
        let texts = self.text_facts(&plain, &sizes).await?;
        let size = |side: Option<&Side>| {
            side.and_then(|side| sizes.get(&side.id).copied())
                .unwrap_or(0)
        };
        let text = |side: Option<&Side>| side.and_then(|side| texts.get(&side.id).copied());
        Ok(plain
            .files
            .iter()
            .map(|file| {
                let (additions, deletions) = ignoring.get(file.path()).copied().unwrap_or((0, 0));
                FileFacts {
                    file: file.clone(),
                    old_size: size(file.old.as_ref()),
                    new_size: size(file.new.as_ref()),
                    additions_ignoring_cr: additions,
                    deletions_ignoring_cr: deletions,
                    old_text: text(file.old.as_ref()).filter(|_| !file.binary),
                    new_text: text(file.new.as_ref()).filter(|_| !file.binary),
                }
            })
            .collect())
    }

    /// Reads text files, smallest limits first come first served.
    async fn text_facts(
        &self,
        diff: &Diff,
        sizes: &HashMap<ObjectId, u64>,
    ) -> Result<HashMap<ObjectId, TextFacts>, GitError> {
        let mut sum = 0;
        let mut wanted = Vec::new();
        for file in diff.files.iter().filter(|file| !file.binary) {
            for side in [&file.old, &file.new].into_iter().flatten() {
                let size = sizes.get(&side.id).copied().unwrap_or(0);
                let is_file = matches!(side.mode, Mode::File | Mode::Executable);
                if is_file && size <= FILE_LIMIT && sum + size <= SUM_LIMIT {
                    sum += size;
                    wanted.push(&side.id);
                }
            }
        }
        let contents = self.read_blobs(&wanted).await?;
        Ok(wanted
            .into_iter()
            .cloned()
            .zip(contents.iter().map(|bytes| TextFacts::of(bytes)))
            .collect())
    }
}

/// All objects of a comparison whose size can be asked for.
fn blobs_of(diff: &Diff) -> Vec<&ObjectId> {
    let sides = diff.files.iter().flat_map(|file| [&file.old, &file.new]);
    sides
        .flatten()
        .filter(|side| side.mode != Mode::Submodule)
        .map(|side| &side.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_counted_as_they_are() {
        let facts = TextFacts::of(b"a\r\nb\nc");
        assert_eq!((facts.crlf, facts.lf, facts.final_newline), (1, 1, false));
        assert!(TextFacts::of(b"").final_newline);
        assert!(!TextFacts::of(b"\xff\n").utf8);
        assert!(TextFacts::of(b"\xef\xbb\xbfx").byte_order_mark);
    }
}
