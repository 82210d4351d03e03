//! Jobs and runs.

use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::{JobId, RunId};
use nightshift_domain::job::{Event, Kind, Outcome, Phase};
use nightshift_domain::route::Runner as Able;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::{HostUse, ModelUse, Traffic};
use nightshift_domain::transcript::Usage;
use nightshift_store::*;

use crate::world::{World, at, commit};

fn failure() -> Failure {
    Failure {
        reason: Reason::RateLimited,
        detail: Kept::quoted("slow down"),
        retry_at: Some(at(500)),
    }
}

pub(crate) async fn job_round_trip(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut job = w.order(&issue, 3);
    w.queue(&job).await;
    let (claimed, _) = w.claim(&job, &runner, 10).await;
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(
        job_get(&mut tx, job.id).await.unwrap(),
        Some(claimed.clone())
    );
    job = claimed;
    let phases = [
        Phase::Queued {
            not_before: Some(at(500)),
            after: Some(failure()),
        },
        Phase::Failed { failure: failure() },
        Phase::Cancelled,
        Phase::Dead { failure: failure() },
        Phase::Succeeded,
    ];
    for phase in phases {
        job.state.phase = phase;
        job.order = serde_json::json!({"n": job.version});
        job_save(&mut tx, &job, at(20)).await.unwrap();
        job.version += 1;
        job.updated_at = at(20);
        assert_eq!(job_lock(&mut tx, job.id).await.unwrap(), Some(job.clone()));
    }
    let stale = Job {
        version: 1,
        ..job.clone()
    };
    let refused = job_save(&mut tx, &stale, at(21)).await.unwrap_err();
    assert!(
        matches!(refused, Error::Stale { what: "job" }),
        "{refused:?}"
    );
    assert_eq!(job_lock(&mut tx, JobId(w.id())).await.unwrap(), None);
    let queued = w.order(&issue, 4);
    job_insert(&mut tx, &queued).await.unwrap();
    assert_eq!(
        job_list_of_issue(&mut tx, issue.id).await.unwrap(),
        [job, queued.clone()]
    );
    assert_eq!(
        job_list_live_of_issue(&mut tx, issue.id).await.unwrap(),
        std::slice::from_ref(&queued)
    );
    let nobody = nightshift_domain::id::IssueId(w.id());
    assert_eq!(
        job_list_live_of_issues(&mut tx, &[nobody, issue.id])
            .await
            .unwrap(),
        std::slice::from_ref(&queued)
    );
    assert_eq!(
        job_list_live_of_issues(&mut tx, &[nobody]).await.unwrap(),
        []
    );
    assert_eq!(job_list_live(&mut tx, 9).await.unwrap(), [queued]);
    assert_eq!(
        job_count_by_phase(&mut tx).await.unwrap(),
        [("queued".to_owned(), 1), ("succeeded".to_owned(), 1)]
    );
    for (phase, cap, expected) in [("queued", 9, 1), ("dead", 9, 0), ("queued", 0, 0)] {
        let count = job_count_capped(&mut tx, phase, cap).await.unwrap();
        assert_eq!(count, expected, "{phase} up to {cap}");
    }
}

