//! What both interfaces of models share: a question, an answer, and why there is none.
//!
//! Invariant: answers are read leniently, since servers differ in what they leave out; what is not
//! understood is never taken for a success. Deliberately absent: HTTP.

use serde_json::{Value, json};

use super::talk::{Call, Turn};
use super::tool::Offer;
use super::{chat, messages};

/// The interface of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// `OpenAI`'s Chat Completions, and everything that speaks as they do.
    Chat,
    /// Anthropic's Messages.
    Messages,
}

/// One question to a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) model: &'a str,
    pub(super) system: &'a str,
    pub(super) turns: &'a [Turn],
    pub(super) tools: &'a [Offer],
}

/// What a model said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) stop: Stop,
    pub(super) used: Used,
}

/// Why it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// It had said everything, or wants tools to be called.
    End,
    /// It may say no more in one answer.
    Cut,
    /// It does not want to, or its provider does not let it.
    Refused(String),
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Sent, and not read from a cache.
    pub(super) input: u64,
    /// Read from a cache.
    pub(super) cached: u64,
    /// Said.
    pub(super) output: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Not now; the broker has waited already.
    Limited { detail: String, wait_s: Option<u64> },
    /// The credential is refused.
    Unauthorized(String),
    /// The run's or the account's money or count is used up.
    Budget(String),
    /// The conversation is larger than the model can read.
    TooLong(String),
    /// The same may work soon.
    Unavailable(String),
    /// The same will never work.
    Wrong(String),
}

/// Reads an answer as it comes.
pub(super) trait Reader {
    /// One event of a stream.
    fn event(&mut self, event: &Value) -> Result<(), Missing>;

    /// The end of the stream by its own word, where that is no event.
    fn done(&mut self) {}

    /// An answer in one piece.
    fn whole(&mut self, answer: &Value) -> Result<(), Missing>;

    /// The answer, if it came to its end.
    fn finish(self: Box<Self>) -> Result<Answer, Missing>;
}

impl Speaks {
    /// By the word of the endpoint's settings.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "openai" => Some(Self::Chat),
            "anthropic" => Some(Self::Messages),
            _ => None,
        }
    }

    /// Behind the endpoint's address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// The headers that carry the credential, and what else is needed.
    pub(super) fn headers(self, key: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Chat => vec![("authorization", format!("Bearer {key}"))],
            Self::Messages => vec![
                ("x-api-key", key.to_owned()),
                ("anthropic-version", "2023-06-01".to_owned()),
            ],
        }
    }

    /// The request's body.
    pub(super) fn body(self, question: &Question<'_>) -> Value {
        match self {
            Self::Chat => chat::body(question),
            Self::Messages => messages::body(question),
        }
    }

    /// A reader of one answer.
    pub(super) fn reader(self) -> Box<dyn Reader> {
        match self {
            Self::Chat => Box::new(chat::Reader::default()),
            Self::Messages => Box::new(messages::Reader::default()),
        }
    }
}

impl Missing {
    /// What a status other than success means, with the body that came with it.
    pub(super) fn of_status(status: u16, wait_s: Option<u64>, body: &str) -> Self {
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        let detail = format!("{} ({status})", said(&document, body));
        let kind = document["error"]["type"].as_str().unwrap_or_default();
        let lower = body.to_ascii_lowercase();
        match status {
            _ if kind == "budget_exhausted" || status == 402 => Self::Budget(detail),
            429 if lower.contains("insufficient_quota") => Self::Budget(detail),
            429 => Self::Limited { detail, wait_s },
            401 | 403 => Self::Unauthorized(detail),
            400 | 413 | 422 | 500 if is_too_long(&lower) => Self::TooLong(detail),
            408 | 409 | 500..=599 => Self::Unavailable(detail),
            _ => Self::Wrong(detail),
        }
    }

