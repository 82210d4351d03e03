//! Folders that are made once, kept under a name, used by many runs and written by none.
//!
//! ```text
//! <shelf>/<name>/lock   shared while somebody uses it, exclusive while it is removed
//!               /used   touched at each use
//!               /...    what is kept
//! ```
//! Invariants: a folder is whole from the moment it has its name, since it gets that by rename; it is
//! removed only under its exclusive lock, by renaming it away first; a user holds the shared lock of the
//! very folder it uses. Deliberately absent: what is kept, and how long.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::sandbox::remove_tree;

/// How folders begin that are not whole yet.
const NEW: &str = ".new-";
/// How folders begin that are about to be gone.
const GONE: &str = ".gone-";

/// Where folders are kept.
#[derive(Debug, Clone)]
pub(super) struct Shelf(pub(super) PathBuf);

/// A folder in use: it stays while this lives.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Shelf {
    /// The folder of this name, if it is there.
    pub(super) fn take(&self, name: &str) -> Option<Held> {
        let path = self.0.join(name);
        // A removal renames between our opening and our locking at most once; then there is none.
        let lock = File::open(path.join("lock")).ok()?;
        lock.try_lock_shared().ok()?;
        if !same(&lock, &path.join("lock")) {
            return None;
        }
        // The time of last use; losing it costs a folder its place in the order only.
        fs::write(path.join("used"), "1").ok();
        Some(Held { path, _lock: lock })
    }

    /// A folder beside the others, to be filled and placed; dropped, it is gone.
    pub(super) fn stage(&self) -> io::Result<TempDir> {
        fs::create_dir_all(&self.0)?;
        tempfile::Builder::new().prefix(NEW).tempdir_in(&self.0)
    }

    /// Gives a filled folder its name. Another one that came first wins.
    pub(super) fn place(&self, staged: TempDir, name: &str) -> io::Result<()> {
        fs::write(staged.path().join("lock"), "")?;
        fs::write(staged.path().join("used"), "1")?;
        let path = self.0.join(name);
        if path.exists() {
            return remove_tree(staged.path());
        }
        fs::rename(staged.path(), path)?;
        let _renamed: PathBuf = staged.keep();
        Ok(())
    }

    /// Removes the folder of this name, unless somebody uses it; says whether it is gone.
    pub(super) fn retire(&self, name: &str) -> io::Result<bool> {
        let path = self.0.join(name);
        let lock = File::open(path.join("lock"))?;
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        let away = self.0.join(format!("{GONE}{name}"));
        remove_tree(&away)?;
        fs::rename(&path, &away)?;
        drop(lock);
        remove_tree(&away)?;
        Ok(true)
    }

    /// Removes what a crash left half made or half removed, where that is `old`. Returns how many.
    pub(super) fn clear(&self, old: impl Fn(SystemTime) -> bool) -> io::Result<usize> {
        let mut gone = 0;
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let unfinished = name
                .to_str()
                .is_some_and(|name| name.starts_with(NEW) || name.starts_with(GONE));
            if unfinished && entry.metadata()?.modified().is_ok_and(&old) {
                remove_tree(&entry.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// The names of all that is whole, with the time of last use, the latest first.
    pub(super) fn list(&self) -> Vec<(String, SystemTime)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut all: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().to_str()?.to_owned();
                let used = fs::metadata(entry.path().join("used")).ok()?;
                (!name.starts_with('.')).then_some((name, used.modified().ok()?))
            })
            .collect();
        all.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        all
    }
}

fn same(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_is_cleared_and_what_is_whole_stays() {
        let base = tempfile::tempdir().expect("a directory");
        let shelf = Shelf(base.path().join("shelf"));
        let staged = shelf.stage().expect("a folder");
        fs::write(staged.path().join("half"), "").expect("a file");
        // As a process leaves it that is killed here.
        let half: PathBuf = staged.keep();
        fs::create_dir(shelf.0.join(".gone-other")).expect("a folder");
        shelf
            .place(shelf.stage().expect("a folder"), "whole")
            .expect("placed");
        assert_eq!(shelf.list().len(), 1);
        assert_eq!(shelf.clear(|_| false).expect("cleared"), 0);
        assert_eq!(shelf.clear(|_| true).expect("cleared"), 2);
        assert!(!half.exists());
        let held = shelf.take("whole").expect("there");
        assert!(!shelf.retire("whole").expect("a look"), "it is in use");
        drop(held);
        assert!(shelf.retire("whole").expect("retired"));
        assert!(shelf.take("whole").is_none());
    }
}
