//! `agent doctor`: for each harness whether a runner on this machine, with its settings, could start its
//! program now.
//!
//! Invariant: it finds out by what the runner itself uses and says it in the same words; it starts none of
//! the programs and changes nothing. Deliberately absent: mending, and asking a model for an answer.

use std::path::PathBuf;

use nightshift_domain::config::Harness as Kind;
use nightshift_runner::config::Endpoints;
use nightshift_runner::harness::{self, Harness, Program, Programs};
use serde::Serialize;

use crate::environment::Environment;
use crate::failure::Done;
use crate::output::Output;
use crate::runner_settings::RunnerSettings;
use crate::screen::{dim, green, plain, yellow};

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runner's settings; otherwise `runner.toml` in the folder of settings
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// One harness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    harness: &'static str,
    usable: bool,
    /// The program, where one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<Found>,
    /// What executes it, if it is a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Found>,
    /// The oldest version that is driven, and the newest that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Versions>,
    /// The model endpoint that it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Why it cannot be started, with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    why_not: Vec<String>,
    /// What is worth knowing all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A program on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Found {
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// Versions of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Versions {
    since: String,
    checked: String,
}

impl Found {
    fn new(program: &Program) -> Self {
        Self {
            path: program.host_path(),
            version: program.version.map(|version| version.to_string()),
        }
    }

    fn words(&self) -> String {
        match &self.version {
            Some(version) => format!("{version} in {}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }
}

impl Args {
    pub(crate) fn run(self, environment: &Environment, output: Output) -> Done {
        let usual = environment.config.join("runner.toml");
        let settings = match self.settings {
            Some(path) => RunnerSettings::read(&path)?,
            None if usual.exists() => RunnerSettings::read(&usual)?,
            None => RunnerSettings::default(),
        };
        let programs = settings.programs(&environment.path)?;
        let endpoints = settings.endpoints().map_err(|failure| failure.message);
        let lines: Vec<Line> = harness::ALL
            .iter()
            .map(|harness| line(*harness, &programs, endpoints.as_ref()))
            .collect();
        output.answer(&lines, |screen| {
            for line in &lines {
                let state = match line.usable {
                    true => green("usable  "),
                    false => yellow("not     "),
                };
                let found = match (&line.program, &line.versions) {
                    (Some(program), _) => program.words(),
                    (None, None) => "needs no program of its own".to_owned(),
                    (None, Some(_)) => "not on this machine".to_owned(),
                };
                screen.line([state, plain(format!("{:<12} {found}", line.harness))]);
                let node = line
                    .node
                    .as_ref()
                    .map(|node| format!("Node.js {}", node.words()));
                let endpoint = line
                    .endpoint
                    .as_ref()
                    .map(|name| format!("model endpoint {name}"));
                let more = [node, endpoint, line.note.clone()];
                for words in more.iter().flatten().chain(&line.why_not) {
                    screen.line([plain(" ".repeat(21)), dim(words)]);
                }
            }
        })
    }
}

fn line(
    harness: &dyn Harness,
    programs: &Programs,
    endpoints: Result<&Endpoints, &String>,
) -> Line {
    let name = harness.name();
    let needs = harness.needs();
    let found = programs.of(name);
    let mut why_not = Vec::new();
    if let Some(needs) = &needs {
        why_not.extend(
            needs
                .located(name, programs)
                .err()
                .map(|why| why.to_string()),
        );
    }
    let mut endpoint = None;
    if let Ok(kind) = serde_json::from_value::<Kind>(name.into()) {
        let named = endpoints
            .map_err(Clone::clone)
            .and_then(|all| all.of(kind).map_err(|said| said.to_string()));
        match named {
            Ok(named) => endpoint = named.map(str::to_owned),
            // A harness that needs no model is not kept back by what is wrong with one.
            Err(_) if !Kind::WITH_MODEL.contains(&kind) => {}
            Err(why) => why_not.push(why),
        }
    }
    let note = needs.as_ref().zip(found).and_then(|(needs, found)| {
        let version = found.version.filter(|version| *version > needs.checked)?;
        Some(format!(
            "{version} is newer than {}, the newest that was tried",
            needs.checked
        ))
    });
    Line {
        harness: name,
        usable: why_not.is_empty(),
        program: found.map(Found::new),
        node: found
            .and_then(|program| program.interpreter.as_deref())
            .map(Found::new),
        versions: needs.map(|needs| Versions {
            since: needs.since.to_string(),
            checked: needs.checked.to_string(),
        }),
        endpoint,
        why_not,
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_runner::harness::{Version, by_name};

    #[test]
    fn what_is_missing_is_said_as_the_runner_says_it() {
        let gemini = by_name("gemini").expect("a harness");
        let mut programs = Programs::default();
        let endpoints = Endpoints::default();
        let missing = line(gemini, &programs, Ok(&endpoints));
        assert!(!missing.usable);
        assert_eq!(missing.why_not.len(), 2, "{missing:?}");
        assert!(
            missing.why_not[0].contains("is not on this machine"),
            "{missing:?}"
        );
        assert!(
            missing.why_not[1].contains("no model endpoint for gemini"),
            "{missing:?}"
        );
        let mut program = Program::visible("/opt/gemini.js");
        program.version = Some(Version([9, 0, 0]));
        program.interpreter = Some(Box::new(Program::visible("/usr/bin/node")));
        programs.set("gemini", program);
        let broken = "the variable KEY is not set".to_owned();
        let line = line(gemini, &programs, Err(&broken));
        assert_eq!(line.why_not, [broken]);
        assert!(line.note.expect("a note").contains("newer than"));
    }

    #[test]
    fn the_built_in_agent_needs_a_model_and_no_program() {
        let native = by_name("native").expect("a harness");
        let line = line(native, &Programs::default(), Ok(&Endpoints::default()));
        assert!(!line.usable, "{line:?}");
        assert!(
            line.why_not[0].contains("no model endpoint for native"),
            "{line:?}"
        );
    }

    #[test]
    fn a_script_needs_neither_a_program_nor_a_model() {
        let script = by_name("script").expect("a harness");
        let broken = "no".to_owned();
        let line = line(script, &Programs::default(), Err(&broken));
        assert!(line.usable && line.program.is_none(), "{line:?}");
    }
}
