//! The events of `claude --output-format stream-json`.
//!
//! Facts this rests on: the word "success" in a result also stands beside an API failure, so
//! only `is_error` and the exit code count; `modelUsage` and `total_cost_usd` are sums over all
//! resumes of the session; a program ended by SIGTERM prints no result.

use std::collections::BTreeMap;

use jiff::Timestamp;
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

/// Reads one start of Claude Code.
#[derive(Debug)]
pub(super) struct ClaudeParser {
    before: Usage,
    session: Option<String>,
    /// Usage of each model message so far, for a run that ends without a result.
    messages: BTreeMap<String, Usage>,
    last_text: Option<String>,
    /// The last model call that failed and was not followed by one that worked.
    fault: Option<AgentFailure>,
    resets_at: Option<Timestamp>,
    result: Option<Value>,
    stderr: Tail,
}

impl ClaudeParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            session: resumed.map(|s| s.id),
            messages: BTreeMap::new(),
            last_text: None,
            fault: None,
            resets_at: None,
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
                    "Claude Code {}, model {}, session {}",
                    text(event, "claude_code_version"),
                    text(event, "model"),
                    text(event, "session_id"),
                ))])
            }
            ("system", "api_retry") => Some(vec![self.retry(event)]),
            ("system", "compact_boundary") => {
                Some(vec![status("the conversation was compacted".to_owned())])
            }
            ("system", _) | ("stream_event", _) => Some(Vec::new()),
            ("rate_limit_event", _) => Some(self.rate_limit(&event["rate_limit_info"])),
            ("assistant", _) => Some(self.assistant(event)),
            ("user", _) => Some(tool_results(&event["message"]["content"])),
            ("result", _) => {
                self.result = Some(event.clone());
                Some(vec![Entry::Usage(self.usage().0)])
            }
            _ => None,
        }
    }

    fn retry(&mut self, event: &Value) -> Entry {
        let code = event["error_status"].as_u64();
        let error = text(event, "error");
        let detail = match code {
            Some(code) => format!("HTTP status {code} ({error})"),
            None => error.to_owned(),
        };
        self.fault = Some(
            code.and_then(|code| fault::of_status(code, &detail))
                .unwrap_or_else(|| AgentFailure::Overloaded {
                    detail: detail.clone(),
                }),
        );
        status(format!(
            "the model call failed: {detail}; try {} of {} in {} ms",
            event["attempt"], event["max_retries"], event["retry_delay_ms"],
        ))
    }

    fn rate_limit(&mut self, info: &Value) -> Vec<Entry> {
        let state = text(info, "status");
        if let Some(at) = info["resetsAt"].as_i64() {
            self.resets_at = Timestamp::from_second(at).ok();
        }
        if state == "allowed" {
            return Vec::new();
        }
        let until = match self.resets_at {
            Some(at) => format!(", resets at {at}"),
            None => String::new(),
        };
        vec![status(format!(
            "rate limit of the model's provider: {state}{until}"
        ))]
    }

    fn assistant(&mut self, event: &Value) -> Vec<Entry> {
        let message = &event["message"];
        // What the program itself writes in the model's place, about a failed call.
        let synthetic = text(message, "model") == "<synthetic>";
        if !synthetic {
            self.fault = None;
            self.messages.insert(
                text(message, "id").to_owned(),
                tokens(&message["usage"], &CALL),
            );
        }
        let mut entries = Vec::new();
        for part in message["content"].as_array().into_iter().flatten() {
            match text(part, "type") {
                "text" => {
                    let words = shorten(text(part, "text"), MAX_TEXT_BYTES);
                    if synthetic {
                        entries.push(status(words));
                    } else {
                        self.last_text = Some(words.clone());
                        entries.push(Entry::Text { text: words });
                    }
                }
                "tool_use" => entries.push(Entry::ToolCall {
                    id: text(part, "id").to_owned(),
                    tool: text(part, "name").to_owned(),
                    input: shorten_input(part["input"].clone()),
                }),
                _ => {}
            }
        }
        entries
    }

    /// This start's usage, and the session's as a whole.
    fn usage(&self) -> (Usage, Usage) {
        let models = self
            .result
            .as_ref()
            .and_then(|result| result["modelUsage"].as_object())
            .filter(|models| !models.is_empty());
        match (models, &self.result) {
            (Some(models), Some(result)) => {
                let mut sum = models
                    .values()
                    .map(|model| tokens(model, &SUM))
                    .fold(Usage::default(), plus);
                sum.cost_micro_usd = micro_usd(&result["total_cost_usd"]);
                (since(self.before, sum), sum)
            }
            _ => {
                let run = self.messages.values().copied().fold(Usage::default(), plus);
                (run, plus(self.before, run))
            }
        }
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        let Some(result) = &self.result else {
            let words = self.stderr.last();
            return match exit {
                Exit::Stopped => self.fault.clone(),
                _ => lost(words.unwrap_or_default())
                    .or_else(|| self.fault.clone())
                    .or_else(|| fault::of_end("claude", exit, words))
                    .or_else(|| {
                        Some(AgentFailure::Crashed {
                            detail: say::no_result().into(),
                        })
                    }),
            };
        };
        let subtype = text(result, "subtype");
        if subtype == "success" && result["is_error"] == Value::Bool(false) {
            return fault::of_end("claude", exit, self.stderr.last());
        }
        if exit == Exit::Stopped {
            return self.fault.clone();
        }
        let detail = match result["errors"].as_array() {
            Some(errors) => errors
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("; "),
            None => text(result, "result").to_owned(),
        };
        let detail = if detail.is_empty() {
            subtype.to_owned()
        } else {
            shorten(&detail, 2 << 10)
        };
        Some(self.classify(result, subtype, detail))
    }

    fn classify(&self, result: &Value, subtype: &str, detail: String) -> AgentFailure {
        if let Some(lost) = lost(&detail) {
            return lost;
        }
        if matches!(subtype, "error_max_turns" | "error_max_budget_usd") {
            return AgentFailure::BudgetExhausted {
                detail: detail.into(),
            };
        }
        if let Some((_, at)) = detail.split_once("usage limit reached|") {
            return AgentFailure::RateLimited {
                resets_at: at
                    .trim()
                    .parse()
                    .ok()
                    .and_then(|at| Timestamp::from_second(at).ok()),
                retry_after: None,
                detail,
            };
        }
        if text(result, "api_error_type") == "billing_error" {
            return AgentFailure::BudgetExhausted {
                detail: detail.into(),
            };
        }
        let by_status = result["api_error_status"]
            .as_u64()
            .and_then(|code| fault::of_status(code, &detail));
        match by_status {
            Some(AgentFailure::RateLimited {
                retry_after,
                detail,
                ..
            }) => AgentFailure::RateLimited {
                resets_at: self.resets_at,
                retry_after,
                detail,
            },
            Some(failure) => failure,
            // No status: the stream was cut, or nothing answered at all.
            None if text(result, "terminal_reason") == "api_error"
                && result["api_error_status"].is_null() =>
            {
                AgentFailure::Overloaded { detail }
            }
            None => AgentFailure::Crashed {
                detail: detail.into(),
            },
        }
    }
}

