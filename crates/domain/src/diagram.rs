//! The state machines as a document: found by trying every event in every state that can be
//! reached, so the picture cannot differ from the rules.
//!
//! Invariant: the same rules give the same bytes. Deliberately absent: any knowledge of what an
//! event does; only names of events and effects are given here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use jiff::Timestamp;
use uuid::Uuid;

use crate::failure::{Failure, Policy, Reason};
use crate::git_name::ObjectId;
use crate::id::{RunId, RunnerId};
use crate::issue::{self, Cause, Effect, Issue, Notice};
use crate::job::{self, Job, Outcome};

/// From, event, to.
type Edge = (String, String, String);
/// Edges, and what is done with each.
type Edges = BTreeMap<Edge, BTreeSet<String>>;

/// The whole document, Markdown with Mermaid diagrams.
#[must_use]
pub fn document() -> String {
    let mut out = String::from(
        "# States\n\nWritten by `nightshift states`, which tries every event in every state that can be \
         reached. Whatever is not listed is refused.\n\n## Issue\n\n",
    );
    let issue = issue_edges();
    draw(&mut out, &issue, &["draft", "ready"], &["done", "closed"]);
    out.push_str("\n| in | when | then | and |\n|---|---|---|---|\n");
    for ((from, event, to), effects) in &issue {
        let effects: Vec<_> = effects.iter().map(String::as_str).collect();
        push(
            &mut out,
            format_args!("| {from} | {event} | {to} | {} |\n", effects.join(", ")),
        );
    }
    out.push_str("\n## Job\n\n");
    let ends = ["succeeded", "failed", "cancelled", "dead"];
    draw(&mut out, &job_edges(), &["queued"], &ends);
    out.push_str(
        "\nA run that ends without its result has one of these reasons; the reason decides what \
         follows.\n\n| reason | what follows |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        let follows = policy(reason.policy());
        push(
            &mut out,
            format_args!("| {} | {follows} |\n", reason.as_str()),
        );
    }
    out
}

fn draw(out: &mut String, edges: &Edges, starts: &[&str], ends: &[&str]) {
    // Mermaid takes no `-` in the name of a state.
    let name = |word: &str| word.replace('-', "_");
    out.push_str("```mermaid\nstateDiagram-v2\n");
    let words: BTreeSet<_> = edges.keys().flat_map(|(from, _, to)| [from, to]).collect();
    for word in words.into_iter().filter(|word| word.contains('-')) {
        push(out, format_args!("    {} : {word}\n", name(word)));
    }
    for start in starts {
        push(out, format_args!("    [*] --> {}\n", name(start)));
    }
    let mut arrows: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, event, to) in edges.keys() {
        arrows.entry((from, to)).or_default().push(event);
    }
    for ((from, to), events) in arrows {
        let events = events.join(", ");
        push(
            out,
            format_args!("    {} --> {} : {events}\n", name(from), name(to)),
        );
    }
    for end in ends {
        push(out, format_args!("    {} --> [*]\n", name(end)));
    }
    out.push_str("```\n");
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    out.write_fmt(text).ok();
}

fn issue_edges() -> Edges {
    let mut edges = Edges::new();
    let mut seen = BTreeSet::new();
    let mut open: VecDeque<Issue> = [false, true].map(|ready| Issue::filed(ready).next).into();
    while let Some(state) = open.pop_front() {
        // Nothing else of a state decides what may happen.
        let key = (
            state.phase.as_str(),
            state.repairs,
            state.failed.is_some(),
            state.round > 1,
        );
        if !seen.insert(key) {
            continue;
        }
        for event in issue_events() {
            let word = issue_event_word(&event);
            if let Ok(change) = state.clone().apply(event) {
                let from = state.phase.as_str().to_owned();
                let to = change.next.phase.as_str().to_owned();
                let effects = edges.entry((from, word.to_owned(), to)).or_default();
                effects.extend(change.effects.iter().map(effect_words));
                open.push_back(change.next);
            }
        }
    }
    edges
}

fn some_failure(reason: Reason) -> Failure {
    Failure::new(reason, reason.name())
}

