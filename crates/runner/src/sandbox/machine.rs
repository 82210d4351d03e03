//! What a command's result may depend on of the system that it sees, in one text.
//!
//! It is another one after packages were installed or updated, where an image is another one, where the
//! operator shows another tool chain, and where sandboxes run as another user. Invariant: nothing is
//! run to find it out. Deliberately absent: what is inside of programs.

use std::path::Path;
use std::time::UNIX_EPOCH;

use super::container::Image;
use super::host::{Engine, SandboxHost};
use super::spec::Bind;

/// What says which system it is, and what changes when packages do: folders of programs, and the
/// records of package managers.
const MACHINE: &[&str] = &[
    "/etc/os-release",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/bin",
    "/usr/local/lib",
    "/lib/apk/db/installed",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/dpkg/status",
    "/var/lib/pacman/local",
    "/var/lib/rpm/rpmdb.sqlite",
];

impl SandboxHost {
    /// The system of steps of [`super::System::Project`], with this image or without.
    pub(crate) fn system(&self, image: Option<&Image>) -> String {
        let engine = match &self.engine {
            Engine::Bubblewrap(_) => "bubblewrap",
            Engine::Container(_) => "container",
        };
        let owner = self.identity.unwrap_or_default();
        let mut text = format!("{engine} {} {owner:?}\n", std::env::consts::ARCH);
        match image {
            Some(image) => text += &format!("image {}\n", image.id()),
            None => MACHINE.iter().for_each(|path| text += &line(path.as_ref())),
        }
        for Bind { source, target } in &self.config.read_only {
            text += &format!("{} {}", target.display(), line(source));
        }
        text
    }
}

/// A path and when it was changed last, where it is there.
fn line(path: &Path) -> String {
    let changed = std::fs::metadata(path).and_then(|found| found.modified());
    let changed = changed
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{} {changed:?}\n", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_gets_a_file_is_another_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let old = UNIX_EPOCH + std::time::Duration::from_secs(1);
        let folder = std::fs::File::open(dir.path()).expect("a folder");
        folder.set_modified(old).expect("a time");
        let before = line(dir.path());
        assert_eq!(line(dir.path()), before);
        std::fs::write(dir.path().join("tool"), "").expect("a file");
        assert_ne!(line(dir.path()), before);
        assert!(line(Path::new("/nonexistent")).contains("None"));
    }
}
