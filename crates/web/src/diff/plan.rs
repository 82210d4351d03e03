//! Which files of a change are open on the first screen.
//!
//! A planner: pure, in the order of the patch, and for each closed file it says why. Only names,
//! sizes and what the person did count; a file's content cannot ask to be closed. Deliberately
//! absent: HTML.

use std::collections::BTreeSet;

use nightshift_app::git::{FilePatch, GitPath};

/// How much is shown at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Rows of all open files together. Files with comments have as much again.
    pub(crate) rows: usize,
    /// Rows of one file.
    pub(crate) file_rows: usize,
    /// Rows with colours, of all open files together: a coloured row costs about 0.2 ms, a plain
    /// one 0.001 ms. A page in a hurry also limits the time with `Options::time`.
    pub(crate) coloured_rows: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            rows: 1_000,
            file_rows: 1_000,
            coloured_rows: 1_000,
        }
    }
}

/// What is known about files beside the patch; files by their place in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The person marked them as viewed.
    pub(crate) viewed: BTreeSet<usize>,
    /// The person asked to see them.
    pub(crate) asked: BTreeSet<usize>,
    /// They have comments.
    pub(crate) commented: BTreeSet<usize>,
}

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// With its lines.
    Open {
        /// With syntax colours.
        coloured: bool,
    },
    /// Without lines; a link brings them.
    Later(Why),
}

/// Why a file is shown without its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The person has viewed it.
    Viewed,
    /// Its name says that a tool wrote it.
    Generated,
    /// It is large.
    Large,
    /// The files before it fill the page.
    Rest,
    /// The patch came without its lines.
    Missing,
}

/// Decides for every file, in order.
pub(crate) fn plan(files: &[FilePatch], seen: &Seen, budget: Budget) -> Vec<Shape> {
    let mut left = budget.rows;
    let mut left_commented = budget.rows;
    let mut left_coloured = budget.coloured_rows;
    let mut full = false;
    let mut open = |rows: usize| {
        let coloured = rows <= left_coloured;
        if coloured {
            left_coloured -= rows;
        }
        Shape::Open { coloured }
    };
    let mut shapes = Vec::with_capacity(files.len());
    for (place, file) in files.iter().enumerate() {
        let Some(rows) = rows(file) else {
            shapes.push(Shape::Later(Why::Missing));
            continue;
        };
        let shape = if rows == 0 || seen.asked.contains(&place) {
            open(rows)
        } else if seen.viewed.contains(&place) {
            Shape::Later(Why::Viewed)
        } else if rows > budget.file_rows {
            Shape::Later(Why::Large)
        } else if seen.commented.contains(&place) && rows <= left_commented {
            left_commented -= rows;
            open(rows)
        } else if is_generated(file.file.path()) {
            Shape::Later(Why::Generated)
        } else if full || rows > left {
            full = true;
            Shape::Later(Why::Rest)
        } else {
            left -= rows;
            open(rows)
        };
        shapes.push(shape);
    }
    shapes
}

/// Lines in all hunks; `None` when the patch has none of them.
pub(super) fn rows(file: &FilePatch) -> Option<usize> {
    let hunks = file.hunks.as_ref()?;
    Some(hunks.iter().map(|hunk| hunk.lines.len()).sum())
}

/// Whether the name is one that tools give to what they write.
fn is_generated(path: &GitPath) -> bool {
    let path = path.to_text();
    let endings = [".min.js", ".min.css", ".map", ".pb.go", "_pb2.py"];
    nightshift_domain::facts::is_lock_file(&path)
        || endings.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample::{file, hunk};
    use super::*;

    const BUDGET: Budget = Budget {
        rows: 10,
        file_rows: 8,
        coloured_rows: 6,
    };
    const PLAIN: Shape = Shape::Open { coloured: false };
    const COLOURED: Shape = Shape::Open { coloured: true };

    fn patch(path: &str, rows: usize) -> FilePatch {
        let lines = vec!["+a"; rows];
        FilePatch {
            file: file(path),
            hunks: Some(if rows == 0 {
                Vec::new()
            } else {
                vec![hunk(1, 1, &lines)]
            }),
        }
    }

    fn set(places: &[usize]) -> BTreeSet<usize> {
        places.iter().copied().collect()
    }

    #[test]
    fn the_first_files_are_open_until_the_page_is_full() {
        let files = [patch("a", 5), patch("b", 5), patch("c", 1), patch("d", 0)];
        assert_eq!(
            plan(&files, &Seen::default(), BUDGET),
            [COLOURED, PLAIN, Shape::Later(Why::Rest), COLOURED]
        );
    }

    #[test]
    fn every_closed_file_says_why() {
        let mut files = vec![
            patch("a", 9),
            patch("Cargo.lock", 1),
            patch("b", 1),
            patch("c", 1),
        ];
        files[3].hunks = None;
        let seen = Seen {
            viewed: set(&[2]),
            ..Seen::default()
        };
        let whys = [Why::Large, Why::Generated, Why::Viewed, Why::Missing];
        assert_eq!(plan(&files, &seen, BUDGET), whys.map(Shape::Later));
    }

    #[test]
    fn what_was_asked_for_or_is_talked_about_is_open() {
        let files = [patch("a", 9), patch("yarn.lock", 2), patch("b", 10)];
        let seen = Seen {
            viewed: set(&[0]),
            asked: set(&[0]),
            commented: set(&[1, 2]),
        };
        assert_eq!(
            plan(&files, &seen, BUDGET),
            [PLAIN, COLOURED, Shape::Later(Why::Large)]
        );
    }
}
