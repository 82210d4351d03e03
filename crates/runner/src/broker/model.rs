//! The way of one run to its model: routes, the real key outside, and what it costs.
//!
//! A route is the first part of the path: `/anthropic`, `/openai`, `/gemini`. Invariants: a request
//! goes out only with the token of this run and this route, to a path that generates; the real key
//! is put in out here and is in no answer, error or log; the budget is looked at before each call; a
//! call is counted however it ends. Where a provider says "not now", another account is tried, then a
//! short wait, and else the run is told to park, instead of an agent that knocks. Deliberately absent:
//! caching, and looking into prompts.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use nightshift_domain::traffic::ModelUse;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::account::{Credential, Endpoint, Key, Lease};
use super::answer::{Body, full, passed_on, whole};
use super::asked::{Asked, UNREADABLE, with_usage};
use super::bodies::{Full, Held, Shelf};
use super::door::{CREDENTIAL_PARAMETERS, CREDENTIALS, presents};
use super::forward::{Counts, explain, target};
use super::login::Missing;
use super::price::{self, Price};
use super::reset;
use super::room::Tell;
use super::rule::{self, Refusal, Rule};
use super::usage::{Dialect, Meter, Used};
use super::wire::{Budget, Event, Traffic};

/// The largest request.
const REQUEST: usize = 64 << 20;
/// How long a request may take to come.
const READ: Duration = Duration::from_secs(60);
/// An error answer is looked through for keys up to this size and cut after it.
const ERROR_BODY: usize = 256 << 10;
/// How long a call may wait here for its provider.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an account without a credential is left out where there are others.
const LEFT_OUT: Duration = Duration::from_secs(60);
/// How often a call is tried at most.
const TRIES: u32 = 8;
/// Anthropic's own status for "overloaded".
const OVERLOADED: u16 = 529;

/// Tells the time.
pub(super) type Clock = fn() -> Timestamp;

/// One run's models.
pub(super) struct Models {
    pub(super) run: String,
    pub(super) client: reqwest::Client,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<Rule>,
    pub(super) budget: Budget,
    /// What the run's calls may cost together, in millionths of a dollar.
    pub(super) most: Option<u64>,
    pub(super) prices: Arc<Vec<Price>>,
    pub(super) counts: Counts,
    pub(super) ledger: Mutex<BTreeMap<(Dialect, String), ModelUse>>,
    pub(super) tell: Tell,
    pub(super) now: Clock,
    pub(super) warned: AtomicBool,
    /// Requests of this run that are in memory.
    pub(super) bodies: Arc<Shelf>,
    /// Those of all runs.
    pub(super) all_bodies: Arc<Shelf>,
}

/// One route.
pub(super) struct Route {
    pub(super) dialect: Dialect,
    pub(super) token: String,
    pub(super) endpoint: Arc<Endpoint>,
}

/// An answer of our own.
struct No {
    dialect: Dialect,
    status: StatusCode,
    kind: &'static str,
    why: String,
}

/// Why a call was not sent, or got no answer.
enum Unsent {
    /// Its account has nothing to present.
    Credential(Missing),
    /// The endpoint is out of reach.
    Unavailable(String),
}

impl From<Missing> for Unsent {
    fn from(missing: Missing) -> Self {
        Self::Credential(missing)
    }
}

/// Answers one request from inside.
pub(super) async fn answer(
    models: Arc<Models>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(match models.handle(request).await {
        Ok(response) => response,
        Err(no) => {
            tracing::info!(run = models.run, status = %no.status, why = no.why, "refused a model call");
            no.answer()
        }
    })
}

impl Models {
    /// What was used so far.
    pub(super) fn report(&self) -> (Traffic, Vec<ModelUse>) {
        let used = self.ledger().values().cloned().collect();
        (self.counts.traffic(), used)
    }

