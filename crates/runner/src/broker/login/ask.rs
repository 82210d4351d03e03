//! The question to the token endpoint (RFC 6749, section 6), and what its answer means.
//!
//! Invariant: of what the endpoint says only its status and a short code without signs reach a text; it
//! could repeat a token. Deliberately absent: redirects, and a second try.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::file::Tokens;
use crate::broker::forward::explain;
use crate::broker::model::Clock;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer.
const MOST: usize = 64 << 10;
/// The largest token, in bytes.
const LONGEST: usize = 16 << 10;

/// Codes that somebody must do something about.
const CODES: [&str; 7] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
];
/// Codes after which the same may work later.
const LATER: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// What came of it.
pub(super) enum Answer {
    /// New tokens.
    Tokens(Box<Tokens>),
    /// The endpoint will not; with its code.
    Refused(String),
    /// None, or none that says anything.
    None(String),
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
}

/// Asks for the next tokens.
pub(super) async fn refresh(client: &reqwest::Client, tokens: &Tokens, now: Clock) -> Answer {
    let asked = tokio::time::timeout(PATIENCE, send(client, tokens));
    let (status, body) = match asked.await {
        Err(_elapsed) => {
            return Answer::None("the token endpoint did not answer in time".to_owned());
        }
        Ok(Err(why)) => return Answer::None(why),
        Ok(Ok(answer)) => answer,
    };
    match status {
        200..=299 => read(tokens, &body, now),
        408 | 425 | 429 | 500.. => Answer::None(format!("the token endpoint answered {status}")),
        _ => match code(&body) {
            Some(code) if LATER.contains(&code) => {
                Answer::None(format!("the token endpoint answered {code}"))
            }
            code => Answer::Refused(format!("{}, {status}", code.unwrap_or("without a code"))),
        },
    }
}

async fn send(client: &reqwest::Client, tokens: &Tokens) -> Result<(u16, Vec<u8>), String> {
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.expose()),
        ("client_id", tokens.client_id.as_str()),
    ];
    let secret = tokens.client_secret.as_ref();
    fields.extend(secret.map(|secret| ("client_secret", secret.expose())));
    fields.extend(tokens.scope.as_deref().map(|scope| ("scope", scope)));
    let (kind, body) = match tokens.json {
        true => {
            let fields = fields.iter().map(|(name, value)| {
                let value = Value::String((*value).to_owned());
                ((*name).to_owned(), value)
            });
            let document: Map<String, Value> = fields.collect();
            ("application/json", Value::Object(document).to_string())
        }
        false => ("application/x-www-form-urlencoded", form(&fields)),
    };
    let sent = client
        .post(tokens.url.clone())
        .header("content-type", kind)
        .header("accept", "application/json")
        .body(body)
        .send();
    let response = sent
        .await
        .map_err(|error| format!("the token endpoint is out of reach: {}", explain(error)))?;
    let status = response.status().as_u16();
    let mut stream = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            format!(
                "the answer of the token endpoint broke off: {}",
                explain(error)
            )
        })?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST {
            return Err("the answer of the token endpoint is too long".to_owned());
        }
    }
    Ok((status, bytes))
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://form.invalid").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(fields);
    }
    let query = url.as_ref().and_then(reqwest::Url::query);
    query.unwrap_or_default().to_owned()
}

fn read(tokens: &Tokens, body: &[u8], now: Clock) -> Answer {
    let Ok(given) = serde_json::from_slice::<Given>(body) else {
        return Answer::None("the token endpoint answered without an access token".to_owned());
    };
    let is_one = |token: &str| {
        (1..=LONGEST).contains(&token.len())
            && token.bytes().all(|byte| (0x21..0x7f).contains(&byte))
    };
    let refresh = given.refresh_token.as_deref().filter(|new| !new.is_empty());
    if !is_one(&given.access_token) || !refresh.is_none_or(is_one) {
        return Answer::None("the token endpoint answered with what can be no token".to_owned());
    }
    let lives = given.expires_in.as_ref().and_then(|value| match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    });
    let lives = lives.filter(|seconds| (1..=10 * 366 * 24 * 3_600).contains(seconds));
    let lives = lives.map(Duration::from_secs);
    let new = tokens.with(&given.access_token, refresh, lives, now());
    Answer::Tokens(Box::new(new))
}

/// The endpoint's code, if it is one of those that there are.
fn code(body: &[u8]) -> Option<&'static str> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = document["error"].as_str().unwrap_or_default();
    CODES.into_iter().chain(LATER).find(|code| *code == said)
}
