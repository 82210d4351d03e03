//! What tidy looks at: the text files that git knows or would add, and the packages of the
//! workspace as cargo sees them.
//!
//! Invariant: paths are relative to the top of the checkout, with `/`. Deliberately absent: files
//! that git ignores, and binary files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::program::Line;

/// One text file.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the top of the checkout.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl File {
    /// Whether it is Rust source.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// How a package uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Built into it.
    Normal,
    /// For its tests, examples and benches.
    Dev,
    /// For its build script.
    Build,
}

/// What a package depends on.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package's name, not what it is renamed to.
    pub name: String,
    /// The name that the source uses, with `_`.
    pub ident: String,
    /// What for.
    pub kind: Kind,
    /// Whether it is a folder of this workspace.
    pub local: bool,
}

/// A member of the workspace.
#[derive(Debug, Clone)]
pub struct Package {
    /// As in its manifest.
    pub name: String,
    /// Its folder, relative to the top of the checkout.
    pub folder: String,
    /// All of them, of all kinds.
    pub dependencies: Vec<Dependency>,
    /// Dependencies that are there for their features only, as its manifest lists them under
    /// `[package.metadata.cargo-machete] ignored`.
    pub features_only: BTreeSet<String>,
}

/// The files and packages of one checkout.
#[derive(Debug, Clone, Default)]
pub struct Checkout {
    /// In the order of their paths.
    pub files: Vec<File>,
    /// In the order of their names.
    pub packages: Vec<Package>,
}

impl Checkout {
    /// Reads the checkout at `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let list = [
            "git",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let list = Line {
            env: &[],
            words: &list,
        }
        .output(root)?;
        let paths: BTreeSet<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
        let mut files = Vec::new();
        for path in paths {
            let full = root.join(path);
            // Absent: deleted, but not yet committed. No file: a link, a submodule.
            if !std::fs::symlink_metadata(&full).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        let words = ["cargo", "metadata", "--no-deps", "--format-version", "1"];
        let metadata = Line {
            env: &[],
            words: &words,
        }
        .output(root)?;
        let metadata = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
        Ok(Self {
            files,
            packages: packages(&metadata)?,
        })
    }

    /// The Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// The file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A checkout of these files only, for the tests of rules.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self {
            files: files.iter().map(file).collect(),
            packages: Vec::new(),
        }
    }

    /// Adds a package with dependencies as `(name, kind, local)`, for the tests of rules.
    #[must_use]
    pub fn with_package(
        mut self,
        name: &str,
        folder: &str,
        dependencies: &[(&str, Kind, bool)],
    ) -> Self {
        let dependency = |&(name, kind, local): &(&str, Kind, bool)| Dependency {
            name: name.to_owned(),
            ident: name.replace('-', "_"),
            kind,
            local,
        };
        self.packages.push(Package {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
            features_only: BTreeSet::new(),
        });
        self
    }
}

/// The top of the checkout that this program was built from.
#[must_use]
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let root = metadata["workspace_root"]
        .as_str()
        .context("no workspace_root in cargo metadata")?;
    let listed = metadata["packages"]
        .as_array()
        .context("no packages in cargo metadata")?;
    let mut packages = Vec::new();
    for package in listed {
        let manifest = package["manifest_path"]
            .as_str()
            .context("a package without manifest_path")?;
        let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        let dependencies = package["dependencies"]
            .as_array()
            .context("a package without dependencies")?;
        let ignored = package["metadata"]["cargo-machete"]["ignored"].as_array();
        packages.push(Package {
            name: text(&package["name"])?,
            folder: folder.to_string_lossy().into_owned(),
            dependencies: dependencies.iter().map(dependency).collect::<Result<_>>()?,
            features_only: ignored
                .into_iter()
                .flatten()
                .map(text)
                .collect::<Result<_>>()?,
        });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn dependency(value: &Value) -> Result<Dependency> {
    let name = text(&value["name"])?;
    let ident = value["rename"].as_str().unwrap_or(&name).replace('-', "_");
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Ok(Dependency {
        name,
        ident,
        kind,
        local: value["path"].is_string(),
    })
}

fn text(value: &Value) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("a text is expected in place of {value}"))
}
