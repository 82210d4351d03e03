//! What an agent says from inside its run: heard within limits, kept for a person, obeyed by nobody.

use std::time::Duration;

use nightshift_api::client::CallError;
use nightshift_api::issue::{EditIssue, NewIssue, Words};
use nightshift_api::operations as op;
use nightshift_api::project::MemberPath;
use nightshift_api::run::{NewProposal, NewSplit, RunPath};
use nightshift_api::runner::WorkOrder;
use nightshift_api::{Nothing, Operation};
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_domain::prompt::What;
use nightshift_domain::trust::Trust;
use nightshift_testkit::person::place;
use nightshift_testkit::{Hand, Person, World, invariants};

/// The agent inside a run, with the run's own token.
struct Agent {
    person: Person,
    path: RunPath,
}

impl Agent {
    fn of(world: &World, order: &WorkOrder) -> Self {
        Self {
            person: Person::new("agent", &world.url, &order.token),
            path: RunPath { run: order.run.0 },
        }
    }

    async fn says<O>(&self, input: O::Input) -> Result<O::Output, CallError>
    where
        O: Operation<Path = RunPath>,
    {
        self.person.call::<O>(self.path.clone(), input).await
    }

    async fn splits(&self, title: &str) -> Result<i64, CallError> {
        let new = NewSplit {
            title: title.to_owned(),
            body: "The parser copies too much.".to_owned(),
        };
        Ok(self.says::<op::RunSplit>(new).await?.number)
    }
}

fn words(text: &str) -> Words {
    Words {
        text: text.to_owned(),
    }
}

fn proposal(text: &str, source: Option<&str>) -> NewProposal {
    NewProposal {
        text: text.to_owned(),
        source: source.map(str::to_owned),
    }
}

async fn stage() -> (World, Person, Hand, WorkOrder) {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    (world, alice, hand, order)
}

