//! What a harness needs of its program: which one, which versions, what executes it.
//!
//! Invariant: what is asked here is answered in the same words wherever somebody asks, a run as well as
//! `nightshift agent doctor`. Where a program does not say its version it is not judged. Deliberately
//! absent: looking for programs.

use std::fmt;
use std::str::FromStr;

use nightshift_domain::told::failure as say;

use super::invocation::PlanError;
use super::program::{Program, Programs};

/// What a harness needs of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The program's name in a search path.
    pub program: &'static str,
    /// Its package, by npm.
    pub package: &'static str,
    /// The oldest version that is driven: of older ones it is not known that they leave alone what a
    /// repository has for them, and that they say what is read here.
    pub since: Version,
    /// The newest version that the tests drove.
    pub checked: Version,
    /// How it is laid out.
    pub kind: Kind,
}

/// How a program is laid out on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One native file; behind a wrapper, `file` of the package whose name begins with `prefix`.
    Native {
        /// What the names of the packages with native files begin with.
        prefix: &'static str,
        /// The native file in such a package.
        file: &'static str,
    },
    /// A native file with neighbours that it wants, as Codex has it.
    Codex,
    /// A script of Node.js, from this major version on.
    Node {
        /// The oldest major version of Node.js.
        since: u32,
    },
}

/// Three numbers, of which the first counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl FromStr for Version {
    type Err = ();

    /// Reads `1.2.3`, with or without what may follow behind a hyphen or a plus.
    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = text.split(['-', '+']).next().unwrap_or(text);
        let mut parts = plain.split('.').map(str::parse);
        let mut part = || parts.next().and_then(Result::ok).ok_or(());
        let version = Self([part()?, part()?, part()?]);
        parts.next().is_none().then_some(version).ok_or(())
    }
}

impl Needs {
    /// The last part of the package's name.
    pub(super) fn folder(&self) -> &'static str {
        self.package.rsplit('/').next().unwrap_or(self.package)
    }

    /// The program of this harness, if it is here and can be driven.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn located<'a>(
        &self,
        harness: &'static str,
        programs: &'a Programs,
    ) -> Result<&'a Program, PlanError> {
        let install = || say::npm_install(self.package);
        let program = self.program;
        let found = programs
            .of(harness)
            .ok_or_else(|| PlanError::ProgramMissing {
                harness,
                program: program.to_owned(),
                install: install(),
            })?;
        if let Some(version) = found.version
            && version < self.since
        {
            return Err(PlanError::ProgramTooOld {
                harness,
                program: program.to_owned(),
                version,
                since: self.since,
                install: install(),
            });
        }
        if let Kind::Node { since } = self.kind {
            let node = found.interpreter.as_ref();
            let node = node.ok_or_else(|| PlanError::NodeMissing {
                harness,
                program: program.to_owned(),
                since,
            })?;
            if let Some(version) = node.version
                && version < Version([since, 0, 0])
            {
                return Err(PlanError::NodeTooOld {
                    harness,
                    program: program.to_owned(),
                    version,
                    since,
                });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{ALL, by_name};

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        let version = |text: &str| text.parse::<Version>();
        assert_eq!(version("1.18.33"), Ok(Version([1, 18, 33])));
        assert_eq!(version("2.0.0-beta.1"), Ok(Version([2, 0, 0])));
        assert!(version("1.9.0") < version("1.18.0"));
        for bad in ["", "1", "1.2", "1.2.x", "1.2.3.4", "v1.2.3"] {
            assert_eq!(version(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_or_too_old_is_said_with_what_to_do() {
        let gemini = by_name("gemini").expect("a harness");
        let needs = gemini.needs().expect("a program");
        let told = |programs: &Programs| {
            let located = needs.located("gemini", programs);
            located.map(|_| ()).map_err(|error| error.to_string())
        };
        let mut programs = Programs::default();
        assert_eq!(
            told(&programs),
            Err("the program \"gemini\" of harness \"gemini\" is not on this machine: on the runner's machine run `npm install -g @google/gemini-cli`, then start the runner again".to_owned())
        );
        let mut program = Program::visible("/agents/gemini.js");
        program.version = Some(Version([0, 1, 9]));
        programs.set("gemini", program.clone());
        let old = told(&programs).expect_err("too old");
        assert!(
            old.contains("has version 0.1.9, and 0.61.0 or newer is needed"),
            "{old}"
        );
        program.version = None;
        programs.set("gemini", program.clone());
        let none = told(&programs).expect_err("no Node.js");
        assert!(none.contains("is a script of Node.js"), "{none}");
        let mut node = Program::visible("/usr/bin/node");
        node.version = Some(Version([18, 20, 0]));
        program.interpreter = Some(Box::new(node.clone()));
        programs.set("gemini", program.clone());
        let old = told(&programs).expect_err("an old Node.js");
        assert!(old.contains("Node.js 18.20.0"), "{old}");
        node.version = None;
        program.interpreter = Some(Box::new(node));
        programs.set("gemini", program);
        assert_eq!(
            told(&programs),
            Ok(()),
            "what does not say its version is not judged"
        );
    }

    #[test]
    fn the_oldest_version_is_not_newer_than_the_checked_one() {
        for harness in ALL {
            if let Some(needs) = harness.needs() {
                assert!(needs.since <= needs.checked, "{}", harness.name());
            }
        }
    }
}
