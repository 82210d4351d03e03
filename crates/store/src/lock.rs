//! The lock file that keeps a SQLite database to one process.
//!
//! The kernel gives the lock back when the process ends, however it ends; the file itself stays.
//! Deliberately absent: network file systems, on which neither this nor SQLite can be trusted.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;

/// A held lock.
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock beside the database file, making its folder if need be.
    pub(crate) fn take(database: &Path) -> Result<Self, Error> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let folder = |source| Error::Folder {
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(folder)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(folder)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // Only a hint for people: a full disk must not keep the database shut.
                let pid = std::process::id();
                let written = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| writeln!(file, "{pid}"));
                if let Err(error) = written {
                    tracing::warn!(%error, path = %path.display(), "cannot note the process id in the lock file");
                }
                Ok(Self { _file: file })
            }
            Err((mut file, _)) => {
                let mut holder = String::new();
                let holder = file
                    .read_to_string(&mut holder)
                    .ok()
                    .map(|_| holder.trim().to_owned())
                    .filter(|pid| !pid.is_empty());
                Err(Error::Locked { path, holder })
            }
        }
    }
}
