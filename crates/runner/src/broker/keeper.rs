//! The runner's side: starts the broker, hands it what each run may reach, and starts it again.
//!
//! The theory: one task owns the process and knows every room that is open. Where the process ends,
//! or does not answer for three seconds (it is killed then), every room is told that it is lost, the
//! broker is started again at once, and the rooms are opened anew with what they had used: what a lost
//! run has can still be pushed. Invariants: a room's counts never fall; a broker that hangs is dead
//! within four seconds, so that a caller inside has an answer within five. Deliberately absent: keys.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::Settings;
use super::room::{MODEL, NETWORK, PLATFORM};
use super::usage::Dialect;
use super::wire::{self, Event, Order, Report, RoomSpec, Ways, Word};
use crate::sandbox::spec::{MODEL_PORT, PLATFORM_PORT, PROXY_PORT};
use crate::sandbox::{Relay, RunDir, SandboxHost};

/// How often the broker is asked whether it is alive.
const PING: Duration = Duration::from_millis(500);
/// How long it may be silent.
const SILENCE: Duration = Duration::from_secs(3);
/// How long its start may take.
const START: Duration = Duration::from_secs(20);
/// How long an answer to a question about a room may take, a restart included.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest pause between two starts that failed.
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// How the broker is started: our own program with these arguments.
#[derive(Debug, Clone)]
pub struct BrokerProgram {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker does not start.
    #[error("the broker does not start: {0}")]
    Start(String),
    /// It does not take the settings.
    #[error("{0}")]
    Settings(String),
    /// A room cannot be opened.
    #[error("the run has no way out: {0}")]
    Room(String),
}

/// Hears what cannot wait about one room.
pub type Lever = Box<dyn Fn(Event) + Send + Sync>;

/// The broker of a runner. It ends when this is dropped.
#[derive(Debug, Clone)]
pub struct Broker {
    asks: mpsc::UnboundedSender<Ask>,
    pid: Arc<AtomicU32>,
}

/// The ways out of one run, open as long as this lives.
pub struct Room {
    run: String,
    relays: Vec<Relay>,
    tokens: Vec<(Dialect, String)>,
    report: Arc<Mutex<Report>>,
    asks: mpsc::UnboundedSender<Ask>,
    open: bool,
}

enum Ask {
    Open {
        run: String,
        kept: Box<Kept>,
    },
    Close {
        run: String,
        answer: Option<oneshot::Sender<()>>,
    },
    Tell {
        run: String,
        answer: oneshot::Sender<()>,
    },
}

/// What is known of an open room.
struct Kept {
    spec: RoomSpec,
    lever: Lever,
    report: Arc<Mutex<Report>>,
    opening: Option<oneshot::Sender<Result<(), String>>>,
    asked: Vec<oneshot::Sender<()>>,
}

impl Broker {
    /// Starts the broker; returns when it has taken the settings.
    ///
    /// # Errors
    /// The program does not start, or a setting is wrong: a key that is not there, an address that
    /// is none.
    pub async fn start(program: BrokerProgram, settings: Settings) -> Result<Self, BrokerError> {
        let first = Process::start(&program, &settings).await?;
        let (asks, orders) = mpsc::unbounded_channel();
        let pid = Arc::new(AtomicU32::new(0));
        let keeper = Keeper {
            program,
            settings,
            asks: orders,
            rooms: HashMap::new(),
            pid: Arc::clone(&pid),
        };
        keeper.note(&first);
        let _detached = tokio::spawn(keeper.keep(first));
        Ok(Self { asks, pid })
    }

    /// The process, for whoever looks at the machine.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Opens the ways out of a run. `lever` hears what cannot wait.
    ///
    /// # Errors
    /// The broker does not open the run's sockets, or does not answer.
    pub async fn open(
        &self,
        host: &SandboxHost,
        run: &RunDir,
        mut ways: Ways,
        lever: Lever,
    ) -> Result<Room, BrokerError> {
        let mut tokens = Vec::new();
        for route in ways.models.iter_mut().flat_map(|models| &mut models.routes) {
            route.token = token()?;
            tokens.push((route.dialect, route.token.clone()));
        }
        let name = run.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let relay = |port, socket: &str| Relay {
            port,
            socket: socket.to_owned(),
        };
        let relays = [
            ways.platform
                .is_some()
                .then(|| relay(PLATFORM_PORT, PLATFORM)),
            ways.models.is_some().then(|| relay(MODEL_PORT, MODEL)),
            ways.network.is_some().then(|| relay(PROXY_PORT, NETWORK)),
        ];
        let report = Arc::new(Mutex::new(Report::default()));
        let (opening, opened) = oneshot::channel();
        let kept = Box::new(Kept {
            spec: RoomSpec {
                directory: run.path().join("sockets"),
                owner: host.owner(),
                ways,
                before: Report::default(),
            },
            lever,
            report: Arc::clone(&report),
            opening: Some(opening),
            asked: Vec::new(),
        });
        let room = Room {
            run: name.clone(),
            relays: relays.into_iter().flatten().collect(),
            tokens,
            report,
            asks: self.asks.clone(),
            open: true,
        };
        let gone = || BrokerError::Room("the broker is gone".to_owned());
        self.asks
            .send(Ask::Open { run: name, kept })
            .map_err(|_| gone())?;
        match timeout(ANSWER, opened).await {
            Ok(Ok(Ok(()))) => Ok(room),
            Ok(Ok(Err(why))) => Err(BrokerError::Room(why)),
            Ok(Err(_)) => Err(gone()),
            Err(_elapsed) => Err(BrokerError::Room("the broker does not answer".to_owned())),
        }
    }
}

