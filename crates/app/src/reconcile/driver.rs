//! Drives the reconcilers: woken by signals and by a timer, until told to stop.

use std::future::Future;
use std::time::Duration;

use super::deliver::Target;
use crate::{App, Error};

/// How often everything is looked at without any signal.
pub const EVERY: Duration = Duration::from_secs(5);
/// How often repositories are kept in shape.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the data is measured.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Runs the reconcilers until `stop` resolves. The caller decides on which task.
pub async fn run(app: App, stop: impl Future<Output = ()>) {
    let mut timer = tokio::time::interval(EVERY);
    let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
    upkeep.reset();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = app.signals().reconcile().notified() => {}
            _ = timer.tick() => {}
            _ = upkeep.tick() => log("upkeep", app.upkeep().await.map(drop)),
        }
        log("tick", app.tick().await.map(drop));
    }
}

/// Brings events to targets until `stop` resolves: a task of its own, since a target that does not
/// answer must delay nothing else.
pub async fn deliver(app: App, targets: Vec<Box<dyn Target>>, stop: impl Future<Output = ()>) {
    let mut timer = tokio::time::interval(EVERY);
    let mut bell = app.signals().events();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = bell.recv() => {}
            _ = timer.tick() => {}
        }
        loop {
            match app.deliver(&targets).await {
                Ok(report) if report.changed > 0 => {}
                outcome => {
                    log("deliver", outcome.map(drop));
                    break;
                }
            }
        }
    }
}

/// Measures how much room the data takes, until `stop` resolves: a task of its own, since a walk
/// through many files takes long.
pub async fn measure(app: App, stop: impl Future<Output = ()>) {
    let mut timer = tokio::time::interval(MEASURE_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = timer.tick() => {}
        }
        log("storage", app.storage_measure().await);
    }
}

fn log(what: &str, outcome: Result<(), Error>) {
    match outcome {
        Ok(()) => {}
        Err(Error::Internal(cause)) => {
            tracing::error!(
                what,
                cause = cause.for_log(),
                "a reconciler failed; it will run again"
            );
        }
        Err(error) => tracing::warn!(what, %error, "a reconciler failed; it will run again"),
    }
}
