//! The audit log: what happened, newest first, by project, person, kind and time.

use axum::extract::Query;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::use_case::audit::{AuditFilter, AuditPage};
use nightshift_app::use_case::event::EventView;
use nightshift_app::use_case::watch::Parts;
use nightshift_domain::access::Actor;
use serde::Deserialize;

use super::say;
use super::server::ways;
use super::visit::url_part;
use super::words::Words;
use super::{Page, Visit, parts};

/// Nouns that kinds of events begin with, to choose from.
const NOUNS: &[&str] = &[
    "issue", "pull", "run", "job", "git", "project", "token", "user", "session", "runner", "access",
];

/// Which part of the audit log, as it was typed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    project: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    before: Option<String>,
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, Error> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(AuditFilter {
            project: given(&self.project),
            person: given(&self.person),
            kind: given(&self.kind),
            from: time("from", &self.from)?,
            until: time("until", &self.until)?,
        })
    }

    /// As the query of an address, without the place in the log.
    fn address(&self) -> String {
        let fields = [
            ("project", &self.project),
            ("person", &self.person),
            ("kind", &self.kind),
            ("from", &self.from),
            ("until", &self.until),
        ];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> = fields
            .map(|(name, value)| format!("{name}={}", url_part(value)))
            .collect();
        fields.join("&")
    }
}

/// A time as browsers send it, in UTC: `2026-01-31T08:00`; or an instant as the API takes it.
fn time(name: &str, text: &str) -> Result<Option<Timestamp>, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let civil = || {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text
        .parse()
        .ok()
        .or_else(civil)
        .ok_or_else(|| Error::Invalid {
            detail: say::no_time(name, format!("{text:?}")).into(),
        })?;
    Ok(Some(time))
}

/// Shows a page of the log.
pub(crate) async fn show(visit: Visit, Query(query): Query<AuditQuery>) -> Response {
    let looked = async {
        let filter = query.filter()?;
        let before = query.before.as_deref().and_then(|seq| seq.parse().ok());
        let parts = visit.app.server_parts(&visit.caller).await?;
        let page = if filter.project.is_some() || visit.caller.is_admin() {
            let page = visit.app.audit_page(&visit.caller, &filter, before);
            Some(page.await?)
        } else {
            None
        };
        Ok((parts, page))
    };
    match looked.await {
        Ok((parts, events)) => {
            let page = Page {
                title: visit.words.get("server.audit").to_owned(),
                place: "server",
                body: body(&visit, &parts, &query, events.as_ref()),
                scripts: &[],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(visit: &Visit, found: &Parts, query: &AuditQuery, events: Option<&AuditPage>) -> Markup {
    let words = visit.words;
    html! {
        h1 { (words.get("server.audit")) }
        (ways(visit, "/server/audit"))
        (filter(visit, found, query))
        @match events {
            None => p.quiet { (words.get("server.choose-project")) },
            Some(page) => (list(words, found, query, page)),
        }
    }
}

fn filter(visit: &Visit, found: &Parts, query: &AuditQuery) -> Markup {
    let words = visit.words;
    let time = |name: &str, word: &str, value: &str| {
        html! { label { (words.get(word)) " (UTC)" input type="datetime-local" name=(name) value=(value); } }
    };
    html! {
        form.board-filter method="get" action="/server/audit" {
            label { (words.get("board.project"))
                select name="project" {
                    option value="" { @if visit.caller.is_admin() { (words.get("runs.all")) } @else { "–" } }
                    @for name in &found.projects { option value=(name) selected[*name == query.project] { (name) } }
                }
            }
            label { (words.get("server.who"))
                input name="person" value=(query.person) autocapitalize="none" autocomplete="off"; }
            label { (words.get("server.what"))
                input name="kind" value=(query.kind) list="kinds" autocapitalize="none" autocomplete="off"; }
            datalist #kinds { @for noun in NOUNS { option value=(noun) {} } }
            (time("from", "audit.from", &query.from))
            (time("until", "audit.until", &query.until))
            button { (words.get("desk.filter")) }
        }
    }
}

fn list(words: &Words, found: &Parts, query: &AuditQuery, page: &AuditPage) -> Markup {
    let filter = query.address();
    html! {
        @if page.events.is_empty() {
            p.quiet { @if page.next.is_some() { (words.get("audit.not-here")) } @else { (words.get("server.no-events")) } }
        } @else {
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
                tbody { @for view in &page.events { (event(found, view)) } }
            } }
        }
        p.ways {
            @if let Some(next) = page.next {
                a href={ "/server/audit?" (filter) "&before=" (next) } { (words.get("runs.older")) } " "
            }
            @if query.before.is_some() { a href={ "/server/audit?" (filter) } { (words.get("audit.newest")) } }
        }
        p.quiet { (words.get("audit.export")) " " code { "nightshift events --export" } }
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
            .find(|work| work.view.runner.id == *runner)
            .map(|work| work.view.runner.name.as_str()),
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