    async fn handle(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, No> {
        let (at, path) = self.admit(&request)?;
        let route = &self.routes[at];
        let dialect = route.dialect;
        self.within_budgets(dialect)?;
        let (parts, body) = request.into_parts();
        let mut held = Held::new(&self.bodies, &self.all_bodies);
        let body = match tokio::time::timeout(READ, self.read(dialect, body, &mut held)).await {
            Ok(body) => body?,
            Err(_elapsed) => {
                let status = StatusCode::REQUEST_TIMEOUT;
                let why = format!("the request did not come within {} s", READ.as_secs());
                return Err(No::new(dialect, status, "invalid_request_error", why));
            }
        };
        self.counts.sent(body.len());
        let asked: Asked = serde_json::from_slice(&body).unwrap_or_default();
        let body = with_usage(&path, &asked, body)
            .ok_or_else(|| No::too_large(dialect, UNREADABLE.to_owned()))?;
        let metered = parts.method == Method::POST && !path.contains("count");
        let mut waited = Duration::ZERO;
        for _ in 0..TRIES {
            let lease = match route.endpoint.take(Instant::now()) {
                Ok(lease) => lease,
                Err(until) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    if waited + wait > PATIENCE {
                        return Err(self.limited(dialect, wait, "every account is at its limit"));
                    }
                    waited += wait;
                    sleep(wait).await;
                    continue;
                }
            };
            let call = (&parts, path.as_str(), &body);
            let response = match self.call(route, &lease, call).await {
                Ok(response) => response,
                // Another account may have what this one lacks.
                Err(Unsent::Credential(_)) if route.endpoint.count() > 1 => {
                    lease.limit(Instant::now() + LEFT_OUT);
                    continue;
                }
                Err(Unsent::Credential(missing)) => return Err(self.missing(dialect, missing)),
                Err(Unsent::Unavailable(why)) => {
                    self.counts.fail();
                    tracing::warn!(run = self.run, why, "a model call got no answer");
                    return Err(No::new(
                        dialect,
                        StatusCode::BAD_GATEWAY,
                        "unavailable",
                        why,
                    ));
                }
            };
            let status = response.status();
            if !status.is_client_error() && !status.is_server_error() {
                return Ok(self.stream(route, response, lease, metered, asked.model));
            }
            let (headers, said) = self.error(route, response).await;
            let wait = match status.as_u16() {
                429 if said.contains("insufficient_quota") => None,
                429 | 503 | OVERLOADED => reset::wait(&headers, said.as_bytes(), (self.now)()),
                _ => None,
            };
            let Some(wait) = wait else {
                return Ok(whole(status, headers, full(said)));
            };
            if status == StatusCode::TOO_MANY_REQUESTS {
                lease.limit(Instant::now() + wait);
            } else if waited + wait <= PATIENCE {
                // The provider is overloaded: another account would not help.
                drop(lease);
                waited += wait;
                sleep(wait).await;
            } else {
                return Err(self.limited(dialect, wait, "the provider is overloaded"));
            }
        }
        let why = "the provider answered none of several tries".to_owned();
        Err(No::new(
            dialect,
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded_error",
            why,
        ))
    }

    /// The whole body, as far as there is room for it.
    async fn read(
        &self,
        dialect: Dialect,
        mut body: Incoming,
        held: &mut Held,
    ) -> Result<Bytes, No> {
        let left = self.counts.left_to_send(self.budget);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(REQUEST);
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                No::too_large(dialect, format!("the request cannot be read: {error}"))
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if whole.len() + chunk.len() > most {
                if most == REQUEST {
                    let why = format!("a request may have {} MiB, and no more", REQUEST >> 20);
                    return Err(No::too_large(dialect, why));
                }
                // As much as was taken, and the one byte that is too many.
                self.counts.sent(most.saturating_add(1));
                return Err(self.used_up(dialect, "this run has sent all the bytes it may send"));
            }
            held.more(chunk.len()).map_err(|full| {
                self.counts.refuse();
                let why = match full {
                    Full::Run => {
                        "this run has too much of its requests under way: let some be answered first"
                    }
                    Full::All => {
                        "the runs of this runner have too much of their requests under way: try again"
                    }
                };
                let status = StatusCode::SERVICE_UNAVAILABLE;
                No::new(dialect, status, "overloaded_error", why.to_owned())
            })?;
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The route and the provider's path, if the request may go out at all.
    fn admit(&self, request: &Request<Incoming>) -> Result<(usize, String), No> {
        let uri = request.uri();
        let first = uri.path().split('/').nth(1).unwrap_or_default();
        let at = self
            .routes
            .iter()
            .position(|route| route.dialect.as_str() == first);
        let dialect = at.map_or(Dialect::OpenAi, |at| self.routes[at].dialect);
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let path = rule::check(&self.rules, request.method(), uri, host).map_err(|refusal| {
            self.counts.refuse();
            let status = match refusal {
                Refusal::Target => StatusCode::BAD_REQUEST,
                Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
                Refusal::Rule => StatusCode::FORBIDDEN,
            };
            self.warn(
                &format!("{} {}", request.method(), uri.path()),
                &refusal.to_string(),
            );
            No::new(dialect, status, "permission_error", refusal.to_string())
        })?;
        let at = at.filter(|at| presents(request, &self.routes[*at].token));
        let Some(at) = at else {
            self.counts.refuse();
            let why = "the credential is not the one of this run and route";
            self.warn(uri.path(), why);
            return Err(No::new(
                dialect,
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                why.to_owned(),
            ));
        };
        let path = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let path = path.map(|(_, rest)| format!("/{rest}"));
        Ok((at, path.unwrap_or_else(|| "/".to_owned())))
    }

    /// Tells the first refusal of a run, for its record.
    fn warn(&self, what: &str, why: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let what = format!(
                "a request to the model was refused ({why}): {}",
                what.chars().take(200).collect::<String>()
            );
            (self.tell)(Event::Refused { what });
        }
    }

