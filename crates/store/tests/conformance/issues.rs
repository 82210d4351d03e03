//! Issues and what hangs on them.

use nightshift_domain::access::Actor;
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::{IssueId, RunId};
use nightshift_domain::issue::Phase;
use nightshift_domain::sentence::Kept;
use nightshift_domain::told;
use nightshift_domain::trust::Trust;
use nightshift_store::*;

use crate::world::{World, at, commit};

pub(crate) async fn round_trip(w: World) {
    let (project, user, mut issue) = w.one_issue().await;
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(
        issue_get(&mut tx, issue.id).await.unwrap(),
        Some(issue.clone())
    );
    let phases = [
        Phase::Draft,
        Phase::Working,
        Phase::NeedsInput {
            question: Kept::quoted("Which?"),
            run: RunId(w.id()),
        },
        Phase::InReview,
        Phase::Landing,
        Phase::Done { commit: commit(3) },
        Phase::Closed {
            reason: "no".to_owned(),
        },
    ];
    for phase in phases {
        issue.state.phase = phase;
        issue.state.round += 1;
        issue.state.failed = Some(Failure {
            reason: Reason::NoChange,
            detail: Kept::quoted("nothing"),
            retry_at: None,
        });
        issue.title.push('!');
        issue.has_acceptance = true;
        issue.budget.cost_micro_usd = Some(5_000_000);
        issue.budget.minutes = issue.budget.minutes.xor(Some(90));
        issue.trust = Trust::Outsider;
        issue.assignee = None;
        issue_save(&mut tx, &issue, at(50)).await.unwrap();
        issue.version += 1;
        issue.updated_at = at(50);
        assert_eq!(
            issue_lock(&mut tx, issue.id).await.unwrap(),
            Some(issue.clone())
        );
    }
    assert_eq!(
        issue_by_number(&mut tx, project.id, 1).await.unwrap(),
        Some(issue)
    );
    assert_eq!(issue_by_number(&mut tx, project.id, 2).await.unwrap(), None);
    assert_eq!(issue_lock(&mut tx, IssueId(w.id())).await.unwrap(), None);
    let refused = issue_insert(&mut tx, &w.draft(&project, &user, 1))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "issue" }),
        "{refused:?}"
    );
}

pub(crate) async fn versions_guard(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let mut tx = w.db.write().await.unwrap();
    issue_save(&mut tx, &issue, at(5)).await.unwrap();
    let refused = issue_save(&mut tx, &issue, at(6)).await.unwrap_err();
    assert!(
        matches!(refused, Error::Stale { what: "issue" }),
        "{refused:?}"
    );
    let gone = Issue {
        id: IssueId(w.id()),
        ..issue
    };
    let refused = issue_save(&mut tx, &gone, at(6)).await.unwrap_err();
    assert!(
        matches!(refused, Error::NotFound { what: "issue" }),
        "{refused:?}"
    );
}

