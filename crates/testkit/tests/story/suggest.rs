//! Suggestions of reviewers, applied as a commit: proved, approved and landed like any other; carried
//! over what moved; refused as a whole where one of them cannot be.

use nightshift_api::Nothing;
use nightshift_api::client::CallError;
use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::pull::{ApplySuggestions, Decision, LineComment, NewReview, Pull};
use nightshift_api::runner::{End, WorkOrder};
use nightshift_app::Caller;
use nightshift_app::record;
use nightshift_app::use_case::suggest::{Apply, Which};
use nightshift_domain::access::Role;
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_testkit::person::place;
use nightshift_testkit::{Checkout, Hand, Person, World};

/// Says on lines of a file what they shall be instead.
fn says(path: &str, first: i64, last: i64, lines: &str) -> LineComment {
    LineComment {
        path: path.to_owned(),
        line: Some(last),
        first: (first < last).then_some(first),
        body: format!("Better:\n\n```suggestion\n{lines}\n```"),
    }
}

async fn decides(
    who: &Person,
    number: i64,
    decision: Decision,
    comments: Vec<LineComment>,
) -> Result<Pull, CallError> {
    let review = NewReview {
        head: who.pull("tally", number).await.line.head,
        decision,
        body: String::new(),
        comments,
        accept_unproven: false,
        hold_s: 0,
    };
    who.call::<op::PullReview>(place("tally", number), review)
        .await
}

async fn applies(who: &Person, number: i64, apply: ApplySuggestions) -> Result<Pull, CallError> {
    who.call::<op::PullApply>(place("tally", number), apply)
        .await
}

fn at(pull: &Pull) -> ApplySuggestions {
    ApplySuggestions {
        head: pull.line.head.clone(),
        ..ApplySuggestions::default()
    }
}

/// Authors with whatever `write` puts into the working copy, and proves it.
async fn authors(hand: &Hand, write: impl FnOnce(&Checkout)) {
    let order: WorkOrder = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let tree = hand.workspace(&order);
    write(&tree);
    let author = order.author.as_ref().expect("an author's order");
    let commit = tree.commit(&author.commit.message);
    tree.push(&[&format!("HEAD:{}", author.attempt_ref)])
        .expect("pushed");
    let end = End::Authored {
        summary: "did it".to_owned(),
        self_checks: Vec::new(),
    };
    let attempt: ObjectId = commit.parse().expect("a commit");
    hand.ends(&order, end, Some(attempt))
        .await
        .expect("authored");
    proves(hand).await;
}

async fn proves(hand: &Hand) {
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
}

