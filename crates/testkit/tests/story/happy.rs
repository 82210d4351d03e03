//! The loop when all goes well, and when it takes a second round.

use nightshift_api::issue::NewIssue;
use nightshift_domain::job::Kind;
use nightshift_testkit::World;
use nightshift_testkit::person::sealed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_is_worked_proved_approved_and_landed() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);

    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims().await.expect("the author's job");
    assert_eq!(
        (order.kind, order.number, order.round),
        (Kind::Author, number, 1)
    );
    assert_eq!(alice.phase("tally", number).await, "working");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");

    let proof = hand.claims().await.expect("the proof's job");
    assert_eq!(proof.kind, Kind::Verify);
    hand.proves(&proof, true).await.expect("proved");
    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.line.phase, "in-review");
    assert_eq!(
        issue.line.waiting.as_deref(),
        Some("a person must decide: approve, or send back")
    );

    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.line.phase, "done");
    main.take("main");
    assert_eq!(main.read("hello.txt"), "hello\n");
    assert_eq!(
        main.git(&["rev-parse", "HEAD"]),
        issue.landed.expect("landed")
    );
    let message = main.git(&["log", "-1", "--format=%an%n%B"]);
    assert!(message.starts_with("script\nSay hello (#1)"), "{message}");
    assert!(message.contains("Nightshift-Issue: tally#1"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_sent_back_goes_on_in_the_same_branch_and_session() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "helo\n")]).await;

    alice
        .sends_back("tally", number, "Spell it right.")
        .await
        .expect("sent back");
    let order = hand.claims().await.expect("the second round");
    assert_eq!(order.round, 2);
    let author = order.author.as_ref().expect("an author's order");
    assert!(
        author.resumed_prompt.contains("Spell it right."),
        "{}",
        author.resumed_prompt
    );
    assert_eq!(author.session.as_ref().expect("a session").id, "session-1");
    assert_eq!(
        order.start.as_str(),
        alice.pull("tally", number).await.line.head
    );
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");

    let pull = alice.pull("tally", number).await;
    assert_eq!(pull.heads.len(), 2);
    assert_eq!(pull.branch, "refs/heads/nightshift/1");
    assert_eq!(pull.reviews[0].body, "Spell it right.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_waits_for_what_blocks_it() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let first = alice.files_ready("tally", "First").await;
    let second = NewIssue {
        title: "Second".to_owned(),
        blocked_by: vec![first],
        ready: true,
        ..NewIssue::default()
    };
    let second = alice.files("tally", second).await.expect("an issue");
    assert_eq!(second.line.waiting.as_deref(), Some("blocked by #1"));
    world.settle().await;

    hand.works(&[("a.txt", "a\n")]).await;
    assert!(
        hand.claims().await.is_none(),
        "a blocked issue was handed out"
    );
    alice.approves("tally", first).await.expect("approved");
    world.settle().await;
    let order = hand.claims().await.expect("the second issue");
    assert_eq!(order.number, second.line.number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_waits_for_its_answer_and_the_work_goes_on_from_where_it_was() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Pick a colour").await;
    let order = hand.claims().await.expect("the author's job");
    let attempt = hand.pushes(&order, &[("half.txt", "half\n")]);
    let end = nightshift_api::runner::End::Asked {
        question: "Red or blue?".to_owned(),
    };
    hand.ends(&order, end, Some(attempt.clone()))
        .await
        .expect("asked");

    let issue = alice.sees("tally", number).await;
    assert_eq!(issue.line.phase, "needs-input");
    assert_eq!(issue.question.as_deref(), Some("Red or blue?"));
    assert!(hand.claims().await.is_none());
    alice
        .answers("tally", number, "Blue.")
        .await
        .expect("answered");
    let order = hand.claims().await.expect("the work goes on");
    assert_eq!(order.start, attempt, "half the work was lost");
    let prompt = order.author.expect("an author's order").resumed_prompt;
    assert!(prompt.contains("Blue."), "{prompt}");
    let again = alice
        .answers("tally", number, "Red.")
        .await
        .expect_err("answered twice");
    assert_eq!(again.kind(), Some("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_tests_must_be_red_before_and_green_after() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let new = NewIssue {
        title: "Say hello".to_owned(),
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
    let order = hand.claims().await.expect("the author's job");
    let files = [
        ("hello.txt", "hello\n"),
        ("accept.sh", "test -f hello.txt\n"),
    ];
    hand.authors(&order, &files).await.expect("authored");
    let proof = hand.claims().await.expect("the proof's job");
    hand.proves(&proof, true).await.expect("proved");
    let pull = alice.pull("tally", number).await;
    let verdict = pull.proof.expect("a verdict");
    assert_eq!(verdict.colour.as_str(), "green", "{:?}", verdict.reasons);
    assert!(!verdict.acceptance_on_base.expect("a result").passed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_issues_land_one_after_the_other_each_on_a_tested_tree() {
    let world = World::new().await;
    let main = world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let mut orders = Vec::new();
    for n in 1..=10 {
        alice.files_ready("tally", &format!("Add file {n}")).await;
        orders.push(
            hand.claims_of(&[Kind::Author])
                .await
                .expect("an author's job"),
        );
    }
    for order in &orders {
        let name = format!("file-{}.txt", order.number);
        hand.authors(order, &[(name.as_str(), "x\n")])
            .await
            .expect("authored");
    }
    while let Some(proof) = hand.claims_of(&[Kind::Verify]).await {
        hand.proves(&proof, true).await.expect("proved");
    }
    for n in 1..=10 {
        alice.approves("tally", n).await.expect("approved");
    }
    world.settle().await;
    let mut trials = 0;
    while let Some(trial) = hand.claims_of(&[Kind::Trial]).await {
        trials += 1;
        hand.proves(&trial, true).await.expect("tried");
        world.settle().await;
    }
    assert_eq!(
        trials, 9,
        "all but the first need a trial on the moved base"
    );
    main.take("main");
    for n in 1..=10 {
        assert_eq!(alice.phase("tally", n).await, "done");
        assert_eq!(main.read(&format!("file-{n}.txt")), "x\n");
    }
    assert_eq!(main.git(&["rev-list", "--count", "HEAD"]), "11");
}
