//! Signing in by a provider of identities: the way there, and the way back.
//!
//! Whatever goes wrong, one is at the sign-in page again, which says what and what to do; the other
//! ways in stay open. Deliberately absent: rules.

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use nightshift_app::App;
use nightshift_app::use_case::sign_in::{Answer, NotIn, SIGN_IN_LASTS, tag};
use nightshift_domain::admission::Turned;
use serde::Deserialize;

use super::layout::safe;
use super::sign_in::{Form, enter, secure, set_cookie, too_many};
use super::visit;
use super::words::Words;
use crate::error::Failure;
use crate::limit::Address;

#[derive(Deserialize)]
pub(crate) struct BeginQuery {
    next: Option<String>,
    invite: Option<String>,
}

/// Sends the browser to the provider.
pub(crate) async fn begin(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    Query(query): Query<BeginQuery>,
) -> Response {
    if let Err(error) = app.limits().provider.take(address) {
        return too_many(&app, &headers, error, query.next);
    }
    let next = query.next.as_deref().unwrap_or("/");
    match app
        .sign_in_begin(&name, next, query.invite.as_deref())
        .await
    {
        Ok(begun) => {
            let mut answer = Redirect::to(&begun.address).into_response();
            let lasts = SIGN_IN_LASTS.as_secs();
            let value = format!(
                "{}={}; Path=/sign-in/with/; HttpOnly; SameSite=Lax; Max-Age={lasts}{}",
                cookie_of(&begun.tag),
                begun.cookie,
                secure(&headers)
            );
            set_cookie(&mut answer, &value);
            safe(answer)
        }
        Err(not_in) => again(&app, &headers, not_in, query.next),
    }
}

#[derive(Deserialize)]
pub(crate) struct BackQuery {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// Takes the browser back.
pub(crate) async fn back(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    Query(query): Query<BackQuery>,
) -> Response {
    if let Err(error) = app.limits().provider.take(address) {
        return too_many(&app, &headers, error, None);
    }
    let kept = cookie_of(tag(&query.state));
    let said = match (query.error, query.error_description) {
        (Some(error), Some(more)) => Some(format!("{more} ({error})")),
        (error, _) => error,
    };
    let given = Answer {
        cookie: visit::cookie(&headers, &kept),
        state: query.state,
        code: query.code,
        error: said,
        issuer: query.iss,
    };
    let mut answer = match app.sign_in_end(&name, given).await {
        Ok((session, next)) => enter(&headers, &session, &next),
        Err(not_in) => again(&app, &headers, not_in, None),
    };
    if kept
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        let value = format!("{kept}=; Path=/sign-in/with/; HttpOnly; SameSite=Lax; Max-Age=0");
        set_cookie(&mut answer, &value);
    }
    answer
}

/// Each sign-in has a cookie of its own, so that two at one time do not disturb each other.
fn cookie_of(tag: &str) -> String {
    format!("nightshift_sign_in_{tag}")
}

/// The sign-in page, which says why this was no way in.
fn again(app: &App, headers: &HeaderMap, not_in: NotIn, next: Option<String>) -> Response {
    if let NotIn::Failed(error) = not_in {
        return Failure(error).into_response();
    }
    let form = Form {
        next,
        notice: Some(notice(visit::language(headers), &not_in)),
        ..Form::default()
    };
    let mut answer = form.render(app, headers);
    *answer.status_mut() = match not_in {
        NotIn::NoProvider => StatusCode::NOT_FOUND,
        NotIn::Silent { .. } => StatusCode::SERVICE_UNAVAILABLE,
        NotIn::Untrusted { .. } => StatusCode::BAD_GATEWAY,
        NotIn::Stale | NotIn::Denied { .. } | NotIn::InvitationGone => StatusCode::BAD_REQUEST,
        NotIn::Turned { .. } => StatusCode::FORBIDDEN,
        NotIn::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer
}

/// Who, why, and what to do.
fn notice(words: &Words, not_in: &NotIn) -> String {
    match not_in {
        NotIn::NoProvider => words.get("sign-in.no-provider").to_owned(),
        NotIn::Stale | NotIn::Failed(_) => words.get("sign-in.stale").to_owned(),
        NotIn::Silent { provider } => words.fill("sign-in.silent", &[("provider", provider)]),
        NotIn::Denied { provider, said } => {
            words.fill("sign-in.denied", &[("provider", provider), ("said", said)])
        }
        NotIn::Untrusted { provider, why } => {
            words.fill("sign-in.untrusted", &[("provider", provider), ("why", why)])
        }
        NotIn::InvitationGone => words.get("sign-in.invitation-gone").to_owned(),
        NotIn::Turned { provider, who, why } => {
            let first = words.fill("sign-in.turned", &[("provider", provider), ("who", who)]);
            format!("{first} {}", reason(words, why))
        }
    }
}

fn reason(words: &Words, why: &Turned) -> String {
    match why {
        Turned::NoGroup { wanted } => {
            words.fill("turned.no-group", &[("wanted", &wanted.join(", "))])
        }
        Turned::Taken => words.get("turned.taken").to_owned(),
        Turned::NotInvited => words.get("turned.not-invited").to_owned(),
        Turned::NoEmail => words.get("turned.no-email").to_owned(),
        Turned::EmailUnverified { email } => {
            words.fill("turned.email-unverified", &[("email", email)])
        }
        Turned::EmailElsewhere { email, wanted } => words.fill(
            "turned.email-elsewhere",
            &[("email", email), ("wanted", &wanted.join(", "))],
        ),
    }
}
