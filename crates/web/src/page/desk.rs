//! The desk: everything that waits for a person, in one ranked list, with what is needed to decide.

use std::time::Duration;

use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::record::Decision;
use nightshift_app::use_case::desk::{COUNT_TO, Desk, DeskCard};
use nightshift_app::use_case::pull::NewReview;
use nightshift_domain::check::Colour;
use nightshift_domain::desk::{Reason, Wanted};
use nightshift_domain::git_name::BadName;
use nightshift_domain::grant::Need;
use nightshift_domain::issue::Phase;
use serde::Deserialize;

use super::parts::{self, Ink};
use super::say;
use super::words::Words;
use super::{Page, Posted, Visit, host, live, markdown};

/// How long a decision made here can be taken back.
pub(crate) const UNDO: Duration = Duration::from_secs(10);

/// Shows the desk.
pub(crate) async fn show(visit: Visit) -> Response {
    match visit.app.desk(&visit.caller).await {
        Ok(desk) => {
            let page = Page {
                title: visit.words.get("desk.title").to_owned(),
                place: "desk",
                body: body(&visit, &desk),
                scripts: &["desk.js"],
            };
            page.render(&visit)
        }
        Err(error) => visit.failed(error),
    }
}

fn body(visit: &Visit, desk: &Desk) -> Markup {
    let words = visit.words;
    html! {
        div.title {
            h1 { (words.get("desk.title")) }
            label.filter { span.quiet { (words.get("desk.filter")) " " kbd { "/" } }
                input #filter type="search" autocomplete="off";
            }
            button #help-button type="button" hidden { (words.get("desk.keys")) " " kbd { "?" } }
        }
        div #undo role="status" aria-live="polite" data-seconds=(UNDO.as_secs())
            data-word=(words.get("desk.undo")) data-done=(words.get("desk.decided"))
            data-unreachable=(words.get("desk.unreachable")) {}
        (keys(words))
        @let ink = Ink::of(visit);
        @let now = list(Ink::without_token(words), desk);
        div #desk data-live=(live::address("/live/desk", &now)) { (list(ink, desk)) }
    }
}

/// The list alone; the live stream sends it anew when something changed.
pub(crate) fn list(ink: Ink<'_>, desk: &Desk) -> Markup {
    let words = ink.words;
    html! {
        @for broken in &desk.broken {
            p.notice.bad { b { (broken.name) } " " (words.get("desk.broken")) " " (parts::said(words, &broken.error.said())) " "
                a href={ "/p/" (broken.name) "/settings" } { (words.get("settings.repair")) } }
        }
        @if desk.cards.is_empty() {
            div.empty {
                h2 { (words.get("desk.empty")) }
                p { (words.get("desk.empty-hint")) }
                pre { code { "nightshift issue new --ready" } }
                p { a href="/board" { (words.get("frame.board")) } }
            }
        } @else {
            p.quiet { (count(words, desk)) }
            ol.cards {
                @for card in &desk.cards { (self::card(ink, card)) }
            }
        }
        @if desk.parked > 0 {
            form.inline method="post" action="/desk/unpark" {
                (ink.token())
                button.quiet { (words.fill("desk.parked", &[("count", &desk.parked)])) }
            }
        }
    }
}

/// How many wait, and that these are the first of them if there are more.
fn count(words: &Words, desk: &Desk) -> String {
    let shown = desk.cards.len();
    if desk.total <= shown {
        return words.fill("desk.count", &[("count", &shown)]);
    }
    let counted_all = i64::try_from(desk.total).is_ok_and(|total| total < COUNT_TO);
    let total = format!("{}{}", desk.total, if counted_all { "" } else { "+" });
    words.fill("desk.count-first", &[("shown", &shown), ("total", &total)])
}

