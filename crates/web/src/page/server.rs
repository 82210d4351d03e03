//! The server: whether it is well, its runners, its jobs, and how much room it takes.
//!
//! Deliberately absent: measuring; a page shows what was measured in the background.

use axum::Extension;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::use_case::storage::{Room, ServerView, Storage};
use nightshift_app::use_case::watch::{COUNT_TO, Parts, RunnerWork};
use nightshift_domain::health::{Level, Sign, size};
use serde::Deserialize;

use super::say;
use super::words::Words;
use super::{Page, Posted, Visit, parts};
use crate::live::{Figures, Live};

/// Shows the server.
pub(crate) async fn show(visit: Visit, Extension(live): Extension<Live>) -> Response {
    let looked = async {
        let found = visit.app.server_parts(&visit.caller).await?;
        let server = if visit.caller.is_admin() {
            Some(visit.app.server_get(&visit.caller).await?)
        } else {
            None
        };
        Ok((found, server))
    };
    match looked.await {
        Ok((found, server)) => {
            let page = Page {
                title: visit.words.get("frame.server").to_owned(),
                place: "server",
                body: body(&visit, &found, live.figures(), server.as_ref()),
                scripts: &[],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

/// The pages about the server, as links.
pub(super) fn ways(visit: &Visit, here: &str) -> Markup {
    let words = visit.words;
    let mut places = vec![
        ("/server", "server.overview"),
        ("/server/audit", "server.audit"),
    ];
    if visit.caller.is_admin() {
        places.push(("/server/people", "people.title"));
    }
    html! {
        nav.choices aria-label=(words.get("frame.server")) { p {
            @for (address, word) in places {
                a.choice href=(address) aria-current=[(address == here).then_some("page")] { (words.get(word)) } " "
            }
        } }
    }
}

fn body(visit: &Visit, found: &Parts, live: Figures, server: Option<&ServerView>) -> Markup {
    let words = visit.words;
    html! {
        h1 { (words.get("frame.server")) }
        (ways(visit, "/server"))
        dl.facts-list {
            dt { (words.get("server.version")) } dd { (env!("CARGO_PKG_VERSION")) }
            dt { (words.get("server.last-event")) } dd { (found.last_event) }
            dt { (words.get("server.watching")) }
            dd { (words.fill("server.watched", &[
                ("viewers", &live.viewers), ("bursts", &live.bursts), ("sent", &live.sent),
            ])) }
        }
        @if let Some(server) = server { (health(words, server)) }
        (runners(visit, found))
        (jobs(words, found))
        @if let Some(server) = server {
            h2 { (words.get("server.storage")) }
            @match &server.storage {
                Some(known) => (storage(words, known)),
                None => p.quiet { (words.get("server.not-measured")) },
            }
        }
    }
}

fn health(words: &Words, server: &ServerView) -> Markup {
    html! {
        h2 { (words.get("server.health")) }
        ul.signs { @for sign in &server.signs {
            li { (level(words, sign.level())) " " (told(words, *sign)) }
        } }
    }
}

/// How a sign is to be taken, as a word with a mark; never by colour alone.
fn level(words: &Words, level: Level) -> Markup {
    let (class, mark, key) = match level {
        Level::Well => ("badge green", "✓", "server.well"),
        Level::Warning => ("badge amber", "!", "server.warning"),
        Level::Bad => ("badge red", "✗", "server.bad"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) " " } (words.get(key)) } }
}

fn told(words: &Words, sign: Sign) -> String {
    match sign {
        Sign::Database { millis } => words.fill("sign.database", &[("millis", &millis)]),
        Sign::Reconcilers { seconds: None } => words.get("sign.reconcilers-never").to_owned(),
        Sign::Reconcilers { seconds: Some(s) } => {
            words.fill("sign.reconcilers", &[("seconds", &s)])
        }
        Sign::Space { free, total } => words.fill(
            "sign.space",
            &[("free", &size(free)), ("total", &size(total))],
        ),
        Sign::Inodes { free, total } => {
            words.fill("sign.inodes", &[("free", &free), ("total", &total)])
        }
        Sign::Runners { alive, wanted } => {
            let key = if wanted && alive == 0 {
                "sign.runners-wanted"
            } else {
                "sign.runners"
            };
            words.fill(key, &[("count", &alive)])
        }
    }
}

fn storage(words: &Words, known: &Storage) -> Markup {
    let room = |room: &Room| {
        let more = if room.at_least { "≥ " } else { "" };
        format!("{more}{}", size(room.bytes))
    };
    html! {
        p.quiet { (words.get("server.measured")) " " (parts::time(known.measured_at)) }
        dl.facts-list {
            dt { (words.get("server.database")) } dd { (size(known.database)) }
            dt { (words.get("server.logs")) }
            dd { (room(&known.logs)) " · " (words.fill("server.files", &[("count", &known.logs.files)])) }
            dt { (words.get("server.disk")) }
            dd { (words.fill("sign.space", &[("free", &size(known.disk.free)), ("total", &size(known.disk.total))])) }
            @if known.disk.inodes > 0 {
                dt { (words.get("server.inodes")) }
                dd { (words.fill("sign.inodes", &[("free", &known.disk.free_inodes), ("total", &known.disk.inodes)])) }
            }
        }
        @if !known.repositories.is_empty() {
            div.scroll { table {
                caption { (words.get("server.repositories")) }
                thead { tr {
                    th scope="col" { (words.get("board.project")) }
                    th scope="col" { (words.get("server.size")) }
                    th scope="col" { (words.get("server.file-count")) }
                } }
                tbody { @for (name, one) in &known.repositories { tr {
                    th scope="row" { a href={ "/p/" (name) } { (name) } }
                    td.number { (room(one)) }
                    td.number { (one.files) }
                } } }
            } }
        }
    }
}

fn runners(visit: &Visit, found: &Parts) -> Markup {
    let words = visit.words;
    html! {
        h2 { (words.get("server.runners")) }
        @if found.runners.is_empty() {
            p.quiet { (words.get("server.no-runners")) " " code { "nightshift runner" } }
        } @else {
            div.scroll { table {
                caption.hidden { (words.get("server.runners")) }
                thead { tr {
                    th scope="col" { (words.get("server.name")) }
                    th scope="col" { (words.get("run.state")) }
                    th scope="col" { (words.get("server.slots")) }
                    th scope="col" { (words.get("server.takes")) }
                    th scope="col" { (words.get("server.does")) }
                    th scope="col" { (words.get("server.version")) }
                    th scope="col" { (words.get("server.last-seen")) }
                    @if visit.caller.is_admin() { th scope="col" { span.hidden { (words.get("runs.acts")) } } }
                } }
                tbody { @for work in &found.runners { (runner(visit, work)) } }
            } }
        }
    }
}

/// What a runner says that it takes; one that says nothing takes all.
fn takes(words: &Words, some: Option<&[String]>) -> String {
    some.map_or_else(
        || words.get("server.all").to_owned(),
        |some| some.join(", "),
    )
}

fn runner(visit: &Visit, work: &RunnerWork) -> Markup {
    let words = visit.words;
    let known = &work.view.runner;
    html! {
        tr {
            th scope="row" { (known.name) }
            td { @if work.view.alive {
                    span.badge.green { span aria-hidden="true" { "✓ " } (words.get("server.alive")) }
                } @else {
                    span.badge.red { span aria-hidden="true" { "✗ " } (words.get("server.silent")) }
                }
                @if known.draining { " " span.badge.amber { (words.get("server.draining")) } } }
            td { (words.fill("server.taken", &[("taken", &work.taken), ("slots", &known.slots)])) }
            td { (takes(words, known.kinds.as_deref())) " · " (takes(words, known.harnesses.as_deref()))
                 @if known.images { " · " (words.get("server.images")) } }
            td { @for one in &work.runs {
                p { a href={ "/runs/" (one.run.id) } { (one.project) " · " (one.run.kind.as_str()) } }
            } }
            td { (known.version) }
            td { @if known.last_seen_at > jiff::Timestamp::UNIX_EPOCH {
                    (parts::time(known.last_seen_at))
                } @else { (words.get("server.never")) } }
            @if visit.caller.is_admin() { td { (drain_form(visit, &known.name, known.draining)) } }
        }
    }
}

/// Drains a runner, or takes it back.
fn drain_form(visit: &Visit, name: &str, draining: bool) -> Markup {
    let words = visit.words;
    let (what, word) = match draining {
        false => ("drain", "server.drain"),
        true => ("resume", "server.resume"),
    };
    html! {
        form.inline method="post" action="/server/runners" {
            (parts::form_token(visit))
            input type="hidden" name="name" value=(name);
            button name="what" value=(what) title=[(!draining).then(|| words.get("server.drain-hint"))]
                aria-label={ (words.get(word)) (words.get("mark.colon")) (name) } { (words.get(word)) }
        }
    }
}

/// A runner, and what becomes of it.
#[derive(Deserialize)]
pub(crate) struct DrainForm {
    name: String,
    what: String,
}

/// Hands a runner no new jobs, or jobs again, and shows the server.
pub(crate) async fn drain(posted: Posted<DrainForm>) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let draining = match form.what.as_str() {
        "drain" => true,
        "resume" => false,
        other => {
            return visit.failed(Error::Invalid {
                detail: say::no_act_on_runner(format!("{other:?}")).into(),
            });
        }
    };
    match visit
        .app
        .runner_drain(&visit.caller, &form.name, draining)
        .await
    {
        Ok(_) => Redirect::to("/server").into_response(),
        Err(error) => visit.failed(error),
    }
}

fn jobs(words: &Words, found: &Parts) -> Markup {
    let word = |phase: &str| match phase {
        "queued" => words.get("server.queued"),
        "leased" => words.get("server.leased"),
        "succeeded" => words.get("run.succeeded"),
        "failed" => words.get("run.failed"),
        "cancelled" => words.get("run.stopped"),
        _ => words.get("server.dead"),
    };
    html! {
        h2 { (words.get("server.jobs")) }
        div.scroll { table.counts {
            caption.hidden { (words.get("server.jobs")) }
            thead { tr { @for (phase, _) in &found.jobs { th scope="col" { (word(phase)) } } } }
            tbody { tr { @for (_, count) in &found.jobs {
                td { (count) @if *count >= COUNT_TO { "+" } }
            } } }
        } }
    }
}
