//! What a person's desk stands on: what waits and what is parked, what was put off, seen, drafted.

use jiff::SignedDuration;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, ProjectId, UserId};
use nightshift_domain::job::Kind;
use nightshift_domain::transcript::Usage;
use nightshift_store::*;

use crate::world::{World, at, commit};

/// Of these projects, or of all.
type Of<'a> = Option<&'a [ProjectId]>;

/// What stands first is found, whoever looks: as the whole of it sorted by hand says.
pub(crate) async fn the_first_of_what_waits_are_listed(w: World) {
    let (p, q) = (w.project("p").await, w.project("q").await);
    let alice = w.user("alice").await;
    let now = at(1_000 * 3_600);
    let mut all = Vec::new();
    let mut tx = w.db.write().await.unwrap();
    for number in 1..=60 {
        let home = if number % 3 == 0 { &q } else { &p };
        let issue = w.draft(home, &alice, number);
        issue_insert(&mut tx, &issue).await.unwrap();
        let standing = Standing {
            issue: issue.id,
            project: home.id,
            weight: number * 37 % 101 - 20,
            since: now - SignedDuration::from_mins(number * 251 % 9_000),
            stale: false,
        };
        standing_set(&mut tx, &standing).await.unwrap();
        all.push(standing);
    }
    tx.commit().await.unwrap();
    let ageing = Ageing {
        point: SignedDuration::from_mins(20),
        ages_for: SignedDuration::from_hours(72),
    };
    let score = |one: &Standing| {
        let waited = now.duration_since(one.since).min(ageing.ages_for);
        one.weight * ageing.point.as_secs() + waited.as_secs()
    };
    let other = ProjectId(w.id());
    let (of_q, both, none) = ([q.id], [q.id, p.id, q.id, other], [other]);
    let cases: [(Of<'_>, usize); 5] = [
        (None, 60),
        (Some(&both), 60),
        (Some(&of_q), 20),
        (Some(&none), 0),
        (Some(&[]), 0),
    ];
    let mut tx = w.db.read().await.unwrap();
    for (projects, count) in cases {
        let counted = standing_count(&mut tx, projects, 1_000).await.unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), count, "{projects:?}");
        let counted = standing_count(&mut tx, projects, 7).await.unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), count.min(7));
        let mut expected: Vec<&Standing> = all
            .iter()
            .filter(|one| projects.is_none_or(|seen| seen.contains(&one.project)))
            .collect();
        expected.sort_by_key(|one| (std::cmp::Reverse(score(one)), one.issue));
        for limit in [1, 4, 60] {
            let mut found = standing_list_first(&mut tx, projects, ageing, now, limit)
                .await
                .unwrap();
            found.sort_by_key(|one| (std::cmp::Reverse(score(one)), one.issue));
            let limit = usize::try_from(limit).unwrap();
            let first: Vec<&Standing> = found.iter().take(limit).collect();
            assert_eq!(
                first,
                expected[..limit.min(expected.len())],
                "{projects:?}, {limit}"
            );
        }
    }
    drop(tx);
    let mut tx = w.db.write().await.unwrap();
    standing_remove(&mut tx, all[0].issue).await.unwrap();
    let heavier = Standing {
        weight: 999,
        ..all[1].clone()
    };
    standing_set(&mut tx, &heavier).await.unwrap();
    let found = standing_list_first(&mut tx, None, ageing, now, 60)
        .await
        .unwrap();
    assert!(!found.iter().any(|one| one.issue == all[0].issue));
    assert!(found.contains(&heavier));
}

pub(crate) async fn stale_standings_are_found(w: World) {
    let (project, user, blocker) = w.one_issue().await;
    let waits = w.issue(&project, &user, 2).await;
    let mut tx = w.db.write().await.unwrap();
    for issue in [&blocker, &waits] {
        let standing = Standing {
            issue: issue.id,
            project: project.id,
            weight: 1,
            since: at(1),
            stale: false,
        };
        standing_set(&mut tx, &standing).await.unwrap();
    }
    block_set(&mut tx, waits.id, &[blocker.id]).await.unwrap();
    assert_eq!(standing_list_stale(&mut tx, 9).await.unwrap(), []);
    standing_mark_blockers(&mut tx, waits.id).await.unwrap();
    let stale = standing_list_stale(&mut tx, 9).await.unwrap();
    assert_eq!(stale.len(), 1);
    assert_eq!(stale[0].issue, blocker.id);
    let waiting = blocks_open_behind(&mut tx, &[blocker.id, waits.id])
        .await
        .unwrap();
    assert_eq!(waiting, [(blocker.id, 2)]);
    standing_settle(&mut tx, blocker.id).await.unwrap();
    assert_eq!(standing_list_stale(&mut tx, 9).await.unwrap(), []);
}

