//! Every secret that was ever handed out is looked for, in every form, wherever the server writes.

use nightshift_api::operations as op;
use nightshift_api::project::NewToken;
use nightshift_api::{Nothing, Page};
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::person::http;
use nightshift_testkit::{Canaries, World, invariants};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_down_anywhere() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let runner = world
        .app
        .operator_token(None, Some("r1"), "canary")
        .await
        .expect("a token");
    let writer = world.person("writer", &[("tally", Role::Writer)]).await;
    let mut secrets = vec![
        alice.token().to_owned(),
        writer.token().to_owned(),
        runner.reveal().to_owned(),
    ];
    for key in [None, Some("canary-key")] {
        let new = NewToken {
            label: "canary".to_owned(),
            user: None,
            runner: None,
            expires_in_days: Some(30),
        };
        let made = alice
            .client()
            .call_once::<op::TokenCreate>(&Nothing {}, &Nothing {}, &new, key)
            .await
            .expect("a token");
        secrets.push(made.secret);
    }

    // A busy story: two rounds, a question, a lost lease, a landing, an open run.
    writer.files_ready("tally", "First").await;
    let order = hand.claims().await.expect("a job");
    secrets.push(order.token.clone());
    hand.logs(&order, 0, "{\"text\":\"hello\"}\n")
        .await
        .expect("logged");
    world.after(std::time::Duration::from_secs(61)).await;
    let order = hand.claims().await.expect("the job again");
    secrets.push(order.token.clone());
    hand.authors(&order, &[("a.txt", "a\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    secrets.push(proof.token.clone());
    hand.proves(&proof, true).await.expect("proved");
    writer
        .sends_back("tally", 1, "Not yet.")
        .await
        .expect("sent back");
    let order = hand.claims().await.expect("the second round");
    secrets.push(order.token.clone());
    hand.authors(&order, &[("a.txt", "b\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    secrets.push(proof.token.clone());
    hand.proves(&proof, true).await.expect("proved");
    alice.approves("tally", 1).await.expect("approved");
    world.settle().await;
    alice.files_ready("tally", "Second").await;
    let order = hand.claims().await.expect("an open run");
    secrets.push(order.token.clone());
    world.settle().await;
    invariants::hold(&world, "a busy story").await;

    let slots: Vec<String> = (0..secrets.len()).map(|n| format!("secret {n}")).collect();
    let canaries = Canaries::of(
        slots
            .iter()
            .zip(&secrets)
            .map(|(slot, secret)| (slot.as_str(), secret.as_str())),
    );
    assert!(world.data().join("nightshift.db-wal").exists());
    let mut logs = std::fs::read_dir(world.data().join("logs")).expect("logs");
    assert!(logs.next().is_some());
    let (found, seen) = canaries.in_files(&world.data(), &|_| false);
    assert_eq!(found, []);
    assert!(seen > 5, "{seen} files");
    let mut haystacks: Vec<(String, Vec<u8>)> = Vec::new();
    let query = nightshift_api::project::EventQuery {
        limit: Some(500),
        ..Default::default()
    };
    let events: Page<nightshift_api::project::Event> = alice
        .client()
        .call::<op::EventList>(&Nothing {}, &query, &Nothing {})
        .await
        .expect("events");
    assert!(events.items.len() > 20);
    let text = serde_json::to_vec(&events).expect("JSON");
    haystacks.push(("events".to_owned(), text));
    let issue = alice.sees("tally", 1).await;
    haystacks.push((
        "issue".to_owned(),
        serde_json::to_vec(&issue).expect("JSON"),
    ));
    let runs = alice.runs("tally", 1).await;
    haystacks.push(("runs".to_owned(), serde_json::to_vec(&runs).expect("JSON")));
    let tokens = alice.call::<op::TokenList>(Nothing {}, Nothing {}).await;
    let tokens = serde_json::to_vec(&tokens.expect("tokens")).expect("JSON");
    haystacks.push(("tokens".to_owned(), tokens));

    // Answers to requests that hold a secret where none belongs.
    for secret in &secrets {
        for path in [
            format!("/api/v1/projects/{secret}"),
            format!("/api/v1/runs/{secret}"),
            "/api/v1/projects/unknown".to_owned(),
        ] {
            let answer = http()
                .get(format!("{}{path}", world.url))
                .bearer_auth(secret)
                .send()
                .await
                .expect("an answer");
            assert!(!answer.status().is_success());
            let own = path.contains(secret.as_str());
            let text = answer.bytes().await.expect("a body").to_vec();
            // Echoing what the caller itself put into the address tells nobody anything.
            if !own {
                haystacks.push((path, text));
            }
        }
    }
    for (place, bytes) in &haystacks {
        assert_eq!(canaries.find(bytes), None, "in {place}");
    }
    assert_eq!(canaries.find(secrets[1].as_bytes()), Some("secret 1"));
}
