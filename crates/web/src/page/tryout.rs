//! How far the trying of an issue's sealed tests on the base is: on the issue's page and in its form.
//!
//! One template for both and for their live fragment. Deliberately absent: what the results mean.

use maud::{Markup, html};
use nightshift_app::use_case::issue::IssueView;
use nightshift_app::use_case::tryout::{TryoutState, TryoutView};
use nightshift_domain::issue::Phase;
use nightshift_domain::tryout::Tried;

use super::parts;
use super::words::Words;

/// Whether the tests can still be tried: nothing was judged by them yet.
pub(crate) fn can_try(view: &IssueView) -> bool {
    let early = matches!(view.line.issue.state.phase, Phase::Draft | Phase::Ready);
    view.acceptance.is_some() && early && !view.has_pull
}

/// Whether trying them would bring something that is not known.
pub(crate) fn is_worth_it(view: &IssueView) -> bool {
    can_try(view)
        && match &view.tryout {
            None => true,
            Some(tried) => match tried.state {
                TryoutState::Waiting | TryoutState::Running { .. } => false,
                TryoutState::Tried { .. } => !tried.current,
                TryoutState::Failed { .. } | TryoutState::Stopped => true,
            },
        }
}

/// What is known.
pub(crate) fn panel(words: &Words, view: &IssueView) -> Markup {
    if view.acceptance.is_none() {
        return html! {};
    }
    html! {
        @match &view.tryout {
            None => p.quiet { (words.get("tryout.never")) },
            Some(tried) => (stands(words, tried)),
        }
    }
}

fn stands(words: &Words, view: &TryoutView) -> Markup {
    let (class, mark, text) = match &view.state {
        TryoutState::Waiting => ("badge", "…", words.get("tryout.waiting").to_owned()),
        TryoutState::Running { .. } => ("badge", "▶", words.get("tryout.running").to_owned()),
        TryoutState::Tried { tried, fit, .. } => {
            let (class, mark) = if *fit {
                ("badge green", "✓")
            } else {
                ("badge amber", "!")
            };
            (class, mark, result(words, tried, *fit))
        }
        TryoutState::Failed { .. } => ("badge red", "✗", words.get("tryout.failed").to_owned()),
        TryoutState::Stopped => ("badge", "■", words.get("tryout.stopped").to_owned()),
    };
    let run = match &view.state {
        TryoutState::Running { run } | TryoutState::Tried { run, .. } => Some(run),
        TryoutState::Waiting | TryoutState::Failed { .. } | TryoutState::Stopped => None,
    };
    html! {
        p.tryout role="status" {
            (words.get("tryout.title")) " "
            span class=(class) { span aria-hidden="true" { (mark) " " } (parts::marked(&text)) }
            @if let TryoutState::Tried { base, at, .. } = &view.state {
                " " span.quiet { code { (base.short()) } " · " (parts::time(*at)) }
                @if !view.current { " · " span.quiet { (words.get("tryout.old-base")) } }
            }
            @if let Some(run) = run { " · " a href={ "/runs/" (run) } { (words.get("event.run")) } }
        }
        @match &view.state {
            TryoutState::Tried { tried, fit, .. } => {
                @if !fit { p.notice.warn { (words.get(advice(tried))) } }
                @if let Some(seen) = tried.result() {
                    details data-key="tryout-output" open[!fit] {
                        summary { (words.get("tryout.output")) " · " (parts::check(words, seen)) }
                        pre { code { (seen.output_tail) } }
                    }
                }
            }
            TryoutState::Failed { failure } => p.notice.bad { (parts::failed(words, failure)) },
            TryoutState::Waiting | TryoutState::Running { .. } | TryoutState::Stopped => {}
        }
    }
}

fn result(words: &Words, tried: &Tried, fit: bool) -> String {
    match tried {
        Tried::Red { .. } => words.get("tryout.red").to_owned(),
        Tried::Green { .. } if fit => words.get("tryout.green-said").to_owned(),
        Tried::Green { .. } => words.get("tryout.green").to_owned(),
        Tried::DoesNotRun { why, .. } => {
            words.fill("tryout.does-not-run", &[("why", &words.say(&why.words()))])
        }
    }
}

fn advice(tried: &Tried) -> &'static str {
    match tried {
        Tried::Red { .. } | Tried::Green { .. } => "tryout.green-advice",
        Tried::DoesNotRun { .. } => "tryout.broken-advice",
    }
}
