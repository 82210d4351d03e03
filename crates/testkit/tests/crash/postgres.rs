//! The same on PostgreSQL, and what only it allows: two servers on one database.

use std::time::Duration;

use nightshift_api::runner::End;
use nightshift_domain::job::Kind;
use nightshift_store::Location;
use nightshift_testkit::postgres::Server;
use nightshift_testkit::{World, finish, invariants};

use crate::sweep;

/// A server of its own for a test, and an empty database in it.
async fn world() -> (Server, World) {
    let server = Server::start(&[]).expect("PostgreSQL");
    let url = server.database("crash").expect("a database");
    let world = World::on(Location::Postgres(url)).await;
    (server, world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_f1_to_f6() {
    let (_server, first) = world().await;
    sweep::filing(sweep::Stage::on(first).await, sweep::SOME).await;
    let (_server, second) = world().await;
    sweep::claiming(sweep::Stage::on(second).await, sweep::SOME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_f17_to_f19() {
    let (_server, first) = world().await;
    sweep::authoring(sweep::Stage::on(first).await, sweep::SOME).await;
    let (_server, second) = world().await;
    sweep::landing(sweep::Stage::on(second).await, sweep::SOME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_f21_two_servers_tick_at_once_and_nothing_lands_twice() {
    let (_server, world) = world().await;
    let main = world.project("tally").await;
    let other = world.replica().await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for n in 1..=6 {
        alice.files_ready("tally", &format!("Add file {n}")).await;
        let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
        let name = format!("file-{n}.txt");
        hand.authors(&order, &[(name.as_str(), "x\n")])
            .await
            .expect("authored");
    }
    while let Some(proof) = hand.claims_of(&[Kind::Verify]).await {
        hand.proves(&proof, true).await.expect("proved");
    }
    for n in 1..=6 {
        alice.approves("tally", n).await.expect("approved");
    }
    for _ in 0..60 {
        let both = tokio::join!(
            world.app.tick(),
            other.tick(),
            world.app.tick(),
            other.tick()
        );
        // A collision is no harm: the next tick looks again.
        for report in [both.0, both.1, both.2, both.3] {
            report.expect("a tick");
        }
        while let Some(trial) = hand.claims_of(&[Kind::Trial]).await {
            // Its candidate may be gone already.
            drop(hand.proves(&trial, true).await);
        }
        let mut left = 0;
        for n in 1..=6 {
            left += usize::from(alice.phase("tally", n).await != "done");
        }
        if left == 0 {
            break;
        }
    }
    world.settle().await;
    invariants::hold(&world, "two servers").await;
    main.take("main");
    assert_eq!(main.git(&["rev-list", "--count", "HEAD"]), "7");
    for n in 1..=6 {
        assert_eq!(alice.phase("tally", n).await, "done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_two_servers_hand_out_each_job_once() {
    let (_server, world) = world().await;
    world.project("tally").await;
    let (url, other) = nightshift_testkit::world::serve(world.replica().await).await;
    let (alice, here) = (world.alice(), world.hand("here").await);
    let token = world.app.operator_token(None, Some("there"), "test").await;
    let there = nightshift_testkit::Hand::new(&url, token.expect("a token").reveal());
    for n in 0..12 {
        alice.files_ready("tally", &format!("Issue {n}")).await;
    }
    let together = (0..24).map(|n| {
        let hand = if n % 2 == 0 { &here } else { &there };
        hand.claims_of(&[Kind::Author])
    });
    let orders: Vec<_> = futures_util::future::join_all(together)
        .await
        .into_iter()
        .flatten()
        .collect();
    let mut numbers: Vec<_> = orders.iter().map(|order| order.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), orders.len(), "a job was handed out twice");
    world.settle().await;
    invariants::hold(&world, "two servers").await;
    finish::finish(&world, "tally").await;
    other.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_the_loop_with_two_rounds_a_question_and_a_conflict() {
    let (_server, world) = world().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let first = alice.files_ready("tally", "First").await;
    hand.works(&[("README.md", "one\n")]).await;
    alice
        .sends_back("tally", first, "Not yet.")
        .await
        .expect("sent back");
    let order = hand.claims().await.expect("the second round");
    assert_eq!(order.round, 2);
    let end = End::Asked {
        question: "Red or blue?".to_owned(),
    };
    hand.ends(&order, end, None).await.expect("asked");
    alice
        .answers("tally", first, "Blue.")
        .await
        .expect("answered");

    let second = alice.files_ready("tally", "Second").await;
    let mut authors = Vec::new();
    for _ in 0..2 {
        authors.push(hand.claims_of(&[Kind::Author]).await.expect("a job"));
    }
    for order in &authors {
        let text = format!("{}\n", order.number);
        hand.authors(order, &[("README.md", &text)])
            .await
            .expect("authored");
    }
    while let Some(proof) = hand.claims_of(&[Kind::Verify]).await {
        hand.proves(&proof, true).await.expect("proved");
    }
    for number in [first, second] {
        alice.approves("tally", number).await.expect("approved");
    }
    world.settle().await;
    assert_eq!(alice.phase("tally", first).await, "done");
    let order = hand.claims().await.expect("the conflict's job");
    assert_eq!(order.number, second);
    hand.authors(&order, &[("README.md", "both\n")])
        .await
        .expect("resolved");
    invariants::hold(&world, "after the conflict").await;
    finish::finish(&world, "tally").await;
    main.take("main");
    assert_eq!(main.read("README.md"), "both\n");
    invariants::hold(&world, "at the end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_silent_runner_a_taken_over_branch_and_a_closed_issue() {
    let (_server, world) = world().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "First").await;
    for _ in 0..3 {
        hand.claims().await.expect("a start");
        world.after(Duration::from_secs(61)).await;
    }
    assert!(hand.claims().await.is_none(), "a fourth start");
    let failed = alice.sees("tally", number).await.failed;
    assert!(failed.is_some());
    let path = nightshift_testkit::person::place("tally", number);
    alice
        .call::<nightshift_api::operations::IssueRetry>(path, nightshift_api::Nothing {})
        .await
        .expect("tried again");
    hand.works(&[("a.txt", "a\n")]).await;
    let stale = alice.pull("tally", number).await.line.head;
    let person = world.checkout("tally", alice.token());
    person.take("nightshift/1");
    person.write("more.txt", "more\n");
    person.commit("more");
    person
        .push(&["HEAD:refs/heads/nightshift/1"])
        .expect("taken over");
    let refused = alice.approves_head("tally", number, &stale).await;
    assert_eq!(
        refused.expect_err("a stale head").kind(),
        Some("stale-head")
    );
    let closed = alice.files_ready("tally", "Never mind").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let words = nightshift_api::issue::Words {
        text: "not needed".to_owned(),
    };
    alice
        .call::<nightshift_api::operations::IssueClose>(
            nightshift_testkit::person::place("tally", closed),
            words,
        )
        .await
        .expect("closed");
    assert!(hand.beats(&order).await.expect("alive").stop);
    hand.ends(&order, End::Stopped, None)
        .await
        .expect("stopped");
    world.settle().await;
    invariants::hold(&world, "before the end").await;
    finish::finish(&world, "tally").await;
    invariants::hold(&world, "at the end").await;
}