pub(crate) async fn lists_filter(w: World) {
    let (p, q) = (w.project("p").await, w.project("q").await);
    let user = w.user("alice").await;
    for number in 1..=6 {
        let project = if number % 2 == 0 { &q } else { &p };
        let mut issue = w.draft(project, &user, number);
        if number == 3 {
            issue.agent = "claude".to_owned();
            issue.labels = vec!["ui".to_owned()];
            issue.title = "ÜBER alles 100%".to_owned();
        }
        if number >= 5 {
            issue.state.phase = Phase::InReview;
        }
        w.file(&issue).await;
    }
    let mut tx = w.db.read().await.unwrap();
    let all = IssueFilter::default();
    let of_p = IssueFilter {
        project: Some(p.id),
        ..all.clone()
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let cases: Vec<(IssueFilter, &[i64])> = vec![
        (all.clone(), &[6, 5, 4, 3, 2, 1]),
        (of_p.clone(), &[5, 3, 1]),
        (
            IssueFilter {
                projects: Some(vec![q.id, p.id, q.id]),
                ..all.clone()
            },
            &[6, 5, 4, 3, 2, 1],
        ),
        (
            IssueFilter {
                projects: Some(vec![q.id]),
                ..all.clone()
            },
            &[6, 4, 2],
        ),
        (
            IssueFilter {
                projects: Some(vec![]),
                ..all.clone()
            },
            &[],
        ),
        (
            IssueFilter {
                projects: Some(vec![q.id]),
                ..of_p.clone()
            },
            &[],
        ),
        (
            IssueFilter {
                projects: Some(vec![p.id]),
                ..of_p.clone()
            },
            &[5, 3, 1],
        ),
        (
            IssueFilter {
                phases: words(&["in-review", "in-review"]),
                ..all.clone()
            },
            &[6, 5],
        ),
        (
            IssueFilter {
                phases: words(&["in-review", "ready"]),
                ..of_p.clone()
            },
            &[5, 3, 1],
        ),
        (
            IssueFilter {
                phases: words(&["nonsense"]),
                ..all.clone()
            },
            &[],
        ),
        (
            IssueFilter {
                agent: Some("claude".to_owned()),
                ..all.clone()
            },
            &[3],
        ),
        (
            IssueFilter {
                label: Some("ui".to_owned()),
                ..all.clone()
            },
            &[3],
        ),
        (
            IssueFilter {
                label: Some("it's \"odd\"".to_owned()),
                ..of_p.clone()
            },
            &[5, 1],
        ),
        (
            IssueFilter {
                text: Some("über".to_owned()),
                ..all.clone()
            },
            &[3],
        ),
        (
            IssueFilter {
                text: Some("GRÖSSE".to_owned()),
                ..all.clone()
            },
            &[],
        ),
        (
            IssueFilter {
                text: Some("gröẞe 4".to_lowercase()),
                ..all.clone()
            },
            &[4],
        ),
        (
            IssueFilter {
                text: Some("100%".to_owned()),
                ..of_p
            },
            &[3],
        ),
        (
            IssueFilter {
                text: Some("_".to_owned()),
                ..all.clone()
            },
            &[],
        ),
    ];
    for (filter, expected) in cases {
        let found = issue_list(&mut tx, &filter, None, 50).await.unwrap();
        let numbers: Vec<i64> = found.iter().map(|issue| issue.number).collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
    assert_eq!(issue_list(&mut tx, &all, None, 2).await.unwrap().len(), 2);
    let counts = issue_count_by_phase(&mut tx, p.id).await.unwrap();
    assert_eq!(
        counts,
        [("in-review".to_owned(), 1), ("ready".to_owned(), 2)]
    );
    for most in [1, 2, 5] {
        let capped = issue_count_capped(&mut tx, &[p.id], most).await.unwrap();
        let of = |phase: &str| capped.iter().find(|(_, word, _)| word == phase).unwrap().2;
        assert!(capped.iter().all(|(id, _, _)| *id == p.id));
        let found = [of("in-review"), of("ready"), of("done")];
        assert_eq!(found, [1, most.min(2), 0], "up to {most}");
    }
}

pub(crate) async fn pages_are_complete_while_rows_arrive(w: World) {
    let (p, q) = (w.project("p").await, w.project("q").await);
    let user = w.user("alice").await;
    for number in 1..=60 {
        let mut issue = w.draft(if number % 3 == 0 { &q } else { &p }, &user, number);
        // Several at the same time, so that the id decides.
        issue.created_at = at(number / 4);
        w.file(&issue).await;
    }
    let visible = vec![p.id, q.id];
    for projects in [None, Some(visible)] {
        let filter = IssueFilter {
            projects,
            ..IssueFilter::default()
        };
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let mut tx = w.db.read().await.unwrap();
            let page = issue_list(&mut tx, &filter, after, 7).await.unwrap();
            drop(tx);
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id));
            seen.extend(page.iter().map(|issue| issue.number));
            let mut newer = w.draft(
                &p,
                &user,
                1000 + i64::try_from(w.id().as_u128() % 100_000).unwrap(),
            );
            newer.created_at = at(10_000);
            w.file(&newer).await;
        }
        seen.retain(|number| *number <= 60);
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=60).collect::<Vec<_>>(), "missing or double");
    }
}

pub(crate) async fn sweeps_skip_damaged_rows(w: World) {
    let (project, user, _) = w.one_issue().await;
    for number in 2..=5 {
        w.issue(&project, &user, number).await;
    }
    w.raw(r#"UPDATE issues SET state = '{"phase":"ready"}', labels = 'no list' WHERE number IN (2, 3)"#)
        .await
        .unwrap();
    let mut tx = w.db.read().await.unwrap();
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let page = issue_list_in_phase(&mut tx, "ready", 1, after)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        numbers.extend(page.iter().map(|issue| issue.number));
    }
    assert_eq!(numbers, [1, 4, 5]);
    let refused = issue_by_number(&mut tx, project.id, 2).await.unwrap_err();
    assert!(
        matches!(refused, Error::Corrupt { what: "issue", .. }),
        "{refused:?}"
    );
}

pub(crate) async fn acceptances(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let mut acceptance = Acceptance {
        run: "sh test.sh".to_owned(),
        already_green: false,
        timeout_s: 60,
        files: vec![SealedFile {
            path: "test.sh".to_owned(),
            executable: true,
            content_base64: "AA==".repeat(100_000),
        }],
    };
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(acceptance_get(&mut tx, issue.id).await.unwrap(), None);
    acceptance_set(&mut tx, issue.id, Some(&acceptance))
        .await
        .unwrap();
    acceptance.already_green = true;
    acceptance_set(&mut tx, issue.id, Some(&acceptance))
        .await
        .unwrap();
    assert_eq!(
        acceptance_get(&mut tx, issue.id).await.unwrap(),
        Some(acceptance)
    );
    acceptance_set(&mut tx, issue.id, None).await.unwrap();
    assert_eq!(acceptance_get(&mut tx, issue.id).await.unwrap(), None);
}

