//! A model's stream through the broker against the same stream direct: one, and two hundred at once.
//!
//! The whole way of a run: from a client in a real sandbox over the relay inside and the broker
//! outside to a provider on this machine, with a token, metered; ten sandboxes with twenty streams
//! each. Direct is the same client outside, straight to the provider. Both are measured in turn in the
//! same run. The provider speaks as a fast model does, 50 events a second, so that what is measured
//! is delay and not how many bytes a processor copies; a last row shows that, too, without a bar. The
//! streams begin within one second and last three, so that each first byte is waited for while all
//! others run. Prints rows of the table that `cargo xtask bench` puts together.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts its own clients and tells them when to begin"
)]

mod client;
#[path = "../floor/percentile.rs"]
mod percentile;
mod provider;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nightshift_runner::broker::{
    Broker, BrokerProgram, Budget, Dialect, EndpointSpec, KeySource, ModelsWay, Room, RouteWay,
    Settings, Ways,
};
use nightshift_runner::sandbox::{
    Backend, Bind, HostConfig, Limits, Sandbox, SandboxHost, SandboxProgram, Spec, Step, Tree,
};
use tokio::io::AsyncReadExt as _;

use client::{Order, Seen};
use percentile::{millis, percentiles};

/// How often each is measured.
const ROUNDS: usize = 5;
/// Sandboxes, and streams in each, for many at once.
const MANY: (usize, usize) = (10, 20);
/// Where the client is inside.
const INSIDE: &str = "/agents/bench/client";
/// From here on the clients have time to be there.
const LEAD: Duration = Duration::from_millis(1_500);

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("client") {
        return client::run(args);
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(measure());
}

/// One run: its sandbox, and what it presents.
struct Run {
    sandbox: Sandbox,
    room: Room,
}

async fn measure() {
    let provider = provider::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_nightshift-sandbox"));
    let host = SandboxHost::open(HostConfig {
        program: SandboxProgram {
            path: program.clone(),
            prefix_args: Vec::new(),
        },
        backend: Backend::Bubblewrap {
            program: PathBuf::from("/usr/bin/bwrap"),
        },
        data: dir.path().join("data"),
        read_only: Vec::new(),
    });
    let host = host.await.expect("a machine on which sandboxes work");
    let key = dir.path().join("key");
    std::fs::write(&key, "key").expect("a key");
    let endpoint = EndpointSpec {
        url: provider.clone(),
        header: "x-api-key".to_owned(),
        prefix: String::new(),
        dialect: Dialect::Anthropic,
        keys: vec![KeySource::File(key)],
    };
    let settings = Settings {
        endpoints: [("house".to_owned(), endpoint)].into(),
        ..Settings::default()
    };
    let program = BrokerProgram {
        path: program,
        args: vec!["broker".to_owned()],
    };
    let broker = Broker::start(program, settings).await.expect("a broker");
    let mut runs = Vec::new();
    for number in 0..MANY.0 {
        runs.push(open(&host, &broker, dir.path(), number).await);
    }
    let (mut one, mut many, mut flood) = (Pair::default(), Pair::default(), Pair::default());
    for _ in 0..ROUNDS {
        for (pair, sandboxes, order) in [
            (&mut one, 1, Order::paced(1)),
            (&mut many, MANY.0, Order::paced(MANY.1)),
            (&mut flood, 1, Order::flood()),
        ] {
            let begin = begin();
            let direct = (0..sandboxes).map(|n| outside(&provider, order.at(begin, n)));
            pair.direct.extend(all(direct).await);
            let begin = self::begin();
            let through = runs[..sandboxes].iter().enumerate();
            let through = through.map(|(n, run)| inside(run, order.at(begin, n)));
            pair.ours.extend(all(through).await);
        }
    }
    for (name, pair) in [("1 stream", &one), ("200 streams", &many)] {
        let first = |seen: &[Seen]| seen.iter().map(|seen| millis(seen.first)).collect();
        let (ours, direct): (Vec<f64>, Vec<f64>) = (first(&pair.ours), first(&pair.direct));
        let [(o50, o99), (d50, d99)] = [ours, direct].map(|mut all| percentiles(&mut all));
        for (which, ours, direct) in [("p50", o50, d50), ("p99", o99, d99)] {
            let more = ours - direct;
            println!(
                "| first byte of a model's answer through the broker, {name}, {which} | {ours:.2} ms | {direct:.2} ms | {more:+.2} ms | < 1 ms more |"
            );
        }
        let [ours, direct] =
            [&pair.ours, &pair.direct].map(|seen| rate(seen, provider::paced()) / 1e3);
        println!(
            "| bytes of a second of each stream through the broker, {name}, mean | {ours:.3} kB | {direct:.3} kB | {:.4} | ≥ 0.98 |",
            ours / direct
        );
    }
    let [ours, direct] =
        [&flood.ours, &flood.direct].map(|seen| rate(seen, provider::flood()) / 1e6);
    println!(
        "| one stream as fast as it goes through the broker, mean | {ours:.0} MB/s | {direct:.0} MB/s | {:.2} | none |",
        ours / direct
    );
}

