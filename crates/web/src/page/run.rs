//! A run: what it is, and its log, which follows, folds, searches and links to a record.
//!
//! The log is shown in parts of a bounded size, so that a long one opens as fast as a short one.
//! Without scripts the page shows the same as of when it was loaded. Deliberately absent: what a
//! record looks like.

use axum::extract::{Path, Query};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::record::RunState;
use nightshift_app::use_case::run::RunView;
use nightshift_app::use_case::transcript::{Found, LogPage, Look};
use nightshift_app::use_case::watch::RunChoices;
use nightshift_domain::id::RunId;
use nightshift_domain::traffic::Traffic;
use serde::Deserialize;

use super::say;
use super::words::Words;
use super::{Page, Posted, Visit, markdown, parts, record};

/// Letters around a find, to each side.
const AROUND: usize = 80;
/// The longest text that is searched for, in bytes.
const LONGEST: usize = 200;

/// Which part of the log.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LogQuery {
    /// From the record at this offset on.
    at: Option<String>,
    /// The part that ends at this offset.
    before: Option<String>,
    /// What to search for.
    q: Option<String>,
    /// Where the search goes on.
    from: Option<String>,
}

impl LogQuery {
    fn look(&self) -> Look {
        match (offset(self.at.as_deref()), offset(self.before.as_deref())) {
            (Some(at), _) => Look::From(at),
            (None, Some(before)) => Look::Before(before),
            (None, None) => Look::End,
        }
    }
}

/// An offset in an address; what is none says nothing.
fn offset(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

/// The run that an address names.
pub(crate) fn id(text: &str) -> Result<RunId, nightshift_app::Error> {
    text.parse().map_err(|_| nightshift_app::Error::NotFound {
        detail: say::no_run(format!("{text:?}")).into(),
    })
}

/// Shows a run.
pub(crate) async fn show(
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    let run = match id(&run) {
        Ok(run) => run,
        Err(error) => return visit.failed(error),
    };
    let shown = match query.q.as_deref().map(str::trim) {
        Some(wanted) if !wanted.is_empty() => searched(&visit, run, wanted, &query).await,
        _ => part(&visit, run, query.look()).await,
    };
    match shown {
        Ok(page) => page.render(&visit),
        Err(error) => visit.failed(error),
    }
}

async fn part(visit: &Visit, run: RunId, look: Look) -> Result<Page<'_>, nightshift_app::Error> {
    let log = visit.app.run_log_page(&visit.caller, run, look).await?;
    let choices = visit.app.run_choices(&visit.caller, &log.view.run).await?;
    let words = visit.words;
    // The newest part of a run that goes on follows it.
    let follows =
        (!log.ended && log.to >= log.size).then(|| format!("/live/run/{run}?offset={}", log.to));
    let contents = html! {
        (ways(words, &log))
        @if log.lines.is_empty() {
            p.quiet #nothing {
                (words.get(if log.size == 0 { "run.no-log" } else { "run.too-long" }))
            }
        }
        ol.log.records #log data-follow=[follows] aria-label=(words.get("run.log")) {
            (record::items(words, &log.lines, &mut None))
        }
        @if log.to < log.size {
            p.ways { a href={ "?at=" (log.to) } { (words.get("run.later")) } " · "
                a href={ "/runs/" (run) "#end" } { (words.get("run.to-end")) } }
        }
        p #end.quiet role="status" data-ended=(words.get("run.log-ended")) data-going=(words.get("run.following"))
            data-lost=(words.get("run.lost")) {
            @if log.ended { (words.get("run.log-ended")) }
            @else { (words.get("run.still-running")) " " a href={ "/runs/" (run) "#end" } { (words.get("run.reload")) } }
        }
    };
    Ok(page(visit, &log.view, &choices, "", &contents))
}