fn card(ink: Ink<'_>, card: &DeskCard) -> Markup {
    let words = ink.words;
    let (project, number) = (&card.project, card.issue.number);
    let home = format!("/p/{project}/{number}");
    let link = match card.wanted {
        Wanted::Review => format!("{home}/change"),
        Wanted::Answer | Wanted::Rescue => home.clone(),
    };
    let head = card
        .pull
        .as_ref()
        .map(|pull| pull.head.as_str())
        .unwrap_or_default();
    let approvable = card.wanted == Wanted::Review
        && card.may.review
        && card
            .verdict
            .as_ref()
            .is_some_and(|verdict| verdict.colour == Colour::Green);
    let key = format!("{project}-{number}");
    html! {
        li.card #{ "card-" (key) } tabindex="-1" data-key=(key) data-link=(link)
            data-approvable=(approvable) {
            div.head {
                input.pick type="checkbox" form="approve-many" name="pick"
                    value={ (project) "/" (number) "/" (head) } disabled[!approvable]
                    aria-label=(words.fill("desk.select", &[("number", &number)]));
                h2 { a href=(link) { (card.issue.title) } }
                span.where { (project) " #" (number) }
                @match card.wanted {
                    Wanted::Rescue if !card.secrets.is_empty() => span.badge.amber { (words.get("secret.needed")) },
                    Wanted::Answer => span.badge.amber { (words.get("desk.question")) },
                    Wanted::Rescue => span.badge.red { (words.get("desk.failed")) },
                    Wanted::Review => (parts::colour(words, card.verdict.as_ref().map(|v| v.colour))),
                }
            }
            p.facts {
                span { (words.fill("desk.round", &[("round", &card.issue.state.round), ("agent", &card.issue.agent)])) }
                @if let Some(size) = card.size.as_ref().filter(|_| card.wanted == Wanted::Review) {
                    span { (words.fill("desk.size", &[("files", &size.files)])) " "
                        span.plus { "+" (size.added) } " " span.minus { "−" (size.removed) } }
                }
                @if card.spent.0 > 0 {
                    span { (parts::seconds(u64::try_from(card.spent.2).unwrap_or_default()))
                        @if card.spent.1 > 0 { " · " (parts::money(card.spent.1)) } }
                }
                span.quiet { (why(words, &card.place.reasons)) }
            }
            (detail(ink, card))
            (hosts(ink, card, &home))
            (secrets(words, card, &home))
            (actions(ink, card, head, approvable))
        }
    }
}

/// Hosts that are open, with the decisions that the reader may make.
fn hosts(ink: Ink<'_>, card: &DeskCard, home: &str) -> Markup {
    let words = ink.words;
    let line = |need: Need, host: &String| {
        let before = html! {
            code { (host) } " "
            @if need == Need::Proof { span.quiet { (words.get("host.proof")) } " " }
        };
        host::decide(ink, card.may, need, host, home, &before)
    };
    html! {
        @if !card.proof_hosts.is_empty() {
            div.hosts { @for host in &card.proof_hosts { (line(Need::Proof, host)) } }
        }
        @if !card.hosts.is_empty() && card.wanted != Wanted::Review {
            div.hosts { @for host in &card.hosts { (line(Need::Author, host)) } }
        }
    }
}

/// Secrets whose values it waits for; a value is typed on the issue's page, by who may.
fn secrets(words: &Words, card: &DeskCard, home: &str) -> Markup {
    html! {
        @if !card.secrets.is_empty() {
            div.hosts {
                @for name in &card.secrets { code { (name) } " " }
                @if card.may.configure {
                    a.button href={ (home) "#secrets" } { (words.get("secret.set")) }
                } @else { span.quiet { (words.get("secret.ask-maintainer")) } }
            }
        }
    }
}

/// What is wanted, with what is needed to decide on it.
fn detail(ink: Ink<'_>, card: &DeskCard) -> Markup {
    let words = ink.words;
    html! {
        @if let Phase::NeedsInput { question, .. } = &card.issue.state.phase {
            blockquote { (markdown::render(&words.kept(question))) }
        }
        @if let Some(failure) = &card.issue.state.failed {
            p.notice.bad { (parts::failed(words, failure)) }
        }
        @if let Some(verdict) = &card.verdict {
            div.proof {
                @if let (Some(base), Some(head)) = (&verdict.report.acceptance_on_base, &verdict.report.acceptance_on_head) {
                    span.check { (words.get("desk.sealed")) " "
                        span class=(if base.passed() { "ok" } else { "bad" }) { (outcome(words, base.passed())) }
                        " → "
                        span class=(if head.passed() { "ok" } else { "bad" }) { (outcome(words, head.passed())) }
                    }
                }
                @for check in &verdict.report.checks { (parts::check(words, check)) }
            }
            @if !verdict.findings.is_empty() {
                ul.findings {
                    @for finding in verdict.findings.iter().take(6) { li { (parts::finding(words, finding)) } }
                    @if verdict.findings.len() > 6 { li.quiet { "+" (verdict.findings.len() - 6) } }
                }
            }
            @if verdict.colour != Colour::Green {
                ul.reasons { @for reason in &verdict.reasons { li { (words.kept(reason)) } } }
            }
        }
        @if let Some(size) = card.size.as_ref().filter(|size| !size.largest.is_empty()) {
            details {
                summary { (words.get("desk.summary-and-files")) }
                @if let Some(pull) = &card.pull { div.prose { (markdown::render(&pull.summary)) } }
                ul.files {
                    @for file in &size.largest {
                        li { code { (file.path) } " " span.plus { "+" (file.added) } " " span.minus { "−" (file.removed) } }
                    }
                }
            }
        }
    }
}

