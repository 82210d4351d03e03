//! The event log, the outbox, notifications, kept answers.

use nightshift_domain::access::Actor;
use nightshift_domain::id::{RunId, RunnerId};
use nightshift_domain::issue::Notice;
use nightshift_domain::told;
use nightshift_store::*;
use uuid::Uuid;

use crate::world::{World, at};

async fn append(w: &World, kind: &str, issue: Option<&Issue>) -> i64 {
    let mut tx = w.db.write().await.unwrap();
    let seq = event_append(&mut tx, &w.happened(kind, issue), at(1))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    seq
}

pub(crate) async fn log_and_lists(w: World) {
    let (p, user, a) = w.one_issue().await;
    let q = w.project("q").await;
    let b = w.issue(&q, &user, 1).await;
    for (expected, issue) in [Some(&a), None, Some(&b), Some(&a), Some(&b)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            append(&w, "issue.filed", issue).await,
            i64::try_from(expected).unwrap() + 1
        );
    }
    // One that is rolled back leaves no gap.
    let mut tx = w.db.write().await.unwrap();
    event_append(&mut tx, &w.happened("lost", None), at(1))
        .await
        .unwrap();
    drop(tx);
    let full = NewEvent {
        project: Some(p.id),
        issue: Some(a.id),
        run: Some(RunId(w.id())),
        kind: "run.ended".to_owned(),
        actor: Actor::Runner {
            runner: RunnerId(w.id()),
        },
        data: serde_json::json!({"nul": "\0", "ü": 1.5}),
    };
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(event_append(&mut tx, &full, at(7)).await.unwrap(), 6);
    tx.commit().await.unwrap();

    let mut tx = w.db.read().await.unwrap();
    let seqs = |events: Vec<Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
    let (only_p, both, none) = ([p.id], [q.id, p.id, q.id], []);
    for (after, projects, issue, limit, expected) in [
        (0, None, None, 9, vec![1, 2, 3, 4, 5, 6]),
        (2, None, None, 2, vec![3, 4]),
        (0, Some(&only_p[..]), None, 9, vec![1, 4, 6]),
        (0, Some(&both[..]), None, 3, vec![1, 3, 4]),
        (4, Some(&both[..]), None, 9, vec![5, 6]),
        (0, Some(&none[..]), None, 9, vec![]),
        (0, None, Some(b.id), 9, vec![3, 5]),
        (0, Some(&only_p[..]), Some(a.id), 9, vec![1, 4, 6]),
        (0, Some(&only_p[..]), Some(b.id), 9, vec![]),
    ] {
        let found = event_list(&mut tx, after, projects, issue, limit)
            .await
            .unwrap();
        assert_eq!(seqs(found), expected);
    }
    for (before, project, limit, expected) in [
        (i64::MAX, None, 9, vec![6, 5, 4, 3, 2, 1]),
        (6, None, 2, vec![5, 4]),
        (i64::MAX, Some(p.id), 9, vec![6, 4, 1]),
        (6, Some(p.id), 1, vec![4]),
        (1, None, 9, vec![]),
    ] {
        let found = event_list_back(&mut tx, before, project, limit)
            .await
            .unwrap();
        assert_eq!(seqs(found), expected);
    }
    let last = event_list(&mut tx, 5, None, None, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (
            last.project,
            last.issue,
            last.run,
            last.at,
            last.kind,
            last.actor,
            last.data
        ),
        (
            full.project,
            full.issue,
            full.run,
            at(7),
            full.kind,
            full.actor,
            full.data
        )
    );
    assert_eq!(event_last_seq(&mut tx).await.unwrap(), 6);
    assert_eq!(event_verify_chain(&mut tx).await.unwrap(), 6);
}

