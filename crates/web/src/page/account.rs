//! One's own account: tokens, the password, and identities at providers.
//!
//! A secret is shown in the answer to the form that made it, and never again. Deliberately absent:
//! other people's tokens.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::record::{Identity, Token};
use nightshift_app::use_case::account::NewToken;
use nightshift_app::use_case::session::{LINK, SESSION, SHORTEST_PASSWORD};
use nightshift_app::{Error, Secret};
use nightshift_domain::id::{IdentityId, TokenId};
use serde::Deserialize;

use super::say;
use super::words::Words;
use super::{Page, Posted, Visit, parts};

/// The choices of how long a token works, in days; 0 is for ever.
const DAYS: &[u16] = &[7, 30, 90, 365, 0];

/// Shows the account.
pub(crate) async fn show(visit: Visit) -> Response {
    page(&visit, None).await
}

async fn page(visit: &Visit, made: Option<(&Token, &Secret)>) -> Response {
    let (app, caller) = (&visit.app, &visit.caller);
    let found = async {
        let identities = app.identity_list(caller, &visit.name).await?;
        Ok((app.token_list(caller).await?, identities))
    };
    match found.await {
        Ok((tokens, identities)) => {
            let page = Page {
                title: visit.words.get("account.title").to_owned(),
                place: "account",
                body: body(visit, &tokens, &identities, made),
                scripts: &[],
            };
            page.render(visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(
    visit: &Visit,
    tokens: &[Token],
    identities: &[Identity],
    made: Option<(&Token, &Secret)>,
) -> Markup {
    let words = visit.words;
    let now = visit.app.later(std::time::Duration::ZERO);
    let live = |token: &&Token| {
        token.revoked_at.is_none()
            && token.expires_at.is_none_or(|end| end > now)
            && token.label != LINK
    };
    let (sessions, tokens): (Vec<&Token>, Vec<&Token>) = tokens
        .iter()
        .rev()
        .filter(live)
        .partition(|token| token.label == SESSION);
    html! {
        h1 { (words.get("account.title")) " " span.quiet { (visit.name) } }
        @if let Some((token, secret)) = made {
            section.notice role="status" {
                h2 { (words.fill("account.made", &[("label", &token.label)])) }
                pre { code { (secret.reveal()) } }
                p { (words.get("account.once")) }
            }
        }
        div.columns-even {
            section.box {
                h2 { (words.get("account.tokens")) }
                p.quiet { (words.get("account.tokens-hint")) }
                (table(visit, words.get("account.tokens"), &tokens))
                (new_token(visit))
            }
            div {
                section.box {
                    h2 { (words.get("account.password")) }
                    p.quiet { (words.fill("account.password-hint", &[("count", &SHORTEST_PASSWORD)])) }
                    (password(visit))
                }
                section.box {
                    h2 { (words.get("account.sessions")) }
                    (table(visit, words.get("account.sessions"), &sessions))
                }
                @if !identities.is_empty() { (self::identities(visit, identities)) }
            }
        }
    }
}

fn table(visit: &Visit, caption: &str, tokens: &[&Token]) -> Markup {
    let words = visit.words;
    html! {
        @if tokens.is_empty() {
            p { (words.get("account.none")) }
        } @else {
            div.scroll { table {
                caption.hidden { (caption) }
                thead { tr {
                    th scope="col" { (words.get("account.label")) }
                    th scope="col" { (words.get("account.since")) }
                    th scope="col" { (words.get("account.used")) }
                    th scope="col" { (words.get("account.until")) }
                    th scope="col" { span.hidden { (words.get("runs.acts")) } }
                } }
                tbody { @for token in tokens {
                    tr {
                        th scope="row" { (token.label) }
                        td { (parts::time(token.created_at)) }
                        td { @match token.used_at {
                            Some(at) => (parts::time(at)),
                            None => (words.get("account.never")),
                        } }
                        td { @match token.expires_at {
                            Some(at) => (parts::time(at)),
                            None => (words.get("account.for-ever")),
                        } }
                        td { form.inline method="post" action={ "/account/tokens/" (token.id) "/revoke" } {
                            (parts::form_token(visit))
                            button.danger aria-label=(words.fill("account.revoke-one", &[("label", &token.label)])) {
                                (words.get("account.revoke")) }
                        } }
                    }
                } }
            } }
        }
    }
}

fn identities(visit: &Visit, identities: &[Identity]) -> Markup {
    let words = visit.words;
    html! {
        section.box {
            h2 { (words.get("account.identities")) }
            p.quiet { (words.get("account.identities-hint")) }
            div.scroll { table {
                caption.hidden { (words.get("account.identities")) }
                thead { tr {
                    th scope="col" { (words.get("account.provider")) }
                    th scope="col" { (words.get("account.subject")) }
                    th scope="col" { (words.get("account.used")) }
                    th scope="col" { span.hidden { (words.get("runs.acts")) } }
                } }
                tbody { @for one in identities { tr {
                    th scope="row" { (one.provider) }
                    td title=(one.issuer) { (one.email.as_deref().unwrap_or(&one.subject)) }
                    td { (parts::time(one.used_at)) }
                    td { form.inline method="post" action={ "/account/identities/" (one.id) "/remove" } {
                        (parts::form_token(visit))
                        button.danger aria-label=(words.fill("account.unlink-one", &[("provider", &one.provider)])) {
                            (words.get("account.unlink")) }
                    } }
                } } }
            } }
        }
    }
}

fn new_token(visit: &Visit) -> Markup {
    let words = visit.words;
    html! {
        h3 { (words.get("account.new")) }
        form.stack method="post" action="/account/tokens" {
            (parts::form_token(visit))
            label { (words.get("account.what-for")) input name="label" required maxlength="200" autocomplete="off"; }
            label { (words.get("account.until"))
                select name="days" { @for days in DAYS {
                    option value=(days) selected[*days == 90] { (lasts(words, *days)) }
                } }
            }
            button { (words.get("account.make")) }
        }
    }
}

fn lasts(words: &Words, days: u16) -> String {
    match days {
        0 => words.get("account.for-ever").to_owned(),
        days => words.fill("account.days", &[("days", &days)]),
    }
}

fn password(visit: &Visit) -> Markup {
    let words = visit.words;
    html! {
        form.stack method="post" action="/account/password" {
            (parts::form_token(visit))
            // Password keepers look for the name the password belongs to.
            span.hidden aria-hidden="true" { input name="name" value=(visit.name) autocomplete="username" readonly tabindex="-1"; }
            label { (words.get("account.new-password"))
                input type="password" name="password" required minlength=(SHORTEST_PASSWORD) maxlength="256" autocomplete="new-password"; }
            label { (words.get("account.again"))
                input type="password" name="again" required autocomplete="new-password"; }
            button { (words.get("account.set-password")) }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct TokenForm {
    label: String,
    #[serde(default)]
    days: u16,
}

/// Makes a token, and shows its secret this once.
pub(crate) async fn token_new(posted: Posted<TokenForm>) -> Response {
    let visit = &posted.visit;
    let new = NewToken {
        label: posted.form.label.clone(),
        user: None,
        runner: None,
        expires_in_days: Some(posted.form.days).filter(|days| *days > 0),
    };
    match visit.app.token_create(&visit.caller, &new).await {
        Ok((token, secret)) => {
            let mut answer = page(visit, Some((&token, &secret))).await;
            let never = HeaderValue::from_static("no-store");
            answer.headers_mut().insert(header::CACHE_CONTROL, never);
            answer
        }
        Err(error) => visit.failed(error),
    }
}

#[derive(Deserialize)]
pub(crate) struct Bare {}

/// Revokes a token, or ends a session.
pub(crate) async fn token_revoke(
    axum::extract::Path(token): axum::extract::Path<String>,
    posted: Posted<Bare>,
) -> Response {
    let visit = &posted.visit;
    let revoked = async {
        let id: TokenId = token.parse().map_err(|_| Error::NotFound {
            detail: say::no_token(format!("{token:?}")).into(),
        })?;
        visit.app.token_revoke(&visit.caller, id).await
    };
    match revoked.await {
        Ok(()) => Redirect::to("/account").into_response(),
        Err(error) => visit.failed(error),
    }
}

/// Unlinks an identity; every session ends, this one too.
pub(crate) async fn identity_remove(
    axum::extract::Path(identity): axum::extract::Path<String>,
    posted: Posted<Bare>,
) -> Response {
    let visit = &posted.visit;
    let removed = async {
        let id: IdentityId = identity.parse().map_err(|_| Error::NotFound {
            detail: say::no_identity(format!("{identity:?}")).into(),
        })?;
        visit
            .app
            .identity_remove(&visit.caller, &visit.name, id)
            .await
    };
    match removed.await {
        Ok(()) => Redirect::to("/sign-in?next=/account").into_response(),
        Err(error) => visit.failed(error),
    }
}

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    password: String,
    again: String,
}

/// Sets the password; every session ends, this one too.
pub(crate) async fn password_set(posted: Posted<PasswordForm>) -> Response {
    let visit = &posted.visit;
    if posted.form.password != posted.form.again {
        return visit.failed(Error::Invalid {
            detail: visit.words.get("account.differ").into(),
        });
    }
    match visit
        .app
        .password_set(&visit.caller, &posted.form.password)
        .await
    {
        Ok(()) => Redirect::to("/sign-in?next=/account").into_response(),
        Err(error) => visit.failed(error),
    }
}
