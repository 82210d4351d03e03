//! Answers as `OpenAI` Chat Completions.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::wire::{Answer, Events, whole};

pub(super) fn answer(answer: &Answer<'_>, cut: bool) -> Response<Body> {
    let call = answer.call.as_ref().map(|call| {
        json!({
            "id": format!("call_{}", answer.mark),
            "type": "function",
            "function": { "name": call.name, "arguments": call.args.to_string() },
        })
    });
    let stop = if call.is_some() { "tool_calls" } else { "stop" };
    let tokens = answer.tokens;
    let usage = json!({
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": { "cached_tokens": tokens.cached },
    });
    let document = |object: &str, choices: Value, usage: &Value| {
        json!({
            "id": format!("chatcmpl-{}", answer.mark),
            "object": object,
            "created": 0,
            "model": answer.asked.model(),
            "choices": choices,
            "usage": usage,
        })
    };
    if !answer.asked.streams() {
        let mut message = json!({ "role": "assistant", "content": answer.text });
        if let Some(call) = call {
            message["tool_calls"] = json!([call]);
        }
        let choices = json!([{ "index": 0, "message": message, "finish_reason": stop }]);
        return whole(&document("chat.completion", choices, &usage), cut);
    }
    let mut events = Events::default();
    let mut say = |delta: Value, finish: Option<&str>| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let chunk = document("chat.completion.chunk", choices, &Value::Null);
        events.data(&chunk.to_string());
    };
    say(json!({ "role": "assistant", "content": "" }), None);
    if !answer.text.is_empty() {
        say(json!({ "content": answer.text }), None);
    }
    if let Some(mut call) = call {
        call["index"] = json!(0);
        say(json!({ "tool_calls": [call] }), None);
    }
    say(json!({}), Some(stop));
    events.data(&document("chat.completion.chunk", json!([]), &usage).to_string());
    events.data("[DONE]");
    events.reply(cut)
}
