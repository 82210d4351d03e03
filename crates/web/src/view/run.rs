//! Runs and their ends, as the wire says them.

use nightshift_api::run::{Proposal, Run, Steer};
use nightshift_app::record::{self, RunState};
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
            RunState::Failed { failure } => Some(failure.plain()),
            RunState::Running
            | RunState::Succeeded
            | RunState::Stopped
            | RunState::Asked { .. } => None,
        },
        progress: run.progress,
        start: String::from(run.start),
        attempt: run.attempt.map(String::from),
        usage: run.usage,
        traffic: run.traffic,
        session: run.session.map(|session| session.id),
        log_bytes: run.log_bytes,
        steers: Vec::new(),
        proposals: Vec::new(),
        started_at: run.started_at,
        ended_at: run.ended_at,
    }
}

pub(crate) fn steer(said: record::Steer) -> Steer {
    Steer {
        id: said.id,
        run: said.run.0,
        by: said.author.label(),
        text: said.body,
        now: said.interrupts,
        state: match (said.handed_at, said.late_at) {
            (Some(_), _) => "handed",
            (None, Some(_)) => "late",
            (None, None) => "waiting",
        }
        .to_owned(),
        at: said.created_at,
    }
}

pub(crate) fn proposal(made: record::Proposal) -> Proposal {
    let (decision, by, at) = match made.decided {
        Some((taken, by, at)) => (Some(taken.as_str().to_owned()), Some(by.label()), Some(at)),
        None => (None, None, None),
    };
    Proposal {
        id: made.id,
        run: made.run.0,
        round: made.round,
        text: made.body,
        source: made.source,
        at: made.created_at,
        decision,
        decided_by: by,
        decided_at: at,
    }
}
