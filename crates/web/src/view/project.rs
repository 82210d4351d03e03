//! Projects and their settings, as the wire says them.

use nightshift_api::project::{CheckName, PhaseCount, Project};
use nightshift_app::use_case::project::ProjectView;
use nightshift_domain::config::ConfigError;

pub(crate) fn project(view: ProjectView) -> Project {
    let project = view.project;
    Project {
        git_path: git_path(&project.name),
        name: project.name,
        default_branch: project.default_branch.to_string(),
        head: view.head.map(String::from),
        checks: project
            .config
            .checks
            .into_iter()
            .map(|check| CheckName {
                name: check.name,
                run: check.run,
            })
            .collect(),
        agents: project.config.agents,
        config_error: project.config_error.map(ConfigError::plain),
        issues: view
            .counts
            .into_iter()
            .map(|(phase, count)| PhaseCount { phase, count })
            .collect(),
        created_at: project.created_at,
    }
}

/// Where a project's repository is, relative to the server's address.
pub(crate) fn git_path(name: &str) -> String {
    format!("/git/{name}.git")
}
