//! Hosts that an issue's runs asked for or were refused, and the buttons that decide.
//!
//! Deliberately absent: what was reached (the run's own page tells that).

use maud::{Markup, html};
use nightshift_app::use_case::story::Story;
use nightshift_domain::access::May;
use nightshift_domain::grant::{Asked, Decision, Need};

use super::markdown;
use super::parts::{self, Ink};
use super::words::Words;

/// The panel; nothing where no host was asked for.
pub(crate) fn panel(ink: Ink<'_>, story: &Story, home: &str) -> Markup {
    let words = ink.words;
    let asked = &story.view.hosts;
    let ended = story.view.line.issue.state.phase.is_final();
    html! {
        @if !asked.is_empty() {
            section.box aria-labelledby="hosts" {
                h2 #hosts { (words.get("host.title")) }
                ul.hosts {
                    @for one in asked {
                        li {
                            p { code { (one.host) } " " (stands(words, one))
                                @if one.need == Need::Proof { " " span.quiet { (words.get("host.proof")) } }
                            }
                            @if let Some(why) = &one.why { div.prose { (markdown::render(why)) } }
                            @if let Some(run) = &one.run {
                                p.quiet { a href={ "/runs/" (run) } { (words.get("change.run")) } " · " (parts::time(one.at)) }
                            }
                            @if one.decided.is_none() && !ended {
                                (buttons(ink, story.view.may, one, home))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn stands(words: &Words, asked: &Asked) -> Markup {
    let Some(decided) = &asked.decided else {
        return html! { span.badge.amber { (words.get("host.open")) } };
    };
    let (class, word) = match decided.decision {
        Decision::Issue => ("badge green", "host.for-issue"),
        Decision::Project => ("badge green", "host.for-project"),
        Decision::Denied => ("badge red", "host.denied"),
    };
    html! {
        span class=(class) { (words.get(word)) }
        " " span.quiet { (decided.by.label()) " · " (parts::time(decided.at)) }
    }
}

fn buttons(ink: Ink<'_>, may: May, asked: &Asked, home: &str) -> Markup {
    decide(
        ink,
        may,
        asked.need,
        &asked.host.to_string(),
        home,
        &html! {},
    )
}

/// The buttons that decide about a host, as far as the reader may, and who else may; `before` stands
/// in front of them.
pub(crate) fn decide(
    ink: Ink<'_>,
    may: May,
    need: Need,
    host: &str,
    home: &str,
    before: &Markup,
) -> Markup {
    let words = ink.words;
    if !may.hosts {
        return html! { p.quiet { (before) (words.get("host.ask-writer")) } };
    }
    let button = |what: &str, word: &str, class: &str| {
        html! { button class=(class) name="what" value=(what) { (words.get(word)) } " " }
    };
    html! {
        form.inline method="post" action={ (home) "/act" } {
            (ink.token())
            input type="hidden" name="text" value=(host);
            (before)
            @match need {
                Need::Author => {
                    (button("host-issue", "host.allow-issue", "primary"))
                    @if may.configure { (button("host-project", "host.allow-project", "")) }
                }
                Need::Proof => {
                    @if may.configure { (button("host-project", "host.allow-project", "primary")) }
                    span.quiet { (words.get("host.only-project")) " "
                        @if !may.configure { (words.get("host.ask-maintainer")) " " } }
                }
            }
            (button("host-denied", "host.deny", "danger"))
        }
    }
}
