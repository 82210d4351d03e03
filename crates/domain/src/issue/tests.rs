//! Every event in every state, and what must hold whatever comes.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::failure::Reason;
use crate::sentence::Kept;

fn failure() -> Failure {
    Failure {
        reason: Reason::SetupFailed,
        detail: Kept::quoted("setup failed"),
        retry_at: None,
    }
}

fn every_event() -> Vec<Event> {
    vec![
        Event::MarkReady,
        Event::MarkDraft,
        Event::AuthorStarted,
        Event::Asked {
            question: Kept::quoted("which?"),
            run: RunId(Uuid::nil()),
        },
        Event::Answered,
        Event::HeadAdopted,
        Event::HeadPushed,
        Event::Judged {
            green: true,
            repairable: true,
            max_repairs: 1,
        },
        Event::Judged {
            green: false,
            repairable: true,
            max_repairs: 1,
        },
        Event::ProofFailed { failure: failure() },
        Event::AuthorFailed { failure: failure() },
        Event::AuthorStopped,
        Event::Approved,
        Event::TrialAsked { failure: failure() },
        Event::SentBack,
        Event::Conflicted {
            paths: vec!["a".to_owned()],
        },
        Event::Unlanded,
        Event::Withdrawn,
        Event::Landed {
            commit: ObjectId::zero(),
        },
        Event::Retried,
        Event::ProofRetried,
        Event::Closed {
            reason: "no".to_owned(),
        },
        Event::Reopened,
    ]
}

fn after(events: &[Event]) -> Issue {
    let mut issue = Issue::filed(true).next;
    for event in events {
        issue = issue.apply(event.clone()).expect("an allowed event").next;
    }
    issue
}

const RED: Event = Event::Judged {
    green: false,
    repairable: true,
    max_repairs: 1,
};
const GREEN: Event = Event::Judged {
    green: true,
    repairable: true,
    max_repairs: 1,
};

#[test]
fn a_red_verdict_goes_back_to_the_author_once_and_then_to_the_person() {
    let issue = after(&[Event::AuthorStarted, Event::HeadAdopted, RED]);
    assert_eq!((issue.phase.as_str(), issue.repairs), ("ready", 1));
    let issue = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        RED,
        Event::AuthorStarted,
        Event::HeadAdopted,
        RED,
    ]);
    assert_eq!(issue.phase, Phase::InReview);
}

#[test]
fn a_trial_that_asks_keeps_the_approval_and_nothing_of_it_outlives_the_queue() {
    let approved = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        GREEN,
        Event::Approved,
    ]);
    let asked = Event::TrialAsked { failure: failure() };
    let change = approved.clone().apply(asked.clone()).expect("asked");
    assert_eq!(change.effects, [Effect::Notify(Notice::Failed)]);
    let waits = change.next;
    assert_eq!(waits.phase, Phase::Landing);
    assert!(waits.failed.is_some() && Notice::Failed.stands(&waits));
    let again = waits.clone().apply(Event::Retried).expect("goes on");
    assert_eq!((again.next, again.effects), (approved.clone(), vec![]));
    assert!(approved.apply(Event::Retried).is_err(), "nothing is asked");
    for event in every_event() {
        let Ok(change) = waits.clone().apply(event.clone()) else {
            continue;
        };
        let stays = matches!(event, Event::TrialAsked { .. });
        assert_eq!(change.next.failed.is_some(), stays, "{event:?}");
    }
    // What could not be proved, and was approved all the same, does not stop the queue.
    let unproved = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        Event::ProofFailed { failure: failure() },
        Event::Approved,
    ]);
    assert_eq!(unproved.failed, None);
}

#[test]
fn a_second_approval_is_refused_and_says_why() {
    let issue = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        GREEN,
        Event::Approved,
    ]);
    let refused = issue.apply(Event::Approved).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "the issue is landing: only a result in review can be approved"
    );
}

#[test]
fn a_push_by_a_person_takes_an_approved_change_out_of_the_queue() {
    let issue = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        GREEN,
        Event::Approved,
    ]);
    let change = issue.apply(Event::HeadPushed).expect("allowed");
    assert_eq!(change.next.phase, Phase::Working);
    assert!(change.effects.contains(&Effect::LeaveQueue));
    assert!(change.effects.contains(&Effect::QueueVerify));
}

#[test]
fn sending_back_starts_a_round_with_its_repairs_unused() {
    let issue = after(&[
        Event::AuthorStarted,
        Event::HeadAdopted,
        RED,
        Event::AuthorStarted,
        Event::HeadAdopted,
        GREEN,
        Event::SentBack,
    ]);
    assert_eq!((issue.round, issue.repairs), (2, 0));
}

proptest! {
    /// Whatever happens in whatever order: nothing leaves `done`, rounds fall only when a decision is withdrawn, only
    /// `in-review` leads to `landing`, only landing to `done`, and whoever leaves `landing`
    /// leaves the merge queue, with what its trial asked.
    #[test]
    fn invariants_hold_for_any_sequence(steps in prop::collection::vec(0usize..every_event().len(), 0..80)) {
        let events = every_event();
        let mut issue = Issue::filed(false).next;
        for step in steps {
            let before = issue.clone();
            let Ok(change) = issue.clone().apply(events[step].clone()) else { continue };
            let next = change.next;
            let was_done = matches!(before.phase, Phase::Done { .. });
            prop_assert!(!was_done, "an issue left done");
            let withdrawn = events[step] == Event::Withdrawn;
            prop_assert!(next.round >= before.round || withdrawn);
            prop_assert!(next.round >= 1);
            let stays = before.phase == Phase::Landing && next.phase == Phase::Landing;
            if next.phase == Phase::Landing && !stays {
                prop_assert_eq!(&before.phase, &Phase::InReview);
                prop_assert!(change.effects.contains(&Effect::EnterQueue));
                prop_assert!(next.failed.is_none());
            }
            if stays {
                let asks = matches!(events[step], Event::TrialAsked { .. });
                prop_assert!(asks || events[step] == Event::Retried);
                prop_assert_eq!(next.failed.is_some(), asks);
                prop_assert!(!change.effects.contains(&Effect::EnterQueue));
            }
            if matches!(next.phase, Phase::Done { .. }) {
                let landed = matches!(events[step], Event::Landed { .. });
                prop_assert!(landed, "done without landing");
            }
            if before.phase == Phase::Landing && next.phase != Phase::Landing {
                prop_assert!(change.effects.contains(&Effect::LeaveQueue));
                prop_assert!(next.failed.is_none());
            }
            issue = next;
        }
    }
}
