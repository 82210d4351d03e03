//! What a person's desk stands on: what waits and what is parked, what was put off, seen, drafted.

use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, ProjectId, RunId, UserId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::{Kind, Phase as JobPhase};
use nightshift_domain::transcript::Usage;
use nightshift_store::*;

use crate::world::{World, at, commit};

/// Of these projects, or of all.
type Of<'a> = Option<&'a [ProjectId]>;

fn failure() -> Failure {
    Failure {
        reason: Reason::NoChange,
        detail: "nothing".to_owned(),
        retry_at: None,
    }
}

pub(crate) async fn what_waits_is_listed(w: World) {
    let (p, q) = (w.project("p").await, w.project("q").await);
    let user = w.user("alice").await;
    let asked = Phase::NeedsInput {
        question: "Which?".to_owned(),
        run: RunId(w.id()),
    };
    let done = Phase::Done { commit: commit(3) };
    // (number, project, phase, failed, updated)
    let filed = [
        (1, &p, Phase::InReview, false, 9),
        (2, &q, asked, false, 8),
        (3, &p, Phase::Ready, true, 7),
        (4, &p, Phase::Ready, false, 1),
        (5, &q, Phase::InReview, true, 7),
        (6, &q, Phase::Working, true, 2),
        (7, &p, Phase::Landing, false, 3),
        (8, &p, done, true, 4),
        (9, &q, Phase::Draft, false, 5),
    ];
    for (number, project, phase, failed, updated) in filed {
        let mut issue = w.draft(project, &user, number);
        issue.state.phase = phase;
        issue.state.failed = failed.then(failure);
        issue.updated_at = at(updated);
        w.file(&issue).await;
    }
    let mut tx = w.db.read().await.unwrap();
    let other = ProjectId(w.id());
    let (both, of_p, of_q) = ([q.id, p.id, q.id, other], [p.id], [q.id]);
    let cases: [(Of<'_>, i64, &[i64]); 8] = [
        (None, 9, &[3, 5, 2, 1]),
        (None, 3, &[3, 5, 2]),
        (Some(&both), 9, &[3, 5, 2, 1]),
        (Some(&both), 1, &[3]),
        (Some(&of_p), 9, &[3, 1]),
        (Some(&of_q), 9, &[5, 2]),
        (Some(&[other]), 9, &[]),
        (Some(&[]), 9, &[]),
    ];
    for (projects, limit, expected) in cases {
        let found = issue_list_waiting(&mut tx, projects, limit).await.unwrap();
        let numbers: Vec<i64> = found.iter().map(|issue| issue.number).collect();
        assert_eq!(numbers, expected, "{projects:?}, {limit}");
    }
    drop(tx);
    w.raw("UPDATE issues SET labels = 'no list' WHERE number = 5")
        .await
        .unwrap();
    let mut tx = w.db.write().await.unwrap();
    let found = issue_list_waiting(&mut tx, None, 9).await.unwrap();
    assert_eq!(found.len(), 3, "a damaged row stops only itself");
    // What no longer waits is gone from the list.
    let mut first = found[0].clone();
    first.state.failed = None;
    issue_save(&mut tx, &first, at(20)).await.unwrap();
    let found = issue_list_waiting(&mut tx, None, 9).await.unwrap();
    let numbers: Vec<i64> = found.iter().map(|issue| issue.number).collect();
    assert_eq!(numbers, [2, 1]);
}

pub(crate) async fn parked_jobs_are_listed(w: World) {
    let (p, user, issue) = w.one_issue().await;
    let q = w.project("q").await;
    let of_q = w.issue(&q, &user, 1).await;
    let runner = w.runner("r").await;
    let mut put = Vec::new();
    // Until when, and in which project.
    let orders = [
        (Some(300), &issue),
        (Some(200), &of_q),
        (None, &issue),
        (Some(100), &issue),
        (Some(200), &issue),
    ];
    for (not_before, issue) in orders {
        let mut job = w.order(issue, 0);
        job.state.phase = JobPhase::Queued {
            not_before: not_before.map(at),
            after: None,
        };
        w.queue(&job).await;
        put.push(job);
    }
    let leased = w.order(&issue, 0);
    w.queue(&leased).await;
    w.claim(&leased, &runner, 10).await;
    let mut tx = w.db.read().await.unwrap();
    let (both, only_q, other) = ([q.id, p.id, q.id], [q.id], [ProjectId(w.id())]);
    let cases: [(Of<'_>, i64, i64, &[usize]); 8] = [
        (None, 99, 9, &[3, 1, 4, 0]),
        (None, 100, 9, &[1, 4, 0]),
        (None, 99, 2, &[3, 1]),
        (None, 300, 9, &[]),
        (Some(&both), 99, 9, &[3, 1, 4, 0]),
        (Some(&both), 199, 1, &[1]),
        (Some(&only_q), 99, 9, &[1]),
        (Some(&other), 99, 9, &[]),
    ];
    for (projects, now, limit, expected) in cases {
        let found = job_list_parked(&mut tx, projects, at(now), limit)
            .await
            .unwrap();
        let expected: Vec<Job> = expected.iter().map(|&place| put[place].clone()).collect();
        assert_eq!(found, expected, "{projects:?}, {now}, {limit}");
    }
    drop(tx);
    w.raw("UPDATE jobs SET payload = 'no JSON' WHERE not_before IS NOT NULL AND not_before <> 0")
        .await
        .unwrap();
    let mut tx = w.db.read().await.unwrap();
    let found = job_list_parked(&mut tx, None, at(99), 9).await.unwrap();
    assert_eq!(found, [], "damaged rows are left out");
}

/// Both lists are index ranges, so that a desk costs the same among many issues. SQLite refuses the
/// statements without the index; PostgreSQL counts what it read.
pub(crate) async fn desk_lists_read_only_what_they_show(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let mut waiting = w.draft(&project, &user, 2);
    waiting.state.phase = Phase::InReview;
    w.file(&waiting).await;
    let mut parked = w.order(&issue, 0);
    parked.state.phase = JobPhase::Queued {
        not_before: Some(at(300)),
        after: None,
    };
    w.queue(&parked).await;
    let Location::Postgres(url) = &w.location else {
        w.raw("DROP INDEX issues_waiting; DROP INDEX jobs_parked")
            .await
            .unwrap();
        let found = w.db.check().await.unwrap_err().to_string();
        for name in ["issue LIST_WAITING", "job LIST_PARKED"] {
            assert!(found.contains(&format!("{name}: ")), "{found}");
            assert!(found.contains(&format!("{name}_OF_PROJECTS: ")), "{found}");
        }
        return;
    };
    w.raw(
        "INSERT INTO issues SELECT gen_random_uuid(), project_id, 10 + n, title, title_folded, body, labels, priority, assignee, agent, requester_id, phase, state, round, repairs, failed, trust, has_acceptance, version, created_at, updated_at FROM issues CROSS JOIN generate_series(1, 5000) AS n WHERE number = 1;
         INSERT INTO jobs SELECT gen_random_uuid(), project_id, issue_id, kind, phase, '{\"phase\":\"queued\"}', epoch, starts, 0, lease_until, runner_id, run_id, payload, priority, version, created_at, updated_at FROM jobs CROSS JOIN generate_series(1, 5000);
         ANALYZE",
    )
    .await
    .unwrap();
    let before = rows_read(url).await;
    let mut tx = w.db.read().await.unwrap();
    for projects in [None, Some(&[project.id][..])] {
        let found = issue_list_waiting(&mut tx, projects, 50).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&waiting));
        let found = job_list_parked(&mut tx, projects, at(0), 50).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&parked));
    }
    drop(tx);
    // A session hands in its figures when it ends, before its connection is closed.
    w.db.clone().close().await;
    let mut read = rows_read(url).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while read.0 < before.0 + 4 && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        read = rows_read(url).await;
    }
    assert_eq!(read.0 - before.0, 4, "scans of the two indexes");
    let past = read.1 - before.1;
    assert!(past < 5000, "{past} rows read by scans of a whole table");
}

/// Scans of the two indexes of the desk, and rows read by scans of the whole of their tables.
async fn rows_read(url: &str) -> (i64, i64) {
    use sqlx::Connection as _;
    let mut raw = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query_as(
        "SELECT (SELECT SUM(idx_scan)::bigint FROM pg_stat_user_indexes WHERE indexrelname IN ('issues_waiting', 'jobs_parked')), (SELECT SUM(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname IN ('issues', 'jobs'))",
    )
    .fetch_one(&mut raw)
    .await
    .unwrap()
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
