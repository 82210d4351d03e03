//! Runs and their ends, as the wire says them.

use nightshift_api::run::Run;
use nightshift_app::record::RunState;
use nightshift_app::use_case::finish::state_word;
use nightshift_app::use_case::run::RunView;

pub(crate) fn run(view: RunView) -> Run {
    let run = view.run;
    Run {
        id: run.id.0,
        project: view.project,
        number: run.number,
        kind: run.kind.as_str().to_owned(),
        round: run.round,
        epoch: run.epoch,
        agent: run.agent,
        runner: view.runner,
        state: state_word(&run.state).to_owned(),
        failure: match run.state {
            RunState::Failed { failure } => Some(failure),
            RunState::Running
            | RunState::Succeeded
            | RunState::Stopped
            | RunState::Asked { .. } => None,
        },
        progress: run.progress,
        start: String::from(run.start),
        attempt: run.attempt.map(String::from),
        usage: run.usage,
        session: run.session.map(|session| session.id),
        log_bytes: run.log_bytes,
        started_at: run.started_at,
        ended_at: run.ended_at,
    }
}
