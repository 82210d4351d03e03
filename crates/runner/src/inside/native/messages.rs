//! Anthropic's Messages, and everything that speaks as they do.
//!
//! Invariant: what is the same in every call is marked for the provider's cache, or a long run would
//! pay for it again at every step. Deliberately absent: thinking, which is not asked for.

use serde_json::{Value, json};

use super::talk::{Call, Turn};
use super::wire::{self, Answer, Missing, Question, Stop, Used};

/// What one answer may have at most; the interface wants a number.
const MAX_TOKENS: u32 = 16_384;

/// The request's body.
pub(super) fn body(question: &Question<'_>) -> Value {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let mut messages: Vec<Value> = Vec::new();
    for turn in question.turns {
        let (role, content): (&str, Vec<Value>) = match turn {
            Turn::Prompt { text: words } => ("user", vec![text(words)]),
            Turn::Answer { text: words, calls } => {
                let words = Some(words).filter(|words| !words.trim().is_empty());
                let words = words.map(|words| text(words));
                let calls = calls.iter().map(|call| {
                    json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": call.args })
                });
                ("assistant", words.into_iter().chain(calls).collect())
            }
            Turn::Results { results } => {
                let results = results.iter().map(|said| {
                    json!({
                        "type": "tool_result",
                        "tool_use_id": said.id,
                        "content": said.output,
                        "is_error": said.is_error,
                    })
                });
                ("user", results.collect())
            }
        };
        if !content.is_empty() {
            messages.push(json!({ "role": role, "content": content }));
        }
    }
    let last = messages.last_mut().map(|message| &mut message["content"]);
    if let Some(last) = last.and_then(|content| content.as_array_mut()?.last_mut()) {
        last["cache_control"] = json!({ "type": "ephemeral" });
    }
    let tools = question.tools.iter().map(|tool| {
        json!({
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.schema,
        })
    });
    json!({
        "model": question.model,
        "max_tokens": MAX_TOKENS,
        "system": [{
            "type": "text",
            "text": question.system,
            "cache_control": { "type": "ephemeral" },
        }],
        "messages": messages,
        "tools": tools.collect::<Vec<_>>(),
        "stream": true,
    })
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    blocks: Vec<Block>,
    stop: Option<String>,
    used: Used,
}

/// A part of an answer.
#[derive(Debug)]
struct Block {
    index: u64,
    kind: String,
    id: String,
    name: String,
    /// Words, or arguments as they come.
    text: String,
    input: Value,
}

impl Reader {
    fn block(&mut self, index: u64, block: &Value) {
        let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
        self.blocks.push(Block {
            index,
            kind: text("type"),
            id: text("id"),
            name: text("name"),
            text: text("text"),
            input: block["input"].clone(),
        });
    }

    fn usage(&mut self, usage: &Value) {
        let count = |name: &str| usage[name].as_u64();
        if let Some(input) = count("input_tokens") {
            self.used.input = input + count("cache_creation_input_tokens").unwrap_or(0);
        }
        if let Some(cached) = count("cache_read_input_tokens") {
            self.used.cached = cached;
        }
        if let Some(output) = count("output_tokens") {
            self.used.output = output;
        }
    }
}

