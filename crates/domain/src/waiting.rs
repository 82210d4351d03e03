//! Why an issue does not move: one sentence, derived from facts, the same in every door.
//!
//! Total over the phases: an issue that has not ended either has work in progress or a reason.
//! Deliberately absent: stored reasons, which would go stale.

use jiff::Timestamp;

use crate::failure::{Failure, Reason};
use crate::id::Number;
use crate::issue::{Issue, Phase};
use crate::job;
use crate::sentence::{Place, Sentence, Template, templates, text};

/// What is known about an issue's surroundings.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The issue's state.
    pub issue: &'a Issue,
    /// Numbers of issues that block it and have not ended.
    pub blockers: &'a [Number],
    /// Its live job, if any.
    pub job: Option<(job::Kind, &'a job::Phase)>,
    /// Runners heard of within the last lease.
    pub runners: Runners,
    /// Whether the project names an image.
    pub image: bool,
    /// What the merge queue says about it.
    pub queue: Option<Sentence>,
    /// Whether the agent it names is defined.
    pub agent_known: bool,
}

/// How many runners are alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runners {
    /// All of them.
    pub all: usize,
    /// Those whose sandboxes can have an image.
    pub with_images: usize,
}

templates! {
    DRAFT = "waiting.draft": "it is a draft: mark it ready";
    QUESTION = "waiting.question": "the agent asked: answer its question";
    UNPROVED = "waiting.unproved": "it could not be proved ({detail}): retry, or send back";
    DECISION = "waiting.decision": "a person must decide: approve, or send back";
    FAILED = "waiting.failed": "{reason}: {detail}: retry, edit, or close";
    STANDS = "waiting.stands": "{reason}: {detail}";
    BLOCKED = "waiting.blocked": "blocked by {issues}";
    NO_AGENT = "waiting.no-agent": "its agent is not defined in .nightshift/config.toml";
    SOON = "waiting.soon": "its job is about to be queued";
    NEXT_SOON = "waiting.next-soon": "its next step is about to be queued";
    PARKED = "waiting.parked": "parked until {until} ({why})";
    POSTPONED = "waiting.postponed": "postponed";
    NO_RUNNER = "waiting.no-runner": "the {kind} job waits and no runner is alive: start one with `nightshift runner`";
    RUNNER = "waiting.runner": "the {kind} job waits for a free runner";
    NO_IMAGES = "waiting.no-images": "the {kind} job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml";
    TRIED_FIRST = "waiting.tried-first": "its sealed tests are tried first: {then}";
}

/// The reason, or `None` while somebody works on it or it has ended.
#[must_use]
pub fn reason(facts: &Facts<'_>, now: Timestamp) -> Option<Sentence> {
    match &facts.issue.phase {
        Phase::Done { .. } | Phase::Closed { .. } => None,
        Phase::Draft => Some(DRAFT.plain()),
        Phase::NeedsInput { .. } => Some(QUESTION.plain()),
        Phase::InReview => Some(match &facts.issue.failed {
            Some(failure) => UNPROVED.with([("detail", (&failure.detail).into())]),
            None => DECISION.plain(),
        }),
        Phase::Landing => facts.queue.clone().or_else(|| {
            facts
                .job
                .and_then(|(kind, phase)| job(facts.runners, facts.image, kind, phase, now))
        }),
        Phase::Ready | Phase::Working => ready_reason(facts, now),
    }
}

fn ready_reason(facts: &Facts<'_>, now: Timestamp) -> Option<Sentence> {
    if let Some(failure) = &facts.issue.failed {
        return Some(failed(failure));
    }
    if !facts.blockers.is_empty() && facts.job.is_none() {
        let numbers: Vec<_> = facts.blockers.iter().map(|n| format!("#{n}")).collect();
        return Some(BLOCKED.with([("issues", text(numbers.join(", ")))]));
    }
    if !facts.agent_known {
        return Some(NO_AGENT.plain());
    }
    match facts.job {
        Some((kind, phase)) => job(facts.runners, facts.image, kind, phase, now),
        None => Some(SOON.plain()),
    }
}

fn failed(failure: &Failure) -> Sentence {
    let said = |template: &'static Template, detail| {
        let reason = failure.reason.name().into();
        template.with([("reason", reason), ("detail", detail)])
    };
    // These say what to do themselves.
    let says_so = matches!(
        failure.reason,
        Reason::BudgetExhausted
            | Reason::AcceptanceGreen
            | Reason::AcceptanceBroken
            | Reason::SecretMissing
    );
    if says_so {
        said(&STANDS, Place::Line(failure.detail.clone()))
    } else {
        said(&FAILED, (&failure.detail).into())
    }
}