impl Room {
    /// The relays that the run's sandboxes need.
    #[must_use]
    pub fn relays(&self) -> Vec<Relay> {
        self.relays.clone()
    }

    /// What stands in the sandbox for the key of this route, if the run has it.
    #[must_use]
    pub fn token(&self, dialect: Dialect) -> Option<&str> {
        let found = self.tokens.iter().find(|(of, _)| *of == dialect);
        found.map(|(_, token)| token.as_str())
    }

    /// What went through so far. The last that is known, where the broker does not answer.
    pub async fn report(&self) -> Report {
        let (answer, answered) = oneshot::channel();
        let run = self.run.clone();
        if self.asks.send(Ask::Tell { run, answer }).is_ok() {
            timeout(ANSWER, answered).await.ok();
        }
        read(&self.report)
    }

    /// Cuts every connection; returns what went through.
    pub async fn close(mut self) -> Report {
        self.open = false;
        let (answer, answered) = oneshot::channel();
        let (run, answer) = (self.run.clone(), Some(answer));
        if self.asks.send(Ask::Close { run, answer }).is_ok() {
            timeout(ANSWER, answered).await.ok();
        }
        read(&self.report)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.open {
            let run = self.run.clone();
            // Without a keeper there is no broker either.
            self.asks.send(Ask::Close { run, answer: None }).ok();
        }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, run) = match self {
            Self::Open { run, .. } => ("open", run),
            Self::Close { run, .. } => ("close", run),
            Self::Tell { run, .. } => ("tell", run),
        };
        write!(f, "{what} {run}")
    }
}

/// A secret that is worth one route of one run.
fn token() -> Result<String, BrokerError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| BrokerError::Room(error.to_string()))?;
    Ok(format!("nsr-{}", hex::encode(bytes)))
}

fn read(report: &Mutex<Report>) -> Report {
    report
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// The task that owns the process.
struct Keeper {
    program: BrokerProgram,
    settings: Settings,
    asks: mpsc::UnboundedReceiver<Ask>,
    rooms: HashMap<String, Kept>,
    pid: Arc<AtomicU32>,
}

impl Keeper {
    fn note(&self, process: &Process) {
        let pid = process.child.id().unwrap_or_default();
        tracing::info!(pid, "the broker works");
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Keeps a broker alive until nobody needs it any more.
    async fn keep(mut self, first: Process) {
        let mut process = first;
        let mut pause = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let Some(how) = self.serve(&mut process).await else {
                return;
            };
            process.end().await;
            tracing::error!(
                how,
                rooms = self.rooms.len(),
                "the broker is lost and is started again"
            );
            for kept in self.rooms.values_mut() {
                kept.spec.before = read(&kept.report);
                // What is asked of a dead broker is answered with what is known.
                kept.asked.clear();
                (kept.lever)(Event::Lost { how: how.clone() });
            }
            if begun.elapsed() > Duration::from_secs(10) {
                pause = Duration::ZERO;
            }
            process = loop {
                sleep(pause).await;
                pause = (pause * 2).clamp(Duration::from_millis(200), MOST_PAUSE);
                match Process::start(&self.program, &self.settings).await {
                    Ok(process) => break process,
                    Err(error) => tracing::error!(%error, "no broker"),
                }
                if self.asks.is_closed() && self.asks.is_empty() {
                    return;
                }
            };
            self.note(&process);
            for (run, kept) in &self.rooms {
                let (run, room) = (run.clone(), Box::new(kept.spec.clone()));
                process.order(Order::Open { run, room });
            }
        }
    }

    /// Serves until the process is lost, and says how; `None` when nobody needs it any more.
    async fn serve(&mut self, process: &mut Process) -> Option<String> {
        let mut heard = Instant::now();
        let mut silent = 0;
        let mut number = 0;
        let mut ticks = tokio::time::interval(PING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                word = process.words.recv() => match word {
                    Some(word) => {
                        (heard, silent) = (Instant::now(), 0);
                        self.hear(word);
                    }
                    None => {
                        let status = timeout(SILENCE, process.child.wait()).await;
                        return Some(match status {
                            Ok(Ok(status)) => format!("it ended ({status})"),
                            Ok(Err(_)) | Err(_) => "it closed its socket".to_owned(),
                        });
                    }
                },
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.ask(ask, process),
                    None => return None,
                },
                _ = ticks.tick() => {
                    // Twice, so that a machine that slept is not taken for a broker that hangs.
                    silent = if heard.elapsed() > SILENCE { silent + 1 } else { 0 };
                    if silent > 1 {
                        return Some("it did not answer for seconds and was killed".to_owned());
                    }
                    number += 1;
                    process.order(Order::Ping { number });
                }
            }
        }
    }

    fn ask(&mut self, ask: Ask, process: &Process) {
        match ask {
            Ask::Open { run, kept } => {
                let room = Box::new(kept.spec.clone());
                self.rooms.insert(run.clone(), *kept);
                process.order(Order::Open { run, room });
            }
            Ask::Tell { run, answer } => {
                // Dropped where there is no such room: then the last that is known is all.
                if let Some(kept) = self.rooms.get_mut(&run) {
                    kept.asked.push(answer);
                    process.order(Order::Tell { run });
                }
            }
            Ask::Close { run, answer } => {
                if let Some(kept) = self.rooms.get_mut(&run) {
                    kept.asked.extend(answer);
                    process.order(Order::Close { run });
                }
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Ready | Word::Refused { .. } | Word::Pong { .. } => {}
            Word::Opened { run, error } => {
                let opening = self
                    .rooms
                    .get_mut(&run)
                    .and_then(|kept| kept.opening.take());
                let failed = error.is_some();
                match (opening, error) {
                    (Some(opening), error) => {
                        // Whoever asked may have gone away; its room is closed by its own drop.
                        opening.send(error.map_or(Ok(()), Err)).ok();
                    }
                    (None, Some(error)) => tracing::error!(run, error, "a room is not open again"),
                    (None, None) => {}
                }
                if failed {
                    self.rooms.remove(&run);
                }
            }
            Word::Report {
                run,
                report,
                asked,
                closed,
            } => {
                if let Some(kept) = self.rooms.get_mut(&run) {
                    if let Some(report) = report {
                        *kept.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
                    }
                    // What was said by itself may be older than the question.
                    if asked {
                        kept.asked.clear();
                    }
                }
                if closed {
                    self.rooms.remove(&run);
                }
            }
            Word::Told { run, event } => {
                if let Some(kept) = self.rooms.get(&run) {
                    (kept.lever)(event);
                }
            }
        }
    }
}

