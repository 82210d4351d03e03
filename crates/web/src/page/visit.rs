//! Who visits a page: the session behind the cookie, the language, and the proof that a form came
//! from our own page.
//!
//! The session is a token like any other, kept in a cookie that scripts cannot read. A form is
//! taken only from our own origin and with the session's own form token.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use nightshift_app::{App, Caller, Secret, SessionKey};
use serde::de::DeserializeOwned;

use super::say;
use super::words::{self, Words};
use crate::error::{Detail, Failure};
use crate::operation::read;
use crate::page::layout;

/// The cookie that holds a session.
pub(crate) const COOKIE: &str = "nightshift_session";
/// The cookie of a browser that has been in by a password; it opens nothing.
pub(crate) const DEVICE: &str = "nightshift_device";
/// The cookie that holds a chosen language.
pub(crate) const LANGUAGE: &str = "nightshift_language";

/// One visit of a signed-in person.
pub(crate) struct Visit {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) name: String,
    pub(crate) words: &'static Words,
    /// What the forms of this answer carry.
    pub(crate) form_token: String,
    session: String,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let address = parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        let to_sign_in = || {
            let next: String = url_part(&address);
            Redirect::to(&format!("/sign-in?next={next}")).into_response()
        };
        let Some(session) = cookie(&parts.headers, COOKIE) else {
            return Err(to_sign_in());
        };
        let caller = match app.authenticate(&session).await {
            Ok(caller) => caller,
            Err(nightshift_app::Error::Unauthenticated { .. }) => return Err(to_sign_in()),
            Err(other) => return Err(Failure(other).into_response()),
        };
        let name = match caller.person() {
            Ok((_, name)) => name.to_owned(),
            Err(_) => return Err(to_sign_in()),
        };
        Ok(Self {
            app: app.clone(),
            caller,
            name,
            words: language(&parts.headers),
            form_token: app.form_token(&session),
            session,
        })
    }
}

impl Visit {
    /// Whether a form with this token comes from a page of this session.
    pub(crate) fn sent(&self, form_token: &str) -> bool {
        Secret::form_token_fits(&self.session, form_token)
    }

    /// Stands for the visit's session.
    pub(crate) fn session_key(&self) -> SessionKey {
        SessionKey::of(&self.session)
    }

    /// Renders a failure as a page in the visitor's language.
    pub(crate) fn failed(&self, error: nightshift_app::Error) -> Response {
        let said = self.words.refusal(&error);
        let mut plain = Failure(error).into_response();
        plain.extensions_mut().insert(Detail(said));
        let status = plain.status();
        layout::problem(self, status, plain)
    }
}

/// A form that was posted by one of our own pages.
pub(crate) struct Posted<T> {
    pub(crate) visit: Visit,
    pub(crate) form: T,
    pub(crate) headers: HeaderMap,
}

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        if !is_own_origin(&parts.headers) {
            return Err(foreign());
        }
        let bytes = read(body).await.map_err(Failure::into_response)?;
        let token = fields(&bytes)
            .find(|(name, _)| name == "form_token")
            .map(|(_, value)| value);
        if !token.is_some_and(|token| visit.sent(&token)) {
            return Err(foreign());
        }
        let form = serde_html_form::from_bytes(&bytes).map_err(|error| {
            visit.failed(nightshift_app::Error::Invalid {
                detail: say::form_unfit(error.to_string()).into(),
            })
        })?;
        Ok(Self {
            visit,
            form,
            headers: parts.headers,
        })
    }
}

/// Whether a request that changes something comes from our own pages, as far as browsers tell.
pub(crate) fn is_own_origin(headers: &HeaderMap) -> bool {
    let site_fits = headers
        .get("sec-fetch-site")
        .is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin_fits = match headers.get(header::ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => origin
            .split_once("://")
            .is_some_and(|(_, rest)| Some(rest) == host),
        Some(Err(_)) => false,
    };
    site_fits && origin_fits
}

/// The answer to a form that did not come from our own page.
pub(crate) fn foreign() -> Response {
    crate::error::problem(
        StatusCode::FORBIDDEN,
        "foreign-form",
        "Not from here",
        "this form did not come from this server's own page: go back, reload, and send it again"
            .to_owned(),
    )
}

/// A cookie's value.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The language: chosen by cookie, else what the browser prefers, else English.
pub(crate) fn language(headers: &HeaderMap) -> &'static Words {
    if let Some(chosen) = cookie(headers, LANGUAGE).and_then(|code| words::by_code(&code)) {
        return chosen;
    }
    let preferred = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    words::preferred(preferred)
}

/// The fields of a posted form, as names and values.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    serde_html_form::from_bytes::<Vec<(String, String)>>(bytes)
        .unwrap_or_default()
        .into_iter()
}

/// Percent-encodes a text as one value of a query.
pub(crate) fn url_part(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name: header::HeaderName = name.parse().expect("a name");
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn only_our_own_origin_may_post() {
        let cases = [
            (vec![("host", "a:1")], true),
            (vec![("host", "a:1"), ("origin", "http://a:1")], true),
            (vec![("host", "a:1"), ("origin", "http://evil.test")], false),
            (vec![("host", "a:1"), ("origin", "null")], false),
            (
                vec![("host", "a:1"), ("origin", "http://a:1.evil.test")],
                false,
            ),
            (
                vec![("host", "a:1"), ("sec-fetch-site", "cross-site")],
                false,
            ),
            (
                vec![("host", "a:1"), ("sec-fetch-site", "same-site")],
                false,
            ),
            (
                vec![("host", "a:1"), ("sec-fetch-site", "same-origin")],
                true,
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(is_own_origin(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let map = headers(&[("cookie", "a=1; nightshift_session=x; b=2")]);
        assert_eq!(cookie(&map, COOKIE).as_deref(), Some("x"));
        assert_eq!(cookie(&map, "session"), None);
    }
}
