//! Branches: makes issue branches and the database agree, and follows the default branch's
//! settings.
//!
//! Theory: an adopted head is in the database before it is on its branch, and a person's push is on
//! the branch before it is in the database. Whatever was interrupted is finished here.

use nightshift_store::{issue, project};

use super::Report;
use crate::{App, Error};

const BATCH: i64 = 500;
/// Phases in which a branch may differ from the database.
const OPEN: [&str; 5] = ["ready", "working", "needs-input", "in-review", "landing"];

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut tx = app.db().read().await?;
    let projects = project::project_list(&mut tx).await?;
    drop(tx);
    for known in projects {
        let before = known.config_commit.clone();
        let read = app.refresh_config(known.id).await;
        report.count("settings", read.map(|now| now.config_commit != before));
    }
    for phase in OPEN {
        let mut after = None;
        loop {
            let mut tx = app.db().read().await?;
            let rows = issue::issue_list_in_phase(&mut tx, phase, BATCH, after).await?;
            drop(tx);
            for row in &rows {
                report.count("branch", app.sync_branch(row.id).await.map(|()| false));
            }
            match rows.last() {
                Some(last) if i64::try_from(rows.len()).unwrap_or(i64::MAX) == BATCH => {
                    after = Some(last.id);
                }
                _ => break,
            }
        }
    }
    Ok(report)
}
