//! Agents of a project: identities with a harness.
//!
//! The agent `script` is always there. Deliberately absent: what a harness does with its program (the
//! runner's facts), endpoints and keys.

use serde::{Deserialize, Serialize};

use super::{DEFAULT_AGENT, Span, is_name, quoted};
use crate::sentence::Sentence;
use crate::told::settings as say;

/// The limit of a run that names none, in seconds.
const TIMEOUT_S: u64 = 3_600;

/// An agent: an identity with a harness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name, unique in the project.
    pub name: String,
    /// The adapter that drives its program.
    pub harness: Harness,
    /// The model it asks for, where its program takes one.
    pub model: Option<String>,
    /// Standing instructions, put before every issue.
    pub instructions: Option<String>,
    /// For the harnesses `command` and `acp`: the command line.
    pub command: Option<String>,
    /// For the `acp` harness: the mode that the agent is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// For the `command` harness: how it takes the prompt.
    pub prompt: PromptBy,
    /// The limit of a run's wall-clock time, in seconds.
    pub timeout_s: u64,
}

/// The adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harness {
    /// Runs the fenced shell blocks of the issue; needs no model.
    Script,
    /// Runs any program.
    Command,
    /// The built-in agent.
    Native,
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
    /// Qwen Code.
    Qwen,
    /// GitHub Copilot's command line, with a model of one's own.
    Copilot,
    /// Any program that speaks the Agent Client Protocol.
    Acp,
}

impl Harness {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Script,
        Self::Command,
        Self::Native,
        Self::ClaudeCode,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Qwen,
        Self::Copilot,
        Self::Acp,
    ];
    /// Those that drive one certain program, which speaks to a model.
    pub const WITH_PROGRAM: [Self; 6] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Qwen,
        Self::Copilot,
    ];
    /// Those that speak to a model by themselves.
    pub const WITH_MODEL: [Self; 7] = [
        Self::Native,
        Self::ClaudeCode,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Qwen,
        Self::Copilot,
    ];

    /// The word used in settings and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Command => "command",
            Self::Native => "native",
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Qwen => "qwen",
            Self::Copilot => "copilot",
            Self::Acp => "acp",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether telling it what failed can lead to another result.
    #[must_use]
    pub fn can_repair(self) -> bool {
        match self {
            Self::Script => false,
            Self::Command
            | Self::Native
            | Self::ClaudeCode
            | Self::Codex
            | Self::Gemini
            | Self::Opencode
            | Self::Qwen
            | Self::Copilot
            | Self::Acp => true,
        }
    }

    /// Whether its program is given the platform's tools.
    #[must_use]
    pub fn takes_tools(self) -> bool {
        match self {
            Self::Native
            | Self::ClaudeCode
            | Self::Codex
            | Self::Opencode
            | Self::Copilot
            | Self::Acp => true,
            // The last two start no server in a tree that they are told not to trust.
            Self::Script | Self::Command | Self::Gemini | Self::Qwen => false,
        }
    }
}

/// How the `command` harness hands the prompt over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptBy {
    /// On standard input.
    #[default]
    Stdin,
    /// As an argument, at `{prompt}`.
    Argument,
    /// As a file, whose path stands at `{prompt_file}`.
    File,
}

impl Agent {
    /// The agent that is always there.
    #[must_use]
    pub fn script() -> Self {
        Self {
            name: DEFAULT_AGENT.to_owned(),
            harness: Harness::Script,
            model: None,
            instructions: None,
            command: None,
            mode: None,
            prompt: PromptBy::Stdin,
            timeout_s: TIMEOUT_S,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAgent {
    name: toml::Spanned<String>,
    harness: Harness,
    model: Option<String>,
    instructions: Option<String>,
    command: Option<String>,
    #[serde(default)]
    prompt: PromptBy,
    mode: Option<String>,
    timeout: Option<Span>,
}

/// What is wrong with an agent, and where.
pub(super) struct BadAgent {
    /// The key, where it is not the one at the place.
    pub(super) field: Option<String>,
    /// The place in the text.
    pub(super) span: std::ops::Range<usize>,
    /// What is wrong and what is expected.
    pub(super) said: Sentence,
}

impl FileAgent {
    /// The agent at this place of the list, behind those that are `known`; the first of them is always
    /// there and may be defined anew.
    pub(super) fn check(self, at: usize, known: &[Agent]) -> Result<Agent, BadAgent> {
        let name = self.name.get_ref().clone();
        let span = self.name.span();
        let bad = |field: Option<&str>, said: Sentence| BadAgent {
            field: field.map(|key| format!("agent[{at}].{key}")),
            span: span.clone(),
            said,
        };
        if !is_name(&name) {
            return Err(bad(None, say::agent_name(quoted(&name))));
        }
        if known.iter().skip(1).any(|known| known.name == name) {
            return Err(bad(None, say::agent_twice(quoted(&name))));
        }
        let commanded = matches!(self.harness, Harness::Command | Harness::Acp);
        if commanded != self.command.is_some() {
            return Err(bad(Some("command"), say::agent_command()));
        }
        let model = self.model.as_deref().unwrap_or_default();
        if self.harness == Harness::Native && model.trim().is_empty() {
            return Err(bad(Some("model"), say::agent_model()));
        }
        Ok(Agent {
            name,
            harness: self.harness,
            model: self.model,
            instructions: self.instructions,
            command: self.command,
            mode: self.mode,
            prompt: self.prompt,
            timeout_s: self.timeout.map_or(TIMEOUT_S, |span| span.0),
        })
    }
}
