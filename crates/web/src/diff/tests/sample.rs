//! Small changed files for the tests of this directory.

use nightshift_app::git::{FileDiff, Hunk, Line, LineKind, Mode, Side, Status};
use nightshift_domain::git_name::ObjectId;

/// One side of a file.
pub(in crate::diff) fn side(path: impl Into<Vec<u8>>, mode: Mode) -> Side {
    Side {
        path: path.into().into(),
        mode,
        id: ObjectId::zero(),
    }
}

/// A plain file that was modified.
pub(in crate::diff) fn file(path: impl Into<Vec<u8>>) -> FileDiff {
    let path = path.into();
    FileDiff {
        status: Status::Modified,
        old: Some(side(path.clone(), Mode::File)),
        new: Some(side(path, Mode::File)),
        similarity: 0,
        additions: 0,
        deletions: 0,
        binary: false,
    }
}

/// A hunk from lines as a patch has them; `\` ends the file without a line feed.
pub(in crate::diff) fn hunk<L: AsRef<[u8]>>(old_start: u32, new_start: u32, lines: &[L]) -> Hunk {
    let (mut old, mut new) = (old_start, new_start);
    let mut read: Vec<Line> = Vec::new();
    for line in lines {
        let (sign, rest) = line.as_ref().split_first().expect("a line has a sign");
        let kind = match sign {
            b' ' => LineKind::Context,
            b'+' => LineKind::Added,
            b'-' => LineKind::Deleted,
            _ => {
                let last = read.last_mut().expect("a line before the mark");
                last.no_newline = true;
                continue;
            }
        };
        let old_number = (kind != LineKind::Added).then_some(old);
        let new_number = (kind != LineKind::Deleted).then_some(new);
        old += u32::from(old_number.is_some());
        new += u32::from(new_number.is_some());
        read.push(Line {
            kind,
            old_number,
            new_number,
            bytes: bytes::Bytes::copy_from_slice(rest),
            no_newline: false,
        });
    }
    Hunk {
        old_start,
        old_lines: old - old_start,
        new_start,
        new_lines: new - new_start,
        heading: bytes::Bytes::new(),
        lines: read,
    }
}
