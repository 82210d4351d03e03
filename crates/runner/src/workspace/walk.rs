//! Going through a folder that code of a project wrote, without being led elsewhere.
//!
//! Invariants: each name is looked at relative to an open descriptor of its own folder and no link is
//! followed, so what is met is below the folder that the walk began in; names come in order, so two
//! walks over the same meet the same. Deliberately absent: what is done with what is met.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

/// Deeper than any honest tree.
const DEPTH: usize = 256;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    Link,
    /// A socket, a pipe or a device.
    Special,
}

/// A name, where it is, and what the system says about it.
pub(super) struct Met<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
    /// Below the folder in which the walk began.
    pub(super) path: &'a Path,
    pub(super) stat: &'a FileStat,
    pub(super) kind: Kind,
}

/// What is done on the way.
pub(super) trait Visitor {
    /// Meets a name; says of a folder whether to go into it.
    fn meet(&mut self, met: &Met<'_>) -> io::Result<bool>;

    /// Comes out of a folder again.
    fn leave(&mut self, met: &Met<'_>) -> io::Result<()> {
        let _: &Met<'_> = met;
        Ok(())
    }
}

impl Met<'_> {
    /// Opens the file to be read.
    pub(super) fn open(&self) -> io::Result<File> {
        // Without waiting, should it be a pipe by now.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(openat(self.folder, self.name, flags, Mode::empty())?.into())
    }

    /// What the link says.
    pub(super) fn target(&self) -> io::Result<PathBuf> {
        Ok(nix::fcntl::readlinkat(self.folder, self.name)?.into())
    }

    /// Removes the name; a folder only where it is empty.
    pub(super) fn remove(&self) -> io::Result<()> {
        let how = match self.kind {
            Kind::Folder => nix::unistd::UnlinkatFlags::RemoveDir,
            Kind::File | Kind::Link | Kind::Special => nix::unistd::UnlinkatFlags::NoRemoveDir,
        };
        Ok(nix::unistd::unlinkat(self.folder, self.name, how)?)
    }

    /// Whether nothing is in the folder.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(names(&mut self.enter()?)?.is_empty())
    }

    fn enter(&self) -> io::Result<Dir> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Dir::openat(self.folder, self.name, flags, Mode::empty())?)
    }
}

/// Goes through everything below `root`, whose own path must be the runner's.
pub(super) fn walk(root: &Path, visitor: &mut dyn Visitor) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = Dir::open(root, flags, Mode::empty())?;
    below(dir, &mut PathBuf::new(), 0, visitor).map_err(|e| match e.kind() {
        io::ErrorKind::Other => e,
        _ => io::Error::other(format!("{}: {e}", root.display())),
    })
}

fn below(
    mut dir: Dir,
    path: &mut PathBuf,
    depth: usize,
    visitor: &mut dyn Visitor,
) -> io::Result<()> {
    if depth > DEPTH {
        return Err(io::Error::other(format!(
            "folders are nested more than {DEPTH} deep"
        )));
    }
    let names = names(&mut dir)?;
    let folder: OwnedFd = dir.as_fd().try_clone_to_owned()?;
    for name in &names {
        path.push(OsStr::from_bytes(name.to_bytes()));
        let stat = fstatat(&folder, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let met = Met {
            folder: folder.as_fd(),
            name,
            path,
            stat: &stat,
            kind: kind(&stat),
        };
        if visitor.meet(&met)? && met.kind == Kind::Folder {
            let inside = met.enter()?;
            let mut deeper = path.clone();
            below(inside, &mut deeper, depth + 1, visitor)?;
            visitor.leave(&Met {
                folder: folder.as_fd(),
                name,
                path,
                stat: &stat,
                kind: Kind::Folder,
            })?;
        }
        path.pop();
    }
    Ok(())
}

fn names(dir: &mut Dir) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn kind(stat: &FileStat) -> Kind {
    let bits = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    match bits {
        SFlag::S_IFDIR => Kind::Folder,
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Special,
    }
}
