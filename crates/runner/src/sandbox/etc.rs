//! The `/etc` of sandboxes: one directory, composed when a runner starts.
//!
//! Invariant: only what the two lists name is in it: what programs need, no secret, no name of
//! another machine. One directory, because every separate mount costs a sandbox's start half a
//! millisecond. It is a copy, so a change of certificates is seen after the runner's next start.
//! Deliberately absent: `shadow`, `resolv.conf`, `gitconfig`, private keys.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::remove::remove_tree;

/// Taken from the host where it is there.
const TAKEN: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "debian_version",
    "fonts",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];

/// Written by the platform, beside the users: name and content.
const OWN: &[(&str, &str)] = &[
    ("hosts", "127.0.0.1 localhost nightshift\n::1 localhost\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    ),
];

/// Composes `target` anew from `host` (the host's `/etc`), for a command that is `user`. Nothing may be
/// using it.
pub(super) fn compose(
    host: &Path,
    target: &Path,
    user: u32,
    more: &[(&str, &str)],
) -> io::Result<()> {
    remove_tree(target)?;
    directory(target)?;
    for name in TAKEN {
        let to = target.join(name);
        for parent in Path::new(name)
            .ancestors()
            .skip(1)
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            if !target.join(parent).is_dir() {
                directory(&target.join(parent))?;
            }
        }
        copy(&host.join(name), &to)?;
    }
    let passwd = format!(
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:{user}:{user}:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = format!("root:x:0:\nagent:x:{user}:\nnogroup:x:65534:\n");
    let users = [("passwd", passwd.as_str()), ("group", group.as_str())];
    for (name, text) in OWN.iter().chain(&users).chain(more) {
        file(&target.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Copies files, directories and links as they are; what an ordinary user may not read is not for
/// sandboxes either and is left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(kind) = fs::symlink_metadata(from).map(|found| found.file_type()) else {
        return Ok(());
    };
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    let public = |found: &fs::Metadata, bits| found.permissions().mode() & bits == bits;
    if kind.is_dir() {
        if !public(&fs::metadata(from)?, 0o005) {
            return Ok(());
        }
        directory(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if kind.is_file() && public(&fs::metadata(from)?, 0o004) {
        file(to, &fs::read(from)?)?;
    }
    Ok(())
}

fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_and_public_is_taken() {
        let base = tempfile::tempdir().expect("a directory");
        let (host, target) = (base.path().join("host"), base.path().join("etc"));
        fs::create_dir_all(host.join("ssl/certs")).expect("directories");
        fs::create_dir_all(host.join("ssl/private")).expect("directories");
        fs::write(host.join("ssl/private/key"), "CANARY").expect("a file");
        fs::write(host.join("shadow"), "CANARY").expect("a file");
        fs::write(host.join("passwd"), "CANARY").expect("a file");
        fs::write(host.join("ssl/certs/ca.crt"), "public").expect("a file");
        fs::write(host.join("ssl/certs/closed"), "CANARY").expect("a file");
        let closed = Permissions::from_mode(0o600);
        fs::set_permissions(host.join("ssl/certs/closed"), closed).expect("rights");
        symlink("/usr/share/zoneinfo/UTC", host.join("localtime")).expect("a link");
        for _ in 0..2 {
            compose(&host, &target, 1234, &[("hostname", "x")]).expect("composed");
        }
        let read = |name: &str| fs::read_to_string(target.join(name));
        assert_eq!(read("ssl/certs/ca.crt").expect("there"), "public");
        assert!(fs::read_link(target.join("localtime")).is_ok());
        let passwd = read("passwd").expect("there");
        assert!(passwd.contains("agent:x:1234:1234:"), "{passwd}");
        assert_eq!(read("hostname").expect("there"), "x");
        for absent in ["shadow", "ssl/private/key", "ssl/certs/closed"] {
            assert!(read(absent).is_err(), "{absent}");
        }
    }
}