async fn searched<'a>(
    visit: &'a Visit,
    run: RunId,
    wanted: &str,
    query: &LogQuery,
) -> Result<Page<'a>, nightshift_app::Error> {
    let wanted: String = wanted.chars().take(LONGEST).collect();
    let find = Find::new(&wanted);
    let from = offset(query.from.as_deref()).unwrap_or(0);
    let found = visit
        .app
        .run_log_search(&visit.caller, run, from, move |line| find.look(line))
        .await?;
    let choices = visit
        .app
        .run_choices(&visit.caller, &found.view.run)
        .await?;
    let contents = finds(visit.words, run, &wanted, from, &found);
    Ok(page(visit, &found.view, &choices, &wanted, &contents))
}

fn page<'a>(
    visit: &Visit,
    view: &RunView,
    choices: &RunChoices,
    wanted: &str,
    contents: &Markup,
) -> Page<'a> {
    let words = visit.words;
    let title = title(words, view);
    let body = html! {
        div.title { h1 { (title) } (state(words, &view.run.state)) }
        div #facts { (facts(visit, view, choices)) }
        @if choices.may_steer { (steer_form(visit, view)) }
        section.log-part aria-labelledby="log-title" {
            div.title {
                h2 #log-title { (words.get("run.log")) }
                form.inline method="get" role="search" action={ "/runs/" (view.run.id) } {
                    label { span.hidden { (words.get("run.search")) }
                        input type="search" name="q" value=(wanted) placeholder=(words.get("run.search")) maxlength=(LONGEST);
                    }
                    button { (words.get("run.find")) }
                }
            }
            (contents)
        }
    };
    Page {
        title,
        place: "runs",
        body,
        scripts: &["run.js"],
    }
}

fn title(words: &Words, view: &RunView) -> String {
    words.fill(
        "run.title",
        &[
            ("kind", &kind(words, view.run.kind.as_str())),
            ("project", &view.project),
            ("number", &view.run.number),
        ],
    )
}

/// The word for a kind of job.
pub(crate) fn kind<'a>(words: &'a Words, kind: &'a str) -> &'a str {
    words.get(match kind {
        "author" => "job.author",
        "verify" => "job.verify",
        "tryout" => "job.tryout",
        _ => "job.trial",
    })
}

/// The word for a state, with a mark; never by colour alone.
pub(crate) fn state(words: &Words, state: &RunState) -> Markup {
    let (class, mark, key) = match state {
        RunState::Running => ("badge", "▶", "run.running"),
        RunState::Succeeded => ("badge green", "✓", "run.succeeded"),
        RunState::Failed { .. } => ("badge red", "✗", "run.failed"),
        RunState::Stopped => ("badge", "■", "run.stopped"),
        RunState::Asked { .. } => ("badge amber", "?", "run.asked"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) " " } (words.get(key)) } }
}

