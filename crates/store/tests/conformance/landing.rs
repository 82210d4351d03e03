//! Pull requests, verdicts, reviews, the merge queue.

use nightshift_domain::access::Actor;
use nightshift_domain::check::{CheckResult, Colour, Outcome, ProofReport, ended};
use nightshift_domain::facts::{Finding, FindingKind, Severity};
use nightshift_domain::git_name::RefName;
use nightshift_domain::id::{IssueId, JobId, ReviewId};
use nightshift_domain::merge::{Candidate, Trial};
use nightshift_domain::sentence::Kept;
use nightshift_domain::size::{FileSize, Size};
use nightshift_store::*;

use crate::world::{World, at, commit};

pub(crate) async fn pulls_and_heads(w: World) {
    let (project, user, first) = w.one_issue().await;
    let mut made = Vec::new();
    let mut tx = w.db.write().await.unwrap();
    for number in 1..=5 {
        let issue = if number == 1 {
            first.clone()
        } else {
            let issue = w.draft(&project, &user, number);
            issue_insert(&mut tx, &issue).await.unwrap();
            issue
        };
        let mut pull = Pull {
            issue: issue.id,
            project: project.id,
            number,
            branch: RefName::issue_branch(number),
            base: commit(1),
            head: commit(2),
            summary: "what".to_owned(),
            landed: None,
            created_at: at(number / 2),
            updated_at: at(number),
        };
        pull_upsert(&mut tx, &pull).await.unwrap();
        pull.head = commit(3);
        pull.base = commit(4);
        pull.landed = Some(commit(5));
        pull.summary = "what now".to_owned();
        pull.updated_at = at(99);
        pull_upsert(&mut tx, &pull).await.unwrap();
        assert_eq!(
            pull_get(&mut tx, issue.id).await.unwrap(),
            Some(pull.clone())
        );
        made.insert(0, pull);
    }
    let wanted = [made[3].issue, made[1].issue, IssueId(w.id())];
    let mut some = pull_list_of_issues(&mut tx, &wanted).await.unwrap();
    some.sort_by_key(|pull| -pull.number);
    assert_eq!(some, [made[1].clone(), made[3].clone()]);
    for of in [None, Some(project.id)] {
        let page = pull_list(&mut tx, of, None, 3).await.unwrap();
        assert_eq!(page, made[..3]);
        let after = Some((page[2].created_at, page[2].issue));
        assert_eq!(pull_list(&mut tx, of, after, 3).await.unwrap(), made[3..]);
    }
    let other = nightshift_domain::id::ProjectId(w.id());
    assert_eq!(pull_list(&mut tx, Some(other), None, 3).await.unwrap(), []);

    let mut heads = Vec::new();
    for (number, time) in [(7, 1), (8, 2), (7, 3)] {
        let head = Head {
            issue: first.id,
            head: commit(number),
            base: commit(1),
            round: 1,
            run: None,
            by: Actor::System,
            created_at: at(time),
        };
        head_insert(&mut tx, &head).await.unwrap();
        heads.push(head);
    }
    assert_eq!(head_list(&mut tx, first.id).await.unwrap(), heads);

    let size = Size::of([FileSize {
        path: "a b".to_owned(),
        added: 3,
        removed: 1,
    }]);
    let old = pull_get(&mut tx, first.id).await.unwrap().unwrap();
    let current = Pull {
        head: commit(7),
        ..old
    };
    pull_upsert(&mut tx, &current).await.unwrap();
    assert_eq!(
        head_size(&mut tx, first.id, &commit(7)).await.unwrap(),
        None
    );
    head_measure(&mut tx, first.id, &commit(7), &size)
        .await
        .unwrap();
    let kept = head_size(&mut tx, first.id, &commit(7)).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&size));
    assert_eq!(
        head_size(&mut tx, first.id, &commit(8)).await.unwrap(),
        None
    );
    let listed = head_size_list(&mut tx, &[first.id]).await.unwrap();
    assert!(listed.iter().all(|one| *one == (first.id, size.clone())));
    assert!(!listed.is_empty());
    let of_moved = Pull {
        head: commit(8),
        ..current
    };
    pull_upsert(&mut tx, &of_moved).await.unwrap();
    assert_eq!(head_size_list(&mut tx, &[first.id]).await.unwrap(), []);
    assert_eq!(
        pull_list_of_issues(&mut tx, &[first.id]).await.unwrap(),
        [of_moved]
    );
}

