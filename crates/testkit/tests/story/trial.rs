//! A trial of the merge queue that lacks what a person must give asks for it: the change keeps its
//! approval and its place, and nobody waits behind it.

use nightshift_api::Nothing;
use nightshift_api::desk::{Card, Wanted};
use nightshift_api::issue::{DecideHost, Issue};
use nightshift_api::operations as op;
use nightshift_api::runner::{Complete, End, WorkOrder};
use nightshift_api::secret::{SecretPath, SetSecret};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::grant::Decision;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::{HostUse, Traffic};
use nightshift_testkit::hand::report;
use nightshift_testkit::person::{home, place};
use nightshift_testkit::{Checkout, Hand, Person, World, invariants};

const SETTINGS: &str =
    "[merge]\ndirect_push = true\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
const SECRET: &str = "[[secret]]\nname = \"DB_PASSWORD\"\nsteps = [\"test\"]\n";
const HOST: &str = "pkgs.example.com";

/// Two approved changes, and a base that moved, so that both need a trial.
async fn stage(settings: &str) -> (World, Person, Hand, Checkout) {
    let world = World::new().await;
    let main = world.project_with("tally", SETTINGS).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for (number, file) in [(1, "one.txt"), (2, "two.txt")] {
        assert_eq!(alice.files_ready("tally", file).await, number);
        hand.works(&[(file, "hello\n")]).await;
    }
    main.write("other.txt", "other\n");
    main.write(".nightshift/config.toml", settings);
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    for number in [1, 2] {
        alice.approves("tally", number).await.expect("approved");
    }
    world.settle().await;
    (world, alice, hand, main)
}

async fn tried(world: &World, hand: &Hand) -> WorkOrder {
    world.settle().await;
    hand.claims_of(&[Kind::Trial]).await.expect("a trial")
}

