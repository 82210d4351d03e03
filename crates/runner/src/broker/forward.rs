//! One request out and its answer back, streamed both ways.
//!
//! Invariant: what a caller sent as credential to the model endpoint never leaves, and the real one
//! is in no answer, error or log. When the other side cannot be reached the answer is 502 within
//! seconds; there is no second way. Deliberately absent: redirects, cookies, protocol upgrades.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{Request, Response, StatusCode};

use super::answer::{Body, full, passed_on, problem, whole};
use super::rule::{self, Refusal, Rule};
use super::wire::{Budget, Event, Traffic};
use crate::secret::Secret;

/// How callers present credentials to model endpoints; replaced by the real one.
const CREDENTIALS: &[&str] = &["authorization", "x-api-key", "x-goog-api-key", "api-key"];
/// The same, in a query.
const CREDENTIAL_PARAMETERS: &[&str] = &["key", "api_key", "api-key", "access_token", "token"];
/// An error answer is looked through for the credential up to this size and cut after it.
const ERROR_BODY: usize = 256 << 10;

/// Where requests go, and what may go.
pub(super) struct Upstream {
    pub(super) client: reqwest::Client,
    pub(super) base: reqwest::Url,
    pub(super) rules: Vec<Rule>,
    pub(super) auth: Auth,
    pub(super) budget: Budget,
    pub(super) counts: Counts,
    /// Hears what cannot wait.
    pub(super) tell: Box<dyn Fn(Event) + Send + Sync>,
}

/// How the real key is presented to the model endpoint.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    /// Such as `x-api-key`, `authorization`, `x-goog-api-key`.
    pub(super) header: String,
    /// Before the value: `Bearer ` for `authorization`, else empty.
    pub(super) prefix: String,
    /// The key.
    pub(super) value: Secret,
}

impl Credential {
    fn name(&self) -> Result<HeaderName, String> {
        self.header
            .parse()
            .map_err(|_| "the credential's header has no valid name".to_owned())
    }

    fn header_value(&self) -> Result<HeaderValue, String> {
        let mut value = HeaderValue::from_str(&format!("{}{}", self.prefix, self.value.expose()))
            .map_err(|_| "the credential is no valid header value".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Whether it can be put into a header at all.
    pub(super) fn check(&self) -> Result<(), String> {
        self.name()?;
        self.header_value().map(drop)
    }
}

/// Whose credential goes out.
#[derive(Debug)]
pub(super) enum Auth {
    /// The caller's own.
    Callers,
    /// Ours if there is one; the caller's is removed in any case.
    Ours(Option<Credential>),
}

impl Auth {
    fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Callers => None,
            Self::Ours(credential) => credential.as_ref(),
        }
    }

    /// `text` without the credential.
    fn clean(&self, text: String) -> String {
        match self.credential() {
            Some(credential) if !credential.value.expose().is_empty() => {
                text.replace(credential.value.expose(), "***")
            }
            _ => text,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// How often a `POST` to a path was answered well.
    posts: Mutex<BTreeMap<String, u64>>,
    /// Whether it was told that a budget is used up.
    told: AtomicBool,
}

/// Paths whose answers are counted at most; the rules of the platform name fewer.
const MOST_PATHS: usize = 64;

impl Counts {
    /// Counts that go on where they stood.
    pub(super) fn from(before: Traffic, posts: BTreeMap<String, u64>) -> Self {
        Self {
            requests: before.requests.into(),
            refused: before.refused.into(),
            failed: before.failed.into(),
            sent: before.bytes_sent.into(),
            received: before.bytes_received.into(),
            posts: Mutex::new(posts),
            told: AtomicBool::new(false),
        }
    }

    /// How often a `POST` to each path was answered well.
    pub(super) fn posts(&self) -> BTreeMap<String, u64> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.clone()
    }

    fn posted(&self, path: &str) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        if posts.len() < MOST_PATHS || posts.contains_key(path) {
            *posts.entry(path.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            requests: read(&self.requests),
            refused: read(&self.refused),
            failed: read(&self.failed),
            bytes_sent: read(&self.sent),
            bytes_received: read(&self.received),
        }
    }
}

/// Answers one request from inside.
pub(super) async fn answer(
    upstream: Arc<Upstream>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let path = match rule::check(&upstream.rules, request.method(), request.uri(), host) {
        Ok(path) => path.to_owned(),
        Err(refusal) => {
            upstream.counts.refused.fetch_add(1, Ordering::Relaxed);
            tracing::info!(method = %request.method(), path = request.uri().path(), %refusal, "refused a request of a run");
            let status = match refusal {
                Refusal::Target => StatusCode::BAD_REQUEST,
                Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
                Refusal::Rule => StatusCode::FORBIDDEN,
            };
            return Ok(problem(status, "refused", &refusal.to_string()));
        }
    };
    let earlier = upstream.counts.requests.fetch_add(1, Ordering::Relaxed);
    if let Some(text) = upstream.over_budget(earlier) {
        upstream.counts.refused.fetch_add(1, Ordering::Relaxed);
        if !upstream.counts.told.swap(true, Ordering::Relaxed) {
            let what = text.to_owned();
            (upstream.tell)(Event::Spent { what });
        }
        return Ok(problem(
            StatusCode::TOO_MANY_REQUESTS,
            "budget_exhausted",
            text,
        ));
    }
    let posts = request.method() == hyper::http::Method::POST;
    Ok(match upstream.send(&path, request).await {
        Ok(response) => {
            if posts && response.status().is_success() {
                upstream.counts.posted(&path);
            }
            upstream.give_back(response).await
        }
        Err(cause) => {
            upstream.counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(base = %upstream.base, %cause, "a request of a run got no answer");
            problem(StatusCode::BAD_GATEWAY, "unavailable", &cause)
        }
    })
}

impl Upstream {
    fn over_budget(&self, earlier: u64) -> Option<&'static str> {
        let Traffic {
            bytes_sent,
            bytes_received,
            ..
        } = self.counts.traffic();
        if earlier >= self.budget.requests {
            Some("this run has made all the requests it may make")
        } else if bytes_sent >= self.budget.bytes_sent {
            Some("this run has sent all the bytes it may send")
        } else if bytes_received >= self.budget.bytes_received {
            Some("this run has received all the bytes it may receive")
        } else {
            None
        }
    }

