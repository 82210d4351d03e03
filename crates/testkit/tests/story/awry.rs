//! The loop when something goes wrong.

use std::time::Duration;

use nightshift_api::issue::NewIssue;
use nightshift_api::runner::End;
use nightshift_domain::failure::Reason;
use nightshift_domain::job::Kind;
use nightshift_testkit::World;
use nightshift_testkit::person::sealed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_runner_loses_its_lease_and_each_of_its_writes_is_refused() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, slow, quick) = (
        world.alice(),
        world.hand("slow").await,
        world.hand("quick").await,
    );
    let number = alice.files_ready("tally", "Say hello").await;
    let old = slow.claims().await.expect("a job");
    slow.logs(&old, 0, "{\"line\":1}\n").await.expect("logged");

    world.after(Duration::from_secs(59)).await;
    assert!(quick.claims().await.is_none(), "the lease was cut short");
    world.after(Duration::from_secs(2)).await;
    let new = quick.claims().await.expect("the job again");
    assert_eq!((new.job, new.epoch), (old.job, old.epoch + 1));

    let attempt = quick.pushes(&new, &[("hello.txt", "hello\n")]);
    for refused in [
        slow.beats(&old).await.map(drop),
        slow.logs(&old, 11, "{\"line\":2}\n").await.map(drop),
        slow.fails(&old, Reason::AgentFailed).await.map(drop),
    ] {
        let error = refused.expect_err("a stale write was taken");
        assert!(
            matches!(error.kind(), Some("stale-epoch" | "refused")),
            "{error}"
        );
    }
    let pushed = slow.workspace_refused(&old);
    assert!(pushed.contains("could not read Username"), "{pushed}");
    let end = End::Authored {
        summary: String::new(),
        self_checks: Vec::new(),
    };
    quick
        .ends(&new, end, Some(attempt))
        .await
        .expect("authored");
    assert_eq!(alice.phase("tally", number).await, "working");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_completion_is_the_same_answer_and_no_second_effect() {
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
    let first = hand
        .ends(&order, end.clone(), Some(attempt.clone()))
        .await
        .expect("ended");
    let second = hand
        .ends(&order, end, Some(attempt))
        .await
        .expect("ended again");
    assert_eq!(first, second);
    assert_eq!(alice.pull("tally", number).await.heads.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_lost_runner_leaves_a_visible_failure_and_the_queue_moves_on() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Kill the runner").await;
    for _ in 0..3 {
        hand.claims().await.expect("a start");
        world.after(Duration::from_secs(61)).await;
    }
    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.line.phase, "ready");
    assert!(
        issue
            .line
            .waiting
            .expect("a reason")
            .starts_with("runner-lost")
    );
    assert!(hand.claims().await.is_none(), "a fourth start");
    let other = alice.files_ready("tally", "Harmless").await;
    assert_eq!(hand.claims().await.expect("the other").number, other);
    let retried = alice
        .call::<nightshift_api::operations::IssueRetry>(
            nightshift_testkit::person::place("tally", number),
            nightshift_api::Nothing {},
        )
        .await;
    retried.expect("retried by a person");
    assert_eq!(hand.claims().await.expect("again").number, number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_without_a_change_is_no_result() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Do nothing").await;
    let order = hand.claims().await.expect("a job");
    let done = hand.authors(&order, &[]).await.expect("an answer");
    assert_eq!(done.state, "failed");
    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.failed.expect("a failure").reason, Reason::NoChange);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_was_not_pushed_is_no_result() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Lie").await;
    let order = hand.claims().await.expect("a job");
    let end = End::Authored {
        summary: "done!".to_owned(),
        self_checks: Vec::new(),
    };
    let claimed = "a".repeat(40).parse().expect("an id");
    let done = hand
        .ends(&order, end, Some(claimed))
        .await
        .expect("an answer");
    assert_eq!(done.state, "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_sealed_test_is_red_whatever_the_results_say() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let new = NewIssue {
        title: "Cheat".to_owned(),
        acceptance: Some(sealed("accept.sh", "test -f hello.txt\n", "sh accept.sh")),
        ready: true,
        ..NewIssue::default()
    };
    let number = alice
        .files("tally", new)
        .await
        .expect("an issue")
        .line
        .number;
    hand.tries(1, "").await.expect("tried");
    let order = hand.claims().await.expect("a job");
    hand.authors(&order, &[("accept.sh", "exit 0\n")])
        .await
        .expect("authored");
    let proof = hand.claims().await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    let pull = alice.pull("tally", number).await;
    assert_eq!(pull.line.verdict.expect("a verdict").as_str(), "red");
    let refused = alice
        .approves("tally", number)
        .await
        .expect_err("red was approved");
    assert!(
        refused
            .to_string()
            .contains("alters the sealed file accept.sh"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_of_another_commit_is_red() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims().await.expect("a job");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let proof = hand.claims().await.expect("a proof");
    let mut forged = nightshift_testkit::hand::report(&proof, true);
    forged.head = proof.base.clone();
    hand.ends(&proof, End::Proved { report: forged }, None)
        .await
        .expect("an answer");
    let pull = alice.pull("tally", number).await;
    assert_ne!(pull.line.verdict.map(|v| v.as_str()), Some("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_head_cannot_be_approved_and_nothing_is_decided_twice() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    let seen = alice.pull("tally", number).await.line.head;

    let person = world.checkout("tally", alice.token());
    person.take("nightshift/1");
    person.write("more.txt", "more\n");
    person.commit("more");
    person
        .push(&["HEAD:refs/heads/nightshift/1"])
        .expect("a person takes over");
    let refused = alice
        .approves_head("tally", number, &seen)
        .await
        .expect_err("a stale head");
    assert_eq!(refused.kind(), Some("stale-head"));
    let early = alice.approves("tally", number).await.expect_err("unproved");
    assert!(
        early.to_string().contains("wait for its verdict"),
        "{early}"
    );

    let proof = hand.claims().await.expect("the new head's proof");
    hand.proves(&proof, true).await.expect("proved");
    alice.approves("tally", number).await.expect("approved");
    let twice = alice
        .approves("tally", number)
        .await
        .expect_err("approved twice");
    assert_eq!(twice.kind(), Some("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_between_approval_and_landing_voids_the_approval() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    alice.approves("tally", number).await.expect("approved");
    let person = world.checkout("tally", alice.token());
    person.take("nightshift/1");
    person.write("evil.txt", "evil\n");
    person.commit("evil");
    person
        .push(&["HEAD:refs/heads/nightshift/1"])
        .expect("pushed");
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "working");
    main.take("main");
    assert!(
        !main.file("evil.txt").exists(),
        "an unapproved commit landed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn main_moved_under_an_approved_change_is_built_and_tested_again() {
    let world = World::new().await;
    let main = world
        .project_with(
            "tally",
            "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n[merge]\ndirect_push = true\n",
        )
        .await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "other\n");
    main.commit("by hand");
    main.push(&["HEAD:refs/heads/main"])
        .expect("a maintainer pushes");
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "landing");

    let trial = hand
        .claims_of(&[Kind::Trial])
        .await
        .expect("a trial of the merged tree");
    let tree = hand.workspace(&trial);
    assert!(tree.file("other.txt").exists() && tree.file("hello.txt").exists());
    hand.proves(&trial, false).await.expect("red once");
    world.settle().await;
    assert_eq!(
        alice.phase("tally", number).await,
        "landing",
        "blamed after one red trial"
    );
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("tried again");
    hand.proves(&trial, false).await.expect("red twice");
    world.settle().await;
    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.line.phase, "in-review");
    let note = &issue.messages.last().expect("a note").body;
    assert!(note.contains("Taken out of the merge queue"), "{note}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_goes_to_the_agent_with_both_sides_in_the_tree() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for title in ["One", "Two"] {
        alice.files_ready("tally", title).await;
    }
    let one = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let two = hand.claims_of(&[Kind::Author]).await.expect("a job");
    hand.authors(&one, &[("README.md", "one\n")])
        .await
        .expect("authored");
    hand.authors(&two, &[("README.md", "two\n")])
        .await
        .expect("authored");
    while let Some(proof) = hand.claims_of(&[Kind::Verify]).await {
        hand.proves(&proof, true).await.expect("proved");
    }
    alice.approves("tally", 1).await.expect("approved");
    alice.approves("tally", 2).await.expect("approved");
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "done");
    assert_eq!(alice.phase("tally", 2).await, "ready");
    let order = hand.claims().await.expect("the conflict's job");
    let tree = hand.workspace(&order);
    assert!(tree.read("README.md").contains("<<<<<<<"), "no markers");
    let author = order.author.as_ref().expect("an author's order");
    assert!(author.prompt.contains("README.md"), "{}", author.prompt);
    hand.authors(&order, &[("README.md", "one\ntwo\n")])
        .await
        .expect("resolved");
    let proof = hand.claims().await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    alice.approves("tally", 2).await.expect("approved");
    world.settle().await;
    main.take("main");
    assert_eq!(main.read("README.md"), "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_prove_is_said_and_not_green() {
    let world = World::new().await;
    world.project_with("bare", "").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("bare", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    let pull = alice.pull("bare", number).await;
    assert_eq!(pull.line.verdict.expect("a verdict").as_str(), "unproven");
    let refused = alice
        .approves("bare", number)
        .await
        .expect_err("approved blindly");
    assert!(
        refused.to_string().contains("nothing was proved"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_settings_file_keeps_the_last_good_one_and_says_where() {
    let world = World::new().await;
    let main = world
        .project_with(
            "tally",
            "[[check]]\nname = \"test\"\nrun = \"true\"\n[merge]\ndirect_push = true\n",
        )
        .await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    main.write(
        ".nightshift/config.toml",
        "[[check]]\nname = \"test\"\nrnu = \"true\"\n",
    );
    main.commit("break it");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    let project = alice
        .call::<nightshift_api::operations::ProjectGet>(
            nightshift_testkit::person::home("tally"),
            nightshift_api::Nothing {},
        )
        .await
        .expect("a project");
    let error = project.config_error.expect("an error");
    assert_eq!(error.line, Some(3), "{error}");
    assert_eq!(project.checks.len(), 1, "the last good settings are gone");
    alice.files_ready("tally", "Go on").await;
    assert_eq!(hand.claims().await.expect("work goes on").checks.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_without_commits_says_so() {
    let world = World::new().await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.makes_project("empty").await;
    let number = alice.files_ready("empty", "Begin").await;
    assert!(hand.claims().await.is_none());
    let issue = alice.sees("empty", number).await;
    assert!(
        issue
            .line
            .waiting
            .expect("a reason")
            .contains("has no commit on main")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_is_told_to_stop_and_does_not_start_again() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Never mind").await;
    let order = hand.claims().await.expect("a job");
    assert!(!hand.beats(&order).await.expect("alive").stop);
    alice.cancels(order.run).await.expect("cancelled");
    assert!(hand.beats(&order).await.expect("alive").stop);
    hand.ends(&order, End::Stopped, None)
        .await
        .expect("stopped");
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "draft");
    assert!(hand.claims().await.is_none());
}