fn bytes(tree: &Checkout, path: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(tree.file(path)).expect("a file")).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suggestions_are_applied_proved_approved_and_land() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    world.project("tally").await;
    let bob = world.person("bob", &[("tally", Role::Writer)]).await;
    let reader = world.person("reader", &[("tally", Role::Reader)]).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Count").await;
    authors(&hand, |tree| {
        tree.write("src/a.sh", "one\r\ntwo\r\nthree\r\nfour");
        std::fs::set_permissions(tree.file("src/a.sh"), PermissionsExt::from_mode(0o755))
            .expect("executable");
        tree.write("src/b.txt", "b\n");
    })
    .await;
    let comments = vec![
        says("src/a.sh", 2, 2, "TWO"),
        says("src/a.sh", 4, 4, "FOUR\nFIVE"),
        says("src/b.txt", 1, 1, "B"),
    ];
    let before = decides(&bob, number, Decision::SendBack, comments)
        .await
        .expect("sent back");
    assert_eq!(before.reviews[0].comments[0].line, Some(2));

    // The agent is about to start: its round must not be lost.
    let refused = applies(&alice, number, at(&before))
        .await
        .expect_err("at work");
    assert!(refused.to_string().contains("at work"), "{refused}");
    authors(&hand, |tree| {
        tree.write("src/a.sh", "zero\r\none\r\ntwo\r\nthree\r\nfour");
        tree.write("src/b.txt", "c\n");
    })
    .await;

    // An old head is refused, with what moved and what changed.
    let refused = applies(&alice, number, at(&before))
        .await
        .expect_err("stale");
    let said = refused.to_string();
    for words in [
        "line 2 did not change and moved to line 3",
        "src/b.txt: line 1 changed",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let now = alice.pull("tally", number).await;
    // One that does not fit stops all of them.
    let refused = applies(&alice, number, at(&now))
        .await
        .expect_err("changed");
    assert!(refused.to_string().contains("changed since"), "{refused}");
    assert_eq!(alice.pull("tally", number).await.line.head, now.line.head);
    let some = ApplySuggestions {
        only: vec![1, 2],
        ..at(&now)
    };
    applies(&reader, number, some.clone())
        .await
        .expect_err("a reader applies nothing");
    let applied = applies(&alice, number, some.clone())
        .await
        .expect("applied");
    assert_ne!(applied.line.head, now.line.head);
    assert_eq!(
        (applied.line.phase.as_str(), applied.line.verdict),
        ("working", None)
    );
    let head = applied.heads.last().expect("a head");
    assert_eq!((head.by.as_str(), head.run), ("alice", None));

    // One commit of hers, which keeps line endings, the missing last one, and the mode.
    let tree = world.checkout("tally", alice.token());
    tree.take("refs/heads/nightshift/1");
    assert_eq!(tree.git(&["rev-parse", "HEAD^"]), now.line.head);
    assert_eq!(
        bytes(&tree, "src/a.sh"),
        "zero\r\none\r\nTWO\r\nthree\r\nFOUR\r\nFIVE"
    );
    assert_eq!(bytes(&tree, "src/b.txt"), "c\n");
    assert!(
        tree.git(&["ls-tree", "HEAD", "src/a.sh"])
            .starts_with("100755")
    );
    let told = tree.git(&["log", "-1", "--format=%an <%ae>%n%cn%n%B"]);
    assert_eq!(
        told,
        "alice <alice@users.nightshift.invalid>\nalice\nApply 2 suggestions to #1\n\nCount\n\n\
         Co-authored-by: bob <bob@users.nightshift.invalid>\nNightshift-Issue: tally#1"
    );

    // Again there is nothing to apply; no agent starts, and the new head is proved.
    let again = ApplySuggestions {
        head: applied.line.head.clone(),
        ..some
    };
    let refused = applies(&alice, number, again).await.expect_err("done");
    assert!(refused.to_string().contains("say so already"), "{refused}");
    assert!(
        hand.claims_of(&[Kind::Author]).await.is_none(),
        "an agent starts"
    );
    proves(&hand).await;
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;
    while let Some(trial) = hand.claims_of(&[Kind::Trial]).await {
        hand.proves(&trial, true).await.expect("tried");
        world.settle().await;
    }
    assert_eq!(alice.phase("tally", number).await, "done");
    tree.take("refs/heads/main");
    assert!(bytes(&tree, "src/a.sh").contains("TWO\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_after_an_approval_voids_it() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Count").await;
    hand.works(&[("a.txt", "one\n")]).await;
    let comments = vec![says("a.txt", 1, 1, "ONE")];
    let approved = decides(&alice, number, Decision::Approve, comments)
        .await
        .expect("approved");
    assert_eq!(approved.line.phase, "landing");
    let applied = applies(&alice, number, at(&approved))
        .await
        .expect("applied");
    assert_eq!(applied.line.phase, "working");
    let queue = alice
        .call::<op::QueueGet>(nightshift_testkit::person::home("tally"), Nothing {})
        .await
        .expect("a queue");
    assert!(queue.items.is_empty(), "{queue:?}");
    proves(&hand).await;
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "in-review");
    // A red proof of what a person wrote goes to the person, never to an agent by itself.
    let comments = vec![says("a.txt", 1, 1, "Two")];
    let approved = decides(&alice, number, Decision::Approve, comments)
        .await
        .expect("approved");
    applies(&alice, number, at(&approved))
        .await
        .expect("applied");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, false).await.expect("red");
    world.settle().await;
    assert_eq!(alice.phase("tally", number).await, "in-review");
    assert!(
        hand.claims_of(&[Kind::Author]).await.is_none(),
        "an agent starts"
    );
}