/// Why a job does not run, or `None` while it does; `image` where its project names one.
#[must_use]
pub fn job(
    runners: Runners,
    image: bool,
    kind: job::Kind,
    phase: &job::Phase,
    now: Timestamp,
) -> Option<Sentence> {
    match phase {
        job::Phase::Leased { .. } => None,
        job::Phase::Queued { not_before, after } => {
            if let Some(until) = not_before.filter(|until| *until > now) {
                let why = after.as_ref().map(|failure| failure.reason.name());
                let why = why.unwrap_or_else(|| POSTPONED.plain());
                return Some(PARKED.with([("until", text(until)), ("why", why.into())]));
            }
            let template = match runners {
                Runners { all: 0, .. } => &NO_RUNNER,
                Runners { with_images: 0, .. } if image => &NO_IMAGES,
                Runners { .. } => &RUNNER,
            };
            let waits = template.with([("kind", kind.name().into())]);
            Some(match kind {
                job::Kind::Tryout => TRIED_FIRST.with([("then", waits.into())]),
                job::Kind::Author | job::Kind::Verify | job::Kind::Trial => waits,
            })
        }
        job::Phase::Succeeded
        | job::Phase::Failed { .. }
        | job::Phase::Cancelled
        | job::Phase::Dead { .. } => Some(NEXT_SOON.plain()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::Kept;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).expect("a time")
    }

    fn issue(phase: Phase) -> Issue {
        Issue {
            phase,
            round: 1,
            repairs: 0,
            failed: None,
        }
    }

    fn facts(issue: &Issue) -> Facts<'_> {
        Facts {
            issue,
            blockers: &[],
            job: None,
            runners: Runners {
                all: 1,
                with_images: 0,
            },
            image: false,
            queue: None,
            agent_known: true,
        }
    }

    fn said(facts: &Facts<'_>) -> Option<String> {
        reason(facts, now()).map(|sentence| sentence.to_string())
    }

    #[test]
    fn whatever_waits_has_a_reason() {
        let ready = issue(Phase::Ready);
        let queued = job::Phase::Queued {
            not_before: None,
            after: None,
        };
        let parked = job::Phase::Queued {
            not_before: Some(now() + std::time::Duration::from_secs(60)),
            after: Some(Failure {
                reason: Reason::RateLimited,
                detail: Kept::quoted(""),
                retry_at: None,
            }),
        };
        let cases = [
            (facts(&ready), "its job is about to be queued"),
            (
                Facts {
                    blockers: &[3, 4],
                    ..facts(&ready)
                },
                "blocked by #3, #4",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    ..facts(&ready)
                },
                "the author job waits for a free runner",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    runners: Runners::default(),
                    image: true,
                    ..facts(&ready)
                },
                "the author job waits and no runner is alive: start one with `nightshift runner`",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    image: true,
                    ..facts(&ready)
                },
                "the author job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml",
            ),
            (
                Facts {
                    job: Some((job::Kind::Tryout, &queued)),
                    image: true,
                    ..facts(&ready)
                },
                "its sealed tests are tried first: the tryout job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    image: true,
                    runners: Runners {
                        all: 2,
                        with_images: 1,
                    },
                    ..facts(&ready)
                },
                "the author job waits for a free runner",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &parked)),
                    ..facts(&ready)
                },
                "parked until 2023-11-14T22:14:20Z (rate-limited)",
            ),
            (
                Facts {
                    agent_known: false,
                    ..facts(&ready)
                },
                "its agent is not defined in .nightshift/config.toml",
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(said(&facts).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let said = |reason, detail: &str| {
            let mut failed = issue(Phase::Ready);
            failed.failed = Some(Failure {
                reason,
                detail: Kept::quoted(detail),
                retry_at: None,
            });
            said(&facts(&failed)).expect("a reason")
        };
        assert_eq!(
            said(Reason::SetupFailed, "`npm ci` exited with 1"),
            "setup-failed: `npm ci` exited with 1: retry, edit, or close"
        );
        // This one says it itself, and goes on by itself.
        assert_eq!(
            said(Reason::SecretMissing, "A has no value: set it"),
            "secret-missing: A has no value: set it"
        );
    }
}