impl wire::Reader for Reader {
    fn event(&mut self, event: &Value) -> Result<(), Missing> {
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "error" => return Err(Missing::of_event(&event["error"])),
            "message_start" => self.usage(&event["message"]["usage"]),
            "content_block_start" => self.block(index, &event["content_block"]),
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = self.blocks.iter_mut().rfind(|block| block.index == index);
                if let Some(block) = block {
                    let more = delta["text"].as_str().or(delta["partial_json"].as_str());
                    block.text.push_str(more.unwrap_or_default());
                }
            }
            "message_delta" => {
                self.usage(&event["usage"]);
                if let Some(stop) = event["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, answer: &Value) -> Result<(), Missing> {
        if answer["type"] == "error" {
            return Err(Missing::of_event(&answer["error"]));
        }
        self.usage(&answer["usage"]);
        for (index, block) in (0..).zip(answer["content"].as_array().into_iter().flatten()) {
            self.block(index, block);
        }
        self.stop = answer["stop_reason"].as_str().map(str::to_owned);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Answer, Missing> {
        let Some(stop) = self.stop else {
            return Err(wire::broken_off());
        };
        let mut text = String::new();
        let mut calls = Vec::new();
        for block in self.blocks {
            match block.kind.as_str() {
                "text" => text.push_str(&block.text),
                "tool_use" => {
                    let args = match block.text.is_empty() {
                        true => block.input,
                        false => Value::String(block.text),
                    };
                    calls.push(Call::new(block.id, block.name, args));
                }
                _ => {}
            }
        }
        let stop = match stop.as_str() {
            "refusal" => Stop::Refused("it declined to go on".to_owned()),
            "max_tokens" | "model_context_window_exceeded" => Stop::Cut,
            _ => Stop::End,
        };
        Ok(Answer {
            text,
            calls,
            stop,
            used: self.used,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::native::talk::Said;
    use crate::inside::native::tool::own;
    use crate::inside::native::wire::Reader as _;

    fn read(events: &[Value]) -> Result<Answer, Missing> {
        let mut reader = Box::new(Reader::default());
        for event in events {
            reader.event(event)?;
        }
        reader.finish()
    }

    fn end(stop: &str) -> Value {
        json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 9}})
    }

    #[test]
    fn an_answer_is_put_together_from_its_blocks() {
        let usage = json!({"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 11, "output_tokens": 1});
        let answer = read(&[
            json!({"type": "message_start", "message": {"usage": usage}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I look."}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "a", "name": "read", "input": {}}}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "b", "name": "bash", "input": {"command": "ls"}}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"path\":"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"x\"}"}}),
            end("tool_use"),
            json!({"type": "message_stop"}),
        ])
        .expect("an answer");
        assert_eq!(answer.text, "I look.");
        let calls: Vec<_> = answer.calls.iter().map(|call| call.args.clone()).collect();
        assert_eq!(calls, [json!({"path": "x"}), json!({"command": "ls"})]);
        assert_eq!(
            answer.used,
            Used {
                input: 7,
                cached: 11,
                output: 9
            }
        );
    }

    #[test]
    fn what_is_no_success_is_none() {
        assert_eq!(read(&[]), Err(wire::broken_off()));
        let begun = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "I"}});
        assert_eq!(read(&[begun]), Err(wire::broken_off()));
        let stop = |word: &str| read(&[end(word)]).expect("an answer").stop;
        assert!(matches!(stop("refusal"), Stop::Refused(_)));
        assert_eq!(stop("max_tokens"), Stop::Cut);
        assert_eq!(stop("end_turn"), Stop::End);
        let busy =
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
        assert!(matches!(read(&[busy]), Err(Missing::Unavailable(_))));
        let mut whole = Box::new(Reader::default());
        let said = json!({"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"});
        whole.whole(&said).expect("read");
        assert_eq!(whole.finish().expect("an answer").text, "hi");
    }

    #[test]
    fn what_stays_the_same_is_marked_for_the_cache() {
        let said = |n: u32| Said {
            id: n.to_string(),
            is_error: n > 1,
            output: "ok".to_owned(),
        };
        let turns = [
            Turn::Prompt {
                text: "do it".to_owned(),
            },
            Turn::Answer {
                text: " ".to_owned(),
                calls: vec![Call::new("1".to_owned(), "read".to_owned(), json!({}))],
            },
            Turn::Results {
                results: vec![said(1), said(2)],
            },
        ];
        let body = body(&Question {
            model: "m",
            system: "s",
            turns: &turns,
            tools: &own(),
        });
        let mark = json!({"type": "ephemeral"});
        assert_eq!(body["system"][0]["cache_control"], mark);
        let results = &body["messages"][2]["content"];
        assert_eq!(results[1]["cache_control"], mark);
        assert_eq!(results[1]["is_error"], true);
        assert_eq!(body.to_string().matches("ephemeral").count(), 2);
        // Empty words are refused by the interface.
        assert_eq!(body["messages"][1]["content"][0]["type"], "tool_use");
    }
}
