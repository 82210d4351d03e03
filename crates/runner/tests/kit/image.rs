//! Images of containers for tests, made of files of this machine, without any registry.
//!
//! Invariant: the same files make the same image, so nothing is made twice and the engine's store does
//! not grow with every run of the tests.
#![expect(dead_code, reason = "each test program uses its own part of the kit")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bollard::Docker;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// What the static shell is called by.
const NAMES: &[&str] = &[
    "cat", "chmod", "chown", "cp", "dd", "env", "find", "grep", "head", "id", "ls", "mkdir",
    "mknod", "mount", "mv", "printenv", "rm", "sed", "sh", "sleep", "su", "test", "touch", "tr",
    "wc", "wget",
];

/// Files of an image, and the folders that are in it.
pub(crate) struct Files(Builder<Vec<u8>>, BTreeSet<PathBuf>);

impl Files {
    /// Nothing at all.
    pub(crate) fn none() -> Self {
        Self(Builder::new(Vec::new()), BTreeSet::new())
    }

    /// One program that is linked to nothing, under many names: no C library is there.
    pub(crate) fn plain() -> Self {
        let mut files = Self::tools();
        files.file("etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\n");
        files.file("etc/shadow", 0o640, b"root:IMAGES-OWN:1::::::\n");
        files.folder("root", 0o700);
        files.folder("srv", 0o777);
        files
    }

    /// That program and a place for temporary files alone.
    pub(crate) fn tools() -> Self {
        let busybox = Path::new("/bin/busybox");
        assert!(
            busybox.is_file(),
            "busybox-static is missing: run scripts/setup"
        );
        let mut files = Self::none();
        files.folder("bin", 0o755);
        files.copy(busybox, "bin/busybox");
        for name in NAMES {
            files.link(&format!("bin/{name}"), "busybox");
        }
        files.folder("tmp", 0o1777);
        files
    }

    /// The same with the loader of musl, another C library.
    pub(crate) fn musl() -> Self {
        let mut files = Self::plain();
        let loader = std::fs::read_dir("/lib")
            .expect("a folder")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().starts_with("/lib/ld-musl-"))
            .expect("musl is missing: run scripts/setup");
        let name = format!(
            "lib/{}",
            loader.file_name().expect("a name").to_string_lossy()
        );
        files.copy(&loader.canonicalize().expect("a file"), &name);
        files
    }

    /// A system whose C library is out to run first: everything that a loader reads is the image's.
    pub(crate) fn hostile() -> Self {
        let mut files = Self::plain();
        for place in [
            "lib64",
            "lib/x86_64-linux-gnu",
            "usr/lib",
            "usr/lib/x86_64-linux-gnu",
        ] {
            for name in [
                "ld-linux-x86-64.so.2",
                "libc.so.6",
                "libm.so.6",
                "libgcc_s.so.1",
            ] {
                files.file(
                    &format!("{place}/{name}"),
                    0o755,
                    b"#!/bin/sh\necho STOLEN\n",
                );
            }
        }
        files.file("usr/lib/evil.so", 0o755, &evil());
        files.file("etc/ld.so.preload", 0o644, b"/usr/lib/evil.so\n");
        files.file("etc/ld.so.cache", 0o644, b"glibc-ld.so.cache1.1 garbage");
        files.file("etc/nsswitch.conf", 0o644, b"passwd: evil\nhosts: evil\n");
        files
    }

    /// The shell of this machine, with what it is linked to.
    pub(crate) fn glibc() -> Self {
        let mut files = Self::plain();
        files.copy(Path::new("/bin/dash"), "bin/dash");
        files.link("bin/own-sh", "dash");
        let loader = Path::new("/lib64/ld-linux-x86-64.so.2").canonicalize();
        files.copy(&loader.expect("a loader"), "lib64/ld-linux-x86-64.so.2");
        // The library, and what the programs of this kit are linked to besides.
        for name in [
            "c.so.6",
            "dl.so.2",
            "m.so.6",
            "pthread.so.0",
            "rt.so.1",
            "tinfo.so.6",
        ] {
            let place = format!("lib/x86_64-linux-gnu/lib{name}");
            let real = Path::new("/").join(&place).canonicalize();
            files.copy(&real.expect("a library"), &place);
        }
        files
    }

    /// A program of this machine, under this name.
    pub(crate) fn program(&mut self, name: &str, from: &Path) -> &mut Self {
        assert!(
            from.is_file(),
            "{} is missing: run scripts/setup",
            from.display()
        );
        self.copy(from, &format!("usr/local/bin/{name}"));
        self
    }

    pub(crate) fn folder(&mut self, name: &str, mode: u32) -> &mut Self {
        self.within(name);
        self.1.insert(PathBuf::from(name));
        let mut header = header(EntryType::Directory, mode, 0);
        let name = format!("{name}/");
        let made = self.0.append_data(&mut header, name, std::io::empty());
        made.expect("a folder");
        self
    }

    pub(crate) fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) -> &mut Self {
        self.within(name);
        let mut header = header(EntryType::Regular, mode, bytes.len());
        self.0
            .append_data(&mut header, name, bytes)
            .expect("a file");
        self
    }

    pub(crate) fn link(&mut self, name: &str, target: &str) -> &mut Self {
        self.within(name);
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.0
            .append_link(&mut header, name, target)
            .expect("a link");
        self
    }

    /// Has the folders that this is in: Docker makes those that an archive lacks for root alone.
    fn within(&mut self, name: &str) {
        let folder = Path::new(name).parent().and_then(Path::to_str);
        if let Some(folder) = folder.filter(|folder| !folder.is_empty())
            && !self.1.contains(Path::new(folder))
        {
            self.folder(folder, 0o755);
        }
    }

    fn copy(&mut self, from: &Path, name: &str) {
        let mode = std::fs::metadata(from)
            .expect("a file")
            .permissions()
            .mode();
        let bytes = std::fs::read(from).expect("a file");
        self.file(name, mode & 0o777, &bytes);
    }

    /// Makes the image with this configuration, in the words of a Dockerfile; returns its name.
    pub(crate) async fn image(self, changes: &[&str]) -> String {
        let bytes = self.0.into_inner().expect("an archive");
        let mut hash = Sha256::new();
        hash.update(b"3");
        hash.update(&bytes);
        hash.update(changes.join("\n"));
        let name = format!("localhost/test-{}", hex::encode(&hash.finalize()[..8]));
        if docker().inspect_image(&name).await.is_err() {
            import(&name, bytes, changes).await;
        }
        name
    }
}

