//! Retention: compresses old logs, forgets old answers, and writes down which tokens were used.
//!
//! Theory: everything kept has an end. Only what is positively known to be over is touched.

use std::collections::HashSet;
use std::time::Duration;

use nightshift_domain::id::RunId;
use nightshift_store::run::RunState;
use nightshift_store::{idempotency, project, run, token};

use super::Report;
use crate::{App, Error};

const BATCH: i64 = 50;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let now = app.now();
    let before = |span: Duration| now.checked_sub(span).unwrap_or(now);
    let mut tx = app.db().read().await?;
    let old_logs = before(app.settings().compress_logs_after);
    let old = run::run_list_log_open_ended(&mut tx, old_logs, BATCH).await?;
    drop(tx);
    for id in old {
        report.count("log", pack(app, id).await);
    }
    let mut tx = app.db().write().await?;
    let gone = idempotency::idempotency_purge(&mut tx, before(app.settings().keep_answers)).await?;
    let used = app.0.used.take();
    for (id, at) in &used {
        token::token_used(&mut tx, *id, *at).await?;
    }
    if gone > 0 || !used.is_empty() {
        tx.commit().await?;
        report.changed += 1;
    }
    Ok(report)
}

async fn pack(app: &App, id: RunId) -> Result<bool, Error> {
    app.log_pack(id).await?;
    let mut tx = app.db().write().await?;
    run::run_set_log_closed(&mut tx, id).await?;
    tx.commit().await?;
    Ok(true)
}

impl App {
    /// Upkeep of repositories: joins packs, drops start refs of runs that ended. For a slow timer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn upkeep(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        let mut tx = self.db().read().await?;
        let projects = project::project_list(&mut tx).await?;
        drop(tx);
        for known in projects {
            report.count("repository", self.upkeep_of(known.id).await);
        }
        Ok(report)
    }

    async fn upkeep_of(&self, id: nightshift_domain::id::ProjectId) -> Result<bool, Error> {
        let repository = self.repository(id)?;
        let mut ended = Vec::new();
        let mut tx = self.db().read().await?;
        let mut seen = HashSet::new();
        for one in repository.list_refs("refs/starts/").await? {
            let run_id = one
                .name
                .as_str()
                .rsplit('/')
                .next()
                .and_then(|text| text.parse().ok());
            let Some(run_id) = run_id.map(RunId).filter(|run_id| seen.insert(*run_id)) else {
                continue;
            };
            if let Some(found) = run::run_get(&mut tx, run_id).await?
                && found.state != RunState::Running
            {
                ended.push(found);
            }
        }
        drop(tx);
        for found in &ended {
            self.drop_start(found).await;
        }
        let now = std::time::SystemTime::from(self.now());
        repository.sweep(now).await?;
        repository
            .upkeep(nightshift_git::Upkeep::Quick, now)
            .await?;
        Ok(true)
    }
}
