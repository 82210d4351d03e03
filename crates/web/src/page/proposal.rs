//! Guidelines that an agent proposes, shown to whoever judges its change, and the buttons that decide.
//!
//! Invariant: what a maintainer accepts is shown as it will stand in the file, sign for sign, and not as
//! Markdown would have it look. Deliberately absent: a form that changes the words.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use nightshift_app::Error;
use nightshift_app::record::{Proposal, Taken};
use serde::Deserialize;
use uuid::Uuid;

use super::issue::number_of;
use super::say;
use super::{Posted, Visit, markdown, parts};

/// The panel; nothing where nothing is proposed. The forms go to `home`.
pub(crate) fn panel(
    visit: &Visit,
    home: &str,
    proposals: &[Proposal],
    may_configure: bool,
) -> Markup {
    let words = visit.words;
    html! {
        @if !proposals.is_empty() {
            section.box aria-labelledby="proposals" {
                h2 #proposals { (words.get("proposal.title")) }
                p.quiet { (words.get("proposal.hint")) }
                @for proposal in proposals {
                    div.said {
                        pre.wrap { (proposal.body) }
                        @if let Some(source) = &proposal.source {
                            p.quiet { (words.get("proposal.source")) }
                            blockquote { (markdown::render(source)) }
                        }
                        p.quiet {
                            a href={ "/runs/" (proposal.run) } { (words.get("change.run")) }
                            " · " (parts::time(proposal.created_at))
                        }
                        (stands(visit, proposal))
                        @if may_configure { (buttons(visit, home, proposal)) }
                        @else if proposal.decided.is_none() { p.quiet { (words.get("proposal.ask-maintainer")) } }
                    }
                }
            }
        }
    }
}

fn stands(visit: &Visit, proposal: &Proposal) -> Markup {
    let Some((taken, by, at)) = &proposal.decided else {
        return html! {};
    };
    let (class, word) = match taken {
        Taken::Accepted => ("badge green", "proposal.accepted"),
        Taken::Dismissed => ("badge", "proposal.dismissed"),
    };
    html! {
        p { span class=(class) { (visit.words.get(word)) }
            " " span.quiet { (by.label()) " · " (parts::time(*at)) } }
    }
}

fn buttons(visit: &Visit, home: &str, proposal: &Proposal) -> Markup {
    let words = visit.words;
    html! {
        @if proposal.decided.is_none() {
            form.inline method="post" action={ (home) "/guidelines" } {
                (parts::form_token(visit))
                input type="hidden" name="proposal" value=(proposal.id);
                button.primary name="what" value="accept" { (words.get("proposal.accept")) } " "
                button name="what" value="dismiss" { (words.get("proposal.dismiss")) }
            }
        }
    }
}

/// What becomes of a proposal.
#[derive(Deserialize)]
pub(crate) struct Decide {
    proposal: Uuid,
    what: String,
}

/// Decides, and shows the change again.
pub(crate) async fn decide(
    Path((project, number)): Path<(String, String)>,
    posted: Posted<Decide>,
) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    match carry_out(visit, &project, &number, form).await {
        Ok(()) => Redirect::to(&format!("/p/{project}/{number}/change#proposals")).into_response(),
        Err(error) => visit.failed(error),
    }
}

async fn carry_out(visit: &Visit, project: &str, number: &str, form: &Decide) -> Result<(), Error> {
    let taken = match form.what.as_str() {
        "accept" => Taken::Accepted,
        "dismiss" => Taken::Dismissed,
        other => {
            return Err(Error::Invalid {
                detail: say::no_act_on_proposal(format!("{other:?}")).into(),
            });
        }
    };
    let number = number_of(number)?;
    let decided = visit
        .app
        .guideline_decide(&visit.caller, project, number, form.proposal, taken);
    decided.await.map(drop)
}
