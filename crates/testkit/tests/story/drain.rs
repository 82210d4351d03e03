//! A runner that is drained gets no new jobs, finishes what it has, and is taken back; whatever waits
//! for it meanwhile says so.

use nightshift_api::client::CallError;
use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::project::EventQuery;
use nightshift_api::runner::{RunnerLine, RunnerPath};
use nightshift_api::{Nothing, Operation};
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Person, World, invariants};

const DRAINING: &str = "job waits, and every runner that could take it is draining";

async fn turn<O>(who: &Person, runner: &str) -> Result<RunnerLine, CallError>
where
    O: Operation<Path = RunnerPath, Query = Nothing, Input = Nothing, Output = RunnerLine>,
{
    let path = RunnerPath {
        runner: runner.to_owned(),
    };
    who.call::<O>(path, Nothing {}).await
}

async fn drains(who: &Person, runner: &str) -> Result<RunnerLine, CallError> {
    turn::<op::RunnerDrain>(who, runner).await
}

async fn resumes(who: &Person, runner: &str) -> Result<RunnerLine, CallError> {
    turn::<op::RunnerResume>(who, runner).await
}

async fn waiting(who: &Person, number: i64) -> String {
    let found = who.sees("tally", number).await;
    found.line.waiting.unwrap_or_default()
}

/// What happened to runners, oldest first.
async fn events(who: &Person) -> Vec<(String, serde_json::Value)> {
    let page = who
        .client()
        .call::<op::EventList>(&Nothing {}, &EventQuery::default(), &Nothing {})
        .await
        .expect("events");
    let of_runners = page
        .items
        .into_iter()
        .filter(|event| event.kind.starts_with("runner."));
    let mut found: Vec<_> = of_runners.map(|event| (event.seq, event)).collect();
    found.sort_by_key(|(seq, _)| *seq);
    found
        .into_iter()
        .map(|(_, event)| (event.kind, event.data))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_runner_finishes_what_it_has_and_gets_nothing_new() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let line = drains(&alice, "r1").await.expect("drained");
    assert!(line.draining && line.alive, "{line:?}");

    // What it has goes on, to the end.
    hand.beats(&order).await.expect("alive");
    hand.authors(&order, &[("one.txt", "one\n")])
        .await
        .expect("authored");
    world.settle().await;
    assert!(hand.claims().await.is_none(), "its proof is a new job");
    assert!(
        waiting(&alice, 1)
            .await
            .starts_with(&format!("the verify {DRAINING}"))
    );
    let next = alice.files_ready("tally", "Second").await;
    assert!(hand.claims().await.is_none());
    let said = waiting(&alice, next).await;
    assert!(
        said.starts_with(&format!("the author {DRAINING}")),
        "{said}"
    );

    // Before it is filed as well.
    let checked = alice
        .call::<op::IssueCheck>(
            nightshift_testkit::person::home("tally"),
            NewIssue {
                title: "Third".to_owned(),
                body: "Say hello to everybody who comes in, in their own language.".to_owned(),
                ..NewIssue::default()
            },
        )
        .await
        .expect("checked");
    let stops: Vec<_> = checked
        .items
        .iter()
        .filter(|found| found.code == "no-runner")
        .collect();
    assert_eq!(stops.len(), 1, "{checked:?}");
    assert_eq!(
        stops[0].cause,
        "those that could take its jobs are draining"
    );

    // Another runner is enough, and then there is no reason any more.
    let other = world.hand("r2").await;
    let proof = other.claims().await.expect("the proof");
    assert_eq!((proof.number, proof.kind), (1, Kind::Verify));
    assert!(
        waiting(&alice, next)
            .await
            .contains("waits for a free runner")
    );
    drains(&alice, "r2").await.expect("drained");
    assert!(waiting(&alice, next).await.contains(DRAINING));

    // Taken back.
    let line = resumes(&alice, "r1").await.expect("taken back");
    assert!(!line.draining, "{line:?}");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.number, next);
    other.proves(&proof, true).await.expect("proved");
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "in-review");
    invariants::hold(&world, "drained").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_runner_stays_so_through_restarts_until_it_is_taken_back() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    drains(&alice, "r1").await.expect("drained");
    // Twice is once.
    drains(&alice, "r1").await.expect("drained");
    let world = world.reopen().await;
    assert!(hand.claims().await.is_none(), "the server was restarted");
    // As a runner is that starts again: the same name, another token and version.
    let again = world.hand("r1").await;
    assert!(again.claims().await.is_none(), "the runner was restarted");
    let listed = alice
        .call::<op::RunnerList>(Nothing {}, Nothing {})
        .await
        .expect("runners");
    assert_eq!(listed.items.len(), 1);
    assert!(listed.items[0].draining && listed.items[0].alive);
    resumes(&alice, "r1").await.expect("taken back");
    assert!(again.claims().await.is_some());
    let told: Vec<_> = events(&alice).await;
    let runner = serde_json::json!({ "runner": "r1" });
    assert_eq!(
        told,
        [
            ("runner.drained".to_owned(), runner.clone()),
            ("runner.resumed".to_owned(), runner)
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_drain_and_only_what_there_is() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let keeper = world.person("keeper", &[("tally", Role::Maintainer)]).await;
    for refused in [drains(&keeper, "r1").await, resumes(&keeper, "r1").await] {
        assert_eq!(refused.expect_err("forbidden").kind(), Some("forbidden"));
    }
    let unknown = drains(&alice, "nobody").await.expect_err("unknown");
    assert_eq!(unknown.kind(), Some("not-found"));
    alice.files_ready("tally", "First").await;
    assert!(hand.claims().await.is_some());
    assert_eq!(events(&alice).await, []);
}