pub(crate) async fn blocks(w: World) {
    let (project, user, a) = w.one_issue().await;
    let b = w.issue(&project, &user, 2).await;
    let c = w.issue(&project, &user, 3).await;
    let mut tx = w.db.write().await.unwrap();
    block_set(&mut tx, c.id, &[b.id, a.id, a.id]).await.unwrap();
    block_set(&mut tx, b.id, &[a.id]).await.unwrap();
    assert_eq!(
        blockers(&mut tx, c.id).await.unwrap(),
        [a.clone(), b.clone()]
    );
    assert_eq!(blocked_by_me(&mut tx, a.id).await.unwrap(), [b.id, c.id]);
    assert!(block_would_cycle(&mut tx, a.id, &[c.id]).await.unwrap());
    assert!(block_would_cycle(&mut tx, a.id, &[a.id]).await.unwrap());
    assert!(
        !block_would_cycle(&mut tx, c.id, &[a.id, b.id])
            .await
            .unwrap()
    );
    assert!(!block_would_cycle(&mut tx, c.id, &[]).await.unwrap());
    let behind = |mut found: Vec<(IssueId, i64)>| {
        found.sort_unstable_by_key(|(_, number)| *number);
        found
    };
    let open = blocks_open_behind(&mut tx, &[a.id, b.id, c.id])
        .await
        .unwrap();
    assert_eq!(open.iter().filter(|(front, _)| *front == a.id).count(), 2);
    assert_eq!(open.len(), 3);
    let before = blocks_open_before(&mut tx, &[a.id, c.id]).await.unwrap();
    assert_eq!(before, [(c.id, 1), (c.id, 2)], "oldest first");
    let mut ended = c.clone();
    ended.state.phase = Phase::Closed {
        reason: "no".to_owned(),
    };
    issue_save(&mut tx, &ended, at(9)).await.unwrap();
    let open = blocks_open_behind(&mut tx, &[a.id, b.id]).await.unwrap();
    assert_eq!(
        behind(open),
        [(a.id, 2)],
        "what has ended waits for nothing"
    );
    ended.id = a.id;
    ended.number = a.number;
    ended.version = a.version;
    issue_save(&mut tx, &ended, at(10)).await.unwrap();
    let before = blocks_open_before(&mut tx, &[c.id]).await.unwrap();
    assert_eq!(before, [(c.id, 2)], "what has ended blocks nothing");
    block_set(&mut tx, c.id, &[]).await.unwrap();
    assert_eq!(blockers(&mut tx, c.id).await.unwrap(), []);
    assert!(block_set(&mut tx, c.id, &[c.id]).await.is_err());
}

pub(crate) async fn messages(w: World) {
    let (_, user, issue) = w.one_issue().await;
    let mut tx = w.db.write().await.unwrap();
    let mut said = Vec::new();
    let kinds = [
        MessageKind::Question,
        MessageKind::Answer,
        MessageKind::Feedback,
        MessageKind::Note,
    ];
    for kind in kinds {
        let message = Message {
            id: w.id(),
            issue: issue.id,
            round: 2,
            kind,
            author: Actor::Person {
                user: user.id,
                name: "alice".to_owned(),
            },
            trust: Trust::Maintainer,
            body: match kind {
                MessageKind::Note => told::note::taken_out("**so**").into(),
                _ => Kept::quoted("**so**"),
            },
            created_at: at(9),
        };
        message_insert(&mut tx, &message).await.unwrap();
        said.push(message);
    }
    assert_eq!(message_list(&mut tx, issue.id).await.unwrap(), said);
}

pub(crate) async fn what_failed_for_a_reason_is_found(w: World) {
    let (project, _, mut issue) = w.one_issue().await;
    let mut tx = w.db.write().await.unwrap();
    let secret = Reason::SecretMissing;
    let failure = |reason, detail: &str| {
        Some(Failure {
            reason,
            detail: Kept::quoted(detail),
            retry_at: None,
        })
    };
    // What is said about it does not count.
    let like = "{\"reason\":\"secret-missing\"";
    let cases = [
        (Phase::Ready, failure(secret, "no value"), true),
        (Phase::InReview, failure(secret, "no value"), true),
        (Phase::Landing, failure(secret, "no value"), true),
        (Phase::Landing, failure(Reason::HostMissing, like), false),
        (Phase::Ready, None, false),
        (Phase::Draft, failure(secret, "no value"), false),
        (
            Phase::Done { commit: commit(3) },
            failure(secret, "no value"),
            false,
        ),
    ];
    for (phase, failed, expected) in cases {
        issue.state.phase = phase;
        issue.state.failed = failed;
        issue_save(&mut tx, &issue, at(5)).await.unwrap();
        issue.version += 1;
        let found = issue_projects_failed(&mut tx, secret).await.unwrap();
        assert_eq!(
            found == [project.id],
            expected,
            "{:?} {:?}",
            issue.state.phase,
            issue.state.failed
        );
        assert!(expected || found.is_empty());
    }
}
