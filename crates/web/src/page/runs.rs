//! All runs: those under way first, then the newest; filtered by links.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use nightshift_app::record::RunState;
use nightshift_app::use_case::run::RunView;
use nightshift_app::use_case::watch::{RunFilter, RunList};
use nightshift_domain::id::RunId;
use nightshift_domain::job::Kind;
use serde::Deserialize;

use super::run::{kind, millis, state};
use super::visit::url_part;
use super::words::Words;
use super::{Page, Visit, parts};

/// The states, as words of the address.
const STATES: &[(&str, &str)] = &[
    ("running", "run.running"),
    ("succeeded", "run.succeeded"),
    ("failed", "run.failed"),
    ("stopped", "run.stopped"),
    ("asked", "run.asked"),
];

/// Which runs.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RunsQuery {
    project: Option<String>,
    kind: Option<String>,
    state: Option<String>,
    after: Option<String>,
}

impl RunsQuery {
    /// The address of the list with one thing changed; without a place, from the top.
    fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut query = self.clone();
        query.after = None;
        change(&mut query);
        let fields = [
            ("project", query.project),
            ("kind", query.kind),
            ("state", query.state),
            ("after", query.after),
        ];
        let said: Vec<String> = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", url_part(&value?))))
            .collect();
        format!("/runs?{}", said.join("&"))
    }
}

/// Shows the list.
pub(crate) async fn show(visit: Visit, Query(query): Query<RunsQuery>) -> Response {
    let filter = RunFilter {
        project: query.project.clone(),
        kind: query.kind.as_deref().and_then(Kind::parse),
        state: query.state.clone(),
    };
    let after = query
        .after
        .as_deref()
        .and_then(|id| id.parse::<RunId>().ok());
    match visit.app.run_watch(&visit.caller, &filter, after).await {
        Ok(list) => {
            let page = Page {
                title: visit.words.get("frame.runs").to_owned(),
                place: "runs",
                body: body(&visit, &query, &list),
                scripts: &[],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(visit: &Visit, query: &RunsQuery, list: &RunList) -> Markup {
    let words = visit.words;
    let nothing = list.running.is_empty() && list.ended.is_empty();
    html! {
        h1 { (words.get("frame.runs")) }
        nav.choices aria-label=(words.get("runs.filter")) { (choices(words, query, list)) }
        @if !list.running.is_empty() {
            (table(visit, list, words.get("runs.under-way"), &list.running))
        }
        @if !list.ended.is_empty() {
            (table(visit, list, words.get("runs.ended"), &list.ended))
        }
        @if nothing {
            div.empty {
                h2 { (words.get("runs.none")) }
                p { (words.get(if list.next.is_some() { "runs.none-here" } else { "runs.none-hint" })) }
            }
        }
        @if let Some(next) = list.next {
            p.ways { a href=(query.address(|q| q.after = Some(next.to_string()))) { (words.get("runs.older")) } }
        }
    }
}

fn choices(words: &Words, query: &RunsQuery, list: &RunList) -> Markup {
    let all = words.get("runs.all");
    html! {
        @if list.projects.len() > 1 {
            p { span.quiet { (words.get("runs.project")) " " }
                (choice(all, query.project.is_none(), &query.address(|q| q.project = None)))
                @for name in &list.projects {
                    (choice(name, query.project.as_ref() == Some(name), &query.address(|q| q.project = Some(name.clone()))))
                }
            }
        }
        p { span.quiet { (words.get("runs.kind")) " " }
            (choice(all, query.kind.is_none(), &query.address(|q| q.kind = None)))
            @for one in Kind::ALL {
                (choice(kind(words, one.as_str()), query.kind.as_deref() == Some(one.as_str()),
                    &query.address(|q| q.kind = Some(one.as_str().to_owned()))))
            }
        }
        p { span.quiet { (words.get("run.state")) " " }
            (choice(all, query.state.is_none(), &query.address(|q| q.state = None)))
            @for (one, word) in STATES {
                (choice(words.get(word), query.state.as_deref() == Some(*one),
                    &query.address(|q| q.state = Some((*one).to_owned()))))
            }
        }
    }
}

fn choice(word: &str, chosen: bool, address: &str) -> Markup {
    html! { a.choice href=(address) aria-current=[chosen.then_some("true")] { (word) } " " }
}

fn table(visit: &Visit, list: &RunList, caption: &str, runs: &[RunView]) -> Markup {
    let words = visit.words;
    html! {
        div.scroll {
            table.runs {
                caption { (caption) }
                thead { tr {
                    th scope="col" { (words.get("run.issue")) }
                    th scope="col" { (words.get("runs.kind")) }
                    th scope="col" { (words.get("run.state")) }
                    th scope="col" { (words.get("run.agent")) }
                    th scope="col" { (words.get("run.runner")) }
                    th scope="col" { (words.get("run.began")) }
                    th scope="col" { (words.get("run.took")) }
                    th scope="col" { span.hidden { (words.get("runs.acts")) } }
                } }
                tbody { @for view in runs { (row(visit, list, view)) } }
            }
        }
    }
}

fn row(visit: &Visit, list: &RunList, view: &RunView) -> Markup {
    let words = visit.words;
    let run = &view.run;
    let stops = run.ended_at.is_none() && list.stoppable.contains(&view.project);
    html! {
        tr {
            th scope="row" { a href={ "/runs/" (run.id) } { (view.project) " #" (run.number) }
                " " span.quiet { (words.fill("run.round", &[("round", &run.round)])) } }
            td { (kind(words, run.kind.as_str())) }
            td { (state(words, &run.state))
                @if let RunState::Failed { failure } = &run.state { " " small { (words.say(&failure.reason.name())) } }
                @if run.ended_at.is_none() && let Some(said) = &run.progress { " " small { (said) } }
            }
            td { (run.agent) }
            td { (view.runner) }
            td { (parts::time(run.started_at)) }
            td.number { @if let Some(ended) = run.ended_at { (parts::seconds(millis(run.started_at, ended))) } }
            td { @if stops {
                form.inline method="post" action={ "/runs/" (run.id) "/cancel" } {
                    (parts::form_token(visit))
                    input type="hidden" name="back" value="runs";
                    button.danger aria-label=(words.fill("runs.cancel-one", &[("project", &view.project), ("number", &run.number)])) {
                        (words.get("run.cancel")) }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_changes_one_thing_and_begins_at_the_top() {
        let query = RunsQuery {
            project: Some("a&b".to_owned()),
            kind: Some("author".to_owned()),
            state: None,
            after: Some("x".to_owned()),
        };
        let address = query.address(|q| q.state = Some("failed".to_owned()));
        assert_eq!(address, "/runs?project=a%26b&kind=author&state=failed");
    }
}
