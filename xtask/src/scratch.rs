//! A folder in memory for what the tests write.
//!
//! Repositories and databases of the tests flush what they write, as they must, and a test waits for a
//! disk most of its time; nothing of theirs has to outlive the machine. Deliberately absent: less
//! flushing, which would be another program than the one that is tested.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Line;

/// The file system in memory that Linux has.
const SHARED: &str = "/dev/shm";
/// Before the number of the process that a folder belongs to.
const PREFIX: &str = "nightshift-tests-";
/// Bytes that must be free there, and in memory.
const NEEDED: u64 = 6 << 30;

/// The folder; removed when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder, where there is room for it and nobody said another (`TMPDIR`).
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the tests says by a variable where they write"
    )]
    pub fn new(root: &Path) -> Option<Self> {
        let df = Line {
            env: &[],
            words: &["df", "-Pk", SHARED],
        };
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let is_roomy = std::env::var_os("TMPDIR").is_none()
            && free(&df.output(root).ok()?) >= NEEDED
            && available(&memory) >= NEEDED;
        sweep(Path::new(SHARED));
        let folder = Path::new(SHARED).join(format!("{PREFIX}{}", std::process::id()));
        (is_roomy && fs::create_dir(&folder).is_ok()).then_some(Self(folder))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is gone with the machine.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Removes what processes left that were killed.
fn sweep(shared: &Path) {
    for entry in fs::read_dir(shared).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if of.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Bytes that are free, by what `df -Pk` says of one file system in memory; none of another kind.
fn free(said: &str) -> u64 {
    let fields: Vec<&str> = said
        .lines()
        .nth(1)
        .unwrap_or("")
        .split_whitespace()
        .collect();
    match fields[..] {
        ["tmpfs", _, _, free, ..] => free.parse().map_or(0, |free: u64| free << 10),
        _ => 0,
    }
}

/// Bytes of memory that can be had, by `/proc/meminfo`.
fn available(said: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.map_or(0, |kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_read_and_what_is_no_memory_has_none() {
        let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
        let of = |line: &str| free(&format!("{head}{line}\n"));
        assert_eq!(
            of("tmpfs 24000000 84 23999916 1% /dev/shm"),
            23_999_916 << 10
        );
        assert_eq!(of("/dev/sda 24000000 84 23999916 1% /"), 0);
        assert_eq!((free(""), free("df: no such file")), (0, 0));
        let memory = "MemTotal: 9 kB\nMemAvailable:    8 kB\n";
        assert_eq!((available(memory), available("")), (8 << 10, 0));
    }

    #[test]
    fn a_folder_goes_with_its_holder_or_when_its_process_is_gone() {
        let shared = std::env::temp_dir().join(format!("scratch-{}", std::process::id()));
        let folder = |name: &str| {
            let path = shared.join(name);
            fs::create_dir_all(path.join("a/b")).expect("folders");
            path
        };
        let held = folder("held");
        drop(Scratch(held.clone()));
        assert!(!held.exists());
        let alive = folder(&format!("{PREFIX}{}", std::process::id()));
        let (dead, other) = (folder(&format!("{PREFIX}4194999")), folder("other-4194999"));
        sweep(&shared);
        assert!(alive.exists() && other.exists() && !dead.exists());
        fs::remove_dir_all(&shared).expect("removed");
    }
}
