//! Answers: what issues ask a person for, and the project's settings give by now.
//!
//! Theory: a host that a run was refused, or a value that it lacked, stands as a question until
//! somebody decides. Who brings the host onto the list or takes the secret off the settings by a push,
//! a form or a change that lands has decided as well, and nobody is asked the same thing twice. What
//! counts is what the settings say, not how they came to say it; so it is looked at, and not told.

use nightshift_domain::failure::Reason;
use nightshift_store::{host_ask, issue};

use super::Report;
use crate::{App, Error};

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut tx = app.db().read().await?;
    let asked = host_ask::host_ask_issues_open(&mut tx).await?;
    let lacking = issue::issue_projects_failed(&mut tx, Reason::SecretMissing).await?;
    drop(tx);
    for of_project in asked.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((project, _)) = of_project.first() else {
            continue;
        };
        let home = match app.refresh_config(*project).await {
            Ok(home) => home,
            Err(error) => {
                report.count("hosts of a project", Err(error));
                continue;
            }
        };
        for (_, id) in of_project {
            report.count("hosts of an issue", app.hosts_answered(&home, *id).await);
        }
    }
    for project in lacking {
        let answered = match app.refresh_config(project).await {
            Ok(home) => app.secrets_answered(&home).await,
            Err(error) => Err(error),
        };
        report.count("secrets of a project", answered);
    }
    Ok(report)
}
