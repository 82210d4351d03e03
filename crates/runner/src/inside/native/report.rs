//! What the built-in agent says of itself: one JSON object a line on standard output.
//!
//! The words of `harness::native_event`. Invariant: each line is whole and written at once. Where
//! nobody listens any more the work goes on to its next step and ends there.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::talk::{Call, Said};
use super::wire::Used;
use super::work::Ended;

/// Where it is said.
pub(super) struct Report {
    out: io::Stdout,
}

impl Report {
    pub(super) fn to_stdout() -> Self {
        Self { out: io::stdout() }
    }

    /// The session to go on in.
    pub(super) fn session(&mut self, id: &str, model: &str) {
        self.say(&json!({ "type": "session", "id": id, "model": model }));
    }

    /// Something about the work itself.
    pub(super) fn note(&mut self, text: &str) {
        self.say(&json!({ "type": "note", "text": text }));
    }

    /// The model's words.
    pub(super) fn text(&mut self, text: &str) {
        self.say(&json!({ "type": "text", "text": text }));
    }

    /// What a call asks for.
    pub(super) fn call(&mut self, call: &Call) {
        self.say(&json!({
            "type": "tool_call", "id": call.id, "tool": call.tool, "input": call.args,
        }));
    }

    /// What it came to.
    pub(super) fn result(&mut self, said: &Said) {
        self.say(&json!({
            "type": "tool_result", "id": said.id, "is_error": said.is_error, "output": said.output,
        }));
    }

    /// What one answer used.
    pub(super) fn used(&mut self, used: Used) {
        self.say(&json!({
            "type": "usage", "input": used.input, "cached": used.cached, "output": used.output,
        }));
    }

    /// How it ended.
    pub(super) fn ended(&mut self, ended: &Ended) {
        self.say(&match ended {
            Ended::Done(text) => json!({ "type": "done", "text": text }),
            Ended::Failed {
                kind,
                detail,
                wait_s,
            } => json!({ "type": "failed", "kind": kind, "detail": detail, "wait_s": wait_s }),
            Ended::Interrupted => json!({ "type": "interrupted" }),
        });
    }

    fn say(&mut self, event: &Value) {
        let line = format!("{event}\n");
        // Who does not listen any more has ended this program already.
        self.out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.flush())
            .ok();
    }
}