fn outcome(words: &Words, passed: bool) -> &str {
    if passed {
        words.get("desk.green")
    } else {
        words.get("desk.red")
    }
}

fn actions(ink: Ink<'_>, card: &DeskCard, head: &str, approvable: bool) -> Markup {
    let words = ink.words;
    let (project, number) = (&card.project, card.issue.number);
    html! {
        div.actions {
            @match card.wanted {
                _ if !may_decide(card) => p.quiet { (words.get("desk.look-only")) },
                Wanted::Review => {
                    form.inline.approve method="post" action="/desk/approve" {
                        (ink.token())
                        input type="hidden" name="pick" value={ (project) "/" (number) "/" (head) };
                        button.primary disabled[!approvable] { (words.get("desk.approve")) " " kbd { "a" } }
                    }
                    form.send-back method="post" action="/desk/send-back" {
                        (ink.token())
                        input type="hidden" name="pick" value={ (project) "/" (number) "/" (head) };
                        label { span.hidden { (words.get("desk.say")) }
                            input name="text" required placeholder=(words.get("desk.say"));
                        }
                        button { (words.get("desk.send-back")) " " kbd { "s" } }
                    }
                }
                Wanted::Answer => form.send-back method="post" action="/desk/answer" {
                    (ink.token())
                    input type="hidden" name="pick" value={ (project) "/" (number) "/-" };
                    label { span.hidden { (words.get("desk.answer-hint")) }
                        input name="text" required placeholder=(words.get("desk.answer-hint"));
                    }
                    button.primary { (words.get("desk.answer")) " " kbd { "s" } }
                },
                Wanted::Rescue => form.inline.approve method="post" action="/desk/retry" {
                    (ink.token())
                    input type="hidden" name="pick" value={ (project) "/" (number) "/-" };
                    button.primary { (words.get("desk.retry")) " " kbd { "a" } }
                },
            }
            form.inline.park method="post" action="/desk/park" {
                (ink.token())
                input type="hidden" name="pick" value={ (project) "/" (number) "/-" };
                button.quiet { (words.get("desk.park")) " " kbd { "p" } }
            }
        }
    }
}

/// Whether the reader may do what the card wants.
fn may_decide(card: &DeskCard) -> bool {
    match card.wanted {
        Wanted::Review => card.may.review,
        Wanted::Answer => card.may.answer,
        Wanted::Rescue => card.may.control,
    }
}

/// The reasons of a card's place, as one line.
fn why(words: &Words, reasons: &[Reason]) -> String {
    let texts: Vec<String> = reasons
        .iter()
        .map(|reason| match reason {
            Reason::Unblocks(count) => words.fill("why.unblocks", &[("count", count)]),
            Reason::AgentWaits => words.get("why.agent-waits").to_owned(),
            Reason::Important => words.get("why.important").to_owned(),
            Reason::Low => words.get("why.low").to_owned(),
            Reason::Proved => words.get("why.proved").to_owned(),
            Reason::Red => words.get("why.red").to_owned(),
            Reason::Failed => words.get("why.failed").to_owned(),
            Reason::Small => words.get("why.small").to_owned(),
            Reason::Large => words.get("why.large").to_owned(),
            Reason::Risky => words.get("why.risky").to_owned(),
            Reason::Waits(hours) => words.fill("why.waits", &[("hours", hours)]),
        })
        .collect();
    texts.join(" · ")
}

