//! People and credentials of runners, for administrators.
//!
//! A secret is shown in the answer to the form that made it, and never again. Deliberately absent:
//! other people's tokens, which are their own.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::record::User;
use nightshift_app::use_case::account::{NewToken, RunnerView};
use serde::Deserialize;

use super::say;
use super::server::ways;
use super::{Page, Posted, Visit, parts};

/// What is shown along, once.
#[derive(Default)]
struct Beside<'a> {
    /// What was made: its heading, and the secret.
    made: Option<(String, String)>,
    /// Which form was refused, what was typed, and why.
    refused: Option<(&'a str, &'a str, Error)>,
}

/// Shows people and runners.
pub(crate) async fn show(visit: Visit) -> Response {
    show_with(&visit, &Beside::default()).await
}

async fn show_with(visit: &Visit, beside: &Beside<'_>) -> Response {
    if !visit.caller.is_admin() {
        return visit.failed(Error::Forbidden {
            detail: say::admins_only().into(),
        });
    }
    let looked = async {
        let people = visit.app.user_list(&visit.caller).await?;
        let runners = visit.app.runner_list(&visit.caller).await?;
        Ok((people, runners))
    };
    match looked.await {
        Ok((people, runners)) => {
            let page = Page {
                title: visit.words.get("people.title").to_owned(),
                place: "server",
                body: body(visit, &people, &runners, beside),
                scripts: &[],
            };
            let mut answer = page.render(visit);
            if beside.made.is_some() {
                let never = HeaderValue::from_static("no-store");
                answer.headers_mut().insert(header::CACHE_CONTROL, never);
            }
            if let Some((.., error)) = &beside.refused {
                *answer.status_mut() = match error {
                    Error::Conflict { .. } => StatusCode::CONFLICT,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
            }
            answer
        }
        Err(error) => visit.failed(error),
    }
}

fn body(visit: &Visit, people: &[User], runners: &[RunnerView], beside: &Beside<'_>) -> Markup {
    let words = visit.words;
    html! {
        h1 { (words.get("people.title")) }
        (ways(visit, "/server/people"))
        @if let Some((title, secret)) = &beside.made {
            section.notice role="status" {
                h2 { (title) }
                pre { code { (secret) } }
                p { (words.get("account.once")) }
            }
        }
        div.columns-even {
            section.box {
                h2 { (words.get("people.people")) }
                div.scroll { table {
                    caption.hidden { (words.get("people.people")) }
                    thead { tr {
                        th scope="col" { (words.get("server.name")) }
                        th scope="col" { (words.get("account.since")) }
                        th scope="col" { span.hidden { (words.get("runs.acts")) } }
                    } }
                    tbody { @for person in people { (one(visit, person)) } }
                } }
                h3 #new-person { (words.get("people.new")) }
                form.stack method="post" action="/server/people" aria-labelledby="new-person" {
                    (parts::form_token(visit))
                    (name(visit, "person", beside))
                    label.check-line { input type="checkbox" name="is_admin" value="true"; (words.get("people.admin")) }
                    button { (words.get("people.add")) }
                }
            }
            section.box {
                h2 { (words.get("server.runners")) }
                p.quiet { (words.get("people.runners-hint")) }
                div.scroll { table {
                    caption.hidden { (words.get("server.runners")) }
                    thead { tr {
                        th scope="col" { (words.get("server.name")) }
                        th scope="col" { span.hidden { (words.get("runs.acts")) } }
                    } }
                    tbody { @for view in runners { (runner(visit, view)) } }
                } }
                h3 #new-runner { (words.get("people.runner-new")) }
                form.stack method="post" action="/server/people/runner" aria-labelledby="new-runner" {
                    (parts::form_token(visit))
                    (name(visit, "runner", beside))
                    button { (words.get("account.make")) }
                }
            }
        }
    }
}

/// The field of a name, with what is wrong with it.
fn name(visit: &Visit, form: &str, beside: &Beside<'_>) -> Markup {
    let words = visit.words;
    let refused = beside.refused.as_ref().filter(|(which, ..)| *which == form);
    let id = format!("{form}-wrong");
    html! {
        div.wrong id=(id) { @if let Some((.., error)) = refused { p role="alert" { (parts::marked(&words.refusal(error))) } } }
        label { (words.get("server.name"))
            input name="name" value=(refused.map_or("", |(_, typed, _)| typed)) required maxlength="40"
                autocapitalize="none" autocomplete="off" aria-describedby=(id)
                aria-invalid=[refused.map(|_| "true")] autofocus[refused.is_some()];
        }
    }
}

fn one(visit: &Visit, person: &User) -> Markup {
    let words = visit.words;
    html! {
        tr {
            th scope="row" { (person.name)
                @if person.is_admin { " " span.badge { (words.get("people.is-admin")) } } }
            td { (parts::time(person.created_at)) }
            td { form.inline method="post" action="/server/people/link" {
                (parts::form_token(visit))
                input type="hidden" name="name" value=(person.name);
                button aria-label={ (words.get("people.link")) (words.get("mark.colon")) (person.name) } { (words.get("people.link")) }
            } }
        }
    }
}

fn runner(visit: &Visit, view: &RunnerView) -> Markup {
    let words = visit.words;
    let known = &view.runner.name;
    html! {
        tr {
            th scope="row" { (known) }
            td { form.inline method="post" action="/server/people/runner-revoke" {
                (parts::form_token(visit))
                input type="hidden" name="name" value=(known);
                button.danger aria-label={ (words.get("people.revoke")) (words.get("mark.colon")) (known) } { (words.get("people.revoke")) }
            } }
        }
    }
}

/// A name, and perhaps a right.
#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
    #[serde(default)]
    is_admin: bool,
}

