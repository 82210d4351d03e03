//! The change: what was proved, the diff, and the review in which all comments are said at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::git::FilePatch;
use nightshift_app::record::Decision;
use nightshift_app::use_case::change::ChangeView;
use nightshift_domain::check::Colour;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::issue::Phase;
use nightshift_domain::suggestion::{self, Lines};

use super::parts;
use super::say;
use super::visit::url_part;
use super::{Page, Visit, markdown, picture, proposal, said};
use crate::diff::{self, Budget, Layout, Options, Seen, Time};

mod look;

use look::Asked;
pub(crate) use look::{Look, Open, commit};

/// How long a page waits for colours that are not kept yet: the first screen has some, the rest is
/// there a moment later.
const FOR_COLOURS: Duration = Duration::from_millis(5);
/// How long a page waits for colours and marks together.
const FOR_MARKS: Duration = Duration::from_millis(40);

/// What a page shows beside what is asked: a comment that is being written, and a refusal.
#[derive(Default)]
struct Beside<'a> {
    open: Option<Open>,
    refused: Option<&'a Error>,
}

/// Shows the change.
pub(crate) async fn show(
    visit: Visit,
    Path((project, number)): Path<(String, i64)>,
    Query(asked): Query<Asked>,
) -> Response {
    let beside = Beside {
        open: asked.comment.as_deref().and_then(Open::read),
        refused: None,
    };
    show_with(&visit, &project, number, &asked, &beside).await
}

/// Shows the change with a comment that is being written, its lines put in to be changed.
pub(crate) async fn show_open(
    visit: &Visit,
    project: &str,
    number: i64,
    look: &Look,
    mut open: Open,
    head: Option<&ObjectId>,
) -> Response {
    let begun = begin(visit, project, number, look, &open, head).await;
    let refused = match begun {
        Ok(block) => {
            if !open.body.is_empty() {
                open.body = format!("{}\n\n", open.body.trim_end());
            }
            open.body.push_str(&block);
            None
        }
        Err(error) => Some(error),
    };
    match refused {
        None => {
            let beside = Beside {
                open: Some(open),
                refused: None,
            };
            show_with(visit, project, number, &Asked::of(look), &beside).await
        }
        Some(error) => show_refused(visit, project, number, look, Some(open), &error).await,
    }
}

