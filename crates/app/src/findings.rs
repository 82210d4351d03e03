//! Feeds the rules of `domain::facts` from a diff.

use nightshift_domain::facts::{self, FileChange, Finding, Special, Status};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::size::{FileSize, Size};
use nightshift_git::{DiffOptions, FileDiff, LineKind, Mode, Repository, Status as GitStatus};

use crate::Error;

/// The most of a patch that is read for the rules, in bytes.
const MAX_PATCH: u64 = 8 << 20;

/// How large the change from `base` to `head` is.
pub(crate) async fn size(
    repository: &Repository,
    base: &ObjectId,
    head: &ObjectId,
) -> Result<Size, Error> {
    let diff = repository.diff(base, head, &DiffOptions::default()).await?;
    Ok(size_of(diff.files.iter()))
}

fn size_of<'a>(files: impl Iterator<Item = &'a FileDiff>) -> Size {
    Size::of(files.map(|file| FileSize {
        path: file.path().to_text().into_owned(),
        added: file.additions,
        removed: file.deletions,
    }))
}

/// What the platform finds in the change from `base` to `head`, and how large it is.
pub(crate) async fn of(
    repository: &Repository,
    base: &ObjectId,
    head: &ObjectId,
    protected: &[String],
) -> Result<(Vec<Finding>, Size), Error> {
    let facts = repository.diff_facts(base, head).await?;
    let size = size_of(facts.iter().map(|fact| &fact.file));
    let options = DiffOptions {
        context: 0,
        ..DiffOptions::default()
    };
    let patch = repository.patch(base, head, &options, MAX_PATCH).await?;
    let mut changes = Vec::new();
    for fact in facts {
        let path = fact.file.path().to_text().into_owned();
        let lines = |kind: LineKind| -> Vec<String> {
            patch
                .files
                .iter()
                .find(|file| file.file.path() == fact.file.path())
                .and_then(|file| file.hunks.as_ref())
                .into_iter()
                .flatten()
                .flat_map(|hunk| &hunk.lines)
                .filter(|line| line.kind == kind)
                .map(|line| String::from_utf8_lossy(&line.bytes).trim_end().to_owned())
                .collect()
        };
        changes.push(FileChange {
            status: match fact.file.status {
                GitStatus::Added | GitStatus::Copied => Status::Added,
                GitStatus::Deleted => Status::Deleted,
                GitStatus::Renamed => Status::Renamed,
                GitStatus::Modified | GitStatus::TypeChanged => Status::Modified,
            },
            old_path: match fact.file.status {
                GitStatus::Renamed => fact
                    .file
                    .old
                    .as_ref()
                    .map(|side| side.path.to_text().into_owned()),
                GitStatus::Added
                | GitStatus::Copied
                | GitStatus::Deleted
                | GitStatus::Modified
                | GitStatus::TypeChanged => None,
            },
            additions: fact.file.additions,
            deletions: fact.file.deletions,
            binary: fact.file.binary,
            eol_only: fact.only_line_ends(),
            special: match fact.file.new.as_ref().map(|side| side.mode) {
                Some(Mode::Symlink) => Some(Special::Symlink),
                Some(Mode::Submodule) => Some(Special::Submodule),
                _ => None,
            },
            added: lines(LineKind::Added),
            removed: lines(LineKind::Deleted),
            path,
        });
    }
    Ok((facts::findings(&changes, protected), size))
}
