//! What runners that are alive lack for an issue. Deliberately absent: how much of them is free.

use super::{Code, Facts, Finding, quoted, stops};
use crate::config::Agent;
use crate::job::Kind;
use crate::route::{Needs, Runner};
use crate::sentence::{templates, text};

templates! {
    RUNNERS = "found.runners": "runners";
    RUNNERS_CAUSE = "found.runners-cause": "none is alive";
    RUNNERS_NEXT = "found.runners-next": "start one with `nightshift runner`";
    DRAINING_CAUSE = "found.draining-cause": "those that could take its jobs are draining";
    DRAINING_NEXT = "found.draining-next": "take one back with `nightshift runner drain NAME --undo` (administrators), or start another";
    IMAGE = "found.image": "the image {image}";
    IMAGE_CAUSE = "found.image-cause": "the project's settings name it, and no runner that is alive has containers";
    IMAGE_NEXT = "found.image-next": "set `engine = \"container\"` in a runner's runner.toml, or take `image` out of the settings";
    JOBS = "found.jobs": "jobs of the kind {kinds}";
    JOBS_CAUSE = "found.jobs-cause": "no runner that is alive takes them";
    JOBS_NEXT = "found.jobs-next": "start a runner that does: `nightshift runner --kind {kinds}`";
    HARNESS = "found.harness": "the harness {harness} of the agent {agent}";
    HARNESS_CAUSE = "found.harness-cause": "no runner that is alive has its program and its model endpoint";
    HARNESS_NEXT = "found.harness-next": "install the program and set the endpoint in a runner's settings, or choose another agent";
}

pub(super) fn look(facts: &Facts<'_>, agent: &Agent, found: &mut Vec<Finding>) {
    let open = facts.runners.iter().filter(|runner| !runner.draining);
    let mut lacks = Vec::new();
    look_at(open.collect(), facts, agent, &mut lacks);
    let mut at_all = Vec::new();
    look_at(facts.runners.iter().collect(), facts, agent, &mut at_all);
    if !lacks.is_empty() && at_all.is_empty() {
        found.push(stops(
            Code::NoRunner,
            RUNNERS.plain(),
            &DRAINING_CAUSE,
            DRAINING_NEXT.plain(),
        ));
        return;
    }
    found.append(&mut lacks);
}

/// What these lack, as if none of them were draining.
fn look_at(mut able: Vec<&Runner>, facts: &Facts<'_>, agent: &Agent, found: &mut Vec<Finding>) {
    if able.is_empty() {
        found.push(stops(
            Code::NoRunner,
            RUNNERS.plain(),
            &RUNNERS_CAUSE,
            RUNNERS_NEXT.plain(),
        ));
        return;
    }
    if let Some(image) = facts.image {
        able.retain(|runner| runner.images);
        if able.is_empty() {
            found.push(stops(
                Code::NoImages,
                IMAGE.with([("image", text(image))]),
                &IMAGE_CAUSE,
                IMAGE_NEXT.plain(),
            ));
            return;
        }
    }
    let mut needed = vec![Kind::Author, Kind::Verify];
    if facts.acceptance.is_some() {
        needed.push(Kind::Tryout);
    }
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|kind| !able.iter().any(|runner| runner.takes(*kind)))
        .map(Kind::as_str)
        .collect();
    if !missing.is_empty() {
        found.push(stops(
            Code::NoRunner,
            JOBS.with([("kinds", text(missing.join(", ")))]),
            &JOBS_CAUSE,
            JOBS_NEXT.with([("kinds", text(missing.join(" --kind ")))]),
        ));
    }
    let needs = Needs {
        image: facts.image.is_some(),
        harness: Some(agent.harness),
    };
    // That none takes the job is said already.
    if able.iter().any(|runner| runner.takes(Kind::Author)) {
        able.retain(|runner| runner.takes(Kind::Author));
    }
    if !able.iter().any(|runner| runner.can(needs)) {
        found.push(stops(
            Code::NoHarness,
            HARNESS.with([
                ("harness", text(agent.harness.as_str())),
                ("agent", quoted(&agent.name)),
            ]),
            &HARNESS_CAUSE,
            HARNESS_NEXT.plain(),
        ));
    }
}
