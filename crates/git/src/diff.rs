//! What changed between two commits or trees: one record per file.
//!
//! Compared are git objects, never a file on disk, so line-end conversion plays no part. One
//! process tells paths, modes and counts. Deliberately absent: lines ([`crate::Patch`]), and facts
//! that need the contents ([`crate::FileFacts`]).

use std::collections::HashMap;

use nightshift_domain::git_name::ObjectId;

use crate::command::Call;
use crate::error::GitError;
use crate::path::{GitPath, Mode};
use crate::refs::{odd, parse_id};
use crate::repository::Repository;

/// How to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffOptions {
    /// Lines shown around a change; for patches only.
    pub context: u32,
    /// Ignore all changes of white space.
    pub ignore_whitespace: bool,
    /// Ignore a carriage return at the end of a line.
    pub ignore_cr_at_eol: bool,
    /// Find renamed files.
    pub renames: bool,
    /// Only these files or directories; empty: all. With one side of a rename only, the file shows
    /// as added or deleted.
    pub paths: Vec<GitPath>,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            context: 3,
            ignore_whitespace: false,
            ignore_cr_at_eol: false,
            renames: true,
            paths: Vec::new(),
        }
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content or mode changed.
    Modified,
    /// It has another path, and perhaps another content.
    Renamed,
    /// It is a copy of another file.
    Copied,
    /// A file became a link or a submodule, or the other way round.
    TypeChanged,
}

/// A file on one side of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its path.
    pub path: GitPath,
    /// What it is.
    pub mode: Mode,
    /// Its object; of a submodule the commit.
    pub id: ObjectId,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// What happened.
    pub status: Status,
    /// Before; `None` when added.
    pub old: Option<Side>,
    /// After; `None` when deleted.
    pub new: Option<Side>,
    /// How alike the two sides of a rename or copy are, in percent; else 0.
    pub similarity: u8,
    /// Lines added; 0 when binary.
    pub additions: u64,
    /// Lines deleted; 0 when binary.
    pub deletions: u64,
    /// Git takes one side for binary.
    pub binary: bool,
}

impl FileDiff {
    /// The path after the change, or before it when the file is gone.
    #[must_use]
    pub fn path(&self) -> &GitPath {
        // INVARIANT: the parser makes no record without any side.
        match (&self.new, &self.old) {
            (Some(side), _) | (None, Some(side)) => &side.path,
            (None, None) => unreachable!("a changed file has a side"),
        }
    }

    /// Whether it may be executed now and could not before, or the other way round.
    #[must_use]
    pub fn mode_changed(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.mode != new.mode)
    }
}

/// All files that differ, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The files.
    pub files: Vec<FileDiff>,
}

impl Diff {
    /// Lines added in all files.
    #[must_use]
    pub fn additions(&self) -> u64 {
        self.files.iter().map(|file| file.additions).sum()
    }

    /// Lines deleted in all files.
    #[must_use]
    pub fn deletions(&self) -> u64 {
        self.files.iter().map(|file| file.deletions).sum()
    }
}

impl Repository {
    /// Compares two commits or trees. For the empty side use [`Repository::empty_tree`].
    pub async fn diff(
        &self,
        old: &ObjectId,
        new: &ObjectId,
        options: &DiffOptions,
    ) -> Result<Diff, GitError> {
        let call = self.diff_call(old, new, options, &["-z", "--raw", "--numstat"]);
        let said = call.run().await?;
        let files = parse_diff(&said.stdout)?;
        Ok(Diff { files })
    }

    /// The call of `git diff-tree` that all comparisons share.
    pub(crate) fn diff_call(
        &self,
        old: &ObjectId,
        new: &ObjectId,
        options: &DiffOptions,
        form: &[&str],
    ) -> Call {
        use std::os::unix::ffi::OsStrExt as _;
        let paths = options
            .paths
            .iter()
            .map(|path| std::ffi::OsStr::from_bytes(path.as_bytes()));
        self.call("diff-tree")
            .args([
                "-r",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--full-index",
            ])
            .args(form)
            .arg(if options.renames {
                "-M"
            } else {
                "--no-renames"
            })
            .args(options.ignore_whitespace.then_some("--ignore-all-space"))
            .args(options.ignore_cr_at_eol.then_some("--ignore-cr-at-eol"))
            .arg("--end-of-options")
            .args([old.as_str(), new.as_str()])
            .arg("--")
            .args(paths)
    }
}