/// A library that leaves a file where it is loaded before a program begins.
#[expect(
    clippy::disallowed_methods,
    reason = "the compiler that builds what is tested"
)]
fn evil() -> Vec<u8> {
    const SOURCE: &str = r#"
        #include <fcntl.h>
        __attribute__((constructor)) static void first(void) { open("/workspace/STOLEN", O_CREAT | O_WRONLY, 0644); }
    "#;
    let dir = tempfile::tempdir().expect("a directory");
    let (source, made) = (dir.path().join("evil.c"), dir.path().join("evil.so"));
    std::fs::write(&source, SOURCE).expect("a file");
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,--build-id=none", "-o"])
        .args([&made, &source])
        .status();
    assert!(compiled.expect("cc").success());
    std::fs::read(made).expect("a library")
}

/// Makes an image of an archive under this name, which may have been another's before.
pub(crate) async fn import(name: &str, archive: Vec<u8>, changes: &[&str]) {
    use std::io::{Read as _, Write as _};
    // The library says several changes as one.
    let changes: String = changes
        .iter()
        .map(|change| format!("&changes={}", encoded(change)))
        .collect();
    let head = format!(
        "POST /v1.41/images/create?fromSrc=-&repo={}&tag=latest{changes} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        encoded(name),
        archive.len()
    );
    let socket = nightshift_testkit::containers::socket();
    let asked = tokio::task::spawn_blocking(move || {
        let mut engine = std::os::unix::net::UnixStream::connect(socket)?;
        engine.write_all(head.as_bytes())?;
        engine.write_all(&archive)?;
        let mut answer = String::new();
        engine.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = asked.await.expect("a task").expect("an engine");
    let good = answer.contains(" 200 ") && !answer.contains("\"error");
    assert!(good, "{name}: {answer}");
}

fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

/// The archive of these files alone.
pub(crate) fn archive(files: Files) -> Vec<u8> {
    files.0.into_inner().expect("an archive")
}

/// The engine of the tests.
pub(crate) fn docker() -> Docker {
    let socket = nightshift_testkit::containers::socket();
    let socket = socket.to_str().expect("a path");
    let docker = Docker::connect_with_unix(socket, 60, bollard::API_DEFAULT_VERSION);
    docker.expect("an engine")
}

/// Removes an image of this name.
pub(crate) async fn remove(name: &str) {
    let options = None::<bollard::query_parameters::RemoveImageOptions>;
    docker().remove_image(name, options, None).await.ok();
}

/// The names of the images that a runner with this label made.
pub(crate) async fn made_by(label: &str) -> Vec<String> {
    let filters =
        std::collections::HashMap::from([("label", vec![format!("nightshift.data={label}")])]);
    let options = bollard::query_parameters::ListImagesOptionsBuilder::new()
        .filters(&filters)
        .build();
    let found = docker().list_images(Some(options)).await.expect("a list");
    found
        .into_iter()
        .flat_map(|image| image.repo_tags)
        .collect()
}

/// How many containers a runner with this label has.
pub(crate) async fn containers(label: &str) -> usize {
    let filters =
        std::collections::HashMap::from([("label", vec![format!("nightshift.data={label}")])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    docker()
        .list_containers(Some(options))
        .await
        .expect("a list")
        .len()
}

/// What everything of a data directory is known by.
pub(crate) fn label(data: &Path) -> String {
    let data = data.canonicalize().expect("a data directory");
    let hash = Sha256::digest(data.as_os_str().as_encoded_bytes());
    format!("nightshift-{}", hex::encode(&hash[..8]))
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header
}