pub(crate) async fn verdicts(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut given = Vec::new();
    for (number, colour) in [(1, Colour::Red), (2, Colour::Green), (1, Colour::Unproven)] {
        let job = w.order(&issue, 0);
        w.queue(&job).await;
        let (_, run) = w.claim(&job, &runner, 10).await;
        let report = ProofReport {
            head: commit(number),
            setup: None,
            acceptance_on_base: None,
            acceptance_on_head: None,
            checks: vec![CheckResult {
                name: "test".to_owned(),
                commit: commit(number),
                outcome: Outcome::Failed { code: 1 },
                duration_ms: 5,
                output_tail: "no\n\0".to_owned(),
            }],
        };
        let verdict = Verdict {
            issue: issue.id,
            head: commit(number),
            base: commit(9),
            colour,
            // One with its sentence, and one as records of before have it.
            reasons: vec![
                ended(&Outcome::TimedOut).into(),
                Kept::quoted("check \"test\" failed"),
            ],
            findings: vec![Finding {
                kind: FindingKind::Size,
                severity: Severity::Note,
                path: "a".to_owned(),
                note: Kept::quoted("b"),
            }],
            report,
            run: run.id,
            // At one time: the run decides.
            created_at: at(20),
        };
        let mut tx = w.db.write().await.unwrap();
        verdict_insert(&mut tx, &verdict).await.unwrap();
        tx.commit().await.unwrap();
        given.push(verdict);
    }
    let mut tx = w.db.write().await.unwrap();
    let last = Some(given[2].clone());
    assert_eq!(verdict_latest(&mut tx, issue.id).await.unwrap(), last);
    assert_eq!(
        verdict_of(&mut tx, issue.id, &commit(1)).await.unwrap(),
        last
    );
    let pull = Pull {
        issue: issue.id,
        project: issue.project,
        number: issue.number,
        branch: RefName::issue_branch(issue.number),
        base: commit(9),
        head: commit(1),
        summary: String::new(),
        landed: None,
        created_at: at(1),
        updated_at: at(1),
    };
    pull_upsert(&mut tx, &pull).await.unwrap();
    let of_heads = verdict_list_of_heads(&mut tx, &[issue.id, IssueId(w.id())]).await;
    assert_eq!(of_heads.unwrap(), [given[0].clone(), given[2].clone()]);
    let second = Some(given[1].clone());
    assert_eq!(
        verdict_of(&mut tx, issue.id, &commit(2)).await.unwrap(),
        second
    );
    assert_eq!(
        verdict_of(&mut tx, issue.id, &commit(3)).await.unwrap(),
        None
    );
    assert_eq!(verdict_list(&mut tx, issue.id).await.unwrap(), given);
    let refused = verdict_insert(&mut tx, &given[0]).await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "verdict" }),
        "{refused:?}"
    );
}

pub(crate) async fn reviews(w: World) {
    let (_, user, issue) = w.one_issue().await;
    let mut tx = w.db.write().await.unwrap();
    let mut given = Vec::new();
    for decision in [Decision::SendBack, Decision::Approve] {
        let review = Review {
            id: ReviewId(w.id()),
            issue: issue.id,
            round: 1,
            head: commit(1),
            decision,
            body: "again".to_owned(),
            comments: vec![LineComment {
                path: "a.rs".to_owned(),
                line: Some(3),
                first: Some(2),
                head: Some(commit(8)),
                body: "why?".to_owned(),
            }],
            by: user.id,
            by_name: "alice".to_owned(),
            created_at: at(1),
            withdrawn_at: None,
        };
        review_insert(&mut tx, &review).await.unwrap();
        given.push(review);
    }
    assert_eq!(review_list(&mut tx, issue.id).await.unwrap(), given);
    let (first, unknown) = (given[0].id, ReviewId(w.id()));
    for (id, time, done) in [(first, 5, true), (first, 6, false), (unknown, 7, false)] {
        assert_eq!(review_withdraw(&mut tx, id, at(time)).await.unwrap(), done);
    }
    given[0].withdrawn_at = Some(at(5));
    assert_eq!(review_list(&mut tx, issue.id).await.unwrap(), given);
}

pub(crate) async fn merge_queue(w: World) {
    let (project, user, first) = w.one_issue().await;
    let second = w.issue(&project, &user, 2).await;
    let job = w.order(&first, 0);
    w.queue(&job).await;
    let mut tx = w.db.write().await.unwrap();
    let entry = |issue: &Issue, time| QueueEntry {
        asks: false,
        issue: issue.id,
        project: project.id,
        number: issue.number,
        approved: commit(1),
        by: user.id,
        candidate: None,
        trial_job: None,
        entered_at: at(time),
    };
    let late = entry(&first, 9);
    let mut early = entry(&second, 8);
    queue_enter(&mut tx, &late).await.unwrap();
    queue_enter(&mut tx, &early).await.unwrap();
    let candidate = Candidate {
        commit: commit(4),
        base: commit(5),
        head: commit(1),
        trial: Trial::Red {
            reasons: vec![Kept::quoted("no")],
        },
    };
    queue_set_candidate(&mut tx, second.id, Some(&candidate), Some(job.id))
        .await
        .unwrap();
    early.candidate = Some(candidate);
    early.trial_job = Some(job.id);
    assert_eq!(
        queue_list(&mut tx, project.id).await.unwrap(),
        [early.clone(), late]
    );
    assert_eq!(queue_projects(&mut tx).await.unwrap(), [project.id]);
    queue_set_candidate(&mut tx, second.id, None, None)
        .await
        .unwrap();
    let back = queue_get(&mut tx, second.id).await.unwrap().unwrap();
    assert_eq!((back.candidate, back.trial_job), (None, None::<JobId>));
    assert!(queue_leave(&mut tx, second.id).await.unwrap());
    assert!(!queue_leave(&mut tx, second.id).await.unwrap());
    assert_eq!(queue_get(&mut tx, second.id).await.unwrap(), None);
    let refused = queue_enter(&mut tx, &entry(&first, 10)).await.unwrap_err();
    assert!(matches!(refused, Error::Duplicate { .. }), "{refused:?}");
}
