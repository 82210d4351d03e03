//! Secrets of a project: sealed, given to the steps that are named, never shown, missed in time.

use nightshift_api::Nothing;
use nightshift_api::desk::Card;
use nightshift_api::operations as op;
use nightshift_api::project::EventQuery;
use nightshift_api::secret::{SecretPath, SetSecret};
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::person::home;
use nightshift_testkit::{Hand, Person, World};

const VALUE: &str = "swordfish-is-the-word";
const CONFIG: &str = "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n\
    [[secret]]\nname = \"DB_PASSWORD\"\nsteps = [\"test\"]\n\
    [[secret]]\nname = \"KEY\"\nsteps = [\"agent\", \"setup\"]\nauthor = true\n";

async fn stage() -> (World, Person, Hand) {
    let world = World::new().await;
    world.project_with("tally", CONFIG).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    (world, alice, hand)
}

async fn sets(who: &Person, name: &str, value: &str) -> Result<(), String> {
    let path = SecretPath {
        project: "tally".to_owned(),
        secret: name.to_owned(),
    };
    let value = SetSecret {
        value: value.to_owned(),
    };
    let set = who.call::<op::SecretSet>(path, value).await;
    set.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_gets_what_its_steps_are_named_for_and_an_agent_only_what_is_said() {
    let (world, alice, hand) = stage().await;
    sets(&alice, "DB_PASSWORD", VALUE).await.expect("set");
    sets(&alice, "KEY", "an-older-value").await.expect("set");
    sets(&alice, "KEY", "key-of-the-agent").await.expect("set");
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let given: Vec<(&str, &str)> = order
        .secrets
        .iter()
        .map(|secret| (secret.name.as_str(), secret.value.as_str()))
        .collect();
    assert_eq!(given, [("KEY", "key-of-the-agent")]);
    assert_eq!(order.secrets[0].steps, ["agent", "setup"]);
    assert_eq!(order.withheld, ["test"]);
    assert!(!format!("{order:?}").contains("key-of-the-agent"));
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    let given: Vec<&str> = proof
        .secrets
        .iter()
        .map(|secret| secret.value.as_str())
        .collect();
    assert_eq!(given, [VALUE, "key-of-the-agent"]);
    assert_eq!(proof.withheld, [""; 0]);

    // Nothing of it is in the database, the events or what anybody is shown.
    let listed = alice
        .call::<op::SecretList>(home("tally"), Nothing {})
        .await;
    let listed = listed.expect("secrets").items;
    let shown = serde_json::to_string(&listed).expect("text");
    assert!(
        shown.contains("\"set_by\":\"alice\"") && !shown.contains(VALUE),
        "{shown}"
    );
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "secrets").await;
    let mut found = Vec::new();
    let mut folders = vec![world.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            for value in [VALUE, "key-of-the-agent"] {
                let is_there = bytes
                    .windows(value.len())
                    .any(|part| part == value.as_bytes());
                assert!(!is_there, "{value} is in {}", path.display());
            }
            found.push(path);
        }
    }
    let is_database = |path: &std::path::PathBuf| path.to_string_lossy().contains(".db");
    assert!(found.iter().any(is_database), "no database among {found:?}");
}

