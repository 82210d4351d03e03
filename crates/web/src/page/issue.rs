//! An issue: the order, where it stands and why, what can be done now, and everything that happened.
//!
//! The part below the title is one template for the page and its live fragment. What was typed into
//! a form that was refused is shown again beside the reason.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::use_case::issue::IssueView;
use nightshift_app::use_case::story::{Story, Tied};
use nightshift_app::{App, Caller, Error};
use nightshift_domain::budget::dollars;
use nightshift_domain::check::SealedFile;
use nightshift_domain::grant::Decision;
use nightshift_domain::id::Number;
use nightshift_domain::issue::Phase;
use nightshift_domain::trust::Trust;
use serde::Deserialize;

use super::issue_form::text_of;
use super::parts::{self, Ink};
use super::say;
use super::words::Words;
use super::{
    Page, Posted, Visit, board, host, live, markdown, preflight, secret, timeline, tryout,
};

/// What was sent and refused.
struct Kept<'a> {
    what: &'a str,
    text: &'a str,
    error: &'a Error,
}

/// Shows an issue.
pub(crate) async fn show(
    visit: Visit,
    Path((project, number)): Path<(String, String)>,
) -> Response {
    show_with(&visit, &project, &number, None).await
}

async fn show_with(visit: &Visit, project: &str, number: &str, kept: Option<Kept<'_>>) -> Response {
    let story = match story(&visit.app, &visit.caller, project, number).await {
        Ok(story) => story,
        Err(error) => return visit.failed(error),
    };
    let row = &story.view.line.issue;
    let words = visit.words;
    let home = format!("/p/{project}/{}", row.number);
    let page = Page {
        title: format!("#{} {}", row.number, row.title),
        place: "",
        body: html! {
            p.quiet { a href={ "/p/" (project) } { (project) } " #" (row.number) }
            div.title {
                h1 { (row.title) }
                @if story.view.may.write && !row.state.phase.is_final() {
                    a.button href={ (home) "/edit" } { (words.get("issue.edit")) }
                }
            }
            @let now = fragment(Ink::without_token(words), &story);
            div #issue data-live=(live::address(&format!("/live{home}"), &now)) {
                (content(Ink::of(visit), &story, kept.as_ref()))
            }
        },
        scripts: &[],
    };
    let mut answer = page.render(visit);
    if kept.is_some() {
        *answer.status_mut() = axum::http::StatusCode::CONFLICT;
    }
    answer
}

/// Finds the issue that an address names.
pub(crate) async fn story(
    app: &App,
    caller: &Caller,
    project: &str,
    number: &str,
) -> Result<Story, Error> {
    let number = number_of(number)?;
    app.issue_story(caller, project, number).await
}

/// Reads the number of an address.
pub(crate) fn number_of(text: &str) -> Result<Number, Error> {
    text.parse().map_err(|_| Error::NotFound {
        detail: say::no_number(format!("{text:?}")).into(),
    })
}

/// Everything below the title; the live stream sends it anew when something changed.
pub(crate) fn fragment(ink: Ink<'_>, story: &Story) -> Markup {
    content(ink, story, None)
}

fn content(ink: Ink<'_>, story: &Story, kept: Option<&Kept<'_>>) -> Markup {
    let words = ink.words;
    let row = &story.view.line.issue;
    let home = format!("/p/{}/{}", story.view.line.project, row.number);
    html! {
        (stand(words, story, &home))
        @if let Some(kept) = kept { p.notice.bad role="alert" { (parts::marked(&words.refusal(kept.error))) } }
        @if row.trust == Trust::Tool { p.notice.warn { (words.get("issue.by-agent")) } }
        (preflight::list(words, &story.view.preflight))
        div.columns {
            div {
                (question(ink, story, &home, kept))
                (secret::wanted(ink, story))
                (host::panel(ink, story, &home))
                section aria-labelledby="order" {
                    h2 #order { (words.get("issue.order")) }
                    @if row.body.trim().is_empty() { p.quiet { (words.get("issue.no-text")) } }
                    div.prose { (markdown::render(&row.body)) }
                }
                (sealed(ink, story, &home))
                section aria-labelledby="timeline" {
                    h2 #timeline { (words.get("issue.timeline")) }
                    (timeline::list(words, story))
                }
                @if story.view.may.write { (note(ink, &home, kept)) }
            }
            div.side {
                (actions(ink, story, &home, kept))
                (facts(words, story))
            }
        }
    }
}

