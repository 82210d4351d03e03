//! Saved views of the board: tabs, and the forms that keep, rename and remove them.
//!
//! The tab whose filter is the board's own is the current one, so that a view needs no address of its
//! own. Deliberately absent: views that other people see.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::record::View;
use nightshift_app::use_case::view::SaveView;
use nightshift_domain::view::{Filter, MOST, NAME};
use serde::Deserialize;

use super::account::Bare;
use super::visit::url_part;
use super::words::Words;
use super::{Posted, Visit, board, parts};

/// The saved views as tabs, after the one that shows everything.
pub(crate) fn tabs(words: &Words, views: &[View], filter: &Filter) -> Markup {
    let tab = |name: &str, address: String, is_current: bool| {
        html! { a.choice href=(address) aria-current=[is_current.then_some("page")] { (name) } }
    };
    html! {
        @if !views.is_empty() {
            nav.tabs aria-label=(words.get("view.tabs")) {
                (tab(words.get("view.all"), board::everything(None), *filter == Filter::default()))
                @for view in views {
                    (tab(&view.name, board::address(&view.filter, None), view.filter == *filter))
                }
            }
        }
    }
}

/// What can be done with the view that is shown: keep it under a name, or change the one it is.
pub(crate) fn forms(visit: &Visit, views: &[View], filter: &Filter) -> Markup {
    let words = visit.words;
    let current = views.iter().find(|view| view.filter == *filter);
    html! {
        @match current {
            Some(view) => (change(visit, view)),
            None if *filter == Filter::default() => {},
            None if views.len() >= MOST => p.quiet { (words.fill("view.full", &[("count", &MOST)])) },
            None => (keep(visit, views, filter)),
        }
    }
}

fn keep(visit: &Visit, views: &[View], filter: &Filter) -> Markup {
    let words = visit.words;
    html! {
        section.box aria-labelledby="view-keep" {
            h2 #view-keep { (words.get("view.keep")) }
            form.member method="post" action="/board/views" {
                (parts::form_token(visit))
                @for (name, value) in filter.parts() { input type="hidden" name=(name) value=(value); }
                label { (words.get("view.name"))
                    input name="view" required maxlength=(NAME) autocomplete="off" list="view-names"; }
                datalist #view-names { @for view in views { option value=(view.name) {} } }
                label.check-line { input type="checkbox" name="default" value="yes"; (words.get("view.opens")) }
                button { (words.get("view.save")) }
            }
        }
    }
}

fn change(visit: &Visit, view: &View) -> Markup {
    let words = visit.words;
    let address = format!("/board/views/{}", url_part(&view.name));
    html! {
        section.box aria-labelledby="view-change" {
            h2 #view-change { (words.fill("view.this", &[("name", &view.name)])) }
            form.member method="post" action=(address) {
                (parts::form_token(visit))
                label { (words.get("view.name"))
                    input name="view" required maxlength=(NAME) autocomplete="off" value=(view.name); }
                label.check-line { input type="checkbox" name="default" value="yes" checked[view.is_default];
                    (words.get("view.opens")) }
                button { (words.get("view.change")) }
            }
            form.inline method="post" action={ (address) "/remove" } {
                (parts::form_token(visit))
                button.danger { (words.get("view.remove")) }
            }
        }
    }
}

/// A filter to be kept under a name.
#[derive(Deserialize)]
pub(crate) struct KeepForm {
    view: String,
    #[serde(flatten)]
    filter: Filter,
    #[serde(default)]
    default: Option<String>,
}

/// Keeps a filter under a name; one that has it shows this from now on.
pub(crate) async fn create(posted: Posted<KeepForm>) -> Response {
    let KeepForm {
        view,
        filter,
        default,
    } = posted.form;
    let save = SaveView {
        filter: Some(filter),
        is_default: default.map(|_| true),
        rename: None,
    };
    done(&posted.visit, &view, &save).await
}

/// What a view shall be called, and whether the board opens with it.
#[derive(Deserialize)]
pub(crate) struct ChangeForm {
    view: String,
    #[serde(default)]
    default: Option<String>,
}

/// Renames a view, or makes it the default.
pub(crate) async fn save(Path(name): Path<String>, posted: Posted<ChangeForm>) -> Response {
    let save = SaveView {
        filter: None,
        is_default: Some(posted.form.default.is_some()),
        rename: Some(posted.form.view),
    };
    done(&posted.visit, &name, &save).await
}

async fn done(visit: &Visit, name: &str, save: &SaveView) -> Response {
    match visit.app.view_save(&visit.caller, name, save).await {
        Ok(view) => Redirect::to(&board::address(&view.filter, None)).into_response(),
        Err(error) => visit.failed(error),
    }
}

/// Removes a view; its issues stay where they are.
pub(crate) async fn remove(Path(name): Path<String>, posted: Posted<Bare>) -> Response {
    let visit = &posted.visit;
    match visit.app.view_remove(&visit.caller, &name).await {
        Ok(()) => Redirect::to(&board::everything(None)).into_response(),
        Err(error) => visit.failed(error),
    }
}
