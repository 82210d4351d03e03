//! The tools: names, words for the model, and what each takes.
//!
//! Deliberately absent: what they do.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What one tool is.
struct Facts {
    name: &'static str,
    /// What it is for, when to use it, and what comes of it.
    words: &'static str,
    /// Whether it changes nothing anywhere.
    reads: bool,
    fields: &'static [Field],
}

/// A field of a tool's input.
struct Field {
    name: &'static str,
    words: &'static str,
    /// A list of texts instead of one.
    list: bool,
    required: bool,
}

const fn text(name: &'static str, words: &'static str, required: bool) -> Field {
    Field {
        name,
        words,
        list: false,
        required,
    }
}

const TOOLS: &[Facts] = &[
    Facts {
        name: "get_issue",
        words: "The order you work on: the issue's title and text, the checks that must pass and the sealed \
                tests, as they were when this run began. Each text says how far its author is trusted.",
        reads: true,
        fields: &[],
    },
    Facts {
        name: "get_feedback",
        words: "What was said on the issue before this run began: answers, reviews, words to earlier runs, \
                and why the last verdict was red, with what its commands printed.",
        reads: true,
        fields: &[],
    },
    Facts {
        name: "run_checks",
        words: "Runs the project's required checks and the issue's sealed tests on the working tree as it is \
                now, and reports each result with the end of its output. The sealed files are laid over yours \
                first. Use it before you stop. The platform judges the result again, elsewhere.",
        reads: false,
        fields: &[Field {
            name: "only",
            words: "Names of the checks to run, such as the failed ones; `acceptance` for the sealed tests. \
                    All of them if left out.",
            list: true,
            required: false,
        }],
    },
    Facts {
        name: "progress",
        words: "Says in one line how far you are, for the people who watch. At most 1000 bytes, and one a \
                second.",
        reads: false,
        fields: &[text("text", "One line.", true)],
    },
    Facts {
        name: "ask",
        words: "Asks a person, where you cannot go on without an answer. Once in a run, and last: end your \
                turn after it. You will be resumed with the answer.",
        reads: false,
        fields: &[text(
            "question",
            "The question with what the person needs to know to answer it, Markdown.",
            true,
        )],
    },
    Facts {
        name: "request_host",
        words: "Asks a person to let this run reach hosts of the network, where you cannot do the work without. \
                It is the one question of a run, as `ask` is: end your turn after it. You will be resumed with \
                the answer.",
        reads: false,
        fields: &[
            Field {
                name: "hosts",
                words: "1 to 10 hosts, such as packages.example.com, with a port where it is not 80 or 443.",
                list: true,
                required: true,
            },
            text(
                "why",
                "What you need from them, and what happens without.",
                true,
            ),
        ],
    },
    Facts {
        name: "propose_guideline",
        words: "Proposes a rule for later work in this project, where a person's feedback taught you something \
                that holds beyond this change. The person sees it with your change and decides. At most 5 in a \
                run.",
        reads: false,
        fields: &[
            text("text", "The rule, in one or two sentences.", true),
            text("source", "The feedback it comes from, quoted.", false),
        ],
    },
    Facts {
        name: "split_issue",
        words: "Drafts an issue for work that does not belong into this change. It stays a draft until a person \
                lets it start, so do not wait for it. At most 10 in a run.",
        reads: false,
        fields: &[
            text("title", "One line, at most 200 characters.", true),
            text(
                "body",
                "What is to be done, why, and how one sees that it is done, Markdown.",
                true,
            ),
        ],
    },
];

/// What `run_checks` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Only {
    #[serde(default)]
    pub(super) only: Option<Vec<String>>,
}

/// What a tool without fields takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// What `progress` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) text: String,
}

/// What `ask` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) question: String,
}

/// What `request_host` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hosts {
    pub(super) hosts: Vec<String>,
    pub(super) why: String,
}

/// What `propose_guideline` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guideline {
    pub(super) text: String,
    #[serde(default)]
    pub(super) source: Option<String>,
}

/// What `split_issue` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Split {
    pub(super) title: String,
    pub(super) body: String,
}

/// Every tool, as a client is told.
pub(super) fn all() -> Vec<Tool> {
    TOOLS.iter().map(Facts::tool).collect()
}

/// Every tool as the built-in agent tells its model of it: name, words, and the schema of what it takes.
pub(in crate::inside) fn told() -> impl Iterator<Item = (&'static str, &'static str, Value)> {
    TOOLS
        .iter()
        .map(|tool| (tool.name, tool.words, Value::Object(tool.schema())))
}

/// Every name, for a message.
pub(super) fn names() -> String {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    names.join(", ")
}

/// Reads a tool's input.
pub(super) fn input<T: DeserializeOwned>(given: Option<JsonObject>) -> Result<T, String> {
    serde_json::from_value(Value::Object(given.unwrap_or_default()))
        .map_err(|error| format!("the input does not fit: {error}; look at the tool's schema"))
}

impl Facts {
    fn tool(&self) -> Tool {
        let notes = ToolAnnotations::new()
            .read_only(self.reads)
            .destructive(false)
            .open_world(false);
        Tool::new(self.name, self.words, Arc::new(self.schema())).with_annotations(notes)
    }

    fn schema(&self) -> JsonObject {
        let property = |field: &Field| {
            let kind = match field.list {
                true => json!({ "type": "array", "items": { "type": "string" } }),
                false => json!({ "type": "string" }),
            };
            let mut kind = kind.as_object().cloned().unwrap_or_default();
            kind.insert("description".to_owned(), field.words.into());
            (field.name.to_owned(), Value::Object(kind))
        };
        let required: Vec<Value> = self
            .fields
            .iter()
            .filter(|field| field.required)
            .map(|field| field.name.into())
            .collect();
        let mut schema = JsonObject::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert(
            "properties".to_owned(),
            Value::Object(self.fields.iter().map(property).collect()),
        );
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
        schema.insert("additionalProperties".to_owned(), false.into());
        schema
    }
}
