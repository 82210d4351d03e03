//! What would stop an issue: a list, worst first, on the page and in its form.

use maud::{Markup, html};
use nightshift_domain::preflight::{Code, Finding, Severity};

use super::parts;
use super::words::Words;

/// The list; nothing where nothing was found.
pub(crate) fn list(words: &Words, found: &[Finding]) -> Markup {
    if found.is_empty() {
        return html! {};
    }
    html! {
        section.preflight aria-labelledby="preflight-title" {
            h2 #preflight-title { (words.get("preflight.title")) }
            ul.findings {
                @for one in found {
                    li {
                        (mark(words, one.severity)) " " b { (words.get(key(one.code))) }
                        " " (parts::said(words, &one.what)) (words.get("mark.colon")) (parts::said(words, &one.cause)) (words.get("mark.stop"))
                        span.quiet { (words.get("preflight.next")) " " (parts::said(words, &one.next)) }
                    }
                }
            }
        }
    }
}

/// How bad it is, as a word with a mark.
fn mark(words: &Words, severity: Severity) -> Markup {
    let (class, mark, key) = match severity {
        Severity::Stops => ("badge red", "✗", "preflight.stops"),
        Severity::Warns => ("badge amber", "!", "preflight.warns"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) " " } (words.get(key)) } }
}

fn key(code: Code) -> &'static str {
    match code {
        Code::AgentUnknown => "preflight.agent-unknown",
        Code::OrderShort => "preflight.order-short",
        Code::NoBlock => "preflight.no-block",
        Code::ConfigBroken => "preflight.config-broken",
        Code::SecretMissing => "preflight.secret-missing",
        Code::NoBase => "preflight.no-base",
        Code::NoRunner => "preflight.no-runner",
        Code::NoHarness => "preflight.no-harness",
        Code::NoImages => "preflight.no-images",
        Code::NoProof => "preflight.no-proof",
        Code::Untried => "preflight.untried",
        Code::TestsGreen => "preflight.tests-green",
        Code::TestsBroken => "preflight.tests-broken",
        Code::Blocked => "preflight.blocked",
        Code::Cycle => "preflight.cycle",
        Code::BudgetSpent => "preflight.budget-spent",
        Code::SameFiles => "preflight.same-files",
    }
}
