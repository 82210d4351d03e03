//! Opening, checking and transactions.

use std::task::Poll;

use nightshift_store::*;

use crate::world::{World, at, raw};

pub(crate) async fn every_statement_fits_the_schema(w: World) {
    w.db.check().await.unwrap();
    w.raw("ALTER TABLE runners RENAME COLUMN slots TO places")
        .await
        .unwrap();
    let found = w.db.check().await.unwrap_err().to_string();
    assert!(found.contains("runner INSERT"), "{found}");
}

pub(crate) async fn a_newer_schema_is_refused(w: World) {
    w.raw("INSERT INTO schema_versions (version, name, checksum) VALUES (999, 'later', '')")
        .await
        .unwrap();
    let World { db, location, .. } = w;
    db.close().await;
    let refused = Db::open(&location).await.err().unwrap();
    assert!(
        matches!(refused, Error::TooNew { found: 999, .. }),
        "{refused}"
    );
}

pub(crate) async fn a_migration_that_breaks_half_way_leaves_nothing(w: World) {
    w.db.clone().close().await;
    drop(w.db);
    // An empty database, but for something in the way of the migration's later half.
    match &w.location {
        Location::Sqlite(path) => std::fs::remove_file(path).unwrap(),
        Location::Postgres(_) => raw(
            &w.location,
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        )
        .await
        .unwrap(),
    }
    raw(&w.location, "CREATE TABLE verdicts (x BIGINT)")
        .await
        .unwrap();
    let broken = Db::open(&w.location).await.err().unwrap();
    assert!(matches!(broken, Error::Sql(_)), "{broken:?}");
    assert!(raw(&w.location, "SELECT 1 FROM users").await.is_err());
    raw(&w.location, "DROP TABLE verdicts").await.unwrap();
    Db::open(&w.location).await.unwrap().check().await.unwrap();
}

pub(crate) async fn a_dropped_transaction_leaves_nothing(w: World) {
    let user = w.user("alice").await;
    {
        let mut tx = w.db.write().await.unwrap();
        let other = User {
            id: nightshift_domain::id::UserId(w.id()),
            name: "bob".to_owned(),
            ..user.clone()
        };
        user_insert(&mut tx, &other).await.unwrap();
        assert_eq!(user_list(&mut tx).await.unwrap().len(), 2);
    }
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(user_list(&mut tx).await.unwrap(), [user]);
}

/// Polls a future so many times at most, then drops it; whether it ended.
async fn ends_within(polls: u32, future: impl Future<Output = ()>) -> bool {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if left == 0 => Poll::Ready(false),
            polled => polled.map(|()| true),
        }
    })
    .await
}

/// Callers vanish at any await; the next one must find a sound connection and nothing half-done.
pub(crate) async fn a_cancelled_caller_leaves_nothing(w: World) {
    let project = w.project("p").await;
    let mut given_up = 0;
    for polls in (0..8).cycle().take(400) {
        let task = async {
            let mut tx = w.db.write().await.unwrap();
            for _ in 0..3 {
                project_next_number(&mut tx, project.id).await.unwrap();
            }
            // Never committed.
        };
        given_up += u64::from(!ends_within(polls, task).await);
    }
    assert!(given_up > 100, "only {given_up} callers were cancelled");
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(project_next_number(&mut tx, project.id).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

pub(crate) async fn a_reader_sees_one_snapshot_and_cannot_write(w: World) {
    w.user("alice").await;
    let mut reader = w.db.read().await.unwrap();
    assert_eq!(user_list(&mut reader).await.unwrap().len(), 1);
    let bob = w.user("bob").await;
    assert_eq!(user_list(&mut reader).await.unwrap().len(), 1);
    let refused = user_insert(&mut reader, &bob).await.unwrap_err();
    assert!(matches!(refused, Error::Full(_)), "{refused:?}");
    drop(reader);
    let mut reader = w.db.read().await.unwrap();
    assert_eq!(user_list(&mut reader).await.unwrap().len(), 2);
}

pub(crate) async fn text_with_nul_is_refused(w: World) {
    let (_, _, mut issue) = w.one_issue().await;
    issue.body = "a\0b".to_owned();
    let mut tx = w.db.write().await.unwrap();
    let refused = issue_save(&mut tx, &issue, at(5)).await.unwrap_err();
    assert!(
        matches!(refused, Error::Corrupt { what: "issue", .. }),
        "{refused:?}"
    );
    // JSON escapes it, so it is kept there.
    issue.body = String::new();
    issue.labels = vec!["a\0b".to_owned()];
    issue_save(&mut tx, &issue, at(5)).await.unwrap();
    let read = issue_get(&mut tx, issue.id).await.unwrap().unwrap();
    assert_eq!(read.labels, issue.labels);
}
