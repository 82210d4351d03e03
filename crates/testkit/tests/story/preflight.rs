//! What would stop an issue, said while it is written.

use nightshift_api::Nothing;
use nightshift_api::issue::{Finding, NewIssue};
use nightshift_api::operations as op;
use nightshift_domain::access::Role;
use nightshift_testkit::person::{home, place, sealed};
use nightshift_testkit::{Person, World};

async fn checks(who: &Person, new: NewIssue) -> Vec<Finding> {
    who.call::<op::IssueCheck>(home("tally"), new)
        .await
        .expect("findings")
        .items
}

fn codes(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|one| one.code.as_str()).collect()
}

fn hello() -> NewIssue {
    NewIssue {
        title: "Say hello".to_owned(),
        body: "```sh\ntouch hello.txt\n```\n".to_owned(),
        ..NewIssue::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_stop_it_is_said_before_and_after_filing() {
    let world = World::new().await;
    world.project_with("tally", "").await;
    let alice = world.alice();
    let found = checks(&alice, hello()).await;
    assert_eq!(codes(&found), ["no-runner", "no-proof"]);
    assert_eq!(found[0].severity, "stops");
    let hand = world.hand("r1").await;
    assert!(hand.claims().await.is_none());
    let draft = alice
        .files(
            "tally",
            NewIssue {
                title: "Later".to_owned(),
                ..NewIssue::default()
            },
        )
        .await
        .expect("a draft is filed whatever is found");
    assert_eq!(codes(&draft.preflight), ["no-block", "no-proof"]);
    let new = NewIssue {
        agent: Some("gone".to_owned()),
        blocked_by: vec![draft.line.number, 77],
        acceptance: Some(sealed("t.sh", "false\n", "sh t.sh")),
        ..hello()
    };
    assert_eq!(
        codes(&checks(&alice, new).await),
        [
            "agent-unknown",
            "blocked",
            "blocked",
            "order-short",
            "untried"
        ]
    );
    let new = NewIssue {
        acceptance: Some(sealed("t.sh", "true\n", "sh t.sh")),
        ..hello()
    };
    let number = alice.files("tally", new).await.expect("filed").line.number;
    assert_eq!(
        codes(&alice.sees("tally", number).await.preflight),
        ["untried"]
    );
    alice
        .call::<op::IssueTry>(place("tally", number), Nothing {})
        .await
        .expect("tried");
    assert_eq!(codes(&alice.sees("tally", number).await.preflight), [""; 0]);
    hand.tries(0, "").await.expect("tried");
    // A runner is known by what it said last: this one takes all kinds again.
    assert!(hand.claims().await.is_none());
    let found = alice.sees("tally", number).await.preflight;
    assert_eq!(codes(&found), ["tests-green"]);
    assert!(found[0].next.contains("may pass already"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_settings_file_and_a_missing_branch_are_found() {
    let world = World::new().await;
    let alice = world.alice();
    alice.makes_project("tally").await;
    let hand = world.hand("r1").await;
    assert!(hand.claims().await.is_none());
    assert_eq!(
        codes(&checks(&alice, hello()).await),
        ["no-base", "no-proof"]
    );
    let checkout = world.checkout("tally", alice.token());
    checkout.write(".nightshift/config.toml", "[[chek]]\n");
    checkout.commit("broken");
    checkout.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    let found = checks(&alice, hello()).await;
    assert_eq!(codes(&found), ["config-broken", "no-proof"]);
    assert!(found[0].cause.contains("line 1"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_names_files_of_another_open_change_says_so() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let first = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("docs/hello.txt", "hello\n"), ("other.txt", "x\n")])
        .await;
    assert!(hand.claims().await.is_none());
    let new = || NewIssue {
        body: "```sh\necho more >>docs/hello.txt\n```\nand leave third.txt alone.".to_owned(),
        ..hello()
    };
    let found = checks(&alice, new()).await;
    assert_eq!(codes(&found), ["same-files"], "{found:?}");
    assert_eq!(found[0].severity, "warns");
    assert_eq!(found[0].what, "docs/hello.txt");
    assert!(found[0].cause.contains("#1"), "{found:?}");
    // Who waits for it has said so already, and a change does not stand in its own way.
    let after = NewIssue {
        blocked_by: vec![first],
        ..new()
    };
    assert_eq!(codes(&checks(&alice, after).await), ["blocked"]);
    let filed = alice.files("tally", new()).await.expect("a draft");
    assert_eq!(codes(&filed.preflight), ["same-files"]);
    alice.approves("tally", first).await.expect("approved");
    world.settle().await;
    let number = filed.line.number;
    assert_eq!(codes(&alice.sees("tally", number).await.preflight), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_asks_in_vain() {
    let world = World::new().await;
    world.project("tally").await;
    let reader = world.person("rita", &[("tally", Role::Reader)]).await;
    let refused = reader
        .call::<op::IssueCheck>(home("tally"), hello())
        .await
        .expect_err("it is not theirs to file");
    assert_eq!(refused.kind(), Some("forbidden"));
}
