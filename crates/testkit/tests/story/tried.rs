//! Sealed tests tried on the base: at the keyboard, and before an agent begins.

use nightshift_api::Nothing;
use nightshift_api::issue::{EditIssue, Issue, NewIssue, Tryout};
use nightshift_api::operations as op;
use nightshift_domain::check::Acceptance;
use nightshift_domain::failure::Reason;
use nightshift_domain::job::Kind;
use nightshift_testkit::hand::tried;
use nightshift_testkit::person::{place, sealed};
use nightshift_testkit::{Hand, Person, World};

fn hello() -> Acceptance {
    sealed("accept.sh", "test -f hello.txt\n", "sh accept.sh")
}

fn asks(title: &str, acceptance: Acceptance, ready: bool) -> NewIssue {
    NewIssue {
        title: title.to_owned(),
        acceptance: Some(acceptance),
        ready,
        ..NewIssue::default()
    }
}

async fn stage() -> (World, Person, Hand) {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    // A runner that has called is one that is alive.
    assert!(hand.claims().await.is_none());
    (world, alice, hand)
}

async fn files(alice: &Person, new: NewIssue) -> i64 {
    alice
        .files("tally", new)
        .await
        .expect("an issue")
        .line
        .number
}

async fn tries(alice: &Person, number: i64) -> Tryout {
    alice
        .call::<op::IssueTry>(place("tally", number), Nothing {})
        .await
        .expect("tried")
}

async fn retries(alice: &Person, number: i64) -> Issue {
    alice
        .call::<op::IssueRetry>(place("tally", number), Nothing {})
        .await
        .expect("retried")
}

