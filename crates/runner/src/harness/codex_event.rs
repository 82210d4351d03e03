//! The events of `codex exec --json`.
//!
//! Facts this rests on: only `turn.failed`, `turn.completed` and the exit code tell how it went;
//! `error` events also stand beside a success (a call that worked at its second try); the usage
//! of `turn.completed` is the sum of the whole thread, and its input contains what was cached.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::{Value, json};

use super::EventParser;
use super::fault;
use super::line::{MAX_TEXT_BYTES, Tail, output, shorten, shorten_input, since, status, text};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// How long it may be silent after a failed model call. It obeys any `Retry-After`, and waits
/// for a lost network without end; a model at work stays silent for some minutes, too.
const PATIENCE: Duration = Duration::from_secs(600);

/// Reads one start of Codex.
#[derive(Debug)]
pub(super) struct CodexParser {
    before: Usage,
    thread: Option<String>,
    started: BTreeSet<String>,
    last_text: Option<String>,
    /// The last model call that failed and was not followed by one that worked.
    fault: Option<AgentFailure>,
    end: Option<End>,
    stderr: Tail,
}

#[derive(Debug)]
enum End {
    Completed(Usage),
    Failed(String),
}

impl CodexParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            thread: resumed.map(|s| s.id),
            started: BTreeSet::new(),
            last_text: None,
            fault: None,
            end: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        match text(event, "type") {
            "thread.started" => {
                let thread = text(event, "thread_id").to_owned();
                let entry = status(format!("Codex, session {thread}"));
                self.thread = Some(thread);
                Some(vec![entry])
            }
            "turn.started" | "item.updated" => Some(Vec::new()),
            "item.started" => Some(self.started(&event["item"])),
            "item.completed" => Some(self.completed(&event["item"])),
            "error" => {
                let message = text(event, "message");
                self.fault = classify(message);
                Some(vec![status(format!(
                    "the model call failed: {}",
                    shorten(message, 2 << 10)
                ))])
            }
            "turn.failed" => {
                let message = shorten(text(&event["error"], "message"), 2 << 10);
                let entry = status(format!("the turn failed: {message}"));
                self.end = Some(End::Failed(message));
                Some(vec![entry])
            }
            "turn.completed" => {
                let sum = tokens(&event["usage"]);
                self.end = Some(End::Completed(sum));
                Some(vec![Entry::Usage(since(self.before, sum))])
            }
            _ => None,
        }
    }

    fn started(&mut self, item: &Value) -> Vec<Entry> {
        self.fault = None;
        match call(item) {
            None => Vec::new(),
            Some(call) => {
                self.started.insert(text(item, "id").to_owned());
                vec![call]
            }
        }
    }

    fn completed(&mut self, item: &Value) -> Vec<Entry> {
        let kind = text(item, "type");
        if kind == "error" {
            return vec![status(shorten(text(item, "message"), 2 << 10))];
        }
        self.fault = None;
        if kind == "agent_message" {
            let words = shorten(text(item, "text"), MAX_TEXT_BYTES);
            self.last_text = Some(words.clone());
            return vec![Entry::Text { text: words }];
        }
        let mut entries = Vec::new();
        if !self.started.remove(text(item, "id")) {
            entries.extend(call(item));
        }
        entries.extend(answer(item));
        entries
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        let words = self.stderr.last();
        match &self.end {
            Some(End::Completed(_)) => fault::of_end("codex", exit, words),
            Some(End::Failed(message)) => {
                Some(classify(message).unwrap_or_else(|| AgentFailure::Crashed {
                    detail: message.into(),
                }))
            }
            None if exit == Exit::Stopped => self.fault.clone(),
            None => classify(words.unwrap_or_default())
                .or_else(|| self.fault.clone())
                .or_else(|| fault::of_end("codex", exit, words))
                .or_else(|| {
                    Some(AgentFailure::Crashed {
                        detail: say::no_turn().into(),
                    })
                }),
        }
    }
}

impl EventParser for CodexParser {
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

