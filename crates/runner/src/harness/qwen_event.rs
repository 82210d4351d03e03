//! The events of `qwen --output-format stream-json`: shaped as those of Claude Code, with other facts.
//!
//! Facts this rests on: the usage of a result is the sum of the whole session, and its input contains what
//! was cached; a failed model call is said by the program in the model's place, as `[API Error: ...]`;
//! while it repeats one, only standard error says why, and it may wait for minutes.

use std::time::Duration;

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

use super::EventParser;
use super::fault;
use super::line::{
    MAX_TEXT_BYTES, Tail, output, plus, shorten, shorten_input, since, status, text,
};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// How long it may be silent after a failed model call.
const PATIENCE: Duration = Duration::from_secs(600);

/// Reads one start of Qwen Code.
#[derive(Debug)]
pub(super) struct QwenParser {
    before: Usage,
    session: Option<String>,
    /// Usage of the model's messages so far, for a run that ends without a result.
    messages: Usage,
    answered: bool,
    last_text: Option<String>,
    /// The last model call that failed and was not followed by one that worked.
    fault: Option<AgentFailure>,
    lost: Option<String>,
    result: Option<Value>,
    stderr: Tail,
}

impl QwenParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            session: resumed.map(|s| s.id),
            messages: Usage::default(),
            answered: false,
            last_text: None,
            fault: None,
            lost: None,
            result: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        match (text(event, "type"), text(event, "subtype")) {
            ("system", "init") => {
                self.session = Some(text(event, "session_id").to_owned());
                Some(vec![status(format!(
                    "Qwen Code {}, model {}, session {}",
                    text(event, "qwen_code_version"),
                    text(event, "model"),
                    text(event, "session_id"),
                ))])
            }
            ("system", _) | ("stream_event", _) => Some(Vec::new()),
            ("assistant", _) => Some(self.assistant(&event["message"])),
            ("user", _) => Some(results(&event["message"]["content"])),
            ("result", _) => {
                self.result = Some(event.clone());
                Some(vec![Entry::Usage(self.usage().0)])
            }
            _ => None,
        }
    }

    fn assistant(&mut self, message: &Value) -> Vec<Entry> {
        let mut entries = Vec::new();
        for part in message["content"].as_array().into_iter().flatten() {
            match text(part, "type") {
                "text" => {
                    let words = shorten(text(part, "text"), MAX_TEXT_BYTES);
                    if words.starts_with("[API Error:") {
                        self.fault = fault::of_words(&words);
                        entries.push(status(words));
                        continue;
                    }
                    self.last_text = Some(words.clone());
                    entries.push(Entry::Text { text: words });
                }
                "tool_use" => entries.push(Entry::ToolCall {
                    id: text(part, "id").to_owned(),
                    tool: text(part, "name").to_owned(),
                    input: shorten_input(part["input"].clone()),
                }),
                _ => continue,
            }
            self.answered = true;
            self.fault = None;
        }
        self.messages = plus(self.messages, tokens(&message["usage"]));
        entries
    }

    /// This start's usage, and the session's as a whole.
    fn usage(&self) -> (Usage, Usage) {
        match &self.result {
            Some(result) => {
                let sum = tokens(&result["usage"]);
                (since(self.before, sum), sum)
            }
            None => (self.messages, plus(self.before, self.messages)),
        }
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        if let Some(detail) = &self.lost {
            return Some(AgentFailure::SessionLost {
                detail: detail.clone(),
            });
        }
        let words = self.stderr.last();
        let Some(result) = &self.result else {
            return match exit {
                Exit::Stopped => self.fault.clone(),
                _ => self
                    .fault
                    .clone()
                    .or_else(|| fault::of_end("qwen", exit, words))
                    .or_else(|| {
                        Some(AgentFailure::Crashed {
                            detail: say::no_result().into(),
                        })
                    }),
            };
        };
        if text(result, "subtype") == "success" && result["is_error"] == Value::Bool(false) {
            return fault::of_end("qwen", exit, words);
        }
        if exit == Exit::Stopped {
            return self.fault.clone();
        }
        let said = text(&result["error"], "message");
        let said = if said.is_empty() {
            text(result, "subtype")
        } else {
            said
        };
        let detail = shorten(said, 2 << 10);
        if text(result, "subtype").starts_with("error_max") {
            return Some(AgentFailure::BudgetExhausted {
                detail: detail.into(),
            });
        }
        Some(fault::of_words(&detail).unwrap_or(AgentFailure::Crashed {
            detail: detail.into(),
        }))
    }
}

impl EventParser for QwenParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            let words = String::from_utf8_lossy(line);
            if words.starts_with("Retrying in ") {
                self.fault = fault::of_words(&words);
            } else if words.starts_with("No saved session found") {
                self.lost = Some(shorten(&words, 2 << 10));
            }
            return vec![output(stream, line)];
        }
        serde_json::from_slice(line)
            .ok()
            .and_then(|event: Value| self.event(&event))
            .unwrap_or_else(|| vec![output(stream, line)])
    }

    fn patience(&self) -> Option<Duration> {
        self.fault.as_ref().map(|_| PATIENCE)
    }

    fn can_resume(&self) -> bool {
        self.session.is_some() && self.answered
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let (usage, totals) = self.usage();
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .session
                .as_deref()
                .and_then(|id| Session::from_program(id, totals)),
        };
        let said = self
            .result
            .as_ref()
            .filter(|_| failure.is_none())
            .and_then(|result| result["result"].as_str())
            .filter(|words| !words.is_empty())
            .map(|words| shorten(words, MAX_TEXT_BYTES));
        AgentOutcome {
            session,
            usage,
            final_text: said.or(self.last_text),
            failure,
        }
    }
}

fn results(content: &Value) -> Vec<Entry> {
    content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|part| text(part, "type") == "tool_result")
        .map(|part| {
            let said = match &part["content"] {
                Value::String(words) => words.clone(),
                other => other.to_string(),
            };
            Entry::ToolResult {
                id: text(part, "tool_use_id").to_owned(),
                is_error: part["is_error"] == Value::Bool(true),
                output: shorten(&said, MAX_TEXT_BYTES),
            }
        })
        .collect()
}

fn tokens(usage: &Value) -> Usage {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cached = count("cache_read_input_tokens");
    Usage {
        input_tokens: count("input_tokens").saturating_sub(cached),
        cached_input_tokens: cached,
        output_tokens: count("output_tokens"),
        cost_micro_usd: None,
    }
}
