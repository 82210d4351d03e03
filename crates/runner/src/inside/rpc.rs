//! One conversation in JSON-RPC 2.0 over the standard streams of a program, a message a line.
//!
//! One request is open at a time; what comes meanwhile goes to the one who asked. Invariant: a line that is
//! no message is passed on as what it is, never believed. The official library of the protocol is not used:
//! it switches on, for the whole program, that JSON objects keep the order in which they were written, and
//! what is here of the protocol is one loop. Deliberately absent: batches, and several requests at once.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::codec::{FramedRead, LinesCodec};

/// The longest message that is read.
const MOST: usize = 16 << 20;

/// The code for a method that is not known.
const UNKNOWN_METHOD: i64 = -32601;

/// The two ends of a program.
pub(super) struct Peer {
    input: ChildStdin,
    output: FramedRead<ChildStdout, LinesCodec>,
    next: u64,
}

/// What the other side says while a request is open.
pub(super) enum Said {
    /// A notification: its method and parameters.
    Told(String, Value),
    /// A line that is no message.
    Line(String),
}

/// Who hears what the other side says.
pub(super) trait Listener {
    /// Hears a notification, or a line that is no message.
    fn hears(&mut self, said: &Said);

    /// Answers a request of the other side; none for a method that is not known.
    fn asked(&mut self, method: &str, params: &Value) -> Option<Value>;
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Failed {
    /// The other side answered with an error.
    #[error("{message}")]
    Answered {
        /// Its words.
        message: String,
        /// What it said beside.
        data: Value,
    },
    /// The other side is gone, or cannot be understood.
    #[error("{0}")]
    Gone(String),
}

impl Peer {
    pub(super) fn new(input: ChildStdin, output: ChildStdout) -> Self {
        Self {
            input,
            output: FramedRead::new(output, LinesCodec::new_with_max_length(MOST)),
            next: 0,
        }
    }

    /// Sends a notification.
    pub(super) async fn tell(&mut self, method: &str, params: Value) -> Result<(), Failed> {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
            .await
    }

    /// Sends a request; its answer is waited for with [`answer`](Self::answer).
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Result<u64, Failed> {
        self.next += 1;
        let id = self.next;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await?;
        Ok(id)
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn call(
        &mut self,
        method: &str,
        params: Value,
        listener: &mut dyn Listener,
    ) -> Result<Value, Failed> {
        let id = self.ask(method, params).await?;
        self.answer(id, listener).await
    }

    /// Waits for the answer to the request `id`. Nothing is lost when this is dropped and called again.
    pub(super) async fn answer(
        &mut self,
        id: u64,
        listener: &mut dyn Listener,
    ) -> Result<Value, Failed> {
        loop {
            let line = match self.output.next().await {
                Some(Ok(line)) => line,
                Some(Err(error)) => return Err(Failed::Gone(error.to_string())),
                None => return Err(Failed::Gone("the agent ended".to_owned())),
            };
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                listener.hears(&Said::Line(line));
                continue;
            };
            match (message["method"].as_str(), message.get("id")) {
                (Some(method), Some(of)) => {
                    let answer = match listener.asked(method, &message["params"]) {
                        Some(result) => json!({ "jsonrpc": "2.0", "id": of, "result": result }),
                        None => json!({
                            "jsonrpc": "2.0",
                            "id": of,
                            "error": { "code": UNKNOWN_METHOD, "message": "this client does not do that" },
                        }),
                    };
                    self.send(answer).await?;
                }
                (Some(method), None) => {
                    let told = Said::Told(method.to_owned(), message["params"].clone());
                    listener.hears(&told);
                }
                (None, Some(of)) if of.as_u64() == Some(id) => return result(&message),
                // An answer to what nobody waits for any more.
                (None, Some(_)) => {}
                (None, None) => listener.hears(&Said::Line(line)),
            }
        }
    }

    /// Ends the conversation, and gives the other side a moment to end as well.
    pub(super) async fn close(self, child: &mut tokio::process::Child, moment: Duration) {
        drop(self.input);
        drop(self.output);
        if tokio::time::timeout(moment, child.wait()).await.is_err() {
            // It is gone with the sandbox all the same.
            drop(child.start_kill());
        }
    }

    async fn send(&mut self, message: Value) -> Result<(), Failed> {
        let mut line = message.to_string();
        line.push('\n');
        let sent = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.flush().await
        };
        sent.await.map_err(|error: std::io::Error| {
            Failed::Gone(format!("the agent does not listen: {error}"))
        })
    }
}

fn result(message: &Value) -> Result<Value, Failed> {
    let error = &message["error"];
    if error.is_null() {
        return Ok(message["result"].clone());
    }
    Err(Failed::Answered {
        message: error["message"].as_str().unwrap_or("no words").to_owned(),
        data: error["data"].clone(),
    })
}
