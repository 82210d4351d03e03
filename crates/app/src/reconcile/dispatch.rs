//! Dispatch: queues an author job for every ready issue that nothing holds back.
//!
//! Theory: whoever makes an issue ready queues its job in the same transaction; this is the net
//! below, for issues whose blockers ended in another way, and for whatever a crash left between.

use nightshift_domain::issue::{Cause, Phase};
use nightshift_store::issue::Issue;
use nightshift_store::{issue, job, pull};

use super::Report;
use crate::change::{Context, Queued};
use crate::use_case::account::SYSTEM;
use crate::{App, Error};

const BATCH: i64 = 500;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut after = None;
    loop {
        let mut tx = app.db().read().await?;
        let rows = issue::issue_list_in_phase(&mut tx, "ready", BATCH, after).await?;
        let mut idle = Vec::new();
        for row in &rows {
            if row.state.failed.is_none()
                && job::job_list_live_of_issue(&mut tx, row.id)
                    .await?
                    .is_empty()
            {
                idle.push(row.clone());
            }
        }
        drop(tx);
        for row in idle {
            report.count("dispatch", dispatch(app, &row).await);
        }
        match rows.last() {
            Some(last) if i64::try_from(rows.len()).unwrap_or(i64::MAX) == BATCH => {
                after = Some(last.id);
            }
            _ => return Ok(report),
        }
    }
}

async fn dispatch(app: &App, seen: &Issue) -> Result<bool, Error> {
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, seen.id).await? else {
        return Ok(false);
    };
    let live = job::job_list_live_of_issue(&mut tx, row.id).await?;
    if row.state.phase != Phase::Ready || row.state.failed.is_some() || !live.is_empty() {
        return Ok(false);
    }
    let cause = match pull::pull_get(&mut tx, row.id).await? {
        None => Cause::First,
        Some(_) => Cause::Retry,
    };
    let context = Context::new(&SYSTEM, app.now());
    match app.queue_author(&mut tx, &row, cause, &context).await? {
        Queued::Yes => {}
        Queued::Stopped(failure) => {
            app.stop_author(&mut tx, row, failure, &context).await?;
        }
        // Blocked, or its tests are tried first.
        Queued::No => {
            let live = job::job_list_live_of_issue(&mut tx, row.id).await?;
            if live.is_empty() {
                return Ok(false);
            }
        }
    }
    app.commit_plain(tx).await?;
    Ok(true)
}
