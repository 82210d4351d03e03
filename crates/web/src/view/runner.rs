//! The runner protocol.

use nightshift_api::runner::{
    AuthorOrder, CommitOrder, Complete, End as ApiEnd, Limits, SecretOrder, SessionState,
    SteerOrder, WorkOrder,
};
use nightshift_app::Prepared;
use nightshift_app::record::Steer;
use nightshift_app::use_case::finish::{End, Ending};

use super::project::git_path;

pub(crate) fn order(prepared: Prepared) -> WorkOrder {
    let run = prepared.run;
    WorkOrder {
        run: run.id,
        job: run.job,
        epoch: run.epoch,
        kind: run.kind,
        project_id: run.project,
        git_path: git_path(&prepared.project.name),
        project: prepared.project.name,
        number: run.number,
        round: run.round,
        token: prepared.token.reveal().to_owned(),
        base: prepared.base,
        start: run.start,
        environment: prepared.environment,
        network: prepared.network,
        grants: prepared.grants,
        checks: prepared.checks,
        acceptance: prepared.acceptance,
        secrets: prepared
            .secrets
            .into_iter()
            .map(|secret| SecretOrder {
                name: secret.name,
                value: secret.value,
                steps: secret.steps,
            })
            .collect(),
        withheld: prepared.withheld,
        author: prepared.author.map(|author| AuthorOrder {
            agent: author.agent,
            prompt: author.prompt.full,
            resumed_prompt: author.prompt.resumed,
            brief: author.brief,
            issue_body: author.issue_body,
            feedback: author.feedback,
            session: author.session.map(|session| SessionState {
                id: session.id,
                agent: session.agent,
                totals: session.totals,
            }),
            attempt_ref: author.attempt_ref,
            repair_in_run: author.repair_in_run,
            commit: CommitOrder {
                author_name: author.author_name,
                author_email: author.author_email,
                message: author.message,
            },
        }),
        limits: Limits {
            wall_s: prepared.wall_s,
            log_bytes: prepared.limits.log_bytes,
            disk_bytes: prepared.limits.disk_bytes,
            memory_bytes: prepared.limits.memory_bytes,
            processes: prepared.limits.processes,
            cost_micro_usd: prepared.cost_micro_usd,
        },
    }
}

pub(crate) fn ending(complete: Complete) -> Ending {
    Ending {
        end: match complete.end {
            ApiEnd::Authored { summary, .. } => End::Authored { summary },
            ApiEnd::Asked { question } => End::Asked { question },
            ApiEnd::Proved { report } => End::Proved {
                report: Box::new(report),
            },
            ApiEnd::Tried { report } => End::Tried {
                report: Box::new(report),
            },
            ApiEnd::Stopped => End::Stopped,
            ApiEnd::Failed { failure } => End::Failed { failure },
        },
        usage: complete.usage,
        session: complete.session.map(|session| (session.id, session.totals)),
        attempt: complete.attempt,
        handed: complete.handed,
        traffic: complete.traffic,
    }
}

pub(crate) fn steer(said: Steer) -> SteerOrder {
    SteerOrder {
        id: said.id,
        by: said.author.label(),
        text: said.body,
        now: said.interrupts,
    }
}