    fn patience(&self) -> Option<Duration> {
        self.fault.as_ref().map(|_| PATIENCE)
    }

    fn can_resume(&self) -> bool {
        self.thread.is_some()
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let totals = match self.end {
            Some(End::Completed(sum)) => sum,
            _ => self.before,
        };
        let usage = match self.end {
            Some(End::Completed(sum)) => since(self.before, sum),
            _ => Usage::default(),
        };
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .thread
                .as_deref()
                .and_then(|id| Session::from_program(id, totals)),
        };
        AgentOutcome {
            session,
            usage,
            final_text: self.last_text,
            failure,
        }
    }
}

/// What Codex's words about a failed call mean, if they are known.
fn classify(message: &str) -> Option<AgentFailure> {
    let detail = shorten(message, 2 << 10);
    let lower = message.to_lowercase();
    if lower.contains("no rollout found") {
        return Some(AgentFailure::SessionLost { detail });
    }
    if let Some(failure) = status_in(&lower).and_then(|code| fault::of_status(code, &detail)) {
        return Some(failure);
    }
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["usage limit", "rate limit", "quota exceeded"]) {
        return Some(fault::rate_limited(detail));
    }
    if says(&[
        "high demand",
        "overloaded",
        "stream disconnected",
        "stream closed",
        "error sending request",
        "waiting for network",
        "connection failed",
        "connection refused",
        "timed out",
        "internal server error",
    ]) {
        return Some(AgentFailure::Overloaded { detail });
    }
    None
}

/// The HTTP status in "unexpected status 401 Unauthorized", "last status: 429 Too Many Requests".
fn status_in(lower: &str) -> Option<u64> {
    let (_, rest) = lower
        .split_once("unexpected status ")
        .or_else(|| lower.split_once("last status: "))?;
    rest.get(..3)?.parse().ok()
}

/// The tool call an item is, if it is one.
fn call(item: &Value) -> Option<Entry> {
    let (tool, input) = match text(item, "type") {
        "agent_message" | "reasoning" | "todo_list" | "error" => return None,
        "command_execution" => ("shell".to_owned(), json!({ "command": item["command"] })),
        "file_change" => (
            "apply_patch".to_owned(),
            json!({ "changes": item["changes"] }),
        ),
        "mcp_tool_call" => (
            format!("{}.{}", text(item, "server"), text(item, "tool")),
            item["arguments"].clone(),
        ),
        other => (other.to_owned(), item.clone()),
    };
    Some(Entry::ToolCall {
        id: text(item, "id").to_owned(),
        tool,
        input: shorten_input(input),
    })
}

/// The answer to the tool call an item is, if it is one.
fn answer(item: &Value) -> Option<Entry> {
    let failed = matches!(text(item, "status"), "failed" | "declined");
    let (is_error, said) = match text(item, "type") {
        "agent_message" | "reasoning" | "todo_list" | "error" => return None,
        "command_execution" => (
            failed || item["exit_code"].as_i64() != Some(0),
            match item["exit_code"].as_i64() {
                Some(0) => text(item, "aggregated_output").to_owned(),
                Some(code) => format!("{}[exit code {code}]", text(item, "aggregated_output")),
                None => format!("{}[no exit code]", text(item, "aggregated_output")),
            },
        ),
        "file_change" => (failed, text(item, "status").to_owned()),
        "mcp_tool_call" => {
            let error = &item["error"];
            if error.is_null() {
                (failed, item["result"].to_string())
            } else {
                (true, text(error, "message").to_owned())
            }
        }
        _ => (failed, String::new()),
    };
    Some(Entry::ToolResult {
        id: text(item, "id").to_owned(),
        is_error,
        output: shorten(&said, MAX_TEXT_BYTES),
    })
}

fn tokens(usage: &Value) -> Usage {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cached = count("cached_input_tokens");
    Usage {
        input_tokens: count("input_tokens").saturating_sub(cached),
        cached_input_tokens: cached,
        output_tokens: count("output_tokens"),
        cost_micro_usd: None,
    }
}