async fn desk(who: &Person) -> Vec<Card> {
    let desk = who.call::<op::DeskList>(Nothing {}, Nothing {}).await;
    desk.expect("a desk").cards
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_value_is_a_question_before_an_agent_begins_and_the_work_goes_on_once_it_is_set()
{
    let (world, alice, hand) = stage().await;
    let number = alice.files_ready("tally", "Say hello").await;
    let other = alice.files_ready("tally", "Say goodbye").await;
    for _ in 0..2 {
        assert!(
            hand.claims_of(&[Kind::Author]).await.is_none(),
            "it cannot begin"
        );
    }
    let issue = alice.sees("tally", number).await;
    let waiting = issue.line.waiting.expect("a reason");
    assert!(
        waiting.contains("DB_PASSWORD") && waiting.contains("nightshift secret set"),
        "{waiting}"
    );
    assert_eq!(issue.secrets, ["DB_PASSWORD", "KEY"]);
    let cards = desk(&alice).await;
    assert_eq!(cards.len(), 2);
    for card in &cards {
        assert_eq!(card.secrets, ["DB_PASSWORD", "KEY"], "#{}", card.number);
    }
    // One of two is not enough.
    sets(&alice, "DB_PASSWORD", VALUE).await.expect("set");
    assert_eq!(alice.sees("tally", number).await.secrets, ["KEY"]);
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    // A writer sees what is missing, and cannot set it.
    let bob = alice.makes_person("bob", &[("tally", Role::Writer)]).await;
    assert_eq!(bob.sees("tally", number).await.secrets, ["KEY"]);
    sets(&bob, "KEY", "key-of-a-writer")
        .await
        .expect_err("a writer");
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    sets(&alice, "KEY", "key-of-the-agent").await.expect("set");
    let mut begun = Vec::new();
    while let Some(order) = hand.claims_of(&[Kind::Author]).await {
        begun.push(order.number);
    }
    begun.sort_unstable();
    assert_eq!(begun, [number, other]);
    assert_eq!(alice.sees("tally", number).await.secrets, [""; 0]);
    let page = alice
        .client()
        .call::<op::EventList>(&Nothing {}, &EventQuery::default(), &Nothing {})
        .await
        .expect("events");
    let given: Vec<_> = page
        .items
        .iter()
        .filter(|event| event.kind == "secret.given")
        .collect();
    assert_eq!(given.len(), 2);
    assert_eq!(given[0].data["secret"], "KEY");
    let all = serde_json::to_string(&page.items).expect("text");
    assert!(!all.contains(VALUE) && !all.contains("key-of-the-agent"));
    world.settle().await;
    nightshift_testkit::invariants::hold(&world, "secrets wanted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_gone_before_the_proof_is_asked_for_and_the_proof_goes_on() {
    let (_world, alice, hand) = stage().await;
    sets(&alice, "DB_PASSWORD", VALUE).await.expect("set");
    sets(&alice, "KEY", "key-of-the-agent").await.expect("set");
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let path = SecretPath {
        project: "tally".to_owned(),
        secret: "DB_PASSWORD".to_owned(),
    };
    alice
        .call::<op::SecretRemove>(path, Nothing {})
        .await
        .expect("removed");
    assert!(hand.claims_of(&[Kind::Verify]).await.is_none());
    let issue = alice.sees("tally", number).await;
    assert_eq!(
        (issue.line.phase.as_str(), issue.secrets),
        ("in-review", vec!["DB_PASSWORD".to_owned()])
    );
    // Another failure is not what a value answers.
    sets(&alice, "KEY", "another-key-of-it").await.expect("set");
    assert!(hand.claims_of(&[Kind::Verify]).await.is_none());
    sets(&alice, "DB_PASSWORD", VALUE).await.expect("set");
    assert!(hand.claims_of(&[Kind::Verify]).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintainers_set_values_that_can_be_hidden_and_nobody_else_does() {
    let (_world, alice, _hand) = stage().await;
    let bob = alice.makes_person("bob", &[("tally", Role::Writer)]).await;
    let refused = sets(&bob, "KEY", VALUE).await.expect_err("a writer");
    assert!(refused.contains("maintainer"), "{refused}");
    bob.call::<op::SecretList>(home("tally"), Nothing {})
        .await
        .expect_err("a writer");
    for (name, value, says) in [
        ("KEY", "short", "fewer than 8 bytes"),
        ("KEY", "1234567\u{0}89", "NUL"),
        ("PATH", VALUE, "can name no secret"),
        ("lower", VALUE, "can name no secret"),
    ] {
        let refused = sets(&alice, name, value).await.expect_err(name);
        assert!(refused.contains(says), "{refused}");
        assert!(!refused.contains(value), "{refused}");
    }
    let path = SecretPath {
        project: "tally".to_owned(),
        secret: "KEY".to_owned(),
    };
    alice
        .call::<op::SecretRemove>(path.clone(), Nothing {})
        .await
        .expect_err("nothing is set");
    sets(&alice, "KEY", VALUE).await.expect("set");
    alice
        .call::<op::SecretRemove>(path, Nothing {})
        .await
        .expect("removed");
}
