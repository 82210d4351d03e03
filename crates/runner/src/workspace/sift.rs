//! What a set-up left in a checkout: everything but what git tracks, and only where that is as it was.
//!
//! Invariants: nothing of what is sifted is followed or run; what cannot be laid under another tree the
//! same way (a device, a socket, a file that runs as its owner, a tracked file that was changed) is
//! refused whole, never left out. Deliberately absent: where what is kept goes, and extended attributes:
//! what is kept is the lowest layer of an overlay, below which there is nothing that one of the overlay's
//! own could lead to, and copies have none.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::walk::{Kind, Met, Visitor, walk};
use crate::sandbox::remove_tree;

/// Larger files count as changed where the system says that they were written.
const HASHED: i64 = 1 << 20;
/// The longest path that is kept: what it is laid below needs room, too.
const LONGEST: usize = 3000;
/// The rights of a file that have it run as its owner or its group.
const SET_USER: u32 = 0o6000;

/// Why nothing is kept of a set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It changed a tracked file.
    Changed(PathBuf),
    /// It removed one.
    Removed(PathBuf),
    /// It put files into a place that a commit of another repository has.
    Filled(PathBuf),
    /// It left a socket, a pipe or a device.
    Special(PathBuf),
    /// It left a file that would run as its owner or group.
    SetUser(PathBuf),
    /// It left a path that is too long to lay elsewhere.
    Long(PathBuf),
    /// It left more than is kept of all together.
    Large {
        /// Bytes that it left.
        bytes: u64,
        /// Bytes that are kept at most.
        most: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(path) => write!(
                f,
                "it changes {}, which git tracks: let it write elsewhere",
                path.display()
            ),
            Self::Removed(path) => write!(
                f,
                "it removes {}, which git tracks: let it leave that alone",
                path.display()
            ),
            Self::Filled(path) => write!(
                f,
                "it fills the submodule {}, whose files belong to one commit",
                path.display()
            ),
            Self::Special(path) => write!(
                f,
                "it leaves {}, a socket, pipe or device: let it remove that at its end",
                path.display()
            ),
            Self::SetUser(path) => write!(
                f,
                "it leaves {}, a file that runs as its owner: let it take that right away",
                path.display()
            ),
            Self::Long(path) => write!(f, "it leaves a path that is too long: {}", path.display()),
            Self::Large { bytes, most } => write!(
                f,
                "it leaves {bytes} bytes, and {most} are kept of all set-ups together"
            ),
        }
    }
}

/// How a tracked thing is.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    mode: u32,
    size: i64,
    /// When the system last changed anything of it; no program inside can set that.
    changed: (i64, i64),
    /// A file's content where it is not large, or a link's target.
    content: Option<Vec<u8>>,
    /// Whether it is a folder without anything: the place of a submodule.
    empty: bool,
}

impl Seen {
    fn of(met: &Met<'_>, whole: bool) -> io::Result<Self> {
        let stat = met.stat;
        let content = match met.kind {
            Kind::File if whole && stat.st_size <= HASHED => {
                let mut bytes = Vec::new();
                let most = u64::try_from(HASHED).unwrap_or(u64::MAX);
                met.open()?.take(most).read_to_end(&mut bytes)?;
                Some(Sha256::digest(&bytes).to_vec())
            }
            Kind::Link => Some(met.target()?.into_os_string().into_encoded_bytes()),
            Kind::File | Kind::Folder | Kind::Special => None,
        };
        Ok(Self {
            kind: met.kind,
            mode: stat.st_mode,
            size: stat.st_size,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            content,
            empty: met.kind == Kind::Folder && met.is_empty()?,
        })
    }

    /// Whether what is met now is another thing.
    fn differs(&self, met: &Met<'_>) -> io::Result<bool> {
        let now = Self::of(met, false)?;
        Ok(match (self.kind, now.kind) {
            (Kind::Folder, Kind::Folder) => false,
            (Kind::Link, Kind::Link) => self.content != now.content,
            (Kind::File, Kind::File) if self.changed == now.changed => false,
            // Written again with the same in it, as package managers do.
            (Kind::File, Kind::File) if (self.mode, self.size) == (now.mode, now.size) => {
                self.content.is_none() || self.content != Self::of(met, true)?.content
            }
            _ => true,
        })
    }
}

