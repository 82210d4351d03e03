//! What a request to a model says, whatever its protocol.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The protocol of a request, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Anthropic Messages.
    Anthropic,
    /// `OpenAI` Responses.
    Responses,
    /// `OpenAI` Chat Completions.
    Chat,
    /// Google's Gemini.
    Gemini,
    /// Anthropic's or Gemini's count of tokens.
    CountTokens,
    /// Anything else.
    Other,
}

/// A request, as far as an answer depends on it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) protocol: Protocol,
    pub(super) body: Value,
    /// The names of the tools it offers.
    pub(super) tools: Vec<String>,
    /// The assistant's turns since the last prompt.
    pub(super) turn: usize,
    /// The last prompt: what a user said that is not a tool's result.
    pub(super) prompt: String,
    /// How many items the conversation has.
    pub(super) items: usize,
}

impl Asked {
    pub(super) fn read(path: &str, body: &[u8]) -> Self {
        let protocol = if path.ends_with("/messages/count_tokens") || path.ends_with(":countTokens")
        {
            Protocol::CountTokens
        } else if path.ends_with("/messages") {
            Protocol::Anthropic
        } else if path.ends_with("/responses") {
            Protocol::Responses
        } else if path.ends_with("/chat/completions") {
            Protocol::Chat
        } else if path.to_ascii_lowercase().ends_with("generatecontent") {
            Protocol::Gemini
        } else {
            Protocol::Other
        };
        let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
        if protocol == Protocol::Gemini && body.is_object() {
            // It says these two in the address.
            let model = path.rsplit('/').next().unwrap_or_default();
            let (model, call) = model.split_once(':').unwrap_or((model, ""));
            body["model"] = model.into();
            body["stream"] = call.starts_with("stream").into();
        }
        let mut asked = Self {
            protocol,
            tools: tools(&body),
            body,
            turn: 0,
            prompt: String::new(),
            items: 0,
        };
        asked.follow();
        asked
    }

    pub(super) fn offers_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    pub(super) fn streams(&self) -> bool {
        self.body["stream"] == Value::Bool(true)
    }

    pub(super) fn model(&self) -> &Value {
        &self.body["model"]
    }

    /// Walks the conversation for the last prompt and the turns since.
    fn follow(&mut self) {
        let conversation = match self.protocol {
            Protocol::Responses => &self.body["input"],
            Protocol::Gemini => &self.body["contents"],
            _ => &self.body["messages"],
        };
        if let Some(prompt) = conversation.as_str() {
            self.prompt = prompt.to_owned();
            self.items = 1;
            return;
        }
        let Some(items) = conversation.as_array() else {
            return;
        };
        self.items = items.len();
        for item in items {
            let role = item["role"].as_str().unwrap_or_default();
            let kind = item["type"].as_str().unwrap_or("message");
            match self.protocol {
                // Words beside a call are an item of their own; the call is the turn.
                Protocol::Responses if kind.ends_with("_call") => self.turn += 1,
                Protocol::Responses if kind != "message" => {}
                Protocol::Responses if role == "assistant" => {}
                Protocol::Gemini if role == "model" => self.turn += 1,
                Protocol::Gemini if answers(&item["parts"]) => {}
                Protocol::Gemini => {
                    self.turn = 0;
                    self.prompt = words(&item["parts"]);
                }
                _ if role == "assistant" => self.turn += 1,
                _ if role == "user" && !is_result(&item["content"]) => {
                    self.turn = 0;
                    self.prompt = words(&item["content"]);
                }
                _ => {}
            }
        }
    }
}

fn tools(body: &Value) -> Vec<String> {
    body["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|tool| match tool["functionDeclarations"].as_array() {
            Some(declared) => declared.iter().collect(),
            None => vec![tool],
        })
        .filter_map(|tool| {
            [&tool["name"], &tool["function"]["name"], &tool["type"]]
                .into_iter()
                .find_map(Value::as_str)
        })
        .map(str::to_owned)
        .collect()
}

fn is_result(content: &Value) -> bool {
    content
        .as_array()
        .is_some_and(|parts| parts.iter().any(|part| part["type"] == "tool_result"))
}

/// Whether these parts of a message are what a tool answered, as Gemini has it.
fn answers(parts: &Value) -> bool {
    parts
        .as_array()
        .is_some_and(|parts| parts.iter().any(|part| !part["functionResponse"].is_null()))
}

/// The words of a message, without what a program adds to the person's.
fn words(content: &Value) -> String {
    match content {
        Value::String(words) => words.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .filter(|text| !text.starts_with("<system-reminder>"))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}
