//! What the operator decides about ways out, as the runner hands it to the broker.
//!
//! Invariant: keys are named here, not written; the broker alone uses them. A file of a login is read and
//! written by it alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nightshift_domain::host::Allowed;
use serde::{Deserialize, Serialize};

use super::price::Price;
use super::usage::Dialect;
use crate::secret::Secret;

/// Everything that is the same for all runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Model endpoints by name.
    pub endpoints: BTreeMap<String, EndpointSpec>,
    /// What models cost; the first price of a name counts.
    pub prices: Vec<Price>,
    /// Places that may have addresses of a network of one's own, where they are allowed at all.
    pub private: Vec<Allowed>,
}

/// A model endpoint, and how it is presented its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// Its address; a `/v1` at its end makes no difference.
    pub url: String,
    /// The header that carries the key, such as `x-api-key` or `authorization`.
    pub header: String,
    /// Before the key: `Bearer ` for `authorization`, else empty.
    pub prefix: String,
    /// What it speaks, for programs that can be told.
    pub dialect: Dialect,
    /// Where the keys are: none for a model that wants none, several for accounts that share.
    pub keys: Vec<KeySource>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// In this variable of the environment.
    Variable(String),
    /// In this file, with nothing else but white space.
    File(PathBuf),
    /// Changing, by the login that this file holds (`login/file.rs` says what stands in it).
    Login(PathBuf),
}

impl KeySource {
    /// Reads the key; of a login only whether it is there. `variable` reads the environment.
    ///
    /// # Errors
    /// The message says what is missing.
    pub fn look(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        match self {
            Self::Login(path) => std::fs::metadata(path)
                .map(drop)
                .map_err(|error| format!("cannot find the login {}: {error}", path.display())),
            Self::Variable(_) | Self::File(_) => self.read(variable).map(drop),
        }
    }

    /// Reads the key. `variable` reads the environment.
    ///
    /// # Errors
    /// The message says what is missing.
    pub(super) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
        let text = match self {
            Self::Login(_) => return Err(format!("{self} is no fixed key")),
            Self::Variable(name) => {
                variable(name).ok_or_else(|| format!("the variable {name} is not set"))?
            }
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        };
        match text.trim() {
            "" => Err(format!("{self} holds no key")),
            key => Ok(Secret::new(key)),
        }
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Login(path) => write!(f, "the login {}", path.display()),
        }
    }
}

impl EndpointSpec {
    /// The address without the `/v1` that one half of the programs expects in it.
    #[must_use]
    pub fn root(&self) -> &str {
        let url = self.url.trim_end_matches('/');
        url.strip_suffix("/v1").unwrap_or(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_same_with_and_without_its_version() {
        for (url, root) in [
            ("https://m.example", "https://m.example"),
            ("https://m.example/v1/", "https://m.example"),
            ("https://m.example/api/v1", "https://m.example/api"),
        ] {
            let spec = EndpointSpec {
                url: url.to_owned(),
                header: String::new(),
                prefix: String::new(),
                dialect: Dialect::OpenAi,
                keys: Vec::new(),
            };
            assert_eq!(spec.root(), root);
        }
    }

    #[test]
    fn a_key_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        let none = |_: &str| None;
        let missing = KeySource::File(file.clone()).read(&none).expect_err("none");
        assert!(missing.starts_with("cannot read"), "{missing}");
        std::fs::write(&file, " \n").expect("a file");
        let empty = KeySource::File(file.clone()).read(&none).expect_err("none");
        assert!(empty.ends_with("holds no key"), "{empty}");
        std::fs::write(&file, "k\n").expect("a file");
        assert_eq!(KeySource::File(file).read(&none), Ok(Secret::new("k")));
        let variable = KeySource::Variable("K".to_owned());
        assert!(
            variable
                .read(&none)
                .expect_err("none")
                .contains("K is not set")
        );
        let set = |name: &str| Some(format!("{name}-value"));
        assert_eq!(variable.read(&set), Ok(Secret::new("K-value")));
    }
}
