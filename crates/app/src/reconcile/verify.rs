//! Verify: every working issue whose head has no verdict has a verify job.
//!
//! Theory: adoption queues the job in its own transaction; this is the net below. An issue is
//! `working` with a head, no live job and no verdict only if something was interrupted.

use nightshift_domain::issue::Phase;
use nightshift_domain::job::Kind;
use nightshift_store::issue::Issue;
use nightshift_store::{issue, job, pull, verdict};

use super::Report;
use crate::change::{Context, Order};
use crate::use_case::account::SYSTEM;
use crate::{App, Error};

const BATCH: i64 = 500;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut after = None;
    loop {
        let mut tx = app.db().read().await?;
        let rows = issue::issue_list_in_phase(&mut tx, "working", BATCH, after).await?;
        let mut idle = Vec::new();
        for row in &rows {
            if job::job_list_live_of_issue(&mut tx, row.id)
                .await?
                .is_empty()
            {
                idle.push(row.clone());
            }
        }
        drop(tx);
        for row in idle {
            report.count("verify", queue(app, &row).await);
        }
        match rows.last() {
            Some(last) if i64::try_from(rows.len()).unwrap_or(i64::MAX) == BATCH => {
                after = Some(last.id);
            }
            _ => return Ok(report),
        }
    }
}

async fn queue(app: &App, seen: &Issue) -> Result<bool, Error> {
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, seen.id).await? else {
        return Ok(false);
    };
    let idle = job::job_list_live_of_issue(&mut tx, row.id)
        .await?
        .is_empty();
    if row.state.phase != Phase::Working || !idle {
        return Ok(false);
    }
    let Some(known) = pull::pull_get(&mut tx, row.id).await? else {
        return Ok(false);
    };
    if verdict::verdict_of(&mut tx, row.id, &known.head)
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let context = Context::new(&SYSTEM, app.now());
    let order = Order::Verify {
        head: known.head,
        asked: None,
    };
    app.queue_job(&mut tx, &row, Kind::Verify, &order, &context)
        .await?;
    app.commit_plain(tx).await?;
    Ok(true)
}
