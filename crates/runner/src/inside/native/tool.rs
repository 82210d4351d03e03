//! The tools a model is offered, and what a call of one asks for.
//!
//! Invariant: arguments are read leniently (other names that models know, numbers as text), and what
//! is missing is told to the model in words that it can act on. Deliberately absent: tools that the
//! shell is as good for.

use serde_json::{Map, Value, json};

use super::talk::Call;

/// A tool as a model is told of it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// What it takes, as JSON Schema.
    pub(super) schema: Value,
}

/// A tool of our own.
#[derive(Debug)]
struct Tool {
    name: &'static str,
    description: &'static str,
    params: &'static [Param],
}

/// One of its arguments.
#[derive(Debug)]
struct Param {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    needed: bool,
    /// Names that other programs give it, which models have seen.
    also: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
}

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Some lines of a file, or the names in a folder.
    Read {
        path: String,
        offset: u64,
        limit: u64,
    },
    /// A whole file.
    Write { path: String, content: String },
    /// A place in a file.
    Edit {
        path: String,
        old: String,
        new: String,
        all: bool,
    },
    /// A command line.
    Bash { command: String, timeout_s: u64 },
}

/// Lines of one reading, unless the model says.
const LINES: u64 = 1_000;
/// How long a command may take, unless the model says, and at most.
const TIMEOUT_S: [u64; 2] = [600, 3_600];

const PATH: Param = Param {
    name: "path",
    kind: Kind::Text,
    about: "relative to the working tree",
    needed: true,
    also: &["file_path", "filename", "file"],
};

/// All tools of our own.
static TOOLS: [Tool; 4] = [
    Tool {
        name: "read",
        description: "Reads lines of a text file, or lists a folder.",
        params: &[
            PATH,
            Param {
                name: "offset",
                kind: Kind::Number,
                about: "the first line, from 1",
                needed: false,
                also: &["start_line", "start"],
            },
            Param {
                name: "limit",
                kind: Kind::Number,
                about: "how many lines",
                needed: false,
                also: &["lines"],
            },
        ],
    },
    Tool {
        name: "write",
        description: "Writes a whole file, with the folders it needs. For a change of a file use edit.",
        params: &[
            PATH,
            Param {
                name: "content",
                kind: Kind::Text,
                about: "all that the file is to hold",
                needed: true,
                also: &["contents", "text", "file_text"],
            },
        ],
    },
    Tool {
        name: "edit",
        description: "Replaces one place in a file. `old` is the exact text that stands there, with enough lines around it to occur once.",
        params: &[
            PATH,
            Param {
                name: "old",
                kind: Kind::Text,
                about: "the text that is there",
                needed: true,
                also: &["old_string", "old_str", "old_text"],
            },
            Param {
                name: "new",
                kind: Kind::Text,
                about: "the text to put there",
                needed: true,
                also: &["new_string", "new_str", "new_text"],
            },
            Param {
                name: "all",
                kind: Kind::Flag,
                about: "replace every occurrence",
                needed: false,
                also: &["replace_all"],
            },
        ],
    },
    Tool {
        name: "bash",
        description: "Runs a command line in the working tree and gives its output and exit code. Nothing is typed into it. Each call is a new shell.",
        params: &[
            Param {
                name: "command",
                kind: Kind::Text,
                about: "the command line",
                needed: true,
                also: &["cmd", "script"],
            },
            Param {
                name: "timeout_s",
                kind: Kind::Number,
                about: "seconds after which it is stopped, 600 unless said, 3600 at most",
                needed: false,
                also: &["timeout"],
            },
        ],
    },
];

impl Tool {
    /// Its arguments as JSON Schema.
    fn schema(&self) -> Value {
        let property = |param: &Param| {
            let kind = match param.kind {
                Kind::Text => "string",
                Kind::Number => "integer",
                Kind::Flag => "boolean",
            };
            let property = json!({ "type": kind, "description": param.about });
            (param.name.to_owned(), property)
        };
        let properties: Map<String, Value> = self.params.iter().map(property).collect();
        let needed = self.params.iter().filter(|param| param.needed);
        let needed: Vec<_> = needed.map(|param| param.name).collect();
        json!({ "type": "object", "properties": properties, "required": needed })
    }
}

/// The tools of our own, as a model is told of them.
pub(super) fn own() -> Vec<Offer> {
    let offer = |tool: &Tool| Offer {
        name: tool.name,
        description: tool.description,
        schema: tool.schema(),
    };
    TOOLS.iter().map(offer).collect()
}

