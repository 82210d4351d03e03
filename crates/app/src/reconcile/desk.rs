//! The desk: weighs anew what is stale, and measures changes that were not measured yet.
//!
//! Theory: a standing is written with the state it follows from; it is stale when what it depends
//! on changed elsewhere (issues that wait for it), when git was not asked yet, or when an older
//! program wrote the row. A change that git cannot measure stays on the desk without a size.

use nightshift_domain::id::IssueId;
use nightshift_domain::size::Size;
use nightshift_store::standing::Standing;
use nightshift_store::{issue, pull, pull_head, standing};

use super::Report;
use crate::{App, Error, findings};

const BATCH: i64 = 100;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut tx = app.db().read().await?;
    let stale = standing::standing_list_stale(&mut tx, BATCH).await?;
    drop(tx);
    for one in stale {
        let measured = measure(app, one.issue).await;
        let unknown = measured.is_err();
        report.count("size of a change", measured);
        report.count("standing", weigh(app, &one, unknown).await);
    }
    Ok(report)
}

/// Asks git for the size of the current head, if nobody has.
async fn measure(app: &App, id: IssueId) -> Result<bool, Error> {
    let mut tx = app.db().read().await?;
    let Some(known) = pull::pull_get(&mut tx, id).await? else {
        return Ok(false);
    };
    let size = pull_head::head_size(&mut tx, id, &known.head).await?;
    drop(tx);
    if size.is_some() {
        return Ok(false);
    }
    let repository = app.repository(known.project)?;
    let size: Size = findings::size(&repository, &known.base, &known.head).await?;
    let mut tx = app.db().write().await?;
    pull_head::head_measure(&mut tx, id, &known.head, &size).await?;
    tx.commit().await?;
    Ok(true)
}

async fn weigh(app: &App, stale: &Standing, unknown: bool) -> Result<bool, Error> {
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, stale.issue).await? else {
        standing::standing_remove(&mut tx, stale.issue).await?;
        tx.commit().await?;
        return Ok(true);
    };
    app.stand(&mut tx, &row).await?;
    if unknown {
        // Not asked again until the change has another head.
        standing::standing_settle(&mut tx, stale.issue).await?;
    }
    tx.commit().await?;
    Ok(true)
}
