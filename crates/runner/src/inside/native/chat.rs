//! Chat Completions, as `OpenAI` and the servers of local models speak them.
//!
//! Invariant: what is sent is the least that all of them take. What some of them leave out of their
//! answers (ids, indices, counts, an end) is made up for. Deliberately absent: `max_tokens`, which
//! the server knows better.

use std::mem;

use serde_json::{Value, json};

use super::talk::{Call, Turn};
use super::wire::{self, Answer, Missing, Question, Stop, Used};

/// The request's body.
pub(super) fn body(question: &Question<'_>) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": question.system })];
    for turn in question.turns {
        match turn {
            Turn::Prompt { text } => {
                // Some templates refuse two of a person in a row.
                let last = messages.last_mut().filter(|last| last["role"] == "user");
                match last {
                    Some(last) => {
                        let before = last["content"].as_str().unwrap_or_default();
                        last["content"] = json!(format!("{before}\n\n{text}"));
                    }
                    None => messages.push(json!({ "role": "user", "content": text })),
                }
            }
            Turn::Answer { text, calls } => messages.push(answered(text, calls)),
            Turn::Results { results } => messages.extend(results.iter().map(
                |said| json!({ "role": "tool", "tool_call_id": said.id, "content": said.output }),
            )),
        }
    }
    let tools = question.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        })
    });
    json!({
        "model": question.model,
        "messages": messages,
        "tools": tools.collect::<Vec<_>>(),
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}

fn answered(text: &str, calls: &[Call]) -> Value {
    let mut message = json!({ "role": "assistant", "content": text });
    if !calls.is_empty() {
        let calls = calls.iter().map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.tool, "arguments": call.args.to_string() },
            })
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    refusal: String,
    calls: Vec<Part>,
    stop: Option<String>,
    done: bool,
    used: Used,
}

/// A call that is still being said.
#[derive(Debug, Default)]
struct Part {
    index: Option<u64>,
    id: String,
    name: String,
    args: String,
}

impl Reader {
    fn choice(&mut self, choice: &Value, said: &Value) {
        self.text.push_str(said["content"].as_str().unwrap_or(""));
        self.refusal
            .push_str(said["refusal"].as_str().unwrap_or(""));
        for call in said["tool_calls"].as_array().into_iter().flatten() {
            self.call(call);
        }
        if let Some(stop) = choice["finish_reason"].as_str() {
            self.stop = Some(stop.to_owned());
        }
    }

    fn call(&mut self, said: &Value) {
        let index = said["index"].as_u64();
        let id = said["id"].as_str().unwrap_or_default();
        let function = &said["function"];
        let name = function["name"].as_str().unwrap_or_default();
        let same = |part: &Part| match index {
            Some(_) => part.index == index,
            // Without an index, an id or a name begins a call, and the rest belongs to the last.
            None => (id.is_empty() && name.is_empty()) || (!id.is_empty() && part.id == id),
        };
        let at = match self.calls.iter().rposition(same) {
            Some(at) => at,
            None => {
                self.calls.push(Part {
                    index,
                    ..Part::default()
                });
                self.calls.len() - 1
            }
        };
        let part = &mut self.calls[at];
        if part.id.is_empty() {
            id.clone_into(&mut part.id);
        }
        if part.name.is_empty() {
            name.clone_into(&mut part.name);
        }
        match &function["arguments"] {
            Value::String(text) => part.args.push_str(text),
            Value::Null => {}
            whole => part.args = whole.to_string(),
        }
    }

    fn usage(&mut self, usage: &Value) {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
        if usage.is_object() {
            self.used = Used {
                input: count(&usage["prompt_tokens"]).saturating_sub(cached),
                cached,
                output: count(&usage["completion_tokens"]),
            };
        }
    }
}

impl wire::Reader for Reader {
    fn event(&mut self, event: &Value) -> Result<(), Missing> {
        if !event["error"].is_null() {
            return Err(Missing::of_event(&event["error"]));
        }
        self.usage(&event["usage"]);
        let choice = &event["choices"][0];
        self.choice(choice, &choice["delta"]);
        Ok(())
    }

    fn done(&mut self) {
        self.done = true;
    }

