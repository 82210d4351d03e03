//! The frame of every page: head, navigation, main, and the headers that keep a browser safe.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::asset;
use super::parts;
use super::visit::Visit;
use super::words::{self, Words};

/// What a page consists of.
pub(crate) struct Page<'a> {
    /// The title, for the tab and the heading of the window.
    pub(crate) title: String,
    /// Which entry of the navigation it belongs to.
    pub(crate) place: &'a str,
    /// The contents of `main`.
    pub(crate) body: Markup,
    /// Scripts besides the common one.
    pub(crate) scripts: &'a [&'a str],
}

/// Only our own files, no inline scripts or styles, no frames, forms to ourselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

impl Page<'_> {
    /// Renders the page for a visitor.
    pub(crate) fn render(self, visit: &Visit) -> Response {
        let words = visit.words;
        let shell = html! {
            header.top {
                a.skip href="#main" { (words.get("frame.skip")) }
                nav aria-label=(words.get("frame.navigation")) {
                    a.brand href="/" { "Nightshift" }
                    @for (place, word, address) in PLACES {
                        a href=(address) aria-current=[(self.place == *place).then_some("page")] {
                            (words.get(word))
                        }
                    }
                    span.gap {}
                    a.who href="/account" aria-current=[(self.place == "account").then_some("page")] {
                        span.hidden { (words.get("account.title")) " " } (visit.name)
                    }
                    form.inline method="post" action="/sign-out" {
                        input type="hidden" name="form_token" value=(visit.form_token);
                        button.quiet { (words.get("frame.sign-out")) }
                    }
                }
            }
            main #main { (self.body) }
        };
        document(words, &self.title, &shell, self.scripts)
    }
}

/// The entries of the navigation, their words, and where they lead.
const PLACES: &[(&str, &str, &str)] = &[
    ("desk", "frame.desk", "/"),
    ("board", "frame.board", "/board"),
    ("runs", "frame.runs", "/runs"),
    ("projects", "frame.projects", "/projects"),
    ("server", "frame.server", "/server"),
];

/// A whole document with its headers.
pub(crate) fn document(words: &Words, title: &str, body: &Markup, scripts: &[&str]) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang=(words.code) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Nightshift" }
                link rel="icon" href=(asset::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(asset::address("style.css"));
                script src=(asset::address("live.js")) defer {}
                @for script in scripts {
                    script src=(asset::address(script)) defer {}
                }
            }
            body {
                (body)
                footer {
                    form.inline method="get" action="/language" {
                        @for language in words::all() {
                            button.quiet name="code" value=(language.code) lang=(language.code)
                                aria-pressed=(if language.code == words.code { "true" } else { "false" }) {
                                (language.name)
                            }
                        }
                    }
                    span { "Nightshift " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    };
    safe(Html(page.into_string()).into_response())
}

/// Adds the headers that keep a browser safe.
pub(crate) fn safe(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A problem as a page: what happened, and the way on.
pub(crate) fn problem(visit: &Visit, status: StatusCode, plain: Response) -> Response {
    let detail = plain
        .extensions()
        .get::<crate::error::Detail>()
        .map_or_else(String::new, |detail| detail.0.clone());
    let words = visit.words;
    let key = match status {
        StatusCode::NOT_FOUND => "problem.not-found",
        StatusCode::FORBIDDEN => "problem.forbidden",
        StatusCode::CONFLICT => "problem.conflict",
        StatusCode::UNPROCESSABLE_ENTITY => "problem.invalid",
        _ => "problem.other",
    };
    let page = Page {
        title: words.get(key).to_owned(),
        place: "",
        body: html! {
            h1 { (words.get(key)) }
            p.lead { (parts::marked(&detail)) }
            p { a href="/" { (words.get("problem.to-desk")) } }
        },
        scripts: &[],
    };
    let mut answer = page.render(visit);
    *answer.status_mut() = status;
    answer
}

/// Markup that was made safe elsewhere (sanitised Markdown).
pub(crate) fn trusted(html: String) -> Markup {
    PreEscaped(html)
}
