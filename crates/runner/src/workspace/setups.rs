//! What set-ups of projects left, kept for later runs.
//!
//! Under `<data>/projects/<project>/setups/<key>/` lie `tree` and `home`, as one set-up on the default
//! branch left them, and what is known about them ([`About`]). Invariants: what has its name is whole
//! and on the disk; nobody writes it; it is looked through before a runner uses it for the first time,
//! and what is damaged counts as not there; what a run uses is not removed. Deliberately absent: who may
//! keep something, and what a key is made of (`work::cache`).

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{ProjectId, RunId};
use serde::{Deserialize, Serialize};

use super::shelf::{Held, Shelf};
use super::sift::{self, Refused, Tracked};

/// How many a runner keeps.
const KEEP: usize = 10;
/// How much it keeps, in bytes.
const BYTES: u64 = 20 << 30;

/// What is known about a set-up that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its key.
    pub key: String,
    /// The commit of the default branch on which it ran.
    pub commit: ObjectId,
    /// The run that had it run.
    pub run: RunId,
    /// When.
    pub made: Timestamp,
    /// Files, folders and links that it left.
    pub files: u64,
    /// What they take on disk.
    pub bytes: u64,
    /// Their names, rights, sizes and times.
    digest: String,
}

/// A kept set-up in use: it stays while this lives.
#[derive(Debug)]
pub struct Setup {
    /// Where it is from.
    pub about: About,
    held: Held,
}

impl Setup {
    /// The folder with its `tree` and its `home`.
    pub(super) fn path(&self) -> &Path {
        &self.held.path
    }
}

/// Why nothing was kept.
#[derive(Debug)]
pub enum NotKept {
    /// It never will be, as long as the set-up does the same.
    Refused(Refused),
    /// The file system.
    Host(String),
}

/// The set-ups that a runner keeps.
#[derive(Debug)]
pub(super) struct Setups {
    projects: PathBuf,
    /// Those that were looked through.
    proved: Mutex<HashSet<PathBuf>>,
}

impl Setups {
    /// Those of the projects in this folder.
    pub(super) fn new(projects: PathBuf) -> Self {
        Self {
            projects,
            proved: Mutex::default(),
        }
    }

    /// The one of this key, if it is there and whole.
    pub(super) fn take(&self, project: ProjectId, key: &str) -> Option<Setup> {
        let shelf = self.shelf(project);
        let held = shelf.take(key)?;
        match self.proved(&held.path) {
            Ok(about) => Some(Setup { about, held }),
            Err(error) => {
                tracing::warn!(path = %held.path.display(), %error, "a kept set-up is damaged and counts as gone");
                drop(held);
                if let Err(error) = shelf.retire(key) {
                    tracing::warn!(key, %error, "a damaged set-up stays");
                }
                None
            }
        }
    }

