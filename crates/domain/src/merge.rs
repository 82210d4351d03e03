//! The merge queue as a planner: lands approved pull requests one at a time, in order of approval.
//!
//! The default branch moves only to a commit whose tree was tested, by compare-and-swap from the
//! value on which the candidate was built. Every entry that does not move has its reason in
//! `waiting`. One whose trial asks a person is passed over until it is answered, however long that
//! takes: nobody waits behind it, and it keeps its place. Deliberately absent: git, the database, the clock.

use serde::{Deserialize, Serialize};

use crate::git_name::ObjectId;
use crate::id::{IssueId, Number};
use crate::job;
use crate::sentence::{Kept, Sentence, joined, templates, text};

/// What the queue looks like now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the default branch is.
    pub base: ObjectId,
    /// Approved pull requests, first approved first.
    pub entries: Vec<Entry>,
}

/// One approved pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub issue: IssueId,
    /// Its number, for people.
    pub number: Number,
    /// Where its branch is.
    pub head: ObjectId,
    /// The commit that was approved.
    pub approved: ObjectId,
    /// Whether the approval can still be withdrawn; until then it waits.
    pub held: bool,
    /// What its trial asks of a person, until that is answered.
    pub asks: Option<Sentence>,
    /// The commit built for landing, if one was.
    pub candidate: Option<Candidate>,
}

/// A commit built for landing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The commit.
    pub commit: ObjectId,
    /// The base it was built on.
    pub base: ObjectId,
    /// The head it was built from.
    pub head: ObjectId,
    /// What is known about it.
    pub trial: Trial,
}

/// What is known about a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trial", rename_all = "kebab-case")]
pub enum Trial {
    /// Its tree equals the tree of a verified head: nothing is left to test.
    SameTree,
    /// No trial yet.
    Wanted,
    /// A trial is queued or runs.
    Running {
        /// Whether an earlier trial of the same candidate was red.
        after_red: bool,
    },
    /// All required checks passed on it.
    Green,
    /// A required check failed once; tried again before anyone is blamed.
    RedOnce,
    /// A required check failed twice.
    Red {
        /// Which, in words.
        reasons: Vec<Kept>,
    },
    /// The trial itself could not be made.
    Unknown {
        /// Why.
        reason: Kept,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Steps, to be carried out in order; each checks its own precondition again.
    pub steps: Vec<Step>,
    /// For every entry that does not move: why.
    pub waiting: Vec<Waiting>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Build the candidate on this base from this head.
    Build {
        /// Which.
        issue: IssueId,
        /// The base.
        base: ObjectId,
        /// The head.
        head: ObjectId,
    },
    /// Queue a trial of the candidate.
    Try {
        /// Which.
        issue: IssueId,
        /// The candidate's commit.
        commit: ObjectId,
    },
    /// Move the default branch from `base` to `commit`.
    Land {
        /// Which.
        issue: IssueId,
        /// The value to swap from.
        base: ObjectId,
        /// The value to swap to.
        commit: ObjectId,
    },
    /// Take it out of the queue: the person must look again.
    Return {
        /// Which.
        issue: IssueId,
        /// Why.
        reason: Sentence,
    },
}

/// Why an entry does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub issue: IssueId,
    /// Why.
    pub reason: Sentence,
}

templates! {
    HELD = "queue.held": "the approval can still be taken back for a few seconds";
    AHEAD = "queue.ahead": "#{number} is ahead in the merge queue";
    TESTED = "queue.tested": "the merged tree {commit} is being tested";
    MOVED = "queue.moved": "its branch moved after the approval";
    RED = "queue.red": "together with the current default branch: {reasons}";
    UNTESTED = "queue.untested": "the merged tree could not be tested: {reason}";
    CANCELLED = "queue.trial-cancelled": "the trial was cancelled";
    GONE = "queue.trial-gone": "the trial is gone";
    NO_RESULT = "queue.trial-no-result": "the trial brought no result";
}

/// That another issue is ahead in the queue.
#[must_use]
pub fn behind(number: Number) -> Sentence {
    AHEAD.with([("number", text(number))])
}

/// What is known about a candidate whose trial ended like this without a result; none where it has
/// not ended.
#[must_use]
pub fn without_result(trial: Option<&job::Phase>) -> Option<Trial> {
    let reason = match trial {
        Some(job::Phase::Failed { failure } | job::Phase::Dead { failure }) => {
            failure.detail.clone()
        }
        Some(job::Phase::Cancelled) => CANCELLED.plain().into(),
        None => GONE.plain().into(),
        Some(job::Phase::Succeeded) => NO_RESULT.plain().into(),
        Some(job::Phase::Queued { .. } | job::Phase::Leased { .. }) => return None,
    };
    Some(Trial::Unknown { reason })
}

