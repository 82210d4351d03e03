//! Idempotency keys: one request, one effect, one answer, however often and at once it is sent.

use nightshift_store::Location;
use nightshift_testkit::World;
use nightshift_testkit::postgres::Server;
use serde_json::json;

use crate::ask::{Answer, Ask};

async fn file(world: &World, token: &str, key: &str, title: &str) -> Answer {
    let url = format!("{}/api/v1/projects/tally/issues", world.url);
    let ask = Ask::new("POST", &url).token(Some(token));
    ask.header("idempotency-key", key)
        .json(&json!({ "title": title, "ready": true }))
        .send()
        .await
}

async fn count(world: &World, token: &str) -> usize {
    let url = format!("{}/api/v1/projects/tally/issues", world.url);
    let page = Ask::new("GET", &url).token(Some(token)).send().await.json();
    page["items"].as_array().expect("items").len()
}

async fn one_key_is_one_issue(world: &World) {
    world.project("tally").await;
    let alice = world.alice();
    let first = file(world, alice.token(), "k1", "One").await;
    let second = file(world, alice.token(), "k1", "One").await;
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    assert!(second.headers.contains_key("idempotency-replayed"));
    let other = file(world, alice.token(), "k1", "Two").await;
    assert_eq!((other.status, other.problem().as_str()), (409, "conflict"));
    assert_eq!(count(world, alice.token()).await, 1);

    let writer = world
        .person(
            "writer",
            &[("tally", nightshift_domain::access::Role::Writer)],
        )
        .await;
    let theirs = file(world, writer.token(), "k1", "One").await;
    assert_eq!(theirs.status, 200, "another person's key is another key");
    assert_ne!(theirs.body, first.body);
    assert_eq!(count(world, alice.token()).await, 2);

    let token = alice.token().to_owned();
    let together = (0..20).map(|_| file(world, &token, "k2", "At once"));
    let answers = futures_util::future::join_all(together).await;
    assert_eq!(count(world, &token).await, 3);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.body, answers[0].body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_carried_out_once_also_twenty_times_at_once() {
    one_key_is_one_issue(&World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_carried_out_once_on_postgres() {
    let server = Server::start(&[]).expect("PostgreSQL");
    let url = server.database("once").expect("a database");
    one_key_is_one_issue(&World::on(Location::Postgres(url)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_does_not_use_its_key_up() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let refused = file(&world, alice.token(), "k", "").await;
    assert_eq!(refused.status, 422);
    let taken = file(&world, alice.token(), "k", "Now with a title").await;
    assert_eq!(taken.status, 200, "{}", taken.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_key_is_refused() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    for key in [String::new(), "x".repeat(201)] {
        let answer = file(&world, alice.token(), &key, "One").await;
        assert_eq!(answer.status, 422, "{key:?}");
    }
    assert_eq!(count(&world, alice.token()).await, 0);
}
