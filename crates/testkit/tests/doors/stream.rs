//! What flows: logs and events, resumed without loss or duplicate, and a claim that waits.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_api::runner::{ClaimRequest, End};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_testkit::World;
use nightshift_testkit::person::http;

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sent {
    id: String,
    kind: String,
    data: String,
}

/// Opens a stream after this id and reads its events as they come.
async fn listen(
    world: &World,
    path: &str,
    after: Option<&str>,
) -> impl Stream<Item = Sent> + Unpin + use<> {
    let mut request = http()
        .get(format!("{}{path}", world.url))
        .bearer_auth(world.alice().token());
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut bytes = answer.bytes_stream();
    Box::pin(async_stream(async move |out: &mut Vec<u8>| {
        match bytes.next().await {
            Some(Ok(chunk)) => {
                out.extend_from_slice(&chunk);
                true
            }
            Some(Err(_)) | None => false,
        }
    }))
}

/// Cuts what `more` brings into events.
fn async_stream(more: impl AsyncFnMut(&mut Vec<u8>) -> bool) -> impl Stream<Item = Sent> {
    futures_util::stream::unfold((more, Vec::new()), async |(mut more, mut buffer)| {
        loop {
            if let Some(at) = buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = buffer.drain(..at + 2).collect();
                let mut sent = Sent::default();
                for line in String::from_utf8_lossy(&block).lines() {
                    let (field, value) = line.split_once(':').unwrap_or((line, ""));
                    let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
                    match field {
                        "id" => sent.id = value,
                        "event" => sent.kind = value,
                        "data" => sent.data = value,
                        _ => {}
                    }
                }
                if sent != Sent::default() {
                    return Some((sent, (more, buffer)));
                }
                continue;
            }
            if !more(&mut buffer).await {
                return None;
            }
        }
    })
}

async fn next(stream: &mut (impl Stream<Item = Sent> + Unpin)) -> Option<Sent> {
    let waited = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    waited.expect("an event in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_across_cut_connections_without_loss_or_duplicate() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Talk").await;
    let order = hand.claims().await.expect("a job");
    let lines: Vec<String> = (0..120)
        .map(|n| format!("{{\"line\":{n},\"text\":\"ä{}\"}}", "x".repeat(n * 7 % 50)))
        .collect();
    let writer = {
        let (hand, order, lines) = (hand.clone(), order.clone(), lines.clone());
        tokio::spawn(async move {
            let mut offset = 0;
            for chunk in lines.chunks(7) {
                let text = chunk.join("\n") + "\n";
                let size = hand.logs(&order, offset, &text).await.expect("logged");
                // A repeated append changes nothing.
                let again = hand.logs(&order, offset, &text).await.expect("logged");
                assert_eq!(size, again);
                offset = u64::try_from(size).expect("a size");
            }
            let failure = Failure {
                reason: Reason::AgentFailed,
                detail: Kept::quoted("enough"),
                retry_at: None,
            };
            hand.ends(&order, End::Failed { failure }, None)
                .await
                .expect("ended");
        })
    };
    let path = format!("/api/v1/runs/{}/log/stream", order.run);
    let mut heard: Vec<String> = Vec::new();
    let mut last: Option<String> = None;
    'connections: for take in [3, 1, 20, 5, 200, 1] {
        let mut stream = listen(&world, &path, last.as_deref()).await;
        for _ in 0..take {
            match next(&mut stream).await {
                Some(sent) if sent.kind == "end" => break 'connections,
                Some(sent) => {
                    last = Some(sent.id);
                    heard.push(sent.data);
                }
                None => panic!("the stream ended without saying so"),
            }
        }
    }
    writer.await.expect("written");
    assert_eq!(heard, lines);
    let mut after_end = listen(&world, &path, last.as_deref()).await;
    assert_eq!(next(&mut after_end).await.expect("an end").kind, "end");
    assert_eq!(next(&mut after_end).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_across_cut_connections_without_loss_or_duplicate() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let begin = world.app.last_event().await.expect("a place");
    let filing = {
        let alice = alice.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                alice.files_ready("tally", &format!("Issue {n}")).await;
            }
        })
    };
    let mut seqs: Vec<i64> = Vec::new();
    let mut last = begin.to_string();
    // Each issue is filed and made ready: two events.
    while seqs.len() < 80 {
        let mut stream = listen(&world, "/api/v1/events/stream?project=tally", Some(&last)).await;
        for _ in 0..13.min(80 - seqs.len()) {
            let sent = next(&mut stream).await.expect("an event");
            let event: serde_json::Value = serde_json::from_str(&sent.data).expect("an event");
            assert_eq!(event["kind"].as_str(), Some(sent.kind.as_str()));
            last = sent.id;
            seqs.push(event["seq"].as_i64().expect("a place"));
        }
    }
    filing.await.expect("filed");
    let expected: Vec<i64> = (begin + 1..=begin + 80).collect();
    assert_eq!(seqs, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_token_is_revoked() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let new = nightshift_api::project::NewToken {
        label: "short".to_owned(),
        user: None,
        runner: None,
        expires_in_days: None,
    };
    let made = alice
        .call::<op::TokenCreate>(Nothing {}, new)
        .await
        .expect("a token");
    let answer = http()
        .get(format!("{}/api/v1/events/stream", world.url))
        .bearer_auth(&made.secret)
        .send()
        .await
        .expect("an answer");
    let path = nightshift_api::project::TokenPath {
        token: made.token.id,
    };
    alice
        .call::<op::TokenRevoke>(path, Nothing {})
        .await
        .expect("revoked");
    alice.files_ready("tally", "Secret").await;
    let mut bytes = answer.bytes_stream();
    let mut heard = Vec::new();
    let ended = async {
        while let Some(Ok(chunk)) = bytes.next().await {
            heard.extend_from_slice(&chunk);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("the stream goes on");
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains("Secret"), "{heard}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_claim_is_woken_by_the_issue_that_is_filed() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let mut best = Duration::MAX;
    for n in 0..5 {
        let before = seen(&world).await;
        let waiting = {
            let hand = hand.clone();
            tokio::spawn(async move {
                let request = ClaimRequest {
                    kinds: vec![Kind::Author],
                    slots: 1,
                    version: "test".to_owned(),
                    harnesses: None,
                    images: false,
                    wait_s: 30,
                };
                let answer = hand
                    .client()
                    .call::<op::RunnerClaim>(&Nothing {}, &Nothing {}, &request)
                    .await
                    .expect("an answer");
                (answer.order.expect("an order"), tokio::time::Instant::now())
            })
        };
        // The claim has looked and waits once the runner was seen again.
        while seen(&world).await == before {
            tokio::task::yield_now().await;
        }
        let number = alice.files_ready("tally", &format!("Issue {n}")).await;
        let filed = tokio::time::Instant::now();
        let (order, woken) = waiting.await.expect("woken");
        assert_eq!(order.number, number);
        best = best.min(woken.saturating_duration_since(filed));
    }
    // Far below the second after which it would look again by itself.
    assert!(best < Duration::from_millis(400), "woken after {best:?}");
}

/// When the one runner was last heard of.
async fn seen(world: &World) -> Option<jiff::Timestamp> {
    let alice = world.alice();
    let found = alice.call::<op::RunnerList>(Nothing {}, Nothing {}).await;
    let page = found.expect("runners");
    page.items.first().map(|runner| runner.last_seen_at)
}
