//! What a model call used, read from the provider's own answer as it goes by.
//!
//! Invariants: an answer is looked at and not changed; what is kept of it has a bound; a stream that
//! is cut counts with what was seen of it. Deliberately absent: counting tokens of our own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest event, and the longest answer in one piece, that is looked at.
const MOST: usize = 16 << 20;

/// The interfaces of model providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Anthropic's Messages.
    Anthropic,
    /// `OpenAI`'s Responses and Chat Completions, and everything that speaks as they do.
    #[serde(rename = "openai")]
    OpenAi,
    /// Google's Gemini.
    Gemini,
}

impl Dialect {
    /// The word in settings and in the path inside a sandbox.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        }
    }
}

/// What one call used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// The model, as the answer names it.
    pub(super) model: String,
    /// Whether the answer said anything of tokens.
    pub(super) measured: bool,
    /// Tokens sent, neither read from a cache nor written to one.
    pub(super) input: u64,
    /// Tokens written to a cache.
    pub(super) written: u64,
    /// Tokens read from a cache.
    pub(super) cached: u64,
    /// Tokens produced.
    pub(super) output: u64,
}

/// Reads one answer as it comes.
pub(super) struct Meter {
    dialect: Dialect,
    events: bool,
    kept: Vec<u8>,
    /// An event that is too long is left out whole.
    skips: bool,
    used: Used,
}

impl Meter {
    /// `events` says whether the answer is a stream of events.
    pub(super) fn new(dialect: Dialect, events: bool) -> Self {
        Self {
            dialect,
            events,
            kept: Vec::new(),
            skips: false,
            used: Used::default(),
        }
    }

