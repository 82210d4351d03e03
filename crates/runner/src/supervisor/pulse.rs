//! The heartbeat of every live run, on a thread and a runtime of its own, so that no amount of
//! work can starve it.
//!
//! Invariant: a run whose server has not acknowledged a beat for [`Timing::cut_off`] is lost here
//! before the server gives its job to another runner; the time counts from when the acknowledged
//! beat was *sent*. A beat that is refused (409, or the run is unknown) loses the run at once; any
//! other failure only means "not known". Deliberately absent: the work itself.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nightshift_api::Nothing;
use nightshift_api::client::{CallError, Client};
use nightshift_api::operations::RunnerHeartbeat;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{Heartbeat, HeartbeatAnswer};
use nightshift_domain::id::{Epoch, RunId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::{sleep_until, timeout_at};

use super::control::{Control, Halt, Lost};
use crate::config::Timing;

/// The thread that beats. Dropped, it ends with the last run that still beats.
#[derive(Debug)]
pub(crate) struct Pulse {
    runs: mpsc::UnboundedSender<Beat>,
}

/// A run beats until this is dropped.
#[derive(Debug)]
pub(crate) struct Beating {
    _done: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Beat {
    run: RunId,
    epoch: Epoch,
    control: Arc<Control>,
    begun: Instant,
    done: oneshot::Receiver<()>,
}

impl Pulse {
    /// Starts the thread. `client` makes the client inside of it, since a client's connections
    /// belong to the runtime that opened them.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        client: impl FnOnce() -> Client + Send + 'static,
        timing: Timing,
    ) -> std::io::Result<Self> {
        let (runs, mut orders) = mpsc::unbounded_channel::<Beat>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _detached = thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || {
                let client = client();
                let local = LocalSet::new();
                local.spawn_local(async move {
                    while let Some(beat) = orders.recv().await {
                        tokio::task::spawn_local(keep(client.clone(), timing, beat));
                    }
                });
                runtime.block_on(local);
            })?;
        Ok(Self { runs })
    }

    /// Beats for a run from now on. `begun` is when its lease was last known to be fresh.
    #[must_use]
    pub(crate) fn beat(
        &self,
        run: RunId,
        epoch: Epoch,
        control: Arc<Control>,
        begun: Instant,
    ) -> Beating {
        let (sender, done) = oneshot::channel();
        let beat = Beat {
            run,
            epoch,
            control,
            begun,
            done,
        };
        if let Err(refused) = self.runs.send(beat) {
            // The thread is gone: without beats there is no lease.
            refused.0.control.lose(Lost::Silent);
        }
        Beating { _done: sender }
    }
}

async fn keep(client: Client, timing: Timing, mut beat: Beat) {
    let control = Arc::clone(&beat.control);
    tokio::select! {
        biased;
        _ = &mut beat.done => {}
        why = lease(&client, timing, &beat.control, beat.run, beat.epoch, beat.begun) => {
            tracing::warn!(run = %beat.run, ?why, "the run is lost: its sandbox is killed");
            control.lose(why);
        }
    }
}

/// Beats until the lease is lost.
async fn lease(
    client: &Client,
    timing: Timing,
    control: &Control,
    run: RunId,
    epoch: Epoch,
    begun: Instant,
) -> Lost {
    let path = RunPath { run: run.0 };
    let mut acknowledged = begun;
    // The first one soon: it tells the server that the order arrived.
    let mut next = begun + timing.heartbeat / 10;
    loop {
        let cut_off = acknowledged + timing.cut_off;
        sleep_until(next.min(cut_off).into()).await;
        let sent = Instant::now();
        if sent >= cut_off {
            return Lost::Silent;
        }
        let until = cut_off.min(sent + timing.heartbeat);
        let beat = Heartbeat {
            epoch,
            handed: control.handed(),
            usage: control.used(),
        };
        let call = client.call::<RunnerHeartbeat>(&path, &Nothing {}, &beat);
        match timeout_at(until.into(), call).await {
            Ok(Ok(HeartbeatAnswer { stop, steers, .. })) => {
                acknowledged = sent;
                control.say(steers);
                next = sent + timing.heartbeat;
                if stop {
                    control.halt(Halt::Stopped);
                }
            }
            Ok(Err(error)) if is_gone(&error) => return Lost::Stale,
            Ok(Err(error)) => {
                tracing::warn!(%run, %error, "a heartbeat was not acknowledged");
                next = Instant::now() + timing.heartbeat / 5;
            }
            Err(_elapsed) => {
                tracing::warn!(%run, "a heartbeat was not answered in time");
                next = Instant::now();
            }
        }
    }
}

/// Whether the server says that the run is not ours any more, as opposed to saying nothing, or that
/// two requests met.
#[must_use]
pub(crate) fn is_gone(error: &CallError) -> bool {
    match error {
        CallError::Problem(problem) => match problem.status {
            404 | 410 => true,
            409 => error.kind() != Some("conflict"),
            _ => false,
        },
        CallError::Unreachable { .. } | CallError::Strange { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_api::Problem;

    #[test]
    fn only_a_clear_word_of_the_server_loses_a_run() {
        let said = |status, kind: &str| {
            is_gone(&CallError::Problem(Box::new(Problem {
                kind: format!("/problems/{kind}"),
                title: String::new(),
                status,
                detail: String::new(),
                errors: Vec::new(),
                request_id: None,
            })))
        };
        assert!(said(409, "stale-epoch") && said(409, "refused") && said(404, "not-found"));
        assert!(!said(409, "conflict") && !said(401, "unauthenticated"));
        assert!(!said(500, "internal") && !said(503, "unavailable") && !said(429, "too-many"));
        assert!(!is_gone(&CallError::Unreachable {
            server: String::new(),
            cause: String::new(),
        }));
    }
}