/// One of each, and a verdict of each kind.
fn issue_events() -> Vec<issue::Event> {
    use issue::Event as E;
    let judged = |green, repairable| E::Judged {
        green,
        repairable,
        max_repairs: 1,
    };
    vec![
        E::MarkReady,
        E::MarkDraft,
        E::AuthorStarted,
        E::Asked {
            question: crate::sentence::Kept::quoted(""), // tidy-ok(said): nobody's words
            run: RunId(Uuid::nil()),
        },
        E::Answered,
        E::HeadAdopted,
        E::HeadPushed,
        judged(true, false),
        judged(false, false),
        judged(false, true),
        E::ProofFailed {
            failure: some_failure(Reason::SandboxUnavailable),
        },
        E::AuthorFailed {
            failure: some_failure(Reason::AgentFailed),
        },
        E::AuthorStopped,
        E::Approved,
        E::TrialAsked {
            failure: some_failure(Reason::HostMissing),
        },
        E::SentBack,
        E::Conflicted { paths: vec![] },
        E::Unlanded,
        E::Withdrawn,
        E::Landed {
            commit: ObjectId::zero(),
        },
        E::Retried,
        E::ProofRetried,
        E::Closed {
            reason: String::new(),
        },
        E::Reopened,
    ]
}

/// A new event does not compile until it has a word here; give it a line above as well.
fn issue_event_word(event: &issue::Event) -> &'static str {
    use issue::Event as E;
    match event {
        E::MarkReady => "marked ready",
        E::MarkDraft => "marked draft",
        E::AuthorStarted => "author started",
        E::Asked { .. } => "agent asked",
        E::Answered => "answered",
        E::HeadAdopted => "result adopted",
        E::HeadPushed => "person pushed",
        E::Judged { green: true, .. } => "verdict green",
        E::Judged {
            repairable: true, ..
        } => "verdict red (repairable)",
        E::Judged { .. } => "verdict red",
        E::ProofFailed { .. } => "proof failed",
        E::AuthorFailed { .. } => "author failed",
        E::AuthorStopped => "author stopped",
        E::Approved => "approved",
        E::TrialAsked { .. } => "trial asked",
        E::SentBack => "sent back",
        E::Conflicted { .. } => "conflict",
        E::Unlanded => "merged tree failed",
        E::Withdrawn => "decision withdrawn",
        E::Landed { .. } => "landed",
        E::Retried => "retried",
        E::ProofRetried => "proof retried",
        E::Closed { .. } => "closed",
        E::Reopened => "reopened",
    }
}

fn effect_words(effect: &Effect) -> String {
    match effect {
        Effect::QueueAuthor(cause) => format!("queue author ({})", cause_word(cause)),
        Effect::QueueVerify => "queue verify".to_owned(),
        Effect::EnterQueue => "enter merge queue".to_owned(),
        Effect::LeaveQueue => "leave merge queue".to_owned(),
        Effect::CancelJobs => "cancel jobs".to_owned(),
        Effect::Notify(notice) => format!("notify ({})", notice_word(*notice)),
    }
}

fn cause_word(cause: &Cause) -> &'static str {
    match cause {
        Cause::First => "first",
        Cause::Answer => "answer",
        Cause::SentBack => "sent back",
        Cause::RedVerdict => "red verdict",
        Cause::Conflict { .. } => "conflict",
        Cause::Retry => "retry",
    }
}

fn notice_word(notice: Notice) -> &'static str {
    match notice {
        Notice::ReviewWanted => "review wanted",
        Notice::InputWanted => "input wanted",
        Notice::Failed => "failed",
        Notice::Landed => "landed",
    }
}

fn job_edges() -> Edges {
    let mut edges = Edges::new();
    let mut seen = BTreeSet::new();
    let mut open: VecDeque<Job> = [Job::queued()].into();
    while let Some(state) = open.pop_front() {
        let stop = matches!(state.phase, job::Phase::Leased { stop: true, .. });
        if !seen.insert((state.phase.as_str(), state.starts, stop)) {
            continue;
        }
        // With every claim so much later that any lease has run out and any pause is over.
        let claims = u32::try_from(state.epoch).unwrap_or(0) + 1;
        let later = Timestamp::UNIX_EPOCH + job::LEASE * 1_000 * claims;
        for (word, event) in job_events(state.epoch) {
            if let Ok(next) = state.clone().apply(event, later) {
                let from = state.phase.as_str().to_owned();
                let edge = (from, word, next.phase.as_str().to_owned());
                edges.entry(edge).or_default();
                open.push_back(next);
            }
        }
    }
    edges
}

