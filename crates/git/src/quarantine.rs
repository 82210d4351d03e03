//! Where pushed objects wait until the whole push is accepted.
//!
//! Invariant: until [`Quarantine::migrate`] no object of a push is visible in the repository;
//! dropped, everything received is gone. A pack that moves in is guarded by a `.keep` file until
//! its refs are written. Deliberately absent: loose objects; a push is always one pack.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{GitError, io_error};
use crate::repository::{KEEP_MARK, Repository};

/// An object directory beside the repository's own.
#[derive(Debug)]
pub(crate) struct Quarantine {
    place: TempDir,
    objects: PathBuf,
}

impl Quarantine {
    pub(crate) fn new(repository: &Repository) -> Result<Self, GitError> {
        let objects = repository.path().join("objects");
        let make = || -> io::Result<TempDir> {
            // Git's own prune knows this prefix.
            let place = tempfile::Builder::new()
                .prefix("tmp_objdir-incoming-")
                .tempdir_in(&objects)?;
            std::fs::create_dir(place.path().join("pack"))?;
            Ok(place)
        };
        let place = make().map_err(io_error("make a place for pushed objects"))?;
        Ok(Self { place, objects })
    }

    /// The repository with the objects received here; what a call writes lands here.
    pub(crate) fn inside(&self, repository: &Repository) -> Repository {
        repository.with_env(vec![
            ("GIT_OBJECT_DIRECTORY", self.place.path().into()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&self.objects)),
            ("GIT_QUARANTINE_PATH", self.place.path().into()),
        ])
    }

    /// The repository itself, able to see the objects received here: for writing its refs.
    pub(crate) fn beside(&self, repository: &Repository) -> Repository {
        let alternate = quoted(self.place.path());
        repository.with_env(vec![("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternate)])
    }

    /// Moves the packs received into the repository. The guards go when the value returned is
    /// dropped.
    pub(crate) fn migrate(&self) -> io::Result<Guards> {
        let target = self.objects.join("pack");
        std::fs::create_dir_all(&target)?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.place.path().join("pack"))? {
            files.push(entry?.path());
        }
        // Git takes a pack for there once its index is, so that comes last.
        files.sort_by_key(|path| path.extension() == Some(OsStr::new("idx")));
        let mark = self.place.path().join("mark");
        std::fs::write(&mark, KEEP_MARK)?;
        let mut guards = Guards(Vec::new());
        for pack in files
            .iter()
            .filter(|path| path.extension() == Some(OsStr::new("pack")))
        {
            let Some(name) = pack.file_name() else {
                continue;
            };
            let keep = target.join(name).with_extension("keep");
            // Linked and not written in place: half a mark would be taken for a person's.
            match std::fs::hard_link(&mark, &keep) {
                Ok(()) => guards.0.push(keep),
                // The same pack is being pushed by somebody else, or a person keeps it.
                Err(there) if there.kind() == io::ErrorKind::AlreadyExists => {}
                Err(other) => return Err(other),
            }
        }
        for file in files {
            let Some(name) = file.file_name() else {
                continue;
            };
            let to = target.join(name);
            // The same content pushed before has the same name, and stays.
            if !to.try_exists()? {
                std::fs::rename(&file, &to)?;
            }
        }
        File::open(&target)?.sync_all()?;
        Ok(guards)
    }
}

/// The `.keep` files of packs that moved in.
#[derive(Debug)]
pub(crate) struct Guards(Vec<PathBuf>);

impl Drop for Guards {
    fn drop(&mut self) {
        for path in &self.0 {
            // A sweep takes what remains.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// A path as an entry of a list of alternates: `:` parts them, `"` begins a quoted one.
fn quoted(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    if !bytes
        .iter()
        .any(|b| matches!(b, b':' | b'"' | b'\\' | b'\n'))
    {
        return path.into();
    }
    let mut text = vec![b'"'];
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            other => text.push(*other),
        }
    }
    text.push(b'"');
    OsString::from_vec(text)
}
