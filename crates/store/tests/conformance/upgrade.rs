//! A database of an older version, with data in it, opened by this program.

use nightshift_domain::access::Actor;
use nightshift_domain::config::Config;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::{IssueId, JobId, RunId, RunnerId, UserId};
use nightshift_domain::job::{Kind, Phase};
use nightshift_domain::route::Runner as Able;
use nightshift_domain::sentence::Kept;
use nightshift_store::*;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::world::{World, at, raw};

const FIRST_SQLITE: &str = include_str!("../../migrations/sqlite/0001_first.sql");
const FIRST_POSTGRES: &str = include_str!("../../migrations/postgres/0001_first.sql");

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// Rows as version 1 wrote them; `@3` is the third id. Issue 1 is in review and was sent back once,
/// issue 2 failed, issue 3 is done, and issue 4 is ready with a job for later and one for now.
fn rows() -> String {
    let time = |seconds| at(seconds).as_millisecond();
    let failed = json(&Failure {
        reason: Reason::NoChange,
        detail: Kept::quoted("nothing"),
        retry_at: None,
    });
    let parked = json(&Phase::Queued {
        not_before: Some(at(500)),
        after: None,
    });
    let queued = json(&Phase::Queued {
        not_before: None,
        after: None,
    });
    let commit = "a".repeat(40);
    let mut sql = format!(
        "INSERT INTO users (id, name, is_admin, created_at) VALUES (@1, 'alice', 1, 0);
        INSERT INTO projects (id, name, default_branch, config, created_at) VALUES (@2, 'p', 'main', '{}', 0);",
        json(&Config::default())
    );
    let done = format!(r#"{{"phase":"done","commit":"{commit}"}}"#);
    for (number, phase, state, failed) in [
        (
            1,
            "in-review",
            r#"{"phase":"in-review"}"#,
            "NULL".to_owned(),
        ),
        (2, "ready", r#"{"phase":"ready"}"#, format!("'{failed}'")),
        (3, "done", done.as_str(), "NULL".to_owned()),
        (4, "ready", r#"{"phase":"ready"}"#, "NULL".to_owned()),
    ] {
        sql.push_str(&format!(
            "INSERT INTO issues (id, project_id, number, title, title_folded, body, labels, priority, agent, requester_id, phase, state, round, repairs, failed, trust, has_acceptance, version, created_at, updated_at) VALUES (@{}, @2, {number}, 'T', 't', '', '[]', 2, 'script', @1, '{phase}', '{state}', 1, 0, {failed}, 'operator', 0, 1, {time}, {time});",
            10 + number,
            time = time(number)
        ));
    }
    for (id, state, not_before) in [(21, parked, time(500)), (22, queued, 0)] {
        sql.push_str(&format!(
            "INSERT INTO jobs (id, project_id, issue_id, kind, phase, state, epoch, starts, not_before, payload, priority, version, created_at, updated_at) VALUES (@{id}, @2, @14, 'author', 'queued', '{state}', 0, 0, {not_before}, '{{}}', 2, 1, 0, 0);"
        ));
    }
    let leased = json(&Phase::Leased {
        runner: RunnerId(id(41)),
        run: RunId(id(42)),
        until: at(60),
        stop: false,
    });
    sql.push_str(&format!(
        "INSERT INTO runners (id, name, slots, version, draining, last_seen_at, created_at) VALUES (@41, 'r', 1, '0', 0, 0, 0);
        INSERT INTO jobs (id, project_id, issue_id, kind, phase, state, epoch, starts, payload, priority, version, created_at, updated_at) VALUES (@23, @2, @11, 'verify', 'succeeded', '{{\"phase\":\"succeeded\"}}', 1, 1, '{{}}', 2, 1, 0, 0);
        INSERT INTO runs (id, job_id, project_id, issue_id, number, kind, epoch, round, agent, runner_id, phase, state, start_commit, log_bytes, log_closed, started_at) VALUES (@42, @23, @2, @11, 1, 'verify', 1, 1, 'nightshift', @41, 'running', '{{\"phase\":\"running\"}}', '{commit}', 0, 0, 0);
        UPDATE jobs SET phase = 'leased', state = '{leased}', lease_until = {}, runner_id = @41, run_id = @42 WHERE id = @23;",
        at(60).as_millisecond()
    ));
    sql.push_str(&format!(
        "INSERT INTO reviews (id, issue_id, round, head, decision, body, comments, user_id, user_name, created_at) VALUES (@31, @11, 1, '{commit}', 'send-back', 'again', '[]', @1, 'alice', {});",
        time(1)
    ));
    sql.push_str(&format!(
        "INSERT INTO messages (id, issue_id, round, kind, author, trust, body, created_at) VALUES (@51, @11, 1, 'note', '{}', 'operator', 'Taken {{out}}.', 0);
        INSERT INTO notifications (id, user_id, project_id, issue_id, number, notice, body, created_at) VALUES (@52, @1, @2, @11, 1, 'failed', 'look', 0);",
        json(&Actor::System)
    ));
    sql
}

fn id(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

pub(crate) async fn a_database_of_version_1_is_taken_over_with_its_data(w: World) {
    w.db.clone().close().await;
    drop(w.db);
    let (first, quote) = match &w.location {
        Location::Sqlite(path) => {
            std::fs::remove_file(path).unwrap();
            (FIRST_SQLITE, "x'")
        }
        Location::Postgres(_) => {
            let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
            raw(&w.location, empty).await.unwrap();
            (FIRST_POSTGRES, "'")
        }
    };
    let checksum = hex::encode(Sha256::digest(first));
    let mut rows = rows();
    // The longest first: `@1` begins `@11`.
    for number in (1..=52).rev() {
        let literal = format!("{quote}{}'", id(number).simple());
        rows = rows.replace(&format!("@{number}"), &literal);
    }
    let version_1 = format!(
        "{first}
        CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL);
        INSERT INTO schema_versions (version, name, checksum) VALUES (1, 'first', '{checksum}');
        {rows}"
    );
    raw(&w.location, &version_1).await.unwrap();

    let db = Db::open(&w.location).await.unwrap();
    db.check().await.unwrap();
    let mut tx = db.write().await.unwrap();
    let (user, issue) = (UserId(id(1)), IssueId(id(11)));
    let reviews = review_list(&mut tx, issue).await.unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].withdrawn_at, None);
    assert_eq!((reviews[0].by, reviews[0].body.as_str()), (user, "again"));
    assert!(
        review_withdraw(&mut tx, reviews[0].id, at(9))
            .await
            .unwrap()
    );
    // What was made anew is as it was.
    let job = job_get(&mut tx, JobId(id(23))).await.unwrap().unwrap();
    assert_eq!(
        (job.kind, job.state.phase.as_str()),
        (Kind::Verify, "leased")
    );
    let run = run_get(&mut tx, RunId(id(42))).await.unwrap().unwrap();
    assert_eq!((run.kind, run.job), (Kind::Verify, job.id));
    let old = issue_get(&mut tx, issue).await.unwrap().unwrap();
    assert_eq!(old.budget, nightshift_domain::budget::Budget::default());
    let runner = runner_get(&mut tx, RunnerId(id(41)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (runner.kinds, runner.harnesses, runner.images),
        (None, None, false)
    );
    // Texts of before have no sentence.
    let said = message_list(&mut tx, issue).await.unwrap();
    assert_eq!(said[0].body, Kept::quoted("Taken {out}."));
    let told = notification_list(&mut tx, user, false, 9).await.unwrap();
    assert_eq!(told[0].text, Kept::quoted("look"));
    // What is queued is handed to runners that have its agent's program.
    let with = |harnesses: Vec<String>| Able {
        harnesses: Some(harnesses),
        ..Able::default()
    };
    for (has, expected) in [
        (vec![], None),
        (vec!["script".to_owned()], Some(JobId(id(22)))),
    ] {
        let found = job_claim_next(&mut tx, Kind::ALL, &with(has), at(100))
            .await
            .unwrap();
        assert_eq!(found.map(|job| job.id), expected);
    }
    // What waits stands on the desk, and is to be weighed.
    let waiting = standing_list_stale(&mut tx, 9).await.unwrap();
    let waiting: Vec<IssueId> = waiting.iter().map(|one| one.issue).collect();
    assert_eq!(waiting, [IssueId(id(11)), IssueId(id(12))]);
    password_set(&mut tx, user, "$argon2id$x", at(1))
        .await
        .unwrap();
    park_set(&mut tx, user, issue, at(5)).await.unwrap();
    tx.commit().await.unwrap();

    // Once is enough.
    db.close().await;
    let db = Db::open(&w.location).await.unwrap();
    let mut tx = db.read().await.unwrap();
    let hash = password_get(&mut tx, user).await.unwrap();
    assert_eq!(hash.as_deref(), Some("$argon2id$x"));
    let reviews = review_list(&mut tx, issue).await.unwrap();
    assert_eq!(reviews[0].withdrawn_at, Some(at(9)));
}
