//! Signing in and out, and the choice of the language.

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use nightshift_app::use_case::session::SESSION_LASTS;
use nightshift_app::{App, Error, Secret};
use serde::Deserialize;

use super::layout::{document, safe};
use super::visit::{self, COOKIE, LANGUAGE, cookie, foreign, is_own_origin};
use super::words;
use crate::error::Failure;
use crate::operation::read;

#[derive(Deserialize)]
pub(crate) struct SignInQuery {
    /// A one-time link's secret.
    code: Option<String>,
    /// Where to go afterwards.
    next: Option<String>,
}

/// The form; with a one-time code, a button that uses it. A link is never used by merely being
/// opened, since previews of links in chats open them too.
pub(crate) async fn show(headers: HeaderMap, Query(query): Query<SignInQuery>) -> Response {
    form(
        &headers,
        query.code.as_deref(),
        query.next.as_deref(),
        false,
    )
}

fn form(headers: &HeaderMap, code: Option<&str>, next: Option<&str>, refused: bool) -> Response {
    let words = visit::language(headers);
    let body = html! {
        main #main .narrow {
            h1 { "Nightshift" }
            @if refused {
                p.notice.bad role="alert" { (words.get("sign-in.refused")) }
            }
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next.unwrap_or("/"));
                @if let Some(code) = code {
                    input type="hidden" name="code" value=(code);
                    p { (words.get("sign-in.by-link")) }
                    button.primary autofocus { (words.get("sign-in.do")) }
                } @else {
                    label { (words.get("sign-in.name"))
                        input name="name" autocomplete="username" autocapitalize="none" required autofocus;
                    }
                    label { (words.get("sign-in.password"))
                        input name="password" type="password" autocomplete="current-password" required;
                    }
                    button.primary { (words.get("sign-in.do")) }
                    p.hint { (words.get("sign-in.hint")) " " code { "nightshift sign-in-link" } }
                }
            }
        }
    };
    document(words, words.get("sign-in.title"), &body, &[])
}

/// Takes the form.
pub(crate) async fn submit(State(app): State<App>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if !is_own_origin(&parts.headers) {
        return foreign();
    }
    let bytes = match read(body).await {
        Ok(bytes) => bytes,
        Err(failure) => return failure.into_response(),
    };
    let field = |wanted: &str| {
        visit::fields(&bytes)
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value)
    };
    let next = field("next").unwrap_or_default();
    let signed_in = match field("code") {
        Some(code) => app.sign_in_by_link(&code).await,
        None => {
            let (name, password) = (field("name"), field("password"));
            app.sign_in(&name.unwrap_or_default(), &password.unwrap_or_default())
                .await
        }
    };
    match signed_in {
        Ok(session) => enter(&parts.headers, &session, &next),
        Err(Error::Unauthenticated { .. }) => form(&parts.headers, None, Some(&next), true),
        Err(other) => Failure(other).into_response(),
    }
}

fn enter(headers: &HeaderMap, session: &Secret, next: &str) -> Response {
    let target = if is_own_path(next) { next } else { "/" };
    let mut answer = Redirect::to(target).into_response();
    let lasts = SESSION_LASTS.as_secs();
    let value = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts}{}",
        session.reveal(),
        secure(headers)
    );
    set_cookie(&mut answer, &value);
    safe(answer)
}

/// Whether an address stays on this site. `//host` would lead elsewhere; so would `/\host`, and
/// `/<tab>/host`, since browsers take control characters out (WHATWG URL, basic URL parser).
fn is_own_path(next: &str) -> bool {
    next.starts_with('/')
        && !next.starts_with("//")
        && !next.chars().any(|one| one == '\\' || one.is_control())
}

/// Behind a proxy with TLS the cookie travels encrypted only.
fn secure(headers: &HeaderMap) -> &'static str {
    let encrypted = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes() == b"https");
    if encrypted { "; Secure" } else { "" }
}

fn set_cookie(answer: &mut Response, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Ends the session.
pub(crate) async fn out(State(app): State<App>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    if !is_own_origin(&parts.headers) {
        return foreign();
    }
    if let Some(session) = cookie(&parts.headers, COOKIE)
        && let Err(error) = app.sign_out(&session).await
    {
        return Failure(error).into_response();
    }
    let mut answer = Redirect::to("/sign-in").into_response();
    set_cookie(
        &mut answer,
        &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    );
    answer
}

#[derive(Deserialize)]
pub(crate) struct LanguageQuery {
    code: String,
}

/// Chooses a language, and goes back.
pub(crate) async fn language(headers: HeaderMap, Query(query): Query<LanguageQuery>) -> Response {
    let back = headers
        .get(header::REFERER)
        .and_then(|from| from.to_str().ok())
        .and_then(|from| from.split_once("://"))
        .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()))
        .filter(|path| is_own_path(path))
        .unwrap_or_else(|| "/".to_owned());
    let mut answer = Redirect::to(&back).into_response();
    if let Some(words) = words::by_code(&query.code) {
        let year = 365 * 24 * 3_600;
        let value = format!(
            "{LANGUAGE}={}; Path=/; SameSite=Lax; Max-Age={year}",
            words.code
        );
        set_cookie(&mut answer, &value);
    }
    answer
}
