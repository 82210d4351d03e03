//! Watching from outside what the kernel does not limit for us: the disk, and without control
//! groups the memory.
//!
//! The tree is walked seldom (a walk may take a twentieth of the time) and at once when the file
//! system's free space fell by half of what the run has left. Invariant: a walk follows no link and
//! leaves no directory it was given, whatever the agent moves meanwhile. Deliberately absent: exact
//! accounting of directories that an ordinary user's runner may not read; the free space tells.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statvfs::statvfs;

use super::spec::{Cap, Limits};

/// Deeper than any honest tree.
const DEPTH: u64 = 256;

/// What a run has on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) too_deep: bool,
}

/// Counts everything below `roots`, at most a little more than `most` files.
pub(super) fn measure(roots: &[PathBuf], most: u64) -> Usage {
    let mut usage = Usage::default();
    for root in roots {
        // The root is the runner's own directory; below it nothing is followed.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if let Ok(dir) = Dir::open(root, flags, Mode::empty()) {
            walk(dir, 0, most, &mut usage);
        }
    }
    usage
}

fn walk(mut dir: Dir, depth: u64, most: u64, usage: &mut Usage) {
    if depth > DEPTH {
        usage.too_deep = true;
        return;
    }
    let Ok(fd) = dir.as_fd().try_clone_to_owned() else {
        return;
    };
    let fd: OwnedFd = fd;
    for entry in dir.iter().flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if usage.files > most || usage.too_deep {
            return;
        }
        usage.files += 1;
        let Ok(stat) = fstatat(&fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        if stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            if let Ok(below) = Dir::openat(&fd, name, flags, Mode::empty()) {
                walk(below, depth + 1, most, usage);
            }
        }
    }
}

/// Decides when to walk and what a walk means.
pub(super) struct DiskWatch {
    roots: Vec<PathBuf>,
    limits: Limits,
    next: Instant,
    free_at_walk: u64,
    left: u64,
}

impl DiskWatch {
    pub(super) fn new(run_dir: &Path, limits: &Limits) -> Self {
        let roots = ["upper", "tree", "home"].map(|name| run_dir.join(name));
        Self {
            free_at_walk: free(&roots[2]),
            roots: roots.to_vec(),
            limits: limits.clone(),
            next: Instant::now(),
            left: limits.disk_bytes,
        }
    }

    /// Whether it is time for a walk; also the cap of the host's own disk.
    pub(super) fn due(&self, now: Instant) -> Result<bool, Cap> {
        let free = free(&self.roots[2]);
        if free < self.limits.host_free_bytes {
            return Err(Cap::HostDisk(self.limits.host_free_bytes));
        }
        let fell = self.free_at_walk.saturating_sub(free);
        Ok(now >= self.next || fell > self.left / 2)
    }

    /// What to walk.
    pub(super) fn job(&self) -> (Vec<PathBuf>, u64) {
        (self.roots.clone(), self.limits.disk_files)
    }

    /// Takes a walk's result.
    pub(super) fn measured(&mut self, usage: Usage, took: Duration, now: Instant) -> Option<Cap> {
        self.next = now + (took * 20).max(Duration::from_secs(1));
        self.free_at_walk = free(&self.roots[2]);
        self.left = self.limits.disk_bytes.saturating_sub(usage.bytes);
        if usage.too_deep {
            Some(Cap::DiskDepth(DEPTH))
        } else if usage.files > self.limits.disk_files {
            Some(Cap::DiskFiles(self.limits.disk_files))
        } else if usage.bytes > self.limits.disk_bytes {
            Some(Cap::DiskBytes(self.limits.disk_bytes))
        } else {
            None
        }
    }
}

/// Bytes that the file system of `path` has left for us; unknown counts as plenty.
pub(crate) fn free(path: &Path) -> u64 {
    statvfs(path).map_or(u64::MAX, |fs| fs.blocks_available() * fs.fragment_size())
}

/// Resident memory in bytes and threads of `first` and all its descendants, for hosts without
/// control groups.
pub(super) fn family(first: i32) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return (0, 0);
    };
    let mut known = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold anything; the fields after it do not.
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| {
            fields
                .get(at)
                .and_then(|f| f.parse::<u64>().ok())
                .unwrap_or(0)
        };
        known.push((
            pid,
            i32::try_from(number(1)).unwrap_or(0),
            number(21) * 4096,
            number(17),
        ));
    }
    let mut family = vec![first];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        let children = known.iter().filter(|(_, of, ..)| *of == parent);
        family.extend(children.map(|(pid, ..)| *pid));
        at += 1;
    }
    known
        .iter()
        .filter(|(pid, ..)| family.contains(pid))
        .fold((0, 0), |(bytes, threads), (.., b, t)| {
            (bytes + b, threads + t)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_counts_what_is_there_and_follows_no_link() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("a")).expect("a directory");
        std::fs::write(dir.path().join("a/f"), vec![1; 8192]).expect("a file");
        std::os::unix::fs::symlink("/usr", dir.path().join("out")).expect("a link");
        let usage = measure(&[dir.path().to_owned()], 1000);
        assert_eq!(usage.files, 3);
        assert!((8192..65536).contains(&usage.bytes), "{usage:?}");
    }

    #[test]
    fn a_tree_that_is_too_deep_is_told_not_walked() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut path = dir.path().to_owned();
        for _ in 0..300 {
            path.push("d");
        }
        std::fs::create_dir_all(&path).expect("directories");
        assert!(measure(&[dir.path().to_owned()], 1000).too_deep);
    }
}
