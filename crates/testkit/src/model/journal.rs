//! What a model server was asked.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use serde::Serialize;
use serde_json::Value;

use super::request::{Asked, Protocol};

/// One request, and what was made of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, null if it was no JSON.
    pub body: Value,
    /// Whether it offers tools: the agent's work, not a title or a summary.
    pub main: bool,
    /// The last prompt in it.
    pub prompt: String,
    /// The assistant's turns since that prompt.
    pub turn: usize,
    /// How many items the conversation has. A resumed session starts with more than a fresh one.
    pub items: usize,
    /// The fault that struck it, by its index in the script.
    pub fault: Option<usize>,
    /// The status it was answered with.
    pub status: u16,
}

impl Exchange {
    pub(super) fn new(parts: &Parts, asked: &Asked) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            protocol: asked.protocol,
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            body: asked.body.clone(),
            main: asked.offers_tools(),
            prompt: asked.prompt.clone(),
            turn: asked.turn,
            items: asked.items,
            fault: None,
            status: 200,
        }
    }

    /// The credential it brought: the bearer token, the `x-api-key` or the `x-goog-api-key`.
    pub fn credential(&self) -> Option<&str> {
        let bearer = self
            .headers
            .get("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        let plain = |name: &str| self.headers.get(name).map(String::as_str);
        bearer
            .or_else(|| plain("x-api-key"))
            .or_else(|| plain("x-goog-api-key"))
    }
}
