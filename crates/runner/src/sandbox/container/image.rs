//! An image that a project names: what is taken of it, and what is not.
//!
//! Its file system and its variables are taken. Its entry point, command, user, working directory,
//! health check, ports and signals are not: what runs, as whom and where is never an image's to say.
//! Invariant: nothing of an image reaches our own first process; a place that it declares as a volume
//! is never a store of the engine's. Deliberately absent: asking the engine ([`super::shelf`]).

use std::path::{Component, Path};

use bollard::models::{ImageConfig, ImageInspect};

use crate::sandbox::spec;

/// The most volumes of one image: each is a file system of its own in each container.
const VOLUMES: usize = 16;

/// Variables that are the platform's own to set.
const OURS: &[&str] = &[
    "HOME", "HOSTNAME", "LOGNAME", "OLDPWD", "PWD", "SHLVL", "TMPDIR", "USER", "_",
];

/// Places that we cover with something of our own; a volume that is one of them is so as well.
const COVERED: &[&str] = &[spec::WORKSPACE, spec::HOME, "/tmp", "/var/tmp"];

/// Places that a volume may neither be, nor be above, nor below.
const TAKEN: &[&str] = &[
    spec::CONTROL,
    spec::WORKSPACE,
    spec::HOME,
    "/dev",
    "/etc",
    "/proc",
    "/run",
    "/sys",
];

/// An image as one run uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// As the project names it.
    pub(super) name: String,
    /// What containers are made of: it means one content for ever.
    pub(super) id: String,
    /// What registries call it, where one has it.
    pub(super) digest: Option<String>,
    /// What commands find in their environment, below what is given them.
    pub(super) env: Vec<(String, String)>,
    /// Every variable that the engine would set.
    pub(super) named: Vec<String>,
    /// Places that are covered with empty file systems.
    pub(super) volumes: Vec<String>,
}

impl Image {
    /// Reads what the engine tells of an image.
    pub(super) fn read(name: &str, found: ImageInspect) -> Result<Self, String> {
        let id = found.id.ok_or("the engine does not tell its id")?;
        if let Some(for_others) = found.architecture.filter(|of| !of.is_empty() && !runs(of)) {
            return Err(format!(
                "it is made for processors of the kind {for_others}, and this machine's are not"
            ));
        }
        let ImageConfig { env, volumes, .. } = found.config.unwrap_or_default();
        let variables = env.unwrap_or_default();
        let pairs = variables
            .iter()
            .map(|text| text.split_once('=').unwrap_or((text, "")));
        Ok(Self {
            name: name.to_owned(),
            id,
            digest: found
                .repo_digests
                .unwrap_or_default()
                .into_iter()
                .find_map(|digest| digest.split_once('@').map(|(_, digest)| digest.to_owned())),
            env: pairs
                .clone()
                .filter(|(name, _)| is_taken(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            named: pairs.map(|(name, _)| name.to_owned()).collect(),
            volumes: covers(volumes.unwrap_or_default())?,
        })
    }

    /// The same with what was added to it.
    pub(super) fn grown(&self, installed: Self) -> Self {
        Self {
            name: self.name.clone(),
            digest: None,
            // What the engine noted of the container in which it was made is not the project's.
            env: self.env.clone(),
            ..installed
        }
    }

    /// As the project names it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What containers are made of.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What registries call this content, where one has it.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What commands find in their environment, below what is given them.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }
}

/// Whether this machine's processors are of this kind, in the words of images.
fn runs(kind: &str) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => kind == "amd64" || kind == "x86_64" || kind == "386",
        "aarch64" => kind == "arm64" || kind == "aarch64",
        own => kind == own,
    }
}

/// Whether commands get this variable. What the loader of programs reads before a program begins is
/// left out, since our own program inside must not be steered by it: all of `LD_` but the path of
/// libraries, which a path that we give ourselves goes before.
fn is_taken(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.');
    let loader = name.starts_with("LD_") && name != "LD_LIBRARY_PATH" || name == "GLIBC_TUNABLES";
    plain
        && !name.is_empty()
        && !loader
        && !OURS.contains(&name)
        && !name.starts_with("NIGHTSHIFT_")
}

