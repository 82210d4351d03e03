//! The broker's own process: takes orders from the runner that started it, on its standard input.
//!
//! Invariants: it ends with the runner, also where its work hangs; no other process of the same user
//! can read its memory, and it leaves no core dump. It answers a ping from the same runtime that
//! carries the traffic, so that "alive" means that traffic moves. Deliberately absent: any way to
//! speak to it from a sandbox about what it lets through.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::account::{Credential, Endpoint, Key};
use super::bodies::{self, Shelf};
use super::login::Login;
use super::model::Clock;
use super::room::{House, Room, Tell, address};
use super::settings::{KeySource, Settings};
use super::wire::{self, Order, Report, Word};

/// Longest wait for a connection outside; a dead endpoint is told to the caller well within five
/// seconds.
const CONNECT: Duration = Duration::from_secs(4);

/// Runs the broker until the runner that started it is gone. `variable` reads the environment,
/// `now` the clock.
///
/// # Errors
/// It was started by something else than a runner, or does not take the runner's settings.
pub fn serve(variable: impl Fn(&str) -> Option<String>, now: fn() -> Timestamp) -> io::Result<()> {
    run(&variable, now)
}

fn run(variable: &dyn Fn(&str) -> Option<String>, now: Clock) -> io::Result<()> {
    close_to_others()?;
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(stdin);
    socket.local_addr().map_err(|_| {
        io::Error::other("standard input is no socket: a runner starts the broker, nobody else")
    })?;
    let words = speaker(socket.try_clone()?)?;
    let mut orders = listener(socket)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let Some(Order::Begin { settings }) = orders.recv().await else {
            return Err(io::Error::other("the first order is another"));
        };
        let house = match house(settings, variable, now) {
            Ok(house) => house,
            Err(why) => {
                say(&words, Word::Refused { why: why.clone() });
                // The runner reads it and closes; nothing is lost where it does not.
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Err(io::Error::other(why));
            }
        };
        say(&words, Word::Ready);
        let mut rooms: Rooms = HashMap::new();
        while let Some(order) = orders.recv().await {
            obey(&house, &mut rooms, &words, order);
        }
        Ok(())
    })
}

/// The open rooms, with what was said of each last.
type Rooms = HashMap<String, (Room, Report)>;

fn obey(house: &House, rooms: &mut Rooms, words: &mpsc::Sender<Word>, order: Order) {
    match order {
        Order::Begin { .. } => {}
        Order::Ping { number } => {
            say(words, Word::Pong { number });
            // What went through is known outside also where this process dies.
            for (run, (room, said)) in rooms {
                let report = room.report();
                if *said != report {
                    *said = report.clone();
                    let word = Word::Report {
                        run: run.clone(),
                        report: Some(report),
                        asked: false,
                        closed: false,
                    };
                    say(words, word);
                }
            }
        }
        Order::Open { run, room } => {
            let (of, to) = (run.clone(), words.clone());
            let tell: Tell = Arc::new(move |event| {
                let run = of.clone();
                say(&to, Word::Told { run, event });
            });
            let error = match Room::open(house, run.clone(), *room, &tell) {
                Ok(room) => {
                    rooms.insert(run.clone(), (room, Report::default()));
                    None
                }
                Err(error) => Some(error),
            };
            say(words, Word::Opened { run, error });
        }
        Order::Tell { run } => {
            if let Some((room, _)) = rooms.get(&run) {
                let word = Word::Report {
                    report: Some(room.report()),
                    run,
                    asked: true,
                    closed: false,
                };
                say(words, word);
            }
        }
        Order::Close { run } => {
            let report = rooms.remove(&run).map(|(room, _)| room.report());
            let word = Word::Report {
                run,
                report,
                asked: true,
                closed: true,
            };
            say(words, word);
        }
    }
}

fn house(
    settings: Settings,
    variable: &dyn Fn(&str) -> Option<String>,
    now: Clock,
) -> Result<House, String> {
    // Whoever installed a provider first wins; which one it is does not matter here.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let mut endpoints = BTreeMap::new();
    for (name, spec) in &settings.endpoints {
        let base = address(spec.root())?;
        let keys = spec.keys.iter().map(|source| match source {
            KeySource::Login(path) => Login::open(path, &spec.header, &spec.prefix)
                .map(|login| Key::Login(Arc::new(login))),
            KeySource::Variable(_) | KeySource::File(_) => {
                let key = source.read(variable)?;
                Credential::new(&spec.header, &spec.prefix, key).map(Key::Fixed)
            }
        });
        let keys: Result<Vec<_>, String> = keys.collect();
        let keys = keys.map_err(|why| format!("the key of the model endpoint {name:?}: {why}"))?;
        endpoints.insert(name.clone(), Arc::new(Endpoint::new(base, keys)));
    }
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| {
            format!("no HTTP client: {error}; next: check the certificate store of this machine")
        })?;
    Ok(House {
        private: settings.private,
        endpoints,
        prices: Arc::new(settings.prices),
        client,
        now,
        bodies: Shelf::new(bodies::OF_ALL),
    })
}

fn say(words: &mpsc::Sender<Word>, word: Word) {
    // Nobody listens any more: the process is about to end.
    words.send(word).ok();
}

/// A thread that writes, so that a runner that does not read stops no traffic.
fn speaker(mut socket: UnixStream) -> io::Result<mpsc::Sender<Word>> {
    let (sender, words) = mpsc::channel();
    let _detached = thread::Builder::new()
        .name("words".to_owned())
        .spawn(move || {
            for word in words {
                if wire::write(&mut socket, &word).is_err() {
                    std::process::exit(0);
                }
            }
        })?;
    Ok(sender)
}

/// A thread that reads, and ends the process when the runner is gone, whatever the rest does.
fn listener(socket: UnixStream) -> io::Result<tokio::sync::mpsc::UnboundedReceiver<Order>> {
    let (sender, orders) = tokio::sync::mpsc::unbounded_channel();
    let _detached = thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            let mut socket = BufReader::new(socket);
            loop {
                match wire::read(&mut socket) {
                    Ok(Some(order)) => {
                        if sender.send(order).is_err() {
                            return;
                        }
                    }
                    Ok(None) => std::process::exit(0),
                    Err(error) => {
                        tracing::error!(%error, "an order cannot be read");
                        std::process::exit(1);
                    }
                }
            }
        })?;
    Ok(orders)
}

/// Keeps the keys in this process, and allows it many connections.
fn close_to_others() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Fewer connections at one time where the system says no.
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    Ok(())
}
