//! Any program as an agent: the prompt goes in, what it prints is the log.
//!
//! Deliberately absent: sessions and usage. A program that has either deserves a harness.

use std::ffi::OsString;

use nightshift_domain::transcript::{Entry, Stream, Usage};

use super::fault;
use super::invocation::{Invocation, PlanError, Stdin};
use super::line::{Tail, output};
use super::order::AgentOrder;
use super::outcome::{AgentOutcome, Exit};
use super::{EventParser, Harness};

/// Linux refuses a longer argument (`MAX_ARG_STRLEN`, with its closing NUL).
const MAX_ARGUMENT_BYTES: usize = (128 << 10) - 1;

/// The harness `command`.
///
/// In the command's arguments `{prompt}` stands for the prompt, `{prompt_file}` for a file that
/// holds it, `{model}` for the model's name (empty if none). A command with neither of the first
/// two gets the prompt on standard input. It also finds `NIGHTSHIFT_PROMPT_FILE`,
/// `NIGHTSHIFT_MODEL_URL`, `NIGHTSHIFT_MODEL_KEY`, `NIGHTSHIFT_ROUND` and `NIGHTSHIFT_REPAIR` in its environment.
#[derive(Debug, Clone, Copy)]
pub struct Command;

impl Harness for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn resumes(&self) -> bool {
        false
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        if order.command.first().is_none_or(String::is_empty) {
            return Err(PlanError::NoCommand);
        }
        let uses = |name: &str| order.command.iter().any(|part| part.contains(name));
        let by_argument = uses("{prompt}");
        if by_argument && order.prompt.contains('\0') {
            return Err(PlanError::PromptNul);
        }
        let prompt_file = order.paths.control.join("prompt.md");
        let prompt_file = prompt_file.to_string_lossy();
        let model = order.model.as_deref().unwrap_or_default();
        let argv: Vec<OsString> = order
            .command
            .iter()
            .map(|part| fill(part, &order.prompt, &prompt_file, model).into())
            .collect();
        if by_argument && argv.iter().any(|part| part.len() > MAX_ARGUMENT_BYTES) {
            return Err(PlanError::PromptTooLong {
                bytes: order.prompt.len(),
                limit: MAX_ARGUMENT_BYTES,
            });
        }
        let stdin = if by_argument || uses("{prompt_file}") {
            Stdin::Null
        } else {
            Stdin::Prompt
        };
        Ok(Invocation::new(argv, stdin)
            .with_env("NIGHTSHIFT_PROMPT_FILE", prompt_file)
            .with_env("NIGHTSHIFT_MODEL_URL", &order.model_base_url)
            .with_env("NIGHTSHIFT_MODEL_KEY", &order.model_key)
            .with_env("NIGHTSHIFT_ROUND", order.round.to_string())
            .with_env("NIGHTSHIFT_REPAIR", order.repair.to_string()))
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(Lines {
            program: order.command.first().cloned().unwrap_or_default(),
            stdout: Tail::default(),
            stderr: Tail::default(),
        })
    }
}

/// Replaces the placeholders in one pass, so that a prompt that contains one is left alone.
fn fill(part: &str, prompt: &str, prompt_file: &str, model: &str) -> String {
    let mut filled = String::new();
    let mut rest = part;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [
            ("{prompt}", prompt),
            ("{prompt_file}", prompt_file),
            ("{model}", model),
        ]
        .into_iter()
        .find(|(name, _)| rest.starts_with(name));
        let (name, value) = known.unwrap_or(("{", "{"));
        filled.push_str(value);
        rest = &rest[name.len()..];
    }
    filled + rest
}

#[derive(Debug)]
struct Lines {
    program: String,
    stdout: Tail,
    stderr: Tail,
}

impl EventParser for Lines {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        match stream {
            Stream::Stdout => self.stdout.see(line),
            Stream::Stderr => self.stderr.see(line),
        }
        vec![output(stream, line)]
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let words = self.stderr.last().or(self.stdout.last());
        AgentOutcome {
            session: None,
            usage: Usage::default(),
            final_text: self.stdout.last().map(str::to_owned),
            failure: fault::of_end(&self.program, exit, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(command: &[&str]) -> AgentOrder {
        let mut order = AgentOrder::new("say {model}", "");
        order.command = command.iter().map(|part| (*part).to_owned()).collect();
        order.model = Some("m".to_owned());
        order
    }

    #[test]
    fn the_prompt_goes_where_the_command_says() {
        for (command, argv, stdin) in [
            (&["a", "-q"][..], &["a", "-q"][..], Stdin::Prompt),
            (
                &["a", "--p={prompt}"],
                &["a", "--p=say {model}"],
                Stdin::Null,
            ),
            (
                &["a", "{prompt_file}", "{model}", "{x} {"],
                &["a", "/nightshift/prompt.md", "m", "{x} {"],
                Stdin::Null,
            ),
        ] {
            let plan = Command.plan(&order(command)).expect("a plan");
            assert_eq!(plan.argv, argv);
            assert_eq!(plan.stdin, stdin);
        }
    }

    #[test]
    fn what_cannot_be_an_argument_is_refused() {
        assert_eq!(Command.plan(&order(&[])), Err(PlanError::NoCommand));
        assert_eq!(Command.plan(&order(&[""])), Err(PlanError::NoCommand));
        let mut long = order(&["a", "{prompt}"]);
        long.prompt = "x".repeat(MAX_ARGUMENT_BYTES + 1);
        let error = Command.plan(&long).expect_err("too long");
        assert!(error.to_string().contains("{prompt_file}"), "{error}");
        let mut nul = order(&["a", "{prompt}"]);
        nul.prompt = "\0".to_owned();
        assert_eq!(Command.plan(&nul), Err(PlanError::PromptNul));
    }

    #[test]
    fn a_code_other_than_zero_is_a_failure_with_the_last_words() {
        let mut parser = Command.parser(&order(&["a"]));
        parser.line(Stream::Stdout, b"Did it.");
        parser.line(Stream::Stderr, b"a: disk full");
        parser.line(Stream::Stderr, b"");
        let outcome = parser.finish(Exit::Code(2));
        assert_eq!(outcome.final_text.as_deref(), Some("Did it."));
        assert_eq!(
            outcome.failure.expect("a failure").to_string(),
            "the agent program failed: it exited with code 2: a: disk full"
        );
    }
}
