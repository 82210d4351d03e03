//! What is where inside a sandbox, whatever its engine: where nothing may be put, and which variables a
//! command has.
//!
//! Invariant: what a caller adds never covers the system, the tree or the platform's own.

use std::path::{Component, Path};

use super::error::SandboxError;
use super::spec;

/// Top-level names that are links into `/usr` on merged systems and directories elsewhere.
pub(super) const TOP: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Where nothing may be put: what is the system's, the tree's or the platform's own.
const TAKEN: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/proc",
    "/dev",
    "/sys",
    "/tmp",
    "/workspace",
];

/// All variables of a command that is given these.
pub(crate) fn environment(given: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        (
            "PATH",
            "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        ),
        ("HOME", spec::HOME),
        ("USER", "agent"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
    ]
    .into_iter()
    .filter(|(name, _)| given.iter().all(|(other, _)| other != name))
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    all.extend(given.iter().cloned());
    all
}

/// Checks that `target` is a plain absolute path where nothing else lives.
pub(super) fn place(target: &Path) -> Result<&str, SandboxError> {
    let refused = || SandboxError::Place(target.to_owned());
    let text = target.to_str().ok_or_else(refused)?;
    let plain = text.starts_with('/')
        && text.len() > 1
        && target
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let taken = TAKEN
        .iter()
        .chain(&[spec::CONTROL])
        .any(|own| target.starts_with(own))
        || Path::new(spec::HOME).starts_with(target);
    if plain && !taken {
        Ok(text)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_never_covers_the_system_or_the_platform() {
        for bad in [
            "/",
            "/usr/bin",
            "/etc/passwd",
            "/proc",
            "/workspace/x",
            "/nightshift/bin",
            "/home",
            "/home/agent",
            "relative",
            "/opt/../etc",
            "/dev/null",
            "/tmp/x",
        ] {
            assert!(place(Path::new(bad)).is_err(), "{bad} was accepted");
        }
        for good in ["/opt/node", "/home/agent/.claude", "/srv/.tools"] {
            assert!(place(Path::new(good)).is_ok(), "{good} was refused");
        }
    }
}
