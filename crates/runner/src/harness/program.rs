//! Where agent programs are on this machine.
//!
//! The one file of the harnesses that looks at the file system: it finds the native program
//! behind a package's wrapper, because a wrapper needs an interpreter in the sandbox and keeps
//! children alive when it is stopped. Deliberately absent: reading the environment; the places
//! to look at are arguments.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::invocation::Bind;

/// The agent programs found on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// Claude Code.
    pub claude: Option<Program>,
    /// Codex.
    pub codex: Option<Program>,
}

/// One program, and what the sandbox must show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path in the sandbox.
    pub path: PathBuf,
    /// What to bind; none when the path is visible as it is.
    pub bind: Option<Bind>,
}

impl Program {
    /// A program whose path is the same inside and outside.
    pub fn visible(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bind: None,
        }
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
}

impl Programs {
    /// Looks in `agents` (a directory `scripts/agents/install.sh` filled), then along `path` (a
    /// PATH value). Reads directories; starts nothing.
    pub fn find(agents: Option<&Path>, path: Option<&OsStr>) -> Self {
        let places: Vec<PathBuf> = agents
            .map(|dir| dir.join("node_modules/.bin"))
            .into_iter()
            .chain(path.into_iter().flat_map(std::env::split_paths))
            .collect();
        Self {
            claude: find(&places, "claude", "claude-code", claude_layout),
            codex: find(&places, "codex", "codex", codex_layout),
        }
    }
}

/// What to bind for a program: the host path, and the program below it ("" for a single file).
type Layout = (PathBuf, PathBuf);

fn find(
    places: &[PathBuf],
    name: &str,
    package: &str,
    layout: fn(&Path) -> Option<Layout>,
) -> Option<Program> {
    places.iter().find_map(|place| {
        let real = place.join(name).canonicalize().ok()?;
        let (host, below) = layout(&real)?;
        let inside = Path::new("/agents").join(package);
        let (inside, path) = if below.as_os_str().is_empty() {
            let file = inside.join(name);
            (file.clone(), file)
        } else {
            let path = inside.join(&below);
            (inside, path)
        };
        Some(Program {
            path,
            bind: Some(Bind { host, inside }),
        })
    })
}

/// Claude Code is one native file; its package keeps it in a sibling package per platform.
fn claude_layout(real: &Path) -> Option<Layout> {
    let file = if is_native(real) {
        real.to_owned()
    } else {
        packages_beside(real, "claude-code")
            .into_iter()
            .map(|package| package.join("claude"))
            .find(|file| is_native(file))?
    };
    Some((file, PathBuf::new()))
}

/// Codex is a native file that wants its neighbours: `<target>/{bin/codex, codex-resources, ..}`.
fn codex_layout(real: &Path) -> Option<Layout> {
    let file = if is_native(real) {
        real.to_owned()
    } else {
        packages_beside(real, "codex")
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

/// The platform packages of `package` that a wrapper in it would use: siblings named
/// `<package>-<platform>`, beside the package or in its own `node_modules`.
fn packages_beside(wrapper: &Path, package: &str) -> Vec<PathBuf> {
    let prefix = format!("{package}-");
    let Some(root) = wrapper
        .ancestors()
        .find(|dir| dir.file_name() == Some(OsStr::new(package)))
    else {
        return Vec::new();
    };
    let mut scopes: Vec<PathBuf> = root.parent().map(Path::to_owned).into_iter().collect();
    scopes.extend(children(&root.join("node_modules")));
    scopes
        .iter()
        .flat_map(|scope| children(scope))
        .filter(|dir| {
            dir.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })
        .collect()
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
        symlink("../@openai/codex/bin/codex.js", bin.join("codex")).expect("a link");
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
        let claude = found.claude.expect("claude");
        assert_eq!(claude.path, Path::new("/agents/claude-code/claude"));
        assert_eq!(
            claude.host_path(),
            root.join("@anthropic-ai/claude-code-linux-x64/claude")
        );
        let codex = found.codex.expect("codex");
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
    fn a_native_program_on_the_path_is_taken_as_it_is_and_a_lone_wrapper_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().canonicalize().expect("a path").join("codex");
        fs::write(&file, ELF).expect("a file");
        fs::write(dir.path().join("claude"), "#!/bin/sh").expect("a file");
        let found = Programs::find(None, Some(dir.path().as_os_str()));
        assert_eq!(found.claude, None);
        let codex = found.codex.expect("codex");
        assert_eq!(codex.path, Path::new("/agents/codex/codex"));
        assert_eq!(codex.host_path(), file);
    }
}
