//! Binds a declared operation to its handler: token, path, query, body, idempotency, answer.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, on};
use http_body_util::{BodyExt as _, Limited};
use nightshift_api::operations::{IdentityInvite, RunnerClaim, SessionLink, TokenCreate};
use nightshift_api::{Method, Needs, Operation};
use nightshift_app::{App, Caller, Once};
use serde_json::Value;

use crate::error::Failure;
use crate::token;

/// The largest body of an operation, in bytes: sealed tests of 1 MiB in base64, with room.
pub(crate) const MAX_BODY: usize = 4 << 20;

/// A request for an operation, read and with its caller known.
pub(crate) struct Call<O: Operation> {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) path: O::Path,
    pub(crate) query: O::Query,
    pub(crate) input: O::Input,
}

/// Adds an operation that needs a token.
pub(crate) fn bind<O, H, F>(router: Router<App>, handler: H) -> Router<App>
where
    O: Operation,
    H: Fn(Call<O>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O::Output, Failure>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let serve = move |State(app): State<App>, request: Request| {
        let handler = Arc::clone(&handler);
        async move {
            match serve::<O, H, F>(app, request, &handler).await {
                Ok(answer) => answer,
                Err(failure) => failure.into_response(),
            }
        }
    };
    router.route(O::PATH, method(O::METHOD, serve))
}

/// A method router for one of our methods.
pub(crate) fn method<H, T>(method: Method, handler: H) -> MethodRouter<App>
where
    H: axum::handler::Handler<T, App>,
    T: 'static,
{
    use axum::routing::MethodFilter as Filter;
    let filter = match method {
        Method::Get => Filter::GET,
        Method::Post => Filter::POST,
        Method::Put => Filter::PUT,
        Method::Patch => Filter::PATCH,
        Method::Delete => Filter::DELETE,
    };
    on(filter, handler)
}

async fn serve<O, H, F>(app: App, request: Request, handler: &H) -> Result<Response, Failure>
where
    O: Operation,
    H: Fn(Call<O>) -> F,
    F: Future<Output = Result<O::Output, Failure>>,
{
    let (mut parts, body) = request.into_parts();
    let mut caller = admitted(&app, &parts, O::NEEDS).await?;
    let path = path_of::<O>(&mut parts).await?;
    let query = query_of::<O>(&mut parts).await?;
    let bytes = read(body).await?;
    let input = parse::<O>(&bytes)?;
    caller.once = once(&parts, &bytes, O::METHOD)?;
    let turn = app.turn(&caller).await;
    if let Some((status, body)) = app.answer_before(&caller).await? {
        return Ok(kept_answer(status, body));
    }
    let keeper = caller.clone();
    let call = Call {
        app: app.clone(),
        caller,
        path,
        query,
        input,
    };
    let output = match handler(call).await {
        Ok(output) => output,
        // Another server process may have carried out the same request at the same time.
        Err(failure) => match app.answer_before(&keeper).await {
            Ok(Some((status, body))) => return Ok(kept_answer(status, body)),
            Ok(None) | Err(_) => return Err(failure),
        },
    };
    let body = serde_json::to_vec(&output).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Failure::invalid("the answer cannot be written")
    })?;
    if keeper.once.is_some() {
        // The request is carried out; an answer that cannot be kept must not turn it into a failure.
        let kept = if holds_secret::<O>() {
            app.keep_secret(&keeper).await
        } else {
            app.keep_answer(&keeper, 200, &body).await
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "an answer was not kept");
        }
    }
    drop(turn);
    Ok(answer(&parts, O::METHOD, body))
}

/// The caller, if their kind of token is the one that is needed.
pub(crate) async fn admitted(app: &App, parts: &Parts, needs: Needs) -> Result<Caller, Failure> {
    let caller = token::caller(app, &parts.headers).await?;
    let fits = match needs {
        Needs::Nobody => Ok(()),
        Needs::Person => caller.person().map(drop),
        Needs::Runner => caller.runner().map(drop),
        Needs::Run => caller.run().map(drop),
    };
    if let Err(error) = fits {
        app.record_refusal(&caller, parts.uri.path()).await?;
        return Err(error.into());
    }
    Ok(caller)
}

