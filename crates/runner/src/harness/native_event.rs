//! The events of the built-in agent, as `inside::native` prints them.
//!
//! Invariant: usage comes for each answer and is summed here; an end without `done` is a failure,
//! unless it was asked for. The agent shares its sandbox with the commands that it runs, so its words
//! are those of a captured program like any other's.

use std::time::Duration;

use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{Entry, Stream, Usage};
use serde_json::Value;

use super::EventParser;
use super::fault;
use super::line::{MAX_TEXT_BYTES, Tail, output, plus, shorten, shorten_input};
use super::order::Session;
use super::outcome::{AgentFailure, AgentOutcome, Exit};

/// Reads one start of the built-in agent.
#[derive(Debug)]
pub(super) struct NativeParser {
    before: Usage,
    session: Option<String>,
    used: Usage,
    last_text: Option<String>,
    end: Option<End>,
    stderr: Tail,
}

#[derive(Debug)]
enum End {
    Done,
    Interrupted,
    Failed(AgentFailure),
}

impl NativeParser {
    pub(super) fn new(resumed: Option<Session>) -> Self {
        Self {
            before: resumed.map(|session| session.totals).unwrap_or_default(),
            session: None,
            used: Usage::default(),
            last_text: None,
            end: None,
            stderr: Tail::default(),
        }
    }

    /// The entries of an event, or none if it is not one this file knows.
    fn event(&mut self, event: &Value) -> Option<Vec<Entry>> {
        let entry = match text(event, "type") {
            "session" => {
                let id = text(event, "id");
                self.session = Some(id.to_owned());
                status(format!("native, session {id}, {}", text(event, "model")))
            }
            "note" => status(text(event, "text").to_owned()),
            "text" => {
                let words = shorten(text(event, "text"), MAX_TEXT_BYTES);
                self.last_text = Some(words.clone());
                Entry::Text { text: words }
            }
            "tool_call" => Entry::ToolCall {
                id: text(event, "id").to_owned(),
                tool: text(event, "tool").to_owned(),
                input: shorten_input(event["input"].clone()),
            },
            "tool_result" => Entry::ToolResult {
                id: text(event, "id").to_owned(),
                is_error: event["is_error"] == Value::Bool(true),
                output: shorten(text(event, "output"), MAX_TEXT_BYTES),
            },
            "usage" => {
                let count = |name: &str| event[name].as_u64().unwrap_or(0);
                self.used = plus(
                    self.used,
                    Usage {
                        input_tokens: count("input"),
                        cached_input_tokens: count("cached"),
                        output_tokens: count("output"),
                        cost_micro_usd: None,
                    },
                );
                return Some(Vec::new());
            }
            "done" => {
                self.end = Some(End::Done);
                Entry::Usage(self.used)
            }
            "interrupted" => {
                self.end = Some(End::Interrupted);
                Entry::Usage(self.used)
            }
            "failed" => {
                let failure = failure(event);
                let words = failure.to_string();
                self.end = Some(End::Failed(failure));
                return Some(vec![status(words), Entry::Usage(self.used)]);
            }
            _ => return None,
        };
        Some(vec![entry])
    }
}

fn failure(event: &Value) -> AgentFailure {
    let detail = shorten(text(event, "detail"), 2 << 10);
    match text(event, "kind") {
        "limited" => match event["wait_s"].as_u64() {
            Some(wait) => AgentFailure::RateLimited {
                resets_at: None,
                retry_after: Some(Duration::from_secs(wait)),
                detail,
            },
            None => fault::rate_limited(detail),
        },
        "unauthorized" => AgentFailure::Unauthorized { detail },
        "budget" | "turns" => AgentFailure::BudgetExhausted {
            detail: detail.into(),
        },
        "unavailable" => AgentFailure::Overloaded { detail },
        "session-lost" => AgentFailure::SessionLost { detail },
        _ => AgentFailure::Crashed {
            detail: detail.into(),
        },
    }
}

