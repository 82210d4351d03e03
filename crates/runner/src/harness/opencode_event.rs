//! The events of `opencode run --format json`.
//!
//! Facts this rests on: nothing says the end but the end; usage is told step by step, what was cached
//! apart; a tool is told once, when it is done; a model call that failed for good is an `error`, before
//! which it may have been repeated without a word.

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

use super::EventParser;
use super::fault;
use super::line::{MAX_TEXT_BYTES, Tail, output, plus, shorten, shorten_input, status, text};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// Reads one start of opencode.
#[derive(Debug)]
pub(super) struct OpencodeParser {
    before: Usage,
    session: Option<String>,
    told: bool,
    used: Usage,
    steps: u32,
    last_text: Option<String>,
    /// The last error that no step followed.
    fault: Option<AgentFailure>,
    lost: Option<String>,
    refused: Option<String>,
    stderr: Tail,
}

impl OpencodeParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            session: resumed.map(|s| s.id),
            told: false,
            used: Usage::default(),
            steps: 0,
            last_text: None,
            fault: None,
            lost: None,
            refused: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        let part = &event["part"];
        let mut entries = match text(event, "type") {
            "step_start" => Vec::new(),
            "text" => {
                let words = shorten(text(part, "text"), MAX_TEXT_BYTES);
                self.last_text = Some(words.clone());
                vec![Entry::Text { text: words }]
            }
            "reasoning" => Vec::new(),
            "tool_use" => tool(part),
            "step_finish" => {
                self.fault = None;
                self.steps += 1;
                self.used = plus(self.used, tokens(&part["tokens"]));
                match text(part, "reason") {
                    "tool-calls" => Vec::new(),
                    _ => vec![Entry::Usage(self.used)],
                }
            }
            "error" => {
                let failure = failed(&event["error"]);
                let entry = status(shorten(&failure.to_string(), 2 << 10));
                self.fault = Some(failure);
                vec![entry]
            }
            _ => return None,
        };
        if let Some(session) = event["sessionID"].as_str()
            && !self.told
        {
            self.told = true;
            self.session = Some(session.to_owned());
            entries.insert(0, status(format!("opencode, session {session}")));
        }
        Some(entries)
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        if let Some(detail) = &self.refused {
            return Some(AgentFailure::Refused {
                detail: detail.clone(),
            });
        }
        if let Some(detail) = &self.lost {
            return Some(AgentFailure::SessionLost {
                detail: detail.clone(),
            });
        }
        if self.fault.is_some() || exit == Exit::Stopped {
            return self.fault.clone();
        }
        let words = self.stderr.last();
        fault::of_end("opencode", exit, words).or_else(|| {
            (self.steps == 0).then(|| AgentFailure::Crashed {
                detail: say::no_step().into(),
            })
        })
    }
}

impl EventParser for OpencodeParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            let words = String::from_utf8_lossy(line);
            if let Some(why) = words.strip_prefix("nightshift: the tree has ") {
                self.refused = Some(format!("the tree has {}", shorten(why, 2 << 10)));
            } else if words.contains("Session not found") {
                self.lost = Some("Session not found".to_owned());
            }
            return vec![output(stream, line)];
        }
        serde_json::from_slice(line)
            .ok()
            .and_then(|event: Value| self.event(&event))
            .unwrap_or_else(|| vec![output(stream, line)])
    }

    fn can_resume(&self) -> bool {
        self.session.is_some() && self.steps > 0
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => {
                let totals = plus(self.before, self.used);
                let id = self.session.as_deref();
                id.and_then(|id| Session::from_program(id, totals))
            }
        };
        AgentOutcome {
            session,
            usage: self.used,
            final_text: self.last_text,
            failure,
        }
    }
}

/// What an error of a model call means.
fn failed(error: &Value) -> AgentFailure {
    let message = text(&error["data"], "message");
    let detail = match message {
        "" => text(error, "name"),
        message => message,
    };
    let detail = shorten(detail, 2 << 10);
    error["data"]["statusCode"]
        .as_u64()
        .and_then(|code| fault::of_status(code, &detail))
        .or_else(|| fault::of_words(&detail))
        .unwrap_or(AgentFailure::Crashed {
            detail: detail.into(),
        })
}

/// A tool's call and its answer, told together.
fn tool(part: &Value) -> Vec<Entry> {
    let state = &part["state"];
    let id = text(part, "callID").to_owned();
    let exit = state["metadata"]["exit"].as_i64();
    let error = text(state, "error");
    let mut said = match error {
        "" => text(state, "output").to_owned(),
        error => error.to_owned(),
    };
    if let Some(code) = exit.filter(|code| *code != 0) {
        said.push_str(&format!("[exit code {code}]"));
    }
    vec![
        Entry::ToolCall {
            id: id.clone(),
            tool: text(part, "tool").to_owned(),
            input: shorten_input(state["input"].clone()),
        },
        Entry::ToolResult {
            id,
            is_error: text(state, "status") != "completed" || exit.is_some_and(|code| code != 0),
            output: shorten(&said, MAX_TEXT_BYTES),
        },
    ]
}

fn tokens(told: &Value) -> Usage {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    Usage {
        input_tokens: count(&told["input"]).saturating_add(count(&told["cache"]["write"])),
        cached_input_tokens: count(&told["cache"]["read"]),
        output_tokens: count(&told["output"]).saturating_add(count(&told["reasoning"])),
        cost_micro_usd: None,
    }
}
