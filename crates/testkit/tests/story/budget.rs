//! The budget of an issue: bounded starts, what is left for each, and going on when it is raised.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::issue::{EditIssue, NewIssue};
use nightshift_api::operations as op;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{Complete, End, WorkOrder};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::transcript::Usage;
use nightshift_testkit::person::place;
use nightshift_testkit::{Hand, Person, World};

const USD: u64 = 1_000_000;

/// A world whose project lets an issue cost five dollars.
async fn stage() -> (World, Person, Hand) {
    let world = World::new().await;
    let config = "[budget]\nissue = 5\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
    world.project_with("tally", config).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    (world, alice, hand)
}

/// Ends an author's run that cost this much, as it should or with a failure.
async fn ends_at(hand: &Hand, order: &WorkOrder, cost: u64, failed: Option<Reason>) {
    let (end, attempt) = match failed {
        Some(reason) => {
            let failure = Failure {
                reason,
                detail: Kept::quoted("as the test says"),
                retry_at: None,
            };
            (End::Failed { failure }, None)
        }
        None => {
            let name = format!("f-{}.txt", order.run);
            let end = End::Authored {
                summary: "did it".to_owned(),
                self_checks: Vec::new(),
            };
            (end, Some(hand.pushes(order, &[(name.as_str(), "x\n")])))
        }
    };
    let complete = Complete {
        epoch: order.epoch,
        end,
        usage: Some(Usage {
            cost_micro_usd: Some(cost),
            ..Usage::default()
        }),
        session: None,
        attempt,
        handed: Vec::new(),
        traffic: None,
    };
    hand.completes(order, complete).await.expect("taken");
}

