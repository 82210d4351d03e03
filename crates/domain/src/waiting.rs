//! Why an issue does not move: one sentence, derived from facts, the same in every door.
//!
//! Total over the phases: an issue that has not ended either has work in progress or a reason.
//! Deliberately absent: stored reasons, which would go stale.

use jiff::Timestamp;

use crate::failure::{Failure, Reason};
use crate::id::Number;
use crate::issue::{Issue, Phase};
use crate::job;
use crate::route::{Lack, Needs, Runner, lack};
use crate::sentence::{Place, Sentence, templates, text};

/// What is known about an issue's surroundings.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The issue's state.
    pub issue: &'a Issue,
    /// Numbers of issues that block it and have not ended.
    pub blockers: &'a [Number],
    /// Its live job, if any.
    pub job: Option<(job::Kind, &'a job::Phase)>,
    /// What that needs of its runner.
    pub needs: Needs,
    /// Runners heard of within the last lease.
    pub runners: &'a [Runner],
    /// What the merge queue says about it.
    pub queue: Option<Sentence>,
    /// Whether the agent it names is defined.
    pub agent_known: bool,
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
    DRAINING = "waiting.draining": "the {kind} job waits, and every runner that could take it is draining: take one back with `nightshift runner drain NAME --undo` (administrators), or start another";
    RUNNER = "waiting.runner": "the {kind} job waits for a free runner";
    NO_KIND = "waiting.no-kind": "the {kind} job waits, and no runner that is alive takes such jobs: start one with `nightshift runner --kind {word}`";
    NO_IMAGES = "waiting.no-images": "the {kind} job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml";
    NO_HARNESS = "waiting.no-harness": "the {kind} job waits, and no runner that is alive has the program and the model endpoint of {harness}: see `nightshift agent doctor` on a runner's machine, or give the issue another agent";
    NO_HARNESS_IN_IMAGE = "waiting.no-harness-in-image": "the {kind} job waits, and no runner with containers that is alive has the model endpoint of {harness}: see `nightshift agent doctor` on its machine, or give the issue another agent";
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
        Phase::Landing => {
            let asked = facts.issue.failed.as_ref().map(failed);
            asked.or_else(|| facts.queue.clone()).or_else(|| {
                facts
                    .job
                    .and_then(|(kind, phase)| job(facts.runners, facts.needs, kind, phase, now))
            })
        }
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
        Some((kind, phase)) => job(facts.runners, facts.needs, kind, phase, now),
        None => Some(SOON.plain()),
    }
}

/// A failure that says itself what to do.
#[must_use]
pub fn stands(failure: &Failure) -> Sentence {
    let reason = failure.reason.name().into();
    STANDS.with([
        ("reason", reason),
        ("detail", Place::Line(failure.detail.clone())),
    ])
}

fn failed(failure: &Failure) -> Sentence {
    // These say what to do themselves.
    let says_so = matches!(
        failure.reason,
        Reason::BudgetExhausted
            | Reason::AcceptanceGreen
            | Reason::AcceptanceBroken
            | Reason::SecretMissing
            | Reason::HostMissing
    );
    if says_so {
        return stands(failure);
    }
    let reason = failure.reason.name().into();
    FAILED.with([("reason", reason), ("detail", (&failure.detail).into())])
}

/// Why a job does not run, or `None` while it does.
#[must_use]
pub fn job(
    runners: &[Runner],
    needs: Needs,
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
            let about = [("kind", kind.name().into())];
            let waits = match lack(runners, kind, needs) {
                None => RUNNER.with(about),
                Some(Lack::Runner) => NO_RUNNER.with(about),
                Some(Lack::Draining) => DRAINING.with(about),
                Some(Lack::Kind) => {
                    let [kind_name] = about;
                    NO_KIND.with([kind_name, ("word", text(kind.as_str()))])
                }
                Some(Lack::Image) => NO_IMAGES.with(about),
                Some(Lack::Harness(harness)) => {
                    let template = match needs.image {
                        true => &NO_HARNESS_IN_IMAGE,
                        false => &NO_HARNESS,
                    };
                    let [kind] = about;
                    template.with([kind, ("harness", text(harness.as_str()))])
                }
            };
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
    use crate::config::Harness;
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

    /// One that says nothing of itself.
    static SILENT: [Runner; 1] = [Runner {
        kinds: None,
        harnesses: None,
        images: false,
        draining: false,
    }];

    fn facts(issue: &Issue) -> Facts<'_> {
        Facts {
            issue,
            blockers: &[],
            job: None,
            needs: Needs::default(),
            runners: &SILENT,
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
        let image = Needs {
            image: true,
            harness: None,
        };
        let claude = Needs {
            image: false,
            harness: Some(Harness::ClaudeCode),
        };
        let native = Needs {
            image: true,
            harness: Some(Harness::Native),
        };
        let bare = Runner {
            harnesses: Some(vec!["codex".to_owned()]),
            ..Runner::default()
        };
        let contained = [
            bare.clone(),
            Runner {
                images: true,
                ..bare.clone()
            },
        ];
        let able = [bare.clone(), Runner::default()];
        let drained = [
            bare.clone(),
            Runner {
                draining: true,
                ..Runner::default()
            },
        ];
        let proofs = [Runner {
            kinds: Some(vec!["verify".to_owned()]),
            ..Runner::default()
        }];
        let codex = [bare];
        let author = Some((job::Kind::Author, &queued));
        let cases = [
            (facts(&ready), "its job is about to be queued"),
            (
                Facts {
                    job: author,
                    needs: claude,
                    runners: &codex,
                    ..facts(&ready)
                },
                "the author job waits, and no runner that is alive has the program and the model endpoint of claude-code: see `nightshift agent doctor` on a runner's machine, or give the issue another agent",
            ),
            (
                Facts {
                    job: author,
                    needs: native,
                    runners: &contained,
                    ..facts(&ready)
                },
                "the author job waits, and no runner with containers that is alive has the model endpoint of native: see `nightshift agent doctor` on its machine, or give the issue another agent",
            ),
            (
                Facts {
                    job: author,
                    needs: claude,
                    runners: &able,
                    ..facts(&ready)
                },
                "the author job waits for a free runner",
            ),
            (
                Facts {
                    job: author,
                    needs: claude,
                    runners: &drained,
                    ..facts(&ready)
                },
                "the author job waits, and every runner that could take it is draining: take one back with `nightshift runner drain NAME --undo` (administrators), or start another",
            ),
            (
                Facts {
                    job: author,
                    needs: claude,
                    runners: &proofs,
                    ..facts(&ready)
                },
                "the author job waits, and no runner that is alive takes such jobs: start one with `nightshift runner --kind author`",
            ),
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
                    runners: &[],
                    needs: image,
                    ..facts(&ready)
                },
                "the author job waits and no runner is alive: start one with `nightshift runner`",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    needs: image,
                    ..facts(&ready)
                },
                "the author job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml",
            ),
            (
                Facts {
                    job: Some((job::Kind::Tryout, &queued)),
                    needs: image,
                    ..facts(&ready)
                },
                "its sealed tests are tried first: the tryout job waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml",
            ),
            (
                Facts {
                    job: Some((job::Kind::Author, &queued)),
                    needs: image,
                    runners: &contained,
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
