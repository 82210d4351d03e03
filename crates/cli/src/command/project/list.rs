//! `project list`: the projects that the person may see.

use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{dim, plain, red};
use crate::words::short_commit;

pub(crate) async fn run(connection: &Connection) -> Done {
    let projects = connection
        .call::<operations::ProjectList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&projects, |screen| {
        if projects.items.is_empty() {
            screen.line([dim(
                "no project yet; make one with `nightshift project add <path or url>`",
            )]);
            return;
        }
        let rows = projects.items.iter().map(|project| {
            let counts = project.issues.iter().filter(|phase| phase.count > 0);
            let counts: Vec<_> = counts
                .map(|phase| format!("{} {}", phase.count, phase.phase))
                .collect();
            let state = match (&project.config_error, &project.head) {
                (Some(_), _) => red("broken .nightshift/config.toml"),
                (None, None) => dim("no commit yet"),
                (None, Some(head)) => plain(short_commit(head)),
            };
            vec![
                plain(&project.name),
                plain(&project.default_branch),
                state,
                plain(counts.join(", ")),
            ]
        });
        screen.table("", &["project", "branch", "at", "issues"], rows.collect());
    })
}