    /// What an error in the middle of a stream means.
    pub(super) fn of_event(error: &Value) -> Self {
        let code = error["code"].as_u64().and_then(|code| code.try_into().ok());
        let status = match error["type"].as_str().unwrap_or_default() {
            "rate_limit_error" => 429,
            "authentication_error" | "permission_error" => 401,
            "invalid_request_error" => 400,
            _ => code.filter(|code| *code >= 400).unwrap_or(500),
        };
        Self::of_status(status, None, &json!({ "error": error }).to_string())
    }
}

/// The words in which servers say that a conversation does not fit.
fn is_too_long(lower: &str) -> bool {
    [
        "context_length",
        "context length",
        "context size",
        "context window",
        "prompt is too long",
        "too many tokens",
        "input is too long",
        "maximum context",
        "exceed_context",
    ]
    .iter()
    .any(|words| lower.contains(words))
}

/// The message of an error, wherever it stands in it.
fn said(document: &Value, body: &str) -> String {
    let error = &document["error"];
    let found = [
        &error["message"],
        error,
        &document["message"],
        &document["detail"],
    ];
    let words = found.into_iter().find_map(Value::as_str);
    let words = words.unwrap_or_else(|| body.trim());
    match words.chars().take(1_000).collect::<String>() {
        words if words.is_empty() => "it said nothing".to_owned(),
        words => words,
    }
}

/// A stream that ended before its answer did.
pub(super) fn broken_off() -> Missing {
    Missing::Unavailable("the answer broke off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refusal_means() {
        use Missing::{Budget, Limited, TooLong, Unauthorized, Unavailable, Wrong};
        let of = |status, body: &str| Missing::of_status(status, Some(7), body);
        let said = |status| format!("no ({status})");
        let body = r#"{"error":{"message":"no","type":"x"}}"#;
        assert_eq!(of(401, body), Unauthorized(said(401)));
        assert_eq!(of(403, body), Unauthorized(said(403)));
        assert_eq!(of(402, body), Budget(said(402)));
        assert_eq!(of(404, body), Wrong(said(404)));
        assert_eq!(of(503, body), Unavailable(said(503)));
        assert_eq!(of(529, body), Unavailable(said(529)));
        let limited = Limited {
            detail: said(429),
            wait_s: Some(7),
        };
        assert_eq!(of(429, body), limited);
        let ours = r#"{"type":"error","error":{"message":"no","type":"budget_exhausted"}}"#;
        assert_eq!(of(403, ours), Budget(said(403)));
        assert_eq!(of(429, ours), Budget(said(429)));
        for (status, words) in [
            (400, "the request exceeds the available context size"),
            (
                400,
                "This model's maximum context length is 8192 tokens. However",
            ),
            (413, "prompt is too long: 210000 tokens > 200000 maximum"),
            (500, "input length exceeds context length"),
        ] {
            let body = format!("{{\"error\":{{\"message\":{words:?}}}}}");
            assert!(matches!(of(status, &body), TooLong(_)), "{words}");
        }
        // Of other servers, and of none.
        assert_eq!(of(400, r#"{"error":"no"}"#), Wrong(said(400)));
        assert_eq!(of(400, r#"{"detail":"no"}"#), Wrong(said(400)));
        assert_eq!(of(502, "no"), Unavailable(said(502)));
        assert_eq!(of(404, ""), Wrong("it said nothing (404)".to_owned()));
    }

    #[test]
    fn an_error_in_the_middle_of_a_stream() {
        let of = |error: Value| Missing::of_event(&error);
        assert!(matches!(
            of(json!({"type": "overloaded_error", "message": "busy"})),
            Missing::Unavailable(_)
        ));
        assert!(matches!(
            of(json!({"type": "rate_limit_error"})),
            Missing::Limited { .. }
        ));
        assert!(matches!(
            of(json!({"code": 400, "message": "the context window is full"})),
            Missing::TooLong(_)
        ));
        assert!(matches!(of(json!("boom")), Missing::Unavailable(_)));
    }
}