/// What was seen of the same, through the broker and direct.
#[derive(Default)]
struct Pair {
    ours: Vec<Seen>,
    direct: Vec<Seen>,
}

/// The mean of all streams' bytes of events in a second, from asking to the end.
fn rate(seen: &[Seen], bytes: usize) -> f64 {
    let rates = seen
        .iter()
        .map(|seen| bytes as f64 / seen.whole.as_secs_f64());
    rates.sum::<f64>() / seen.len() as f64
}

/// When the next measurement begins, on the clock that all processes share.
fn begin() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970") + LEAD
}

async fn open(
    host: &Arc<SandboxHost>,
    broker: &Broker,
    dir: &std::path::Path,
    number: usize,
) -> Run {
    let place = host.run_dir(&format!("run-{number}")).expect("a directory");
    let ways = Ways {
        models: Some(ModelsWay {
            routes: vec![RouteWay {
                dialect: Dialect::Anthropic,
                endpoint: "house".to_owned(),
                token: String::new(),
            }],
            budget: Budget {
                bytes_received: u64::MAX,
                ..Budget::default()
            },
            cost_micro_usd: None,
        }),
        ..Ways::default()
    };
    let room = broker.open(host, &place, ways, Box::new(|_| {})).await;
    let room = room.expect("a room");
    let lower = dir.join("lower");
    host.shared_dir(&lower).expect("a directory");
    let spec = Spec {
        run_dir: place.path().to_owned(),
        tree: match host.support().no_overlay {
            Some(_) => Tree::Plain,
            None => Tree::Overlay { lower, setup: None },
        },
        image: None,
        read_only: vec![Bind {
            source: std::env::current_exe().expect("our own path"),
            target: INSIDE.into(),
        }],
        writable: Vec::new(),
        relays: room.relays(),
        limits: Limits {
            host_free_bytes: 0,
            ..Limits::default()
        },
    };
    Run {
        sandbox: Sandbox::new(Arc::clone(host), spec),
        room,
    }
}

/// A client in a run's sandbox.
async fn inside(run: &Run, order: Order) -> Vec<Seen> {
    let token = run.room.token(Dialect::Anthropic).expect("a token");
    let words = order.words("127.0.0.1:7071", "/anthropic", token);
    let step = Step {
        command: std::iter::once(INSIDE.to_owned()).chain(words).collect(),
        env: Vec::new(),
        system: nightshift_runner::sandbox::System::Machine,
        stdin: nightshift_runner::sandbox::Stdin::Closed,
        timeout: Duration::from_secs(120),
    };
    let mut running = run.sandbox.spawn(&step).await.expect("a start");
    let mut text = String::new();
    let mut stdout = running.stdout.take().expect("output");
    let mut errors = String::new();
    let mut stderr = running.stderr.take().expect("output");
    let (read, also) = tokio::join!(
        stdout.read_to_string(&mut text),
        stderr.read_to_string(&mut errors)
    );
    read.and(also).expect("text");
    running.wait().await.expect("an end");
    client::read(&text).unwrap_or_else(|| panic!("{text}{errors}"))
}

/// The same client outside.
async fn outside(provider: &str, order: Order) -> Vec<Seen> {
    let address = provider.trim_start_matches("http://");
    let output = tokio::process::Command::new(std::env::current_exe().expect("our own path"))
        .args(order.words(address, "", "key"))
        .stdin(Stdio::null())
        .output();
    let output = output.await.expect("a client");
    let text = String::from_utf8_lossy(&output.stdout);
    client::read(&text).unwrap_or_else(|| panic!("{output:?}"))
}

async fn all(clients: impl Iterator<Item = impl Future<Output = Vec<Seen>>>) -> Vec<Seen> {
    let all = futures_util::future::join_all(clients).await;
    all.into_iter().flatten().collect()
}
