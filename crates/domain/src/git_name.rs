//! Names that git understands: object ids and the few refs the platform uses.
//!
//! A value of these types is safe to pass as one argument to the `git` program: it never starts
//! with `-`, never holds a space or a control character. Deliberately absent: free-form ref names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Number, RunId};
use crate::refusal::git_name as say;
use crate::sentence::Sentence;

/// Where the branches of issues live.
pub const ISSUE_BRANCHES: &str = "refs/heads/nightshift/";
/// Where runs push what they made.
pub const ATTEMPTS: &str = "refs/attempts/";

/// Why a text is no git name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadName {
    /// Not 40 lower-case hexadecimal digits.
    ObjectId(String),
    /// Refused by the rules of `git check-ref-format`, or longer than 200 bytes.
    Branch(String),
}

impl BadName {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::ObjectId(text) => say::object(format!("{text:?}")),
            Self::Branch(text) => say::branch(format!("{text:?}")),
        }
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for BadName {}

/// The name of a git object: 40 hexadecimal digits (SHA-1), lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(String);

impl ObjectId {
    /// The id that stands for "no object" in git's protocols.
    #[must_use]
    pub fn zero() -> Self {
        Self("0".repeat(40))
    }

    /// Whether this is the id of no object.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }

    /// The 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl FromStr for ObjectId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let good = text.len() == 40
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::ObjectId(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for ObjectId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A branch without its `refs/heads/` prefix, checked by the rules of `git check-ref-format`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

impl BranchName {
    /// The name without prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full ref, `refs/heads/<name>`.
    #[must_use]
    pub fn to_ref(&self) -> RefName {
        RefName(format!("refs/heads/{}", self.0))
    }
}

impl FromStr for BranchName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        if is_ref_path(text) && text.len() <= 200 && text != "HEAD" {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::Branch(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for BranchName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<BranchName> for String {
    fn from(name: BranchName) -> Self {
        name.0
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A full ref name (`refs/…`), checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

impl RefName {
    /// The branch of an issue's pull request.
    #[must_use]
    pub fn issue_branch(number: Number) -> Self {
        Self(format!("{ISSUE_BRANCHES}{number}"))
    }

    /// The ref that one run may write.
    #[must_use]
    pub fn attempt(run: RunId) -> Self {
        Self(format!("{ATTEMPTS}{run}"))
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch name if this is a branch.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }

    /// The issue number if this is an issue's branch.
    #[must_use]
    pub fn issue_number(&self) -> Option<Number> {
        let digits = self.0.strip_prefix(ISSUE_BRANCHES)?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    }
}

impl FromStr for RefName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let good = text.len() <= 255
            && text
                .strip_prefix("refs/")
                .is_some_and(|rest| rest.contains('/') && is_ref_path(rest));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::Branch(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for RefName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules of git-check-ref-format(1), and no leading `-`, and no white space of any alphabet.
fn is_ref_path(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\\u{7f}".contains(c))
        && text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_branch_names_are_refused() {
        for bad in [
            "",
            "-x",
            "--exec=touch x",
            "a b",
            "a\u{3000}b",
            "a..b",
            "refs/heads/../x",
            "HEAD",
            "a.lock",
            "a/b.lock",
            "a/.b",
            "a//b",
            "/a",
            "a/",
            "a.",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "@{",
            "@",
            "a\nb",
            "a\0b",
        ] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad:?} was accepted");
        }
        assert!("x".repeat(201).parse::<BranchName>().is_err());
        for good in [
            "main",
            "nightshift/12",
            "feature/a-b_c",
            "a;b",
            "$(id)",
            "größe",
        ] {
            assert!(good.parse::<BranchName>().is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn object_ids_are_forty_lower_case_digits() {
        assert!(
            "0123456789abcdef0123456789abcdef01234567"
                .parse::<ObjectId>()
                .is_ok()
        );
        for bad in [
            "",
            "HEAD",
            "0123",
            "0123456789ABCDEF0123456789abcdef01234567",
            "--upload-pack",
        ] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad:?} was accepted");
        }
        assert!(ObjectId::zero().is_zero());
    }

    #[test]
    fn an_issue_branch_gives_its_number_back() {
        assert_eq!(RefName::issue_branch(12).issue_number(), Some(12));
        for other in [
            "refs/heads/nightshift/012",
            "refs/heads/nightshift/x",
            "refs/heads/main",
        ] {
            let name: RefName = other.parse().expect("a ref name");
            assert_eq!(name.issue_number(), None);
        }
    }
}
