//! Pieces that several pages show: a verdict, times, money, forms.

use jiff::Timestamp;
use maud::{Markup, html};
use nightshift_domain::check::{CheckResult, Colour, Outcome, limit_name};
use nightshift_domain::facts::{Finding, FindingKind, Severity};
use nightshift_domain::failure::Failure;
use nightshift_domain::sentence::{Kept, Sentence};

use super::visit::Visit;
use super::words::Words;

/// What a part of a page is written with: the language, and what its forms carry.
#[derive(Clone, Copy)]
pub(crate) struct Ink<'a> {
    /// The language.
    pub(crate) words: &'static Words,
    form_token: &'a str,
}

impl<'a> Ink<'a> {
    /// As this visitor reads and sends it.
    pub(crate) fn of(visit: &'a Visit) -> Self {
        Self {
            words: visit.words,
            form_token: &visit.form_token,
        }
    }

    /// As everybody who reads this language may have it; the page puts its own token in.
    pub(crate) fn without_token(words: &'static Words) -> Self {
        Self {
            words,
            form_token: "",
        }
    }

    /// The hidden field that every form carries.
    pub(crate) fn token(self) -> Markup {
        html! { input type="hidden" name="form_token" value=(self.form_token); }
    }
}

/// The hidden field that every form carries.
pub(crate) fn form_token(visit: &Visit) -> Markup {
    Ink::of(visit).token()
}

/// The colour of a verdict, as a word with a mark; never by colour alone.
pub(crate) fn colour(words: &Words, colour: Option<Colour>) -> Markup {
    let (class, mark, key) = match colour {
        Some(Colour::Green) => ("badge green", "✓", "verdict.green"),
        Some(Colour::Red) => ("badge red", "✗", "verdict.red"),
        Some(Colour::Unproven) => ("badge amber", "?", "verdict.unproven"),
        None => ("badge", "…", "verdict.pending"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) " " } (words.get(key)) } }
}

/// One command's result in one line.
pub(crate) fn check(words: &Words, result: &CheckResult) -> Markup {
    let (class, mark, text) = match &result.outcome {
        Outcome::Passed => ("ok", "✓", words.get("check.passed").to_owned()),
        Outcome::Failed { code } => ("bad", "✗", words.fill("check.failed", &[("code", code)])),
        Outcome::TimedOut => ("bad", "✗", words.get("check.timed-out").to_owned()),
        Outcome::Capped { limit } => (
            "bad",
            "✗",
            words.fill(
                "check.capped",
                &[("limit", &words.place(&limit_name(limit)))],
            ),
        ),
    };
    html! {
        span class={ "check " (class) } {
            span aria-hidden="true" { (mark) " " }
            b { (result.name) } " " (text) " "
            small { (seconds(result.duration_ms)) }
        }
    }
}

/// A finding in one line.
pub(crate) fn finding(words: &Words, finding: &Finding) -> Markup {
    let class = match finding.severity {
        Severity::Alarm => "finding alarm",
        Severity::Warning => "finding warning",
        Severity::Note => "finding note",
    };
    html! {
        span class=(class) {
            b { (words.get(kind_key(finding.kind))) } " "
            @if !finding.path.is_empty() { code { (finding.path) } " " }
            (words.kept(&finding.note))
        }
    }
}

fn kind_key(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::TestRemoved => "finding.test-removed",
        FindingKind::TestWeakened => "finding.test-weakened",
        FindingKind::ProtectedPath => "finding.protected-path",
        FindingKind::ControlFile => "finding.control-file",
        FindingKind::LockFile => "finding.lock-file",
        FindingKind::Secret => "finding.secret",
        FindingKind::Binary => "finding.binary",
        FindingKind::LineEndings => "finding.line-endings",
        FindingKind::SpecialFile => "finding.special-file",
        FindingKind::Size => "finding.size",
    }
}

/// The word for an issue's phase.
pub(crate) fn phase(words: &Words, phase: &str) -> Markup {
    let key = match phase {
        "draft" => "phase.draft",
        "ready" => "phase.ready",
        "working" => "phase.working",
        "needs-input" => "phase.needs-input",
        "in-review" => "phase.in-review",
        "landing" => "phase.landing",
        "done" => "phase.done",
        _ => "phase.closed",
    };
    html! { span class={ "phase " (phase) } { (words.get(key)) } }
}

/// A time, exact in the attribute and readable in the text.
pub(crate) fn time(at: Timestamp) -> Markup {
    let text = at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    html! { time datetime=(at.to_string()) { (text) } }
}

/// A span of time in the unit that fits.
pub(crate) fn seconds(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=59_999 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// Money in US dollars from millionths.
pub(crate) fn money(micro_usd: i64) -> String {
    format!(
        "${}.{:02}",
        micro_usd / 1_000_000,
        micro_usd % 1_000_000 / 10_000
    )
}

/// A sentence of the rules in the language of the page, what stands between backquotes as code.
pub(crate) fn said(words: &Words, sentence: &Sentence) -> Markup {
    marked(&words.say(sentence))
}

/// What a record says in the language of the page, what stands between backquotes as code.
pub(crate) fn kept(words: &Words, kept: &Kept) -> Markup {
    marked(&words.kept(kept))
}

/// Why a run failed: the reason and its details.
pub(crate) fn failed(words: &Words, failure: &Failure) -> Markup {
    html! { b { (words.say(&failure.reason.name())) } (words.get("mark.colon")) (kept(words, &failure.detail)) }
}

/// A text in which what stands between backquotes is code; one that is without its other stays.
pub(crate) fn marked(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (at, part) in parts.into_iter().enumerate() {
            @if at % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}
