//! A conversation, as no provider writes it.
//!
//! Invariant: each call has one result with its id, in the turn right behind it; [`mend`] makes it so.
//! Deliberately absent: system words and tools, which are not said but stand before the talk.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "kebab-case")]
pub(super) enum Turn {
    /// Said to the model.
    Prompt {
        /// The words.
        text: String,
    },
    /// Said by the model.
    Answer {
        /// The words, perhaps none.
        text: String,
        /// The tools it wants to be called.
        calls: Vec<Call>,
    },
    /// What the tools said.
    Results {
        /// One for each call.
        results: Vec<Said>,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Call {
    /// The provider's id of it, or ours.
    pub(super) id: String,
    /// The tool's name.
    pub(super) tool: String,
    /// Its arguments, an object.
    pub(super) args: Value,
    /// Why the arguments could not be read, if they could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unreadable: Option<String>,
}

/// What a tool said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// The call's id.
    pub(super) id: String,
    /// Whether it failed.
    pub(super) is_error: bool,
    /// The words.
    pub(super) output: String,
}

/// What a call is answered that was never carried out.
const NOT_RUN: &str = "not carried out: the work was interrupted before";

impl Call {
    /// A call with the arguments as they came: an object, or text that should be one. What cannot
    /// be read is kept, so that the model can be told.
    pub(super) fn new(id: String, tool: String, args: Value) -> Self {
        let (args, unreadable) = match args {
            Value::Null => (empty(), None),
            Value::String(text) => read(&text),
            args @ Value::Object(_) => (args, None),
            other => broken(&other.to_string(), "they are no object"),
        };
        Self {
            id,
            tool,
            args,
            unreadable,
        }
    }

    /// The call as one that was never carried out.
    pub(super) fn not_run(&self) -> Said {
        Said {
            id: self.id.clone(),
            is_error: true,
            output: NOT_RUN.to_owned(),
        }
    }
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Arguments that came as text. Small models sometimes write them as JSON in JSON.
fn read(text: &str) -> (Value, Option<String>) {
    if text.trim().is_empty() {
        return (empty(), None);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(args)) => (Value::Object(args), None),
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(Value::Object(args)) => (Value::Object(args), None),
            Ok(_) | Err(_) => broken(text, "they are no object"),
        },
        Ok(_) => broken(text, "they are no object"),
        Err(error) => broken(text, &error.to_string()),
    }
}

/// An object all the same: many servers read the arguments of earlier calls again.
fn broken(text: &str, why: &str) -> (Value, Option<String>) {
    let start: String = text.chars().take(2_000).collect();
    (
        serde_json::json!({ "unreadable": start }),
        Some(why.to_owned()),
    )
}

/// Makes a conversation whole that ended anywhere: whatever was called is answered.
pub(super) fn mend(turns: &mut Vec<Turn>) {
    let mut at = 0;
    while at < turns.len() {
        if let Turn::Answer { calls, .. } = &turns[at]
            && !calls.is_empty()
        {
            let calls = calls.clone();
            let mut results = match turns.get(at + 1) {
                Some(Turn::Results { results }) => results.clone(),
                Some(Turn::Prompt { .. } | Turn::Answer { .. }) | None => {
                    turns.insert(
                        at + 1,
                        Turn::Results {
                            results: Vec::new(),
                        },
                    );
                    Vec::new()
                }
            };
            let there: BTreeSet<String> = results.iter().map(|said| said.id.clone()).collect();
            let missing = calls.iter().filter(|call| !there.contains(&call.id));
            results.extend(missing.map(Call::not_run));
            turns[at + 1] = Turn::Results { results };
            at += 1;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_read_however_a_small_model_writes_them() {
        let call = |args: Value| {
            let call = Call::new("1".to_owned(), "read".to_owned(), args);
            (call.args, call.unreadable.is_some())
        };
        let good = json!({"path": "a"});
        for (args, expected, unreadable) in [
            (good.clone(), good.clone(), false),
            (json!(r#"{"path":"a"}"#), good.clone(), false),
            (json!(r#""{\"path\":\"a\"}""#), good, false),
            (json!(""), json!({}), false),
            (Value::Null, json!({}), false),
            (
                json!("{\"path\":"),
                json!({"unreadable": "{\"path\":"}),
                true,
            ),
            (json!("a b"), json!({"unreadable": "a b"}), true),
            (json!("[1]"), json!({"unreadable": "[1]"}), true),
            (json!([1]), json!({"unreadable": "[1]"}), true),
        ] {
            assert_eq!(call(args.clone()), (expected, unreadable), "{args}");
        }
    }

    #[test]
    fn a_conversation_that_ended_anywhere_is_made_whole() {
        let call = |id: &str| Call::new(id.to_owned(), "bash".to_owned(), json!({}));
        let said = |id: &str| Said {
            id: id.to_owned(),
            is_error: false,
            output: "ok".to_owned(),
        };
        let prompt = |text: &str| Turn::Prompt {
            text: text.to_owned(),
        };
        let answer = |calls: &[&str]| Turn::Answer {
            text: String::new(),
            calls: calls.iter().map(|id| call(id)).collect(),
        };
        let mut turns = vec![
            prompt("do it"),
            answer(&["1", "2"]),
            Turn::Results {
                results: vec![said("1")],
            },
            answer(&[]),
            prompt("more"),
            answer(&["3"]),
            prompt("now"),
            answer(&["4"]),
        ];
        mend(&mut turns);
        let whole = vec![
            prompt("do it"),
            answer(&["1", "2"]),
            Turn::Results {
                results: vec![said("1"), call("2").not_run()],
            },
            answer(&[]),
            prompt("more"),
            answer(&["3"]),
            Turn::Results {
                results: vec![call("3").not_run()],
            },
            prompt("now"),
            answer(&["4"]),
            Turn::Results {
                results: vec![call("4").not_run()],
            },
        ];
        assert_eq!(turns, whole);
        mend(&mut turns);
        assert_eq!(turns, whole, "twice changes nothing");
    }
}
