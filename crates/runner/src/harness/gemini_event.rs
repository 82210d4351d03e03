//! The events of `gemini --output-format stream-json`.
//!
//! Facts this rests on: words come in pieces; usage is of this start, also after a resume, and its
//! `input_tokens` contains what was cached; a failed model call is told in the result's message and, where
//! that has no status, in the exit code, which is the lower byte of the provider's HTTP status.

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

use super::EventParser;
use super::fault;
use super::line::{
    MAX_TEXT_BYTES, Pieces, Tail, output, plus, shorten, shorten_input, status, text,
};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// What it exits with where a bound on turns is reached.
const TURN_LIMIT: i32 = 53;

/// Reads one start of Gemini CLI.
#[derive(Debug)]
pub(super) struct GeminiParser {
    before: Usage,
    session: Option<String>,
    pieces: Pieces,
    /// The words of this message so far, and those of the last one.
    saying: String,
    said: Option<String>,
    result: Option<Value>,
    lost: Option<String>,
    stderr: Tail,
}

impl GeminiParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            session: resumed.map(|s| s.id),
            pieces: Pieces::default(),
            saying: String::new(),
            said: None,
            result: None,
            lost: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        let kind = text(event, "type");
        if kind == "message" {
            if text(event, "role") != "assistant" {
                return Some(Vec::new());
            }
            let words = text(event, "content");
            if self.saying.len() < MAX_TEXT_BYTES {
                self.saying.push_str(words);
            }
            return Some(self.pieces.push(words).into_iter().collect());
        }
        let entry = match kind {
            "init" => {
                self.session = Some(text(event, "session_id").to_owned());
                status(format!(
                    "Gemini CLI, model {}, session {}",
                    text(event, "model"),
                    text(event, "session_id")
                ))
            }
            "tool_use" => Entry::ToolCall {
                id: text(event, "tool_id").to_owned(),
                tool: text(event, "tool_name").to_owned(),
                input: shorten_input(event["parameters"].clone()),
            },
            "tool_result" => {
                let error = text(&event["error"], "message");
                let said = match text(event, "output") {
                    "" => error,
                    said => said,
                };
                Entry::ToolResult {
                    id: text(event, "tool_id").to_owned(),
                    is_error: text(event, "status") != "success",
                    output: shorten(said, MAX_TEXT_BYTES),
                }
            }
            "error" => status(shorten(text(event, "message"), 2 << 10)),
            "result" => {
                self.result = Some(event.clone());
                Entry::Usage(self.usage())
            }
            _ => return None,
        };
        let mut entries: Vec<Entry> = self.pieces.take().into_iter().collect();
        if !self.saying.is_empty() {
            self.said = Some(std::mem::take(&mut self.saying));
        }
        entries.push(entry);
        Some(entries)
    }

    fn usage(&self) -> Usage {
        let Some(result) = &self.result else {
            return Usage::default();
        };
        let count = |name: &str| result["stats"][name].as_u64().unwrap_or(0);
        let cached = count("cached");
        Usage {
            input_tokens: count("input_tokens").saturating_sub(cached),
            cached_input_tokens: cached,
            output_tokens: count("output_tokens"),
            cost_micro_usd: None,
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
                Exit::Stopped => None,
                Exit::Code(0) => Some(AgentFailure::Crashed {
                    detail: say::no_result().into(),
                }),
                exit => fault::of_words(words.unwrap_or_default())
                    .or_else(|| fault::of_end("gemini", exit, words)),
            };
        };
        if text(result, "status") == "success" {
            return fault::of_end("gemini", exit, words);
        }
        let detail = shorten(text(&result["error"], "message"), 2 << 10);
        match exit {
            Exit::Stopped => None,
            Exit::Code(TURN_LIMIT) => Some(AgentFailure::BudgetExhausted {
                detail: detail.into(),
            }),
            exit => fault::of_words(&detail)
                .or_else(|| lower_byte(exit).and_then(|code| fault::of_status(code, &detail)))
                .or(Some(AgentFailure::Crashed {
                    detail: detail.into(),
                })),
        }
    }
}

/// The HTTP status whose lower byte is the exit code.
fn lower_byte(exit: Exit) -> Option<u64> {
    let Exit::Code(code) = exit else {
        return None;
    };
    [401, 403, 429, 500, 502, 503, 504]
        .into_iter()
        .find(|status| i64::from(code) == status & 255)
        .and_then(|status| u64::try_from(status).ok())
}

impl EventParser for GeminiParser {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stderr {
            self.stderr.see(line);
            let words = String::from_utf8_lossy(line);
            if words.starts_with("Error resuming session") {
                self.lost = Some(shorten(&words, 2 << 10));
            }
            return vec![output(stream, line)];
        }
        serde_json::from_slice(line)
            .ok()
            .and_then(|event: Value| self.event(&event))
            .unwrap_or_else(|| vec![output(stream, line)])
    }

    fn can_resume(&self) -> bool {
        self.session.is_some() && self.said.is_some()
    }

    fn finish(mut self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let usage = self.usage();
        let totals = plus(self.before, usage);
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .session
                .as_deref()
                .and_then(|id| Session::from_program(id, totals)),
        };
        if !self.saying.is_empty() {
            self.said = Some(self.saying);
        }
        AgentOutcome {
            session,
            usage,
            final_text: self.said.map(|words| shorten(&words, MAX_TEXT_BYTES)),
            failure,
        }
    }
}
