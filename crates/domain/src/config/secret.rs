//! Which secrets a project has, and which steps get them; their values are elsewhere.
//!
//! The settings file names a secret and the steps that need it. A step that is not named never sees
//! it. The author's sandbox is one that an agent works in: it gets a secret only where the file says
//! so in as many words. Deliberately absent: values, and how they are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::quoted;
use crate::job::Kind;
use crate::refusal::secret as say;
use crate::sentence::Sentence;
use crate::told::settings as wrong;

/// The step that prepares a tree.
pub const SETUP: &str = "setup";
/// The sealed tests.
pub const ACCEPTANCE: &str = "acceptance";
/// The agent's own program.
pub const AGENT: &str = "agent";
/// The longest value, in bytes.
pub const LONGEST: usize = 16 << 10;

/// A secret of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The variable in which the steps find it.
    pub name: String,
    /// The steps that get it: names of checks, [`SETUP`], [`ACCEPTANCE`], [`AGENT`].
    pub steps: Vec<String>,
    /// Whether these steps get it in the author's sandbox as well.
    pub author: bool,
}

impl Secret {
    /// Whether the steps of a run of this kind get it.
    #[must_use]
    pub fn is_given_to(&self, kind: Kind) -> bool {
        match kind {
            Kind::Author => self.author,
            Kind::Verify | Kind::Trial | Kind::Tryout => true,
        }
    }
}

/// The steps that need a secret which a run of this kind does not get.
#[must_use]
pub fn withheld(secrets: &[Secret], kind: Kind) -> Vec<String> {
    let mut steps: Vec<String> = secrets
        .iter()
        .filter(|secret| !secret.is_given_to(kind))
        .flat_map(|secret| secret.steps.iter().cloned())
        .collect();
    steps.sort();
    steps.dedup();
    steps
}

/// Whether a text can name a secret: a variable of the environment that nothing else uses.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let begins = |prefix: &&str| name.starts_with(*prefix);
    (1..=64).contains(&name.len())
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && !TAKEN.contains(&name)
        && !["NIGHTSHIFT_", "GIT_", "LD_"].iter().any(begins)
}

/// What is said of a name that can name no secret.
#[must_use]
pub fn bad_name(name: &str) -> Sentence {
    say::name_unfit(format!("{name:?}"))
}

/// Variables that a step finds anyway, or that change what runs.
const TAKEN: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "LANG",
    "TERM",
    "TMPDIR",
    "PWD",
    "CI",
    "PAGER",
    "IFS",
    "ENV",
    "BASH_ENV",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_USE_ENV_PROXY",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "RUSTC_WRAPPER",
];

/// Why a value cannot be a secret's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It would not be told from ordinary text in a log.
    Short,
    /// It is no secret but a file.
    Long,
    /// No variable of the environment can hold it.
    Nul,
}

impl Unfit {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Short => say::short(crate::mask::SHORTEST),
            Self::Long => say::long(LONGEST),
            Self::Nul => say::nul(),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for Unfit {}

/// Whether a text can be the value of a secret.
///
/// # Errors
/// For one that is too short, too long, or holds a NUL.
pub fn check_value(value: &str) -> Result<(), Unfit> {
    match value {
        value if value.len() < crate::mask::SHORTEST => Err(Unfit::Short),
        value if value.len() > LONGEST => Err(Unfit::Long),
        value if value.contains('\0') => Err(Unfit::Nul),
        _ => Ok(()),
    }
}

/// A secret as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSecret {
    pub(super) name: toml::Spanned<String>,
    pub(super) steps: toml::Spanned<Vec<String>>,
    #[serde(default)]
    pub(super) author: bool,
}

impl FileSecret {
    /// What is wrong with it beside those before it, and where; or the secret.
    pub(super) fn check(
        self,
        before: &[Secret],
        checks: &[String],
    ) -> Result<Secret, (std::ops::Range<usize>, Sentence)> {
        let name = self.name.get_ref();
        if !is_variable(name) {
            return Err((self.name.span(), bad_name(name)));
        }
        if before.iter().any(|known| known.name == *name) {
            return Err((self.name.span(), wrong::secret_twice(quoted(name))));
        }
        let steps = self.steps.get_ref();
        if steps.is_empty() {
            return Err((self.steps.span(), wrong::secret_idle(quoted(name))));
        }
        for step in steps {
            let known = [SETUP, ACCEPTANCE, AGENT].contains(&step.as_str());
            if !known && !checks.contains(step) {
                let said = wrong::secret_step(
                    quoted(name),
                    quoted(step),
                    quoted(SETUP),
                    quoted(ACCEPTANCE),
                    quoted(AGENT),
                );
                return Err((self.steps.span(), said));
            }
            if step == AGENT && !self.author {
                return Err((self.steps.span(), wrong::secret_agent(quoted(name))));
            }
        }
        Ok(Secret {
            name: name.clone(),
            steps: self.steps.into_inner(),
            author: self.author,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(text: &str) -> Result<Vec<Secret>, String> {
        let checks = "[[check]]\nname = \"test\"\nrun = \"make test\"\n";
        Config::parse(&format!("{checks}{text}"))
            .map(|config| config.secrets)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_names_its_steps() {
        let read = read(
            "[[secret]]\nname = \"DB_PASSWORD\"\nsteps = [\"test\", \"setup\"]\n\
             [[secret]]\nname = \"KEY\"\nsteps = [\"agent\"]\nauthor = true\n",
        );
        let secrets = read.expect("secrets");
        assert_eq!(secrets[0].steps, ["test", "setup"]);
        assert!(!secrets[0].is_given_to(Kind::Author) && secrets[0].is_given_to(Kind::Verify));
        assert!(secrets[1].is_given_to(Kind::Author));
        assert_eq!(withheld(&secrets, Kind::Author), ["setup", "test"]);
        assert_eq!(withheld(&secrets, Kind::Trial), [""; 0]);
    }

    #[test]
    fn what_cannot_be_says_why() {
        for (text, says) in [
            ("name = \"lower\"\nsteps = [\"test\"]", "can name no secret"),
            ("name = \"PATH\"\nsteps = [\"test\"]", "can name no secret"),
            (
                "name = \"LD_PRELOAD\"\nsteps = [\"test\"]",
                "can name no secret",
            ),
            (
                "name = \"NIGHTSHIFT_RUN\"\nsteps = [\"test\"]",
                "can name no secret",
            ),
            ("name = \"1A\"\nsteps = [\"test\"]", "can name no secret"),
            ("name = \"A\"\nsteps = []", "for no step"),
            ("name = \"A\"\nsteps = [\"tset\"]", "no step: name a check"),
            ("name = \"A\"\nsteps = [\"agent\"]", "author = true"),
            ("name = \"A\"", "steps"),
            (
                "name = \"A\"\nsteps = [\"test\"]\n[[secret]]\nname = \"A\"\nsteps = [\"test\"]",
                "defined twice",
            ),
        ] {
            let error = read(&format!("[[secret]]\n{text}\n")).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
            assert!(error.contains("line"), "{error}");
        }
    }

    #[test]
    fn values_can_be_hidden_and_held() {
        assert_eq!(check_value("1234567"), Err(Unfit::Short));
        assert_eq!(check_value("12345678"), Ok(()));
        assert_eq!(check_value("1234567\08"), Err(Unfit::Nul));
        assert_eq!(check_value(&"x".repeat(LONGEST + 1)), Err(Unfit::Long));
    }
}
