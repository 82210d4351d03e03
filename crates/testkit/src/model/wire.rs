//! What the protocols share: the answer to give, plain replies, and streams of events.

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};
use futures_util::stream;
use serde_json::{Value, json};

use super::request::Asked;
use super::script::{Fault, Script, Tokens};

/// What is to be said, before any protocol.
pub(super) struct Answer<'a> {
    pub(super) asked: &'a Asked,
    pub(super) text: String,
    pub(super) call: Option<Call>,
    pub(super) tokens: Tokens,
    /// Makes ids unique in their conversation.
    pub(super) mark: String,
}

/// A tool call.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) args: Value,
}

impl<'a> Answer<'a> {
    pub(super) fn new(script: &Script, asked: &'a Asked) -> Self {
        let step = script.step(asked);
        let (text, call) = match (step.shell, step.tool) {
            (Some(command), _) => match shell(&asked.tools, &command) {
                Some(call) => (step.text, Some(call)),
                None => (
                    format!("There is no shell tool among {}", asked.tools.join(", ")),
                    None,
                ),
            },
            (None, Some(name)) => (
                step.text,
                Some(Call {
                    name: offered(&asked.tools, name),
                    args: step.args,
                }),
            ),
            (None, None) => (step.text, None),
        };
        Self {
            asked,
            text,
            call,
            tokens: script.usage,
            mark: format!("{}{:x}", asked.items, asked.prompt.len()),
        }
    }
}

/// The tool as the program calls it, where a script says `mcp__SERVER__TOOL`; programs differ in what they
/// put before a server's tool, and some offer it only when it is looked for.
fn offered(tools: &[String], name: String) -> String {
    let Some((server, tool)) = name
        .strip_prefix("mcp__")
        .and_then(|rest| rest.split_once("__"))
    else {
        return name;
    };
    [
        name.clone(),
        format!("{server}_{tool}"),
        format!("{server}-{tool}"),
        format!("mcp_{server}_{tool}"),
        tool.to_owned(),
    ]
    .into_iter()
    .find(|form| tools.contains(form))
    .unwrap_or(name)
}

/// A shell command as a call of the first shell tool offered.
fn shell(tools: &[String], command: &str) -> Option<Call> {
    let offered = |name: &&str| tools.iter().any(|tool| tool == name);
    let name = [
        "Bash",
        "bash",
        "exec_command",
        "shell_command",
        "shell",
        "run_shell_command",
        "execute_bash",
        "terminal",
        "exec",
    ]
    .into_iter()
    .find(offered)?;
    let args = match name {
        "exec_command" => json!({ "cmd": command }),
        "shell" => json!({ "command": ["bash", "-lc", command] }),
        "shell_command" | "execute_bash" | "terminal" | "exec" => json!({ "command": command }),
        "run_shell_command" => {
            json!({ "command": command, "description": "run", "is_background": false })
        }
        _ => json!({ "command": command, "description": "run" }),
    };
    Some(Call {
        name: name.to_owned(),
        args,
    })
}

/// A reply of one JSON document.
pub(super) fn reply(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

/// A refusal in the words all protocols understand.
pub(super) fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let kind = match status.as_u16() {
        400 => "invalid_request_error",
        401 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let error = json!({ "type": kind, "message": message, "code": status.as_u16() });
    reply(status, &json!({ "type": "error", "error": error }))
}

/// The reply a fault stands for, if it stands for one.
pub(super) fn fault(fault: &Fault) -> Option<Response<Body>> {
    let status = StatusCode::from_u16(fault.status?).ok()?;
    let mut response = match &fault.body {
        Some(body) => reply(status, body),
        None => refuse(status, &format!("scripted {}", status.as_u16())),
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (
            header::HeaderName::try_from(name),
            header::HeaderValue::try_from(value),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    Some(response)
}

/// Events, as named server-sent events or, with a null name, as data alone.
#[derive(Default)]
pub(super) struct Events(String);

impl Events {
    pub(super) fn named(&mut self, name: &str, data: &Value) {
        self.0.push_str(&format!("event: {name}\ndata: {data}\n\n"));
    }

    pub(super) fn data(&mut self, data: &str) {
        self.0.push_str(&format!("data: {data}\n\n"));
    }

    /// The reply that streams them, broken in the middle if it is to be cut.
    pub(super) fn reply(self, cut: bool) -> Response<Body> {
        let bytes = Bytes::from(self.0);
        let body = if cut {
            let half = bytes.slice(..bytes.len() / 2);
            Body::from_stream(stream::iter([
                Ok(half),
                Err(std::io::Error::other("cut by the script")),
            ]))
        } else {
            Body::from(bytes)
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("text/event-stream"),
        );
        response
    }
}

/// A reply that was not asked to stream, or its broken half.
pub(super) fn whole(body: &Value, cut: bool) -> Response<Body> {
    if !cut {
        return reply(StatusCode::OK, body);
    }
    let mut events = Events::default();
    events.data(&body.to_string());
    events.reply(true)
}
