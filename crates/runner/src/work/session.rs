//! What an agent's program remembers between runs of one issue: directories of this runner, and
//! the session's id as the server keeps it.
//!
//! Invariant: only the harness's own session directories outlive a run, one place per project,
//! issue and agent; what is in them is never read out here. Deliberately absent: the format.

use std::path::PathBuf;

use nightshift_api::runner::{AuthorOrder, SessionState};
use nightshift_domain::failure::Reason;
use nightshift_domain::told::failure as say;

use super::Task;
use super::cut::Cut;
use crate::harness::{Invocation, Session};
use crate::sandbox::{self, spec};

/// Makes the session directories of an agent and says where they are to be seen.
pub(crate) fn binds(
    task: &Task,
    author: &AuthorOrder,
    invocation: &Invocation,
) -> Result<Vec<sandbox::Bind>, Cut> {
    let place = place(task, author);
    let mut binds = Vec::new();
    for dir in &invocation.session_dirs {
        let source = place.join(file_name(dir));
        crate::supervisor::private(&place).map_err(|error| {
            Cut::failed(Reason::WorkspaceFailed, say::as_said(format!("{error:#}")))
        })?;
        task.worker.host.shared_dir(&source)?;
        binds.push(sandbox::Bind {
            source,
            target: PathBuf::from(spec::HOME).join(dir),
        });
    }
    Ok(binds)
}

/// The session to go on in, if this runner has what the agent's program needs for it.
pub(crate) fn resumable(
    task: &Task,
    author: &AuthorOrder,
    invocation: &Invocation,
) -> Option<Session> {
    let state = author.session.as_ref()?;
    if state.agent != author.agent.name {
        return None;
    }
    let place = place(task, author);
    let has = |dir: &PathBuf| {
        std::fs::read_dir(place.join(file_name(dir))).is_ok_and(|mut all| all.next().is_some())
    };
    // Of several places one is the program's; where it keeps nothing, its id is all there is.
    let here = invocation.session_dirs.is_empty() || invocation.session_dirs.iter().any(has);
    here.then(|| Session {
        id: state.id.clone(),
        totals: serde_json::from_value(state.totals.clone()).unwrap_or_default(),
    })
}

/// A session as the server keeps it.
pub(crate) fn state(author: &AuthorOrder, session: &Session) -> SessionState {
    SessionState {
        id: session.id.clone(),
        agent: author.agent.name.clone(),
        totals: serde_json::to_value(session.totals).unwrap_or_default(),
    }
}

fn place(task: &Task, author: &AuthorOrder) -> PathBuf {
    // An agent's name is letters, digits, `-`, `_` and `.`, and does not begin with a dot; one that
    // is not is still only one part of a path.
    let agent = author.agent.name.replace('/', "+");
    task.worker
        .config
        .data
        .join("sessions")
        .join(task.order.project_id.to_string())
        .join(task.order.number.to_string())
        .join(format!("agent-{agent}"))
}

fn file_name(dir: &std::path::Path) -> String {
    let name = dir.to_string_lossy().replace('/', "+");
    name.trim_start_matches('.').to_owned()
}