async fn path_of<O: Operation>(parts: &mut Parts) -> Result<O::Path, Failure> {
    if !O::PATH.contains('{') {
        return serde_json::from_value(serde_json::json!({}))
            .map_err(|error| Failure::invalid(error.to_string()));
    }
    Path::<O::Path>::from_request_parts(parts, &())
        .await
        .map(|Path(path)| path)
        .map_err(|rejection| {
            Failure::not_found(format!("no such address: {}", rejection.body_text()))
        })
}

async fn query_of<O: Operation>(parts: &mut Parts) -> Result<O::Query, Failure> {
    Query::<O::Query>::from_request_parts(parts, &())
        .await
        .map(|Query(query)| query)
        .map_err(|rejection| Failure::invalid(rejection.body_text()))
}

pub(crate) async fn read(body: Body) -> Result<Bytes, Failure> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(_) => Err(Failure::invalid(format!(
            "the request's body did not arrive whole, or is larger than {MAX_BODY} bytes"
        ))),
    }
}

fn parse<O: Operation>(bytes: &[u8]) -> Result<O::Input, Failure> {
    let text = if bytes.is_empty() { b"{}" } else { bytes };
    let unfit = |error: serde_json::Error| {
        Failure::invalid(format!("the request's body does not fit: {error}"))
    };
    if !text.windows(NUL.len()).any(|part| part == NUL) {
        return serde_json::from_slice(text).map_err(unfit);
    }
    // A NUL cannot be stored. People are told; what an agent printed is kept with a mark there.
    let mut value: Value = serde_json::from_slice(text).map_err(unfit)?;
    if mark_nul(&mut value) && O::NEEDS != Needs::Runner {
        return Err(Failure::invalid(
            "a text in the request's body holds a NUL character: leave it out",
        ));
    }
    serde_json::from_value(value).map_err(unfit)
}

/// How JSON writes a NUL character.
const NUL: &[u8] = br"\u0000";

fn marked(value: &mut Value) -> Option<()> {
    mark_nul(value).then_some(())
}

/// Puts U+FFFD in the place of every NUL character; says whether there was one.
fn mark_nul(value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let found = text.contains('\0');
            if found {
                *text = text.replace('\0', "\u{fffd}");
            }
            found
        }
        // Every one is marked, so nothing may stop at the first.
        Value::Array(items) => items.iter_mut().filter_map(marked).count() > 0,
        Value::Object(fields) => fields.values_mut().filter_map(marked).count() > 0,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether an `If-None-Match` names this tag: weakly compared, as RFC 9110 section 13.1.2 says.
fn names(known: &str, tag: &str) -> bool {
    known
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Whether the answer shows a secret, which is never written down.
fn holds_secret<O: Operation>() -> bool {
    [
        TokenCreate::ID,
        SessionLink::ID,
        IdentityInvite::ID,
        RunnerClaim::ID,
    ]
    .contains(&O::ID)
}

/// The idempotency key of a request that does something.
fn once(parts: &Parts, body: &[u8], method: Method) -> Result<Option<Once>, Failure> {
    if method != Method::Post {
        return Ok(None);
    }
    let Some(key) = parts.headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > 200 {
        return Err(Failure::invalid(
            "`Idempotency-Key` must have 1 to 200 visible characters",
        ));
    }
    let path = parts.uri.path();
    Ok(Some(Once::new(key, method.as_str(), path, body)))
}

fn kept_answer(status: i64, body: Vec<u8>) -> Response {
    let status = u16::try_from(status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::OK);
    let mut answer = (status, body).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    answer
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn answer(parts: &Parts, method: Method, body: Vec<u8>) -> Response {
    let mut answer = Response::new(Body::empty());
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    if method == Method::Get {
        let mut hash = DefaultHasher::new();
        body.hash(&mut hash);
        let tag = format!("\"{:016x}\"", hash.finish());
        let known = parts
            .headers
            .get(header::IF_NONE_MATCH)
            .and_then(|known| known.to_str().ok())
            .is_some_and(|known| names(known, &tag));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        if known {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
    }
    *answer.body_mut() = Body::from(body);
    answer
}
