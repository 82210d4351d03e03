//! Events as sentences: what somebody who watches for the first time wants to read.

use nightshift_api::project::Event;

use crate::screen::{Span, Style};

/// An event in words, if it is worth telling.
pub(crate) fn told(event: &Event) -> Option<Span> {
    let text = |name: &str| event.data[name].as_str().unwrap_or_default().to_owned();
    let round = event.data["round"].as_i64().unwrap_or(1);
    let (style, words) = match event.kind.as_str() {
        "issue.filed" => (Style::Plain, format!("filed: {}", text("title"))),
        "issue.started" => (
            Style::Cyan,
            match round {
                1 => "an agent starts in its sandbox".to_owned(),
                n => format!("an agent starts round {n} on the same branch"),
            },
        ),
        "issue.asked" => (
            Style::Yellow,
            "the agent asks, and waits for an answer".to_owned(),
        ),
        "issue.answered" => (Style::Plain, "answered: the agent goes on".to_owned()),
        "issue.failed" => (Style::Red, "the agent failed".to_owned()),
        "pull.head-adopted" => (
            Style::Cyan,
            "a change is pushed; it is proved in a fresh sandbox".to_owned(),
        ),
        "pull.green" => (
            Style::Green,
            "verdict green: waits for a decision".to_owned(),
        ),
        "pull.not-green" => (
            Style::Red,
            "verdict not green: waits for a decision".to_owned(),
        ),
        "pull.proof-failed" => (Style::Red, "the proof could not be made".to_owned()),
        "pull.approved" => (
            Style::Plain,
            "approved: the merged tree is proved, then it lands".to_owned(),
        ),
        "pull.sent-back" => (Style::Yellow, "sent back: the next round begins".to_owned()),
        "pull.conflicted" => (Style::Red, "conflicts with the base".to_owned()),
        "pull.returned" => (
            Style::Red,
            "the merged tree failed: back to the person".to_owned(),
        ),
        "pull.landed" => (Style::Green, "landed".to_owned()),
        "run.lost" => (Style::Red, "the runner of a run fell silent".to_owned()),
        _ => return None,
    };
    Some(Span::new(style, words))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_matters_is_told() {
        let event = |kind: &str| -> Event {
            serde_json::from_value(json!({
                "seq": 1, "at": "2023-11-14T22:13:20Z", "kind": kind, "project": "tally", "issue": null,
                "number": 1, "run": null, "actor": "x", "data": {"round": 2},
            }))
            .expect("an event")
        };
        assert_eq!(
            told(&event("issue.started")),
            Some(Span::new(
                Style::Cyan,
                "an agent starts round 2 on the same branch"
            ))
        );
        assert_eq!(told(&event("git.pushed")), None);
    }
}