fn raised(cost: u64) -> EditIssue {
    EditIssue {
        budget_micro_usd: Some(cost),
        ..EditIssue::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_goes_with_each_claim_and_a_spent_budget_starts_nothing() {
    let (world, alice, hand) = stage().await;
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.limits.cost_micro_usd, Some(5 * USD));
    ends_at(&hand, &order, 2 * USD, None).await;
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    assert_eq!(proof.limits.cost_micro_usd, None);
    hand.proves(&proof, true).await.expect("proved");
    alice
        .sends_back("tally", number, "Louder.")
        .await
        .expect("sent back");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.limits.cost_micro_usd, Some(3 * USD));
    ends_at(&hand, &order, 4 * USD, Some(Reason::BudgetExhausted)).await;
    let budget = alice.sees("tally", number).await.budget;
    assert_eq!((budget.spent_micro_usd, budget.runs), (6 * USD, 2));

    // Trying again would not start anything, and says what would.
    let refused = alice
        .call::<op::IssueRetry>(place("tally", number), Nothing {})
        .await
        .expect_err("nothing is left");
    assert!(
        refused
            .to_string()
            .contains("$5.00 is spent ($6.00 in 2 runs)"),
        "{refused}"
    );
    world.settle().await;
    assert!(hand.claims().await.is_none());

    // Too little is still too little; more lets it go on by itself.
    let issue = alice
        .edits("tally", number, raised(6 * USD))
        .await
        .expect("edited");
    assert!(issue.failed.is_some());
    let issue = alice
        .edits("tally", number, raised(10 * USD))
        .await
        .expect("raised");
    assert_eq!(issue.failed, None);
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.limits.cost_micro_usd, Some(4 * USD));
    nightshift_testkit::invariants::hold(&world, "raised").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_without_money_waits_on_the_desk_and_says_why() {
    let (world, alice, hand) = stage().await;
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    ends_at(&hand, &order, 5 * USD, None).await;
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    alice
        .sends_back("tally", number, "Louder.")
        .await
        .expect("sent back");
    let issue = alice.sees("tally", number).await;
    assert_eq!(
        issue.line.waiting.as_deref(),
        Some(
            "budget-exhausted: the issue's budget of $5.00 is spent ($5.00 in 1 run): raise it and \
             the work goes on (`nightshift issue edit 1 --budget USD`), or close the issue"
        )
    );
    world.settle().await;
    assert!(hand.claims().await.is_none());
    let waiting = alice
        .client()
        .call::<op::NotificationList>(&Nothing {}, &Default::default(), &Nothing {})
        .await
        .expect("notifications");
    assert!(
        waiting.items[0].text.contains("$5.00 is spent"),
        "{waiting:?}"
    );
    // What was said is what the agent hears once there is money.
    alice
        .edits("tally", number, raised(6 * USD))
        .await
        .expect("raised");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert!(order.author.expect("an author").prompt.contains("Louder."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_is_spent_while_the_job_waits_starts_no_run() {
    let (world, alice, hand) = stage().await;
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    // It goes back to the queue by itself, with all the money gone.
    ends_at(&hand, &order, 5 * USD, Some(Reason::ModelUnavailable)).await;
    world.after(Duration::from_secs(600)).await;
    let other = alice.files_ready("tally", "Another").await;
    let order = hand
        .claims_of(&[Kind::Author])
        .await
        .expect("the other's job");
    assert_eq!(order.number, other);
    assert_eq!(alice.runs("tally", number).await.len(), 1);
    let failed = alice.sees("tally", number).await.failed.expect("a reason");
    assert_eq!(failed.reason, Reason::BudgetExhausted);
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "spent while it waited").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minutes_bound_a_run_and_are_told_from_the_agents_own_limit() {
    let (world, alice, hand) = stage().await;
    let new = NewIssue {
        title: "Say hello".to_owned(),
        budget_minutes: Some(10),
        ready: true,
        ..NewIssue::default()
    };
    let number = alice.files("tally", new).await.expect("filed").line.number;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.limits.wall_s, 600);
    world.clock.pass(Duration::from_secs(55));
    hand.beats(&order).await.expect("alive");
    hand.fails(&order, Reason::TimeLimit).await.expect("taken");
    let failed = alice.sees("tally", number).await.failed.expect("a reason");
    assert_eq!(failed.reason, Reason::TimeLimit, "minutes are left");
    alice
        .call::<op::IssueRetry>(place("tally", number), Nothing {})
        .await
        .expect("retried");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.limits.wall_s, 545);
    for _ in 0..11 {
        world.clock.pass(Duration::from_secs(49));
        hand.beats(&order).await.expect("alive");
    }
    hand.fails(&order, Reason::TimeLimit).await.expect("taken");
    let failed = alice.sees("tally", number).await.failed.expect("a reason");
    assert_eq!(failed.reason, Reason::BudgetExhausted);
    assert!(
        failed
            .detail
            .as_str()
            .contains("10 minutes is spent (9 min in 2 runs)"),
        "{}",
        failed.detail
    );
    let edit = EditIssue {
        budget_minutes: Some(20),
        ..EditIssue::default()
    };
    let issue = alice.edits("tally", number, edit).await.expect("raised");
    assert_eq!(issue.failed, None);
    assert!(hand.claims_of(&[Kind::Author]).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_means_nothing_is_refused_at_its_field() {
    let (_world, alice, _hand) = stage().await;
    let new = NewIssue {
        title: "x".to_owned(),
        budget_micro_usd: Some(0),
        ..NewIssue::default()
    };
    let refused = alice.files("tally", new).await.expect_err("refused");
    assert!(
        refused.to_string().contains("`budget_micro_usd`"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_used_so_far_is_seen_while_it_goes_on_and_counts_when_it_is_lost() {
    let (world, alice, hand) = stage().await;
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let costs = |dollars: u64| Usage {
        input_tokens: 1_000,
        cost_micro_usd: Some(dollars * USD),
        ..Usage::default()
    };
    let seen = async || {
        let path = RunPath { run: order.run.0 };
        let run = alice.call::<op::RunGet>(path, Nothing {}).await;
        run.expect("a run")
            .usage
            .and_then(|used| used.cost_micro_usd)
    };
    assert_eq!(seen().await, None);
    for dollars in [1, 2] {
        hand.used(&order, costs(dollars)).await.expect("alive");
        assert_eq!(seen().await, Some(dollars * USD));
    }
    // A beat that says nothing of it changes nothing.
    hand.beats(&order).await.expect("alive");
    assert_eq!(seen().await, Some(2 * USD));
    // The runner dies: what its run had used is used.
    world.after(Duration::from_secs(120)).await;
    let again = world.hand("r2").await;
    let next = again.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(next.limits.cost_micro_usd, Some(3 * USD));
    hand.used(&order, costs(9)).await.expect_err("stale");
    assert_eq!(seen().await, Some(2 * USD));
}