fn stand(words: &Words, story: &Story, home: &str) -> Markup {
    let line = &story.view.line;
    html! {
        p.stand {
            (parts::phase(words, line.issue.state.phase.as_str()))
            @if let Some(waiting) = &line.waiting { span.reason { (parts::said(words, waiting)) } }
            @if story.pull.is_some() {
                a.button href={ (home) "/change" } { (words.get("issue.change")) }
            }
        }
        @match &line.issue.state.phase {
            Phase::Closed { reason } if !reason.is_empty() => p { (words.get("issue.closed-because")) " " (reason) },
            Phase::Done { commit } => p { (words.get("issue.landed-as")) " " code { (commit.short()) } },
            _ => {}
        }
    }
}

fn question(ink: Ink<'_>, story: &Story, home: &str, kept: Option<&Kept<'_>>) -> Markup {
    let words = ink.words;
    let Phase::NeedsInput { question, run } = &story.view.line.issue.state.phase else {
        return html! {};
    };
    html! {
        section.box.ask aria-labelledby="question" {
            h2 #question { (words.get("issue.question")) }
            div.prose { (markdown::render(&words.kept(question))) }
            p { a href={ "/runs/" (run) } { (words.get("issue.run-that-asked")) } }
            @if !story.view.may.answer { p.quiet { (words.get("desk.look-only")) } }
            @if story.view.may.answer {
                form.stack method="post" action={ (home) "/act" } {
                    (ink.token())
                    input type="hidden" name="what" value="answer";
                    @if story.view.hosts.iter().any(|asked| asked.decided.is_none() && asked.run == Some(*run)) {
                        p.notice { (words.get("host.in-words")) }
                    }
                    label { (words.get("desk.answer-hint"))
                        textarea.short name="text" required { "\n" (typed(kept, "answer")) }
                    }
                    button.primary { (words.get("desk.answer")) }
                }
            }
        }
    }
}

fn typed<'a>(kept: Option<&Kept<'a>>, what: &str) -> &'a str {
    kept.filter(|kept| kept.what == what)
        .map_or("", |kept| kept.text)
}

fn note(ink: Ink<'_>, home: &str, kept: Option<&Kept<'_>>) -> Markup {
    let words = ink.words;
    html! {
        form.stack.note method="post" action={ (home) "/act" } {
            (ink.token())
            input type="hidden" name="what" value="note";
            label { (words.get("issue.note")) " " span.quiet { (words.get("issue.note-hint")) }
                textarea.short name="text" required { "\n" (typed(kept, "note")) }
            }
            button { (words.get("issue.add-note")) }
        }
    }
}

