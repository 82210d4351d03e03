//! What an agent may look up about its order while it works, as it was when the run began.
//!
//! Invariant: it is made once, together with the prompt and from the same texts, so that an edit
//! after the start changes nothing for the run; each text carries how far its author is trusted.
//! Deliberately absent: text of people who may not write to the project, which is left out here as
//! it is left out of the prompt.

use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::id::Number;
use crate::prompt::{Said, What};
use crate::trust::Trust;

/// The order, as the run was given it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The project's name.
    pub project: String,
    /// The number.
    pub number: Number,
    /// The round.
    pub round: i64,
    /// The title.
    pub title: String,
    /// The body, Markdown; absent where nobody released it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How far title and body are trusted.
    pub trust: Option<Trust>,
    /// What was said since the issue was filed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Heard>,
    /// Why the last verdict was red.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub red: Vec<String>,
    /// What its commands printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<CheckResult>,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// What it was.
    pub what: What,
    /// Who said it.
    pub by: String,
    /// How far they are trusted.
    pub trust: Trust,
    /// The round it was said in.
    pub round: i64,
    /// The words, Markdown.
    pub text: String,
}

/// What of this an agent may hear: its own questions, and words of people who may write.
#[must_use]
pub fn heard<'a>(said: impl IntoIterator<Item = &'a Said>) -> Vec<Heard> {
    said.into_iter()
        .filter(|said| said.trust.reaches_prompts() || said.what == What::Question)
        .map(|said| Heard {
            what: said.what,
            by: said.by.clone(),
            trust: said.trust,
            round: said.round,
            text: said.text.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outsiders_words_are_not_looked_up_either() {
        let said = |what, trust| Said {
            what,
            by: "x".to_owned(),
            trust,
            text: format!("{what:?} {trust:?}"),
            round: 1,
        };
        let all = [
            said(What::Question, Trust::Tool),
            said(What::Answer, Trust::Collaborator),
            said(What::Feedback, Trust::Outsider),
            said(What::Steer, Trust::Tool),
            said(What::Feedback, Trust::Maintainer),
        ];
        let texts: Vec<String> = heard(&all).into_iter().map(|one| one.text).collect();
        assert_eq!(
            texts,
            [
                "Question Tool",
                "Answer Collaborator",
                "Feedback Maintainer"
            ]
        );
    }
}