impl EventParser for NativeParser {
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
        // Its file holds the order before the first call.
        self.session.is_some()
    }

    fn finish(self: Box<Self>, exit: Exit) -> AgentOutcome {
        let words = self.stderr.last();
        let failure = match (self.end, exit) {
            (Some(End::Failed(failure)), _) => Some(failure),
            (_, Exit::Stopped) | (Some(End::Interrupted), _) => None,
            (Some(End::Done), exit) => fault::of_end("native", exit, words),
            (None, exit) => fault::of_end("native", exit, words).or_else(|| {
                Some(AgentFailure::Crashed {
                    detail: say::no_result().into(),
                })
            }),
        };
        let totals = plus(self.before, self.used);
        let session = match &failure {
            Some(AgentFailure::SessionLost { .. }) => None,
            _ => self
                .session
                .and_then(|id| Session::from_program(&id, totals)),
        };
        AgentOutcome {
            session,
            usage: self.used,
            final_text: self.last_text,
            failure,
        }
    }
}

fn status(text: String) -> Entry {
    Entry::Status { text }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(events: &[Value], exit: Exit) -> AgentOutcome {
        let before = Session {
            id: "a".to_owned(),
            totals: Usage {
                output_tokens: 5,
                ..Usage::default()
            },
        };
        let mut parser = Box::new(NativeParser::new(Some(before)));
        for event in events {
            parser.line(Stream::Stdout, event.to_string().as_bytes());
        }
        parser.finish(exit)
    }

    fn failed(kind: &str) -> Value {
        json!({"type": "failed", "kind": kind, "detail": "no", "wait_s": null})
    }

    #[test]
    fn only_done_is_no_failure() {
        let session = json!({"type": "session", "id": "a", "model": "m"});
        let used = json!({"type": "usage", "input": 1, "cached": 2, "output": 3});
        let said = json!({"type": "text", "text": "Done."});
        let done = json!({"type": "done", "text": "Done."});
        let all = [session.clone(), used.clone(), used.clone(), said, done];
        let good = outcome(&all, Exit::Code(0));
        assert_eq!(good.failure, None);
        assert_eq!(good.final_text.as_deref(), Some("Done."));
        assert_eq!(good.usage.output_tokens, 6);
        let kept = good.session.expect("a session");
        assert_eq!((kept.id.as_str(), kept.totals.output_tokens), ("a", 11));

        let cut = outcome(&all[..4], Exit::Code(0));
        assert!(matches!(cut.failure, Some(AgentFailure::Crashed { .. })));
        assert!(outcome(&all, Exit::Code(1)).failure.is_some());
        assert!(outcome(&all[..1], Exit::Signal(9)).failure.is_some());
        // What the runner stopped, or asked to stop, did not fail.
        assert_eq!(outcome(&all[..2], Exit::Stopped).failure, None);
        let interrupted = json!({"type": "interrupted"});
        let asked = outcome(&[session, used, interrupted], Exit::Code(130));
        assert_eq!(asked.failure, None);
        assert!(asked.session.is_some());
    }

    #[test]
    fn each_failure_gets_its_treatment() {
        use AgentFailure::{
            BudgetExhausted, Crashed, Overloaded, RateLimited, SessionLost, Unauthorized,
        };
        let of = |event: Value| outcome(&[event], Exit::Code(1)).failure.expect("a failure");
        let limited = json!({"type": "failed", "kind": "limited", "detail": "no", "wait_s": 60});
        assert!(
            matches!(of(limited), RateLimited { retry_after: Some(wait), .. } if wait.as_secs() == 60)
        );
        let words = json!({"type": "failed", "kind": "limited", "detail": "try again in 5s"});
        assert!(
            matches!(of(words), RateLimited { retry_after: Some(wait), .. } if wait.as_secs() == 5)
        );
        assert!(matches!(of(failed("unauthorized")), Unauthorized { .. }));
        assert!(matches!(of(failed("budget")), BudgetExhausted { .. }));
        assert!(matches!(of(failed("turns")), BudgetExhausted { .. }));
        assert!(matches!(of(failed("unavailable")), Overloaded { .. }));
        assert!(matches!(of(failed("session-lost")), SessionLost { .. }));
        assert!(matches!(of(failed("other")), Crashed { .. }));
    }

    #[test]
    fn what_is_no_event_is_output() {
        let mut parser = NativeParser::new(None);
        for line in [&b"hello"[..], b"{\"type\":\"x\"}", b"\xff"] {
            let entries = parser.line(Stream::Stdout, line);
            assert!(matches!(entries[..], [Entry::Output { .. }]), "{entries:?}");
        }
    }
}
