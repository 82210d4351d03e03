//! Removing trees that an agent made: without rights, or deeper than any path.
//!
//! Invariant: called only when nothing of the run is alive, so names do not change meanwhile; links
//! are removed, never followed.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Removes `path` and everything below it; it is no failure that it is gone already.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let denied = match fs::remove_dir_all(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    if denied {
        open_up(path, 0)?;
    }
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Deeper than this process may have files open: the program knows how.
        Err(_) => rm(path),
    }
}

/// Gives ourselves all rights on every directory, so that it can be emptied.
fn open_up(path: &Path, depth: usize) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    if depth == 200 {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path(), depth + 1)?;
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "one system program with a cleared environment"
)]
fn rm(path: &Path) -> io::Result<()> {
    let status = Command::new("/bin/rm")
        .args(["-rf", "--one-file-system", "--"])
        .arg(path)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("rm ended with {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_deep_directories_go_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).expect("a directory");
        let tree = dir.path().join("tree");
        let mut deep = tree.join("closed");
        for _ in 0..500 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).expect("directories");
        std::os::unix::fs::symlink(&outside, tree.join("link")).expect("a link");
        fs::set_permissions(tree.join("closed"), Permissions::from_mode(0o000)).expect("rights");
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
        assert!(outside.exists());
        remove_tree(&tree).expect("twice is once");
    }
}