/// A clean checkout as it was before the set-up: what is in it is what git tracks.
#[derive(Debug)]
pub(super) struct Tracked(HashMap<PathBuf, Seen>);

impl Tracked {
    /// Looks at a clean checkout.
    pub(super) fn of(tree: &Path) -> io::Result<Self> {
        struct Look(HashMap<PathBuf, Seen>);
        impl Visitor for Look {
            fn meet(&mut self, met: &Met<'_>) -> io::Result<bool> {
                if is_git(met.path) {
                    return Ok(false);
                }
                self.0.insert(met.path.to_owned(), Seen::of(met, true)?);
                Ok(true)
            }
        }
        let mut look = Look(HashMap::new());
        walk(tree, &mut look)?;
        Ok(Self(look.0))
    }

    /// Removes everything from the tree but what the set-up left there, if that can be kept.
    pub(super) fn sift(&self, tree: &Path) -> io::Result<Result<(), Refused>> {
        let mut compare = Compare {
            tracked: self,
            met: 0,
            refused: None,
        };
        walk(tree, &mut compare)?;
        if let Some(refused) = compare.refused {
            return Ok(Err(refused));
        }
        if compare.met < self.0.len() {
            let mut gone: Vec<_> = self.0.keys().collect();
            gone.sort();
            let gone = gone
                .into_iter()
                .find(|path| tree.join(path).symlink_metadata().is_err());
            return Ok(Err(Refused::Removed(gone.cloned().unwrap_or_default())));
        }
        let git = tree.join(".git");
        match git.symlink_metadata() {
            Ok(found) if found.is_dir() => remove_tree(&git)?,
            // What it led to is not the tree's.
            Ok(_) => std::fs::remove_file(&git)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        walk(tree, &mut Strip(self))?;
        Ok(Ok(()))
    }
}

/// Refuses what cannot be kept of a home.
pub(super) fn home(home: &Path) -> io::Result<Result<(), Refused>> {
    let none = Tracked(HashMap::new());
    let mut compare = Compare {
        tracked: &none,
        met: 0,
        refused: None,
    };
    walk(home, &mut compare)?;
    Ok(compare.refused.map_or(Ok(()), Err))
}

/// Git's own folder of the checkout, which is not kept.
fn is_git(path: &Path) -> bool {
    path == Path::new(".git")
}

struct Compare<'a> {
    tracked: &'a Tracked,
    /// How many of the tracked are still there.
    met: usize,
    refused: Option<Refused>,
}

impl Compare<'_> {
    fn look(&mut self, met: &Met<'_>) -> io::Result<Option<Refused>> {
        let path = || met.path.to_owned();
        if let Some(seen) = self.tracked.0.get(met.path) {
            self.met += 1;
            if seen.differs(met)? {
                return Ok(Some(Refused::Changed(path())));
            }
            if seen.empty && !met.is_empty()? {
                return Ok(Some(Refused::Filled(path())));
            }
            return Ok(None);
        }
        Ok(match met.kind {
            Kind::Special => Some(Refused::Special(path())),
            Kind::File if met.stat.st_mode & SET_USER != 0 => Some(Refused::SetUser(path())),
            _ if met.path.as_os_str().len() > LONGEST => Some(Refused::Long(path())),
            Kind::File | Kind::Folder | Kind::Link => None,
        })
    }
}

impl Visitor for Compare<'_> {
    fn meet(&mut self, met: &Met<'_>) -> io::Result<bool> {
        // In a home nothing is tracked, and a folder of this name is somebody's own.
        if is_git(met.path) && !self.tracked.0.is_empty() {
            return Ok(false);
        }
        if self.refused.is_none() {
            self.refused = self.look(met)?;
        }
        Ok(self.refused.is_none())
    }
}

