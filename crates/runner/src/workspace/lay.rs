//! Copying what a set-up left into a run's own folders, where there is no overlay to lay it under.
//!
//! Invariants: each file is a file of its own, sharing blocks only where the file system copies on
//! write, so no run can write what another one reads; rights, times and links are as they were; nothing
//! is followed. Deliberately absent: what the run's own tree puts over it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, fchown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::FileStat;

use super::walk::{Kind, Met, Visitor, walk};

/// Copies what is below `from` into the folder `to`, in which nothing is yet.
pub(super) fn copy(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let to = to.to_owned();
    walk(from, &mut Copy { to, owner })
}

struct Copy {
    to: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Visitor for Copy {
    fn meet(&mut self, met: &Met<'_>) -> io::Result<bool> {
        let to = self.to.join(met.path);
        match met.kind {
            // Its rights come when it is full: it may be closed to ourselves.
            Kind::Folder => DirBuilder::new().mode(0o700).create(&to)?,
            Kind::Link => symlink(met.target()?, &to)?,
            Kind::File => {
                let mut copy = File::create_new(&to)?;
                io::copy(&mut met.open()?, &mut copy)?;
                if let Some((uid, gid)) = self.owner {
                    fchown(&copy, Some(uid), Some(gid))?;
                }
                copy.set_permissions(rights(met.stat))?;
                copy.set_modified(time(met.stat))?;
            }
            Kind::Special => {
                let path = met.path.display();
                return Err(io::Error::other(format!(
                    "{path} is no file, folder or link"
                )));
            }
        }
        if let (Some((uid, gid)), Kind::Link) = (self.owner, met.kind) {
            lchown(&to, Some(uid), Some(gid))?;
        }
        Ok(true)
    }

    fn leave(&mut self, met: &Met<'_>) -> io::Result<()> {
        let to = self.to.join(met.path);
        let folder = File::open(&to)?;
        folder.set_modified(time(met.stat))?;
        if let Some((uid, gid)) = self.owner {
            fchown(&folder, Some(uid), Some(gid))?;
        }
        fs::set_permissions(&to, rights(met.stat))
    }
}

/// All rights but those to run as somebody else.
fn rights(stat: &FileStat) -> Permissions {
    Permissions::from_mode(stat.st_mode & 0o1777)
}

fn time(stat: &FileStat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = match stat.st_mtime < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        false => SystemTime::UNIX_EPOCH.checked_add(seconds),
    };
    let rest = Duration::from_nanos(u64::try_from(stat.st_mtime_nsec).unwrap_or(0));
    whole.unwrap_or(SystemTime::UNIX_EPOCH) + rest
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::workspace::sift::sum;

    #[test]
    fn a_copy_is_the_same_and_shares_no_file() {
        let base = tempfile::tempdir().expect("a directory");
        let (from, to) = (base.path().join("from"), base.path().join("to"));
        fs::create_dir_all(from.join("closed/empty")).expect("folders");
        fs::create_dir(&to).expect("a folder");
        fs::write(from.join("closed/run"), "#!/bin/sh\n").expect("a file");
        fs::hard_link(from.join("closed/run"), from.join("same")).expect("a link");
        symlink("/etc/passwd", from.join("out")).expect("a link");
        let old = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
        let file = File::open(from.join("same")).expect("a file");
        file.set_modified(old).expect("a time");
        for (path, mode) in [("same", 0o555), ("closed", 0o500)] {
            let rights = Permissions::from_mode(mode);
            fs::set_permissions(from.join(path), rights).expect("rights");
        }
        copy(&from, &to, None).expect("copied");
        let sums =
            [&from, &to].map(|folder| sum(std::slice::from_ref(folder)).expect("a sum").digest);
        assert_eq!(sums[0], sums[1]);
        let inode = |path: PathBuf| fs::metadata(path).expect("a file").ino();
        assert_ne!(inode(from.join("same")), inode(to.join("same")));
        assert_ne!(inode(to.join("closed/run")), inode(to.join("same")));
    }
}