/// The volumes that are to be covered, or why the image cannot be used.
fn covers(volumes: Vec<String>) -> Result<Vec<String>, String> {
    let mut covered = Vec::new();
    for volume in volumes {
        let text = volume.trim_end_matches('/');
        let path = Path::new(text);
        let plain = text.len() > 1
            && path.components().all(|part| {
                matches!(part, Component::RootDir)
                    || matches!(part, Component::Normal(name) if name.len() < 256)
            })
            && !text.contains([',', ':', '"', '\n', '\r'])
            && path.is_absolute();
        if COVERED.contains(&text) {
            continue;
        }
        let taken = TAKEN
            .iter()
            .any(|own| path.starts_with(own) || Path::new(own).starts_with(path));
        if !plain || taken {
            return Err(format!(
                "it declares the volume {volume:?}, which would cover a place of the platform: take its VOLUME away"
            ));
        }
        covered.push(text.to_owned());
    }
    if covered.len() > VOLUMES {
        return Err(format!("it declares more than {VOLUMES} volumes"));
    }
    covered.sort();
    covered.dedup();
    Ok(covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[&str], volumes: &[&str]) -> Result<Image, String> {
        let all = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        Image::read(
            "base:1",
            ImageInspect {
                id: Some("sha256:1".to_owned()),
                repo_digests: all(&["registry.example.com/base@sha256:2"]),
                config: Some(ImageConfig {
                    env: all(env),
                    volumes: all(volumes),
                    user: Some("0".to_owned()),
                    entrypoint: all(&["/evil"]),
                    ..ImageConfig::default()
                }),
                ..ImageInspect::default()
            },
        )
    }

    #[test]
    fn variables_are_taken_but_what_steers_a_loader_or_is_ours() {
        let env = [
            "PATH=/opt/bin:/bin",
            "TOOL_HOME=/opt/tool=1",
            "LD_LIBRARY_PATH=/opt/lib",
            "LD_PRELOAD=/evil.so",
            "LD_AUDIT=/evil.so",
            "GLIBC_TUNABLES=x",
            "HOME=/elsewhere",
            "NIGHTSHIFT_RUN=1",
            "EMPTY",
        ];
        let image = read(&env, &[]).expect("an image");
        let taken: Vec<&str> = image.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(taken, ["PATH", "TOOL_HOME", "LD_LIBRARY_PATH", "EMPTY"]);
        assert_eq!(image.env[1].1, "/opt/tool=1");
        // What the engine would set is known whole, to be taken back.
        assert_eq!(image.named.len(), env.len());
        assert_eq!(image.digest(), Some("sha256:2"));
    }

    #[test]
    fn volumes_are_covered_and_never_cover_us() {
        let image = read(&[], &["/var/lib/db/", "/data", "/tmp", "/workspace"]).expect("an image");
        assert_eq!(image.volumes, ["/data", "/var/lib/db"]);
        for bad in [
            "/",
            "/home",
            "/nightshift",
            "/nightshift/sockets",
            "/workspace/target",
            "/home/agent/.cache",
            "/etc/ssl",
            "/proc/x",
            "/a/../etc",
            "relative",
            "",
            "/a,rw",
        ] {
            let refused = read(&[], &[bad]).expect_err(bad);
            assert!(refused.contains("VOLUME"), "{bad}: {refused}");
        }
        let many: Vec<String> = (0..17).map(|n| format!("/v{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(read(&[], &many).is_err());
    }

    #[test]
    fn what_was_added_has_the_variables_of_the_image() {
        let base = read(&["A=1"], &[]).expect("an image");
        let installed = read(&["A=", "B=2"], &["/v"]).expect("an image");
        let grown = base.grown(Image {
            id: "sha256:9".to_owned(),
            ..installed
        });
        assert_eq!(grown.env, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(grown.named, ["A", "B"]);
        assert_eq!((grown.id.as_str(), grown.volumes.len()), ("sha256:9", 1));
    }
}