    fn whole(&mut self, answer: &Value) -> Result<(), Missing> {
        if !answer["error"].is_null() {
            return Err(Missing::of_event(&answer["error"]));
        }
        self.usage(&answer["usage"]);
        let choice = &answer["choices"][0];
        self.choice(choice, &choice["message"]);
        self.done = choice.is_object();
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Answer, Missing> {
        if self.stop.is_none() && !self.done {
            return Err(wire::broken_off());
        }
        let parts = mem::take(&mut self.calls);
        let mut calls: Vec<Call> = Vec::new();
        for (n, part) in parts.into_iter().enumerate() {
            let taken = calls.iter().any(|call| call.id == part.id);
            let id = match part.id.is_empty() || taken {
                true => format!("call_{n}_{:x}", self.text.len() + part.args.len()),
                false => part.id,
            };
            calls.push(Call::new(id, part.name, Value::String(part.args)));
        }
        let stop = match self.stop.as_deref() {
            _ if !self.refusal.is_empty() => Stop::Refused(self.refusal),
            Some("content_filter") => Stop::Refused("its provider filtered the answer".to_owned()),
            Some("length") => Stop::Cut,
            Some(_) | None => Stop::End,
        };
        Ok(Answer {
            text: self.text,
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

    fn read(events: &[Value], done: bool) -> Result<Answer, Missing> {
        let mut reader = Box::new(Reader::default());
        for event in events {
            reader.event(event)?;
        }
        if done {
            reader.done();
        }
        reader.finish()
    }

    fn delta(delta: Value, stop: Option<&str>) -> Value {
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": stop }] })
    }

    fn part(call: Value) -> Value {
        delta(json!({ "tool_calls": [call] }), None)
    }

    #[test]
    fn an_answer_is_put_together_from_its_parts() {
        let answer = read(
            &[
                delta(json!({"role": "assistant", "content": "I "}), None),
                delta(json!({"content": "look."}), None),
                part(json!({"index": 0, "id": "a", "function": {"name": "read", "arguments": ""}})),
                part(json!({"index": 0, "function": {"arguments": "{\"path\":"}})),
                part(json!({"index": 1, "id": "b", "function": {"name": "bash", "arguments": "{}"}})),
                part(json!({"index": 0, "function": {"arguments": "\"x\"}"}})),
                delta(json!({}), Some("tool_calls")),
                json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 10}}}),
            ],
            true,
        )
        .expect("an answer");
        assert_eq!(
            (answer.text.as_str(), &answer.stop),
            ("I look.", &Stop::End)
        );
        let calls: Vec<_> = answer
            .calls
            .iter()
            .map(|call| (call.id.as_str(), call.tool.as_str(), call.args.clone()))
            .collect();
        assert_eq!(
            calls,
            [
                ("a", "read", json!({"path": "x"})),
                ("b", "bash", json!({}))
            ]
        );
        assert_eq!(
            answer.used,
            Used {
                input: 2,
                cached: 10,
                output: 3
            }
        );
    }

    #[test]
    fn what_a_small_server_leaves_out_is_made_up_for() {
        // No index, no id, arguments as an object, no reason to stop, an end only by its word.
        let answer = read(
            &[
                part(json!({"function": {"name": "read", "arguments": {"path": "x"}}})),
                part(json!({"function": {"name": "read", "arguments": "{\"path\":"}})),
                part(json!({"function": {"arguments": "\"y\"}"}})),
            ],
            true,
        )
        .expect("an answer");
        let paths: Vec<_> = answer.calls.iter().map(|call| &call.args["path"]).collect();
        assert_eq!(paths, ["x", "y"]);
        assert_ne!(answer.calls[0].id, answer.calls[1].id);
        assert!(!answer.calls[0].id.is_empty());
        // The same id twice is two calls with two ids.
        let twice = read(
            &[
                part(json!({"index": 0, "id": "z", "function": {"name": "read"}})),
                part(json!({"index": 1, "id": "z", "function": {"name": "read"}})),
            ],
            true,
        )
        .expect("an answer");
        assert_ne!(twice.calls[0].id, twice.calls[1].id);
        // An answer in one piece.
        let mut whole = Box::new(Reader::default());
        whole
            .whole(&json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}))
            .expect("read");
        assert_eq!(whole.finish().expect("an answer").text, "hi");
    }

    #[test]
    fn what_is_no_success_is_none() {
        assert_eq!(
            read(&[delta(json!({"content": "I"}), None)], false),
            Err(wire::broken_off())
        );
        assert_eq!(read(&[], false), Err(wire::broken_off()));
        let mut nothing = Box::new(Reader::default());
        nothing.whole(&json!({})).expect("read");
        assert_eq!(nothing.finish(), Err(wire::broken_off()));
        let stop = |events: &[Value]| read(events, true).expect("an answer").stop;
        assert_eq!(stop(&[delta(json!({}), Some("length"))]), Stop::Cut);
        assert!(matches!(
            stop(&[delta(json!({}), Some("content_filter"))]),
            Stop::Refused(_)
        ));
        assert_eq!(
            stop(&[delta(json!({"refusal": "I won't."}), Some("stop"))]),
            Stop::Refused("I won't.".to_owned())
        );
        assert!(matches!(
            read(&[json!({"error": {"message": "boom"}})], true),
            Err(Missing::Unavailable(_))
        ));
    }

    #[test]
    fn what_is_sent_is_what_every_server_takes() {
        let call = Call::new("a".to_owned(), "read".to_owned(), json!("{broken"));
        let said = Said {
            id: "a".to_owned(),
            is_error: true,
            output: "no".to_owned(),
        };
        let prompt = |text: &str| Turn::Prompt {
            text: text.to_owned(),
        };
        let turns = [
            prompt("one"),
            prompt("two"),
            Turn::Answer {
                text: String::new(),
                calls: vec![call],
            },
            Turn::Results {
                results: vec![said],
            },
            prompt("three"),
        ];
        let body = body(&Question {
            model: "m",
            system: "s",
            turns: &turns,
            tools: &own(),
        });
        let roles: Vec<_> = body["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| message["role"].as_str().expect("a role"))
            .collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
        assert_eq!(body["messages"][1]["content"], "one\n\ntwo");
        let args = &body["messages"][2]["tool_calls"][0]["function"]["arguments"];
        let args: Value = serde_json::from_str(args.as_str().expect("text")).expect("JSON");
        assert_eq!(args, json!({"unreadable": "{broken"}));
        assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
        assert_eq!(body["stream"], true);
    }
}
