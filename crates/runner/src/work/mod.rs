//! One run, from its order to its acknowledged end.
//!
//! Invariant: every run ends in exactly one [`Complete`] that is sent until it is acknowledged or
//! the lease is lost, after its log has arrived whole; whatever a run's parts say, the end is made
//! of facts: exit codes seen from outside, refs read back. Deliberately absent: judging (the
//! server's business), and claiming.

mod agent;
mod author;
mod bench;
mod cache;
mod check;
mod complete;
mod cut;
mod image;
mod install;
mod log;
mod program;
mod proof;
mod publish;
mod seal;
mod session;
mod step;
mod usage;
mod ways;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightshift_api::client::Client;
use nightshift_api::runner::{Complete, End, WorkOrder};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::{self, Usage};
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::config::Config;
use crate::sandbox::SandboxHost;
use crate::supervisor::{Beating, Control};
use crate::workspace::Workspaces;
pub(crate) use check::ACCEPTANCE;
pub(crate) use log::RunLog;
pub(crate) use log::sweep;

/// Tells the time; given by the composition root.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What all runs share.
pub(crate) struct Worker {
    config: Config,
    clock: Clock,
    client: Client,
    host: Arc<SandboxHost>,
    workspaces: Arc<Workspaces>,
    broker: Broker,
    setups: cache::Turns,
}

/// One run's own things.
pub(crate) struct Task {
    worker: Arc<Worker>,
    order: WorkOrder,
    control: Arc<Control>,
    log: Arc<RunLog>,
    /// When its wall clock ends.
    deadline: Instant,
}

/// How a run ended, with what is known besides.
#[derive(Debug)]
pub(crate) struct Ended {
    end: End,
    usage: Option<Usage>,
    session: Option<nightshift_api::runner::SessionState>,
    attempt: Option<ObjectId>,
    traffic: Option<Traffic>,
}

impl Worker {
    pub(crate) fn new(
        config: Config,
        clock: Clock,
        client: Client,
        host: Arc<SandboxHost>,
        workspaces: Arc<Workspaces>,
        broker: Broker,
    ) -> Self {
        Self {
            config,
            clock,
            client,
            host,
            workspaces,
            broker,
            setups: cache::Turns::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether runs can see the system of an image that their project names.
    pub(crate) fn shows_images(&self) -> bool {
        self.host.support().no_images.is_none()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Removes warm checkouts that nobody used for long.
    pub(crate) fn sweep(self: &Arc<Self>) {
        let worker = Arc::clone(self);
        let now = (self.clock)().into();
        let _detached = tokio::task::spawn_blocking(move || {
            if let Err(error) = worker.workspaces.sweep(now) {
                tracing::warn!(%error, "warm checkouts could not be swept");
            }
        });
    }

    /// Carries out an order. Returns when its end is acknowledged or its lease is lost; the run
    /// beats until then.
    pub(crate) async fn carry_out(
        self: Arc<Self>,
        order: WorkOrder,
        control: Arc<Control>,
        beating: Beating,
    ) {
        let (run, epoch) = (order.run, order.epoch);
        tracing::info!(%run, kind = order.kind.as_str(), project = order.project, number = order.number, "claimed");
        let upload = RunLog::begin(
            &self.config.data.join("spool"),
            self.client.clone(),
            &order,
            Arc::clone(&self.clock),
            Arc::clone(&control),
        );
        let ended = match &upload {
            Ok(upload) => {
                let task = Task {
                    worker: Arc::clone(&self),
                    deadline: Instant::now() + wall(&order),
                    order,
                    control: Arc::clone(&control),
                    log: Arc::clone(upload.log()),
                };
                // In a task of its own, so that a panic is this run's failure and nothing else's.
                let mut alone = JoinSet::new();
                alone.spawn(task.run());
                match alone.join_next().await {
                    None => None,
                    Some(Ok(ended)) => ended,
                    Some(Err(panic)) => {
                        tracing::error!(%run, %panic, "a run's task broke");
                        Some(Ended::failed(Reason::RunnerLost, say::runner_broke()))
                    }
                }
            }
            Err(error) => Some(Ended::failed(
                Reason::WorkspaceFailed,
                say::log_unwritten(error.to_string()),
            )),
        };
        if let Ok(upload) = upload
            && let Err(why) = upload.finish().await
        {
            tracing::warn!(%run, ?why, "the log did not arrive whole: the run is lost");
        }
        if let Some(ended) = ended {
            let complete = Complete {
                epoch,
                end: ended.end,
                usage: ended.usage,
                session: ended.session,
                attempt: ended.attempt,
                handed: control.handed(),
                traffic: ended.traffic,
            };
            complete::send(&self.client, run, complete, &control).await;
        }
        drop(beating);
    }
}

fn wall(order: &WorkOrder) -> Duration {
    let agent = order.author.as_ref().map(|author| author.agent.timeout_s);
    let seconds = match agent {
        Some(seconds) if seconds > 0 => seconds.min(order.limits.wall_s),
        Some(_) | None => order.limits.wall_s,
    };
    // A month: what does not end by then was meant not to.
    Duration::from_secs(seconds.min(31 * 24 * 3600))
}

impl Task {
    /// The run's end; `None` when it is lost.
    async fn run(self) -> Option<Ended> {
        match self.order.kind {
            Kind::Author => author::run(&self).await,
            Kind::Verify | Kind::Trial => proof::run(&self).await,
            Kind::Tryout => proof::try_out(&self).await,
        }
    }

    /// What is left of the wall clock.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn say(&self, step: transcript::Step, text: impl Into<String>) {
        self.log.status(step, text);
    }
}

impl Ended {
    fn of(end: End) -> Self {
        Self {
            end,
            usage: None,
            session: None,
            attempt: None,
            traffic: None,
        }
    }

    fn failed(reason: Reason, said: Sentence) -> Self {
        Self::of(End::Failed {
            failure: Failure::new(reason, said),
        })
    }
}