/// Removes what is tracked, and the folders of which nothing is left.
struct Strip<'a>(&'a Tracked);

impl Visitor for Strip<'_> {
    fn meet(&mut self, met: &Met<'_>) -> io::Result<bool> {
        if met.kind != Kind::Folder && self.0.0.contains_key(met.path) {
            met.remove()?;
        }
        Ok(true)
    }

    fn leave(&mut self, met: &Met<'_>) -> io::Result<()> {
        if self.0.0.contains_key(met.path) && met.is_empty()? {
            met.remove()?;
        }
        Ok(())
    }
}

/// What is in folders, as far as names, rights, sizes and times tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) digest: String,
}

/// Sums up folders, in this order.
pub(super) fn sum(folders: &[PathBuf]) -> io::Result<Sum> {
    struct Count {
        files: u64,
        bytes: u64,
        hash: Sha256,
    }
    impl Visitor for Count {
        fn meet(&mut self, met: &Met<'_>) -> io::Result<bool> {
            self.files += 1;
            self.bytes += u64::try_from(met.stat.st_blocks).unwrap_or(0) * 512;
            let mut part = |bytes: &[u8]| {
                self.hash.update(bytes.len().to_le_bytes());
                self.hash.update(bytes);
            };
            part(met.path.as_os_str().as_encoded_bytes());
            part(&met.stat.st_mode.to_le_bytes());
            match met.kind {
                Kind::File => {
                    part(&met.stat.st_size.to_le_bytes());
                    part(&met.stat.st_mtime.to_le_bytes());
                    part(&met.stat.st_mtime_nsec.to_le_bytes());
                }
                Kind::Link => part(met.target()?.as_os_str().as_encoded_bytes()),
                Kind::Folder | Kind::Special => {}
            }
            Ok(true)
        }
    }
    let mut count = Count {
        files: 0,
        bytes: 0,
        hash: Sha256::new(),
    };
    for folder in folders {
        walk(folder, &mut count)?;
        count.hash.update([0xff]);
    }
    Ok(Sum {
        files: count.files,
        bytes: count.bytes,
        digest: hex::encode(count.hash.finalize()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A checkout with a folder, a file, a link, and the place of a submodule.
    fn checkout() -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().expect("a directory");
        let tree = base.path().join("tree");
        for folder in [".git", "src", "sub"] {
            fs::create_dir_all(tree.join(folder)).expect("a folder");
        }
        fs::write(tree.join(".git/config"), "x").expect("a file");
        fs::write(tree.join("src/main.c"), "int x;").expect("a file");
        fs::write(tree.join("lock"), "1").expect("a file");
        symlink("src", tree.join("link")).expect("a link");
        (base, tree)
    }

    fn sifted(change: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<(), Refused>) {
        let (base, tree) = checkout();
        let tracked = Tracked::of(&tree).expect("a look");
        change(&tree);
        let refused = tracked.sift(&tree).expect("sifted");
        (base, refused)
    }

    fn refused(change: impl FnOnce(&Path)) -> Refused {
        sifted(change).1.expect_err("it cannot be kept")
    }

    #[test]
    fn what_is_left_is_all_that_git_does_not_track() {
        let (base, kept) = sifted(|tree| {
            fs::create_dir_all(tree.join("node_modules/a/empty")).expect("a folder");
            fs::write(tree.join("node_modules/a/x"), "x").expect("a file");
            fs::write(tree.join("src/made.o"), "o").expect("a file");
            symlink("/etc/passwd", tree.join("out")).expect("a link");
            // Written again, and the same.
            fs::write(tree.join("lock"), "1").expect("a file");
            fs::set_permissions(tree.join("src"), Permissions::from_mode(0o2755)).expect("rights");
        });
        assert_eq!(kept, Ok(()));
        let (other, kept) = sifted(|tree| {
            let outside = tree.with_file_name("outside");
            fs::create_dir(&outside).expect("a folder");
            fs::rename(tree.join(".git"), tree.join("moved")).expect("moved");
            symlink(&outside, tree.join(".git")).expect("a link");
        });
        assert_eq!(kept, Ok(()));
        assert!(other.path().join("outside").is_dir());
        assert!(other.path().join("tree/.git").symlink_metadata().is_err());
        let tree = base.path().join("tree");
        let there = |path: &str| tree.join(path).symlink_metadata().is_ok();
        for path in [
            "node_modules/a/empty",
            "node_modules/a/x",
            "src/made.o",
            "out",
        ] {
            assert!(there(path), "{path} is gone");
        }
        for path in [".git", "lock", "src/main.c", "link", "sub"] {
            assert!(!there(path), "{path} is there");
        }
    }

    #[test]
    fn what_cannot_be_laid_elsewhere_is_refused_with_its_path() {
        let write = |path: &'static str, text: &'static str| {
            move |tree: &Path| fs::write(tree.join(path), text).expect("a file")
        };
        assert_eq!(refused(write("lock", "2")), Refused::Changed("lock".into()));
        assert_eq!(
            refused(write("sub/file", "x")),
            Refused::Filled("sub".into())
        );
        assert_eq!(
            refused(|tree| fs::remove_file(tree.join("src/main.c")).expect("gone")),
            Refused::Removed("src/main.c".into())
        );
        assert_eq!(
            refused(|tree| {
                fs::rename(tree.join("src"), tree.join("elsewhere")).expect("moved");
                symlink("elsewhere", tree.join("src")).expect("a link");
            }),
            Refused::Changed("src".into())
        );
        assert_eq!(
            refused(|tree| {
                fs::write(tree.join("su"), "x").expect("a file");
                fs::set_permissions(tree.join("su"), Permissions::from_mode(0o4755)).expect("set");
            }),
            Refused::SetUser("su".into())
        );
        assert_eq!(
            refused(|tree| {
                let pipe = tree.join("src/pipe");
                nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
            }),
            Refused::Special("src/pipe".into())
        );
        assert_eq!(
            refused(|tree| {
                let rights = Permissions::from_mode(0o755);
                fs::set_permissions(tree.join("lock"), rights).expect("rights");
            }),
            Refused::Changed("lock".into())
        );
    }

    #[test]
    fn a_home_may_hold_links_and_no_sockets() {
        let base = tempfile::tempdir().expect("a directory");
        symlink("/etc", base.path().join("etc")).expect("a link");
        fs::create_dir(base.path().join(".git")).expect("a folder");
        assert_eq!(home(base.path()).expect("a look"), Ok(()));
        let _socket =
            std::os::unix::net::UnixListener::bind(base.path().join(".git/s")).expect("a socket");
        let found = home(base.path()).expect("a look");
        assert_eq!(found, Err(Refused::Special(".git/s".into())));
    }

    #[test]
    fn a_sum_tells_what_was_lost_cut_or_made_writable() {
        let base = tempfile::tempdir().expect("a directory");
        let file = base.path().join("a/b");
        fs::create_dir(base.path().join("a")).expect("a folder");
        fs::write(&file, "text").expect("a file");
        let folders = [base.path().to_owned()];
        let first = sum(&folders).expect("a sum");
        assert_eq!(sum(&folders).expect("a sum"), first);
        assert_eq!(first.files, 2);
        let time = fs::metadata(&file)
            .expect("a file")
            .modified()
            .expect("a time");
        let open = fs::File::options().write(true).open(&file).expect("open");
        open.set_len(2).expect("cut");
        open.set_modified(time).expect("a time");
        assert_ne!(sum(&folders).expect("a sum").digest, first.digest);
        open.set_len(4).expect("filled");
        open.set_modified(time).expect("a time");
        assert_eq!(sum(&folders).expect("a sum").digest, first.digest);
        fs::set_permissions(&file, Permissions::from_mode(0o777)).expect("rights");
        assert_ne!(sum(&folders).expect("a sum").digest, first.digest);
        fs::remove_file(&file).expect("gone");
        assert_ne!(sum(&folders).expect("a sum").digest, first.digest);
    }
}