pub(crate) async fn costs_add_up(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let other = w.issue(&project, &user, 2).await;
    let runner = w.runner("r").await;
    let cost = |cost_micro_usd| Usage {
        input_tokens: 1,
        cached_input_tokens: 0,
        output_tokens: 2,
        cost_micro_usd,
    };
    // (issue, kind, usage, ended; all began at 100)
    let runs = [
        (&issue, Kind::Author, Some(cost(Some(70))), Some(103)),
        (&issue, Kind::Author, Some(cost(None)), Some(110)),
        (&issue, Kind::Author, None, Some(90)),
        (&issue, Kind::Author, Some(cost(Some(5))), Some(101)),
        (&issue, Kind::Author, Some(cost(Some(1000))), None),
        (&issue, Kind::Verify, Some(cost(Some(1000))), Some(200)),
        (&other, Kind::Author, Some(cost(Some(u64::MAX))), Some(102)),
        (&other, Kind::Author, Some(cost(Some(1))), Some(102)),
    ];
    for (issue, kind, usage, ended) in runs {
        let mut job = w.order(issue, 0);
        job.kind = kind;
        w.queue(&job).await;
        let (_, mut run) = w.claim(&job, &runner, 10).await;
        run.usage = usage;
        run.ended_at = ended.map(at);
        if run.ended_at.is_some() {
            run.state = RunState::Succeeded;
        }
        let mut tx = w.db.write().await.unwrap();
        run_save(&mut tx, &run).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = w.db.read().await.unwrap();
    let cases = [
        (issue.id, (4, 75, 14_000)),
        // Beyond what can be counted it stays at the most.
        (other.id, (2, i64::MAX, 4_000)),
        (IssueId(w.id()), (0, 0, 0)),
    ];
    for (issue, expected) in cases {
        assert_eq!(run_cost_of_issue(&mut tx, issue).await.unwrap(), expected);
    }
    let all = cases.map(|(issue, _)| issue);
    let sums = run_cost_of_issues(&mut tx, &all).await.unwrap();
    assert_eq!(sums, cases[..2].iter().copied().collect());
}

pub(crate) async fn parks(w: World) {
    let (project, alice, first) = w.one_issue().await;
    let second = w.issue(&project, &alice, 2).await;
    let bob = w.user("bob").await;
    let mut tx = w.db.write().await.unwrap();
    for (user, issue, until) in [
        (alice.id, first.id, 10),
        (alice.id, first.id, 50),
        (alice.id, second.id, 40),
        (bob.id, second.id, 30),
    ] {
        park_set(&mut tx, user, issue, at(until)).await.unwrap();
    }
    let (early, late) = ((second.id, at(40)), (first.id, at(50)));
    for (now, expected) in [(39, vec![early, late]), (40, vec![late]), (50, vec![])] {
        let found = park_list(&mut tx, alice.id, at(now)).await.unwrap();
        assert_eq!(found, expected, "at {now}");
    }
    let mut all = vec![
        (alice.id, first.id),
        (alice.id, second.id),
        (bob.id, second.id),
    ];
    all.sort_by_key(|(user, issue)| (user.0, issue.0));
    let of_both = park_list_of_users(&mut tx, &[alice.id, bob.id], at(29)).await;
    assert_eq!(of_both.unwrap(), all);
    let of_both = park_list_of_users(&mut tx, &[alice.id, bob.id], at(40)).await;
    assert_eq!(of_both.unwrap(), [(alice.id, first.id)]);
    assert!(park_clear(&mut tx, alice.id, second.id).await.unwrap());
    assert!(!park_clear(&mut tx, alice.id, second.id).await.unwrap());
    assert_eq!(park_list(&mut tx, alice.id, at(0)).await.unwrap(), [late]);
    let of_bob = park_list(&mut tx, bob.id, at(0)).await.unwrap();
    assert_eq!(of_bob, [(second.id, at(30))]);
    let refused = park_set(&mut tx, UserId(w.id()), first.id, at(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
}

pub(crate) async fn viewed_files(w: World) {
    let (project, alice, issue) = w.one_issue().await;
    let other = w.issue(&project, &alice, 2).await;
    let bob = w.user("bob").await;
    let mut tx = w.db.write().await.unwrap();
    for (user, issue, path, blob) in [
        (alice.id, issue.id, "src/ä b.rs", commit(1)),
        (alice.id, issue.id, "src/Z.rs", commit(2)),
        (alice.id, issue.id, "src/Z.rs", commit(3)),
        (alice.id, issue.id, "src/a.rs", ObjectId::zero()),
        (alice.id, other.id, "src/a.rs", commit(4)),
        (bob.id, issue.id, "src/a.rs", commit(5)),
    ] {
        viewed_set(&mut tx, user, issue, path, &blob, at(1))
            .await
            .unwrap();
    }
    let file = |path: &str, blob| (path.to_owned(), blob);
    let (last, first) = (file("src/ä b.rs", commit(1)), file("src/Z.rs", commit(3)));
    let gone = file("src/a.rs", ObjectId::zero());
    assert_eq!(
        viewed_list(&mut tx, alice.id, issue.id).await.unwrap(),
        [first.clone(), gone, last.clone()]
    );
    for expected in [true, false] {
        let cleared = viewed_clear(&mut tx, alice.id, issue.id, "src/a.rs").await;
        assert_eq!(cleared.unwrap(), expected);
    }
    assert_eq!(
        viewed_list(&mut tx, alice.id, issue.id).await.unwrap(),
        [first, last]
    );
    for (user, issue, blob) in [
        (alice.id, other.id, commit(4)),
        (bob.id, issue.id, commit(5)),
    ] {
        let found = viewed_list(&mut tx, user, issue).await.unwrap();
        assert_eq!(found, [file("src/a.rs", blob)]);
    }
    let refused = viewed_set(&mut tx, bob.id, issue.id, "a\0b", &commit(1), at(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
}

pub(crate) async fn draft_comments(w: World) {
    let (project, alice, issue) = w.one_issue().await;
    let other = w.issue(&project, &alice, 2).await;
    let bob = w.user("bob").await;
    let mut tx = w.db.write().await.unwrap();
    let mut made = Vec::new();
    for (user, issue, line, created) in [
        (alice.id, issue.id, Some(3), 5),
        (alice.id, issue.id, None, 4),
        // At one time: the id decides.
        (alice.id, issue.id, Some(1), 5),
        (alice.id, other.id, Some(1), 1),
        (bob.id, issue.id, Some(1), 1),
    ] {
        let draft = DraftComment {
            id: w.id(),
            user,
            issue,
            path: "a.rs".to_owned(),
            line,
            first: line.filter(|line| *line > 2).map(|line| line - 1),
            head: line.map(|_| commit(7)),
            body: "**why?**".to_owned(),
            created_at: at(created),
        };
        draft_insert(&mut tx, &draft).await.unwrap();
        made.push(draft);
    }
    let of_alice = [made[1].clone(), made[0].clone(), made[2].clone()];
    assert_eq!(
        draft_list(&mut tx, alice.id, issue.id).await.unwrap(),
        of_alice
    );
    // Only one's own.
    assert!(!draft_delete(&mut tx, bob.id, made[0].id).await.unwrap());
    assert!(draft_delete(&mut tx, alice.id, made[0].id).await.unwrap());
    assert!(!draft_delete(&mut tx, alice.id, made[0].id).await.unwrap());
    for expected in [2, 0] {
        let cleared = draft_clear(&mut tx, alice.id, issue.id).await.unwrap();
        assert_eq!(cleared, expected);
    }
    assert_eq!(draft_list(&mut tx, alice.id, issue.id).await.unwrap(), []);
    for left in &made[3..] {
        let found = draft_list(&mut tx, left.user, left.issue).await.unwrap();
        assert_eq!(found, std::slice::from_ref(left));
    }
    let refused = draft_insert(&mut tx, &made[3]).await.unwrap_err();
    assert!(matches!(refused, Error::Duplicate { .. }), "{refused:?}");
}
