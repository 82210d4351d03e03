//! Guidelines that an agent proposes, shown to whoever judges its change.
//!
//! Deliberately absent: a button; nothing comes of a proposal by itself.

use maud::{Markup, html};
use nightshift_app::record::Proposal;

use super::words::Words;
use super::{markdown, parts};

/// The panel; nothing where nothing is proposed.
pub(crate) fn panel(words: &Words, proposals: &[Proposal]) -> Markup {
    html! {
        @if !proposals.is_empty() {
            section.box aria-labelledby="proposals" {
                h2 #proposals { (words.get("proposal.title")) }
                p.quiet { (words.get("proposal.hint")) }
                @for proposal in proposals {
                    div.said {
                        div.prose { (markdown::render(&proposal.body)) }
                        @if let Some(source) = &proposal.source {
                            p.quiet { (words.get("proposal.source")) }
                            blockquote { (markdown::render(source)) }
                        }
                        p.quiet {
                            a href={ "/runs/" (proposal.run) } { (words.get("change.run")) }
                            " · " (parts::time(proposal.created_at))
                        }
                    }
                }
            }
        }
    }
}
