//! Paths and modes inside trees: bytes, as git stores them.
//!
//! A path may be any bytes; it is decoded only to be shown. Writing asks [`GitPath::check`] first.
//! Deliberately absent: any use as a path of the file system.

use std::borrow::Cow;
use std::fmt;

use crate::error::GitError;

/// A path inside a tree, without leading slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitPath(Vec<u8>);

impl GitPath {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text for people; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The directories above it, the outermost first.
    pub(crate) fn ancestors(&self) -> Vec<Self> {
        let slashes = self.0.iter().enumerate().filter(|(_, b)| **b == b'/');
        slashes
            .map(|(end, _)| Self(self.0[..end].to_vec()))
            .collect()
    }

    /// Refuses what must never enter a tree: `.git` in any disguise that git knows is left to git,
    /// the plain rules are here so that the message names the rule.
    pub fn check(&self) -> Result<(), GitError> {
        let bad = |why| {
            Err(GitError::BadPath {
                path: self.to_text().into_owned(),
                why,
            })
        };
        if self.0.is_empty() {
            return bad("it is empty");
        }
        if self.0.len() > 4096 {
            return bad("it is longer than 4096 bytes");
        }
        if self.0.iter().any(u8::is_ascii_control) {
            return bad("it holds a control character");
        }
        for part in self.0.split(|b| *b == b'/') {
            if part.is_empty() {
                return bad("it is absolute or has an empty part");
            }
            if part == b"." || part == b".." {
                return bad("it has a part . or ..");
            }
            if is_dot_git(part) {
                return bad("it has a part .git");
            }
        }
        Ok(())
    }
}

/// `.git` as case-insensitive file systems, Windows and macOS may read it.
fn is_dot_git(part: &[u8]) -> bool {
    let text = String::from_utf8_lossy(part);
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
        .collect::<String>()
        .to_ascii_lowercase();
    let first = plain.split([':', '\\']).next().unwrap_or("");
    let trimmed = first.trim_end_matches(['.', ' ']);
    trimmed == ".git" || trimmed == "git~1"
}

impl From<&str> for GitPath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for GitPath {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for GitPath {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for GitPath {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl AsRef<[u8]> for GitPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for GitPath {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for GitPath {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for GitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for GitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A directory.
    Tree,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// The six octal digits as git writes them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Tree => "040000",
            Self::Submodule => "160000",
        }
    }

    /// Reads octal digits; `None` for zero (no entry). Odd permission bits count as a plain file,
    /// as git itself takes them.
    pub(crate) fn from_octal(text: &[u8]) -> Option<Self> {
        let number = u32::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()?;
        match number & 0o170_000 {
            0o120_000 => Some(Self::Symlink),
            0o040_000 => Some(Self::Tree),
            0o160_000 => Some(Self::Submodule),
            0o100_000 if number & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::File),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_escape_or_reconfigure_are_refused() {
        for bad in [
            "",
            "/a",
            "a//b",
            "a/",
            ".",
            "..",
            "a/../b",
            "./a",
            ".git",
            "a/.GIT/config",
            "git~1",
            "GIT~1/x",
            ".git.",
            ".git ",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it",
            "a\nb",
            "a\0b",
            "a\rb",
        ] {
            assert!(GitPath::from(bad).check().is_err(), "{bad:?} was accepted");
        }
        for good in [
            "a",
            ".gitignore",
            "a b/ü.txt",
            "-x",
            "$(id)",
            ".github/x",
            "a/.gitkeep",
        ] {
            assert!(GitPath::from(good).check().is_ok(), "{good:?} was refused");
        }
    }
}
