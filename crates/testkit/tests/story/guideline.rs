//! A guideline that an agent proposes is taken into the project's file by a maintainer, and reaches the
//! next agent.

use nightshift_api::client::CallError;
use nightshift_api::operations as op;
use nightshift_api::pull::Pull;
use nightshift_api::run::{DecideProposal, NewProposal, Proposal, RunPath};
use nightshift_domain::access::Role;
use nightshift_domain::guideline;
use nightshift_domain::job::Kind;
use nightshift_testkit::person::place;
use nightshift_testkit::{Checkout, Hand, Person, World, invariants};
use uuid::Uuid;

async fn stage() -> (World, Checkout, Person, Hand) {
    let world = World::new().await;
    let config = "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n[merge]\ndirect_push = true\n";
    let main = world.project_with("tally", config).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    (world, main, alice, hand)
}

/// An issue whose agent proposed these and brought a change that is proved.
async fn proposed(world: &World, alice: &Person, hand: &Hand, title: &str, texts: &[&str]) -> Pull {
    let number = alice.files_ready("tally", title).await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let agent = Person::new("agent", &world.url, &order.token);
    for text in texts {
        let new = NewProposal {
            text: (*text).to_owned(),
            source: Some("Louder.".to_owned()),
        };
        agent
            .call::<op::RunPropose>(RunPath { run: order.run.0 }, new)
            .await
            .expect("proposed");
    }
    let own = format!("{number}.txt");
    hand.authors(&order, &[(&own, "hello\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    alice.pull("tally", number).await
}

async fn decides(
    who: &Person,
    number: i64,
    proposal: Uuid,
    accept: bool,
) -> Result<Proposal, CallError> {
    let decide = DecideProposal { proposal, accept };
    who.call::<op::PullGuideline>(place("tally", number), decide)
        .await
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (String, String) {
    let error = answer.expect_err("a refusal");
    let kind = error.kind().unwrap_or_default().to_owned();
    (kind, error.to_string())
}

/// The file on the default branch, and how many commits there are.
fn file(main: &Checkout) -> (String, usize) {
    main.git(&["fetch", "-q", "origin"]);
    let text = main.run(&["show", &format!("origin/main:{}", guideline::PATH)]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let count = main.git(&["rev-list", "--count", "origin/main"]);
    (text, count.trim().parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_maintainer_accepts_is_a_commit_and_reaches_the_next_agent() {
    let (world, main, alice, hand) = stage().await;
    let wim = world.person("wim", &[("tally", Role::Writer)]).await;
    let stranger = world.person("sten", &[]).await;
    let texts = ["Greet in capitals.\n\nAlways.", "Be silent."];
    let pull = proposed(&world, &alice, &hand, "Say hello", &texts).await;
    let [louder, silent] = [pull.proposals[0].id, pull.proposals[1].id];
    let before = file(&main);
    for (who, kind) in [(&wim, "forbidden"), (&stranger, "not-found")] {
        for accept in [true, false] {
            assert_eq!(refusal(decides(who, 1, louder, accept).await).0, kind);
        }
    }
    assert_eq!(
        refusal(decides(&alice, 1, Uuid::nil(), true).await).0,
        "not-found"
    );
    assert_eq!(file(&main), before, "nothing came of it");
    let accepted = decides(&alice, 1, louder, true).await.expect("accepted");
    assert_eq!(
        (accepted.decision.as_deref(), accepted.decided_by.as_deref()),
        (Some("accepted"), Some("alice"))
    );
    let dismissed = decides(&alice, 1, silent, false).await.expect("dismissed");
    assert_eq!(dismissed.decision.as_deref(), Some("dismissed"));
    let (text, commits) = file(&main);
    assert_eq!(text, "# Guidelines\n\n- Greet in capitals.\n\n  Always.\n");
    assert_eq!(commits, before.1 + 1);
    let told = main.git(&["log", "-1", "--format=%an%n%B", "origin/main"]);
    assert!(
        told.starts_with("alice\nguidelines:") && told.contains("Nightshift-Run: "),
        "{told}"
    );
    // Once more is no second commit; a no comes too late, a yes to what was dismissed does not.
    decides(&alice, 1, louder, true).await.expect("accepted");
    assert_eq!(
        refusal(decides(&alice, 1, louder, false).await).0,
        "conflict"
    );
    assert_eq!(file(&main).1, commits);
    // It is in the next agent's order, and in no proof.
    alice.files_ready("tally", "Say goodbye").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let prompt = &order.author.as_ref().expect("an author").prompt;
    assert!(
        prompt.contains("- Greet in capitals.") && !prompt.contains("Be silent."),
        "{prompt}"
    );
    decides(&alice, 1, silent, true).await.expect("accepted");
    assert!(file(&main).0.ends_with("- Be silent.\n"));
    world.settle().await;
    invariants::hold(&world, "guidelines").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_are_each_taken_once() {
    let (world, main, alice, hand) = stage().await;
    let texts = ["One.", "Two.", "Three.", "Four.", "Five."];
    let pull = proposed(&world, &alice, &hand, "Say hello", &texts).await;
    let mut all = Vec::new();
    for proposal in pull.proposals.iter().chain(&pull.proposals) {
        all.push(decides(&alice, 1, proposal.id, true));
    }
    let before = file(&main).1;
    for decided in futures_util::future::join_all(all).await {
        decided.expect("accepted");
    }
    let (text, commits) = file(&main);
    for word in texts {
        assert_eq!(text.matches(&format!("- {word}\n")).count(), 1, "{text}");
    }
    assert_eq!(commits, before + 5);
    world.settle().await;
    invariants::hold(&world, "guidelines at once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_sees_or_has_room_for_is_not_taken() {
    let (world, main, alice, hand) = stage().await;
    let texts = ["Be kind\u{200b}.", "Be kind."];
    let pull = proposed(&world, &alice, &hand, "Say hello", &texts).await;
    let (kind, said) = refusal(decides(&alice, 1, pull.proposals[0].id, true).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("U+200B"), "{said}");
    let fit = pull.proposals[1].id;
    // A link is not followed, and a file that is full is not made longer.
    for (name, content) in [
        ("a link", None),
        ("full", Some("x".repeat(guideline::LONGEST))),
    ] {
        main.take("main");
        let place = main.path().join(guideline::PATH);
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        drop(std::fs::remove_file(&place));
        match content {
            Some(text) => std::fs::write(&place, text).expect("written"),
            None => std::os::unix::fs::symlink("../hello.txt", &place).expect("linked"),
        }
        main.commit(name);
        main.push(&["HEAD:refs/heads/main"]).expect("pushed");
        let before = file(&main);
        let (kind, said) = refusal(decides(&alice, 1, fit, true).await);
        assert_eq!(kind, "refused", "{name}: {said}");
        assert!(said.contains(guideline::PATH), "{name}: {said}");
        assert_eq!(file(&main), before, "{name}");
    }
    let seen = alice.pull("tally", 1).await;
    assert!(seen.proposals.iter().all(|one| one.decision.is_none()));
}
