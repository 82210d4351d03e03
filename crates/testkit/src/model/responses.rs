//! Answers as `OpenAI` Responses.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::wire::{Answer, Events, whole};

pub(super) fn answer(answer: &Answer<'_>, cut: bool) -> Response<Body> {
    let output = items(answer);
    let tokens = answer.tokens;
    let usage = json!({
        "input_tokens": tokens.input,
        "input_tokens_details": { "cached_tokens": tokens.cached },
        "output_tokens": tokens.output,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": tokens.input + tokens.output,
    });
    let response = |status: &str, output: &[Value], usage: &Value| {
        json!({
            "id": format!("resp_{}", answer.mark),
            "object": "response",
            "created_at": 0,
            "model": answer.asked.model(),
            "status": status,
            "output": output,
            "usage": usage,
            "error": null,
            "parallel_tool_calls": true,
            "tool_choice": "auto",
            "tools": [],
        })
    };
    let complete = response("completed", &output, &usage);
    if !answer.asked.streams() {
        return whole(&complete, cut);
    }
    let mut events = Events::default();
    let mut number = 0;
    let mut say = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        data["sequence_number"] = json!(number);
        number += 1;
        events.named(name, &data);
    };
    say(
        "response.created",
        json!({ "response": response("in_progress", &[], &Value::Null) }),
    );
    for (index, item) in output.iter().enumerate() {
        let mut added = item.clone();
        added["status"] = json!("in_progress");
        let place = json!({ "item_id": item["id"], "output_index": index });
        let at = |name: &str, value: &Value| {
            let mut data = place.clone();
            data[name] = value.clone();
            data
        };
        if item["type"] == "message" {
            added["content"] = json!([]);
            let part = &item["content"][0];
            let in_part = |name: &str, value: &Value| {
                let mut data = at(name, value);
                data["content_index"] = json!(0);
                data
            };
            let empty = json!({ "type": "output_text", "text": "", "annotations": [] });
            say(
                "response.output_item.added",
                json!({ "output_index": index, "item": added }),
            );
            say("response.content_part.added", in_part("part", &empty));
            say(
                "response.output_text.delta",
                in_part("delta", &part["text"]),
            );
            say("response.output_text.done", in_part("text", &part["text"]));
            say("response.content_part.done", in_part("part", part));
        } else {
            added["arguments"] = json!("");
            let arguments = &item["arguments"];
            say(
                "response.output_item.added",
                json!({ "output_index": index, "item": added }),
            );
            say(
                "response.function_call_arguments.delta",
                at("delta", arguments),
            );
            say(
                "response.function_call_arguments.done",
                at("arguments", arguments),
            );
        }
        say(
            "response.output_item.done",
            json!({ "output_index": index, "item": item }),
        );
    }
    say("response.completed", json!({ "response": complete }));
    events.reply(cut)
}

fn items(answer: &Answer<'_>) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.text.is_empty() {
        items.push(json!({
            "type": "message",
            "id": format!("msg_{}", answer.mark),
            "role": "assistant",
            "status": "completed",
            "content": [{ "type": "output_text", "text": answer.text, "annotations": [] }],
        }));
    }
    if let Some(call) = &answer.call {
        let mut item = json!({
            "type": "function_call",
            "id": format!("fc_{}", answer.mark),
            "call_id": format!("call_{}", answer.mark),
            "name": call.name,
            "arguments": call.args.to_string(),
            "status": "completed",
        });
        if let Some((space, name)) = spaced(&answer.asked.body["tools"], &call.name) {
            item["namespace"] = json!(space);
            item["name"] = json!(name);
        }
        items.push(item);
    }
    items
}

/// The namespace that offers this tool, and the tool's name there: tools of other servers come in one.
fn spaced<'a>(tools: &Value, name: &'a str) -> Option<(String, &'a str)> {
    let spaces = tools.as_array()?.iter();
    let mut spaces = spaces.filter(|tool| tool["type"] == "namespace");
    spaces.find_map(|tool| {
        let space = tool["name"].as_str()?;
        let short = name.strip_prefix(space)?.trim_start_matches('_');
        let offered = tool["tools"].as_array()?;
        let known = offered.iter().any(|tool| tool["name"] == short);
        known.then(|| (space.to_owned(), short))
    })
}