/// What the run is, and what can be done with it; the live stream sends it anew.
pub(crate) fn facts(visit: &Visit, view: &RunView, choices: &RunChoices) -> Markup {
    let words = visit.words;
    let run = &view.run;
    let home = format!("/p/{}/{}", view.project, run.number);
    html! {
        @if let RunState::Failed { failure } = &run.state {
            p.notice.bad { (parts::failed(words, failure))
                @if let Some(at) = failure.retry_at { " · " (words.get("run.retry-at")) " " (parts::time(at)) } }
        }
        @if let Some(question) = &choices.question {
            section.ask.box {
                h2 { (words.get("run.asks")) }
                blockquote { (markdown::render(&words.kept(question))) }
                form.stack method="post" action={ "/runs/" (run.id) "/answer" } {
                    (parts::form_token(visit))
                    label { (words.get("desk.answer-hint")) textarea.short name="text" required {} }
                    button.primary { (words.get("desk.answer")) }
                }
            }
        }
        @if let Some(progress) = run.progress.as_ref().filter(|text| !text.is_empty()) {
            p.lead { (progress) }
        }
        dl.facts-list.two {
            dt { (words.get("run.state")) } dd { (state(words, &run.state)) }
            dt { (words.get("run.issue")) } dd { a href=(home) { (view.project) " #" (run.number) } ", "
                (words.fill("run.round", &[("round", &run.round)])) }
            dt { (words.get("run.agent")) } dd { (run.agent) }
            dt { (words.get("run.runner")) } dd { (view.runner) ", " (words.fill("run.epoch", &[("epoch", &run.epoch)])) }
            dt { (words.get("run.began")) } dd { (parts::time(run.started_at)) }
            @if let Some(ended) = run.ended_at {
                dt { (words.get("run.took")) } dd { (parts::seconds(millis(run.started_at, ended))) }
            }
            dt { (words.get("run.start")) } dd { code { (short(run.start.as_str())) } }
            @if let Some(attempt) = &run.attempt {
                dt { (words.get("run.attempt")) } dd { code { (short(attempt.as_str())) } }
            }
            @if let Some(usage) = &run.usage {
                dt { (words.get("run.usage")) } dd { (record::used(words, usage)) }
            }
            @if let Some(session) = &run.session {
                dt { (words.get("run.session")) } dd { code { (session.id) } }
            }
            @if let Some(traffic) = run.traffic.as_ref().filter(|traffic| !traffic.hosts.is_empty()) {
                dt { (words.get("run.network")) } dd { (network(words, traffic)) }
            }
            dt { (words.get("run.log")) } dd { (bytes(run.log_bytes.unsigned_abs())) }
        }
        (steers(words, choices))
        @if choices.may_stop {
            form.inline method="post" action={ "/runs/" (run.id) "/cancel" } {
                (parts::form_token(visit))
                button.danger { (words.get("run.cancel")) }
            }
        }
    }
}

