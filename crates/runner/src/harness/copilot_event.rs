//! The events of `copilot --output-format=json`.
//!
//! Facts this rests on: of about a hundred events for three turns four kinds say something; tokens are not
//! told; the session's id is told at the end only; a failed model call is a `session.error` with the
//! provider's status.

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

use super::EventParser;
use super::fault;
use super::line::{MAX_TEXT_BYTES, Tail, output, shorten, shorten_input, status, text};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// What the names of its events begin with.
const KINDS: [&str; 6] = [
    "session.",
    "user.",
    "assistant.",
    "tool.",
    "model.",
    "system.",
];

/// Reads one start of Copilot.
#[derive(Debug)]
pub(super) struct CopilotParser {
    session: Option<String>,
    last_text: Option<String>,
    /// The last error that no answer of the model followed.
    fault: Option<AgentFailure>,
    lost: Option<String>,
    ended: bool,
    stderr: Tail,
}

impl CopilotParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            session: resumed.map(|s| s.id),
            last_text: None,
            fault: None,
            lost: None,
            ended: false,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        let data = &event["data"];
        match text(event, "type") {
            "assistant.message" => {
                self.fault = None;
                let words = shorten(text(data, "content"), MAX_TEXT_BYTES);
                if words.trim().is_empty() {
                    return Some(Vec::new());
                }
                self.last_text = Some(words.clone());
                Some(vec![Entry::Text { text: words }])
            }
            "tool.execution_start" => Some(vec![Entry::ToolCall {
                id: text(data, "toolCallId").to_owned(),
                tool: text(data, "toolName").to_owned(),
                input: shorten_input(data["arguments"].clone()),
            }]),
            "tool.execution_complete" => Some(vec![answer(data)]),
            "session.error" => {
                let detail = shorten(text(data, "message"), 2 << 10);
                let entry = status(format!("the model call failed: {detail}"));
                self.fault = Some(
                    data["statusCode"]
                        .as_u64()
                        .and_then(|code| fault::of_status(code, &detail))
                        .or_else(|| fault::of_words(&detail))
                        .unwrap_or(AgentFailure::Crashed {
                            detail: detail.into(),
                        }),
                );
                Some(vec![entry])
            }
            "session.warning" | "session.info" => {
                Some(vec![status(shorten(text(data, "message"), 2 << 10))])
            }
            "result" => {
                self.ended = true;
                let session = text(event, "sessionId").to_owned();
                let entry = status(format!("Copilot, session {session}"));
                self.session = Some(session);
                Some(vec![entry])
            }
            other => KINDS
                .iter()
                .any(|kind| other.starts_with(kind))
                .then(Vec::new),
        }
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        if let Some(detail) = &self.lost {
            return Some(AgentFailure::SessionLost {
                detail: detail.clone(),
            });
        }
        if self.fault.is_some() || exit == Exit::Stopped {
            return self.fault.clone();
        }
        let words = self.stderr.last();
        fault::of_end("copilot", exit, words).or_else(|| {
            (!self.ended).then(|| AgentFailure::Crashed {
                detail: say::no_result().into(),
            })
        })
    }
}

impl EventParser for CopilotParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            let words = String::from_utf8_lossy(line);
            if words.starts_with("Error: No session, task, or name matched") {
                self.lost = Some(shorten(&words, 2 << 10));
            }
            return vec![output(stream, line)];
        }
        serde_json::from_slice(line)
            .ok()
            .and_then(|event: Value| self.event(&event))
            .unwrap_or_else(|| vec![output(stream, line)])
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .session
                .as_deref()
                .and_then(|id| Session::from_program(id, Usage::default())),
        };
        AgentOutcome {
            session,
            usage: Usage::default(),
            final_text: self.last_text,
            failure,
        }
    }
}

fn answer(data: &Value) -> Entry {
    let exit = data["shellExecution"]["exitCode"].as_i64();
    let said = match text(&data["result"], "content") {
        "" => text(&data["error"], "message"),
        said => said,
    };
    Entry::ToolResult {
        id: text(data, "toolCallId").to_owned(),
        is_error: data["success"] != Value::Bool(true) || exit.is_some_and(|code| code != 0),
        output: shorten(said.trim(), MAX_TEXT_BYTES),
    }
}
