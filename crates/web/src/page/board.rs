//! The board: what is queued, working, in review, landing and done, each with the reason it waits.
//!
//! A filter is a query, so that it can be sent to others; under a name it is a saved view, and a tab.
//! Lists are bounded; the use case says how.

use axum::extract::Query;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::use_case::board::{Board, BoardColumn, BoardQueue, COUNT_TO, Stand};
use nightshift_app::use_case::issue::IssueLine;
use nightshift_domain::view::Filter;
use serde::Deserialize;

use super::visit::url_part;
use super::words::Words;
use super::{Page, Visit, parts, saved_view};

/// The query of a board.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BoardQuery {
    #[serde(default)]
    project: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    text: String,
}

impl BoardQuery {
    /// The filter; `home` is the project whose own board this is.
    pub(crate) fn filter(&self, home: Option<&str>) -> Filter {
        Filter {
            project: Some(home.map_or_else(|| self.project.clone(), str::to_owned)),
            agent: Some(self.agent.clone()),
            label: Some(self.label.clone()),
            text: Some(self.text.clone()),
        }
        .tidy()
    }
}

/// Shows the board of all projects; without a query it opens with the default view.
pub(crate) async fn show(visit: Visit, uri: Uri, Query(query): Query<BoardQuery>) -> Response {
    let views = match visit.app.view_list(&visit.caller).await {
        Ok(views) => views,
        Err(error) => return visit.failed(error),
    };
    if uri.query().is_none()
        && let Some(default) = views.iter().find(|view| view.is_default)
    {
        return Redirect::to(&address(&default.filter, None)).into_response();
    }
    let filter = query.filter(None);
    let board = match visit.app.board(&visit.caller, &filter).await {
        Ok(board) => board,
        Err(error) => return visit.failed(error),
    };
    let words = visit.words;
    let page = Page {
        title: words.get("board.title").to_owned(),
        place: "board",
        body: html! {
            div.title { h1 { (words.get("board.title")) } }
            (saved_view::tabs(words, &views, &filter))
            (whole(words, &board, &filter, None))
            (saved_view::forms(&visit, &views, &filter))
        },
        scripts: &[],
    };
    page.render(&visit)
}

/// Filter, columns and queues; `home` is the project whose own board this is.
pub(crate) fn whole(words: &Words, board: &Board, filter: &Filter, home: Option<&str>) -> Markup {
    html! {
        (form(words, board, filter, home))
        div.board role="group" aria-label=(words.get("board.title")) {
            @for column in board.columns.iter().filter(|c| c.stand != Stand::Draft) {
                (self::column(words, column, filter, home))
            }
        }
        @for drafts in board.columns.iter().filter(|c| c.stand == Stand::Draft && !c.cards.is_empty()) {
            details.drafts {
                summary { (words.get(title(drafts.stand))) " " (count(drafts)) }
                (cards(words, drafts, filter, home))
            }
        }
        @for queue in &board.queues { (self::queue(words, queue)) }
    }
}

fn form(words: &Words, board: &Board, filter: &Filter, home: Option<&str>) -> Markup {
    let address = match home {
        Some(home) => format!("/p/{home}"),
        None => "/board".to_owned(),
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    html! {
        form.board-filter method="get" action=(address) role="search" aria-label=(words.get("board.filter")) {
            @if home.is_none() {
                label { (words.get("board.project"))
                    select name="project" {
                        option value="" { (words.get("board.any")) }
                        @for name in &board.projects {
                            option selected[filter.project.as_ref() == Some(name)] { (name) }
                        }
                    }
                }
            }
            label { (words.get("board.agent"))
                select name="agent" {
                    option value="" { (words.get("board.any")) }
                    @for name in &board.agents {
                        option selected[filter.agent.as_ref() == Some(name)] { (name) }
                    }
                }
            }
            label { (words.get("board.label")) input name="label" value=(text(&filter.label)); }
            label { (words.get("board.text")) input type="search" name="text" value=(text(&filter.text)); }
            button { (words.get("board.filter")) }
            @if filter.narrows() || (home.is_none() && filter.project.is_some()) {
                span.saved { a href=(everything(home)) { (words.get("board.all")) } }
            }
        }
    }
}

/// The address that shows a filtered board again.
pub(crate) fn address(filter: &Filter, home: Option<&str>) -> String {
    let own = filter
        .parts()
        .filter(|(name, _)| home.is_none() || *name != "project");
    let fields: Vec<String> = own
        .map(|(name, value)| format!("{name}={}", url_part(value)))
        .collect();
    if fields.is_empty() {
        return everything(home);
    }
    let path = home.map_or_else(|| "/board".to_owned(), |home| format!("/p/{home}"));
    format!("{path}?{}", fields.join("&"))
}

/// The address of a board that leaves nothing out, whatever view is the default.
pub(crate) fn everything(home: Option<&str>) -> String {
    home.map_or_else(|| "/board?all".to_owned(), |home| format!("/p/{home}"))
}

fn title(stand: Stand) -> &'static str {
    match stand {
        Stand::Draft => "board.draft",
        Stand::Queued => "board.queued",
        Stand::Working => "board.working",
        Stand::NeedsYou => "board.needs-you",
        Stand::InReview => "board.in-review",
        Stand::Landing => "board.landing",
        Stand::Done => "board.done",
    }
}

