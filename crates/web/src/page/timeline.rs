//! The timeline of an issue: messages, runs, heads, verdicts, decisions and events in one order.
//!
//! An event that only repeats one of the others is left out, so that nothing is told twice.

use jiff::Timestamp;
use maud::{Markup, html};
use nightshift_app::record::{
    Decision, Head, Message, MessageKind, Review, Run, RunState, Steer, Verdict,
};
use nightshift_app::use_case::story::Story;
use nightshift_domain::access::Actor;
use nightshift_domain::failure::Failure;
use serde::Deserialize as _;

use super::words::Words;
use super::{markdown, parts};

/// Events that tell something no other entry tells, and their words.
const EVENTS: &[(&str, &str)] = &[
    ("issue.filed", "event.filed"),
    ("issue.edited", "event.edited"),
    ("issue.ready", "event.ready"),
    ("issue.draft", "event.draft"),
    ("issue.failed", "event.failed"),
    ("issue.released", "event.released"),
    ("issue.stopped", "event.stopped"),
    ("issue.retried", "event.retried"),
    ("issue.closed", "event.closed"),
    ("issue.reopened", "event.reopened"),
    ("pull.proof-failed", "event.proof-failed"),
    ("pull.proof-retried", "event.proof-retried"),
    ("pull.conflicted", "event.conflicted"),
    ("pull.returned", "event.returned"),
    ("pull.trial-asked", "event.trial-asked"),
    ("pull.decision-withdrawn", "event.withdrawn"),
    ("pull.landed", "event.landed"),
    ("host.allowed", "event.host-allowed"),
    ("host.denied", "event.host-denied"),
    ("secret.given", "event.secret-given"),
    ("run.proposed", "event.proposed"),
    ("guideline.accepted", "event.guideline-accepted"),
    ("guideline.dismissed", "event.guideline-dismissed"),
    ("run.split", "event.split"),
    ("run.lost", "event.run-lost"),
    ("run.cancelled", "event.run-cancelled"),
];

/// The whole list, oldest first.
pub(crate) fn list(words: &Words, story: &Story) -> Markup {
    let home = format!(
        "/p/{}/{}",
        story.view.line.project, story.view.line.issue.number
    );
    let mut items: Vec<(Timestamp, Markup)> = Vec::new();
    for event in &story.events {
        let Some((_, word)) = EVENTS.iter().find(|(kind, _)| *kind == event.kind) else {
            continue;
        };
        let text = |at: &str| event.data.pointer(at).and_then(|text| text.as_str());
        let failure = event.data.get("failure").map(Failure::deserialize);
        let shown = html! {
            p { b { (who(words, &event.actor)) } " " (words.get(word))
                @if let Some(named) = text("/host").or(text("/secret")) { " " code { (named) } }
                @if let Some(run) = &event.run { " " a href={ "/runs/" (run) } { (words.get("event.run")) } }
            }
            @if let Some(Ok(failure)) = failure { p.bad { (parts::kept(words, &failure.detail)) } }
        };
        items.push((event.at, shown));
    }
    items.extend(
        story
            .view
            .messages
            .iter()
            .map(|said| (said.created_at, message(words, said))),
    );
    items.extend(
        story
            .runs
            .iter()
            .map(|run| (run.started_at, self::run(words, run))),
    );
    items.extend(
        story
            .heads
            .iter()
            .map(|head| (head.created_at, self::head(words, head, &home))),
    );
    items.extend(
        story
            .verdicts
            .iter()
            .map(|made| (made.created_at, verdict(words, made))),
    );
    items.extend(
        story
            .reviews
            .iter()
            .map(|made| (made.created_at, review(words, made, &home))),
    );
    items.extend(
        story
            .steers
            .iter()
            .map(|said| (said.created_at, steer(words, said))),
    );
    items.sort_by_key(|(at, _)| *at);
    html! {
        ol.timeline {
            @for (at, item) in &items { li { span.when { (parts::time(*at)) } (item) } }
        }
    }
}

