//! F28: messages of runners that come twice, late, or in another order change nothing a second time.

use std::time::Duration;

use nightshift_api::runner::{End, WorkOrder};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_testkit::hand::report;
use nightshift_testkit::{World, finish, invariants};

fn failed(reason: Reason) -> End {
    End::Failed {
        failure: Failure {
            reason,
            detail: Kept::quoted("as the test says"),
            retry_at: None,
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_finished_run_comes_again_an_hour_later() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    let author = hand.claims().await.expect("a job");
    let attempt = hand.pushes(&author, &[("hello.txt", "hello\n")]);
    let authored = End::Authored {
        summary: "once".to_owned(),
        self_checks: Vec::new(),
    };
    hand.ends(&author, authored.clone(), Some(attempt.clone()))
        .await
        .expect("authored");
    let proof = hand.claims().await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    let landed = alice.sees("tally", number).await;
    world.after(Duration::from_secs(3_600)).await;
    let events = world.app.last_event().await.expect("a place");

    for _ in 0..2 {
        for (order, end, attempt) in [
            (
                &proof,
                End::Proved {
                    report: report(&proof, false),
                },
                None,
            ),
            (&author, failed(Reason::AgentFailed), None),
            (&author, authored.clone(), Some(attempt.clone())),
            (
                &author,
                End::Asked {
                    question: "Again?".to_owned(),
                },
                None,
            ),
            (&proof, failed(Reason::RunnerLost), None),
        ] {
            let done = hand
                .ends(order, end, attempt)
                .await
                .expect("the same answer");
            assert_eq!(done.state, "succeeded");
        }
        for order in [&author, &proof] {
            let late = hand.beats(order).await.expect_err("a beat of a dead run");
            assert_eq!(late.kind(), Some("refused"), "{late}");
            let late = hand.logs(order, 0, "{}\n").await;
            late.expect_err("a word of a dead run");
        }
    }
    assert_eq!(alice.sees("tally", number).await, landed);
    assert_eq!(world.app.last_event().await.expect("a place"), events);
    invariants::hold(&world, "late messages").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_lost_lease_come_after_those_of_the_next() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, slow, quick) = (
        world.alice(),
        world.hand("slow").await,
        world.hand("quick").await,
    );
    let number = alice.files_ready("tally", "Say hello").await;
    let old = slow.claims().await.expect("a job");
    let attempt = slow.pushes(&old, &[("old.txt", "old\n")]);
    world.after(Duration::from_secs(61)).await;
    let new = quick.claims().await.expect("the job again");
    let stale = async |old: &WorkOrder, when: &str| {
        let end = End::Authored {
            summary: "late".to_owned(),
            self_checks: Vec::new(),
        };
        let error = slow.ends(old, end, Some(attempt.clone())).await;
        let error = error.expect_err("a stale result was adopted");
        assert_eq!(error.kind(), Some("stale-epoch"), "{when}: {error}");
        let error = slow.ends(old, failed(Reason::AgentFailed), None).await;
        assert_eq!(error.expect_err(when).kind(), Some("stale-epoch"));
        invariants::hold(&world, when).await;
    };
    stale(&old, "while the next works").await;
    quick
        .authors(&new, &[("new.txt", "new\n")])
        .await
        .expect("authored");
    stale(&old, "once the next has ended").await;
    let proof = quick.claims().await.expect("a proof");
    stale(&old, "while it is proved").await;
    quick.proves(&proof, true).await.expect("proved");
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    stale(&old, "once it has landed").await;
    let main = world.checkout("tally", alice.token());
    main.take("main");
    assert!(main.file("new.txt").exists() && !main.file("old.txt").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_runner_ends_no_run_of_this_one() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, own, other) = (
        world.alice(),
        world.hand("own").await,
        world.hand("other").await,
    );
    alice.files_ready("tally", "Say hello").await;
    let order = own.claims().await.expect("a job");
    for refused in [
        other.beats(&order).await.map(drop),
        other.logs(&order, 0, "{}\n").await.map(drop),
        other.ends(&order, End::Stopped, None).await.map(drop),
    ] {
        assert_eq!(refused.expect_err("taken").kind(), Some("not-found"));
    }
    own.beats(&order).await.expect("still alive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_pieces_out_of_order_is_whole_in_the_end() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Talk").await;
    let order = hand.claims().await.expect("a job");
    let lines = ["{\"a\":1}\n", "{\"b\":22}\n", "{\"c\":333}\n"];
    let whole = lines.concat();
    let at = |n: usize| lines[..n].concat().len() as u64;
    // A piece from further on is not taken, and the answer says where to go on.
    assert_eq!(hand.logs(&order, at(2), lines[2]).await.expect("told"), 0);
    hand.logs(&order, 0, lines[0]).await.expect("taken");
    // One that overlaps adds what is new.
    let two = lines[..2].concat();
    hand.logs(&order, 0, &two).await.expect("taken");
    hand.logs(&order, at(1), lines[1])
        .await
        .expect("nothing new");
    let together = (0..8).map(|_| hand.logs(&order, at(2), lines[2]));
    for size in futures_util::future::join_all(together).await {
        assert_eq!(size.expect("taken"), whole.len() as i64);
    }
    let path = nightshift_api::run::RunPath { run: order.run.0 };
    let log = nightshift_api::operations::LOG_READ;
    let bytes = alice.client().bytes(&log, &path, &[], None).await;
    assert_eq!(bytes.expect("a log"), whole.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_completions_at_once_are_one() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims().await.expect("a job");
    let attempt = hand.pushes(&order, &[("hello.txt", "hello\n")]);
    let end = End::Authored {
        summary: "once".to_owned(),
        self_checks: Vec::new(),
    };
    let together = (0..20).map(|_| hand.ends(&order, end.clone(), Some(attempt.clone())));
    for done in futures_util::future::join_all(together).await {
        assert_eq!(done.expect("an answer").state, "succeeded");
    }
    assert_eq!(alice.pull("tally", number).await.heads.len(), 1);
    world.settle().await;
    invariants::hold(&world, "twenty completions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_claims_at_once_share_nothing() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for n in 0..12 {
        alice.files_ready("tally", &format!("Issue {n}")).await;
    }
    let together = (0..20).map(|_| hand.claims_of(&[Kind::Author]));
    let orders: Vec<_> = futures_util::future::join_all(together)
        .await
        .into_iter()
        .flatten()
        .collect();
    let mut numbers: Vec<_> = orders.iter().map(|order| order.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    world.settle().await;
    invariants::hold(&world, "twenty claims").await;
    finish::finish(&world, "tally").await;
}