/// Plans the next steps of the queue.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan {
        steps: Vec::new(),
        waiting: Vec::new(),
    };
    let mut first: Option<Number> = None;
    for entry in &snapshot.entries {
        if entry.head != entry.approved {
            plan.steps.push(Step::Return {
                issue: entry.issue,
                reason: MOVED.plain(),
            });
            continue;
        }
        if entry.held {
            plan.waiting.push(Waiting {
                issue: entry.issue,
                reason: HELD.plain(),
            });
            continue;
        }
        if let Some(reason) = &entry.asks {
            plan.waiting.push(Waiting {
                issue: entry.issue,
                reason: reason.clone(),
            });
            continue;
        }
        if let Some(number) = first {
            plan.waiting.push(Waiting {
                issue: entry.issue,
                reason: behind(number),
            });
            continue;
        }
        if plan_first(entry, &snapshot.base, &mut plan) {
            first = Some(entry.number);
        }
    }
    plan
}

/// Plans for the entry at the head of the queue; says whether it still stands in the way.
fn plan_first(entry: &Entry, base: &ObjectId, plan: &mut Plan) -> bool {
    let issue = entry.issue;
    let usable = entry
        .candidate
        .as_ref()
        .filter(|candidate| candidate.base == *base && candidate.head == entry.approved);
    let Some(candidate) = usable else {
        plan.steps.push(Step::Build {
            issue,
            base: base.clone(),
            head: entry.approved.clone(),
        });
        return true;
    };
    match &candidate.trial {
        Trial::SameTree | Trial::Green => plan.steps.push(Step::Land {
            issue,
            base: base.clone(),
            commit: candidate.commit.clone(),
        }),
        Trial::Wanted | Trial::RedOnce => plan.steps.push(Step::Try {
            issue,
            commit: candidate.commit.clone(),
        }),
        Trial::Running { .. } => plan.waiting.push(Waiting {
            issue,
            reason: TESTED.with([("commit", text(candidate.commit.short()))]),
        }),
        Trial::Red { reasons } => {
            let reasons = joined(reasons).unwrap_or_else(|| text(""));
            plan.steps.push(Step::Return {
                issue,
                reason: RED.with([("reasons", reasons)]),
            });
            return false;
        }
        Trial::Unknown { reason } => {
            plan.steps.push(Step::Return {
                issue,
                reason: UNTESTED.with([("reason", reason.into())]),
            });
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn oid(digit: u8) -> ObjectId {
        format!("{digit:040x}").parse().expect("an object id")
    }

    fn entry(number: Number, candidate: Option<Candidate>) -> Entry {
        Entry {
            issue: IssueId(Uuid::from_u128(u128::try_from(number).expect("positive"))),
            number,
            head: oid(1),
            approved: oid(1),
            held: false,
            asks: None,
            candidate,
        }
    }

    fn candidate(base: u8, trial: Trial) -> Option<Candidate> {
        Some(Candidate {
            commit: oid(9),
            base: oid(base),
            head: oid(1),
            trial,
        })
    }

    fn steps(entries: Vec<Entry>) -> (Vec<Step>, Vec<String>) {
        let plan = plan(&Snapshot {
            base: oid(5),
            entries,
        });
        (
            plan.steps,
            plan.waiting
                .into_iter()
                .map(|w| w.reason.to_string())
                .collect(),
        )
    }

    #[test]
    fn a_candidate_on_an_old_base_is_built_again_never_landed() {
        let (steps, _) = steps(vec![entry(1, candidate(4, Trial::Green))]);
        assert!(matches!(steps[..], [Step::Build { .. }]));
    }

    #[test]
    fn a_moved_head_is_returned_and_does_not_block() {
        let moved = Entry {
            head: oid(2),
            ..entry(1, candidate(5, Trial::Green))
        };
        let (steps, _) = steps(vec![moved, entry(2, candidate(5, Trial::Green))]);
        assert!(matches!(
            steps[..],
            [Step::Return { .. }, Step::Land { .. }]
        ));
    }

    #[test]
    fn a_red_candidate_is_tried_once_more_then_returned() {
        let (again, _) = steps(vec![entry(1, candidate(5, Trial::RedOnce))]);
        assert!(matches!(again[..], [Step::Try { .. }]));
        let red = Trial::Red {
            reasons: vec![Kept::quoted("check \"test\" failed")],
        };
        let (returned, _) = steps(vec![entry(1, candidate(5, red)), entry(2, None)]);
        assert!(matches!(
            returned[..],
            [Step::Return { .. }, Step::Build { .. }]
        ));
    }

    #[test]
    fn what_asks_a_person_stands_in_nobodys_way() {
        let asks = || Some(crate::waiting::stands(&failure("allow it, or deny it")));
        let waits = Entry {
            asks: asks(),
            ..entry(1, candidate(5, Trial::Wanted))
        };
        let (now, reasons) = steps(vec![
            waits.clone(),
            entry(2, candidate(5, Trial::Green)),
            entry(3, None),
        ]);
        assert!(matches!(now[..], [Step::Land { issue, .. }] if issue == entry(2, None).issue));
        assert_eq!(
            reasons,
            [
                "host-missing: allow it, or deny it",
                "#2 is ahead in the merge queue"
            ]
        );
        // Answered: it is the first again.
        let (again, _) = steps(vec![
            Entry {
                asks: None,
                candidate: None,
                ..waits
            },
            entry(2, candidate(5, Trial::Green)),
        ]);
        assert!(matches!(again[..], [Step::Build { issue, .. }] if issue == entry(1, None).issue));
        // A new head is no longer what was approved, whatever is asked.
        let moved = Entry {
            asks: asks(),
            head: oid(2),
            ..entry(1, None)
        };
        let (returned, _) = steps(vec![moved]);
        assert!(matches!(returned[..], [Step::Return { .. }]));
    }

    fn failure(detail: &str) -> crate::failure::Failure {
        crate::failure::Failure {
            reason: crate::failure::Reason::HostMissing,
            detail: crate::sentence::Kept::quoted(detail),
            retry_at: None,
        }
    }

    fn any_trial() -> impl Strategy<Value = Trial> {
        prop_oneof![
            Just(Trial::SameTree),
            Just(Trial::Wanted),
            Just(Trial::Running { after_red: false }),
            Just(Trial::Green),
            Just(Trial::RedOnce),
            Just(Trial::Red { reasons: vec![] }),
        ]
    }

    proptest! {
        /// Whatever the queue: at most one landing, only from the current base with a tested tree
        /// of the approved head; and every entry either has a step or a reason.
        #[test]
        fn only_tested_candidates_on_the_current_base_land(
            entries in prop::collection::vec((0u8..3, 0u8..2, any::<bool>(), prop::option::of((3u8..6, 0u8..2, any_trial()))), 0..6)
        ) {
            let entries: Vec<Entry> = entries.into_iter().enumerate().map(|(at, (head, approved, asks, c))| Entry {
                asks: asks.then(|| crate::waiting::stands(&failure("which?"))),
                head: oid(head), approved: oid(approved),
                candidate: c.map(|(base, from, trial)| Candidate { commit: oid(9), base: oid(base), head: oid(from), trial }),
                ..entry(i64::try_from(at).expect("small") + 1, None)
            }).collect();
            let plan = plan(&Snapshot { base: oid(5), entries: entries.clone() });
            let mut landings = 0;
            for step in &plan.steps {
                if let Step::Land { issue, base, .. } = step {
                    landings += 1;
                    let entry = entries.iter().find(|e| e.issue == *issue).expect("known");
                    let c = entry.candidate.as_ref().expect("a candidate");
                    prop_assert_eq!(base, &oid(5));
                    prop_assert_eq!(&c.base, &oid(5));
                    prop_assert_eq!(&c.head, &entry.approved);
                    prop_assert_eq!(&entry.head, &entry.approved);
                    prop_assert!(entry.asks.is_none());
                    prop_assert!(matches!(c.trial, Trial::Green | Trial::SameTree));
                }
            }
            prop_assert!(landings <= 1);
            for entry in &entries {
                let has_step = plan.steps.iter().any(|s| match s {
                    Step::Build { issue, .. } | Step::Try { issue, .. } | Step::Land { issue, .. } | Step::Return { issue, .. } => *issue == entry.issue,
                });
                let waits = plan.waiting.iter().any(|w| w.issue == entry.issue);
                prop_assert!(has_step || waits, "an entry without step or reason");
            }
        }
    }
}
