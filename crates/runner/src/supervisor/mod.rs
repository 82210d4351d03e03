//! The runner's loop: claims jobs while it has a free slot, lets each run beat, and gives all back
//! when it is told to drain.
//!
//! Invariant: a run has a slot, a beat and a log from its claim to its acknowledged end; after a
//! drain began nothing is claimed. Deliberately absent: what a run does (`work`), and signals: the
//! command line turns them into the shutdown token.

mod control;
mod pulse;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nightshift_api::Nothing;
use nightshift_api::client::{CallError, Client};
use nightshift_api::operations::RunnerClaim;
use nightshift_api::runner::{ClaimRequest, WorkOrder};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use control::{Control, Halt, Lost};
pub(crate) use pulse::{Beating, is_gone};

use crate::broker::{Broker, Settings};
use crate::config::Config;
use crate::harness::{self, AgentOrder};
use crate::sandbox::{HostConfig, SandboxHost};
use crate::work::{Clock, Worker};
use crate::workspace::Workspaces;
use pulse::Pulse;

/// How often warm checkouts that nobody used are looked for.
const SWEEP: Duration = Duration::from_secs(3600);
/// The longest pause between two claims that failed.
const MOST_PAUSE: Duration = Duration::from_secs(10);
/// What a request may take beside the time the server may hold it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a runner until `shutdown` is cancelled and its runs have ended or were given back.
///
/// # Errors
/// The machine has no working sandbox, the data directory is another runner's, or the server does
/// not take this runner's token.
pub async fn run(config: Config, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    // Whoever came first has installed one already, and it is the same.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let host = SandboxHost::open(HostConfig {
        program: config.program.clone(),
        backend: config.backend.clone(),
        data: config.data.clone(),
        read_only: config.read_only.clone(),
    })
    .await?;
    for part in ["spool", "sessions"] {
        private(&config.data.join(part))?;
    }
    crate::work::sweep(&config.data.join("spool")).context("removing old log spools")?;
    tracing::info!(
        data = %config.data.display(),
        engine = host.support().engine,
        caps = host.support().caps,
        no_overlay = host.support().no_overlay,
        swept = host.support().swept,
        "the sandbox works"
    );
    let client = client(&config)?;
    // A client of its own for the heartbeat's thread: a connection belongs to the runtime that
    // opened it, and none is opened before the first beat.
    let beats = self::client(&config)?;
    let pulse = Pulse::start(move || beats, config.timing).context("starting the heartbeat")?;
    let workspaces = Arc::new(Workspaces::new(Arc::clone(&host), config.git.clone()));
    workspaces
        .clear()
        .context("removing what was left half made of set-ups")?;
    let settings = Settings {
        endpoints: config.endpoints.by_name.clone(),
        prices: config.prices.clone(),
        private: config.network.private.clone(),
    };
    let broker = Broker::start(config.broker.clone(), settings).await?;
    let worker = Arc::new(Worker::new(config, clock, client, host, workspaces, broker));
    Supervisor {
        worker,
        pulse,
        shutdown,
    }
    .run()
    .await
}

/// Makes a directory that only the runner may enter.
pub(crate) fn private(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("making {}", path.display()))
}

fn client(config: &Config) -> anyhow::Result<Client> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(PATIENCE)
        .build()
        .context("making an HTTP client")?;
    let token = config.token.expose().to_owned();
    Ok(Client::new(http, &config.server, Some(token)))
}

/// Harnesses whose program and endpoint this runner has.
fn usable(config: &Config) -> Vec<String> {
    let mut order = AgentOrder::new("", "");
    order.programs = config.programs.clone();
    harness::ALL
        .iter()
        .filter(|harness| {
            let missing = harness.plan(&order).is_err_and(|error| error.is_missing());
            let kind = serde_json::from_value(harness.name().into());
            !missing && kind.is_ok_and(|kind| config.endpoints.of(kind).is_ok())
        })
        .map(|harness| harness.name().to_owned())
        .collect()
}

struct Supervisor {
    worker: Arc<Worker>,
    pulse: Pulse,
    shutdown: CancellationToken,
}

impl Supervisor {
    async fn run(self) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(self.worker.config().slots));
        let mut runs = JoinSet::new();
        let mut controls: Vec<std::sync::Weak<Control>> = Vec::new();
        let mut pause = Duration::from_millis(200);
        let mut swept = Instant::now();
        let outcome = loop {
            let permit = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break Ok(()),
                permit = Arc::clone(&slots).acquire_owned() => permit.context("slots")?,
            };
            while runs.try_join_next().is_some() {}
            controls.retain(|control| control.strong_count() > 0);
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                self.worker.sweep();
            }
            // The lease is at least as fresh as the answer; the margin covers the way.
            let claimed = tokio::select! {
                biased;
                claimed = self.claim() => claimed,
                () = self.shutdown.cancelled() => break Ok(()),
            };
            match claimed {
                Ok(None) => pause = Duration::from_millis(200),
                Ok(Some(order)) => {
                    pause = Duration::from_millis(200);
                    let control = Arc::new(Control::default());
                    controls.push(Arc::downgrade(&control));
                    let beating = self.pulse.beat(
                        order.run,
                        order.epoch,
                        Arc::clone(&control),
                        Instant::now(),
                    );
                    let worker = Arc::clone(&self.worker);
                    runs.spawn(async move {
                        worker.carry_out(*order, control, beating).await;
                        drop(permit);
                    });
                }
                Err(CallError::Problem(problem)) if matches!(problem.status, 401 | 403) => {
                    break Err(anyhow::anyhow!(
                        "the server at {} does not take this runner's token ({}): make a new one with `nightshift token new --runner NAME`",
                        self.worker.config().server,
                        problem.detail
                    ));
                }
                Err(error) => {
                    tracing::warn!(%error, "no claim");
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.shutdown.cancelled() => break Ok(()),
                    }
                    pause = (pause * 2).min(MOST_PAUSE);
                }
            }
        };
        self.drain(&mut runs, &controls).await;
        outcome
    }

    async fn claim(&self) -> Result<Option<Box<WorkOrder>>, CallError> {
        let config = self.worker.config();
        let request = ClaimRequest {
            kinds: config.kinds.clone(),
            slots: i64::try_from(config.slots).unwrap_or(i64::MAX),
            version: config.version.clone(),
            harnesses: Some(usable(config)),
            images: self.worker.shows_images(),
            wait_s: config.timing.claim_wait.as_secs(),
        };
        let client = self.worker.client();
        let call = client.call::<RunnerClaim>(&Nothing {}, &Nothing {}, &request);
        match timeout(config.timing.claim_wait + PATIENCE, call).await {
            Ok(answer) => answer.map(|answer| answer.order),
            Err(_elapsed) => Err(CallError::Unreachable {
                server: config.server.clone(),
                cause: "no answer to a claim in time".to_owned(),
            }),
        }
    }

    /// Lets running jobs end; gives back those that do not within the grace.
    async fn drain(&self, runs: &mut JoinSet<()>, controls: &[std::sync::Weak<Control>]) {
        let timing = self.worker.config().timing;
        if runs.is_empty() {
            return;
        }
        tracing::info!(runs = runs.len(), grace = ?timing.grace, "draining");
        let all = async { while runs.join_next().await.is_some() {} };
        if timeout(timing.grace, all).await.is_ok() {
            return;
        }
        for control in controls.iter().filter_map(std::sync::Weak::upgrade) {
            control.halt(Halt::Released);
        }
        // Each run ends by itself from here: its push and its completion have limits of their own,
        // and without a server its lease is lost.
        while runs.join_next().await.is_some() {}
    }
}
