//! Colours that were made before, and those that a page had no time for.
//!
//! The same lines have the same colours, so they are made once while there is room to keep them.
//! What a page in a hurry leaves plain is queued, and coloured by whoever runs [`colour_later`], so that
//! the next look has it. Both are bounded: what does not fit is dropped, and made again when asked
//! for. Deliberately absent: what colours are.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use nightshift_app::git::Hunk;

use super::colour::{Colours, colour};
use super::text::Text;

/// Lines that are kept of all files together; about 300 bytes each.
const MOST_LINES: usize = 200_000;
/// Files that wait to be coloured.
const MOST_WAITING: usize = 64;

/// The colours of a file: by hunk, by line.
pub(super) type Coloured = Arc<Vec<Vec<Colours>>>;

static KEPT: LazyLock<Kept> = LazyLock::new(Kept::new);

struct Kept {
    /// Keys are hashes under a secret of this process: nobody can make two files have one.
    hasher: RandomState,
    files: Mutex<Files>,
    later: SyncSender<File>,
    waiting: Mutex<Option<Receiver<File>>>,
}

struct Files {
    coloured: LruCache<u64, Option<Coloured>>,
    lines: usize,
}

/// A file to be coloured.
struct File {
    key: u64,
    path: String,
    hunks: Vec<Hunk>,
}

/// The colours of a file, where it has any, and whether they are all there. `go_on` is asked before
/// each line whether time is left.
pub(super) fn coloured(
    path: &str,
    hunks: &[(&Hunk, Vec<Text>)],
    go_on: &dyn Fn() -> bool,
) -> (Option<Coloured>, bool) {
    let key = key(path, hunks.iter().map(|(hunk, _)| *hunk));
    if let Some(known) = KEPT.files().coloured.get(&key) {
        return (known.clone(), true);
    }
    let made = colour(path, hunks, go_on).map(Arc::new);
    let whole = made.as_ref().is_none_or(|made| {
        let lines = hunks.iter().map(|(_, texts)| texts.len());
        made.iter().map(Vec::len).eq(lines)
    });
    if whole {
        KEPT.files().keep(key, made.clone());
    } else {
        let file = File {
            key,
            path: path.to_owned(),
            hunks: hunks.iter().map(|(hunk, _)| (*hunk).clone()).collect(),
        };
        match KEPT.later.try_send(file) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
    (made, whole)
}

/// Colours what pages had no time for, for ever; a thread of its own is the place. A second one
/// returns at once.
pub fn colour_later() {
    let mut waiting = KEPT.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(waiting) = waiting.take() else {
        return;
    };
    for file in waiting {
        file.finish();
    }
}

impl File {
    fn finish(self) {
        if KEPT.files().coloured.contains(&self.key) {
            return;
        }
        let texts = |hunk: &Hunk| {
            let lines = hunk.lines.iter();
            lines.map(|line| Text::of_line(&line.bytes)).collect()
        };
        let hunks: Vec<(&Hunk, Vec<Text>)> =
            self.hunks.iter().map(|hunk| (hunk, texts(hunk))).collect();
        let made = colour(&self.path, &hunks, &|| true).map(Arc::new);
        KEPT.files().keep(self.key, made);
    }
}

impl Kept {
    fn new() -> Self {
        let (later, waiting) = sync_channel(MOST_WAITING);
        Self {
            hasher: RandomState::new(),
            files: Mutex::new(Files {
                // Bounded by lines, and a file without lines is none.
                coloured: LruCache::new(LINES),
                lines: 0,
            }),
            later,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // Entries are whole after any panic.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many files as lines, at most.
const LINES: NonZeroUsize = NonZeroUsize::new(MOST_LINES).expect("not zero");

impl Files {
    fn keep(&mut self, key: u64, file: Option<Coloured>) {
        self.lines += lines(file.as_ref());
        if let Some((_, before)) = self.coloured.push(key, file) {
            self.lines -= lines(before.as_ref());
        }
        while self.lines > MOST_LINES
            && let Some((_, oldest)) = self.coloured.pop_lru()
        {
            self.lines -= lines(oldest.as_ref());
        }
    }
}

fn lines(file: Option<&Coloured>) -> usize {
    let lines = file.map_or(0, |file| file.iter().map(Vec::len).sum());
    lines + 1
}

/// Stands for a path and everything that its colours depend on.
fn key<'a>(path: &str, hunks: impl Iterator<Item = &'a Hunk>) -> u64 {
    let mut hash = KEPT.hasher.build_hasher();
    path.hash(&mut hash);
    for hunk in hunks {
        (hunk.new_start <= 1).hash(&mut hash);
        hash.write_usize(hunk.lines.len());
        for line in &hunk.lines {
            line.kind.hash(&mut hash);
            line.bytes.hash(&mut hash);
        }
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample::hunk;
    use super::*;

    fn look(path: &str, lines: &[&str], time: usize) -> (Option<Coloured>, bool) {
        let hunk = hunk(1, 1, lines);
        let texts = hunk.lines.iter().map(|l| Text::of_line(&l.bytes)).collect();
        let left = std::cell::Cell::new(time);
        let go_on = || {
            left.set(left.get().saturating_sub(1));
            left.get() > 0
        };
        coloured(path, &[(&hunk, texts)], &go_on)
    }

    /// One test, since what is kept is shared: what was left plain is there after a while, and what
    /// was made costs no time again.
    #[test]
    fn what_a_page_had_no_time_for_is_there_at_the_next_look() {
        let lines = ["+let a = 1;", "+let b = 2;", "+let c = 3;"];
        let (plain, whole) = look("a.rs", &lines, 2);
        assert!(!whole);
        assert_eq!(plain.map(|file| file[0].len()), Some(1));
        std::thread::spawn(colour_later);
        let mut looks = 0;
        let made = loop {
            let (made, whole) = look("a.rs", &lines, 0);
            if whole {
                break made.expect("colours");
            }
            looks += 1;
            assert!(looks < 1_000, "nobody colours it");
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        assert_eq!(made[0].len(), 3);
        assert!(made[0].iter().all(|line| !line.is_empty()));
        // Other lines, another kind of line, another language: other colours.
        for (path, lines) in [
            ("a.rs", &["+let a = 1;", "+let b = 2;", "+let c = 4;"]),
            ("a.rs", &["+let a = 1;", "-let b = 2;", "+let c = 3;"]),
            ("a.py", &lines),
        ] {
            assert!(!look(path, lines, 0).1, "{path} {lines:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_lines() {
        let mut files = Files {
            coloured: LruCache::new(LINES),
            lines: 0,
        };
        let of = |lines: usize| Some(Arc::new(vec![vec![Colours::new(); lines]]));
        for key in 0..10 {
            files.keep(key, of(MOST_LINES / 4));
        }
        assert_eq!(files.coloured.len(), 3);
        assert!(files.coloured.contains(&9) && !files.coloured.contains(&6));
        files.keep(9, of(1));
        assert_eq!(files.lines, 2 * (MOST_LINES / 4 + 1) + 2);
        files.keep(11, of(MOST_LINES + 1));
        assert_eq!((files.coloured.len(), files.lines), (0, 0));
    }
}
