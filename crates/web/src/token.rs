//! Reads the token of a request: `Authorization: Bearer <token>`, or Basic with the token as the
//! password, as git clients send it.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nightshift_app::{App, Caller, Error};

/// The secret that a request carries.
pub(crate) fn secret(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = BASE64.decode(rest.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (_, password) = text.split_once(':')?;
        return Some(password.to_owned());
    }
    None
}

/// Who sends a request.
pub(crate) async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Error> {
    let Some(secret) = secret(headers) else {
        return Err(Error::Unauthenticated {
            detail: "no token was sent: use `Authorization: Bearer <token>` \
                     (`nightshift token new` makes one)"
                .into(),
        });
    };
    app.authenticate(&secret).await
}
