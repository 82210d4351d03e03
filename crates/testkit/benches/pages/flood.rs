//! Somebody's desk while another floods the server: passwords, tokens, searches, 1,000 a second.
//!
//! The flood is sent by the same process as everything else here, so its own cost is in the figure.
//! Times are the 95th percentile, quiet and flooded in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nightshift_domain::access::Role;
use nightshift_testkit::World;
use reqwest::{Client, RequestBuilder};

use crate::fill::PROJECT;
use crate::visitor::Visitor;

const ROUNDS: usize = 4;
/// Looks of a round, quiet and flooded each.
const LOOKS: usize = 40;
/// Senders, each of which sends this often.
const SENDERS: usize = 20;
const EVERY: Duration = Duration::from_millis(20);
/// Of a sender that others are sent while it runs, at least; else nothing was flooded.
const LEAST: u64 = 400;

/// One try of a flood.
type Try = Arc<dyn Fn(&Client, u64) -> RequestBuilder + Send + Sync>;

pub(crate) async fn rows(world: &World) -> Vec<String> {
    let visitor = Visitor::new(world).await;
    world
        .alice()
        .makes_person("mallory", &[(PROJECT, Role::Reader)])
        .await;
    let inside = Visitor::of(world, "mallory").await;
    let url = world.url.clone();
    let (passwords, tokens, searches) = (url.clone(), url.clone(), url);
    let floods: [(&str, Try); 3] = [
        (
            "passwords",
            Arc::new(move |client, n| {
                client
                    .post(format!("{passwords}/sign-in"))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(format!("name=alice&password=wrong-{n}"))
            }),
        ),
        (
            "tokens",
            Arc::new(move |client, n| {
                client
                    .get(format!("{tokens}/api/v1/desk"))
                    .bearer_auth(format!("ns_guess_{n}"))
            }),
        ),
        (
            "searches",
            Arc::new(move |client, n| {
                client
                    .get(format!("{searches}/board?text=x{n}"))
                    .header("cookie", &inside.cookie)
            }),
        ),
    ];
    let mut rows = Vec::new();
    for (name, flood) in floods {
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            look(&visitor, &mut quiet).await;
            let running = Flood::start(&flood);
            look(&visitor, &mut flooded).await;
            assert!(running.stop().await > LEAST, "{name}: nothing was flooded");
        }
        let (quiet, flooded) = (p95(&mut quiet), p95(&mut flooded));
        rows.push(format!(
            "| desk while another tries 1,000 {name} a second, p95, against quiet | {flooded:.1} ms | {quiet:.1} ms | {:.2} | ≤ 2 |",
            flooded / quiet
        ));
    }
    rows
}

async fn look(visitor: &Visitor, times: &mut Vec<f64>) {
    for _ in 0..LOOKS {
        let begin = Instant::now();
        times.push(visitor.look("/", "identity").await.1);
        tokio::time::sleep(EVERY).await;
        // Limits of tries are by the server's clock, which goes as fast as the true one here.
        visitor.pass(begin.elapsed());
    }
}

fn p95(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() * 95 / 100]
}

/// A flood that runs.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Flood {
    fn start(one: &Try) -> Self {
        let (stop, sent) = (Arc::default(), Arc::default());
        let senders = (0..SENDERS).map(|_| {
            let (one, stop, sent) = (Arc::clone(one), Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(send(one, stop, sent))
        });
        Self {
            senders: senders.collect(),
            stop,
            sent,
        }
    }

    /// Ends it: how many tries were answered.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("a sender");
        }
        self.sent.load(Ordering::Relaxed)
    }
}

async fn send(one: Try, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let answer = one(&client, number).send().await.expect("an answer");
        answer.bytes().await.expect("whole");
    }
}