/// The buttons that the phase allows, and no others.
fn actions(ink: Ink<'_>, story: &Story, home: &str, kept: Option<&Kept<'_>>) -> Markup {
    let words = ink.words;
    let state = &story.view.line.issue.state;
    let waits = matches!(state.phase, Phase::Ready | Phase::InReview | Phase::Landing);
    let failed = state.failed.is_some() && waits;
    let button = |what: &str, word: &str, class: &str| {
        html! { form.inline method="post" action={ (home) "/act" } {
            (ink.token())
            button class=(class) name="what" value=(what) { (words.get(word)) }
        } }
    };
    let may = story.view.may;
    let is_done = matches!(state.phase, Phase::Done { .. });
    let shown = (may.write || may.control) && !is_done;
    html! {
        @if !shown && !is_done { p.quiet { (words.get("issue.look-only")) } }
        @if shown {
            section.box aria-labelledby="actions" {
                h2 #actions { (words.get("issue.actions")) }
                div.acts {
                    @if may.write && state.phase == Phase::Draft { (button("ready", "issue.ready", "primary")) }
                    @if may.control && failed { (button("retry", "desk.retry", "primary")) }
                    @if may.write && state.phase == Phase::Ready { (button("draft", "issue.draft", "")) }
                    @if may.write && matches!(state.phase, Phase::Closed { .. }) {
                        (button("reopen", "issue.reopen", "primary"))
                    }
                    @if may.write && !state.phase.is_final() {
                        form.stack method="post" action={ (home) "/act" } {
                            (ink.token())
                            input type="hidden" name="what" value="close";
                            label { (words.get("issue.close-reason"))
                                input name="text" required maxlength="1000" value=(typed(kept, "close"));
                            }
                            button.danger { (words.get("issue.close")) }
                        }
                    }
                }
            }
        }
    }
}

fn facts(words: &Words, story: &Story) -> Markup {
    let view = &story.view;
    let row = &view.line.issue;
    let project = &view.line.project;
    html! {
        section.box aria-labelledby="facts" {
            h2 #facts { (words.get("issue.facts")) }
            dl.facts-list {
                dt { (words.get("board.agent")) } dd { (row.agent) }
                dt { (words.get("issue.priority")) } dd { (words.get(board::priority(row.priority))) }
                dt { (words.get("issue.round")) } dd { (row.state.round) }
                @if !row.labels.is_empty() {
                    dt { (words.get("issue.labels")) }
                    dd { @for label in &row.labels {
                        a.label href={ "/p/" (project) "?label=" (super::visit::url_part(label)) } { (label) } " "
                    } }
                }
                dt { (words.get("issue.assignee")) }
                dd { (row.assignee.as_deref().unwrap_or("–")) }
                dt { (words.get("issue.requester")) } dd { (view.requester) }
                dt { (words.get("issue.filed")) } dd { (parts::time(row.created_at)) }
                dt { (words.get("issue.cost")) }
                dd {
                    @if story.spent.0 == 0 { "–" } @else {
                        (words.fill("issue.spent", &[
                            ("runs", &story.spent.0),
                            ("time", &parts::seconds(u64::try_from(story.spent.2).unwrap_or_default())),
                        ]))
                        @if story.spent.1 > 0 { " · " (parts::money(story.spent.1)) }
                    }
                }
                @if let Some(budget) = budget(words, view) {
                    dt { (words.get("issue.budget")) } dd { (budget) }
                }
                (numbers(words, project, "issue.split-from", view.split_from.as_slice()))
                (numbers(words, project, "issue.split-into", &view.split_into))
                (ties(words, project, "issue.blocked-by", &story.blockers))
                (ties(words, project, "issue.blocks", &story.blocks))
            }
        }
    }
}

/// What may be used, and whose word that is.
fn budget(words: &Words, view: &IssueView) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(cost) = view.budget.cost_micro_usd {
        parts.push(dollars(cost));
    }
    if let Some(minutes) = view.budget.minutes {
        parts.push(words.fill("issue.minutes", &[("count", &minutes)]));
    }
    if parts.is_empty() {
        return None;
    }
    let text = parts.join(" · ");
    let own = view.line.issue.budget;
    Some(if own.cost_micro_usd.is_none() && own.minutes.is_none() {
        words.fill("issue.budget-of-project", &[("budget", &text)])
    } else {
        text
    })
}

fn numbers(words: &Words, project: &str, word: &str, numbers: &[Number]) -> Markup {
    html! {
        @if !numbers.is_empty() {
            dt { (words.get(word)) }
            dd { @for number in numbers { a href={ "/p/" (project) "/" (number) } { "#" (number) } " " } }
        }
    }
}

