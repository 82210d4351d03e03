//! A model server that plays from a script: the upstream for real agent programs in tests.
//!
//! It speaks Anthropic Messages, `OpenAI` Responses, `OpenAI` Chat Completions and Gemini, streamed or
//! not.
//! The answer is chosen from the request alone (the rule its last prompt matches, the assistant
//! turns since that prompt), so runs in parallel and resumed sessions all work; only faults
//! count how often they struck. Every request is kept and can be asked about. Deliberately
//! absent: anything clever, and the tools some real models are offered in another form (the
//! program must be given a model name it does not know).

mod anthropic;
mod chat;
mod gemini;
mod journal;
mod request;
mod responses;
mod script;
mod wire;

pub use self::journal::Exchange;
pub use self::request::Protocol;
pub use self::script::{Fault, Rule, Script, Step, Tokens};

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::request::Asked;
use self::wire::{Answer, reply};

/// The largest request that is read, in bytes.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// A running model server. It stops when dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    state: Mutex<Played>,
}

#[derive(Debug, Default)]
struct Played {
    journal: Vec<Exchange>,
    /// How often each fault struck, by its index in the script.
    struck: Vec<u32>,
}

impl ModelServer {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    /// When the loopback interface has no free port.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port on the loopback interface");
        Self::serve(listener, script)
    }

    /// Starts on a listener, for a caller that needs a certain port.
    ///
    /// # Panics
    /// When the listener has no address.
    pub fn serve(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().expect("a bound listener");
        let state = Mutex::new(Played {
            journal: Vec::new(),
            struck: vec![0; script.faults.len()],
        });
        let shared = Arc::new(Shared { script, state });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Ends with the task; an error of one connection does not end it.
            drop(axum::serve(listener, router).await);
        });
        Self {
            address,
            shared,
            task,
        }
    }

    /// Where it listens, without `/v1` and without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in the order they came.
    pub fn journal(&self) -> Vec<Exchange> {
        self.shared.played().journal.clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn played(&self) -> std::sync::MutexGuard<'_, Played> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that strikes this request, counted.
    fn strike(&self, asked: &Asked) -> Option<(usize, &Fault)> {
        let mut played = self.played();
        let (index, fault) = self
            .script
            .faults
            .iter()
            .enumerate()
            .find(|(index, fault)| fault.strikes(asked) && played.struck[*index] < fault.times)?;
        played.struck[index] += 1;
        Some((index, fault))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST_BYTES).await.unwrap_or_default();
    let asked = Asked::read(parts.uri.path(), &body);
    let mut exchange = Exchange::new(&parts, &asked);
    if parts.method == Method::HEAD {
        return reply(StatusCode::OK, &json!({}));
    }
    if parts.method != Method::POST {
        let models = parts.uri.path().ends_with("/models");
        shared.played().journal.push(exchange);
        return if models {
            reply(
                StatusCode::OK,
                &json!({ "object": "list", "data": [], "models": [] }),
            )
        } else {
            reply(
                StatusCode::NOT_FOUND,
                &json!({ "error": { "message": "not found" } }),
            )
        };
    }
    if let Some(key) = &shared.script.key
        && exchange.credential() != Some(key)
    {
        exchange.status = StatusCode::UNAUTHORIZED.as_u16();
        shared.played().journal.push(exchange);
        return wire::refuse(
            StatusCode::UNAUTHORIZED,
            "the credential is not the expected one",
        );
    }
    let struck = shared.strike(&asked);
    if let Some((index, fault)) = struck {
        exchange.fault = Some(index);
        exchange.status = fault.status.unwrap_or(200);
    }
    shared.played().journal.push(exchange);
    let mut cut = false;
    if let Some((_, fault)) = struck {
        if let Some(millis) = fault.delay_ms {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        if let Some(response) = wire::fault(fault) {
            return response;
        }
        cut = fault.cut;
    }
    let answer = Answer::new(&shared.script, &asked);
    match asked.protocol {
        Protocol::Anthropic => anthropic::answer(&answer, cut),
        Protocol::Responses => responses::answer(&answer, cut),
        Protocol::Chat => chat::answer(&answer, cut),
        Protocol::Gemini => gemini::answer(&answer, cut),
        Protocol::CountTokens => reply(
            StatusCode::OK,
            &json!({ "input_tokens": 10, "totalTokens": 10 }),
        ),
        Protocol::Other => reply(StatusCode::OK, &json!({})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn shared(script: Script) -> Arc<Shared> {
        let struck = vec![0; script.faults.len()];
        let state = Mutex::new(Played {
            journal: Vec::new(),
            struck,
        });
        Arc::new(Shared { script, state })
    }

    async fn ask(shared: &Arc<Shared>, path: &str, body: Value) -> (u16, String) {
        let request = Request::post(path)
            .header("authorization", "Bearer k")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = answer(State(Arc::clone(shared)), request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), MAX_REQUEST_BYTES).await;
        let body = body.map_or_else(
            |error| format!("broken: {error}"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        );
        (status, body)
    }

    fn steps() -> Script {
        Script::new([
            Step::shell("first", "touch a"),
            Step::tool("second", "Edit", json!({ "x": 1 })),
            Step::say("third"),
        ])
        .when("comment", [Step::say("fourth")])
    }

    /// The conversation after `turns` turns of the assistant, in each protocol.
    fn conversation(prompt: &str, turns: usize) -> [(&'static str, Value); 4] {
        let user =
            |text: &str| json!({ "role": "user", "content": [{ "type": "text", "text": text }] });
        let mut anthropic = vec![
            user("before"),
            json!({ "role": "assistant", "content": "x" }),
            user(prompt),
        ];
        let mut chat = vec![json!({ "role": "user", "content": prompt })];
        let mut responses = vec![
            json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": prompt }] }),
        ];
        let mut gemini = vec![json!({ "role": "user", "parts": [{ "text": prompt }] })];
        for _ in 0..turns {
            gemini.push(json!({ "role": "model", "parts": [{ "functionCall": {} }] }));
            gemini.push(
                json!({ "role": "user", "parts": [{ "functionResponse": { "name": "x" } }] }),
            );
            anthropic.push(json!({ "role": "assistant", "content": [{ "type": "tool_use" }] }));
            anthropic.push(json!({ "role": "user", "content": [{ "type": "tool_result", "content": "ok" }, { "type": "text", "text": "<system-reminder>x" }] }));
            chat.push(json!({ "role": "assistant", "tool_calls": [] }));
            chat.push(json!({ "role": "tool", "content": "ok" }));
            responses.push(json!({ "type": "message", "role": "assistant", "content": [] }));
            responses.push(json!({ "type": "function_call" }));
            responses.push(json!({ "type": "function_call_output" }));
        }
        [
            (
                "/v1/messages",
                json!({ "model": "m", "messages": anthropic, "tools": [{ "name": "Bash" }] }),
            ),
            (
                "/v1/responses",
                json!({ "model": "m", "input": responses, "tools": [{ "type": "function", "name": "exec_command" }] }),
            ),
            (
                "/v1/chat/completions",
                json!({ "model": "m", "messages": chat, "tools": [{ "type": "function", "function": { "name": "bash" } }] }),
            ),
            (
                "/v1beta/models/m:streamGenerateContent",
                json!({ "contents": gemini, "tools": [{ "functionDeclarations": [{ "name": "read_file" }, { "name": "run_shell_command" }] }] }),
            ),
        ]
    }

    #[tokio::test]
    async fn the_turns_since_the_prompt_choose_the_step() {
        let shared = shared(steps());
        for (turns, expected) in [(0, "touch a"), (1, "Edit"), (2, "third"), (9, "third")] {
            for stream in [false, true] {
                for (path, mut body) in conversation("do it", turns) {
                    body["stream"] = json!(stream);
                    let (status, said) = ask(&shared, path, body).await;
                    assert_eq!(status, 200);
                    assert!(said.contains(expected), "{path} {turns} {said}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_rule_answers_the_prompts_it_names_and_the_journal_knows_them() {
        let shared = shared(steps());
        for (path, body) in conversation("my comment", 0) {
            let (_, said) = ask(&shared, path, body).await;
            assert!(said.contains("fourth"), "{path} {said}");
        }
        let journal = shared.played().journal.clone();
        assert_eq!(journal.len(), 4);
        for exchange in &journal {
            assert_eq!(exchange.prompt, "my comment");
            assert_eq!(exchange.credential(), Some("k"));
            assert!(exchange.main);
        }
        assert_eq!(journal[0].items, 3);
    }

    #[tokio::test]
    async fn a_request_without_tools_gets_the_side_answer_and_no_fault() {
        let shared = shared(steps().fault(Fault::always(500)));
        let body = json!({ "messages": [{ "role": "user", "content": "title?" }] });
        let (status, said) = ask(&shared, "/v1/messages", body).await;
        assert_eq!(status, 200);
        assert!(said.contains("A title"), "{said}");
    }

    #[tokio::test]
    async fn a_fault_strikes_as_often_as_it_says() {
        let twice = Fault {
            times: 2,
            ..Fault::always(429).header("retry-after", "7")
        };
        let shared = shared(steps().fault(twice));
        let mut seen = Vec::new();
        for (path, body) in conversation("x", 0) {
            seen.push(ask(&shared, path, body).await.0);
        }
        assert_eq!(seen, [429, 429, 200, 200]);
        let statuses: Vec<u16> = shared.played().journal.iter().map(|e| e.status).collect();
        assert_eq!(statuses, seen);
    }

    #[tokio::test]
    async fn a_cut_breaks_the_connection() {
        let cut = Fault {
            cut: true,
            times: 4,
            ..Fault::default()
        };
        let shared = shared(steps().fault(cut));
        for (path, mut body) in conversation("x", 0) {
            body["stream"] = json!(true);
            let (_, said) = ask(&shared, path, body).await;
            assert!(said.starts_with("broken"), "{path} {said}");
        }
    }

    #[tokio::test]
    async fn a_wrong_credential_is_refused() {
        let shared = shared(steps().key("real"));
        let [(path, body), ..] = conversation("x", 0);
        assert_eq!(ask(&shared, path, body).await.0, 401);
    }

    #[test]
    fn a_script_is_json_and_a_wrong_word_in_it_an_error() {
        let read = serde_json::from_str::<Script>;
        let script = read(r#"{"steps":[{"shell":"ls"}],"faults":[{"status":500}]}"#).expect("JSON");
        assert_eq!(script.faults[0].times, 1);
        assert!(read(r#"{"step":[]}"#).is_err());
    }
}