fn keys(words: &Words) -> Markup {
    const KEYS: &[(&str, &str)] = &[
        ("j k", "keys.move"),
        ("Enter", "keys.open"),
        ("a", "keys.approve"),
        ("s", "keys.send-back"),
        ("p", "keys.park"),
        ("x", "keys.select"),
        ("A", "keys.approve-many"),
        ("u", "keys.undo"),
        ("/", "keys.filter"),
        ("?", "keys.help"),
    ];
    html! {
        dialog #help aria-label=(words.get("desk.keys")) {
            h2 { (words.get("desk.keys")) }
            dl.keys {
                @for (key, word) in KEYS { dt { kbd { (key) } } dd { (words.get(word)) } }
            }
            form method="dialog" { button { (words.get("desk.close")) } }
        }
    }
}

/// The things picked in a form: `project/number/head` each.
#[derive(Deserialize)]
pub(crate) struct Picked {
    #[serde(default)]
    pick: Vec<String>,
    #[serde(default)]
    text: String,
}

impl Picked {
    fn each(&self) -> Vec<(String, i64, String)> {
        self.pick
            .iter()
            .filter_map(|pick| {
                let mut parts = pick.splitn(3, '/');
                let project = parts.next()?.to_owned();
                let number = parts.next()?.parse().ok()?;
                Some((project, number, parts.next()?.to_owned()))
            })
            .collect()
    }
}

fn review(head: &str, decision: Decision, body: &str) -> Result<NewReview, nightshift_app::Error> {
    Ok(NewReview {
        head: head
            .parse()
            .map_err(|error: BadName| nightshift_app::Error::Invalid {
                detail: say::form_unfit(error.said()).into(),
            })?,
        decision,
        body: body.to_owned(),
        comments: Vec::new(),
        accept_unproven: false,
        hold: UNDO,
    })
}

/// Approves one or many; each by itself, so that one refusal does not stop the others.
pub(crate) async fn approve(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, head) in posted.form.each() {
        let outcome = match review(&head, Decision::Approve, "") {
            Ok(new) => visit
                .app
                .pull_review(&visit.caller, &project, number, new)
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            refused.get_or_insert(error);
        }
    }
    back(visit, refused)
}

/// Sends one back.
pub(crate) async fn send_back(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, head) in posted.form.each() {
        let outcome = match review(&head, Decision::SendBack, &posted.form.text) {
            Ok(new) => visit
                .app
                .pull_review(&visit.caller, &project, number, new)
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        refused = refused.or(outcome.err());
    }
    back(visit, refused)
}

/// Takes a decision back.
pub(crate) async fn undo(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, _) in posted.form.each() {
        let outcome = visit
            .app
            .pull_withdraw(&visit.caller, &project, number)
            .await;
        refused = refused.or(outcome.err());
    }
    back(visit, refused)
}

/// Answers a question.
pub(crate) async fn answer(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, _) in posted.form.each() {
        let text = &posted.form.text;
        let outcome = visit
            .app
            .issue_answer(&visit.caller, &project, number, text)
            .await;
        refused = refused.or(outcome.err());
    }
    back(visit, refused)
}

/// Tries a failed one again.
pub(crate) async fn retry(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, _) in posted.form.each() {
        let outcome = visit.app.issue_retry(&visit.caller, &project, number).await;
        refused = refused.or(outcome.err());
    }
    back(visit, refused)
}

/// Hides a card until tomorrow.
pub(crate) async fn park(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let mut refused = None;
    for (project, number, _) in posted.form.each() {
        let outcome = visit
            .app
            .desk_park_until(&visit.caller, &project, number, None)
            .await;
        refused = refused.or(outcome.err());
    }
    back(visit, refused)
}

/// Brings parked cards back.
pub(crate) async fn unpark(posted: Posted<Picked>) -> Response {
    let visit = &posted.visit;
    let outcome = visit.app.desk_unpark_all(&visit.caller).await;
    back(visit, outcome.err())
}

fn back(visit: &Visit, refused: Option<nightshift_app::Error>) -> Response {
    match refused {
        None => Redirect::to("/").into_response(),
        Some(error) => visit.failed(error),
    }
}