fn ties(words: &Words, project: &str, word: &str, ties: &[Tied]) -> Markup {
    html! {
        @if !ties.is_empty() {
            dt { (words.get(word)) }
            dd { ul.ties { @for tie in ties { li {
                a href={ "/p/" (project) "/" (tie.number) } { "#" (tie.number) " " (tie.title) }
                " " (parts::phase(words, tie.phase))
            } } } }
        }
    }
}

/// The sealed tests, to be read.
fn sealed(ink: Ink<'_>, story: &Story, home: &str) -> Markup {
    let words = ink.words;
    let Some(acceptance) = &story.view.acceptance else {
        return html! { p.notice.warn { (words.get("issue.no-acceptance")) } };
    };
    html! {
        section aria-labelledby="acceptance" {
            h2 #acceptance { (words.get("issue.acceptance")) }
            pre { code { (acceptance.run) } }
            p.quiet {
                (words.fill("issue.acceptance-limit", &[("time", &parts::seconds(acceptance.timeout_s.saturating_mul(1_000)))]))
                @if acceptance.already_green { " · " (words.get("issue.already-green")) }
            }
            @for file in &acceptance.files { (sealed_file(words, file)) }
            (tryout::panel(words, &story.view))
            @if story.view.may.write && tryout::is_worth_it(&story.view) {
                form.inline method="post" action={ (home) "/act" } {
                    (ink.token())
                    button name="what" value="try" { (words.get("tryout.try")) }
                }
            }
        }
    }
}

fn sealed_file(words: &Words, file: &SealedFile) -> Markup {
    html! {
        details data-key=(file.path) {
            summary { code { (file.path) } @if file.executable { " " span.quiet { (words.get("issue.executable")) } } }
            @match text_of(file) {
                Some(text) => pre { code { (text) } },
                None => p.quiet { (words.get("issue.binary")) },
            }
        }
    }
}

/// What a person does to an issue.
#[derive(Deserialize)]
pub(crate) struct Act {
    what: String,
    #[serde(default)]
    text: String,
}

/// Does it, and shows the issue again.
pub(crate) async fn act(
    Path((project, number)): Path<(String, String)>,
    posted: Posted<Act>,
) -> Response {
    let visit = &posted.visit;
    match carry_out(visit, &project, &number, &posted.form).await {
        Ok(()) => Redirect::to(&format!("/p/{project}/{number}")).into_response(),
        Err(error @ (Error::Refused { .. } | Error::Invalid { .. } | Error::Conflict { .. })) => {
            let kept = Kept {
                what: &posted.form.what,
                text: &posted.form.text,
                error: &error,
            };
            show_with(visit, &project, &number, Some(kept)).await
        }
        Err(error) => visit.failed(error),
    }
}

async fn carry_out(visit: &Visit, project: &str, number: &str, form: &Act) -> Result<(), Error> {
    let number = number_of(number)?;
    let (app, caller) = (&visit.app, &visit.caller);
    // A browser sends line ends as carriage return and line feed.
    let text = form.text.replace("\r\n", "\n");
    let done = match form.what.as_str() {
        "ready" => app.issue_ready(caller, project, number).await,
        "draft" => app.issue_draft(caller, project, number).await,
        "try" => return app.issue_try(caller, project, number).await.map(drop),
        "retry" => app.issue_retry(caller, project, number).await,
        "reopen" => app.issue_reopen(caller, project, number).await,
        "close" => app.issue_close(caller, project, number, &text).await,
        "answer" => app.issue_answer(caller, project, number, &text).await,
        "host-issue" => {
            app.host_decide(caller, project, number, &text, Decision::Issue)
                .await
        }
        "host-project" => {
            app.host_decide(caller, project, number, &text, Decision::Project)
                .await
        }
        "host-denied" => {
            app.host_decide(caller, project, number, &text, Decision::Denied)
                .await
        }
        "note" => app.issue_note(caller, project, number, &text).await,
        other => Err(Error::Invalid {
            detail: say::no_act_on_issue(format!("{other:?}")).into(),
        }),
    };
    done.map(drop)
}