    fn within_budgets(&self, dialect: Dialect) -> Result<(), No> {
        if let Some(what) = self.counts.admit(self.budget) {
            return Err(self.used_up(dialect, what));
        }
        let spent: u64 = self.ledger().values().map(|used| used.cost_micro_usd).sum();
        match self.most {
            Some(most) if spent >= most => {
                self.counts.refuse();
                (self.tell)(Event::Budget { spent, most });
                let why =
                    "the run's budget is used up: nightshift lets no more calls through".to_owned();
                Err(No::new(
                    dialect,
                    StatusCode::FORBIDDEN,
                    "budget_exhausted",
                    why,
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses because of a budget of requests or bytes, and tells it once.
    fn used_up(&self, dialect: Dialect, what: &str) -> No {
        self.counts.refuse();
        if self.counts.first_told() {
            let what = what.to_owned();
            (self.tell)(Event::Spent { what });
        }
        No::new(
            dialect,
            StatusCode::TOO_MANY_REQUESTS,
            "budget_exhausted",
            what.to_owned(),
        )
    }

    fn limited(&self, dialect: Dialect, wait: Duration, why: &str) -> No {
        (self.tell)(Event::Limited {
            wait_s: wait.as_secs().saturating_add(1),
            why: why.to_owned(),
        });
        let why = format!("{why}; the run is parked until the provider's reset");
        No::new(
            dialect,
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            why,
        )
    }

    /// Sends a call with what its account presents. A token of a login that is refused is replaced, and
    /// the call sent again, once.
    async fn call(
        &self,
        route: &Route,
        lease: &Lease,
        (parts, path, body): (&Parts, &str, &Bytes),
    ) -> Result<reqwest::Response, Unsent> {
        let send = |credential: Option<Credential>| {
            let sent = self.send(route, parts, path, body.clone(), credential);
            async { sent.await.map_err(Unsent::Unavailable) }
        };
        let login = match &lease.key {
            Key::None => return send(None).await,
            Key::Fixed(credential) => return send(Some(credential.clone())).await,
            Key::Login(login) => login,
        };
        let held = login.token(&self.client, self.now).await?;
        let response = send(Some(held.credential.clone())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        drop(response);
        let held = login
            .renewed(&self.client, self.now, held.generation)
            .await?;
        let response = send(Some(held.credential.clone())).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // Which says why: a second token was just got, and is refused as well.
            login
                .renewed(&self.client, self.now, held.generation)
                .await?;
        }
        Ok(response)
    }

    /// What is said where an account has nothing to present.
    fn missing(&self, dialect: Dialect, missing: Missing) -> No {
        match missing {
            Missing::Login(why) => {
                (self.tell)(Event::Login { why: why.clone() });
                let status = StatusCode::UNAUTHORIZED;
                No::new(dialect, status, "authentication_error", why)
            }
            Missing::Later { why, wait } => self.limited(dialect, wait, &why),
        }
    }

    async fn send(
        &self,
        route: &Route,
        parts: &Parts,
        path: &str,
        body: Bytes,
        credential: Option<Credential>,
    ) -> Result<reqwest::Response, String> {
        let mut url = target(&route.endpoint.base, path, parts.uri.query())?;
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
        let mut headers = passed_on(&parts.headers);
        // What is packed could not be read for what it says of usage.
        for name in CREDENTIALS
            .iter()
            .chain(&["accept-encoding", "content-length"])
        {
            headers.remove(*name);
        }
        if let Some(credential) = credential {
            credential.put(&mut headers);
        }
        let mut out = self
            .client
            .request(parts.method.clone(), url)
            .headers(headers);
        if parts.method != Method::GET {
            out = out.body(body);
        }
        out.send()
            .await
            .map_err(|error| route.endpoint.clean(explain(error)))
    }

    /// A good answer, passed on as it comes and counted when it ends, however it ends.
    fn stream(
        self: &Arc<Self>,
        route: &Route,
        response: reqwest::Response,
        lease: Lease,
        metered: bool,
        asked: String,
    ) -> Response<Body> {
        let status = response.status();
        let headers = self.headers(route, response.headers());
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let events = text("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let id = text("request-id")
            .or_else(|| text("x-request-id"))
            .unwrap_or_default();
        let mut call = Call {
            models: Arc::clone(self),
            dialect: route.dialect,
            id: id.to_owned(),
            asked,
            meter: metered.then(|| Meter::new(route.dialect, events)),
            _lease: lease,
        };
        let endpoint = Arc::clone(&route.endpoint);
        let budget = self.budget.bytes_received;
        let stream = response.bytes_stream().map(move |chunk| {
            let chunk =
                chunk.map_err(|error| std::io::Error::other(endpoint.clean(explain(error))))?;
            if call.models.counts.received(chunk.len()) > budget {
                return Err(std::io::Error::other(
                    "the run's budget of received bytes is used up",
                ));
            }
            if let Some(meter) = &mut call.meter {
                meter.see(&chunk);
            }
            Ok(Frame::data(chunk))
        });
        whole(status, headers, StreamBody::new(stream).boxed_unsync())
    }

    /// An error answer without any key, which some endpoints repeat in it.
    async fn error(&self, route: &Route, response: reqwest::Response) -> (HeaderMap, String) {
        let mut headers = self.headers(route, response.headers());
        headers.remove(header::CONTENT_LENGTH);
        let mut stream = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            self.counts.received(chunk.len());
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ERROR_BODY {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (headers, route.endpoint.clean(text))
    }

    fn headers(&self, route: &Route, headers: &HeaderMap) -> HeaderMap {
        passed_on(headers)
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
            .filter(|(_, value)| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                route.endpoint.clean(text.clone()) == text
            })
            .collect()
    }

    fn note(&self, dialect: Dialect, id: &str, used: &Used) {
        let cost = price::cost(&self.prices, used);
        tracing::info!(
            run = self.run,
            request = id,
            route = dialect.as_str(),
            model = used.model,
            input = used.input,
            cache_write = used.written,
            cached = used.cached,
            output = used.output,
            measured = used.measured,
            cost_micro_usd = cost,
            "a model call"
        );
        let mut ledger = self.ledger();
        let entry = ledger.entry((dialect, used.model.clone())).or_default();
        dialect.as_str().clone_into(&mut entry.route);
        entry.model.clone_from(&used.model);
        entry.requests += 1;
        entry.unmeasured += u64::from(!used.measured);
        entry.unpriced += u64::from(cost.is_none() || !used.measured);
        entry.input_tokens += used.input + used.written;
        entry.cached_input_tokens += used.cached;
        entry.output_tokens += used.output;
        entry.cost_micro_usd = entry.cost_micro_usd.saturating_add(cost.unwrap_or(0));
    }

    fn ledger(&self) -> MutexGuard<'_, BTreeMap<(Dialect, String), ModelUse>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is answered; counted when this is dropped.
struct Call {
    models: Arc<Models>,
    dialect: Dialect,
    id: String,
    asked: String,
    meter: Option<Meter>,
    _lease: Lease,
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(meter) = self.meter.take() else {
            return;
        };
        let mut used = meter.finish();
        if used.model.is_empty() {
            used.model = self.asked.chars().take(100).collect();
        }
        self.models.note(self.dialect, &self.id, &used);
    }
}

impl No {
    fn new(dialect: Dialect, status: StatusCode, kind: &'static str, why: String) -> Self {
        Self {
            dialect,
            status,
            kind,
            why,
        }
    }

    fn too_large(dialect: Dialect, why: String) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(dialect, status, "invalid_request_error", why)
    }

    /// In the shape of the provider's own errors, which its programs can read.
    fn answer(&self) -> Response<Body> {
        let (kind, why, status) = (self.kind, &self.why, self.status);
        let document = match self.dialect {
            Dialect::Anthropic => json!({
                "type": "error",
                "error": { "type": kind, "message": why },
            }),
            Dialect::OpenAi => json!({
                "error": { "message": why, "type": kind, "param": null, "code": kind },
            }),
            Dialect::Gemini => json!({
                "error": { "code": status.as_u16(), "message": why, "status": kind.to_uppercase() },
            }),
        };
        let mut response = whole(status, HeaderMap::new(), full(document.to_string()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