/// Shows the change with the reason why something was refused.
pub(crate) async fn show_refused(
    visit: &Visit,
    project: &str,
    number: i64,
    look: &Look,
    open: Option<Open>,
    error: &Error,
) -> Response {
    let beside = Beside {
        open,
        refused: Some(error),
    };
    let mut answer = show_with(visit, project, number, &Asked::of(look), &beside).await;
    if answer.status().is_success() {
        *answer.status_mut() = match error {
            Error::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
    }
    answer
}

/// The lines of an open comment, as a suggestion to be changed.
async fn begin(
    visit: &Visit,
    project: &str,
    number: i64,
    look: &Look,
    open: &Open,
    head: Option<&ObjectId>,
) -> Result<String, Error> {
    let lines = Lines::new(open.first, open.last).ok_or_else(|| Error::Invalid {
        detail: say::range_order().into(),
    })?;
    let query = Asked::of(look).query()?;
    let view = visit
        .app
        .change_get(&visit.caller, project, number, &query)
        .await?;
    let file = view
        .patch
        .files
        .get(open.file)
        .ok_or_else(|| Error::NotFound {
            detail: say::file_gone().into(),
        })?;
    let path = file.file.path().to_text().into_owned();
    let head = head.unwrap_or(&view.new);
    let text = visit
        .app
        .suggestion_begin(&visit.caller, project, number, head, &path, lines)
        .await?;
    Ok(suggestion::block(text.iter().map(String::as_str)))
}

async fn show_with(
    visit: &Visit,
    project: &str,
    number: i64,
    asked: &Asked,
    beside: &Beside<'_>,
) -> Response {
    let query = match asked.query() {
        Ok(query) => query,
        Err(error) => return visit.failed(error),
    };
    let found = visit
        .app
        .change_get(&visit.caller, project, number, &query)
        .await;
    match found {
        Ok(view) => {
            let page = Page {
                title: format!("#{number} {}", view.pull.line.line.issue.title),
                place: "desk",
                body: body(visit, project, &view, asked, beside),
                scripts: &["change.js"],
            };
            page.render(visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(
    visit: &Visit,
    project: &str,
    view: &ChangeView,
    asked: &Asked,
    beside: &Beside<'_>,
) -> Markup {
    let words = visit.words;
    let line = &view.pull.line;
    let issue = &line.line.issue;
    let home = format!("/p/{project}/{}/change", issue.number);
    html! {
        div.title {
            h1 { (issue.title) " " span.where { (project) " #" (issue.number) } }
            (parts::phase(words, issue.state.phase.as_str()))
            (parts::colour(words, line.colour))
        }
        p.facts {
            a href={ "/p/" (project) "/" (issue.number) } { (words.get("change.to-issue")) }
            span { (words.fill("desk.round", &[("round", &issue.state.round), ("agent", &issue.agent)])) }
            code { (line.pull.branch.branch().unwrap_or_default()) } code { (view.new.short()) }
            @if let Some(waiting) = &line.line.waiting { span.quiet { (parts::said(words, waiting)) } }
        }
        @if let Some(error) = beside.refused { p.notice.bad role="alert" { (parts::marked(&words.refusal(error))) } }
        div.columns {
            div {
                (summary(visit, view))
                (toolbar(visit, &home, view, asked))
                (files(visit, project, &home, view, asked, beside))
            }
            aside.side {
                (decide(visit, project, view))
                (proof(visit, view))
                (collisions(visit, project, view))
                (proposal::panel(visit, &format!("/p/{project}/{}", issue.number), &view.pull.proposals, view.pull.may.configure))
                (tree(visit, view))
                (history(visit, project, &home, view, asked))
            }
        }
    }
}

fn summary(visit: &Visit, view: &ChangeView) -> Markup {
    let words = visit.words;
    html! {
        @if !view.pull.line.pull.summary.trim().is_empty() {
            details.box open[view.patch.files.len() < 12] {
                summary { (words.get("change.summary")) }
                div.prose { (markdown::render(&view.pull.line.pull.summary)) }
            }
        }
    }
}

/// What is compared, and how it is shown.
fn toolbar(visit: &Visit, home: &str, view: &ChangeView, asked: &Asked) -> Markup {
    let words = visit.words;
    let split = asked.split.is_some();
    let space = asked.space.is_some();
    let heads = &view.pull.heads;
    html! {
        form.toolbar method="get" action=(home) {
            label { (words.get("change.from"))
                select name="from" {
                    option value=(view.pull.line.pull.base.as_str()) selected[asked.from.is_none()] { (words.get("change.base")) }
                    @for (at, head) in heads.iter().enumerate() {
                        option value=(head.head.as_str()) selected[asked.from.as_deref() == Some(head.head.as_str())] {
                            (words.fill("change.head", &[("at", &(at + 1)), ("round", &head.round)])) " " (head.head.short())
                        }
                    }
                }
            }
            label { (words.get("change.to"))
                select name="to" {
                    @for (at, head) in heads.iter().enumerate() {
                        option value=(head.head.as_str()) selected[view.new == head.head] {
                            (words.fill("change.head", &[("at", &(at + 1)), ("round", &head.round)])) " " (head.head.short())
                        }
                    }
                }
            }
            label { input type="checkbox" name="split" value="1" checked[split]; " " (words.get("change.split")) }
            label { input type="checkbox" name="space" value="1" checked[space]; " " (words.get("change.space")) }
            button { (words.get("change.look")) }
            @if let Some(last) = heads.len().checked_sub(2).and_then(|at| heads.get(at)) {
                @let since = asked.with(|asked| asked.from = Some(last.head.to_string()));
                a href=(since.address(home)) { (words.get("change.since-last")) }
            }
        }
    }
}

fn files(
    visit: &Visit,
    project: &str,
    home: &str,
    view: &ChangeView,
    asked: &Asked,
    beside: &Beside<'_>,
) -> Markup {
    let words = visit.words;
    let page = asked.address(home);
    let said = said::comments(visit, project, view);
    let comments = match &beside.open {
        Some(open) if view.pull.may.review => {
            said::with_form(visit, project, view, &asked.look().pairs(), open, said)
        }
        _ => said,
    };
    let place_of = |path: &str| {
        view.patch
            .files
            .iter()
            .position(|file| file.file.path().to_text() == path)
    };
    let seen = Seen {
        viewed: view
            .viewed
            .iter()
            .filter_map(|path| place_of(path))
            .collect(),
        asked: asked.open.iter().chain(&asked.file).copied().collect(),
        commented: comments
            .by_line
            .keys()
            .filter_map(|(path, _)| place_of(path))
            .collect::<BTreeSet<_>>(),
    };
    let shapes = diff::plan(&view.patch.files, &seen, Budget::default());
    let wording = said::wording(words);
    let begun = Instant::now();
    let time = Time {
        colours: &|| begun.elapsed() < FOR_COLOURS,
        marks: &|| begun.elapsed() < FOR_MARKS,
    };
    let writable = view.pull.may.review && view.pull.line.line.issue.state.phase == Phase::InReview;
    let joint = if page.contains('?') { '&' } else { '?' };
    let comment = format!("{page}{joint}comment=");
    html! {
        @if view.patch.files.is_empty() { p.empty { (words.get("change.nothing")) } }
        @for (index, (file, shape)) in view.patch.files.iter().zip(shapes).enumerate() {
            @let path = file.file.path().to_text().into_owned();
            @let raw = |id: &ObjectId| format!("{home}/file?commit={id}&path={}", url_part(&path));
            (diff::render_file(file, &Options {
                index,
                shape,
                layout: if asked.split.is_some() { Layout::Split } else { Layout::Unified },
                context: if asked.file == Some(index) { asked.context.unwrap_or(3) } else { 3 },
                page: &page,
                comment: writable.then_some(comment.as_str()),
                before: Some(&raw(&view.old)),
                after: Some(&raw(&view.new)),
                picture: view
                    .pictures
                    .iter()
                    .find(|picture| picture.file == index)
                    .map(|picture| picture::faces(words, home, view, file, picture)),
                comments: &comments,
                tools: Some(html! {
                    @if writable {
                        a.comment href={ (comment) (index) ".1#say" } { (words.get("change.comment")) } " "
                    }
                    (viewed(visit, project, view, file, &path))
                }),
                wording,
                time,
            }))
        }
        @if view.patch.truncated { p.notice.warn { (words.get("change.truncated")) } }
    }
}

/// The viewed mark of a file.
fn viewed(visit: &Visit, project: &str, view: &ChangeView, file: &FilePatch, path: &str) -> Markup {
    let words = visit.words;
    let marked = view.viewed.iter().any(|known| known == path);
    let blob = file
        .file
        .new
        .as_ref()
        .map_or_else(ObjectId::zero, |side| side.id.clone());
    html! {
        form.inline.viewed method="post" action={ "/p/" (project) "/" (view.pull.line.line.issue.number) "/change/viewed" } {
            (parts::form_token(visit))
            input type="hidden" name="path" value=(path);
            @if !marked { input type="hidden" name="blob" value=(blob.as_str()); }
            button.quiet aria-pressed=(if marked { "true" } else { "false" }) {
                @if marked { "☑ " } @else { "☐ " } (words.get("change.viewed"))
            }
        }
    }
}

/// The decision.
fn decide(visit: &Visit, project: &str, view: &ChangeView) -> Markup {
    let words = visit.words;
    let line = &view.pull.line;
    let number = line.line.issue.number;
    let action = format!("/p/{project}/{number}/change/review");
    html! {
        section.box.decide aria-labelledby="decide" {
            h2 #decide { (words.get("change.decide")) }
            (said::apply_drafts(visit, project, view))
            @match line.line.issue.state.phase {
                Phase::InReview if !view.pull.may.review => p.quiet { (words.get("desk.look-only")) },
                Phase::InReview => form.stack method="post" action=(action) {
                    (parts::form_token(visit))
                    input type="hidden" name="head" value=(line.pull.head.as_str());
                    @if !view.drafts.is_empty() {
                        p { (words.fill("change.with-drafts", &[("count", &view.drafts.len())])) }
                    }
                    label { (words.get("desk.say"))
                        textarea #review-text name="body" rows="3" {}
                    }
                    @if line.colour == Some(Colour::Unproven) {
                        label { input type="checkbox" name="unproven" value="1"; " " (words.get("change.unproven")) }
                    }
                    div.actions {
                        button.primary name="decision" value="approve"
                            disabled[!matches!(line.colour, Some(Colour::Green | Colour::Unproven))] {
                            (words.get("desk.approve")) " " kbd { "a" }
                        }
                        button name="decision" value="send-back" { (words.get("desk.send-back")) " " kbd { "s" } }
                    }
                },
                Phase::Landing => {
                    p { (words.get("change.landing")) }
                    @if view.pull.is_own_decision && view.pull.may.review {
                        form.inline method="post" action={ "/p/" (project) "/" (number) "/change/withdraw" } {
                            (parts::form_token(visit))
                            button { (words.get("desk.undo")) }
                        }
                    }
                }
                _ => p.quiet { (line.line.waiting.as_ref().map_or_else(|| html! { (words.get("change.not-now")) }, |why| parts::said(words, why))) },
            }
        }
    }
}

/// What the platform proved.
fn proof(visit: &Visit, view: &ChangeView) -> Markup {
    let words = visit.words;
    html! {
        section.box aria-labelledby="proof" {
            h2 #proof { (words.get("change.proof")) }
            @match &view.pull.verdict {
                None => p.quiet { (words.get("verdict.pending")) },
                Some(verdict) => {
                    @for reason in &verdict.reasons { p.bad { (words.kept(reason)) } }
                    @let report = &verdict.report;
                    @let results = report.setup.iter().chain(&report.acceptance_on_base)
                        .chain(&report.acceptance_on_head).chain(&report.checks);
                    @for result in results {
                        details.result {
                            summary {
                                (parts::check(words, result))
                                @if result.commit == verdict.base { " " small { (words.get("change.on-base")) } }
                            }
                            pre { (result.output_tail) }
                        }
                    }
                    @if !verdict.findings.is_empty() {
                        h3 { (words.get("change.findings")) }
                        ul.findings { @for finding in &verdict.findings { li { (parts::finding(words, finding)) } } }
                    }
                    p { a href={ "/runs/" (verdict.run) } { (words.get("change.proof-log")) } }
                }
            }
            @if let Some((run, files)) = &view.sealed {
                details {
                    summary { (words.get("change.sealed")) " " code { (run) } }
                    @for (path, text) in files { h3 { code { (path) } } pre { (text) } }
                }
            }
        }
    }
}

fn collisions(visit: &Visit, project: &str, view: &ChangeView) -> Markup {
    let words = visit.words;
    html! {
        @if view.collisions.trying || !view.collisions.found.is_empty() {
            section.box #collide aria-labelledby="collisions" data-trying[view.collisions.trying] {
                h2 #collisions { (words.get("change.collisions")) }
                @if view.collisions.trying { p.quiet { (words.get("change.colliding")) } }
                ul {
                    @for other in &view.collisions.found {
                        li {
                            a href={ "/p/" (project) "/" (other.number) "/change" } { "#" (other.number) " " (other.title) }
                            @for path in &other.paths { " " code { (path) } }
                        }
                    }
                }
            }
        }
    }
}

/// The files, with what was viewed.
fn tree(visit: &Visit, view: &ChangeView) -> Markup {
    let words = visit.words;
    html! {
        nav.box aria-labelledby="files" {
            h2 #files { (words.fill("desk.size", &[("files", &view.patch.files.len())])) }
            ul.tree {
                @for (index, file) in view.patch.files.iter().enumerate() {
                    @let path = file.file.path().to_text().into_owned();
                    li {
                        @if view.viewed.contains(&path) { span title=(words.get("change.viewed")) { "☑ " } }
                        a href={ "#f" (index) } { (path) }
                        " " span.plus { "+" (file.file.additions) } " " span.minus { "−" (file.file.deletions) }
                    }
                }
            }
        }
    }
}

/// Rounds, runs and decisions.
fn history(visit: &Visit, project: &str, home: &str, view: &ChangeView, asked: &Asked) -> Markup {
    let words = visit.words;
    html! {
        section.box aria-labelledby="history" {
            h2 #history { (words.get("change.history")) }
            ol.timeline {
                @for (at, head) in view.pull.heads.iter().enumerate() {
                    @let before = match at { 0 => view.pull.line.pull.base.to_string(), _ => view.pull.heads[at - 1].head.to_string() };
                    @let only = asked.with(|asked| { asked.from = Some(before); asked.to = Some(head.head.to_string()); });
                    li {
                        a href=(only.address(home)) { (words.fill("change.head", &[("at", &(at + 1)), ("round", &head.round)])) }
                        " " code { (head.head.short()) } " " (parts::time(head.created_at))
                        @if let Some(run) = head.run { " " a href={ "/runs/" (run) } { (words.get("change.run")) } }
                        @for review in view.pull.reviews.iter().filter(|review| review.head == head.head) {
                            div.said {
                                p { b { (review.by_name) } " "
                                    @match review.decision {
                                        Decision::Approve => (words.get("change.approved")),
                                        Decision::SendBack => (words.get("change.sent-back")),
                                    }
                                    @if review.withdrawn_at.is_some() { " " (words.get("change.withdrawn")) }
                                }
                                div.prose { (markdown::render(&review.body)) }
                                (said::apply_review(visit, project, view, review))
                            }
                        }
                    }
                }
            }
            p { a href={ "/p/" (project) "/" (view.pull.line.line.issue.number) } { (words.get("change.to-issue")) } }
        }
    }
}
