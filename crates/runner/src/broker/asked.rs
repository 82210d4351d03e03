//! What of a request to a model is read, and what is added to it: that a stream tells its usage.
//!
//! Invariant: nothing in a request can make its stream keep its usage to itself, and reading it takes no
//! more room than a few times its text. Deliberately absent: prompts.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

/// The largest request that is read as a tree of values.
const READABLE: usize = 4 << 20;
/// What is said of one that is larger.
pub(super) const UNREADABLE: &str = "a request of more than 4 MiB with `stream_options` cannot be counted: leave them \
     out, the usage is asked for anyway";
/// What of a request decides how it is treated.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
}

/// Asks for what a stream of Chat Completions says of its usage only when asked; none where the request is
/// too large to be read for what it says of that itself.
pub(super) fn with_usage(path: &str, asked: &Asked, body: Bytes) -> Option<Bytes> {
    if !asked.stream || !path.ends_with("/chat/completions") {
        return Some(body);
    }
    let name = b"\"stream_options\"";
    if !body.windows(name.len()).any(|part| part == name) {
        // The last of a name counts, however an earlier one is spelled; and a tree of values would take
        // many times the room of the text.
        let end = body.iter().rposition(|byte| *byte == b'}')?;
        let mut with = BytesMut::with_capacity(body.len() + 64);
        with.extend_from_slice(&body[..end]);
        with.extend_from_slice(br#","stream_options":{"include_usage":true}}"#);
        return Some(with.freeze());
    }
    if body.len() > READABLE {
        return None;
    }
    let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else {
        return Some(body);
    };
    let told = request.get("stream_options");
    if told.is_some_and(|options| options["include_usage"] == json!(true)) {
        return Some(body);
    }
    let mut options = match request.remove("stream_options") {
        Some(Value::Object(options)) => options,
        Some(_) | None => serde_json::Map::new(),
    };
    options.insert("include_usage".to_owned(), json!(true));
    request.insert("stream_options".to_owned(), Value::Object(options));
    Some(Bytes::from(Value::Object(request).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        let made = |path: &str, body: &str| {
            let bytes = Bytes::from(body.to_owned());
            let asked = serde_json::from_slice(&bytes).unwrap_or_default();
            let bytes = with_usage(path, &asked, bytes).expect("it can be read");
            serde_json::from_slice::<Value>(&bytes).unwrap_or(Value::Null)
        };
        let chat = "/v1/chat/completions";
        assert_eq!(
            made(
                chat,
                r#"{"model":"m","stream":true,"stream_options":{"x":1}}"#
            ),
            json!({"model": "m", "stream": true, "stream_options": {"x": 1, "include_usage": true}})
        );
        assert_eq!(
            made(
                chat,
                r#"{"stream":true,"stream_options":{"include_usage":false}}"#
            )["stream_options"]["include_usage"],
            json!(true)
        );
        for body in [r#"{"stream":false}"#, r#"{"model":"m"}"#] {
            assert_eq!(made(chat, body).to_string(), body);
        }
        let other = r#"{"stream":true}"#;
        assert_eq!(made("/v1/responses", other).to_string(), other);
        assert_eq!(
            made(chat, "{\"stream\":true,\"model\":\"}\"}\n"),
            json!({"model": "}", "stream": true, "stream_options": {"include_usage": true}})
        );
        // However it is spelled: the last one counts.
        assert_eq!(
            made(
                chat,
                r#"{"stream":true,"stream\u005foptions":{"include_usage":false}}"#
            )["stream_options"]["include_usage"],
            json!(true)
        );
        let large = format!(
            r#"{{"stream":true,"stream_options":{{}},"x":"{}"}}"#,
            "y".repeat(READABLE)
        );
        let asked = serde_json::from_str(&large).expect("a request");
        assert_eq!(with_usage(chat, &asked, Bytes::from(large)), None);
    }
}