fn job_events(epoch: i64) -> Vec<(String, job::Event)> {
    let finish = |outcome| job::Event::Finish { epoch, outcome };
    let mut events = vec![
        (
            "claim".to_owned(),
            job::Event::Claim {
                runner: RunnerId(Uuid::nil()),
                run: RunId(Uuid::nil()),
            },
        ),
        ("beat".to_owned(), job::Event::Beat { epoch }),
        ("succeeded".to_owned(), finish(Outcome::Succeeded)),
        ("stopped".to_owned(), finish(Outcome::Stopped)),
        ("lease ran out".to_owned(), job::Event::Expire),
        ("cancel".to_owned(), job::Event::Cancel),
        (
            "must not start".to_owned(),
            job::Event::Forbid {
                failure: some_failure(Reason::BudgetExhausted),
            },
        ),
    ];
    for reason in Reason::ALL {
        let word = match reason.policy() {
            Policy::Retry { .. } => "failed (retry)",
            Policy::Park { .. } => "failed (park)",
            Policy::Gate => "failed (gate)",
        };
        events.push((
            word.to_owned(),
            finish(Outcome::Failed(some_failure(*reason))),
        ));
    }
    events
}

fn policy(policy: Policy) -> String {
    match policy {
        Policy::Retry { after, counts } => {
            let wait = match after.as_secs() {
                0 => "retry at once".to_owned(),
                s => format!("retry after {s} s, doubled with every start"),
            };
            match counts {
                true => format!("{wait}; dead after {} starts", job::MAX_STARTS),
                false => format!("{wait}; the start does not count"),
            }
        }
        Policy::Park { default } => format!(
            "park until the time that the provider named, or {} minutes; the start does not count",
            default.as_secs() / 60
        ),
        Policy::Gate => "a person decides".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(edges: &Edges, from: &str, event: &str, to: &str) -> bool {
        edges.contains_key(&(from.to_owned(), event.to_owned(), to.to_owned()))
    }

    #[test]
    fn every_phase_is_reached_and_left_as_the_rules_say() {
        let edges = issue_edges();
        let words: BTreeSet<_> = edges.keys().map(|(_, _, to)| to.as_str()).collect();
        let all: BTreeSet<_> = issue::Phase::WORDS.iter().copied().collect();
        assert_eq!(words, all);
        assert!(has(&edges, "working", "verdict red (repairable)", "ready"));
        assert!(has(
            &edges,
            "working",
            "verdict red (repairable)",
            "in-review"
        ));
        assert!(has(&edges, "landing", "landed", "done"));
        assert!(!edges.keys().any(|(from, _, _)| from == "done"));
        // Every event is tried, and each does something somewhere.
        let tried: BTreeSet<_> = issue_events().iter().map(issue_event_word).collect();
        let useful: BTreeSet<_> = edges.keys().map(|(_, event, _)| event.as_str()).collect();
        assert_eq!(tried, useful);
    }

    #[test]
    fn a_job_ends_in_four_ways_and_never_starts_again() {
        let edges = job_edges();
        for (event, to) in [("claim", "leased"), ("cancel", "cancelled")] {
            assert!(has(&edges, "queued", event, to), "{event}");
        }
        for (event, to) in [
            ("succeeded", "succeeded"),
            ("stopped", "cancelled"),
            ("failed (gate)", "failed"),
            ("failed (park)", "queued"),
            ("failed (retry)", "queued"),
            ("failed (retry)", "dead"),
            ("lease ran out", "queued"),
            ("lease ran out", "dead"),
            ("beat", "leased"),
        ] {
            assert!(has(&edges, "leased", event, to), "{event} -> {to}");
        }
        assert!(
            !edges
                .keys()
                .any(|(from, _, _)| from != "queued" && from != "leased")
        );
    }

    #[test]
    fn the_same_rules_give_the_same_bytes() {
        assert_eq!(document(), document());
        assert!(document().contains("| rate-limited | park"));
    }
}
