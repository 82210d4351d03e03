//! A thousand people look at the desk while something changes: from the call that changes it until
//! each of them has it, against a server that only sends as many bytes to as many.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::get;
use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_testkit::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};

use crate::fill::PROJECT;
use crate::percentile::{millis, percentiles};
use crate::visitor::Visitor;

const VIEWERS: usize = 1_000;
const ROUNDS: usize = 12;
/// After which a viewer has missed it.
const TOO_LONG: Duration = Duration::from_secs(20);
/// Within which everybody must have it, in milliseconds.
const BAR: f64 = 300.0;

pub(crate) async fn rows(world: &World) -> Vec<String> {
    let visitor = Visitor::new(world).await;
    let address = visitor
        .url
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let ours = Crowd::gather(address, "/live/desk", &visitor.cookie).await;
    let (send, minimal) = minimal().await;
    let theirs = Crowd::gather(minimal, "/", "").await;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    // One that everybody sees: the first card.
    let alice = world.alice();
    let desk = alice.call::<op::DeskList>(Nothing {}, Nothing {});
    let number = desk.await.expect("a desk").cards.remove(0).number;
    for round in 0..ROUNDS {
        let marker = format!("seen in round {round}.");
        let times = ours.see(&marker, async {
            let edit = nightshift_api::issue::EditIssue {
                title: Some(marker.clone()),
                ..nightshift_api::issue::EditIssue::default()
            };
            world
                .alice()
                .edits(PROJECT, number, edit)
                .await
                .expect("edited");
        });
        let (times, bytes) = times.await;
        let payload: Arc<str> = format!("{}{marker}", "x".repeat(bytes)).into();
        let reference = theirs.see(&marker, async { drop(send.send(payload)) });
        let (reference, _) = reference.await;
        if round >= 2 {
            own.extend(times);
            other.extend(reference);
        }
    }
    let ((o50, o99), (t50, t99)) = (percentiles(&mut own), percentiles(&mut other));
    let row = |which: &str, ours: f64, theirs: f64, bar: &str| {
        format!(
            "| change → live desk of {VIEWERS} viewers, {which} | {ours:.1} ms | {theirs:.1} ms | {:.2} | {bar} |",
            ours / theirs
        )
    };
    vec![
        row("p50, against bare sending of as much", o50, t50, ""),
        row("p99, against bare sending of as much", o99, t99, "≤ 2"),
        row("p99, against 300 ms", o99, BAR, "≤ 1"),
    ]
}

/// Viewers with open streams.
struct Crowd {
    marker: watch::Sender<String>,
    seen: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Instant, usize)>>,
}

impl Crowd {
    async fn gather(address: SocketAddr, path: &str, cookie: &str) -> Self {
        let (marker, wanted) = watch::channel(String::new());
        let (tell, mut seen) = mpsc::unbounded_channel();
        for _ in 0..VIEWERS {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n"
            );
            view(address, request, wanted.clone(), tell.clone());
        }
        for _ in 0..VIEWERS {
            seen.recv().await.expect("everybody has a first look");
        }
        Self {
            marker,
            seen: tokio::sync::Mutex::new(seen),
        }
    }

    /// Does something, and waits until everybody saw the marker: milliseconds each, and how many
    /// bytes came to one of them.
    async fn see(&self, marker: &str, act: impl Future<Output = ()>) -> (Vec<f64>, usize) {
        self.marker.send_replace(marker.to_owned());
        let mut seen = self.seen.lock().await;
        let begin = Instant::now();
        act.await;
        let (mut times, mut most) = (Vec::new(), 0);
        for _ in 0..VIEWERS {
            let next = tokio::time::timeout(TOO_LONG, seen.recv());
            let (at, bytes) = next.await.expect("in time").expect("everybody sees it");
            times.push(millis(at.duration_since(begin)));
            most = bytes.max(most);
        }
        (times, most)
    }
}

/// One viewer: tells of its first bytes, and then of each marker once.
fn view(
    address: SocketAddr,
    request: String,
    wanted: watch::Receiver<String>,
    tell: mpsc::UnboundedSender<(Instant, usize)>,
) {
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut read = vec![0; 64 << 10];
        let mut told = String::new();
        let (mut tail, mut bytes, mut greeted) = (Vec::new(), 0, false);
        while let Ok(length) = stream.read(&mut read).await
            && length > 0
        {
            if !greeted {
                greeted = true;
                tell.send((Instant::now(), 0)).ok();
            }
            bytes += length;
            tail.extend_from_slice(&read[..length]);
            let marker = wanted.borrow().clone();
            let found = !marker.is_empty()
                && tail
                    .windows(marker.len())
                    .any(|part| part == marker.as_bytes());
            if found && told != marker {
                tell.send((Instant::now(), bytes)).ok();
                told = marker;
                bytes = 0;
                tail.clear();
            }
            let keep = tail.len().saturating_sub(64);
            tail.drain(..keep);
        }
    });
}

/// The least that sends to everybody.
async fn minimal() -> (broadcast::Sender<Arc<str>>, SocketAddr) {
    let (send, _) = broadcast::channel::<Arc<str>>(16);
    let source = send.clone();
    let answer = move || {
        let mut heard = source.subscribe();
        let stream = async_stream::stream! {
            yield Ok::<_, Infallible>(Event::default().data("hello"));
            while let Ok(payload) = heard.recv().await {
                yield Ok(Event::default().data(&*payload));
            }
        };
        async move { Sse::new(stream) }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    let router = Router::new().route("/", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (send, address)
}
