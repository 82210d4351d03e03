//! The events of our own `inside acp`, which are those of the Agent Client Protocol with what we did.
//!
//! Facts this rests on: agents tell usage or do not; a call's input may come after the call; some end a
//! turn that failed as `end_turn`, with the error as the agent's words and without usage.

use std::collections::BTreeMap;

use nightshift_domain::sentence::Sentence;
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

/// How many calls may be open at one time; an agent that opens more is not followed any further.
const MAX_OPEN: usize = 1000;

/// Reads one start of an agent.
#[derive(Debug)]
pub(super) struct AcpParser {
    before: Usage,
    session: Option<String>,
    pieces: Pieces,
    /// The words since the last call, and the last that were said.
    saying: String,
    said: Option<String>,
    /// Calls that are open: their names, and whether they stand in the log.
    calls: BTreeMap<String, (String, bool)>,
    called: bool,
    /// The agent's own sum for the session, in millionths of a dollar.
    cost: Option<u64>,
    end: Option<End>,
    stderr: Tail,
}

#[derive(Debug)]
enum End {
    Turn {
        reason: String,
        usage: Option<Usage>,
    },
    Failed(AgentFailure),
}

impl AcpParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.as_ref().map(|s| s.totals).unwrap_or_default(),
            session: resumed.map(|s| s.id),
            pieces: Pieces::default(),
            saying: String::new(),
            said: None,
            calls: BTreeMap::new(),
            called: false,
            cost: None,
            end: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        match text(event, "acp") {
            "update" => self.update(&event["update"]),
            "line" => Some(vec![output(Stream::Stdout, text(event, "text").as_bytes())]),
            "agent" => {
                let about = &event["agent"];
                let name = match text(about, "title") {
                    "" => text(about, "name"),
                    title => title,
                };
                let session = text(event, "session").to_owned();
                let mode = event["mode"].as_str().map(|mode| format!(", mode {mode}"));
                let entry = status(format!(
                    "{name} {}, session {session}{}",
                    text(about, "version"),
                    mode.unwrap_or_default()
                ));
                self.session = Some(session);
                Some(self.with_words(entry))
            }
            "end" => {
                let usage = tokens(&event["usage"]);
                self.end = Some(End::Turn {
                    reason: text(event, "stopReason").to_owned(),
                    usage,
                });
                let entry = Entry::Usage(self.usage());
                Some(self.with_words(entry))
            }
            "failed" => {
                let failure = refused(event);
                let entry = status(shorten(&failure.to_string(), 2 << 10));
                self.end = Some(End::Failed(failure));
                Some(self.with_words(entry))
            }
            "lost" => {
                let detail = shorten(text(event, "detail"), 2 << 10);
                let entry = status(format!("the session is lost: {detail}"));
                self.end = Some(End::Failed(AgentFailure::SessionLost { detail }));
                Some(self.with_words(entry))
            }
            _ => None,
        }
    }

    fn update(&mut self, update: &Value) -> Option<Vec<Entry>> {
        match text(update, "sessionUpdate") {
            "agent_message_chunk" => {
                let words = text(&update["content"], "text");
                if self.saying.len() < MAX_TEXT_BYTES {
                    self.saying.push_str(words);
                }
                Some(self.pieces.push(words).into_iter().collect())
            }
            "tool_call" | "tool_call_update" => Some(self.call(update)),
            "usage_update" => {
                let cost = &update["cost"];
                if text(cost, "currency") == "USD" {
                    // A float that is no count becomes 0 or the largest count; nothing is decided by it.
                    let micro = cost["amount"].as_f64().map(|dollars| dollars * 1e6);
                    self.cost = micro.map(|micro| micro.round() as u64);
                }
                Some(Vec::new())
            }
            "" => None,
            _ => Some(Vec::new()),
        }
    }

    fn call(&mut self, update: &Value) -> Vec<Entry> {
        self.called = true;
        let id = text(update, "toolCallId").to_owned();
        let ended = matches!(text(update, "status"), "completed" | "failed");
        let title = [text(update, "title"), text(update, "kind"), "tool"];
        let title = title.into_iter().find(|title| !title.is_empty());
        let (tool, told) = self.calls.remove(&id).unwrap_or_else(|| {
            let title = title.unwrap_or_default();
            (shorten(title, 200), false)
        });
        let input = &update["rawInput"];
        let has_input = input.as_object().is_some_and(|input| !input.is_empty());
        let mut entries = Vec::new();
        let tells = !told && (has_input || ended);
        if tells {
            entries = self.with_words(Entry::ToolCall {
                id: id.clone(),
                tool: tool.clone(),
                input: shorten_input(input.clone()),
            });
        }
        if ended {
            entries.push(Entry::ToolResult {
                id,
                is_error: text(update, "status") == "failed" || exit_of(update) > Some(0),
                output: shorten(&answer(update), MAX_TEXT_BYTES),
            });
        } else if self.calls.len() < MAX_OPEN {
            self.calls.insert(id, (tool, told || tells));
        }
        entries
    }

    /// The words so far, then the entry.
    fn with_words(&mut self, entry: Entry) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.pieces.take().into_iter().collect();
        if !self.saying.trim().is_empty() {
            self.said = Some(std::mem::take(&mut self.saying));
        }
        entries.push(entry);
        entries
    }

    /// What this start used, as far as the agent tells.
    fn usage(&self) -> Usage {
        let tokens = match &self.end {
            Some(End::Turn {
                usage: Some(usage), ..
            }) => *usage,
            _ => Usage::default(),
        };
        let before = self.before.cost_micro_usd.unwrap_or(0);
        Usage {
            // Another sum than before is one that began anew.
            cost_micro_usd: self.cost.map(|sum| match sum >= before {
                true => sum - before,
                false => sum,
            }),
            ..tokens
        }
    }

    fn failure(&self, exit: Exit) -> Option<AgentFailure> {
        let words = self.stderr.last();
        let (reason, usage) = match &self.end {
            Some(End::Failed(failure)) => return Some(failure.clone()),
            Some(End::Turn { reason, usage }) => (reason.as_str(), usage),
            None if exit == Exit::Stopped => return None,
            None => {
                return fault::of_end("inside acp", exit, words).or_else(|| {
                    Some(AgentFailure::Crashed {
                        detail: say::turn_open().into(),
                    })
                });
            }
        };
        let bound = |said: Sentence| AgentFailure::BudgetExhausted {
            detail: said.into(),
        };
        match reason {
            "end_turn" => {
                let said = self.said.as_deref().unwrap_or_default();
                let silent = usage.is_none_or(|usage| usage == Usage::default());
                let failed = (silent && !self.called).then(|| fault::of_report(said));
                failed
                    .flatten()
                    .or_else(|| fault::of_end("inside acp", exit, words))
            }
            "max_tokens" => Some(bound(say::tokens_bound())),
            "max_turn_requests" => Some(bound(say::calls_bound())),
            "refusal" => Some(AgentFailure::Crashed {
                detail: say::model_refused().into(),
            }),
            "cancelled" if exit == Exit::Stopped => None,
            other => Some(AgentFailure::Crashed {
                detail: say::turn_ended(shorten(other, 200)).into(),
            }),
        }
    }
}

