//! The desk: weighs anew what is stale, and measures changes that were not measured yet.
//!
//! Theory: a standing is written with the state it follows from; it is stale when what it depends
//! on changed elsewhere (issues that wait for it), when git was not asked yet, or when an older
//! program wrote the row. A change that git cannot measure stays on the desk without a size.

use nightshift_domain::size::Size;
use nightshift_store::pull::Pull;
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
        let weighed = weigh(app, &one, &mut report).await;
        report.count("standing", weighed);
    }
    Ok(report)
}

/// Asks git for the size of the current head, if nobody has. Whether it is known now: git is not
/// asked again for what it could not measure.
async fn measure(app: &App, known: &Pull, report: &mut Report) -> Result<bool, Error> {
    let mut tx = app.db().read().await?;
    let size = pull_head::head_size(&mut tx, known.issue, &known.head).await?;
    drop(tx);
    if size.is_some() {
        return Ok(true);
    }
    let repository = app.repository(known.project)?;
    let size: Size = match findings::size(&repository, &known.base, &known.head).await {
        Ok(size) => size,
        Err(error) => {
            report.count("size of a change", Err(error));
            return Ok(false);
        }
    };
    let mut tx = app.db().write().await?;
    pull_head::head_measure(&mut tx, known.issue, &known.head, &size).await?;
    tx.commit().await?;
    report.count("size of a change", Ok(true));
    Ok(true)
}

async fn weigh(app: &App, stale: &Standing, report: &mut Report) -> Result<bool, Error> {
    let mut tx = app.db().read().await?;
    let known = pull::pull_get(&mut tx, stale.issue).await?;
    drop(tx);
    let measured = match &known {
        // Where the database fails, the row stays stale and is looked at again.
        Some(known) => measure(app, known, report).await?,
        None => true,
    };
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, stale.issue).await? else {
        standing::standing_remove(&mut tx, stale.issue).await?;
        tx.commit().await?;
        return Ok(true);
    };
    app.stand(&mut tx, &row).await?;
    if !measured {
        standing::standing_settle(&mut tx, stale.issue).await?;
    }
    tx.commit().await?;
    Ok(true)
}