/// What a call asks for, or what to tell the model, which was offered these tools.
pub(super) fn read(call: &Call, offers: &[Offer]) -> Result<Act, String> {
    let Some(tool) = TOOLS.iter().find(|tool| tool.name == call.tool) else {
        let names: Vec<_> = offers.iter().map(|offer| offer.name).collect();
        let names = names.join(", ");
        return Err(format!(
            "there is no tool {:?}; the tools are {names}",
            call.tool
        ));
    };
    readable(call)?;
    let args = Args {
        tool,
        args: &call.args,
    };
    Ok(match tool.name {
        "read" => Act::Read {
            path: args.text("path")?,
            offset: args.number("offset")?.unwrap_or(1).max(1),
            limit: args.number("limit")?.unwrap_or(LINES).max(1),
        },
        "write" => Act::Write {
            path: args.text("path")?,
            content: args.text("content")?,
        },
        "edit" => Act::Edit {
            path: args.text("path")?,
            old: args.text("old")?,
            new: args.text("new")?,
            all: args.flag("all"),
        },
        _ => {
            let [usual, most] = TIMEOUT_S;
            Act::Bash {
                command: args.text("command")?,
                timeout_s: args.number("timeout_s")?.unwrap_or(usual).clamp(1, most),
            }
        }
    })
}

/// Tells the model where the arguments of a call cannot be read.
pub(super) fn readable(call: &Call) -> Result<(), String> {
    match &call.unreadable {
        None => Ok(()),
        Some(why) => Err(format!(
            "the arguments of this call of {} cannot be read ({why}): call it again with one JSON object as its arguments",
            call.tool
        )),
    }
}

struct Args<'a> {
    tool: &'static Tool,
    args: &'a Value,
}

impl Args<'_> {
    /// The value, under any of its names.
    fn value(&self, name: &str) -> Option<&Value> {
        let param = self.tool.params.iter().find(|param| param.name == name)?;
        let mut names = std::iter::once(&param.name).chain(param.also);
        let found = names.find_map(|name| self.args.get(name));
        found.filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<String, String> {
        match self.value(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            // A command as words.
            Some(Value::Array(words)) if words.iter().all(Value::is_string) => {
                let words = words.iter().filter_map(Value::as_str);
                Ok(words.collect::<Vec<_>>().join(" "))
            }
            Some(_) => Err(format!("{}: `{name}` must be text", self.tool.name)),
            None => {
                let needed = self.tool.params.iter().filter(|param| param.needed);
                let needed: Vec<_> = needed.map(|param| param.name).collect();
                Err(format!(
                    "{} needs {}; `{name}` is missing",
                    self.tool.name,
                    needed.join(", ")
                ))
            }
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        };
        match number.filter(|number| (0.0..1e15).contains(number)) {
            // INVARIANT: it fits, by the range above.
            Some(number) => Ok(Some(number as u64)),
            None => Err(format!("{}: `{name}` must be a number", self.tool.name)),
        }
    }

    fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str, args: Value) -> Result<Act, String> {
        read(&Call::new("1".to_owned(), tool.to_owned(), args), &own())
    }

    #[test]
    fn a_call_is_read_by_any_of_the_names_that_models_know() {
        let edit = Act::Edit {
            path: "a".to_owned(),
            old: "x".to_owned(),
            new: "y".to_owned(),
            all: true,
        };
        for args in [
            json!({"path": "a", "old": "x", "new": "y", "all": true}),
            json!({"file_path": "a", "old_string": "x", "new_string": "y", "replace_all": "True"}),
        ] {
            assert_eq!(call("edit", args), Ok(edit.clone()));
        }
        let bash = |command: &str, timeout_s| {
            let command = command.to_owned();
            Ok(Act::Bash { command, timeout_s })
        };
        assert_eq!(call("bash", json!({"command": "ls"})), bash("ls", 600));
        assert_eq!(
            call("bash", json!({"cmd": ["ls", "-l"], "timeout": "90"})),
            bash("ls -l", 90)
        );
        assert_eq!(
            call("bash", json!({"command": "ls", "timeout_s": 1e9})),
            bash("ls", 3_600)
        );
        let path = "a".to_owned();
        assert_eq!(
            call("read", json!({"path": "a", "offset": 0, "limit": null})),
            Ok(Act::Read {
                path,
                offset: 1,
                limit: 1_000
            })
        );
    }

    #[test]
    fn what_is_wrong_with_a_call_is_told_to_the_model() {
        for (tool, args, told) in [
            (
                "edit",
                json!({"path": "a", "old": "x"}),
                "edit needs path, old, new; `new` is missing",
            ),
            ("read", json!({"path": 1}), "read: `path` must be text"),
            (
                "read",
                json!({"path": "a", "limit": "all"}),
                "read: `limit` must be a number",
            ),
            (
                "read",
                json!("{\"path\""),
                "the arguments of this call of read cannot be read",
            ),
            (
                "rm",
                json!({}),
                "there is no tool \"rm\"; the tools are read, write, edit, bash",
            ),
        ] {
            let error = call(tool, args).expect_err("wrong");
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn each_tool_says_what_it_needs() {
        for Offer { schema, .. } in own() {
            for name in schema["required"].as_array().expect("a list") {
                let name = name.as_str().expect("a name");
                assert!(schema["properties"][name]["description"].is_string());
            }
        }
        assert_eq!(TOOLS[2].schema()["required"], json!(["path", "old", "new"]));
    }
}
