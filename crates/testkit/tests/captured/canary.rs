//! Every secret that was ever handed out is looked for, in every form, wherever the server writes.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use nightshift_api::operations as op;
use nightshift_api::project::NewToken;
use nightshift_api::{Nothing, Page};
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::person::http;
use nightshift_testkit::{World, invariants};

/// The forms in which a secret could be written down: as it is, reversed, in hexadecimal digits,
/// and in base64 at each of the three alignments (without the ends that depend on neighbours).
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let raw = secret.as_bytes();
    let mut forms = vec![raw.to_vec(), raw.iter().rev().copied().collect()];
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.to_uppercase().into_bytes());
    forms.push(hex.into_bytes());
    for shift in 0..3 {
        let padded = [&vec![0; shift], raw].concat();
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
        }
    }
    // The random part alone: a secret may be kept without its prefix.
    let tail = &raw[raw.len() - 24..];
    forms.push(tail.to_vec());
    forms
}

/// A way to search many patterns in many bytes: by the first eight bytes of each.
struct Needles {
    by_head: std::collections::HashMap<[u8; 8], Vec<(usize, Vec<u8>)>>,
}

impl Needles {
    fn of(secrets: &[String]) -> Self {
        let mut by_head: std::collections::HashMap<[u8; 8], Vec<(usize, Vec<u8>)>> =
            std::collections::HashMap::new();
        for (n, secret) in secrets.iter().enumerate() {
            for form in forms(secret) {
                let head = form[..8].try_into().expect("eight bytes");
                by_head.entry(head).or_default().push((n, form));
            }
        }
        Self { by_head }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        bytes.windows(8).enumerate().find_map(|(at, window)| {
            let head: [u8; 8] = window.try_into().expect("eight bytes");
            self.by_head.get(&head).and_then(|forms| {
                forms
                    .iter()
                    .find(|(_, form)| bytes[at..].starts_with(form))
                    .map(|(n, _)| *n)
            })
        })
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

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

    let needles = Needles::of(&secrets);
    let mut haystacks: Vec<(String, Vec<u8>)> = Vec::new();
    let mut paths = Vec::new();
    files(&world.data(), &mut paths);
    assert!(paths.iter().any(|path| path.ends_with("nightshift.db-wal")));
    assert!(
        paths
            .iter()
            .any(|path| path.to_string_lossy().ends_with(".ndjson"))
    );
    for path in paths {
        let bytes = std::fs::read(&path).expect("a file");
        haystacks.push((path.display().to_string(), bytes));
    }
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
        if let Some(n) = needles.find(bytes) {
            panic!("secret {n} stands in {place}");
        }
    }
    // The search itself works.
    let mut planted = b"some bytes before ".to_vec();
    planted.extend(
        STANDARD_NO_PAD
            .encode(format!("x{}", secrets[0]))
            .into_bytes(),
    );
    assert_eq!(needles.find(&planted), Some(0));
    assert_eq!(needles.find(secrets[1].as_bytes()), Some(1));
}
