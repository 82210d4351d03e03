//! Lease sweep: takes jobs back whose runner fell silent.
//!
//! Theory: a lease that is not renewed for its time to live belongs to nobody. The sweep only
//! proposes; the transaction looks again, so a heartbeat that arrives meanwhile wins.

use nightshift_store::job;

use super::Report;
use crate::{App, Error};

const BATCH: i64 = 200;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut tx = app.db().read().await?;
    let expired = job::job_list_expired(&mut tx, app.now(), BATCH).await?;
    drop(tx);
    let mut report = Report::default();
    for id in expired {
        report.count("lease", app.expire(id).await);
    }
    Ok(report)
}