/// Makes a person known, with a link to sign in.
pub(crate) async fn add(posted: Posted<Named>) -> Response {
    let visit = &posted.visit;
    let name = posted.form.name.trim();
    let made = visit
        .app
        .user_create(&visit.caller, name, posted.form.is_admin)
        .await;
    match made {
        Ok(_) => link_of(visit, &posted.headers, name).await,
        Err(error) => refused(visit, "person", name, error).await,
    }
}

/// Makes a link that signs a person in, once.
pub(crate) async fn link(posted: Posted<Named>) -> Response {
    link_of(&posted.visit, &posted.headers, &posted.form.name).await
}

async fn link_of(visit: &Visit, headers: &HeaderMap, name: &str) -> Response {
    match visit.app.session_link(&visit.caller, Some(name)).await {
        Ok((code, _)) => {
            let path = format!("/sign-in?code={}", code.reveal());
            let address = super::project::address(headers, &path);
            let title = visit.words.fill("people.link-of", &[("name", &name)]);
            let beside = Beside {
                made: Some((title, address)),
                refused: None,
            };
            show_with(visit, &beside).await
        }
        Err(error) => visit.failed(error),
    }
}

/// Makes a token for a runner, and shows it this once.
pub(crate) async fn runner_new(posted: Posted<Named>) -> Response {
    let visit = &posted.visit;
    let name = posted.form.name.trim();
    let new = NewToken {
        label: "runner".to_owned(),
        user: None,
        runner: Some(name.to_owned()),
        expires_in_days: None,
    };
    match visit.app.token_create(&visit.caller, &new).await {
        Ok((_, secret)) => {
            let title = visit.words.fill("people.token-of", &[("name", &name)]);
            let beside = Beside {
                made: Some((title, secret.reveal().to_owned())),
                refused: None,
            };
            show_with(visit, &beside).await
        }
        Err(error) => refused(visit, "runner", name, error).await,
    }
}

/// Makes every token of a runner stop working.
pub(crate) async fn runner_revoke(posted: Posted<Named>) -> Response {
    let visit = &posted.visit;
    match visit
        .app
        .runner_revoke(&visit.caller, &posted.form.name)
        .await
    {
        Ok(_) => Redirect::to("/server/people").into_response(),
        Err(error) => visit.failed(error),
    }
}

async fn refused(visit: &Visit, form: &str, typed: &str, error: Error) -> Response {
    match error {
        Error::Invalid { .. } | Error::Conflict { .. } => {
            let beside = Beside {
                made: None,
                refused: Some((form, typed, error)),
            };
            show_with(visit, &beside).await
        }
        other => visit.failed(other),
    }
}