/// What people said to it, and whether the agent has it.
fn steers(words: &Words, choices: &RunChoices) -> Markup {
    html! {
        @if !choices.steers.is_empty() {
            section.box aria-labelledby="steers" {
                h2 #steers { (words.get("steer.said")) }
                ul.steers {
                    @for said in &choices.steers {
                        li {
                            div.prose { (markdown::render(&said.body)) }
                            p.quiet { (said.author.label()) " · " (parts::time(said.created_at)) " · "
                                (words.get(match (said.handed_at, said.late_at) {
                                    (Some(_), _) => "steer.handed",
                                    (None, Some(_)) => "steer.late",
                                    (None, None) if said.interrupts => "steer.interrupting",
                                    (None, None) => "steer.waiting",
                                }))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Outside of what the live stream replaces, so that words being typed stay.
fn steer_form(visit: &Visit, view: &RunView) -> Markup {
    let words = visit.words;
    html! {
        section.box.steer aria-labelledby="steer" {
            h2 #steer { (words.get("steer.title")) }
            form.stack method="post" action={ "/runs/" (view.run.id) "/steer" } {
                (parts::form_token(visit))
                label { (words.get("steer.hint")) textarea.short name="text" required maxlength="16000" {} }
                label.check-line { input type="checkbox" name="now"; (words.get("steer.now")) }
                button { (words.get("steer.send")) }
            }
        }
    }
}

/// The hosts that were reached and those that were refused.
fn network(words: &Words, traffic: &Traffic) -> Markup {
    html! {
        ul.plain {
            @for host in &traffic.hosts {
                li { code { (host.host) } " "
                    @if host.requests > 0 {
                        (words.fill("run.reached", &[("requests", &host.requests), ("out", &bytes(host.bytes_sent)), ("in", &bytes(host.bytes_received))]))
                    }
                    @if let Some(why) = &host.refused_because {
                        " " b { (words.fill("run.blocked", &[("times", &host.refused)])) } (words.get("mark.colon")) (why)
                    }
                }
            }
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// The milliseconds from one time to another.
pub(crate) fn millis(from: jiff::Timestamp, to: jiff::Timestamp) -> u64 {
    let span = to.as_millisecond().saturating_sub(from.as_millisecond());
    u64::try_from(span).unwrap_or_default()
}

/// A size in the unit that fits.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..=1_023 => format!("{count} B"),
        1_024..=1_048_575 => format!("{}.{} KiB", count >> 10, ((count & 1_023) * 10) >> 10),
        _ => format!(
            "{}.{} MiB",
            count >> 20,
            (((count >> 10) & 1_023) * 10) >> 10
        ),
    }
}

/// Where the part stands in the log, and the ways to the others.
fn ways(words: &Words, log: &LogPage) -> Markup {
    let whole = log.from == 0 && log.to >= log.size;
    html! {
        @if !whole {
            p.ways {
                (words.fill("run.part", &[("from", &bytes(log.from)), ("to", &bytes(log.to)), ("size", &bytes(log.size))]))
                @if log.from > 0 {
                    " · " a href="?at=0" { (words.get("run.to-start")) }
                    " · " a href={ "?before=" (log.from) "#end" } { (words.get("run.earlier")) }
                }
            }
        }
    }
}

fn finds(words: &Words, run: RunId, wanted: &str, from: u64, found: &Found<Piece>) -> Markup {
    let to = found.next.unwrap_or(found.size);
    let on = |next: u64| {
        let q = super::visit::url_part(wanted);
        format!("?q={q}&from={next}")
    };
    html! {
        p role="status" {
            (words.fill("run.found", &[("count", &found.finds.len()), ("from", &bytes(from)), ("to", &bytes(to)), ("size", &bytes(found.size))]))
            " · " a href={ "/runs/" (run) } { (words.get("run.back-to-log")) }
        }
        ol.finds {
            @for (offset, piece) in &found.finds {
                li { a href={ "?at=" (offset) "#o" (offset) } { (bytes(*offset)) } " "
                    code { (piece.before) mark { (piece.find) } (piece.after) } }
            }
        }
        @if let Some(next) = found.next {
            p.ways { a.button href=(on(next)) { (words.get("run.search-on")) } }
        }
    }
}

/// What is searched for: as in the text, whatever the case of the letters a to z.
struct Find {
    wanted: Vec<u8>,
    coded: Vec<u8>,
}

/// A find with what stands around it.
struct Piece {
    before: String,
    find: String,
    after: String,
}

impl Find {
    fn new(wanted: &str) -> Self {
        let coded = serde_json::to_string(wanted).unwrap_or_default();
        let coded = coded.trim_start_matches('"');
        Self {
            wanted: wanted.as_bytes().to_ascii_lowercase(),
            coded: coded.as_bytes()[..coded.len().saturating_sub(1)].to_ascii_lowercase(),
        }
    }

    /// Looks at the bytes first, which is cheap, then at the text as it is shown.
    fn look(&self, line: &[u8]) -> Option<Piece> {
        let escapes = contains(line, b"\\u001b") || contains(line, b"base64");
        if !escapes && !contains(line, &self.coded) && !contains(line, &self.wanted) {
            return None;
        }
        let text = record::text_of(line);
        let at = position(text.as_bytes(), &self.wanted)?;
        let end = at + self.wanted.len();
        let before: Vec<char> = text[..at].chars().rev().take(AROUND).collect();
        Some(Piece {
            before: one_line(before.into_iter().rev()),
            find: one_line(text[at..end].chars()),
            after: one_line(text[end..].chars().take(AROUND)),
        })
    }
}

fn one_line(text: impl Iterator<Item = char>) -> String {
    text.map(|one| if one == '\n' { ' ' } else { one })
        .collect()
}

fn contains(bytes: &[u8], lower: &[u8]) -> bool {
    position(bytes, lower).is_some()
}

/// Where `lower` first stands in `bytes`, whatever the case of the letters a to z there.
fn position(bytes: &[u8], lower: &[u8]) -> Option<usize> {
    let (first, rest) = lower.split_first()?;
    let last = bytes.len().checked_sub(lower.len())?;
    (0..=last).find(|at| {
        bytes[*at].to_ascii_lowercase() == *first
            && bytes[at + 1..at + lower.len()].eq_ignore_ascii_case(rest)
    })
}

#[derive(Deserialize)]
pub(crate) struct Cancel {
    #[serde(default)]
    back: String,
}

/// Stops a run.
pub(crate) async fn cancel(Path(run): Path<String>, posted: Posted<Cancel>) -> Response {
    let visit = &posted.visit;
    let stopped = async {
        let run = id(&run)?;
        visit.app.run_cancel(&visit.caller, run).await
    };
    match stopped.await {
        Ok(_) if posted.form.back == "runs" => Redirect::to("/runs").into_response(),
        Ok(_) => Redirect::to(&format!("/runs/{run}")).into_response(),
        Err(error) => visit.failed(error),
    }
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    text: String,
}

/// Answers what the run asked.
pub(crate) async fn answer(Path(run): Path<String>, posted: Posted<Answer>) -> Response {
    let visit = &posted.visit;
    let answered = async {
        let view = visit.app.run_get(&visit.caller, id(&run)?).await?;
        visit
            .app
            .issue_answer(
                &visit.caller,
                &view.project,
                view.run.number,
                &posted.form.text,
            )
            .await?;
        Ok(format!("/p/{}/{}", view.project, view.run.number))
    };
    match answered.await {
        Ok(target) => Redirect::to(&target).into_response(),
        Err(error) => visit.failed(error),
    }
}

#[derive(Deserialize)]
pub(crate) struct Steering {
    #[serde(default)]
    text: String,
    #[serde(default)]
    now: String,
}

/// Says something to the run.
pub(crate) async fn steer(Path(run): Path<String>, posted: Posted<Steering>) -> Response {
    let visit = &posted.visit;
    let said = async {
        let text = posted.form.text.replace("\r\n", "\n");
        let now = posted.form.now == "on";
        visit
            .app
            .run_steer(&visit.caller, id(&run)?, &text, now)
            .await
    };
    match said.await {
        Ok(_) => Redirect::to(&format!("/runs/{run}#steers")).into_response(),
        Err(error) => visit.failed(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(wanted: &str, text: &str) -> Option<String> {
        let line =
            json!({"at": "2026-01-02T03:04:05Z", "step": "agent", "kind": "text", "text": text});
        let piece = Find::new(wanted).look(line.to_string().as_bytes())?;
        Some(format!("{}[{}]{}", piece.before, piece.find, piece.after))
    }

    #[test]
    fn a_search_sees_what_is_shown_and_nothing_else() {
        assert_eq!(
            look("error", "an ERROR here").as_deref(),
            Some("an [ERROR] here")
        );
        assert_eq!(
            look("say \"hi\"", "say \"hi\"\nthen").as_deref(),
            Some("[say \"hi\"] then")
        );
        assert_eq!(look("a\\b", "x a\\b").as_deref(), Some("x [a\\b]"));
        assert_eq!(look("wörter", "Wörter").as_deref(), Some("[Wörter]"));
        assert_eq!(
            look("failed", "fai\u{1b}[31mled").as_deref(),
            Some("[failed]")
        );
        // Words of the record itself are not its text.
        assert_eq!(look("agent", "nothing"), None);
        assert_eq!(look("kind", "nothing"), None);
        assert_eq!(look("absent", "nothing"), None);
    }

    #[test]
    fn a_find_is_cut_between_letters() {
        let text = format!("{}needle{}", "ä".repeat(200), "中".repeat(200));
        let found = look("needle", &text).expect("found");
        assert_eq!(found.chars().count(), 2 * AROUND + "[needle]".len());
    }

    #[test]
    fn sizes_in_the_unit_that_fits() {
        let shown = [0, 1_023, 1_536, 1 << 20, 100 << 20].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "1.0 MiB", "100.0 MiB"]);
    }
}
