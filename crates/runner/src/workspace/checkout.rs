//! Warm checkouts: whole trees of single commits, kept between runs, never written by an agent.
//!
//! A checkout is made inside a sandbox (its git reads attributes of the repository) and moved to its
//! name when it is known to be clean ([`Shelf`]). Invariant: `<commit>/tree` is the commit's tree, bit
//! for bit. Deliberately absent: who may have which.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nightshift_domain::git_name::ObjectId;

use super::shelf::{Held, Shelf};
use crate::sandbox::spec;

/// A checkout in use: it stays while this lives.
#[derive(Debug)]
pub(super) struct InUse {
    pub(super) commit: ObjectId,
    pub(super) tree: PathBuf,
    _held: Held,
}

/// The checkouts of one project.
#[derive(Debug, Clone)]
pub(super) struct Checkouts(Shelf);

impl Checkouts {
    /// Those in this folder.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Shelf(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.0
    }

    /// The checkout of exactly this commit, if it is there.
    pub(super) fn exact(&self, commit: &ObjectId) -> Option<InUse> {
        let held = self.0.take(commit.as_str())?;
        let tree = held.path.join("tree");
        tree.is_dir().then_some(InUse {
            commit: commit.clone(),
            tree,
            _held: held,
        })
    }

    /// The checkout that was used last, whatever its commit.
    pub(super) fn newest(&self) -> Option<InUse> {
        let mut all = self.list();
        all.find_map(|(commit, _)| self.exact(&commit))
    }

    /// Takes a finished tree under its commit's name. Another one that came first wins.
    pub(super) fn adopt(&self, commit: &ObjectId, tree: &Path) -> io::Result<()> {
        let staged = self.0.stage()?;
        std::fs::rename(tree, staged.path().join("tree"))?;
        self.0.place(staged, commit.as_str())
    }

    /// Removes what nobody uses, was last used longer than `grace` ago, and is not among the
    /// `keep` used last; also what a crash left unfinished. Returns how many went.
    pub(super) fn sweep(&self, now: SystemTime, grace: Duration, keep: usize) -> io::Result<usize> {
        let old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > grace);
        let mut gone = 0;
        for (commit, used) in self.list().skip(keep) {
            if old(used) && self.0.retire(commit.as_str())? {
                gone += 1;
            }
        }
        Ok(gone + self.0.clear(old)?)
    }

    fn list(&self) -> impl Iterator<Item = (ObjectId, SystemTime)> {
        let all = self.0.list().into_iter();
        all.filter_map(|(name, used)| Some((name.parse().ok()?, used)))
    }
}

/// Makes a checkout of `commit` in the current directory, and proves it clean. Where something is `laid`
/// there already, which a set-up left, it gives way to what is tracked.
pub(super) fn whole(commit: &ObjectId, laid: bool) -> String {
    let untracked = match laid {
        true => "no",
        false => "normal",
    };
    format!(
        "git init -q --template= .\n\
         mkdir -p .git/objects/info && echo {} > .git/objects/info/alternates\n\
         git config gc.auto 0\n\
         git config maintenance.auto false\n\
         git update-ref --no-deref HEAD {commit}\n\
         git read-tree --reset -u {commit}\n\
         changed=$(git status --porcelain --untracked-files={untracked})\n\
         test -z \"$changed\" || {{ echo \"not clean after checkout: $changed\" >&2; exit 1; }}\n",
        spec::OBJECTS
    )
}

/// Turns a clean checkout of `from` into one of `to`; costs what differs. What a set-up left below gives
/// way.
pub(super) fn delta(from: &ObjectId, to: &ObjectId) -> String {
    format!(
        "git read-tree --reset -u {from} {to}\n\
         git update-ref --no-deref HEAD {to}\n"
    )
}

/// Makes the files that differ between the commit that a set-up saw and this one younger than what that
/// set-up left: tools that compare times would take what was made of the one for the other's.
pub(super) fn younger(seen: &ObjectId, commit: &ObjectId) -> String {
    format!(
        "git diff-tree -r -z --no-renames --name-only --diff-filter=d {seen} {commit} >/tmp/younger\n\
         xargs -0 -r touch -c -h -- </tmp/younger\n\
         git update-index -q --refresh >/dev/null || :\n"
    )
}

/// The shell that runs [`whole`] or [`delta`], with no configuration but the repository's own.
pub(super) fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-euc", script].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        let checkouts = Checkouts::new(base.path().join("checkouts"));
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
        let checkouts = Checkouts::new(base.path().join("checkouts"));
        adopt(&checkouts, base.path(), 'a');
        let first = checkouts.exact(&commit('a')).expect("there").tree;
        fs::write(first.join("first"), "").expect("a mark");
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