impl EventParser for ClaudeParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            return vec![output(stream, line)];
        }
        serde_json::from_slice(line)
            .ok()
            .and_then(|event: Value| self.event(&event))
            .unwrap_or_else(|| vec![output(stream, line)])
    }

    fn can_resume(&self) -> bool {
        // Its file begins with the first answer of the model.
        self.session.is_some() && !self.messages.is_empty()
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
            .map(|words| shorten(words, MAX_TEXT_BYTES));
        AgentOutcome {
            session,
            usage,
            final_text: said.or(self.last_text),
            failure,
        }
    }
}

fn lost(words: &str) -> Option<AgentFailure> {
    words
        .contains("No conversation found")
        .then(|| AgentFailure::SessionLost {
            detail: words.to_owned(),
        })
}

fn tool_results(content: &Value) -> Vec<Entry> {
    content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|part| text(part, "type") == "tool_result")
        .map(|part| Entry::ToolResult {
            id: text(part, "tool_use_id").to_owned(),
            is_error: part["is_error"] == Value::Bool(true),
            output: shorten(&plain(&part["content"]), MAX_TEXT_BYTES),
        })
        .collect()
}

/// A tool's output: a string, or parts of which the texts count.
fn plain(content: &Value) -> String {
    match content {
        Value::String(words) => words.clone(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match text(part, "type") {
                "text" => text(part, "text").to_owned(),
                kind => format!("[{kind}]"),
            })
            .collect::<Vec<_>>()
            .join("\n"),
        other => other.to_string(),
    }
}

/// The names of the token counts: sent, written to the cache, read from the cache, produced.
type Names = [&'static str; 4];
const CALL: Names = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
];
const SUM: Names = [
    "inputTokens",
    "cacheCreationInputTokens",
    "cacheReadInputTokens",
    "outputTokens",
];

fn tokens(usage: &Value, [sent, written, read, produced]: &Names) -> Usage {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    Usage {
        input_tokens: count(sent).saturating_add(count(written)),
        cached_input_tokens: count(read),
        output_tokens: count(produced),
        cost_micro_usd: None,
    }
}

fn micro_usd(dollars: &Value) -> Option<u64> {
    let micro = dollars.as_f64()? * 1e6;
    // A float that is no count becomes 0 or the largest count; nothing is decided by it.
    Some(micro.round() as u64)
}
