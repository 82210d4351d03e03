//! The server: whether it is well, its runners, its jobs, and the audit log.

use axum::Extension;
use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use nightshift_app::use_case::event::EventView;
use nightshift_app::use_case::watch::{COUNT_TO, Parts};
use nightshift_domain::access::Actor;
use serde::Deserialize;

use super::visit::url_part;
use super::words::Words;
use super::{Page, Visit, parts};
use crate::live::{Figures, Live};

/// Which part of the audit log.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AuditQuery {
    project: Option<String>,
    before: Option<String>,
}

/// Shows the server.
pub(crate) async fn show(
    visit: Visit,
    Extension(live): Extension<Live>,
    Query(query): Query<AuditQuery>,
) -> Response {
    let before = query.before.as_deref().and_then(|seq| seq.parse().ok());
    let project = query.project.as_deref().filter(|name| !name.is_empty());
    let looked = async {
        let parts = visit.app.server_parts(&visit.caller).await?;
        let events = if project.is_some() || visit.caller.is_admin() {
            Some(visit.app.audit_log(&visit.caller, project, before).await?)
        } else {
            None
        };
        Ok((parts, events))
    };
    match looked.await {
        Ok((parts, events)) => {
            let page = Page {
                title: visit.words.get("frame.server").to_owned(),
                place: "server",
                body: body(&visit, &parts, live.figures(), project, events.as_deref()),
                scripts: &[],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(
    visit: &Visit,
    found: &Parts,
    live: Figures,
    project: Option<&str>,
    events: Option<&[EventView]>,
) -> Markup {
    let words = visit.words;
    html! {
        h1 { (words.get("frame.server")) }
        dl.facts-list {
            dt { (words.get("server.health")) }
            dd { span.badge.green { span aria-hidden="true" { "✓ " } (words.get("server.well")) } }
            dt { (words.get("server.version")) } dd { (env!("CARGO_PKG_VERSION")) }
            dt { (words.get("server.last-event")) } dd { (found.last_event) }
            dt { (words.get("server.watching")) }
            dd { (words.fill("server.watched", &[
                ("viewers", &live.viewers), ("bursts", &live.bursts), ("sent", &live.sent),
            ])) }
        }
        (runners(words, found))
        (jobs(words, found))
        section aria-labelledby="audit-title" {
            h2 #audit-title { (words.get("server.audit")) }
            nav.choices aria-label=(words.get("runs.project")) { p {
                @if visit.caller.is_admin() {
                    a.choice href="/server#audit-title" aria-current=[project.is_none().then_some("true")] { (words.get("runs.all")) } " "
                }
                @for name in &found.projects {
                    a.choice href={ "/server?project=" (url_part(name)) "#audit-title" }
                        aria-current=[(project == Some(name.as_str())).then_some("true")] { (name) } " "
                }
            } }
            @match events {
                None => p.quiet { (words.get("server.choose-project")) },
                Some([]) => p.quiet { (words.get("server.no-events")) },
                Some(events) => (audit(words, found, project, events)),
            }
        }
    }
}

fn runners(words: &Words, found: &Parts) -> Markup {
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
                    th scope="col" { (words.get("server.version")) }
                    th scope="col" { (words.get("server.last-seen")) }
                } }
                tbody { @for (view, taken) in &found.runners {
                    tr {
                        th scope="row" { (view.runner.name) }
                        td { @if view.alive {
                                span.badge.green { span aria-hidden="true" { "✓ " } (words.get("server.alive")) }
                            } @else {
                                span.badge.red { span aria-hidden="true" { "✗ " } (words.get("server.silent")) }
                            }
                            @if view.runner.draining { " " span.badge.amber { (words.get("server.draining")) } } }
                        td { (words.fill("server.taken", &[("taken", taken), ("slots", &view.runner.slots)])) }
                        td { (view.runner.version) }
                        td { @if view.runner.last_seen_at > jiff::Timestamp::UNIX_EPOCH {
                                (parts::time(view.runner.last_seen_at))
                            } @else { (words.get("server.never")) } }
                    }
                } }
            } }
        }
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

fn audit(words: &Words, found: &Parts, project: Option<&str>, events: &[EventView]) -> Markup {
    let last = events
        .last()
        .map(|last| last.event.seq)
        .filter(|seq| *seq > 1);
    let of_project =
        project.map_or_else(String::new, |name| format!("project={}&", url_part(name)));
    html! {
        div.scroll { table.audit {
            caption.hidden { (words.get("server.audit")) }
            thead { tr {
                th scope="col" { "#" }
                th scope="col" { (words.get("server.when")) }
                th scope="col" { (words.get("server.what")) }
                th scope="col" { (words.get("server.who")) }
                th scope="col" { (words.get("run.issue")) }
                th scope="col" { (words.get("server.details")) }
            } }
            tbody { @for view in events { (event(found, view)) } }
        } }
        @if let Some(last) = last {
            p.ways { a href={ "/server?" (of_project) "before=" (last) "#audit-title" } { (words.get("runs.older")) } }
        }
    }
}

fn event(found: &Parts, view: &EventView) -> Markup {
    let event = &view.event;
    let empty = event
        .data
        .as_object()
        .is_some_and(serde_json::Map::is_empty);
    html! {
        tr #{ "e" (event.seq) } {
            th scope="row" { (event.seq) }
            td { (parts::time(event.at)) }
            td { @match event.run {
                Some(run) => a href={ "/runs/" (run) } { (event.kind) },
                None => (event.kind),
            } }
            td { (who(found, &event.actor)) }
            td { @match (&view.project, view.number) {
                (Some(project), Some(number)) => a href={ "/p/" (project) "/" (number) } { (project) " #" (number) },
                (Some(project), None) => a href={ "/p/" (project) } { (project) },
                (None, _) => "",
            } }
            td { @if !empty { code.data { (event.data) } } }
        }
    }
}

/// Who acted, by a name where there is one.
fn who(found: &Parts, actor: &Actor) -> Markup {
    let name = match actor {
        Actor::Runner { runner } => found
            .runners
            .iter()
            .find(|(view, _)| view.runner.id == *runner)
            .map(|(view, _)| view.runner.name.as_str()),
        Actor::Person { .. } | Actor::Run { .. } | Actor::System => None,
    };
    html! {
        @match (actor, name) {
            (Actor::Run { run, .. }, _) => a href={ "/runs/" (run) } { "run " (last_digits(&run.to_string())) },
            (_, Some(name)) => { "runner " (name) },
            (_, None) => (actor.label()),
        }
    }
}

/// The end of an id, which tells it from others of the same time.
fn last_digits(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}
