//! The image of containers that bring no system of their own: empty places, on which this machine's
//! system is made visible.
//!
//! Invariant: it is made here, of nothing but directories and links, and named by what is in it; no
//! registry is ever asked. Deliberately absent: images that a project chooses ([`super::image`]).

use std::io;
use std::path::Path;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::sandbox::error::{Part, SandboxError};
use crate::sandbox::layout::TOP;

/// What it is called, before what is in it: not as a tag, which Podman does not take at an import.
const NAME: &str = "localhost/nightshift-empty";

/// Places that something is mounted on.
const PLACES: &[&str] = &[
    "dev",
    "etc",
    "home",
    "home/agent",
    "nightshift",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr",
    "var",
    "workspace",
];

/// The id of the image, which is made if the engine has it not.
pub(super) async fn image(docker: &Docker) -> Result<String, SandboxError> {
    let failed = |e: &dyn std::fmt::Display| {
        SandboxError::part(Part::Engine, format!("making the image {NAME}: {e}"))
    };
    let archive = archive(Path::new("/")).map_err(|e| failed(&e))?;
    let content = hex::encode(&Sha256::digest(&archive)[..8]);
    let name = format!("{NAME}-{content}");
    if let Some(id) = id(docker, &name).await.map_err(|e| failed(&e))? {
        return Ok(id);
    }
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(&name)
        .tag("latest")
        .build();
    let body = bollard::body_full(archive.into());
    let made = docker.create_image(Some(options), Some(body), None);
    made.try_for_each(|_| async { Ok(()) })
        .await
        .map_err(|e| failed(&e))?;
    let id = id(docker, &name).await.map_err(|e| failed(&e))?;
    id.ok_or_else(|| failed(&"the engine took it and has it not"))
}

/// The id of an image, if the engine has it.
async fn id(docker: &Docker, name: &str) -> Result<Option<String>, Error> {
    match docker.inspect_image(name).await {
        Ok(found) => Ok(found.id),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The archive: the places, and the links into `/usr` that the system at `root` has.
fn archive(root: &Path) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for place in PLACES {
        // Podman gives a file system that it mounts on a place the rights of that place.
        let mode = if *place == "tmp" { 0o1777 } else { 0o755 };
        directory(&mut archive, place, mode)?;
    }
    for name in TOP {
        let path = root.join(name);
        match std::fs::read_link(&path) {
            Ok(target) => {
                let mut header = header(EntryType::Symlink, 0o777);
                archive.append_link(&mut header, name, target)?;
            }
            Err(_) if path.is_dir() => directory(&mut archive, name, 0o755)?,
            Err(_) => {}
        }
    }
    archive.into_inner()
}

fn directory(archive: &mut Builder<Vec<u8>>, name: &str, mode: u32) -> io::Result<()> {
    let mut header = header(EntryType::Directory, mode);
    archive.append_data(&mut header, format!("{name}/"), io::empty())
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_system_makes_the_same_archive_of_places_and_links() {
        let root = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).expect("a link");
        std::fs::create_dir(root.path().join("lib")).expect("a directory");
        let bytes = archive(root.path()).expect("an archive");
        assert_eq!(bytes, archive(root.path()).expect("an archive"));
        let mut read = tar::Archive::new(bytes.as_slice());
        let entries: Vec<(String, EntryType)> = read
            .entries()
            .expect("entries")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                (path, entry.header().entry_type())
            })
            .collect();
        assert!(entries.contains(&("bin".to_owned(), EntryType::Symlink)));
        assert!(entries.contains(&("lib/".to_owned(), EntryType::Directory)));
        assert!(entries.contains(&("workspace/".to_owned(), EntryType::Directory)));
        assert!(
            entries.iter().all(|(_, kind)| !kind.is_file()),
            "{entries:?}"
        );
    }
}
