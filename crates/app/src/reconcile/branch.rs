//! Branches: makes issue branches and the database agree, and follows the default branch's
//! settings.
//!
//! Theory: an adopted head is in the database before it is on its branch, and a person's push is on
//! the branch before it is in the database. Whatever was interrupted is finished here. Each project
//! costs one listing of its branches; only branches that moved since the last listing are looked at
//! closely, and all of them once after a start. What was seen is remembered only to save that work.

use std::collections::HashMap;
use std::sync::PoisonError;

use nightshift_domain::git_name::{ISSUE_BRANCHES, ObjectId};
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_store::{issue, project};

use super::Report;
use crate::{App, Error};

const BATCH: i64 = 500;
/// Phases in which a branch may differ from the database. An adoption can be unfinished in the
/// first one only; the others are looked at once after a start.
const OPEN: &[&str] = &["working", "ready", "needs-input", "in-review", "landing"];

/// Issue branches as they were when they agreed with the database.
pub(crate) type Seen = HashMap<ProjectId, HashMap<Number, ObjectId>>;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut tx = app.db().read().await?;
    let projects = project::project_list(&mut tx).await?;
    drop(tx);
    let first = app.seen(|seen| seen.is_empty());
    for known in projects {
        let before = known.config_commit.clone();
        let read = app.refresh_config(known.id).await;
        report.count("settings", read.map(|now| now.config_commit != before));
        report.count("branches", moved(app, known.id).await.map(|()| false));
    }
    let phases = if first { OPEN } else { &OPEN[..1] };
    for phase in phases {
        agree(app, phase, &mut report).await?;
    }
    Ok(report)
}

/// Takes up the branches of a project that moved since they were seen last.
async fn moved(app: &App, id: ProjectId) -> Result<(), Error> {
    let repository = app.repository(id)?;
    let mut now = HashMap::new();
    for branch in repository.list_refs(ISSUE_BRANCHES).await? {
        if let Some(number) = branch.name.issue_number() {
            now.insert(number, branch.target);
        }
    }
    let before = app.seen(|seen| seen.get(&id).cloned().unwrap_or_default());
    for (number, target) in &now {
        if before.get(number) == Some(target) {
            continue;
        }
        let mut tx = app.db().read().await?;
        let row = issue::issue_by_number(&mut tx, id, *number).await?;
        drop(tx);
        if let Some(row) = row {
            app.sync_branch(row.id).await?;
        }
    }
    app.seen(|seen| seen.insert(id, now));
    Ok(())
}

/// Compares the branches of all issues in a phase: this finds branches that were never moved, or
/// are gone.
async fn agree(app: &App, phase: &str, report: &mut Report) -> Result<(), Error> {
    let mut after: Option<IssueId> = None;
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
            _ => return Ok(()),
        }
    }
}

impl App {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(
            &mut self
                .0
                .branches
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}