/// Keeps comments that are not said yet.
async fn keeps(world: &World, who: &Caller, number: i64, comment: LineComment) {
    let said = record::LineComment {
        path: comment.path,
        line: comment.line,
        first: comment.first,
        head: None,
        body: comment.body,
    };
    world
        .app
        .draft_add(who, "tally", number, said)
        .await
        .expect("kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_applied_is_refused_with_the_reason_and_moves_nothing() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let new = NewIssue {
        title: "Count".to_owned(),
        ready: true,
        acceptance: Some(Acceptance {
            files: vec![SealedFile {
                path: "test/accept.sh".to_owned(),
                content_base64: "ZXhpdCAwCg==".to_owned(),
                executable: false,
            }],
            run: "sh test/accept.sh".to_owned(),
            timeout_s: 60,
            already_green: false,
        }),
        ..NewIssue::default()
    };
    let number = alice.files("tally", new).await.expect("filed").line.number;
    hand.tries(1, "").await.expect("tried");
    authors(&hand, |tree| {
        tree.write("plain.txt", "one\ntwo\nthree\n");
        tree.write("bin.dat", "a\0b\n");
        std::fs::write(tree.file("latin.txt"), b"\xe4\nplain\n").expect("written");
        std::os::unix::fs::symlink("plain.txt", tree.file("link")).expect("a link");
    })
    .await;
    let who = world.app.authenticate(alice.token()).await.expect("alice");
    let head: ObjectId = alice
        .pull("tally", number)
        .await
        .line
        .head
        .parse()
        .expect("a head");
    let apply = Apply {
        head: head.clone(),
        which: Which::Drafts(Vec::new()),
    };
    let cases: Vec<(Vec<LineComment>, &str)> = vec![
        (vec![], "no suggestion of yours"),
        (vec![says("test/accept.sh", 1, 1, "exit 1")], "sealed test"),
        (vec![says("bin.dat", 1, 1, "x")], "binary"),
        (vec![says("link", 1, 1, "x")], "symbolic link"),
        (vec![says("gone.txt", 1, 1, "x")], "no such file"),
        (vec![says("test", 1, 1, "x")], "no such file"),
        (
            vec![says("latin.txt", 1, 1, "x")],
            "cannot be shown as text",
        ),
        (vec![says("plain.txt", 3, 4, "x")], "the file has 3 lines"),
        (vec![says("plain.txt", 2, 2, "two")], "say so already"),
        (
            vec![says("plain.txt", 1, 2, "x"), says("plain.txt", 2, 3, "y")],
            "the same lines (lines 1-2, lines 2-3)",
        ),
        (
            vec![says("plain.txt", 1, 1, "x"), says("bin.dat", 1, 1, "y")],
            "binary",
        ),
    ];
    for (comments, expected) in cases {
        for comment in comments {
            keeps(&world, &who, number, comment).await;
        }
        let refused = world
            .app
            .suggestions_apply(&who, "tally", number, &apply)
            .await
            .expect_err(expected)
            .to_string();
        assert!(refused.contains(expected), "{refused}");
        let view = world
            .app
            .change_get(&who, "tally", number, &Default::default())
            .await
            .expect("a change");
        assert_eq!(view.new, head, "{expected}");
        for draft in view.drafts {
            world.app.draft_drop(&who, draft.id).await.expect("dropped");
        }
    }
    // Other lines of a file that is no text as a whole can be replaced.
    keeps(&world, &who, number, says("latin.txt", 2, 2, "PLAIN")).await;
    world
        .app
        .suggestions_apply(&who, "tally", number, &apply)
        .await
        .expect("applied");
    let tree = world.checkout("tally", alice.token());
    tree.take("refs/heads/nightshift/1");
    let found = std::fs::read(tree.file("latin.txt")).expect("a file");
    assert_eq!(found, b"\xe4\nPLAIN\n");
    // What was applied is said no more.
    let view = world
        .app
        .change_get(&who, "tally", number, &Default::default())
        .await
        .expect("a change");
    assert!(view.drafts.is_empty());

    // A comment that could never be applied is refused when it is written.
    for (line, first, body) in [
        (None, None, "```suggestion\nx\n```"),
        (Some(2), Some(3), "why?"),
        (
            Some(1),
            None,
            "```suggestion\nx\n```\n```suggestion\ny\n```",
        ),
    ] {
        let said = record::LineComment {
            path: "plain.txt".to_owned(),
            line,
            first,
            head: None,
            body: body.to_owned(),
        };
        world
            .app
            .draft_add(&who, "tally", number, said)
            .await
            .expect_err(body);
    }
}