impl EventParser for AcpParser {
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
        self.session.is_some()
    }

    fn finish(mut self: Box<Self>, exit: Exit) -> AgentOutcome {
        let failure = self.failure(exit);
        let usage = self.usage();
        let mut totals = plus(self.before, usage);
        totals.cost_micro_usd = self.cost.or(self.before.cost_micro_usd);
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .session
                .as_deref()
                .and_then(|id| Session::from_program(id, totals)),
        };
        if !self.saying.trim().is_empty() {
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

/// What it means that a step of the conversation failed.
fn refused(event: &Value) -> AgentFailure {
    let mut detail = format!("{}: {}", text(event, "at"), text(event, "message"));
    let data = &event["data"];
    if !data.is_null() {
        let more = match data {
            Value::String(words) => words.clone(),
            other => other.to_string(),
        };
        detail.push_str(&format!(" ({})", shorten(&more, 1 << 10)));
    }
    let detail = shorten(&detail, 2 << 10);
    match (text(event, "at"), text(data, "errorKind")) {
        ("order" | "mode", _) => AgentFailure::Refused { detail },
        (_, "rate_limit") => fault::rate_limited(detail),
        (_, "authentication") => AgentFailure::Unauthorized { detail },
        (_, "overloaded") => AgentFailure::Overloaded { detail },
        ("start", _) => AgentFailure::ProgramMissing {
            program: text(event, "message").to_owned(),
            install: say::see_usr(),
        },
        _ => fault::of_words(&detail).unwrap_or(AgentFailure::Crashed {
            detail: detail.into(),
        }),
    }
}

/// What a call answered: its texts and changes, or else what the tool itself gave.
fn answer(update: &Value) -> String {
    let parts = update["content"].as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| match text(part, "type") {
        "content" => part["content"]["text"].as_str().map(str::to_owned),
        "diff" => Some(format!("[changed {}]", text(part, "path"))),
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    match (&update["rawOutput"], texts.is_empty()) {
        (_, false) => texts.join("\n"),
        (Value::Null, true) => String::new(),
        (Value::String(words), true) => words.clone(),
        (Value::Object(given), true) if given["output"].is_string() => {
            text(&update["rawOutput"], "output").to_owned()
        }
        (other, true) => other.to_string(),
    }
}

/// The exit code of a command, where an agent tells it.
fn exit_of(update: &Value) -> Option<i64> {
    let raw = &update["rawOutput"];
    [
        &raw["metadata"]["exit"],
        &raw["exit_code"],
        &raw["exitCode"],
    ]
    .into_iter()
    .find_map(Value::as_i64)
}

fn tokens(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    usage.is_object().then(|| Usage {
        input_tokens: count("inputTokens").saturating_add(count("cachedWriteTokens")),
        cached_input_tokens: count("cachedReadTokens"),
        output_tokens: count("outputTokens").saturating_add(count("thoughtTokens")),
        cost_micro_usd: None,
    })
}