pub(crate) async fn jobs_are_claimed_in_order(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut put = Vec::new();
    // (priority, created, not before, kind)
    let orders = [
        (2, 5, None, Kind::Author),
        (2, 4, None, Kind::Author),
        (0, 9, None, Kind::Verify),
        (1, 1, Some(at(1000)), Kind::Author),
        (2, 3, None, Kind::Trial),
        (2, 4, None, Kind::Author),
        (0, 8, Some(at(100)), Kind::Author),
    ];
    for (priority, created, not_before, kind) in orders {
        let mut job = w.order(&issue, created);
        job.priority = priority;
        job.kind = kind;
        job.state.phase = Phase::Queued {
            not_before,
            after: None,
        };
        w.queue(&job).await;
        put.push(job.id);
    }
    let mut order = Vec::new();
    for now in [99, 100, 100, 100, 100, 100, 100] {
        let mut tx = w.db.write().await.unwrap();
        let kinds = [Kind::Author, Kind::Verify];
        let Some(job) = job_claim_next(&mut tx, &kinds, &Able::default(), at(now))
            .await
            .unwrap()
        else {
            break;
        };
        order.push(put.iter().position(|id| *id == job.id).unwrap());
        w.claim_in(&mut tx, job, runner.id, at(now)).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(order, [2, 6, 1, 5, 0]);
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(
        job_claim_next(&mut tx, &[], &Able::default(), at(5000))
            .await
            .unwrap(),
        None
    );
    let parked = job_claim_next(&mut tx, Kind::ALL, &Able::default(), at(1000))
        .await
        .unwrap();
    assert_eq!(parked.unwrap().id, put[3]);
}

pub(crate) async fn a_damaged_job_does_not_block_the_queue(w: World) {
    let (_, _, issue) = w.one_issue().await;
    for (created, priority) in [(1, 0), (2, 0), (3, 2)] {
        let mut job = w.order(&issue, created);
        job.priority = priority;
        w.queue(&job).await;
    }
    w.raw(r#"UPDATE jobs SET state = '{"phase":"queued","not_before":"soon"}' WHERE priority = 0"#)
        .await
        .unwrap();
    let mut tx = w.db.write().await.unwrap();
    let job = job_claim_next(&mut tx, Kind::ALL, &Able::default(), at(10))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(job.priority, 2);
    assert_eq!(job_list_live(&mut tx, 9).await.unwrap(), [job]);
}

pub(crate) async fn leases_expire(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut leased = Vec::new();
    for now in [30, 10, 20] {
        let job = w.order(&issue, 0);
        w.queue(&job).await;
        leased.push(w.claim(&job, &runner, now).await.0.id);
    }
    let mut tx = w.db.read().await.unwrap();
    let lists = [
        job_list_expired(&mut tx, at(69), 9).await.unwrap(),
        job_list_expired(&mut tx, at(80), 9).await.unwrap(),
        job_list_expired(&mut tx, at(90), 9).await.unwrap(),
        job_list_expired(&mut tx, at(90), 1).await.unwrap(),
    ];
    let (a, b, c) = (leased[0], leased[1], leased[2]);
    assert_eq!(lists, [vec![], vec![b, c], vec![b, c, a], vec![b]]);
}

/// What the machines promise, the schema insists on.
pub(crate) async fn invariants_are_refused(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let job = w.order(&issue, 0);
    w.queue(&job).await;
    w.claim(&job, &runner, 10).await;
    let queued = w.order(&issue, 0);
    w.queue(&queued).await;
    for sql in [
        "UPDATE jobs SET phase = 'lost' WHERE phase = 'queued'",
        "UPDATE jobs SET run_id = NULL WHERE phase = 'leased'",
        "UPDATE jobs SET lease_until = NULL WHERE phase = 'leased'",
        "UPDATE jobs SET runner_id = NULL WHERE phase = 'leased'",
        "UPDATE jobs SET not_before = NULL WHERE phase = 'queued'",
        "UPDATE jobs SET lease_until = 5 WHERE phase = 'queued'",
        "UPDATE jobs SET starts = epoch + 1",
        "UPDATE jobs SET state = '{\"phase\":\"dead\"}'",
        "UPDATE issues SET phase = 'done'",
        "UPDATE issues SET priority = 4",
        "UPDATE runs SET ended_at = 5",
        "UPDATE runs SET start_commit = 'HEAD'",
        "DELETE FROM users",
        "INSERT INTO event_head (id, seq, hash) SELECT 2, seq, hash FROM event_head",
    ] {
        assert!(w.raw(sql).await.is_err(), "accepted: {sql}");
    }
    let mut tx = w.db.write().await.unwrap();
    let mut second = w.begin(&queued, runner.id, RunId(w.id()));
    second.state = RunState::Succeeded;
    let refused = run_insert(&mut tx, &second).await.unwrap_err();
    assert!(
        matches!(refused, Error::Corrupt { what: "run", .. }),
        "{refused:?}"
    );
}

pub(crate) async fn runs(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let mut job = w.order(&issue, 0);
    w.queue(&job).await;
    let (claimed, mut run) = w.claim(&job, &runner, 10).await;
    job = claimed;
    let mut tx = w.db.write().await.unwrap();
    let twin = Run {
        id: RunId(w.id()),
        ..run.clone()
    };
    run_set_log(&mut tx, run.id, 512).await.unwrap();
    run_set_log_closed(&mut tx, run.id).await.unwrap();
    let states = [
        RunState::Succeeded,
        RunState::Failed { failure: failure() },
        RunState::Stopped,
        RunState::Asked {
            question: Kept::quoted("Which?"),
        },
    ];
    for state in states {
        run.state = state;
        run.ended_at = Some(at(70));
        run.attempt = Some(commit(8));
        run.progress = Some("half".to_owned());
        run.usage = Some(Usage {
            input_tokens: u64::MAX,
            cached_input_tokens: 1,
            output_tokens: 2,
            cost_micro_usd: Some(3),
        });
        let mut host = HostUse::of("packages.example.com:443".to_owned());
        host.bytes_received = u64::MAX;
        run.traffic = Some(Traffic {
            hosts: vec![host],
            models: vec![ModelUse::default()],
        });
        run.session = Some(Session {
            id: "s".to_owned(),
            agent: "script".to_owned(),
            runner: runner.id,
            totals: serde_json::json!({"cost": 0.25}),
        });
        // A save knows nothing of the log and must not set it back.
        run_save(&mut tx, &run).await.unwrap();
        let read = run_get(&mut tx, run.id).await.unwrap().unwrap();
        assert_eq!((read.log_bytes, read.log_closed), (512, true));
        let (log_bytes, log_closed) = (run.log_bytes, run.log_closed);
        assert_eq!(
            Run {
                log_bytes,
                log_closed,
                ..read
            },
            run
        );
    }
    job.state = job
        .state
        .apply(
            Event::Finish {
                epoch: 1,
                outcome: Outcome::Succeeded,
            },
            at(70),
        )
        .unwrap();
    job_save(&mut tx, &job, at(70)).await.unwrap();
    assert_eq!(run_get(&mut tx, twin.id).await.unwrap(), None);
    let refused = run_save(&mut tx, &twin).await.unwrap_err();
    assert!(
        matches!(refused, Error::NotFound { what: "run" }),
        "{refused:?}"
    );
    let refused = run_insert(&mut tx, &twin).await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "run" }),
        "{refused:?}"
    );
}