    /// Looks at the next bytes.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        if !self.events {
            if self.kept.len() + bytes.len() <= MOST {
                self.kept.extend_from_slice(bytes);
            } else {
                self.skips = true;
            }
            return;
        }
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.keep(&rest[..end]);
            self.line();
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// What was used, as far as it was seen.
    pub(super) fn finish(mut self) -> Used {
        if self.events {
            self.line();
        } else if !self.skips
            && let Ok(answer) = serde_json::from_slice::<Value>(&self.kept)
        {
            match &answer {
                Value::Array(parts) => parts.iter().for_each(|part| self.read(part)),
                answer => self.read(answer),
            }
        }
        self.used
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.kept.len() + bytes.len() <= MOST {
            self.kept.extend_from_slice(bytes);
        } else {
            self.skips = true;
        }
    }

    fn line(&mut self) {
        let line = std::mem::take(&mut self.kept);
        if std::mem::take(&mut self.skips) {
            return;
        }
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        // Most events are pieces of text and say nothing of what is used.
        let told = |word: &[u8]| data.windows(word.len()).any(|part| part == word);
        if (told(b"\"usage") || told(b"\"model"))
            && let Ok(event) = serde_json::from_slice::<Value>(data)
        {
            self.read(&event);
        }
    }

    fn read(&mut self, said: &Value) {
        match self.dialect {
            Dialect::Anthropic => self.anthropic(said),
            Dialect::OpenAi => self.openai(said),
            Dialect::Gemini => self.gemini(said),
        }
    }

    fn model(&mut self, name: &Value) {
        if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
            self.used.model = name.chars().take(100).collect();
        }
    }

    /// The start of a message carries what went in, each change the sum of what came out so far.
    fn anthropic(&mut self, said: &Value) {
        let message = said.get("message").unwrap_or(said);
        self.model(&message["model"]);
        let Value::Object(usage) = &message["usage"] else {
            return;
        };
        self.used.measured = true;
        let number = |name: &str| usage.get(name).and_then(Value::as_u64);
        let used = &mut self.used;
        for (place, name) in [
            (&mut used.input, "input_tokens"),
            (&mut used.written, "cache_creation_input_tokens"),
            (&mut used.cached, "cache_read_input_tokens"),
            (&mut used.output, "output_tokens"),
        ] {
            *place = number(name).unwrap_or(0).max(*place);
        }
    }

    /// Both interfaces count cached tokens as a part of those that went in.
    fn openai(&mut self, said: &Value) {
        let answer = said.get("response").unwrap_or(said);
        self.model(&answer["model"]);
        let usage = &answer["usage"];
        if !usage.is_object() {
            return;
        }
        let number = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
        let sent = number(["prompt_tokens", "input_tokens"]).unwrap_or(0);
        let cached = ["prompt_tokens_details", "input_tokens_details"]
            .iter()
            .find_map(|name| usage[*name]["cached_tokens"].as_u64());
        self.used.measured = true;
        self.used.cached = cached.unwrap_or(0).min(sent);
        self.used.input = sent - self.used.cached;
        self.used.output = number(["completion_tokens", "output_tokens"]).unwrap_or(0);
    }

    /// Each part of a stream carries the sum so far.
    fn gemini(&mut self, said: &Value) {
        self.model(&said["modelVersion"]);
        let usage = &said["usageMetadata"];
        if !usage.is_object() {
            return;
        }
        let number = |name: &str| usage[name].as_u64().unwrap_or(0);
        let sent = number("promptTokenCount") + number("toolUsePromptTokenCount");
        self.used.measured = true;
        self.used.cached = number("cachedContentTokenCount").min(sent);
        self.used.input = sent - self.used.cached;
        self.used.output = number("candidatesTokenCount") + number("thoughtsTokenCount");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(model: &str, [input, written, cached, output]: [u64; 4]) -> Used {
        Used {
            model: model.to_owned(),
            measured: true,
            input,
            written,
            cached,
            output,
        }
    }

    fn read(dialect: Dialect, events: bool, text: &str) -> Used {
        let mut whole = Meter::new(dialect, events);
        whole.see(text.as_bytes());
        let whole = whole.finish();
        let mut bytes = Meter::new(dialect, events);
        for byte in text.as_bytes() {
            bytes.see(&[*byte]);
        }
        assert_eq!(bytes.finish(), whole, "the same however it arrives");
        whole
    }

    const MESSAGE: &str = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"m","model":"claude-x","usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","delta":{"text":"\"usage\": {}"}}"#,
        "\n\nevent: message_delta\r\n",
        r#"data: {"type":"message_delta","delta":{},"usage":{"output_tokens":44}}"#,
        "\r\n\r\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    #[test]
    fn anthropic_says_what_it_used() {
        assert_eq!(
            read(Dialect::Anthropic, true, MESSAGE),
            used("claude-x", [10, 20, 30, 44])
        );
        // Cut in the middle: what was seen counts.
        let cut = MESSAGE.find("event: message_delta").expect("there");
        assert_eq!(
            read(Dialect::Anthropic, true, &MESSAGE[..cut]),
            used("claude-x", [10, 20, 30, 1])
        );
        let whole = r#"{"model":"claude-x","usage":{"input_tokens":5,"output_tokens":6}}"#;
        assert_eq!(
            read(Dialect::Anthropic, false, whole),
            used("claude-x", [5, 0, 0, 6])
        );
    }

    #[test]
    fn openai_says_what_it_used() {
        let responses = concat!(
            r#"data: {"type":"response.created","response":{"model":"gpt-x","usage":null}}"#,
            "\n\n",
            r#"data: {"type":"response.completed","response":{"model":"gpt-x","usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":7}}}"#,
            "\n\n",
        );
        assert_eq!(
            read(Dialect::OpenAi, true, responses),
            used("gpt-x", [40, 0, 60, 7])
        );
        let chat = concat!(
            r#"data: {"model":"gpt-y","choices":[{"delta":{"content":"a"}}],"usage":null}"#,
            "\n\n",
            r#"data: {"model":"gpt-y","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}"#,
            "\n\ndata: [DONE]\n\n",
        );
        assert_eq!(
            read(Dialect::OpenAi, true, chat),
            used("gpt-y", [5, 0, 4, 3])
        );
        let none = read(Dialect::OpenAi, true, "data: {\"model\":\"gpt-y\"}\n\n");
        assert!(!none.measured && none.model == "gpt-y", "{none:?}");
    }

    #[test]
    fn gemini_says_what_it_used() {
        let parts = r#"{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":1}}
{"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":8,"cachedContentTokenCount":5,"candidatesTokenCount":4,"thoughtsTokenCount":2}}"#;
        let events: String = parts
            .lines()
            .map(|part| format!("data: {part}\r\n\r\n"))
            .collect();
        let wanted = used("gemini-x", [3, 0, 5, 6]);
        assert_eq!(read(Dialect::Gemini, true, &events), wanted);
        let array = format!("[{}]", parts.replace('\n', ","));
        assert_eq!(read(Dialect::Gemini, false, &array), wanted);
    }

    #[test]
    fn what_is_no_answer_measures_nothing() {
        for text in [
            "",
            "data:",
            "data: {",
            "{}",
            "[]",
            "\"usage\"",
            "data: {\"usage\":7}\n",
        ] {
            for dialect in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Gemini] {
                assert!(!read(dialect, true, text).measured, "{text}");
                assert!(!read(dialect, false, text).measured, "{text}");
            }
        }
    }
}
