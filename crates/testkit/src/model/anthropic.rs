//! Answers as Anthropic Messages.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::wire::{Answer, Events, whole};

pub(super) fn answer(answer: &Answer<'_>, cut: bool) -> Response<Body> {
    let mut blocks = Vec::new();
    if !answer.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": answer.text }));
    }
    if let Some(call) = &answer.call {
        let id = format!("toolu_{}", answer.mark);
        blocks.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.args }));
    }
    let stop = if answer.call.is_some() {
        "tool_use"
    } else {
        "end_turn"
    };
    let usage = json!({
        "input_tokens": answer.tokens.input.saturating_sub(answer.tokens.cached),
        "cache_read_input_tokens": answer.tokens.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": answer.tokens.output,
    });
    let message = |content: &[Value], stop: Option<&str>| {
        json!({
            "id": format!("msg_{}", answer.mark),
            "type": "message",
            "role": "assistant",
            "model": answer.asked.model(),
            "content": content,
            "stop_reason": stop,
            "stop_sequence": null,
            "usage": usage,
        })
    };
    if !answer.asked.streams() {
        return whole(&message(&blocks, Some(stop)), cut);
    }
    let mut events = Events::default();
    let mut say = |data: Value| {
        let name = data["type"].as_str().unwrap_or_default().to_owned();
        events.named(&name, &data);
    };
    say(json!({ "type": "message_start", "message": message(&[], None) }));
    for (index, block) in blocks.iter().enumerate() {
        let (empty, delta) = if block["type"] == "text" {
            (
                json!({ "type": "text", "text": "" }),
                json!({ "type": "text_delta", "text": block["text"] }),
            )
        } else {
            let mut empty = block.clone();
            empty["input"] = json!({});
            let json = block["input"].to_string();
            (
                empty,
                json!({ "type": "input_json_delta", "partial_json": json }),
            )
        };
        say(json!({ "type": "content_block_start", "index": index, "content_block": empty }));
        say(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        say(json!({ "type": "content_block_stop", "index": index }));
    }
    let delta = json!({ "stop_reason": stop, "stop_sequence": null });
    say(json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    say(json!({ "type": "message_stop" }));
    events.reply(cut)
}
