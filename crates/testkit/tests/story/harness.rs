//! Runners with different programs: an agent's job goes to one that has its program, and where none
//! has, everybody is told.

use nightshift_api::Nothing;
use nightshift_api::issue::{EditIssue, NewIssue};
use nightshift_api::operations as op;
use nightshift_api::runner::End;
use nightshift_domain::failure::Reason;
use nightshift_domain::job::Kind;
use nightshift_git::RefUpdate;
use nightshift_store::project::project_by_name;
use nightshift_testkit::person::{home, place};
use nightshift_testkit::{Hand, Person, World, invariants};

const SETTINGS: &str = "[merge]\ndirect_push = true\n[[agent]]\nname = \"claude\"\nharness = \"claude-code\"\n[[agent]]\nname = \"codex\"\nharness = \"codex\"\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
const IMAGE: &str = "[environment]\nimage = \"registry.example.com/team/base:1\"\n";
const FREE: &str = "the author job waits for a free runner";

fn nobody(harness: &str) -> String {
    format!(
        "the author job waits, and no runner that is alive has the program and the model endpoint of {harness}: see `nightshift agent doctor` on a runner's machine, or give the issue another agent"
    )
}

async fn stage() -> (World, Person) {
    let world = World::new().await;
    world.project_with("tally", SETTINGS).await;
    let alice = world.alice();
    (world, alice)
}

fn configure(world: &World, who: &Person, config: &str) {
    let checkout = world.checkout("tally", who.token());
    checkout.take("main");
    checkout.write(".nightshift/config.toml", config);
    checkout.commit("settings");
    checkout
        .push(&["HEAD:refs/heads/main"])
        .expect("it is pushed");
}

async fn files(who: &Person, agent: &str) -> i64 {
    let new = NewIssue {
        title: format!("For {agent}"),
        body: "Say hello to everybody who comes in, in their own language.".to_owned(),
        agent: Some(agent.to_owned()),
        ready: true,
        ..NewIssue::default()
    };
    let filed = who.files("tally", new).await.expect("filed");
    filed.line.number
}

async fn waiting(who: &Person, number: i64) -> String {
    let found = who.sees("tally", number).await;
    found.line.waiting.unwrap_or_default()
}