pub(crate) async fn run_lists(w: World) {
    let (project, user, first) = w.one_issue().await;
    let second = w.issue(&project, &user, 2).await;
    let runner = w.runner("r").await;
    let mut ids = Vec::new();
    for place in 0..5 {
        let job = w.order(if place == 2 { &second } else { &first }, 0);
        w.queue(&job).await;
        let (_, mut run) = w.claim(&job, &runner, 10).await;
        if place < 3 {
            run.state = RunState::Stopped;
            run.ended_at = Some(at(100 - place));
            let mut tx = w.db.write().await.unwrap();
            run_save(&mut tx, &run).await.unwrap();
            tx.commit().await.unwrap();
        }
        ids.insert(0, run.id);
    }
    let mut tx = w.db.write().await.unwrap();
    let other = nightshift_domain::id::ProjectId(w.id());
    let expect = [
        (None, None, ids.clone()),
        (None, Some(project.id), ids.clone()),
        (Some(second.id), None, vec![ids[2]]),
        (Some(second.id), Some(project.id), vec![ids[2]]),
        (Some(second.id), Some(other), vec![]),
        (None, Some(other), vec![]),
    ];
    for (issue, of, expected) in expect {
        let found = run_list(&mut tx, issue, of, None, 9).await.unwrap();
        let found: Vec<RunId> = found.into_iter().map(|run| run.id).collect();
        assert_eq!(found, expected);
    }
    let running = run_list_running(&mut tx, 9).await.unwrap();
    let running: Vec<RunId> = running.into_iter().map(|run| run.id).collect();
    assert_eq!(running, ids[..2]);
    let page = run_list(&mut tx, None, None, Some(ids[1]), 2)
        .await
        .unwrap();
    assert_eq!(page.iter().map(|run| run.id).collect::<Vec<_>>(), ids[2..4]);

    // Ended at 98, 99 and 100; the newest first in `ids`.
    let open = run_list_log_open_ended(&mut tx, at(100), 9).await.unwrap();
    assert_eq!(open, [ids[2], ids[3]]);
    run_set_log_closed(&mut tx, ids[2]).await.unwrap();
    let open = run_list_log_open_ended(&mut tx, at(101), 9).await.unwrap();
    assert_eq!(open, [ids[3], ids[4]]);
}

pub(crate) async fn sessions(w: World) {
    let (_, _, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let left = [
        Some(("a", "one")),
        Some(("b", "two")),
        Some(("a", "three")),
        None,
    ];
    for session in left {
        let job = w.order(&issue, 0);
        w.queue(&job).await;
        let (_, mut run) = w.claim(&job, &runner, 10).await;
        run.session = session.map(|(agent, id)| Session {
            id: id.to_owned(),
            agent: agent.to_owned(),
            runner: runner.id,
            totals: serde_json::Value::Null,
        });
        let mut tx = w.db.write().await.unwrap();
        run_save(&mut tx, &run).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = w.db.read().await.unwrap();
    for (agent, expected) in [("a", Some("three")), ("b", Some("two")), ("c", None)] {
        let last = run_last_session(&mut tx, issue.id, agent).await.unwrap();
        assert_eq!(last.map(|session| session.id).as_deref(), expected);
    }
}
