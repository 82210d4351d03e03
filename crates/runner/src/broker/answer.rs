//! Answers of the broker's own, and what of an answer is passed on.
//!
//! Invariant: an answer of our own is a problem document that clients of models can read as well.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{Response, StatusCode};

/// An answer on its way back.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Between two neighbours only.
const NEIGHBOURS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Never passed on to the server or a model, nor back.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Headers without those between two neighbours and those that say who is behind the broker.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    without(headers, HOP_BY_HOP)
}

/// Headers without those between two neighbours.
pub(super) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    without(headers, NEIGHBOURS)
}

/// Headers without these, and without those that `Connection` names.
fn without(headers: &HeaderMap, these: &[&str]) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    headers
        .iter()
        .filter(|(name, _)| !these.contains(&name.as_str()) && !named.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn whole(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

pub(super) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// An answer of our own.
pub(super) fn problem(status: StatusCode, kind: &str, detail: &str) -> Response<Body> {
    let document = serde_json::json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "type": "error",
        "error": { "type": kind, "message": detail },
    });
    let mut response = whole(status, HeaderMap::new(), full(document.to_string()));
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
