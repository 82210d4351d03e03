//! Where images of projects may come from: the operator's say, never a repository's.
//!
//! A project names an image; an engine that fetches it calls a host from outside of every wall. So
//! nothing is fetched but what a rule here names. Invariant: a rule begins with a registry, so a name
//! that an engine completes in its own way is never fetched. Deliberately absent: fetching.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use nightshift_domain::image::Image;

use crate::sandbox::Credentials;
use crate::secret::Secret;

/// What the operator says about images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// What may be fetched; nothing where it is empty.
    pub pull: Vec<PullRule>,
    /// Registries that want a user.
    pub users: Vec<RegistryUser>,
}

/// A registry that wants a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryUser {
    /// The registry, with its port if it needs one.
    pub host: String,
    /// The user.
    pub user: String,
    /// The password, or a token.
    pub password: Password,
}

/// Where a registry's password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// It was read when the runner started.
    Known(Secret),
    /// It is read anew each time: something else may keep it fresh.
    File(PathBuf),
}

/// Images that may be fetched: one repository, or all below a path with `/*` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRule {
    text: String,
    /// Without the star.
    path: String,
    all: bool,
}

/// A text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} does not say which images may be pulled: write a registry and a path without a tag, such as registry.example.com/team/base or registry.example.com/team/*"
)]
pub struct PullRuleError(String);

impl Registries {
    /// Whether this image may be fetched.
    #[must_use]
    pub fn allow(&self, image: &Image) -> bool {
        image.registry().is_some() && self.pull.iter().any(|rule| rule.allows(image))
    }

    /// The user of the image's registry, if it has one.
    ///
    /// # Errors
    /// The password's file cannot be read.
    pub fn credentials(&self, image: &Image) -> Result<Option<Credentials>, String> {
        let known = image.registry().and_then(|registry| {
            let mut users = self.users.iter();
            users.find(|user| user.host.eq_ignore_ascii_case(registry))
        });
        let Some(RegistryUser {
            host,
            user,
            password,
        }) = known
        else {
            return Ok(None);
        };
        let password = match password {
            Password::Known(secret) => secret.clone(),
            Password::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| {
                    format!(
                        "the password of the registry {host} cannot be read from {}: {error}",
                        path.display()
                    )
                })?;
                Secret::new(text.trim())
            }
        };
        Ok(Some(Credentials {
            user: user.clone(),
            password,
            host: host.clone(),
        }))
    }
}

impl PullRule {
    fn allows(&self, image: &Image) -> bool {
        let repository = image.repository();
        match self.all {
            false => repository == self.path,
            true => repository
                .strip_prefix(&self.path)
                .is_some_and(|rest| rest.starts_with('/')),
        }
    }
}

impl FromStr for PullRule {
    type Err = PullRuleError;

    fn from_str(text: &str) -> Result<Self, PullRuleError> {
        let wrong = || PullRuleError(text.to_owned());
        let (path, all) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        // What stands for the star must make a name of it.
        let whole = match all {
            true => format!("{path}/x"),
            false => path.to_owned(),
        };
        let image: Image = whole.parse().map_err(|_| wrong())?;
        if image.registry().is_none() || image.repository() != whole {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            path: path.to_owned(),
            all,
        })
    }
}

impl fmt::Display for PullRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_allows_what_is_below_it_and_nothing_else() {
        let registries = Registries {
            pull: ["registry.example.com/team/*", "other.example:5000/base"]
                .map(|text| text.parse().expect(text))
                .to_vec(),
            users: Vec::new(),
        };
        let digest = "0".repeat(64);
        let pinned = format!("other.example:5000/base@sha256:{digest}");
        for (name, allowed) in [
            ("registry.example.com/team/base:1", true),
            ("registry.example.com/team/a/b", true),
            ("registry.example.com/teams/base", false),
            ("registry.example.com/team", false),
            ("registry.example.com.evil.example/team/base", false),
            ("other.example:5000/base:7", true),
            (pinned.as_str(), true),
            ("other.example:5000/base/more", false),
            ("other.example/base", false),
            // An engine would complete them.
            ("team/base", false),
            ("base", false),
        ] {
            let image: Image = name.parse().expect(name);
            assert_eq!(registries.allow(&image), allowed, "{name}");
        }
        assert!(!Registries::default().allow(&"a.example/b".parse().expect("a name")));
    }

    #[test]
    fn what_is_no_rule_says_what_one_looks_like() {
        for bad in [
            "*",
            "base",
            "team/*",
            "*.example/base",
            "registry.example.com",
            "registry.example.com/base:1",
            "registry.example.com/*/base",
            "https://registry.example.com/*",
            "",
        ] {
            let error = bad.parse::<PullRule>().expect_err(bad).to_string();
            assert!(error.contains("registry.example.com/team/*"), "{error}");
        }
        let all: PullRule = "registry.example.com/*".parse().expect("a registry");
        assert!(all.allows(&"registry.example.com/base".parse().expect("a name")));
    }

    #[test]
    fn a_password_in_a_file_is_read_anew() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let registries = Registries {
            pull: Vec::new(),
            users: vec![RegistryUser {
                host: "registry.example.com".to_owned(),
                user: "robot".to_owned(),
                password: Password::File(file.path().to_owned()),
            }],
        };
        let image = "registry.example.com/base".parse().expect("a name");
        for text in ["one", "two"] {
            std::fs::write(file.path(), format!("{text}\n")).expect("a password");
            let known = registries.credentials(&image).expect("read");
            let known = known.expect("a user");
            assert_eq!(
                (known.user.as_str(), known.password.expose()),
                ("robot", text)
            );
        }
        let other = "other.example/base".parse().expect("a name");
        assert!(registries.credentials(&other).expect("none").is_none());
        drop(file);
        let error = registries.credentials(&image).expect_err("gone");
        assert!(error.contains("registry.example.com"), "{error}");
    }
}
