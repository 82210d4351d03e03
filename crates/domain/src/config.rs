//! The project's settings file, `.nightshift/config.toml` on the default branch.
//!
//! Reading is strict: an unknown key is an error with its place, since a misspelt check that is
//! silently ignored would be a green light that lies. Deliberately absent: values of secrets, model
//! endpoints, anything about the sandbox's walls; a repository cannot choose those.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::budget::{self, Budget};
use crate::check::Check;
use crate::host::{Allowed, AllowedError};
use crate::image::{Image, ImageError};
use crate::sentence::{Kept, Place, Sentence, beside, text};
use crate::told::settings as say;

use agent::FileAgent;
pub use agent::{Agent, Harness, PromptBy};
use secret::{FileSecret, Secret};

mod agent;
mod cache;
pub mod edit;
pub mod field;
mod place;
pub mod secret;
pub mod sheet;
mod told;

/// Where the file lives.
pub const PATH: &str = ".nightshift/config.toml";
/// The agent that exists without being configured.
pub const DEFAULT_AGENT: &str = "script";
/// The limit of a check that names none, in seconds.
pub const DEFAULT_TIMEOUT_S: u64 = 600;

/// A project's settings, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Set-up of the environment.
    pub environment: Environment,
    /// Required checks, in the order of the file.
    pub checks: Vec<Check>,
    /// Agents by name; `script` is always there.
    pub agents: Vec<Agent>,
    /// What runs may reach beside the platform and their model.
    #[serde(default)]
    pub network: Network,
    /// Secrets, by name, and the steps that get them.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// How changes land.
    pub merge: Merge,
    /// How often red results go back by themselves.
    pub repair: Repair,
    /// What an issue may cost that says nothing of its own.
    #[serde(default)]
    pub budget: Budget,
}

/// Set-up of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The image of a container whose system runs see; none is the runner's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// The command line that adds to the image, run once by `sh -c` as root inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// The command line that prepares a tree, run by `sh -c` in its root.
    pub setup: Option<String>,
    /// The limit of either, in seconds.
    pub setup_timeout_s: u64,
    /// Files and folders whose content decides whether a set-up is the same: then it runs once, and later
    /// runs start from what it left. Where none is named it runs every time.
    pub cache: Vec<String>,
}

/// What runs may reach beside the platform and their model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Hosts, for set-up, agent and checks alike; what is not named is out of reach.
    pub allow: Vec<Allowed>,
}

/// How changes land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The shape of the landed commit.
    pub method: Method,
    /// Paths whose change is flagged.
    pub protect: Vec<String>,
    /// Whether maintainers may push to the default branch past the queue.
    pub direct_push: bool,
    /// Whether the person who filed the issue may not approve its change.
    pub four_eyes: bool,
}

/// The shape of the landed commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One commit with the whole change.
    #[default]
    Squash,
    /// A merge commit.
    Merge,
    /// The change's own commits, put on top of the base.
    Rebase,
}

/// How often red results go back by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Within a run: resumes of the same session after red checks.
    pub in_run: i64,
    /// After a red verdict: new runs of the author in the same round.
    pub after_verdict: i64,
}

beside!(message, "message");

/// Why a settings file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigError {
    /// The key, such as `check[1].timeout` (rows counted from 0), where it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The line, counted from 1, where it can be told.
    pub line: Option<usize>,
    /// What is wrong and what is expected.
    #[serde(flatten, with = "message")]
    pub message: Kept,
}