/// A broker that runs.
struct Process {
    child: Child,
    orders: blocking::Sender<Order>,
    words: mpsc::UnboundedReceiver<Word>,
}

impl Process {
    async fn start(program: &BrokerProgram, settings: &Settings) -> Result<Self, BrokerError> {
        let failed =
            |error: io::Error| BrokerError::Start(format!("{}: {error}", program.path.display()));
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let child = spawn(program, theirs).map_err(failed)?;
        let orders = speaker(ours.try_clone().map_err(failed)?).map_err(failed)?;
        let words = listener(ours).map_err(failed)?;
        let mut process = Self {
            child,
            orders,
            words,
        };
        process.order(Order::Begin {
            settings: settings.clone(),
        });
        match timeout(START, process.words.recv()).await {
            Ok(Some(Word::Ready)) => Ok(process),
            Ok(Some(Word::Refused { why })) => Err(BrokerError::Settings(why)),
            Ok(Some(_)) => Err(BrokerError::Start("it said something else".to_owned())),
            Ok(None) => {
                let status = process.child.wait().await;
                let how =
                    status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(BrokerError::Start(format!(
                    "it ended ({how}); its log says why"
                )))
            }
            Err(_elapsed) => Err(BrokerError::Start("it did not answer".to_owned())),
        }
    }

    fn order(&self, order: Order) {
        // A process that is gone is noticed where its words are read.
        self.orders.send(order).ok();
    }

    /// Ends it. It has no work that could not be cut.
    async fn end(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::debug!(%error, "the broker was gone already");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the broker is started; it reads the keys from its environment"
)]
fn spawn(program: &BrokerProgram, theirs: UnixStream) -> io::Result<Child> {
    Command::new(&program.path)
        .args(&program.args)
        .env_remove("NIGHTSHIFT_RUNNER_TOKEN")
        .env_remove("NIGHTSHIFT_TOKEN")
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // A key press in the runner's terminal is for the runner; this process ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// A thread that writes, so that a broker that does not read stops nothing here.
fn speaker(mut socket: UnixStream) -> io::Result<blocking::Sender<Order>> {
    let (sender, orders) = blocking::channel();
    let _detached = thread::Builder::new()
        .name("broker-orders".to_owned())
        .spawn(move || {
            for order in orders {
                if wire::write(&mut socket, &order).is_err() {
                    return;
                }
            }
            // Nobody has an order any more; what is written is read still.
            socket.shutdown(std::net::Shutdown::Write).ok();
        })?;
    Ok(sender)
}

/// A thread that reads until the broker is gone.
fn listener(socket: UnixStream) -> io::Result<mpsc::UnboundedReceiver<Word>> {
    let (sender, words) = mpsc::unbounded_channel();
    let _detached = thread::Builder::new()
        .name("broker-words".to_owned())
        .spawn(move || {
            let mut socket = BufReader::new(socket);
            while let Ok(Some(word)) = wire::read(&mut socket) {
                if sender.send(word).is_err() {
                    return;
                }
            }
        })?;
    Ok(words)
}