/// The trial ends red, or cannot be made, and was refused these.
async fn refused(hand: &Hand, order: &WorkOrder, end: Option<Reason>, blocked: &[&str]) {
    let hosts = blocked.iter().map(|host| HostUse {
        refused: 2,
        refused_because: Some("it is not among the hosts".to_owned()),
        ..HostUse::of((*host).to_owned())
    });
    let end = match end {
        None => End::Proved {
            report: report(order, false),
        },
        Some(reason) => End::Failed {
            failure: Failure {
                reason,
                detail: Kept::quoted("as the test says"),
                retry_at: None,
            },
        },
    };
    let complete = Complete {
        epoch: order.epoch,
        end,
        usage: None,
        traffic: Some(Traffic {
            hosts: hosts.collect(),
            models: Vec::new(),
        }),
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    hand.completes(order, complete).await.expect("ended");
}

async fn decides(who: &Person, host: &str, decision: Decision) -> Issue {
    let decide = DecideHost {
        host: host.to_owned(),
        decision,
    };
    let decided = who.call::<op::IssueHost>(place("tally", 1), decide).await;
    decided.expect("decided")
}

async fn desk(who: &Person) -> Vec<Card> {
    let desk = who.call::<op::DeskList>(Nothing {}, Nothing {}).await;
    desk.expect("a desk").cards
}

async fn queue(who: &Person) -> Vec<(i64, String)> {
    let found = who.call::<op::QueueGet>(home("tally"), Nothing {}).await;
    let lines = found.expect("a queue").items.into_iter();
    lines
        .map(|line| (line.number, line.waiting.unwrap_or_default()))
        .collect()
}

async fn waiting(who: &Person, number: i64) -> String {
    let found = who.sees("tally", number).await;
    found.line.waiting.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_is_refused_a_host_asks_and_others_pass() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    let trial = tried(&world, &hand).await;
    assert_eq!(trial.number, 1);
    refused(&hand, &trial, None, &["pkgs.example.com:443"]).await;
    // At once, not after a second red one; and nobody is blamed.
    let issue = alice.sees("tally", 1).await;
    assert_eq!(issue.line.phase, "landing");
    let reason = "host-missing: the trial of the merged tree was refused pkgs.example.com: allow it for the project (`nightshift issue allow 1 HOST --for-project`) or deny it";
    let said = waiting(&alice, 1).await;
    assert!(said.starts_with(reason), "{said}");
    assert_eq!(queue(&alice).await[0], (1, said));
    let cards = desk(&alice).await;
    assert_eq!(cards.len(), 1, "{cards:?}");
    assert_eq!((cards[0].number, cards[0].wanted), (1, Wanted::Rescue));
    assert_eq!(cards[0].proof_hosts, [HOST]);
    invariants::hold(&world, "a trial asks").await;

    // The other one passes, and nothing is tried for the first while it asks.
    assert!(!waiting(&alice, 2).await.contains("#1 is ahead"));
    let trial = tried(&world, &hand).await;
    assert_eq!(trial.number, 2);
    assert!(!waiting(&alice, 2).await.contains("#1 is ahead"));
    hand.proves(&trial, true).await.expect("tried");
    world
        .after(std::time::Duration::from_secs(30 * 24 * 3_600))
        .await;
    assert_eq!(alice.phase("tally", 2).await, "done");
    assert_eq!(alice.phase("tally", 1).await, "landing");
    assert!(hand.claims_of(&[Kind::Trial]).await.is_none());

    // Answered: built on the base of now, tried with what was allowed, landed as it was approved.
    decides(&alice, HOST, Decision::Project).await;
    assert!(desk(&alice).await.is_empty());
    let trial = tried(&world, &hand).await;
    assert_eq!(trial.number, 1);
    let reach: Vec<String> = trial
        .network
        .allow
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(reach, [HOST]);
    assert!(hand.workspace(&trial).file("two.txt").exists());
    hand.proves(&trial, true).await.expect("tried");
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "done");
    main.take("main");
    assert!(main.file("one.txt").exists() && main.file("two.txt").exists());
    invariants::hold(&world, "landed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_is_asked_no_more_and_the_trial_decides() {
    let (world, alice, hand, _) = stage(SETTINGS).await;
    let blocked = ["pkgs.example.com:443", "cdn.example.net:443"];
    let trial = tried(&world, &hand).await;
    // One that could not be made asks as well.
    refused(&hand, &trial, Some(Reason::SetupFailed), &blocked).await;
    assert_eq!(desk(&alice).await[0].proof_hosts.len(), 2);
    decides(&alice, HOST, Decision::Denied).await;
    world.settle().await;
    let order = hand.claims_of(&[Kind::Trial]).await.expect("of the other");
    assert_eq!(order.number, 2, "one is open");
    decides(&alice, "cdn.example.net", Decision::Denied).await;
    hand.proves(&order, true).await.expect("tried");
    for _ in 0..2 {
        let trial = tried(&world, &hand).await;
        assert_eq!(trial.number, 1);
        refused(&hand, &trial, None, &blocked).await;
        assert!(desk(&alice).await.is_empty(), "nobody is asked again");
    }
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "in-review");
    let issue = alice.sees("tally", 1).await;
    let note = &issue.messages.last().expect("a note").body;
    assert!(note.contains("Taken out of the merge queue"), "{note}");
    invariants::hold(&world, "denied").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_lacks_a_secret_goes_on_once_it_is_set() {
    let (world, alice, hand, _) = stage(&format!("{SETTINGS}{SECRET}")).await;
    for _ in 0..2 {
        world.settle().await;
        assert!(hand.claims_of(&[Kind::Trial]).await.is_none());
    }
    for number in [1, 2] {
        let said = waiting(&alice, number).await;
        assert!(
            said.starts_with("secret-missing: the secret DB_PASSWORD"),
            "{said}"
        );
        assert_eq!(alice.sees("tally", number).await.secrets, ["DB_PASSWORD"]);
    }
    let cards = desk(&alice).await;
    let asked: Vec<_> = cards.iter().map(|card| card.secrets.clone()).collect();
    assert_eq!(asked, [["DB_PASSWORD"], ["DB_PASSWORD"]]);
    let path = SecretPath {
        project: "tally".to_owned(),
        secret: "DB_PASSWORD".to_owned(),
    };
    let value = SetSecret {
        value: "swordfish-is-the-word".to_owned(),
    };
    alice.call::<op::SecretSet>(path, value).await.expect("set");
    for number in [1, 2] {
        let trial = tried(&world, &hand).await;
        assert_eq!((trial.number, trial.secrets.len()), (number, 1));
        hand.proves(&trial, true).await.expect("tried");
    }
    world.settle().await;
    for number in [1, 2] {
        assert_eq!(alice.phase("tally", number).await, "done");
    }
    invariants::hold(&world, "a trial's secret").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_approved_may_take_it_back_or_try_it_as_it_is() {
    let (world, alice, hand, _) = stage(SETTINGS).await;
    let trial = tried(&world, &hand).await;
    refused(&hand, &trial, None, &["pkgs.example.com:443"]).await;
    alice
        .call::<op::IssueRetry>(place("tally", 1), Nothing {})
        .await
        .expect("retried");
    // It is the first again, before the other.
    let trial = tried(&world, &hand).await;
    assert_eq!(trial.number, 1);
    refused(&hand, &trial, None, &["pkgs.example.com:443"]).await;
    alice
        .call::<op::PullWithdraw>(place("tally", 1), Nothing {})
        .await
        .expect("withdrawn");
    let issue = alice.sees("tally", 1).await;
    assert_eq!(
        (issue.line.phase.as_str(), issue.failed.is_none()),
        ("in-review", true)
    );
    let cards = desk(&alice).await;
    assert_eq!((cards.len(), cards[0].wanted), (1, Wanted::Review));
    // A green trial ends the question.
    alice.approves("tally", 1).await.expect("approved");
    let trial = tried(&world, &hand).await;
    assert_eq!(trial.number, 2, "it entered anew");
    hand.proves(&trial, true).await.expect("tried");
    let trial = tried(&world, &hand).await;
    hand.proves(&trial, true).await.expect("tried");
    assert!(alice.sees("tally", 1).await.hosts.is_empty());
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "done");
}
