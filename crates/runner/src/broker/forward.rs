//! One request to the server and its answer back, streamed both ways.
//!
//! Invariant: the run's own token is presented from inside; nothing is added here. When the server
//! cannot be reached the answer is 502 within seconds; there is no second way. Deliberately absent:
//! redirects, cookies, protocol upgrades.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::header;
use hyper::http::{Request, Response, StatusCode};

use super::answer::{Body, passed_on, problem, whole};
use super::rule::{self, Refusal, Rule};
use super::wire::{Budget, Event, Traffic};

/// Where requests go, and what may go.
pub(super) struct Upstream {
    pub(super) client: reqwest::Client,
    pub(super) base: reqwest::Url,
    pub(super) rules: Vec<Rule>,
    pub(super) budget: Budget,
    pub(super) counts: Counts,
    /// Hears what cannot wait.
    pub(super) tell: Box<dyn Fn(Event) + Send + Sync>,
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

    /// Counts a request; which budget it is over, if it is over one.
    pub(super) fn admit(&self, budget: Budget) -> Option<&'static str> {
        let earlier = self.requests.fetch_add(1, Ordering::Relaxed);
        if earlier >= budget.requests {
            Some("this run has made all the requests it may make")
        } else if self.sent.load(Ordering::Relaxed) >= budget.bytes_sent {
            Some("this run has sent all the bytes it may send")
        } else if self.received.load(Ordering::Relaxed) >= budget.bytes_received {
            Some("this run has received all the bytes it may receive")
        } else {
            None
        }
    }

    /// How many bytes of requests are left.
    pub(super) fn left_to_send(&self, budget: Budget) -> u64 {
        let sent = self.sent.load(Ordering::Relaxed);
        budget.bytes_sent.saturating_sub(sent)
    }

    /// Counts a request that is refused here.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that gets no answer.
    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of requests; all of them so far.
    pub(super) fn sent(&self, bytes: usize) -> u64 {
        add(&self.sent, bytes)
    }

    /// Counts bytes of answers; all of them so far.
    pub(super) fn received(&self, bytes: usize) -> u64 {
        add(&self.received, bytes)
    }

    /// Whether this is the first time that a budget is told to be used up.
    pub(super) fn first_told(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
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
            upstream.counts.refuse();
            tracing::info!(method = %request.method(), path = request.uri().path(), %refusal, "refused a request of a run");
            let status = match refusal {
                Refusal::Target => StatusCode::BAD_REQUEST,
                Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
                Refusal::Rule => StatusCode::FORBIDDEN,
            };
            return Ok(problem(status, "refused", &refusal.to_string()));
        }
    };
    if let Some(text) = upstream.counts.admit(upstream.budget) {
        upstream.counts.refuse();
        if upstream.counts.first_told() {
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
            upstream.give_back(response)
        }
        Err(cause) => {
            upstream.counts.fail();
            tracing::warn!(base = %upstream.base, %cause, "a request of a run got no answer");
            problem(StatusCode::BAD_GATEWAY, "unavailable", &cause)
        }
    })
}

impl Upstream {
    async fn send(
        self: &Arc<Self>,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<reqwest::Response, String> {
        let url = target(&self.base, path, request.uri().query())?;
        let (parts, body) = request.into_parts();
        let headers = passed_on(&parts.headers);
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
                    let sent = upstream.counts.sent(chunk.len());
                    let fits = sent <= upstream.budget.bytes_sent;
                    let over = || io::Error::other("the run's budget of sent bytes is used up");
                    std::future::ready(if fits { Ok(chunk) } else { Err(over()) })
                });
            out = out.body(reqwest::Body::wrap_stream(stream));
        }
        out.send().await.map_err(explain)
    }

    fn give_back(self: &Arc<Self>, response: reqwest::Response) -> Response<Body> {
        let status = response.status();
        let headers = passed_on(response.headers());
        let upstream = Arc::clone(self);
        let stream = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| io::Error::other(explain(error)))?;
            let received = upstream.counts.received(chunk.len());
            if received > upstream.budget.bytes_received {
                return Err(io::Error::other(
                    "the run's budget of received bytes is used up",
                ));
            }
            Ok(Frame::data(chunk))
        });
        whole(status, headers, StreamBody::new(stream).boxed_unsync())
    }
}

/// The address outside. Parsing must neither change the host nor lead above the base's path.
pub(super) fn target(
    base: &reqwest::Url,
    path: &str,
    query: Option<&str>,
) -> Result<reqwest::Url, String> {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}{path}"));
    url.set_query(query);
    let same = url.origin() == base.origin() && url.path().starts_with(prefix);
    match same {
        true => Ok(url),
        false => Err("the path leads out of the endpoint".to_owned()),
    }
}

/// What went wrong, with all causes and without addresses.
pub(super) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn add(counter: &AtomicU64, bytes: usize) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    counter
        .fetch_add(bytes, Ordering::Relaxed)
        .saturating_add(bytes)
}
