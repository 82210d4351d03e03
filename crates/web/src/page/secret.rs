//! The secrets of a project: which there are, for which steps, and forms that set or remove a value; on
//! an issue's page those that it waits for.
//!
//! A value goes one way: no page shows it, not even after a mistake. Deliberately absent: which steps
//! get a secret; that stands in the settings file.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::use_case::secret::SecretView;
use nightshift_app::use_case::story::Story;
use nightshift_domain::config::secret::LONGEST;
use nightshift_domain::id::Number;
use serde::Deserialize;

use super::account::Bare;
use super::parts::Ink;
use super::visit::url_part;
use super::words::Words;
use super::{Page, Posted, Visit, parts};

/// Shows the secrets.
pub(crate) async fn show(visit: Visit, Path(project): Path<String>) -> Response {
    match visit.app.secret_list(&visit.caller, &project).await {
        Ok(secrets) => {
            let page = Page {
                title: visit.words.fill("secret.title", &[("project", &project)]),
                place: "projects",
                body: body(&visit, &project, &secrets),
                scripts: &[],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

/// The secrets whose values an issue waits for, with a form for each where the viewer may set them.
pub(crate) fn wanted(ink: Ink<'_>, story: &Story) -> Markup {
    let words = ink.words;
    let project = &story.view.line.project;
    html! {
        @if !story.view.secrets.is_empty() {
            section.box.ask aria-labelledby="secrets" {
                h2 #secrets { (words.get("secret.wanted")) }
                p.quiet { (words.get("secret.wanted-hint")) }
                @if !story.view.may.configure { p { (words.get("secret.ask-maintainer")) } }
                @for name in &story.view.secrets {
                    @if story.view.may.configure {
                        form.stack.small method="post" action={ "/p/" (project) "/secrets" } autocomplete="off" {
                            (ink.token())
                            input type="hidden" name="name" value=(name);
                            input type="hidden" name="issue" value=(story.view.line.issue.number);
                            label { (words.fill("secret.value-of", &[("name", name)]))
                                input type="password" name="value" required maxlength=(LONGEST) autocomplete="new-password"; }
                            button.primary { (words.get("secret.save")) }
                        }
                    } @else { p { code { (name) } } }
                }
            }
        }
    }
}

fn body(visit: &Visit, project: &str, secrets: &[SecretView]) -> Markup {
    let words = visit.words;
    html! {
        div.title {
            h1 { (words.fill("secret.title", &[("project", &project)])) }
            a href={ "/p/" (project) } { (project) }
            a href={ "/p/" (project) "/settings" } { (words.get("project.settings")) }
        }
        p.quiet { (words.get("secret.hint")) }
        @if secrets.is_empty() { p.empty { (words.get("secret.none")) } }
        @else {
            div.scroll { table {
                caption.hidden { (words.fill("secret.title", &[("project", &project)])) }
                thead { tr {
                    th scope="col" { (words.get("secret.name")) }
                    th scope="col" { (words.get("secret.steps")) }
                    th scope="col" { (words.get("secret.value")) }
                    th scope="col" { span.hidden { (words.get("runs.acts")) } }
                } }
                tbody { @for secret in secrets { (row(visit, project, secret)) } }
            } }
        }
        (set(visit, project, secrets))
    }
}

fn row(visit: &Visit, project: &str, secret: &SecretView) -> Markup {
    let words = visit.words;
    html! {
        tr {
            th scope="row" { code { (secret.name) } }
            td { (steps(words, secret)) }
            td {
                @match &secret.set {
                    Some((by, at)) => { (parts::time(*at)) " " (words.fill("secret.by", &[("name", by)])) }
                    None => b.bad { (words.get("secret.missing")) },
                }
            }
            td { @if secret.set.is_some() {
                form.inline method="post" action={ "/p/" (project) "/secrets/" (url_part(&secret.name)) "/remove" } {
                    (parts::form_token(visit))
                    button.danger aria-label=(words.fill("secret.remove-one", &[("name", &secret.name)])) {
                        (words.get("secret.remove")) }
                }
            } }
        }
    }
}

fn steps(words: &Words, secret: &SecretView) -> Markup {
    html! {
        @match &secret.named {
            None => span.quiet { (words.get("secret.unnamed")) },
            Some(named) => {
                @for step in &named.steps { code { (step) } " " }
                @if named.author { b { (words.get("secret.author")) } }
            }
        }
    }
}

fn set(visit: &Visit, project: &str, secrets: &[SecretView]) -> Markup {
    let words = visit.words;
    html! {
        section.box aria-labelledby="secret-set" {
            h2 #secret-set { (words.get("secret.set")) }
            form.stack.small method="post" action={ "/p/" (project) "/secrets" } autocomplete="off" {
                (parts::form_token(visit))
                label { (words.get("secret.name"))
                    input.code name="name" required maxlength="64" pattern="[A-Z_][A-Z0-9_]*"
                        list="secret-names" autocomplete="off" spellcheck="false"; }
                datalist #secret-names { @for secret in secrets { option value=(secret.name) {} } }
                label { (words.get("secret.value"))
                    input type="password" name="value" required maxlength=(LONGEST) autocomplete="new-password"; }
                p.quiet { (words.get("secret.lines")) }
                button { (words.get("secret.save")) }
            }
        }
    }
}

/// A value that was typed. Not to be formatted.
#[derive(Deserialize)]
pub(crate) struct SetForm {
    name: String,
    value: String,
    /// The issue whose page the form stands on.
    #[serde(default)]
    issue: Option<Number>,
}

/// Sets a value.
pub(crate) async fn save(Path(project): Path<String>, posted: Posted<SetForm>) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let set = visit
        .app
        .secret_set(&visit.caller, &project, form.name.trim(), &form.value);
    let back = match form.issue {
        Some(number) => format!("/p/{project}/{number}"),
        None => format!("/p/{project}/secrets"),
    };
    match set.await {
        Ok(_) => Redirect::to(&back).into_response(),
        Err(error) => visit.failed(error),
    }
}

/// Removes a value.
pub(crate) async fn remove(
    Path((project, name)): Path<(String, String)>,
    posted: Posted<Bare>,
) -> Response {
    let visit = &posted.visit;
    match visit
        .app
        .secret_remove(&visit.caller, &project, &name)
        .await
    {
        Ok(()) => Redirect::to(&format!("/p/{project}/secrets")).into_response(),
        Err(error) => visit.failed(error),
    }
}