pub(crate) async fn the_log_cannot_be_rewritten(w: World) {
    append(&w, "a", None).await;
    for sql in ["UPDATE events SET kind = 'b'", "DELETE FROM events"] {
        let refused = w.raw(sql).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

pub(crate) async fn a_planted_change_is_found(w: World) {
    for _ in 0..1_005 {
        let mut tx = w.db.write().await.unwrap();
        event_append(&mut tx, &w.happened("a", None), at(1))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let open = match w.db.engine() {
        Engine::Sqlite => "DROP TRIGGER events_keep; DROP TRIGGER events_stay",
        Engine::Postgres => "ALTER TABLE events DISABLE TRIGGER events_keep",
    };
    w.raw(open).await.unwrap();
    let verify = async || {
        let mut tx = w.db.read().await.unwrap();
        event_verify_chain(&mut tx).await
    };
    assert_eq!(verify().await.unwrap(), 1_005);
    for (plant, undo, first_bad) in [
        (
            "UPDATE events SET kind = 'b' WHERE seq = 1003",
            "UPDATE events SET kind = 'a' WHERE seq = 1003",
            1_003,
        ),
        (
            "UPDATE events SET at = at + 1 WHERE seq = 1",
            "UPDATE events SET at = at - 1 WHERE seq = 1",
            1,
        ),
        (
            "UPDATE event_head SET seq = 1006",
            "UPDATE event_head SET seq = 1005",
            1_006,
        ),
        ("DELETE FROM events WHERE seq = 1000", "SELECT 1", 1_000),
    ] {
        w.raw(plant).await.unwrap();
        match verify().await {
            Err(Error::BrokenChain { seq }) => assert_eq!(seq, first_bad, "{plant}"),
            other => panic!("{plant}: {other:?}"),
        }
        w.raw(undo).await.unwrap();
    }
}

pub(crate) async fn outbox_keeps_the_order_per_target(w: World) {
    let mut made = Vec::new();
    let mut tx = w.db.write().await.unwrap();
    for (target, next_at) in [
        ("mail", 5),
        ("hook", 1),
        ("mail", 0),
        ("hook", 0),
        ("chat", 9),
    ] {
        let seq = event_append(&mut tx, &w.happened("a", None), at(0))
            .await
            .unwrap();
        let delivery = Delivery {
            id: w.id(),
            seq,
            target: target.to_owned(),
            attempts: 0,
            next_at: at(next_at),
            delivered_at: None,
            last_error: None,
        };
        outbox_insert(&mut tx, &delivery).await.unwrap();
        made.push(delivery);
    }
    let due = async |tx: &mut Tx, now| -> Vec<i64> {
        let due = outbox_due(tx, at(now), 9).await.unwrap();
        due.iter().map(|delivery| delivery.seq).collect()
    };
    // The second mail is due, but the first is not yet.
    assert_eq!(due(&mut tx, 0).await, [0; 0]);
    assert_eq!(due(&mut tx, 5).await, [2, 1]);
    outbox_failed(&mut tx, made[0].id, "refused", at(20))
        .await
        .unwrap();
    outbox_delivered(&mut tx, made[1].id, at(6)).await.unwrap();
    assert_eq!(due(&mut tx, 9).await, [4, 5]);
    assert_eq!(due(&mut tx, 20).await, [4, 5, 1]);
    assert_eq!(
        outbox_due(&mut tx, at(20), 1).await.unwrap(),
        [made[3].clone()]
    );
    assert_eq!(outbox_pending(&mut tx, "mail").await.unwrap(), 2);
    assert_eq!(outbox_pending(&mut tx, "hook").await.unwrap(), 1);
    let failed = outbox_due(&mut tx, at(20), 9).await.unwrap().remove(2);
    assert_eq!(
        (failed.attempts, failed.last_error.as_deref()),
        (1, Some("refused"))
    );
    let refused = outbox_delivered(&mut tx, w.id(), at(1)).await.unwrap_err();
    assert!(
        matches!(refused, Error::NotFound { what: "delivery" }),
        "{refused:?}"
    );
    let twice = Delivery {
        id: w.id(),
        ..made[0].clone()
    };
    let refused = outbox_insert(&mut tx, &twice).await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "delivery" }),
        "{refused:?}"
    );
}

pub(crate) async fn notifications(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let other = w.user("bob").await;
    let mut tx = w.db.write().await.unwrap();
    let mut made = Vec::new();
    for notice in [
        Notice::ReviewWanted,
        Notice::InputWanted,
        Notice::Failed,
        Notice::Landed,
    ] {
        let notification = Notification {
            id: w.id(),
            user: user.id,
            project: project.id,
            issue: issue.id,
            number: 1,
            notice,
            text: match notice {
                // One of before has the text alone.
                Notice::Landed => nightshift_domain::sentence::Kept::quoted("look"),
                _ => told::notice::it_failed().into(),
            },
            created_at: at(1),
            read_at: None,
        };
        notification_insert(&mut tx, &notification).await.unwrap();
        made.insert(0, notification);
    }
    assert_eq!(
        notification_list(&mut tx, user.id, false, 9).await.unwrap(),
        made
    );
    let first = made[0].id;
    assert!(
        !notification_read(&mut tx, other.id, first, at(5))
            .await
            .unwrap()
    );
    assert!(
        notification_read(&mut tx, user.id, first, at(5))
            .await
            .unwrap()
    );
    assert!(
        !notification_read(&mut tx, user.id, first, at(6))
            .await
            .unwrap()
    );
    assert_eq!(
        notification_list(&mut tx, user.id, true, 2).await.unwrap(),
        made[1..3]
    );
    let seen = notification_list(&mut tx, user.id, false, 1).await.unwrap();
    assert_eq!(seen[0].read_at, Some(at(5)));
    assert_eq!(
        notification_list(&mut tx, other.id, false, 9)
            .await
            .unwrap(),
        []
    );
    // What is past is read by itself, for everybody, and only that.
    let mut again = made[0].clone();
    again.id = w.id();
    again.notice = Notice::Failed;
    again.user = other.id;
    notification_insert(&mut tx, &again).await.unwrap();
    for (past, count) in [
        (&[][..], 0),
        (&[Notice::Failed, Notice::InputWanted], 3),
        (&[Notice::Failed], 0),
    ] {
        let settled = notification_settle(&mut tx, issue.id, past, at(4)).await;
        assert_eq!(settled.unwrap(), count, "{past:?}");
    }
    let unread = notification_list(&mut tx, user.id, true, 9).await.unwrap();
    assert_eq!(unread, [made[3].clone()]);
}

pub(crate) async fn idempotency(w: World) {
    let kept = Kept {
        request_hash: [7; 32],
        status: 201,
        body: vec![0, 255, 1],
    };
    let other = Kept {
        status: 500,
        ..kept.clone()
    };
    let holder = Uuid::nil().to_string();
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(idempotency_get(&mut tx, &holder, "k").await.unwrap(), None);
    assert!(
        idempotency_insert(&mut tx, &holder, "k", &kept, at(1))
            .await
            .unwrap()
    );
    assert!(
        !idempotency_insert(&mut tx, &holder, "k", &other, at(2))
            .await
            .unwrap()
    );
    assert!(
        idempotency_insert(&mut tx, "other", "k", &other, at(2))
            .await
            .unwrap()
    );
    assert_eq!(
        idempotency_get(&mut tx, &holder, "k").await.unwrap(),
        Some(kept)
    );
    assert_eq!(idempotency_purge(&mut tx, at(2)).await.unwrap(), 1);
    assert_eq!(idempotency_get(&mut tx, &holder, "k").await.unwrap(), None);
    assert_eq!(
        idempotency_get(&mut tx, "other", "k").await.unwrap(),
        Some(other)
    );
}