/// The records of `--raw -z` at the begin of an output, without counts, and where they end.
pub(crate) fn parse_records(bytes: &[u8]) -> Result<(Vec<FileDiff>, usize), GitError> {
    let mut fields = Fields { bytes, at: 0 };
    let mut files = Vec::new();
    while bytes.get(fields.at) == Some(&b':') {
        // INVARIANT: there is a byte, so there is a field.
        let facts = fields.next().unwrap_or_default();
        files.push(parse_raw(facts, &mut fields)?);
    }
    Ok((files, fields.at))
}

/// Texts that a zero byte ends.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        self.at += end + 1;
        Some(&rest[..end])
    }
}

/// Records of `--raw`, then those of `--numstat`, all of `-z`.
fn parse_diff(bytes: &[u8]) -> Result<Vec<FileDiff>, GitError> {
    let (mut files, end) = parse_records(bytes)?;
    let mut fields = Fields { bytes, at: end }.filter(|field| !field.is_empty());
    let mut places = HashMap::new();
    for (place, file) in files.iter().enumerate() {
        places.insert(file.path().clone(), place);
    }
    while let Some(counts) = fields.next() {
        let (added, deleted, path) =
            parse_counts(counts).ok_or_else(|| odd("diff-tree", counts))?;
        let path = if path.is_empty() {
            // A rename: the old path, then the new one.
            fields.next();
            fields.next().unwrap_or_default()
        } else {
            path
        };
        let place = places.get(&GitPath::from(path)).copied();
        let Some(file) = place.and_then(|place| files.get_mut(place)) else {
            return Err(odd("diff-tree", path));
        };
        file.binary = added.is_none();
        file.additions = added.unwrap_or(0);
        file.deletions = deleted.unwrap_or(0);
    }
    Ok(files)
}

/// `:<mode> SP <mode> SP <id> SP <id> SP <letter><score>`, then one or two paths.
fn parse_raw<'a>(
    facts: &[u8],
    fields: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<FileDiff, GitError> {
    let bad = || odd("diff-tree", facts);
    let parts: Vec<&[u8]> = facts[1..].split(|b| *b == b' ').collect();
    let &[old_mode, new_mode, old_id, new_id, status] = parts.as_slice() else {
        return Err(bad());
    };
    let (letter, score) = status.split_first().ok_or_else(bad)?;
    let status = match letter {
        b'A' => Status::Added,
        b'D' => Status::Deleted,
        b'M' => Status::Modified,
        b'R' => Status::Renamed,
        b'C' => Status::Copied,
        b'T' => Status::TypeChanged,
        _ => return Err(bad()),
    };
    let first = GitPath::from(fields.next().ok_or_else(bad)?);
    let second = match status {
        Status::Renamed | Status::Copied => GitPath::from(fields.next().ok_or_else(bad)?),
        Status::Added | Status::Deleted | Status::Modified | Status::TypeChanged => first.clone(),
    };
    let side = |mode, id, path| -> Result<Option<Side>, GitError> {
        let Some(mode) = Mode::from_octal(mode) else {
            return Ok(None);
        };
        let id = parse_id("diff-tree", id)?;
        Ok(Some(Side { path, mode, id }))
    };
    let (old, new) = (
        side(old_mode, old_id, first)?,
        side(new_mode, new_id, second)?,
    );
    if old.is_none() && new.is_none() {
        return Err(bad());
    }
    let score = std::str::from_utf8(score).ok().and_then(|s| s.parse().ok());
    Ok(FileDiff {
        status,
        old,
        new,
        similarity: score.unwrap_or(0),
        additions: 0,
        deletions: 0,
        binary: false,
    })
}

/// `<added|-> TAB <deleted|-> TAB <path>`; a rename has an empty path here.
fn parse_counts(record: &[u8]) -> Option<(Option<u64>, Option<u64>, &[u8])> {
    let mut parts = record.splitn(3, |b| *b == b'\t');
    let mut count = || -> Option<Option<u64>> {
        match parts.next()? {
            b"-" => Some(None),
            digits => Some(Some(std::str::from_utf8(digits).ok()?.parse().ok()?)),
        }
    };
    let (added, deleted) = (count()?, count()?);
    Some((added, deleted, parts.next()?))
}
