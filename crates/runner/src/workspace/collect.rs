//! Reading files that an agent wrote, without being led elsewhere.
//!
//! Invariant: the kernel resolves the whole path below one directory, through no link of any kind,
//! and only a regular file of bounded size is read; what is swapped meanwhile changes the answer,
//! never the place. Deliberately absent: writing, and running anything in such a directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// There is none.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A link, a way out, or not a regular file.
    #[error("{} was not taken: {why}", path.display())]
    Unsafe {
        /// As asked for.
        path: PathBuf,
        /// Which rule.
        why: &'static str,
    },
    /// Larger than allowed.
    #[error("{} was not taken: larger than {limit} bytes", path.display())]
    TooLarge {
        /// As asked for.
        path: PathBuf,
        /// Bytes.
        limit: u64,
    },
    /// The file system.
    #[error("{}: {cause}", path.display())]
    Io {
        /// As asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A directory in which an agent writes, opened once.
#[derive(Debug)]
pub struct Collect(OwnedFd);

impl Collect {
    /// Opens the directory; its own path must be the runner's, not the agent's.
    ///
    /// # Errors
    /// It is not there, or it is a link.
    pub fn open(root: &Path) -> Result<Self, Rejected> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        nix::fcntl::open(root, flags, Mode::empty())
            .map(Self)
            .map_err(|errno| rejected(root, errno))
    }

    /// Reads the file at `path` below the directory, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Rejected`] says; never with a part of the content.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Rejected> {
        let how = OpenHow::new()
            // Without waiting: a pipe of the agent's would hold us up for ever.
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS
                    | ResolveFlag::RESOLVE_NO_XDEV,
            );
        let fd = openat2(&self.0, path, how).map_err(|errno| rejected(path, errno))?;
        let stat = fstat(&fd).map_err(|errno| rejected(path, errno))?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(Rejected::Unsafe {
                path: path.to_owned(),
                why: "not a regular file",
            });
        }
        let mut bytes = Vec::new();
        let read = File::from(fd)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|cause| Rejected::Io {
            path: path.to_owned(),
            cause,
        })?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(Rejected::TooLarge {
                path: path.to_owned(),
                limit,
            });
        }
        Ok(bytes)
    }
}

fn rejected(path: &Path, errno: Errno) -> Rejected {
    let path = path.to_owned();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => Rejected::Missing(path),
        Errno::ELOOP => Rejected::Unsafe {
            path,
            why: "a link",
        },
        Errno::EXDEV | Errno::EAGAIN => Rejected::Unsafe {
            path,
            why: "it leads out of its directory",
        },
        Errno::ENXIO => Rejected::Unsafe {
            path,
            why: "not a regular file",
        },
        other => Rejected::Io {
            path,
            cause: other.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn links_ways_out_and_pipes_are_rejected() {
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().join("results");
        std::fs::create_dir_all(root.join("a")).expect("directories");
        std::fs::write(base.path().join("outside"), "CANARY").expect("a file");
        std::fs::write(root.join("a/fine"), "fine").expect("a file");
        symlink("/etc/passwd", root.join("out")).expect("a link");
        symlink("/proc/1/environ", root.join("proc")).expect("a link");
        symlink("../outside", root.join("up")).expect("a link");
        symlink("a", root.join("dir")).expect("a link");
        nix::unistd::mkfifo(&root.join("pipe"), Mode::S_IRWXU).expect("a pipe");
        let collect = Collect::open(&root).expect("opened");
        for bad in [
            "out",
            "proc",
            "up",
            "dir/fine",
            "pipe",
            "../outside",
            "/etc/passwd",
            "a",
        ] {
            let taken = collect.read(Path::new(bad), 100);
            assert!(
                matches!(taken, Err(Rejected::Unsafe { .. })),
                "{bad}: {taken:?}"
            );
        }
        assert_eq!(
            collect.read(Path::new("a/fine"), 100).expect("taken"),
            b"fine"
        );
        assert!(matches!(
            collect.read(Path::new("a/fine"), 3),
            Err(Rejected::TooLarge { .. })
        ));
        assert!(matches!(
            collect.read(Path::new("none"), 3),
            Err(Rejected::Missing(_))
        ));
    }

    #[test]
    fn swapping_a_file_for_a_link_brings_nothing_from_outside() {
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().join("results");
        std::fs::create_dir(&root).expect("a directory");
        std::fs::write(base.path().join("outside"), "CANARY").expect("a file");
        let stop = AtomicBool::new(false);
        let collect = Collect::open(&root).expect("opened");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    symlink("../outside", root.join("new")).expect("a link");
                    std::fs::rename(root.join("new"), root.join("f")).expect("swapped");
                    std::fs::write(root.join("new"), "inside").expect("a file");
                    std::fs::rename(root.join("new"), root.join("f")).expect("swapped");
                }
            });
            let (mut inside, mut rejected, mut wrong, mut tries) = (0, 0, 0, 0_u64);
            // Until both sides of the race were seen often, within reason.
            while (tries < 10_000 || inside < 100 || rejected < 100) && tries < 50_000_000 {
                tries += 1;
                match collect.read(Path::new("f"), 100) {
                    Ok(bytes) if bytes == b"inside" => inside += 1,
                    Ok(_) => wrong += 1,
                    Err(_) => rejected += 1,
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert_eq!(wrong, 0);
            assert!(inside >= 100 && rejected >= 100, "{inside} {rejected}");
        });
    }
}