fn count(column: &BoardColumn) -> String {
    match column.count {
        Some(COUNT_TO) => format!("{COUNT_TO}+"),
        Some(count) => count.to_string(),
        None if column.more => format!("{}+", column.cards.len()),
        None => column.cards.len().to_string(),
    }
}

fn column(words: &Words, column: &BoardColumn, filter: &Filter, home: Option<&str>) -> Markup {
    let heading = title(column.stand);
    let id = heading.replace('.', "-");
    html! {
        section.column aria-labelledby=(id) {
            h2 #(id) { (words.get(heading)) " " span.quiet { (count(column)) } }
            @if column.cards.is_empty() { p.quiet { (words.get("board.nothing")) } }
            (cards(words, column, filter, home))
        }
    }
}

fn cards(words: &Words, column: &BoardColumn, filter: &Filter, home: Option<&str>) -> Markup {
    html! {
        ul.tickets { @for card in &column.cards { (ticket(words, card, filter, home)) } }
        @if column.more { p.quiet { (words.fill("board.more", &[("count", &column.cards.len())])) } }
    }
}

fn ticket(words: &Words, card: &IssueLine, filter: &Filter, home: Option<&str>) -> Markup {
    let row = &card.issue;
    let link = format!("/p/{}/{}", card.project, row.number);
    html! {
        li.ticket {
            a.name href=(link) { (row.title) }
            p.quiet {
                @if home.is_none() { (card.project) " " }
                "#" (row.number) " · " (row.agent)
                @if row.state.round > 1 { " · " (words.fill("board.round", &[("round", &row.state.round)])) }
                @if row.priority < 2 { " · " b { (words.get(priority(row.priority))) } }
            }
            @if !row.labels.is_empty() {
                p.labels { @for label in &row.labels {
                    a.label href=(address(&with_label(filter, label), home)) { (label) }
                } }
            }
            @if let Some(waiting) = &card.waiting { p.reason { (parts::said(words, waiting)) } }
            @if row.state.phase.as_str() == "done" { p.quiet { (parts::time(row.updated_at)) } }
        }
    }
}

fn with_label(filter: &Filter, label: &str) -> Filter {
    Filter {
        label: Some(label.to_owned()),
        ..filter.clone()
    }
}

/// The word for a priority.
pub(crate) fn priority(priority: i64) -> &'static str {
    match priority {
        0 => "priority.urgent",
        1 => "priority.high",
        2 => "priority.normal",
        _ => "priority.low",
    }
}

/// Entries of a queue that are shown.
const QUEUE_SHOWN: usize = 25;

fn queue(words: &Words, queue: &BoardQueue) -> Markup {
    html! {
        section {
            h2 { (words.fill("board.queue", &[("project", &queue.project)])) " "
                span.quiet { (queue.lines.len()) } }
            div.scroll { table {
                caption { (words.get("board.queue-hint")) }
                thead { tr {
                    th scope="col" { (words.get("board.issue")) }
                    th scope="col" { (words.get("board.commit")) }
                    th scope="col" { (words.get("board.since")) }
                    th scope="col" { (words.get("board.why")) }
                } }
                tbody { @for line in queue.lines.iter().take(QUEUE_SHOWN) { tr {
                    th scope="row" { a href={ "/p/" (queue.project) "/" (line.entry.number) } {
                        "#" (line.entry.number) " " (line.title) } }
                    td { code { (line.entry.approved.short()) } }
                    td { (parts::time(line.entry.entered_at)) }
                    td { (line.waiting.as_ref().map_or_else(|| html! { (words.get("board.moves")) }, |why| parts::said(words, why))) }
                } } }
            } }
            @if queue.lines.len() > QUEUE_SHOWN {
                p.quiet { (words.fill("board.more", &[("count", &QUEUE_SHOWN)])) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_view_is_its_address() {
        let query = BoardQuery {
            project: "shop".to_owned(),
            agent: String::new(),
            label: "a&b".to_owned(),
            text: " über ".to_owned(),
        };
        let filter = query.filter(None);
        let link = address(&filter, None);
        assert_eq!(link, "/board?project=shop&label=a%26b&text=%C3%BCber");
        let again: BoardQuery =
            serde_html_form::from_str(link.split_once('?').expect("a query").1).expect("a query");
        assert_eq!(again.filter(None), filter);
        assert_eq!(
            address(&query.filter(Some("shop")), Some("shop")),
            "/p/shop?label=a%26b&text=%C3%BCber"
        );
        assert_eq!(address(&Filter::default(), None), "/board?all");
        assert_eq!(address(&Filter::default(), Some("shop")), "/p/shop");
    }
}
