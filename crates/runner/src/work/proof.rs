//! The proof run (verify, trial and tryout): the checks and the sealed tests on exactly one commit, in
//! sandboxes that no agent ever touched.
//!
//! Invariants: no token inside, and no way out but to the hosts that the project's list names; results
//! are raw, nothing is judged here; what cannot be measured is left out rather than guessed. Deliberately absent: the agent, and any write.

use std::sync::Arc;
use std::time::Duration;

use nightshift_api::runner::End;
use nightshift_domain::check::{Acceptance, CheckResult, ProofReport};
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Step;
use nightshift_domain::tryout::Report;

use super::bench::Bench;
use super::cache::{self, Prepared};
use super::check;
use super::cut::Cut;
use super::{Ended, Task, image, usage};
use crate::sandbox::Image;

/// Carries out a proof; `None` when the run is lost.
pub(crate) async fn run(task: &Task) -> Option<Ended> {
    let mut traffic = Traffic::default();
    let ended = match report(task, &mut traffic).await {
        Ok(report) => Some(Ended::of(End::Proved { report })),
        Err(cut) => cut.with_blocked(Some(&traffic)).into_end().map(Ended::of),
    };
    ended.map(|ended| Ended {
        traffic: (!traffic.is_empty()).then_some(traffic),
        ..ended
    })
}

/// Tries the sealed tests on the base, and nothing else; `None` when the run is lost.
pub(crate) async fn try_out(task: &Task) -> Option<Ended> {
    let Some(acceptance) = &task.order.acceptance else {
        return Some(Ended::failed(Reason::Misconfigured, say::no_tests_sent()));
    };
    match tried(task, acceptance).await {
        Ok(OnBase { setup, acceptance }) => Some(Ended::of(End::Tried {
            report: Report {
                base: task.order.base.clone(),
                setup,
                acceptance,
            },
        })),
        Err(cut) => cut.into_end().map(Ended::of),
    }
}

async fn tried(task: &Task, acceptance: &Acceptance) -> Result<OnBase, Cut> {
    // What is tried is no change: nobody is asked about what it did not reach.
    let traffic = &mut Traffic::default();
    let image = image::of(task, traffic).await?;
    on_base(task, acceptance, &image, traffic).await
}

async fn report(task: &Task, traffic: &mut Traffic) -> Result<ProofReport, Cut> {
    let image = image::of(task, traffic).await?;
    // One after the other: both use the run's one directory.
    let acceptance_on_base = match (&task.order.acceptance, task.order.kind) {
        (Some(acceptance), Kind::Verify) => {
            let base = on_base(task, acceptance, &image, traffic).await?;
            base.acceptance
        }
        // The base of a trial holds what others landed since; nothing has to be red there.
        (Some(_) | None, _) => None,
    };
    let head = &task.order.start;
    let setup = match cache::of(task, head, image.as_ref(), traffic).await? {
        Prepared::Runs => None,
        Prepared::Taken(setup) => Some(setup),
        Prepared::Failed(result) => {
            let mut report = nothing(head, acceptance_on_base);
            report.setup = Some(result);
            return Ok(report);
        }
    };
    let bench = Bench::open(task, head, image, None, setup).await?;
    let report = on_head(&bench, acceptance_on_base).await;
    let early = std::mem::replace(traffic, bench.close().await);
    usage::add(traffic, early);
    report
}

/// What was seen on the base.
struct OnBase {
    setup: Option<CheckResult>,
    /// Absent where the set-up failed: tests that are red because nothing is set up prove nothing.
    acceptance: Option<CheckResult>,
}

/// The sealed tests where the change is not: they must be red there.
async fn on_base(
    task: &Task,
    acceptance: &Acceptance,
    image: &Option<Arc<Image>>,
    traffic: &mut Traffic,
) -> Result<OnBase, Cut> {
    let base = &task.order.base;
    task.say(Step::Checks, format!("on the base {}", base.short()));
    let setup = match cache::of(task, base, image.as_ref(), traffic).await? {
        Prepared::Runs => None,
        Prepared::Taken(setup) => Some(setup),
        Prepared::Failed(result) => return Ok(not_set_up(task, Some(result))),
    };
    let bench = Bench::open(task, base, image.clone(), None, setup).await?;
    let result = async {
        let setup = check::setup(&bench, base).await?;
        if setup.as_ref().is_some_and(|setup| !setup.passed()) {
            return Ok(not_set_up(task, setup));
        }
        let acceptance = check::accept(&bench, base, acceptance).await?;
        Ok(OnBase {
            setup,
            acceptance: Some(acceptance),
        })
    };
    let result = result.await;
    bench.close().await;
    result
}

fn not_set_up(task: &Task, setup: Option<CheckResult>) -> OnBase {
    task.say(Step::Checks, "the set-up command fails on the base");
    OnBase {
        setup,
        acceptance: None,
    }
}

/// A report of a change of which nothing was seen yet.
fn nothing(head: &ObjectId, acceptance_on_base: Option<CheckResult>) -> ProofReport {
    ProofReport {
        head: head.clone(),
        setup: None,
        acceptance_on_base,
        acceptance_on_head: None,
        checks: Vec::new(),
    }
}

async fn on_head(
    bench: &Bench<'_>,
    acceptance_on_base: Option<CheckResult>,
) -> Result<ProofReport, Cut> {
    let order = &bench.task.order;
    let head = &order.start;
    bench
        .task
        .say(Step::Checks, format!("on the change {}", head.short()));
    let mut report = nothing(head, acceptance_on_base);
    report.setup = check::setup(bench, head).await?;
    if report.setup.as_ref().is_some_and(|setup| !setup.passed()) {
        return Ok(report);
    }
    if let Some(acceptance) = &order.acceptance {
        report.acceptance_on_head = Some(check::accept(bench, head, acceptance).await?);
    }
    for wanted in &order.checks {
        let timeout = Duration::from_secs(wanted.timeout_s);
        let result = check::run(
            bench,
            Step::Checks,
            &wanted.name,
            head,
            &wanted.run,
            timeout,
        );
        report.checks.push(result.await?);
    }
    Ok(report)
}