/// What stands on the issue.
async fn known(alice: &Person, number: i64) -> Tryout {
    alice.sees("tally", number).await.tryout.expect("a tryout")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_tried_once_and_its_agent_starts_at_once() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), false)).await;
    assert_eq!(alice.sees("tally", number).await.tryout, None);
    assert_eq!(tries(&alice, number).await.state, "waiting");
    // Asking twice is asking once.
    assert_eq!(tries(&alice, number).await.state, "waiting");
    let order = hand.claims().await.expect("the tryout");
    assert_eq!(order.kind, Kind::Tryout);
    assert_eq!((&order.start, order.author.is_none()), (&order.base, true));
    assert!(order.checks.is_empty() && order.acceptance.is_some());
    assert_eq!(known(&alice, number).await.state, "running");
    hand.ends(&order, tried(&order, 1, "no greeting"), None)
        .await
        .expect("taken");
    let seen = known(&alice, number).await;
    assert_eq!((seen.state.as_str(), seen.fit), ("red", Some(true)));
    assert_eq!(seen.words, "red as expected");
    assert_eq!(seen.output_tail.as_deref(), Some("no greeting"));
    assert!(seen.current);
    assert_eq!(hand.claims().await.map(|order| order.kind), None);
    // Known for this base: not run again, neither by hand nor before the agent.
    assert_eq!(tries(&alice, number).await.state, "red");
    alice
        .call::<op::IssueReady>(place("tally", number), Nothing {})
        .await
        .expect("ready");
    let order = hand.claims().await.expect("the author's job");
    assert_eq!(order.kind, Kind::Author);
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let refused = alice
        .call::<op::IssueTry>(place("tally", number), Nothing {})
        .await
        .expect_err("a result is judged by them");
    assert_eq!(refused.kind(), Some("refused"));
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untried_issue_is_tried_before_its_agent_and_told_when_that_would_be_in_vain() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), true)).await;
    assert_eq!(alice.runs("tally", number).await.len(), 0);
    let waiting = alice.sees("tally", number).await.line.waiting;
    assert_eq!(
        waiting.as_deref(),
        Some("its sealed tests are tried first: the tryout job waits for a free runner")
    );
    hand.tries(0, "").await.expect("tried");
    let issue = alice.sees("tally", number).await;
    let failed = issue.failed.expect("a person must look");
    assert_eq!(failed.reason, Reason::AcceptanceGreen);
    assert!(
        issue
            .line
            .waiting
            .expect("a reason")
            .contains("would prove nothing")
    );
    world.settle().await;
    assert!(hand.claims().await.is_none(), "no agent was started");
    nightshift_testkit::invariants::hold(&world, "green on the base").await;

    // Other tests: tried by themselves, and then the agent starts.
    let edit = EditIssue {
        acceptance: Some(sealed("accept.sh", "test -f hola.txt\n", "sh accept.sh")),
        ..EditIssue::default()
    };
    let issue = alice.edits("tally", number, edit).await.expect("edited");
    assert_eq!(issue.failed, None);
    hand.tries(1, "").await.expect("tried");
    assert_eq!(hand.claims().await.expect("a job").kind, Kind::Author);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_that_do_not_run_stop_the_agent_until_a_person_insists() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), true)).await;
    hand.tries(127, "/bin/sh: 1: pytest: not found")
        .await
        .expect("tried");
    let issue = alice.sees("tally", number).await;
    let failed = issue.failed.expect("a person must look");
    assert_eq!(failed.reason, Reason::AcceptanceBroken);
    assert!(
        failed.detail.as_str().contains("`pytest` is missing"),
        "{}",
        failed.detail
    );
    assert_eq!(issue.tryout.expect("a tryout").fit, Some(false));
    // The base moves meanwhile; who insists is not asked again.
    let alices = world.checkout("tally", alice.token());
    alices.take("main");
    alices.write("other.txt", "x\n");
    alices.commit("other");
    alices.push(&["HEAD:refs/heads/side"]).expect("pushed");
    let issue = retries(&alice, number).await;
    assert_eq!(issue.failed, None);
    assert_eq!(hand.claims().await.expect("a job").kind, Kind::Author);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refactoring_may_be_green_and_one_may_say_so_afterwards() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Tidy", hello(), true)).await;
    hand.tries(0, "").await.expect("tried");
    let edit = EditIssue {
        acceptance: Some(Acceptance {
            already_green: true,
            ..hello()
        }),
        ..EditIssue::default()
    };
    let issue = alice.edits("tally", number, edit).await.expect("edited");
    assert_eq!(issue.failed, None);
    let seen = issue.tryout.expect("the same tests, so the same result");
    assert_eq!(
        (seen.fit, seen.words.as_str()),
        (Some(true), "green, as the issue says")
    );
    assert_eq!(hand.claims().await.expect("a job").kind, Kind::Author);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_about_one_base() {
    let world = World::new().await;
    let main = world
        .project_with("tally", "[merge]\ndirect_push = true\n")
        .await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = files(&alice, asks("Say hello", hello(), false)).await;
    tries(&alice, number).await;
    hand.tries(1, "").await.expect("tried");
    main.write("hello.txt", "somebody was faster\n");
    main.commit("hello");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    assert!(!known(&alice, number).await.current);
    assert_eq!(tries(&alice, number).await.state, "waiting");
    hand.tries(0, "").await.expect("tried");
    let seen = known(&alice, number).await;
    assert_eq!((seen.state.as_str(), seen.current), ("green", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_at_the_keyboard_goes_first() {
    let (world, alice, hand) = stage().await;
    for n in 1..=3 {
        let new = NewIssue {
            title: format!("Urgent {n}"),
            priority: Some(0),
            ready: true,
            ..NewIssue::default()
        };
        files(&alice, new).await;
    }
    let new = NewIssue {
        priority: Some(3),
        ..asks("Low", hello(), false)
    };
    let number = files(&alice, new).await;
    tries(&alice, number).await;
    let order = hand.claims().await.expect("a job");
    assert_eq!((order.kind, order.number), (Kind::Tryout, number));
    // A runner that does not take such jobs does not get one.
    tries(&alice, number).await;
    let other = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(other.kind, Kind::Author);
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tryout_that_cannot_be_made_holds_nobody_up() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), true)).await;
    let order = hand.claims().await.expect("the tryout");
    hand.fails(&order, Reason::TimeLimit).await.expect("taken");
    assert_eq!(known(&alice, number).await.state, "failed");
    let order = hand.claims().await.expect("a job");
    assert_eq!(order.kind, Kind::Author);
    hand.fails(&order, Reason::AgentFailed)
        .await
        .expect("taken");
    let failed = alice.sees("tally", number).await.failed;
    assert_eq!(failed.map(|f| f.reason), Some(Reason::AgentFailed));
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "no tryout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tryout_that_a_person_stops_takes_the_issue_back_to_draft() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), true)).await;
    let order = hand.claims().await.expect("the tryout");
    alice.cancels(order.run).await.expect("told to stop");
    assert!(hand.beats(&order).await.expect("a beat").stop);
    hand.ends(&order, nightshift_api::runner::End::Stopped, None)
        .await
        .expect("taken");
    assert_eq!(alice.phase("tally", number).await, "draft");
    assert_eq!(known(&alice, number).await.state, "stopped");
    world.settle().await;
    assert!(hand.claims().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_tests_are_tried_instead_of_the_old_ones() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), true)).await;
    let old = hand.claims().await.expect("the tryout");
    let edit = EditIssue {
        acceptance: Some(sealed("accept.sh", "test -f hola.txt\n", "sh accept.sh")),
        ..EditIssue::default()
    };
    alice.edits("tally", number, edit).await.expect("edited");
    assert!(hand.beats(&old).await.expect("a beat").stop);
    let new = hand.claims().await.expect("another tryout");
    assert_eq!(new.kind, Kind::Tryout);
    // The old one's end moves nothing, whichever it is.
    hand.ends(&old, tried(&old, 0, ""), None)
        .await
        .expect("taken");
    let issue = alice.sees("tally", number).await;
    assert_eq!((issue.line.phase.as_str(), issue.failed), ("ready", None));
    hand.ends(&new, tried(&new, 1, ""), None)
        .await
        .expect("taken");
    assert_eq!(hand.claims().await.expect("a job").kind, Kind::Author);
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "changed tests").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tryout_survives_the_servers_end_and_a_lost_runner() {
    let (world, alice, hand) = stage().await;
    let number = files(&alice, asks("Say hello", hello(), false)).await;
    tries(&alice, number).await;
    let world = world.reopen().await;
    let lost = hand.claims().await.expect("the tryout was accepted");
    let world = world.reopen().await;
    world.after(std::time::Duration::from_secs(61)).await;
    assert_eq!(known(&alice, number).await.state, "waiting");
    let late = hand.ends(&lost, tried(&lost, 0, ""), None).await;
    assert!(late.is_err(), "its lease was lost");
    hand.tries(1, "").await.expect("tried again");
    assert_eq!(known(&alice, number).await.state, "red");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_issue_is_tried_when_its_time_comes() {
    let (world, alice, hand) = stage().await;
    let first = alice.files_ready("tally", "First").await;
    let new = NewIssue {
        blocked_by: vec![first],
        ..asks("Second", hello(), true)
    };
    let number = files(&alice, new).await;
    hand.works(&[("a.txt", "a\n")]).await;
    assert!(hand.claims_of(&[Kind::Tryout]).await.is_none(), "not yet");
    alice.approves("tally", first).await.expect("approved");
    world.settle().await;
    let order = hand.claims().await.expect("its time has come");
    assert_eq!((order.kind, order.number), (Kind::Tryout, number));
    assert_eq!(order.base, world_tip(&alice, first).await);
}

/// The commit as which an issue landed.
async fn world_tip(alice: &Person, number: i64) -> nightshift_domain::git_name::ObjectId {
    let landed = alice.sees("tally", number).await.landed.expect("landed");
    landed.parse().expect("a commit")
}
