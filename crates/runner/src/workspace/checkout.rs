//! Warm checkouts: whole trees of single commits, kept between runs, never written by an agent.
//!
//! A checkout is made inside a sandbox (its git reads attributes of the repository) and moved to its
//! name when it is known to be clean. Invariants: `<commit>/tree` is whole from the moment it has
//! that name; it is removed only under its exclusive lock, by renaming it away first; a user holds
//! the shared lock of the very directory it uses.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nightshift_domain::git_name::ObjectId;

use crate::sandbox::{remove_tree, spec};

/// A checkout in use: it stays while this lives.
#[derive(Debug)]
pub(super) struct InUse {
    pub(super) commit: ObjectId,
    pub(super) tree: PathBuf,
    _lock: File,
}

/// The checkouts of one project.
#[derive(Debug, Clone)]
pub(super) struct Checkouts(pub(super) PathBuf);

impl Checkouts {
    /// The checkout of exactly this commit, if it is there.
    pub(super) fn exact(&self, commit: &ObjectId) -> Option<InUse> {
        let path = self.0.join(commit.as_str());
        // A removal renames between our opening and our locking at most once; then there is none.
        let lock = File::open(path.join("lock")).ok()?;
        lock.try_lock_shared().ok()?;
        let tree = path.join("tree");
        if !tree.is_dir() || !same(&lock, &path.join("lock")) {
            return None;
        }
        // The time of last use; losing it costs a checkout its place in the order only.
        fs::write(path.join("used"), "1").ok();
        Some(InUse {
            commit: commit.clone(),
            tree,
            _lock: lock,
        })
    }

    /// The checkout that was used last, whatever its commit.
    pub(super) fn newest(&self) -> Option<InUse> {
        let mut all = self.list();
        all.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        all.iter().find_map(|(commit, _)| self.exact(commit))
    }

    /// Takes a finished tree under its commit's name. Another one that came first wins.
    pub(super) fn adopt(&self, commit: &ObjectId, tree: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let staging = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.0)?;
        fs::rename(tree, staging.path().join("tree"))?;
        fs::write(staging.path().join("lock"), "")?;
        fs::write(staging.path().join("used"), "1")?;
        let path = self.0.join(commit.as_str());
        if path.exists() {
            return remove_tree(staging.path());
        }
        fs::rename(staging.path(), path)?;
        let _renamed: PathBuf = staging.keep();
        Ok(())
    }

    /// Removes what nobody uses, was last used longer than `grace` ago, and is not among the
    /// `keep` used last; also what a crash left unfinished. Returns how many went.
    pub(super) fn sweep(&self, now: SystemTime, grace: Duration, keep: usize) -> io::Result<usize> {
        let old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > grace);
        let mut gone = 0;
        let mut all = self.list();
        all.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        for (commit, used) in all.into_iter().skip(keep) {
            if old(used) && self.retire(&commit)? {
                gone += 1;
            }
        }
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let unfinished = name
                .to_str()
                .is_some_and(|n| n.starts_with(".new-") || n.starts_with(".gone-"));
            if unfinished && entry.metadata()?.modified().is_ok_and(old) {
                remove_tree(&entry.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn retire(&self, commit: &ObjectId) -> io::Result<bool> {
        let path = self.0.join(commit.as_str());
        let lock = File::open(path.join("lock"))?;
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        let away = self.0.join(format!(".gone-{commit}"));
        remove_tree(&away)?;
        fs::rename(&path, &away)?;
        drop(lock);
        remove_tree(&away)?;
        Ok(true)
    }

    fn list(&self) -> Vec<(ObjectId, SystemTime)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let commit = entry.file_name().to_str()?.parse().ok()?;
                let used = fs::metadata(entry.path().join("used"))
                    .ok()?
                    .modified()
                    .ok()?;
                Some((commit, used))
            })
            .collect()
    }
}

fn same(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (open.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

/// Makes a checkout of `commit` in the current, empty directory, and proves it clean.
pub(super) fn whole(commit: &ObjectId) -> String {
    format!(
        "git init -q --template= .\n\
         mkdir -p .git/objects/info && echo {} > .git/objects/info/alternates\n\
         git config gc.auto 0\n\
         git config maintenance.auto false\n\
         git update-ref --no-deref HEAD {commit}\n\
         git read-tree --reset -u {commit}\n\
         changed=$(git status --porcelain)\n\
         test -z \"$changed\" || {{ echo \"not clean after checkout: $changed\" >&2; exit 1; }}\n",
        spec::OBJECTS
    )
}

/// Turns a clean checkout of `from` into one of `to`; costs what differs.
pub(super) fn delta(from: &ObjectId, to: &ObjectId) -> String {
    format!(
        "git read-tree -m -u {from} {to}\n\
         git update-ref --no-deref HEAD {to}\n"
    )
}

/// The shell that runs [`whole`] or [`delta`], with no configuration but the repository's own.
pub(super) fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-euc", script].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> ObjectId {
        digit.to_string().repeat(40).parse().expect("an id")
    }

    fn adopt(checkouts: &Checkouts, base: &Path, digit: char) {
        let tree = base.join("made");
        fs::create_dir(&tree).expect("a tree");
        checkouts.adopt(&commit(digit), &tree).expect("adopted");
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "what the file system stamps is compared with its own clock"
    )]
    fn only_what_is_old_and_unused_is_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let checkouts = Checkouts(base.path().join("checkouts"));
        for digit in ['a', 'b', 'c'] {
            adopt(&checkouts, base.path(), digit);
        }
        let (grace, now) = (Duration::from_secs(3600), SystemTime::now());
        assert_eq!(
            checkouts.sweep(now, grace, 0).expect("a sweep"),
            0,
            "within grace"
        );
        let later = now + Duration::from_secs(7200);
        let used = checkouts.exact(&commit('b')).expect("there");
        assert_eq!(
            checkouts.sweep(later, grace, 3).expect("a sweep"),
            0,
            "kept by number"
        );
        assert_eq!(
            checkouts.sweep(later, grace, 0).expect("a sweep"),
            2,
            "all but the used one"
        );
        assert!(used.tree.is_dir());
        assert!(checkouts.exact(&commit('a')).is_none());
        drop(used);
        assert_eq!(checkouts.sweep(later, grace, 0).expect("a sweep"), 1);
    }

    #[test]
    fn the_checkout_that_came_first_wins() {
        let base = tempfile::tempdir().expect("a directory");
        let checkouts = Checkouts(base.path().join("checkouts"));
        adopt(&checkouts, base.path(), 'a');
        fs::write(
            checkouts.0.join(commit('a').as_str()).join("tree/first"),
            "",
        )
        .expect("a mark");
        adopt(&checkouts, base.path(), 'a');
        assert!(
            checkouts
                .exact(&commit('a'))
                .expect("there")
                .tree
                .join("first")
                .exists()
        );
    }
}
