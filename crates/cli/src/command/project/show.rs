//! `project show`: what is proved, who can work, what is wrong with the settings.

use nightshift_api::project::{Project, ProjectPath};
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{Screen, Style, bold, dim, plain, red, yellow};
use crate::words::short_commit;

/// Which project.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name; otherwise the one that is meant here
    name: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = match self.name {
            Some(name) => name,
            None => connection.project().await?,
        };
        let project = connection
            .call::<operations::ProjectGet>(&ProjectPath { project }, &Nothing {}, &Nothing {})
            .await?;
        let server = connection.client.server();
        connection
            .output
            .answer(&project, |screen| whole(screen, &project, server))
    }
}

fn whole(screen: &mut Screen, project: &Project, server: &str) {
    screen.line([bold(&project.name)]);
    let head = match &project.head {
        Some(head) => plain(format!(
            "{} at {}",
            project.default_branch,
            short_commit(head)
        )),
        None => yellow(format!("{}, no commit yet", project.default_branch)),
    };
    let counts = project.issues.iter().filter(|phase| phase.count > 0);
    let counts: Vec<_> = counts.map(|p| format!("{} {}", p.count, p.phase)).collect();
    screen.fields(&[
        ("branch", head),
        ("clone", plain(format!("{server}{}", project.git_path))),
        ("issues", plain(counts.join(", "))),
    ]);
    if let Some(error) = &project.config_error {
        screen.gap();
        screen.line([
            red("the settings are broken"),
            dim("  the last good one is in force"),
        ]);
        screen.text("  ", Style::Plain, &error.to_string());
    }
    screen.gap();
    screen.heading("checks");
    if project.checks.is_empty() {
        screen.line([yellow(
            "  none: nothing can be proved; define them in .nightshift/config.toml",
        )]);
    }
    let checks = project.checks.iter();
    let rows: Vec<_> = checks.map(|c| vec![plain(&c.name), dim(&c.run)]).collect();
    if !rows.is_empty() {
        screen.table("  ", &["", ""], rows);
    }
    screen.gap();
    screen.heading("agents");
    let rows = project.agents.iter().map(|agent| {
        vec![
            plain(&agent.name),
            dim(agent.harness.as_str()),
            dim(agent.model.as_deref().unwrap_or_default()),
        ]
    });
    screen.table("  ", &["", "", ""], rows.collect());
}