fn who<'a>(words: &'a Words, actor: &'a Actor) -> &'a str {
    match actor {
        Actor::Person { name, .. } => name,
        Actor::Run { .. } => words.get("event.by-agent"),
        Actor::Runner { .. } => words.get("event.by-runner"),
        Actor::System => "Nightshift",
    }
}

fn message(words: &Words, said: &Message) -> Markup {
    let word = match said.kind {
        MessageKind::Question => "event.asked",
        MessageKind::Answer => "event.answered",
        MessageKind::Feedback => "event.sent-back",
        MessageKind::Note => "event.noted",
    };
    html! {
        p { b { (who(words, &said.author)) } " " (words.get(word))
            @if let Actor::Run { run, .. } = &said.author { " " a href={ "/runs/" (run) } { (words.get("event.run")) } }
        }
        div.prose.box { (markdown::render(&words.kept(&said.body))) }
    }
}

fn steer(words: &Words, said: &Steer) -> Markup {
    html! {
        p { b { (who(words, &said.author)) } " " (words.get("event.steered")) " "
            a href={ "/runs/" (said.run) } { (words.get("event.run")) }
            @if said.late_at.is_some() { " · " span.quiet { (words.get("steer.late")) } }
        }
        div.prose.box { (markdown::render(&said.body)) }
    }
}

fn run(words: &Words, run: &Run) -> Markup {
    let (word, class) = match &run.state {
        RunState::Running => ("run-state.running", ""),
        RunState::Succeeded => ("run-state.succeeded", "ok"),
        RunState::Failed { .. } => ("run-state.failed", "bad"),
        RunState::Stopped => ("run-state.stopped", ""),
        RunState::Asked { .. } => ("run-state.asked", ""),
    };
    let took = run
        .ended_at
        .map(|end| end.as_millisecond() - run.started_at.as_millisecond());
    let cost = run.usage.as_ref().and_then(|usage| usage.cost_micro_usd);
    let kind = words.get(match run.kind.as_str() {
        "author" => "timeline.author",
        "verify" => "timeline.verify",
        "tryout" => "timeline.tryout",
        _ => "timeline.trial",
    });
    html! {
        p {
            a href={ "/runs/" (run.id) } { (kind) } " "
            @if run.kind.as_str() == "author" { "(" (run.agent) ") " }
            span class=(class) { (words.get(word)) }
            @if let Some(took) = took { " · " (parts::seconds(u64::try_from(took).unwrap_or_default())) }
            @if let Some(cost) = cost { " · " (parts::money(i64::try_from(cost).unwrap_or(i64::MAX))) }
        }
        @if let RunState::Failed { failure } = &run.state {
            p.bad { (parts::failed(words, failure)) }
        }
        @if let (RunState::Running, Some(progress)) = (&run.state, &run.progress) { p.quiet { (progress) } }
    }
}

fn head(words: &Words, head: &Head, home: &str) -> Markup {
    html! {
        p { b { (who(words, &head.by)) } " "
            (words.fill("event.head", &[("round", &head.round)])) " "
            a href={ (home) "/change" } { code { (head.head.short()) } }
        }
    }
}

fn verdict(words: &Words, made: &Verdict) -> Markup {
    html! {
        p { (words.get("event.verdict")) " " code { (made.head.short()) } " "
            (parts::colour(words, Some(made.colour))) " "
            a href={ "/runs/" (made.run) } { (words.get("event.run")) }
        }
        @if !made.reasons.is_empty() { ul.reasons { @for reason in &made.reasons { li { (words.kept(reason)) } } } }
    }
}

fn review(words: &Words, made: &Review, home: &str) -> Markup {
    let word = match made.decision {
        Decision::Approve => "event.approved",
        Decision::SendBack => "event.sent-back",
    };
    html! {
        p { b { (made.by_name) } " " (words.get(word)) " "
            a href={ (home) "/change" } { code { (made.head.short()) } }
            @if !made.comments.is_empty() {
                " · " (words.fill("event.comments", &[("count", &made.comments.len())]))
            }
            @if made.withdrawn_at.is_some() { " · " i { (words.get("event.taken-back")) } }
        }
        @if !made.body.trim().is_empty() { div.prose.box { (markdown::render(&made.body)) } }
    }
}
