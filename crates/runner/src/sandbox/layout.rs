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

/// All variables of a command that is given these, where `below` are those of an image. What is given
/// goes first, then what is ours, then the image's; only the search path and the language are the
/// image's before they are ours.
pub(crate) fn environment(
    below: &[(String, String)],
    given: &[(String, String)],
) -> Vec<(String, String)> {
    let has = |list: &[(String, String)], name: &str| list.iter().any(|(other, _)| other == name);
    let set = |name: &str| {
        below
            .iter()
            .any(|(other, value)| other == name && !value.is_empty())
    };
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
    .filter(|(name, _)| !has(given, name))
    .filter(|(name, _)| !(matches!(*name, "PATH" | "LANG") && set(name)))
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let more = below
        .iter()
        .filter(|(name, _)| !has(given, name) && !has(&all, name));
    let more: Vec<_> = more.cloned().collect();
    all.extend(more);
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
    fn an_images_variables_are_below_all_others() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(own).collect()
        };
        let image = pairs(&[
            ("PATH", "/opt/bin"),
            ("HOME", "/elsewhere"),
            ("TOOL", "1"),
            ("CI", "no"),
            ("LANG", ""),
        ]);
        let all = environment(&image, &pairs(&[("CI", "true")]));
        let of = |name: &str| {
            let mut found = all.iter().filter(|(other, _)| other == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{name} is there twice");
            value
        };
        assert_eq!(of("PATH"), Some("/opt/bin"));
        assert_eq!(of("HOME"), Some("/home/agent"));
        assert_eq!(of("TOOL"), Some("1"));
        assert_eq!(of("CI"), Some("true"));
        assert_eq!(of("LANG"), Some("C.UTF-8"));
        let plain = environment(&[], &[]);
        assert!(
            plain
                .iter()
                .any(|(name, value)| name == "PATH" && value.starts_with("/usr/"))
        );
    }

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