async fn takes(hand: &Hand) -> Option<(i64, Kind)> {
    let order = hand.claims().await?;
    Some((order.number, order.kind))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_runner_gets_the_work_of_the_agents_whose_programs_it_has() {
    let (world, alice) = stage().await;
    let (one, other) = (world.hand("one").await, world.hand("other").await);
    let one = one.with_harnesses(&["script", "claude-code"]);
    let other = other.with_harnesses(&["script", "codex"]);
    let claude = files(&alice, "claude").await;
    let codex = files(&alice, "codex").await;
    let script = files(&alice, "script").await;
    world.settle().await;
    // The oldest is another's; who has no program for anything gets nothing.
    assert_eq!(takes(&other).await, Some((codex, Kind::Author)));
    let bare = world.hand("bare").await.with_harnesses(&[]);
    assert_eq!(takes(&bare).await, None);
    assert_eq!(takes(&other).await, Some((script, Kind::Author)));
    assert_eq!(takes(&other).await, None);
    let order = one.claims().await.expect("its agent's job");
    assert_eq!(order.number, claude);
    one.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    // A proof starts no agent: any runner has what it needs.
    let proof = bare.claims().await.expect("the proof");
    assert_eq!((proof.number, proof.kind), (claude, Kind::Verify));
    // One that does not say, as an older one, is handed everything.
    let more = files(&alice, "codex").await;
    world.settle().await;
    assert_eq!(takes(&one).await, None);
    let old = world.hand("old").await;
    assert_eq!(takes(&old).await, Some((more, Kind::Author)));
    let lines = alice
        .call::<op::RunnerList>(Nothing {}, Nothing {})
        .await
        .expect("runners")
        .items;
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.name.as_str(),
                line.harnesses.clone().map(|all| all.join(" ")),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("bare", Some(String::new())),
            ("old", None),
            ("one", Some("script claude-code".to_owned())),
            ("other", Some("script codex".to_owned())),
        ]
    );
    invariants::hold(&world, "harnesses").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_do_says_so_and_starts_when_somebody_can() {
    let (world, alice) = stage().await;
    let runner = world.hand("one").await;
    let one = runner.clone().with_harnesses(&["script", "codex"]);
    assert_eq!(takes(&one).await, None);
    let number = files(&alice, "claude").await;
    world.settle().await;
    assert_eq!(takes(&one).await, None);
    assert_eq!(waiting(&alice, number).await, nobody("claude-code"));
    let board = alice
        .call::<op::IssueList>(home("tally"), Nothing {})
        .await
        .expect("issues");
    assert_eq!(board.items[0].waiting, Some(nobody("claude-code")));
    let codes: Vec<String> = alice
        .sees("tally", number)
        .await
        .preflight
        .into_iter()
        .map(|one| one.code)
        .collect();
    assert_eq!(codes, ["no-harness"]);
    // One that only proves is none, whatever it has.
    let proofs = world.hand("proofs").await;
    assert!(proofs.claims_of(&[Kind::Verify]).await.is_none());
    assert_eq!(waiting(&alice, number).await, nobody("claude-code"));
    // The same runner, started again with another set of programs.
    let again = runner.with_harnesses(&["claude-code"]);
    assert_eq!(takes(&again).await, Some((number, Kind::Author)));
    let more = files(&alice, "codex").await;
    world.settle().await;
    assert_eq!(takes(&again).await, None);
    assert_eq!(waiting(&alice, more).await, nobody("codex"));
    assert_eq!(takes(&one).await, Some((more, Kind::Author)));
    let last = files(&alice, "codex").await;
    world.settle().await;
    assert_eq!(waiting(&alice, last).await, FREE);
    // Silent for longer than a lease.
    world.after(std::time::Duration::from_secs(70)).await;
    assert_eq!(
        waiting(&alice, last).await,
        "the author job waits and no runner is alive: start one with `nightshift runner`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_asks_or_is_sent_back_is_routed_as_the_first_was() {
    let (world, alice) = stage().await;
    let one = world.hand("one").await.with_harnesses(&["claude-code"]);
    let other = world.hand("other").await.with_harnesses(&["codex"]);
    assert_eq!(takes(&one).await, None);
    let number = files(&alice, "claude").await;
    let nothing_for_the_other = async || {
        world.settle().await;
        assert_eq!(takes(&other).await, None);
        assert_eq!(waiting(&alice, number).await, FREE);
        let order = one.claims().await.expect("its agent's job");
        assert_eq!((order.number, order.kind), (number, Kind::Author));
        order
    };
    // Given back, failed and retried, asked and answered, lost, sent back.
    let order = nothing_for_the_other().await;
    one.fails(&order, Reason::Released).await.expect("released");
    let order = nothing_for_the_other().await;
    one.fails(&order, Reason::AgentFailed)
        .await
        .expect("failed");
    alice
        .call::<op::IssueRetry>(place("tally", number), Nothing {})
        .await
        .expect("retried");
    let order = nothing_for_the_other().await;
    let question = "Which language?".to_owned();
    let end = End::Asked { question };
    one.ends(&order, end, None).await.expect("asked");
    alice
        .answers("tally", number, "All of them.")
        .await
        .expect("answered");
    nothing_for_the_other().await;
    world.after(std::time::Duration::from_secs(90)).await;
    assert_eq!(takes(&other).await, None);
    let order = one.claims().await.expect("after the lost one");
    one.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let proof = other.claims().await.expect("the proof");
    other.proves(&proof, true).await.expect("proved");
    alice
        .sends_back("tally", number, "Louder.")
        .await
        .expect("sent back");
    let order = nothing_for_the_other().await;
    assert_eq!(order.round, 2);
    // The session of the round before is one's own.
    assert!(order.author.expect("an author").session.is_some());
    invariants::hold(&world, "routed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_does_not_wait_for_the_runner_that_has_its_session() {
    let (world, alice) = stage().await;
    let one = world.hand("one").await.with_harnesses(&["claude-code"]);
    let number = files(&alice, "claude").await;
    world.settle().await;
    one.works(&[("hello.txt", "hello\n")]).await;
    alice
        .sends_back("tally", number, "Louder.")
        .await
        .expect("sent back");
    world.settle().await;
    let other = world.hand("other").await.with_harnesses(&["claude-code"]);
    let order = other.claims().await.expect("the second round");
    assert_eq!((order.number, order.round), (number, 2));
    assert!(order.author.expect("an author").session.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_brings_the_program_and_a_bare_runner_is_not_asked() {
    let (world, alice) = stage().await;
    let bare = world.hand("bare").await.with_harnesses(&["script"]);
    let number = files(&alice, "claude").await;
    world.settle().await;
    assert_eq!(takes(&bare).await, None);
    assert_eq!(waiting(&alice, number).await, nobody("claude-code"));
    let contained = world.hand("contained").await;
    let contained = contained.with_images().with_harnesses(&["script"]);
    assert_eq!(takes(&contained).await, None, "no image is named");
    configure(&world, &alice, &format!("{IMAGE}{SETTINGS}"));
    world.settle().await;
    assert_eq!(waiting(&alice, number).await, FREE);
    assert!(alice.sees("tally", number).await.preflight.is_empty());
    assert_eq!(takes(&bare).await, None);
    assert_eq!(takes(&contained).await, Some((number, Kind::Author)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_changes_counts_for_what_is_queued() {
    let (world, alice) = stage().await;
    let one = world.hand("one").await.with_harnesses(&["codex"]);
    let number = files(&alice, "claude").await;
    world.settle().await;
    assert_eq!(takes(&one).await, None);
    // By the issue.
    let edit = EditIssue {
        agent: Some("codex".to_owned()),
        ..EditIssue::default()
    };
    alice.edits("tally", number, edit).await.expect("edited");
    assert_eq!(waiting(&alice, number).await, FREE);
    assert_eq!(takes(&one).await, Some((number, Kind::Author)));
    // By the settings: the claim itself reads them.
    let number = files(&alice, "claude").await;
    world.settle().await;
    assert_eq!(takes(&one).await, None);
    let other = SETTINGS.replace("\"claude-code\"", "\"codex\"");
    configure(&world, &alice, &other);
    world.settle().await;
    assert_eq!(waiting(&alice, number).await, FREE);
    assert_eq!(takes(&one).await, Some((number, Kind::Author)));
    let number = files(&alice, "claude").await;
    world.settle().await;
    configure(&world, &alice, SETTINGS);
    world.settle().await;
    assert_eq!(takes(&one).await, None);
    assert_eq!(waiting(&alice, number).await, nobody("claude-code"));
}

/// The branch moves past the server, so that the claim picks by the settings of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_as_a_job_is_claimed_is_seen_before_it_is_handed_out() {
    let (world, alice) = stage().await;
    let one = world.hand("one").await.with_harnesses(&["claude-code"]);
    let number = files(&alice, "claude").await;
    world.settle().await;
    let checkout = world.checkout("tally", alice.token());
    checkout.take("main");
    let old = checkout.git(&["rev-parse", "HEAD"]);
    let other = SETTINGS.replace("\"claude-code\"", "\"codex\"");
    checkout.write(".nightshift/config.toml", &other);
    let new = checkout.commit("settings");
    checkout
        .push(&["HEAD:refs/heads/aside"])
        .expect("it is pushed");
    let mut tx = world.db().read().await.expect("a transaction");
    let project = project_by_name(&mut tx, "tally").await.expect("a project");
    drop(tx);
    let update = RefUpdate {
        name: "refs/heads/main".parse().expect("a name"),
        old: old.trim().parse().expect("a commit"),
        new: new.trim().parse().expect("a commit"),
    };
    let repository = world.repository(project.expect("a project").id);
    repository
        .update_refs(&[update], "aside")
        .await
        .expect("moved");
    assert!(one.claims().await.is_none());
    assert_eq!(waiting(&alice, number).await, nobody("codex"));
    let runs = alice.runs("tally", number).await;
    assert_eq!(
        runs[0].failure.as_ref().map(|failure| failure.reason),
        Some(Reason::Released)
    );
    assert!(one.claims().await.is_none());
    // No start is used up.
    let codex = world.hand("codex").await.with_harnesses(&["codex"]);
    for _ in 0..3 {
        let order = codex.claims().await.expect("by the settings of now");
        codex
            .fails(&order, Reason::Released)
            .await
            .expect("released");
    }
    assert_eq!(takes(&codex).await, Some((number, Kind::Author)));
}
