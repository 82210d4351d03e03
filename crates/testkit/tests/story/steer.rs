//! Words to a run that goes on: heard, or too late and heard by the next one; lost never.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::client::CallError;
use nightshift_api::operations as op;
use nightshift_api::run::{NewSteer, RunPath, Steer};
use nightshift_domain::failure::Reason;
use nightshift_domain::id::RunId;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Hand, Person, World};

async fn says(who: &Person, run: RunId, text: &str, now: bool) -> Result<Steer, CallError> {
    let steer = NewSteer {
        text: text.to_owned(),
        now,
    };
    who.call::<op::RunSteer>(RunPath { run: run.0 }, steer)
        .await
}

async fn states(who: &Person, run: RunId) -> Vec<String> {
    let shown = who
        .call::<op::RunGet>(RunPath { run: run.0 }, Nothing {})
        .await;
    shown
        .expect("a run")
        .steers
        .into_iter()
        .map(|steer| steer.state)
        .collect()
}

async fn stage() -> (World, Person, Hand) {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    (world, alice, hand)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_sent_until_the_agent_has_them_whatever_becomes_of_the_server() {
    let (world, alice, hand) = stage().await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert!(hand.beats(&order).await.expect("alive").steers.is_empty());
    let first = says(&alice, order.run, "In French.", false)
        .await
        .expect("accepted");
    let second = says(&alice, order.run, "Stop talking.", true)
        .await
        .expect("accepted");
    assert_eq!((first.state.as_str(), second.now), ("waiting", true));
    // The server ends between taking them and passing them on.
    let world = world.reopen().await;
    for _ in 0..2 {
        let beat = hand.beats(&order).await.expect("alive");
        let told: Vec<&str> = beat.steers.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(told, ["In French.", "Stop talking."]);
        assert_eq!(beat.steers[0].by, "alice");
    }
    let beat = hand.heard(&order, vec![first.id]).await.expect("alive");
    assert_eq!(beat.steers.len(), 1);
    // The same said twice is said once.
    hand.heard(&order, vec![first.id]).await.expect("alive");
    assert_eq!(states(&alice, order.run).await, ["handed", "waiting"]);
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "steered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_too_late_is_told_and_goes_into_the_next_round() {
    let (world, alice, hand) = stage().await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    says(&alice, order.run, "In French.", false)
        .await
        .expect("accepted");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    assert_eq!(states(&alice, order.run).await, ["late"]);
    let issue = alice.sees("tally", 1).await;
    let note = issue.messages.last().expect("a note");
    assert!(
        note.body.contains("too late") && note.body.contains("> In French."),
        "{note:?}"
    );
    // So is what is said after the run's end.
    let after = says(&alice, order.run, "And louder.", false)
        .await
        .expect("accepted");
    assert_eq!(after.state, "late");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    let refused = says(&alice, proof.run, "Prove it.", false)
        .await
        .expect_err("no agent");
    assert_eq!(refused.kind(), Some("refused"));
    hand.proves(&proof, true).await.expect("proved");
    alice
        .sends_back("tally", 1, "Once more.")
        .await
        .expect("sent back");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let author = order.author.as_ref().expect("an author");
    for prompt in [&author.prompt, &author.resumed_prompt] {
        assert!(prompt.contains("Once more."), "{prompt}");
        for words in ["In French.", "And louder."] {
            assert_eq!(prompt.matches(words).count(), 1, "{words}: {prompt}");
        }
    }
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_to_a_run_that_is_lost_go_to_its_successor() {
    let (world, alice, hand) = stage().await;
    let lost = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let said = says(&alice, lost.run, "In French.", false)
        .await
        .expect("accepted");
    world.after(Duration::from_secs(61)).await;
    assert_eq!(states(&alice, lost.run).await, ["late"]);
    // A runner that comes back has given it to nobody that counts.
    assert!(hand.heard(&lost, vec![said.id]).await.is_err());
    assert_eq!(states(&alice, lost.run).await, ["late"]);
    let order = hand.claims_of(&[Kind::Author]).await.expect("again");
    let author = order.author.as_ref().expect("an author");
    assert!(author.prompt.contains("In French."), "{}", author.prompt);
    hand.fails(&order, Reason::AgentFailed)
        .await
        .expect("taken");
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_control_runs_speaks_and_only_where_somebody_hears() {
    let (world, alice, hand) = stage().await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let rita = world
        .person(
            "rita",
            &[("tally", nightshift_domain::access::Role::Reader)],
        )
        .await;
    let refused = says(&rita, order.run, "Hi.", false)
        .await
        .expect_err("a reader");
    assert_eq!(refused.kind(), Some("forbidden"));
    let refused = says(&alice, order.run, "  ", false)
        .await
        .expect_err("nothing");
    assert_eq!(refused.kind(), Some("invalid"));
    hand.fails(&order, Reason::AgentFailed)
        .await
        .expect("taken");
    alice
        .call::<op::IssueClose>(
            nightshift_testkit::person::place("tally", 1),
            nightshift_api::issue::Words {
                text: "no".to_owned(),
            },
        )
        .await
        .expect("closed");
    let refused = says(&alice, order.run, "Hi.", false)
        .await
        .expect_err("nobody hears");
    assert_eq!(refused.kind(), Some("refused"));
}