/// The kind of the refusal and its words.
fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (String, String) {
    let error = answer.expect_err("a refusal");
    let kind = error.kind().unwrap_or_default().to_owned();
    (kind, error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_issue_is_a_draft_that_starts_and_speaks_to_agents_only_when_a_person_lets_it() {
    let (world, alice, hand, order) = stage().await;
    let agent = Agent::of(&world, &order);
    let number = agent.splits("Copy less").await.expect("a draft");
    let draft = alice.sees("tally", number).await;
    assert_eq!(
        (draft.line.phase.as_str(), draft.requester.as_str()),
        ("draft", "alice")
    );
    assert_eq!(draft.line.labels, ["agent"]);
    assert_eq!(
        (draft.split_from, alice.sees("tally", 1).await.split_into),
        (Some(1), vec![number])
    );
    world.settle().await;
    assert!(hand.claims().await.is_none(), "a draft starts nothing");
    // An edit of a person does not make the rest of the text theirs.
    let edit = EditIssue {
        title: Some("Copy less, please".to_owned()),
        ..EditIssue::default()
    };
    alice.edits("tally", number, edit).await.expect("edited");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let path = place("tally", number);
    alice
        .call::<op::IssueReady>(path, Nothing {})
        .await
        .expect("ready");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.number, number);
    let author = order.author.as_ref().expect("an author");
    assert!(
        author.prompt.contains("The parser copies too much."),
        "who let it start released its text: {}",
        author.prompt
    );
    let events = alice
        .client()
        .call::<op::EventList>(&Nothing {}, &Default::default(), &Nothing {})
        .await
        .expect("events");
    let kinds: Vec<&str> = events
        .items
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    for kind in ["run.split", "issue.released"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    world.settle().await;
    invariants::hold(&world, "split").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_kept_by_the_platform_and_refused_in_words() {
    let (world, alice, hand, order) = stage().await;
    let agent = Agent::of(&world, &order);
    for number in 1..=10 {
        agent
            .splits(&format!("Part {number}"))
            .await
            .expect("a draft");
    }
    let (kind, said) = refusal(agent.splits("Part 11").await);
    assert_eq!(kind, "refused");
    assert!(said.contains("10 times, which is the most"), "{said}");
    for number in 1..=5 {
        let new = proposal(&format!("Rule {number}."), None);
        agent.says::<op::RunPropose>(new).await.expect("kept");
    }
    let new = proposal("Rule 6.", None);
    let (kind, said) = refusal(agent.says::<op::RunPropose>(new).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("5 times"), "{said}");
    let progress = |text: &str| agent.says::<op::RunProgress>(words(text));
    progress("a third").await.expect("noted");
    let (kind, said) = refusal(progress("a half").await);
    assert_eq!(kind, "too-many");
    assert!(said.contains("too soon"), "{said}");
    world.clock.pass(Duration::from_secs(1));
    progress("two thirds").await.expect("noted");
    let (kind, said) = refusal(progress(&"x".repeat(1_001)).await);
    assert_eq!(kind, "invalid");
    assert!(said.contains("1001 bytes, and the most is 1000"), "{said}");
    let ask = || agent.says::<op::RunAsk>(words("Left or right?"));
    ask().await.expect("asked");
    let (kind, said) = refusal(ask().await);
    assert_eq!(kind, "refused");
    assert!(said.contains("stop now"), "{said}");
    // Titles are held to what holds for people.
    drop(
        hand.fails(&order, nightshift_domain::failure::Reason::AgentFailed)
            .await,
    );
    assert_eq!(alice.sees("tally", 1).await.split_into.len(), 10);
    world.settle().await;
    invariants::hold(&world, "limits").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposed_guideline_is_shown_with_the_change_and_its_run() {
    let (world, alice, hand, order) = stage().await;
    let agent = Agent::of(&world, &order);
    let new = proposal(" Name tests after what they show. ", Some("Better names!"));
    let made = agent.says::<op::RunPropose>(new).await.expect("kept");
    assert_eq!(made.text, "Name tests after what they show.");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    world.settle().await;
    let pull = alice.pull("tally", 1).await;
    assert_eq!(pull.proposals, std::slice::from_ref(&made));
    let run = alice
        .call::<op::RunGet>(RunPath { run: order.run.0 }, Nothing {})
        .await
        .expect("a run");
    assert_eq!(run.proposals, [made]);
    let empty = refusal(agent.says::<op::RunPropose>(proposal("late", None)).await);
    assert_eq!(empty.0, "unauthenticated", "the run has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_filed_in_the_name_of_somebody_who_may_not_any_more() {
    let (world, alice, hand, order) = stage().await;
    drop(order);
    let bob = world.person("bob", &[("tally", Role::Writer)]).await;
    let number = bob.files_ready("tally", "Say goodbye").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    assert_eq!(order.number, number);
    let agent = Agent::of(&world, &order);
    agent.splits("One").await.expect("a draft");
    let path = MemberPath {
        project: "tally".to_owned(),
        user: "bob".to_owned(),
    };
    alice
        .call::<op::MemberRemove>(path, Nothing {})
        .await
        .expect("removed");
    let (kind, said) = refusal(agent.splits("Two").await);
    assert_eq!(kind, "refused");
    assert!(said.contains("may not file issues here any more"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_looks_up_what_was_pinned_when_its_run_began() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let new = NewIssue {
        title: "Say hello".to_owned(),
        body: "In the file `hello.txt`.".to_owned(),
        ready: true,
        ..NewIssue::default()
    };
    alice.files("tally", new).await.expect("an issue");
    hand.works(&[("hello.txt", "hallo\n")]).await;
    alice
        .sends_back("tally", 1, "In English.")
        .await
        .expect("sent back");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let brief = &order.author.as_ref().expect("an author").brief;
    assert_eq!((brief.number, brief.round), (1, 2));
    assert_eq!(brief.body.as_deref(), Some("In the file `hello.txt`."));
    assert_eq!(brief.trust, Some(Trust::Operator));
    let said: Vec<_> = brief
        .said
        .iter()
        .map(|said| (said.what, said.trust, said.text.as_str()))
        .collect();
    assert_eq!(said, [(What::Feedback, Trust::Collaborator, "In English.")]);
    // What comes later is no part of it, and the order cannot change under the agent.
    let edit = EditIssue {
        body: Some("In the file `other.txt`.".to_owned()),
        ..EditIssue::default()
    };
    let refused = alice
        .edits("tally", 1, edit)
        .await
        .expect_err("an agent works");
    assert_eq!(refused.kind(), Some("refused"));
}
