//! Answers as Google's Gemini.

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::wire::{Answer, Events, whole};

pub(super) fn answer(answer: &Answer<'_>, cut: bool) -> Response<Body> {
    let mut parts = Vec::new();
    if !answer.text.is_empty() {
        parts.push(json!({ "text": answer.text }));
    }
    if let Some(call) = &answer.call {
        parts.push(json!({ "functionCall": { "name": call.name, "args": call.args } }));
    }
    let tokens = answer.tokens;
    let document = json!({
        "candidates": [{
            "content": { "role": "model", "parts": parts },
            "finishReason": "STOP",
            "index": 0,
        }],
        "modelVersion": answer.asked.model(),
        "usageMetadata": {
            "promptTokenCount": tokens.input,
            "cachedContentTokenCount": tokens.cached,
            "candidatesTokenCount": tokens.output,
            "totalTokenCount": tokens.input + tokens.output,
        },
    });
    if !answer.asked.streams() {
        return whole(&document, cut);
    }
    let mut events = Events::default();
    events.data(&document.to_string());
    events.reply(cut)
}
