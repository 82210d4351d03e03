//! The ways out of a run's sandboxes: which there are, and the room at the broker where they end.
//!
//! Invariant: an agent has the platform and its model besides, and nothing else has; hosts that were
//! allowed for one issue are an author's alone. Deliberately absent: what goes through (`broker`).

use std::sync::Arc;
use std::time::Duration;

use nightshift_domain::failure::Reason;
use nightshift_domain::host::Allowed;
use nightshift_domain::told::failure as say;
use nightshift_domain::transcript;

use super::Task;
use super::cut::Cut;
use crate::broker::{
    Budget, Event, Grant, Lever, ModelsWay, NetworkWay, PlatformWay, Room, RouteWay, Rule, Ways,
    rule,
};
use crate::sandbox::RunDir;
use crate::supervisor::Halt;

/// What the project and the operator allow. Where that is nothing, everything is refused, and what was
/// tried is known.
pub(super) fn network(task: &Task, granted: &[Allowed]) -> NetworkWay {
    let operator = &task.worker.config.network;
    let grants = |entries: &[Allowed], by: &str| -> Vec<Grant> {
        let grant = |entry: &Allowed| Grant {
            entry: entry.clone(),
            by: by.to_owned(),
        };
        entries.iter().map(grant).collect()
    };
    let mut allow = grants(&task.order.network.allow, "project");
    allow.extend(grants(&operator.allow, "operator"));
    allow.extend(grants(granted, "issue"));
    NetworkWay {
        allow,
        budget: operator.budget,
    }
}

pub(super) fn add_agents_ways(ways: &mut Ways, task: &Task, route: Option<RouteWay>) {
    let mut rules = rule::git(&task.order.git_path);
    for what in ["ask", "progress", "guidelines", "issues", "hosts"] {
        rules.push(Rule::new(hyper::Method::POST, speech(task, what)));
    }
    ways.platform = Some(PlatformWay {
        base: task.worker.config.server.clone(),
        rules,
        budget: Budget::default(),
    });
    ways.models = route.map(|route| ModelsWay {
        routes: vec![route],
        budget: Budget::default(),
        cost_micro_usd: task.order.limits.cost_micro_usd,
    });
}

pub(super) async fn open_room(task: &Task, run: &RunDir, ways: Ways) -> Result<Room, Cut> {
    let (control, log) = (Arc::clone(&task.control), Arc::clone(&task.log));
    let clock = Arc::clone(&task.worker.clock);
    let lever: Lever = Box::new(move |event| match event {
        Event::Lost { how } => control.halt(Halt::Broker { how }),
        Event::Limited { wait_s, why } => {
            let until = clock().checked_add(Duration::from_secs(wait_s)).ok();
            control.halt(Halt::Limited { until, why });
        }
        Event::Login { why } => control.halt(Halt::Login { why }),
        Event::Budget { most, .. } => control.halt(Halt::Budget { most }),
        Event::Refused { what } => log.status(transcript::Step::Runner, what),
        Event::Blocked { place, why } => {
            log.status(transcript::Step::Runner, format!("blocked: {place}: {why}"));
        }
        Event::Spent { what } => log.status(transcript::Step::Runner, what),
    });
    let worker = &task.worker;
    let opened = worker.broker.open(&worker.host, run, ways, lever).await;
    opened.map_err(|error| Cut::failed(Reason::SandboxUnavailable, say::as_said(error.to_string())))
}

/// Where the agent speaks to the platform.
pub(super) fn speech(task: &Task, what: &str) -> String {
    format!("/api/v1/runs/{}/{what}", task.order.run)
}
