//! Why an issue does not move: one sentence, derived from facts, the same in every door.
//!
//! Total over the phases: an issue that has not ended either has work in progress or a reason.
//! Deliberately absent: stored reasons, which would go stale.

use jiff::Timestamp;

use crate::failure::Reason;
use crate::id::Number;
use crate::issue::{Issue, Phase};
use crate::job;

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
    pub runners_alive: usize,
    /// What the merge queue says about it.
    pub queue: Option<&'a str>,
    /// Whether the agent it names is defined.
    pub agent_known: bool,
}

/// The reason, or `None` while somebody works on it or it has ended.
#[must_use]
pub fn reason(facts: &Facts<'_>, now: Timestamp) -> Option<String> {
    match &facts.issue.phase {
        Phase::Done { .. } | Phase::Closed { .. } => None,
        Phase::Draft => Some("it is a draft: mark it ready".to_owned()),
        Phase::NeedsInput { .. } => Some("the agent asked: answer its question".to_owned()),
        Phase::InReview => Some(match &facts.issue.failed {
            Some(failure) => format!(
                "it could not be proved ({}): retry, or send back",
                failure.detail
            ),
            None => "a person must decide: approve, or send back".to_owned(),
        }),
        Phase::Landing => facts.queue.map(str::to_owned).or_else(|| {
            facts
                .job
                .and_then(|(kind, phase)| job_reason(facts, kind, phase, now))
        }),
        Phase::Ready | Phase::Working => ready_reason(facts, now),
    }
}

fn ready_reason(facts: &Facts<'_>, now: Timestamp) -> Option<String> {
    if let Some(failure) = &facts.issue.failed {
        // These say what to do themselves.
        let says_so = matches!(
            failure.reason,
            Reason::BudgetExhausted | Reason::AcceptanceGreen | Reason::AcceptanceBroken
        );
        if says_so {
            let first = failure.detail.lines().next().unwrap_or_default();
            return Some(format!("{}: {first}", failure.reason.as_str()));
        }
        return Some(format!(
            "{}: {}: retry, edit, or close",
            failure.reason.as_str(),
            failure.detail
        ));
    }
    if !facts.blockers.is_empty() && facts.job.is_none() {
        let numbers: Vec<_> = facts.blockers.iter().map(|n| format!("#{n}")).collect();
        return Some(format!("blocked by {}", numbers.join(", ")));
    }
    if !facts.agent_known {
        return Some("its agent is not defined in .nightshift/config.toml".to_owned());
    }
    match facts.job {
        Some((kind, phase)) => job_reason(facts, kind, phase, now),
        None => Some("its job is about to be queued".to_owned()),
    }
}

fn job_reason(
    facts: &Facts<'_>,
    kind: job::Kind,
    phase: &job::Phase,
    now: Timestamp,
) -> Option<String> {
    match phase {
        job::Phase::Leased { .. } => None,
        job::Phase::Queued { not_before, after } => {
            if let Some(until) = not_before.filter(|until| *until > now) {
                let why = after.as_ref().map_or("postponed", |f| f.reason.as_str());
                return Some(format!("parked until {until} ({why})"));
            }
            let tryout = kind == job::Kind::Tryout;
            let first = if tryout {
                "its sealed tests are tried first: "
            } else {
                ""
            };
            if facts.runners_alive == 0 {
                return Some(format!(
                    "{first}the {} job waits and no runner is alive: start one with `nightshift runner`",
                    kind.as_str()
                ));
            }
            Some(format!(
                "{first}the {} job waits for a free runner",
                kind.as_str()
            ))
        }
        job::Phase::Succeeded
        | job::Phase::Failed { .. }
        | job::Phase::Cancelled
        | job::Phase::Dead { .. } => Some("its next step is about to be queued".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

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
            runners_alive: 1,
            queue: None,
            agent_known: true,
        }
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
                detail: String::new(),
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
                    runners_alive: 0,
                    ..facts(&ready)
                },
                "the author job waits and no runner is alive: start one with `nightshift runner`",
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
            assert_eq!(reason(&facts, now()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let mut failed = issue(Phase::Ready);
        failed.failed = Some(Failure {
            reason: Reason::SetupFailed,
            detail: "`npm ci` exited with 1".to_owned(),
            retry_at: None,
        });
        assert_eq!(
            reason(&facts(&failed), now()).as_deref(),
            Some("setup-failed: `npm ci` exited with 1: retry, edit, or close")
        );
    }
}