    async fn send(
        self: &Arc<Self>,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<reqwest::Response, String> {
        let url = self.url(path, request.uri().query())?;
        let (parts, body) = request.into_parts();
        let mut headers = passed_on(&parts.headers);
        if matches!(self.auth, Auth::Ours(_)) {
            for name in CREDENTIALS {
                headers.remove(*name);
            }
        }
        if let Some(credential) = self.auth.credential() {
            headers.insert(credential.name()?, credential.header_value()?);
        }
        let has_body = parts.headers.contains_key(header::TRANSFER_ENCODING)
            || parts
                .headers
                .get(header::CONTENT_LENGTH)
                .is_some_and(|length| length != "0");
        let mut out = self.client.request(parts.method, url).headers(headers);
        if has_body {
            let upstream = Arc::clone(self);
            let stream = BodyDataStream::new(body)
                .map_err(io::Error::other)
                .and_then(move |chunk| {
                    let sent = count(&upstream.counts.sent, &chunk);
                    let fits = sent <= upstream.budget.bytes_sent;
                    let over = || io::Error::other("the run's budget of sent bytes is used up");
                    std::future::ready(if fits { Ok(chunk) } else { Err(over()) })
                });
            out = out.body(reqwest::Body::wrap_stream(stream));
        }
        out.send().await.map_err(|error| self.explain(error))
    }

    /// The address outside. Parsing must neither change the host nor lead above the base's path.
    fn url(&self, path: &str, query: Option<&str>) -> Result<reqwest::Url, String> {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        let whole = format!("{prefix}{path}");
        url.set_path(&whole);
        url.set_query(query);
        if matches!(self.auth, Auth::Ours(_)) && query.is_some() {
            let kept: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(name, _)| {
                    !CREDENTIAL_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
                })
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
        }
        let same = url.origin() == self.base.origin() && url.path().starts_with(prefix);
        if same {
            Ok(url)
        } else {
            Err("the path leads out of the endpoint".to_owned())
        }
    }

    async fn give_back(self: &Arc<Self>, response: reqwest::Response) -> Response<Body> {
        let status = response.status();
        let mut headers = passed_on(response.headers());
        if let Some(credential) = self.auth.credential() {
            let secret = credential.value.expose();
            headers = headers
                .into_iter()
                .filter_map(|(name, value)| Some((name?, value)))
                .filter(|(_, value)| !String::from_utf8_lossy(value.as_bytes()).contains(secret))
                .collect();
            if status.is_client_error() || status.is_server_error() {
                return self.scrubbed(status, headers, response).await;
            }
        }
        let upstream = Arc::clone(self);
        let stream = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| io::Error::other(upstream.explain(error)))?;
            let received = count(&upstream.counts.received, &chunk);
            if received > upstream.budget.bytes_received {
                return Err(io::Error::other(
                    "the run's budget of received bytes is used up",
                ));
            }
            Ok(Frame::data(chunk))
        });
        whole(status, headers, StreamBody::new(stream).boxed_unsync())
    }

    /// An error answer without the credential, which some endpoints repeat in it.
    async fn scrubbed(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        response: reqwest::Response,
    ) -> Response<Body> {
        let mut stream = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            count(&self.counts.received, &chunk);
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ERROR_BODY {
                break;
            }
        }
        let clean = self
            .auth
            .clean(String::from_utf8_lossy(&bytes).into_owned());
        headers.remove(header::CONTENT_LENGTH);
        whole(status, headers, full(clean))
    }

    /// What went wrong, with all causes, without addresses and without the credential.
    fn explain(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        self.auth.clean(text)
    }
}

fn count(counter: &AtomicU64, chunk: &Bytes) -> u64 {
    let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
    counter
        .fetch_add(length, Ordering::Relaxed)
        .saturating_add(length)
}
