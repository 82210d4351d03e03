//! Signing in and out, and the choice of the language.

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::use_case::session::{DEVICE_LASTS, SESSION_LASTS, SignedIn};
use nightshift_app::{App, Error, Secret};
use serde::Deserialize;

use super::layout::{document, safe};
use super::visit::{self, COOKIE, DEVICE, LANGUAGE, cookie, foreign, is_own_origin};
use super::words;
use crate::error::Failure;
use crate::limit::Address;
use crate::operation::read;

#[derive(Deserialize)]
pub(crate) struct SignInQuery {
    /// A one-time link's secret.
    code: Option<String>,
    /// An invitation's secret.
    invite: Option<String>,
    /// Where to go afterwards.
    next: Option<String>,
}

/// The form; with a one-time code, a button that uses it. A link is never used by merely being
/// opened, since previews of links in chats open them too.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<SignInQuery>,
) -> Response {
    let form = Form {
        code: query.code,
        invite: query.invite,
        next: query.next,
        notice: None,
    };
    form.render(&app, &headers)
}

/// What the page asks for, and what it says.
#[derive(Default)]
pub(crate) struct Form {
    pub(crate) code: Option<String>,
    pub(crate) invite: Option<String>,
    pub(crate) next: Option<String>,
    /// Why the last try did not work.
    pub(crate) notice: Option<String>,
}

impl Form {
    pub(crate) fn render(&self, app: &App, headers: &HeaderMap) -> Response {
        let words = visit::language(headers);
        let body = html! {
            main #main .narrow {
                h1 { "Nightshift" }
                @if let Some(notice) = &self.notice {
                    p.notice.bad role="alert" { (notice) }
                }
                @if self.invite.is_some() {
                    p { (words.get("sign-in.invited")) }
                    (self.providers(app, words))
                } @else {
                    (self.own(words))
                    @if self.code.is_none() { (self.providers(app, words)) }
                }
            }
        };
        document(words, words.get("sign-in.title"), &body, &[])
    }

    /// The form that this server answers by itself.
    fn own(&self, words: &words::Words) -> Markup {
        html! {
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="next" value=(self.next.as_deref().unwrap_or("/"));
                @if let Some(code) = &self.code {
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
    }

    /// A way to each provider. They are links, since a form may not lead away from here.
    fn providers(&self, app: &App, words: &words::Words) -> Markup {
        let mut given = String::new();
        for (name, value) in [("next", &self.next), ("invite", &self.invite)] {
            if let Some(value) = value {
                let sign = if given.is_empty() { '?' } else { '&' };
                given.push_str(&format!("{sign}{name}={}", visit::url_part(value)));
            }
        }
        html! {
            @if app.providers().next().is_some() {
                ul.providers {
                    @for (name, title) in app.providers() {
                        li { a.button href={ "/sign-in/with/" (name) (given) } rel="nofollow" {
                            (words.fill("sign-in.with", &[("provider", &title)]))
                        } }
                    }
                }
            }
        }
    }
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
    let given = Given {
        code: field("code"),
        name: field("name").unwrap_or_default(),
        password: field("password").unwrap_or_default(),
        device: cookie(&parts.headers, DEVICE),
    };
    match try_in(&app, address_of(&parts), &given).await {
        Ok(signed_in) => {
            let mut answer = enter(&parts.headers, &signed_in.session, &next);
            if let Some(device) = signed_in.device {
                let value = format!(
                    "{DEVICE}={}; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age={}{}",
                    device.reveal(),
                    DEVICE_LASTS.as_secs(),
                    secure(&parts.headers)
                );
                set_cookie(&mut answer, &value);
            }
            answer
        }
        Err(error @ Error::TooMany { .. }) => too_many(&app, &parts.headers, error, Some(next)),
        Err(Error::Unauthenticated { .. }) => {
            let words = visit::language(&parts.headers);
            let form = Form {
                next: Some(next),
                notice: Some(words.get("sign-in.refused").to_owned()),
                ..Form::default()
            };
            form.render(&app, &parts.headers)
        }
        Err(other) => Failure(other).into_response(),
    }
}

/// What a person brings.
struct Given {
    code: Option<String>,
    name: String,
    password: String,
    device: Option<String>,
}

async fn try_in(app: &App, address: Address, given: &Given) -> Result<SignedIn, Error> {
    app.limits().sign_in.take(address)?;
    match &given.code {
        Some(code) => Ok(SignedIn {
            session: app.sign_in_by_link(code).await?,
            device: None,
        }),
        None => {
            app.sign_in(&given.name, &given.password, given.device.as_deref())
                .await
        }
    }
}

/// Where a request comes from; the layer around all routes has found out.
pub(crate) fn address_of(parts: &Parts) -> Address {
    let found = parts.extensions.get::<Address>();
    found
        .copied()
        .unwrap_or(Address(std::net::Ipv4Addr::UNSPECIFIED.into()))
}

/// The sign-in page, which says how long to wait.
pub(crate) fn too_many(
    app: &App,
    headers: &HeaderMap,
    error: Error,
    next: Option<String>,
) -> Response {
    let Error::TooMany { seconds, .. } = error else {
        return Failure(error).into_response();
    };
    let words = visit::language(headers);
    let form = Form {
        next,
        notice: Some(words.fill("sign-in.too-many", &[("seconds", &seconds)])),
        ..Form::default()
    };
    let mut answer = form.render(app, headers);
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

pub(crate) fn enter(headers: &HeaderMap, session: &Secret, next: &str) -> Response {
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
pub(crate) fn secure(headers: &HeaderMap) -> &'static str {
    let encrypted = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes() == b"https");
    if encrypted { "; Secure" } else { "" }
}

pub(crate) fn set_cookie(answer: &mut Response, value: &str) {
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