impl ConfigError {
    /// The mistake with its file and line.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self.line {
            Some(line) => say::at_line(PATH, line, &self.message),
            None => say::in_file(PATH, &self.message),
        }
    }

    /// The mistake with its key, for whoever is shown several in one text.
    #[must_use]
    pub fn said_at_field(&self) -> Place {
        match &self.field {
            Some(field) => say::at_field(field, &self.message).into(),
            None => (&self.message).into(),
        }
    }

    /// The same with its English text alone, as programs are told.
    #[must_use]
    pub fn plain(self) -> Self {
        let message = self.message.plain();
        Self { message, ..self }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl Default for Config {
    fn default() -> Self {
        Self {
            environment: Environment {
                image: None,
                install: None,
                setup: None,
                setup_timeout_s: DEFAULT_TIMEOUT_S,
                cache: Vec::new(),
            },
            checks: Vec::new(),
            agents: vec![Agent::script()],
            network: Network::default(),
            secrets: Vec::new(),
            merge: Merge {
                method: Method::Squash,
                protect: vec![".nightshift/**".to_owned()],
                direct_push: false,
                four_eyes: false,
            },
            repair: Repair {
                in_run: 2,
                after_verdict: 1,
            },
            budget: Budget::default(),
        }
    }
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line where the reader knows it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map(|span| span.start);
            let field = start.and_then(|byte| place::field_at(text, byte));
            let missing = told::missing(error.message());
            ConfigError {
                field: match (field, missing) {
                    (Some(above), Some(key)) => Some(format!("{above}.{key}")),
                    (field, _) => field,
                },
                line: start.map(|byte| line_of(text, byte)),
                message: told::read(error.message()),
            }
        })?;
        file.check(text)
    }

    /// The agent of this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// The names of all agents, for an error that says what to choose from.
    #[must_use]
    pub fn agent_names(&self) -> String {
        let names: Vec<_> = self
            .agents
            .iter()
            .map(|agent| agent.name.as_str())
            .collect();
        names.join(", ")
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    let end = byte.min(text.len());
    text.as_bytes()[..end]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    environment: FileEnvironment,
    #[serde(default)]
    check: Vec<FileCheck>,
    #[serde(default)]
    agent: Vec<FileAgent>,
    #[serde(default)]
    network: FileNetwork,
    #[serde(default)]
    secret: Vec<FileSecret>,
    #[serde(default)]
    merge: FileMerge,
    #[serde(default)]
    repair: FileRepair,
    #[serde(default)]
    budget: FileBudget,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileEnvironment {
    image: Option<toml::Spanned<String>>,
    install: Option<toml::Spanned<String>>,
    setup: Option<String>,
    timeout: Option<Span>,
    #[serde(default)]
    cache: Vec<toml::Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCheck {
    name: toml::Spanned<String>,
    run: toml::Spanned<String>,
    timeout: Option<Span>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileNetwork {
    #[serde(default)]
    allow: Vec<toml::Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileMerge {
    method: Option<Method>,
    protect: Option<Vec<String>>,
    direct_push: Option<bool>,
    four_eyes: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileRepair {
    in_run: Option<u8>,
    after_verdict: Option<u8>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileBudget {
    issue: Option<Usd>,
    issue_minutes: Option<Minutes>,
}

/// An amount of US dollars, in millionths.
#[derive(Clone, Copy)]
struct Usd(u64);

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = f64::deserialize(deserializer)?;
        budget::parse_dollars(&format!("{amount:.6}"))
            .map(Self)
            .ok_or_else(|| told::custom(say::no_money(text(amount))))
    }
}

/// Minutes of a budget.
#[derive(Clone, Copy)]
struct Minutes(u64);

impl<'de> Deserialize<'de> for Minutes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minutes = i64::deserialize(deserializer)?;
        u64::try_from(minutes)
            .ok()
            .filter(|minutes| (1..=budget::MOST_MINUTES).contains(minutes))
            .map(Self)
            .ok_or_else(|| told::custom(say::no_minutes(minutes, budget::MOST_MINUTES)))
    }
}

/// A duration such as `90s`, `10m`, `2h`.
#[derive(Clone, Copy)]
struct Span(u64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = String::deserialize(deserializer)?;
        parse_span(&given)
            .map(Self)
            .ok_or_else(|| told::custom(say::no_duration(quoted(&given))))
    }
}

fn parse_span(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    let seconds = number.checked_mul(factor)?;
    (1..=86_400).contains(&seconds).then_some(seconds)
}

impl File {
    fn check(self, text: &str) -> Result<Config, ConfigError> {
        let defaults = Config::default();
        let fail = |span: std::ops::Range<usize>, said: Sentence| ConfigError {
            field: place::field_at(text, span.start),
            line: Some(line_of(text, span.start)),
            message: said.into(),
        };
        let mut seen = BTreeSet::new();
        for check in &self.check {
            let name = check.name.get_ref();
            if !is_name(name) || matches!(name.as_str(), "acceptance" | "setup") {
                return Err(fail(check.name.span(), say::check_name(quoted(name))));
            }
            if !seen.insert(name.clone()) {
                return Err(fail(check.name.span(), say::check_twice(quoted(name))));
            }
            if check.run.get_ref().trim().is_empty() {
                return Err(fail(check.run.span(), say::check_empty()));
            }
        }
        let mut agents = vec![Agent::script()];
        for (at, agent) in self.agent.into_iter().enumerate() {
            let made = agent.check(at, &agents);
            let made = made.map_err(|bad| ConfigError {
                field: bad.field.or_else(|| place::field_at(text, bad.span.start)),
                ..fail(bad.span, bad.said)
            })?;
            agents.retain(|known| known.name != made.name);
            agents.push(made);
        }
        let mut allow = Vec::new();
        for entry in self.network.allow {
            let text = entry.get_ref();
            let allowed: Allowed = text.parse().map_err(|error: AllowedError| {
                fail(entry.span(), say::host(quoted(text), error.said()))
            })?;
            if !allow.contains(&allowed) {
                allow.push(allowed);
            }
        }
        let image = match &self.environment.image {
            Some(given) => {
                let image: Result<Image, _> = given.get_ref().parse();
                let said = |error: ImageError| {
                    fail(
                        given.span(),
                        say::image(quoted(given.get_ref()), error.said()),
                    )
                };
                Some(image.map_err(said)?)
            }
            None => None,
        };
        let install = self.environment.install;
        let install = install.filter(|install| !install.get_ref().trim().is_empty());
        if let (None, Some(install)) = (&image, &install) {
            return Err(fail(install.span(), say::install_alone()));
        }
        let mut paths = Vec::new();
        for entry in self.environment.cache {
            let bad = cache::check(entry.get_ref()).and(cache::count(paths.len() + 1));
            bad.map_err(|said| fail(entry.span(), said))?;
            let path = entry.into_inner();
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let checks: Vec<String> = seen.into_iter().collect();
        let mut secrets = Vec::new();
        for secret in self.secret {
            let made = secret.check(&secrets, &checks);
            secrets.push(made.map_err(|(span, said)| fail(span, said))?);
        }
        Ok(Config {
            environment: Environment {
                image,
                install: install.map(toml::Spanned::into_inner),
                setup: self
                    .environment
                    .setup
                    .filter(|setup| !setup.trim().is_empty()),
                setup_timeout_s: self
                    .environment
                    .timeout
                    .map_or(DEFAULT_TIMEOUT_S, |span| span.0),
                cache: paths,
            },
            checks: self
                .check
                .into_iter()
                .map(|check| Check {
                    name: check.name.into_inner(),
                    run: check.run.into_inner(),
                    timeout_s: check.timeout.map_or(DEFAULT_TIMEOUT_S, |span| span.0),
                })
                .collect(),
            agents,
            network: Network { allow },
            secrets,
            merge: Merge {
                method: self.merge.method.unwrap_or(defaults.merge.method),
                protect: self.merge.protect.unwrap_or(defaults.merge.protect),
                direct_push: self.merge.direct_push.unwrap_or(false),
                four_eyes: self.merge.four_eyes.unwrap_or(false),
            },
            repair: Repair {
                in_run: self.repair.in_run.map_or(defaults.repair.in_run, i64::from),
                after_verdict: self
                    .repair
                    .after_verdict
                    .map_or(defaults.repair.after_verdict, i64::from),
            },
            budget: Budget {
                cost_micro_usd: self.budget.issue.map(|usd| usd.0),
                minutes: self.budget.issue_minutes.map(|minutes| minutes.0),
            },
        })
    }
}

/// What somebody wrote, in quotes.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Whether a text can name a check, an agent or a project.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && !text.starts_with(['-', '.'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn a_full_file_is_read_whole() {
        let config = Config::parse(
            r#"
[environment]
image = "registry.example.com/team/node:22"
install = "apt-get install -y postgresql-client"
setup = "npm ci"
cache = ["package-lock.json"]
[[check]]
name = "test"
run = "npm test"
timeout = "2m"
[[agent]]
name = "claude"
harness = "claude-code"
timeout = "2h"
[[agent]]
name = "script"
harness = "script"
timeout = "5m"
[network]
allow = ["Packages.example.com", "*.example.org:8443", "packages.example.com"]
[merge]
method = "rebase"
protect = ["LICENSE"]
[repair]
in_run = 0
[budget]
issue = 5
issue_minutes = 90
"#,
        )
        .expect("a good file");
        let image = config.environment.image.as_ref().map(Image::as_str);
        assert_eq!(image, Some("registry.example.com/team/node:22"));
        assert!(config.environment.install.is_some());
        assert_eq!(config.checks[0].timeout_s, 120);
        assert_eq!(config.agent("claude").map(|a| a.timeout_s), Some(7_200));
        assert_eq!(config.agent("script").map(|a| a.timeout_s), Some(300));
        let allowed: Vec<_> = config
            .network
            .allow
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(allowed, ["packages.example.com", "*.example.org:8443"]);
        assert_eq!(config.merge.method, Method::Rebase);
        assert_eq!((config.repair.in_run, config.repair.after_verdict), (0, 1));
        assert_eq!(config.budget.cost_micro_usd, Some(5_000_000));
        assert_eq!(config.budget.minutes, Some(90));
    }

    #[test]
    fn each_error_names_its_line_and_the_way_out() {
        let cases = [
            (
                "[[chek]]\nname = \"a\"\nrun = \"b\"",
                1,
                "unknown field `chek`",
            ),
            (
                "\n[[check]]\nname = \"a\"\nrun = \"b\"\ntimeout = \"soon\"",
                5,
                "write it as",
            ),
            (
                "[[check]]\nname = \"a\"\nrun = \"b\"\n[[check]]\nname = \"a\"\nrun = \"c\"",
                5,
                "defined twice",
            ),
            (
                "[[check]]\nname = \"acceptance\"\nrun = \"b\"",
                2,
                "are taken",
            ),
            (
                "[[agent]]\nname = \"x\"\nharness = \"command\"",
                2,
                "is needed there",
            ),
            (
                "[[agent]]\nname = \"x\"\nharness = \"native\"",
                2,
                "give `model`",
            ),
            (
                "[[agent]]\nname = \"x\"\nharness = \"gpt\"",
                3,
                "unknown variant",
            ),
            (
                "[network]\nallow = [\n  \"a.example\",\n  \"https://b.example\",\n]",
                4,
                "without https://",
            ),
            ("[network]\nallow = [\"*\"]", 2, "at least two parts"),
            ("[network]\nallow = \"a.example\"", 2, ""),
            ("[merge\nmethod = 1", 1, ""),
            (
                "[environment]\nimage = \"Team/Base\"",
                2,
                "is no name of an image",
            ),
            (
                "[environment]\nsetup = \"a\"\ninstall = \"b\"",
                3,
                "give `image`",
            ),
            (
                "[environment]\nsetup = \"a\"\ncache = [\n  \"go.sum\",\n  \"**/*.lock\",\n]",
                5,
                "name each, or their folder",
            ),
            ("[budget]\nissue = -1.5", 2, "is no budget in US dollars"),
            ("[budget]\nissue_minutes = 0", 2, "is no budget in minutes"),
        ];
        for (text, line, message) in cases {
            let error = Config::parse(text).expect_err(text);
            assert_eq!(error.line, Some(line), "{text}: {error}");
            assert!(error.message.as_str().contains(message), "{text}: {error}");
        }
        let shown = Config::parse("a = 1").expect_err("unknown").to_string();
        assert!(
            shown.starts_with(".nightshift/config.toml, line 1: "),
            "{shown}"
        );
    }
}
