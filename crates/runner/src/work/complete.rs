//! Bringing a run's end to the server, until it is acknowledged or the lease is lost.
//!
//! Invariant: sending twice is harmless, so silence is answered by sending again. An end that the
//! server refuses as such is replaced once by a failure that says so: it is seen, not lost.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::client::{CallError, Client};
use nightshift_api::operations::RunnerComplete;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{Complete, End};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::RunId;
use nightshift_domain::told::failure as say;
use tokio::time::{sleep, timeout};

use super::cut::MOST_WORDS;
use crate::supervisor::{Control, is_gone};

const PATIENCE: Duration = Duration::from_secs(20);
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// Sends the end.
pub(crate) async fn send(client: &Client, run: RunId, complete: Complete, control: &Control) {
    tokio::select! {
        biased;
        why = control.until_lost() => {
            // The last try may have arrived; if not, the server ends the lease by itself.
            tracing::warn!(%run, ?why, "the run's end was not acknowledged");
        }
        () = insist(client, run, complete) => {}
    }
}

async fn insist(client: &Client, run: RunId, mut complete: Complete) {
    let path = RunPath { run: run.0 };
    let mut pause = Duration::from_millis(200);
    let mut replaced = false;
    loop {
        let call = client.call::<RunnerComplete>(&path, &Nothing {}, &complete);
        match timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => {
                tracing::info!(%run, state = answer.state, "ended");
                return;
            }
            Ok(Err(error)) if is_gone(&error) => {
                tracing::warn!(%run, %error, "the run's end came too late");
                return;
            }
            Ok(Err(CallError::Problem(problem)))
                if matches!(problem.status, 400 | 413 | 415 | 422) =>
            {
                tracing::error!(%run, %problem, "the server refuses the run's end");
                if replaced {
                    return;
                }
                replaced = true;
                complete.end = End::Failed {
                    failure: Failure::new(
                        Reason::PublishFailed,
                        say::result_refused(problem.detail).within(MOST_WORDS),
                    ),
                };
                complete.session = None;
            }
            Ok(Err(error)) => tracing::warn!(%run, %error, "the run's end waits"),
            Err(_elapsed) => tracing::warn!(%run, "the run's end was not answered in time"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(MOST_PAUSE);
    }
}
