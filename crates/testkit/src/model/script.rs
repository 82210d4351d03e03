//! The script a model server plays. It can be written as JSON, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::Asked;

/// What a model server plays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The answers to a prompt no rule matches, one per assistant turn. The last one is repeated.
    pub steps: Vec<Step>,
    /// Other answers for certain prompts. The first that matches is played.
    pub rules: Vec<Rule>,
    /// What goes wrong. The first that strikes counts.
    pub faults: Vec<Fault>,
    /// The answer to a request that offers no tools: programs ask for titles and summaries.
    pub side: String,
    /// The tokens each answer reports.
    pub usage: Tokens,
    /// The credential a request must bring; any, if none.
    pub key: Option<String>,
}

/// Answers for certain prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Played when the last prompt contains this.
    pub when_prompt_contains: String,
    /// The answers, one per assistant turn since that prompt.
    pub steps: Vec<Step>,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Words.
    pub text: String,
    /// A shell command, called with whatever shell tool the request offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// The tool to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub args: Value,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// At which assistant turn since the last prompt.
    pub at: usize,
    /// How many requests it strikes.
    pub times: u32,
    /// Only when the last prompt contains this.
    pub when_prompt_contains: Option<String>,
    /// Answer with this status and no answer.
    pub status: Option<u16>,
    /// Headers of that answer.
    pub headers: BTreeMap<String, String>,
    /// Body of that answer, instead of the usual one for the status.
    pub body: Option<Value>,
    /// Wait before answering, in milliseconds.
    pub delay_ms: Option<u64>,
    /// Break the connection in the middle of the answer.
    pub cut: bool,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            at: 0,
            times: 1,
            when_prompt_contains: None,
            status: None,
            headers: BTreeMap::new(),
            body: None,
            delay_ms: None,
            cut: false,
        }
    }
}

/// The tokens one answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Sent in all.
    pub input: u64,
    /// Of those, read from a cache.
    pub cached: u64,
    /// Produced.
    pub output: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            input: 1200,
            cached: 1000,
            output: 34,
        }
    }
}

impl Script {
    /// A script with these answers.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            side: "A title".to_owned(),
            ..Self::default()
        }
    }

    /// The same, with other answers to a prompt that contains `words`.
    #[must_use]
    pub fn when(mut self, words: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        self.rules.push(Rule {
            when_prompt_contains: words.to_owned(),
            steps: steps.into_iter().collect(),
        });
        self
    }

    /// The same, with a fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The same, with a credential that is asked for.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(super) fn step(&self, asked: &Asked) -> Step {
        if !asked.offers_tools() {
            return Step::say(&self.side);
        }
        let steps = self
            .rules
            .iter()
            .find(|rule| asked.prompt.contains(&rule.when_prompt_contains))
            .map_or(&self.steps, |rule| &rule.steps);
        steps
            .get(asked.turn)
            .or(steps.last())
            .cloned()
            .unwrap_or_else(|| Step::say("The script has no step for this."))
    }
}

impl Step {
    /// Words alone: the end of a turn.
    pub fn say(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// Words and a shell command.
    pub fn shell(text: &str, command: &str) -> Self {
        Self {
            shell: Some(command.to_owned()),
            ..Self::say(text)
        }
    }

    /// Words and a tool call.
    pub fn tool(text: &str, tool: &str, args: Value) -> Self {
        Self {
            tool: Some(tool.to_owned()),
            args,
            ..Self::say(text)
        }
    }
}

impl Fault {
    /// Every first request of a prompt fails with this status.
    pub fn always(status: u16) -> Self {
        Self {
            times: u32::MAX,
            status: Some(status),
            ..Self::default()
        }
    }

    /// The same, with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn strikes(&self, asked: &Asked) -> bool {
        asked.offers_tools()
            && self.at == asked.turn
            && self
                .when_prompt_contains
                .as_ref()
                .is_none_or(|words| asked.prompt.contains(words))
    }
}