    fn proved(&self, path: &Path) -> io::Result<About> {
        let about: About = serde_json::from_slice(&fs::read(path.join("about.json"))?)?;
        let folders = folders(path);
        if self.known().contains(path) && folders.iter().all(|folder| folder.is_dir()) {
            return Ok(about);
        }
        if sift::sum(&folders)?.digest != about.digest {
            return Err(io::Error::other("something in it is not as it was left"));
        }
        self.known().insert(path.to_owned());
        Ok(about)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a set-up left in the directory of a run, over a checkout that was as `tracked` says.
    /// What is there is taken away, whatever comes of it.
    pub(super) fn keep(
        &self,
        project: ProjectId,
        key: &str,
        run: &Path,
        tracked: &Tracked,
        from: (&ObjectId, RunId, Timestamp),
    ) -> Result<(), NotKept> {
        let (tree, home) = (run.join("tree"), run.join("home"));
        for sifted in [tracked.sift(&tree), sift::home(&home)] {
            sifted?.map_err(NotKept::Refused)?;
        }
        let shelf = self.shelf(project);
        let staged = shelf.stage()?;
        fs::rename(tree, staged.path().join("tree"))?;
        fs::rename(home, staged.path().join("home"))?;
        let sum = sift::sum(&folders(staged.path()))?;
        if sum.bytes > BYTES {
            return Err(NotKept::Refused(Refused::Large {
                bytes: sum.bytes,
                most: BYTES,
            }));
        }
        let (commit, run, made) = from;
        let about = About {
            key: key.to_owned(),
            commit: commit.clone(),
            run,
            made,
            files: sum.files,
            bytes: sum.bytes,
            digest: sum.digest,
        };
        let json = serde_json::to_vec(&about).map_err(io::Error::from)?;
        fs::write(staged.path().join("about.json"), json)?;
        // All of it is on the disk before it has its name, or a loss of power could empty files of it.
        nix::unistd::syncfs(File::open(staged.path())?).map_err(io::Error::from)?;
        let path = shelf.0.join(key);
        self.known().remove(&path);
        shelf.place(staged, key)?;
        self.known().insert(path);
        Ok(())
    }

    /// Removes what a runner that was killed left half made. Nothing may be in the making.
    pub(super) fn clear(&self) -> io::Result<usize> {
        let shelves = self.shelves()?;
        shelves.iter().map(|shelf| shelf.clear(|_| true)).sum()
    }

    /// Removes those beyond the bounds that nobody uses, the longest unused first. Returns how many
    /// went.
    pub(super) fn sweep(&self) -> io::Result<usize> {
        self.bound(KEEP, BYTES)
    }

    fn bound(&self, keep: usize, most: u64) -> io::Result<usize> {
        let mut all = Vec::new();
        for shelf in self.shelves()? {
            for (key, used) in shelf.list() {
                let about = fs::read(shelf.0.join(&key).join("about.json"));
                let about = about
                    .ok()
                    .and_then(|json| serde_json::from_slice(&json).ok());
                // One that says nothing about itself is of no use to anybody.
                let bytes = about.map_or(u64::MAX, |about: About| about.bytes);
                all.push((used, shelf.clone(), key, bytes));
            }
        }
        all.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let (mut kept, mut bytes) = (0, 0_u64);
        let mut gone = 0;
        for (_, shelf, key, its) in all {
            let fits = kept < keep && bytes.saturating_add(its) <= most;
            if !fits && shelf.retire(&key)? {
                self.known().remove(&shelf.0.join(&key));
                gone += 1;
            } else {
                kept += 1;
                bytes = bytes.saturating_add(its);
            }
        }
        Ok(gone)
    }

    fn shelf(&self, project: ProjectId) -> Shelf {
        Shelf(self.projects.join(project.to_string()).join("setups"))
    }

    fn shelves(&self) -> io::Result<Vec<Shelf>> {
        let projects = fs::read_dir(&self.projects)?;
        projects
            .map(|entry| Ok(Shelf(entry?.path().join("setups"))))
            .collect()
    }
}

fn folders(path: &Path) -> [PathBuf; 2] {
    ["tree", "home"].map(|name| path.join(name))
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> Self {
        Self::Host(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: ProjectId = ProjectId(uuid::Uuid::from_u128(7));

    /// A runner's folder of projects, and one for runs.
    struct Place {
        dir: tempfile::TempDir,
        setups: Setups,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            fs::create_dir(dir.path().join("projects")).expect("a folder");
            let setups = Setups::new(dir.path().join("projects"));
            Self { dir, setups }
        }

        /// Keeps a set-up that made one file of this text.
        fn keep(&self, key: &str, text: &str) {
            let run = self.dir.path().join("run");
            let (tree, home) = (run.join("tree"), run.join("home"));
            fs::create_dir_all(&tree).expect("a folder");
            fs::create_dir_all(&home).expect("a folder");
            let tracked = Tracked::of(&tree).expect("a look");
            fs::write(tree.join("made"), text).expect("a file");
            let commit = "a".repeat(40).parse().expect("an id");
            let from = (
                &commit,
                RunId(uuid::Uuid::from_u128(1)),
                Timestamp::UNIX_EPOCH,
            );
            self.setups
                .keep(PROJECT, key, &run, &tracked, from)
                .expect("kept");
        }

        fn text(&self, key: &str) -> Option<String> {
            let setup = self.setups.take(PROJECT, key)?;
            fs::read_to_string(setup.path().join("tree/made")).ok()
        }

        /// Has it be used last so many seconds after the beginning of time.
        fn used(&self, key: &str, seconds: u64) {
            let path = self.setups.shelf(PROJECT).0.join(key).join("used");
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let file = File::options().write(true).open(path).expect("a file");
            file.set_modified(at).expect("a time");
        }

        fn made(&self, key: &str) -> PathBuf {
            self.setups.shelf(PROJECT).0.join(key).join("tree/made")
        }
    }

    #[test]
    fn what_came_first_wins_and_nothing_is_left_beside_it() {
        let place = Place::new();
        assert!(place.text("k").is_none());
        place.keep("k", "one");
        place.keep("k", "two");
        assert_eq!(place.text("k").as_deref(), Some("one"));
        let all = fs::read_dir(place.setups.shelf(PROJECT).0).expect("a shelf");
        assert_eq!(all.count(), 1);
    }

    #[test]
    fn what_is_damaged_counts_as_gone_and_is_made_anew() {
        type Damage = fn(&Path);
        let damages: [Damage; 4] = [
            |made| fs::write(made, "on").expect("cut"),
            |made| fs::remove_file(made).expect("gone"),
            |made| fs::write(made.with_file_name("more"), "").expect("more"),
            |made| {
                let kept = made.ancestors().nth(2).expect("above");
                fs::write(kept.join("about.json"), "{").expect("cut");
            },
        ];
        for damage in damages {
            let place = Place::new();
            place.keep("k", "one");
            damage(&place.made("k"));
            // As the next start of a runner sees it.
            let next = Place {
                setups: Setups::new(place.dir.path().join("projects")),
                dir: place.dir,
            };
            assert_eq!(next.text("k"), None);
            next.keep("k", "two");
            assert_eq!(next.text("k").as_deref(), Some("two"));
        }
        let place = Place::new();
        place.keep("k", "one");
        fs::remove_dir_all(place.made("k").parent().expect("a tree")).expect("gone");
        assert_eq!(
            place.text("k"),
            None,
            "its tree is gone while a runner lives"
        );
    }

    #[test]
    fn the_longest_unused_go_first_and_never_one_in_use() {
        let place = Place::new();
        let ages = ["a", "b", "c", "d"];
        for (age, key) in ages.into_iter().enumerate() {
            place.keep(key, key);
            place.used(key, age as u64);
        }
        let there = || ages.map(|key| place.made(key).exists());
        assert_eq!(place.setups.bound(4, BYTES).expect("a sweep"), 0);
        assert_eq!(place.setups.bound(3, BYTES).expect("a sweep"), 1);
        assert_eq!(there(), [false, true, true, true]);
        let one = place.setups.shelf(PROJECT).take("b").expect("there");
        place.used("b", 1);
        let bytes = |key: &str| place.setups.take(PROJECT, key).expect("there").about.bytes;
        // Two of one size fit; the one in use stays beyond that.
        let most = bytes("d").max(1) * 2;
        assert_eq!(place.setups.bound(10, most).expect("a sweep"), 0);
        assert_eq!(place.setups.bound(1, most).expect("a sweep"), 1);
        assert_eq!(there(), [false, true, false, true]);
        drop(one);
        assert_eq!(place.setups.bound(1, most).expect("a sweep"), 1);
        assert_eq!(there(), [false, false, false, true]);
    }

    #[test]
    fn what_a_killed_runner_left_half_made_goes_at_the_next_start() {
        let place = Place::new();
        place.keep("k", "one");
        let half = place.setups.shelf(PROJECT).stage().expect("a folder");
        fs::create_dir(half.path().join("tree")).expect("a folder");
        let half: PathBuf = half.keep();
        assert_eq!(place.setups.clear().expect("cleared"), 1);
        assert!(!half.exists());
        assert_eq!(place.text("k").as_deref(), Some("one"));
    }
}
