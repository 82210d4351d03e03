//! The author run: an agent changes the tree, the change becomes one commit on the run's own ref.
//!
//! prepare, set up, then: the agent works, the tree becomes a commit, the checks run in the same
//! sandbox, and where they are red the agent is told, a bounded number of times; last the push.
//! Invariants: "a change" is a commit that differs from the start, not what the agent says; a run
//! that ends early still pushes what it has. Deliberately absent: a verdict; these checks ran where
//! the agent was, and are for the record only.

use std::time::Duration;

use nightshift_api::runner::{AuthorOrder, End};
use nightshift_domain::budget::dollars;
use nightshift_domain::check::{CheckResult, ended};
use nightshift_domain::config::Harness as Kind;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::prompt;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::{self, Usage};

use super::agent::{self, Came};
use super::bench::{Agent, Bench};
use super::cache::{self, Prepared};
use super::check::{self, last_lines};
use super::cut::{Cut, bounded};
use super::publish::{self, Snapshot};
use super::step::Guard;
use super::{Ended, Task, image, program, session, usage};
use crate::harness::{AgentFailure, AgentOrder, Harness, Session};
use crate::sandbox::{self, spec};

/// The longest a commit of the tree may take.
const COMMIT: Duration = Duration::from_secs(600);

/// What an author run has so far, whatever becomes of it.
#[derive(Debug, Default)]
struct SoFar {
    /// Whether the agent was started.
    worked: bool,
    usage: Usage,
    session: Option<Session>,
    /// The commit of the tree as the agent left it last.
    commit: Option<ObjectId>,
    /// What the server has of it.
    pushed: Option<ObjectId>,
    checks: Vec<CheckResult>,
    summary: Option<String>,
    /// What people said, as the agent was told it last.
    words: Option<String>,
}

/// Whether a start of the agent ended with a question.
enum Asks {
    No,
    /// The words, where the agent's log has them.
    Yes(Option<String>),
}

/// How the work came to its end by itself.
enum Did {
    Change,
    /// What the agent asked, where this runner heard it.
    Asked(Option<String>),
}

/// Carries out an author order; `None` when the run is lost.
pub(crate) async fn run(task: &Task) -> Option<Ended> {
    let Some(author) = &task.order.author else {
        return Some(Ended::failed(Reason::Misconfigured, say::no_agent_sent()));
    };
    let mut so_far = SoFar::default();
    let mut early = Traffic::default();
    let opened = open(task, author, &mut early).await;
    let worked = match &opened {
        Ok((bench, harness, first)) => {
            let worked = work(bench, author, *harness, first.clone(), &mut so_far).await;
            if so_far.worked && matches!(worked, Err(Cut::Halted(_) | Cut::Failed(_))) {
                rescue(bench, author, &mut so_far).await;
            }
            worked
        }
        Err(cut) => Err(cut.clone()),
    };
    let whole = matches!(&opened, Ok((_, harness, _)) if harness.counts_whole());
    let mut traffic = None;
    if let Ok((bench, ..)) = opened {
        traffic = Some(bench.close().await);
    }
    usage::add_whole(traffic.get_or_insert_default(), early);
    if let Some(traffic) = &traffic {
        so_far.usage = usage::measured(so_far.usage, traffic, whole);
    }
    let worked = worked.map_err(|cut| cut.with_blocked(traffic.as_ref()));
    let end = match worked {
        // A question that only the server heard is asked by the server: an author's run with an open
        // question needs input, whatever it brought.
        Ok(Did::Change | Did::Asked(None)) => End::Authored {
            summary: bounded(so_far.summary.unwrap_or_default()),
            self_checks: so_far.checks,
        },
        Ok(Did::Asked(Some(question))) => End::Asked {
            question: bounded(question),
        },
        Err(cut) => cut.into_end()?,
    };
    Some(Ended {
        end,
        usage: so_far.worked.then_some(so_far.usage),
        session: so_far
            .session
            .map(|session| session::state(author, &session)),
        attempt: so_far.pushed,
        traffic: traffic.filter(|traffic| !traffic.is_empty()),
    })
}

/// Everything that can be known to be missing is found before anything is fetched.
async fn open<'a>(
    task: &'a Task,
    author: &AuthorOrder,
    early: &mut Traffic,
) -> Result<(Bench<'a>, &'static dyn Harness, AgentOrder), Cut> {
    let harness = agent::adapter(&author.agent)?;
    let mut order = agent::order(task, author);
    let image = image::of(task, early).await?;
    if let Some(image) = &image {
        order.programs = program::of(task, image, harness).await?;
    }
    let invocation = agent::plan(task, harness, &order, author.agent.harness)?;
    order.session = session::resumable(task, author, &invocation);
    if order.session.is_some() {
        order.prompt = author.resumed_prompt.clone();
    }
    let route = task
        .worker
        .config
        .endpoints
        .route(author.agent.harness)
        .map_err(|missing| Cut::failed(Reason::Misconfigured, missing))?;
    let dialect = route.as_ref().map(|route| route.dialect);
    let bind = |bind: &crate::harness::Bind| sandbox::Bind {
        source: bind.host.clone(),
        target: bind.inside.clone(),
    };
    let setup = match cache::of(task, &task.order.start, image.as_ref(), early).await? {
        Prepared::Runs => None,
        Prepared::Taken(setup) => Some(setup),
        Prepared::Failed(result) => return Err(no_setup(&result)),
    };
    let agent = Agent {
        route,
        read_only: invocation.binds.iter().map(bind).collect(),
        writable: session::binds(task, author, &invocation)?,
    };
    let bench = Bench::open(task, &task.order.start, image, Some(agent), setup).await?;
    agent::tools(&bench, author)?;
    if let Some(dialect) = dialect {
        order.model_base_url =
            format!("http://127.0.0.1:{}/{}", spec::MODEL_PORT, dialect.as_str());
        order.model_dialect = dialect;
        order.model_key = bench.model_token(dialect).unwrap_or_default().to_owned();
    }
    Ok((bench, harness, order))
}

async fn work(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    harness: &dyn Harness,
    mut order: AgentOrder,
    so_far: &mut SoFar,
) -> Result<Did, Cut> {
    let task = bench.task;
    set_up(bench).await?;
    loop {
        let question = agent_step(bench, author, harness, &mut order, so_far).await?;
        let snapshot = publish::commit(bench, author, Guard::Work, COMMIT).await?;
        so_far.commit = match &snapshot {
            Snapshot::Unchanged => None,
            Snapshot::Commit(commit) => Some(commit.clone()),
        };
        if let Asks::Yes(question) = question {
            task.say(transcript::Step::Runner, "the agent asked and waits");
            push(bench, author, so_far).await?;
            return Ok(Did::Asked(question));
        }
        // Who speaks up is heard before anything is judged.
        if let Some(words) = words(task, harness, so_far) {
            go_on(&mut order, so_far, words);
            continue;
        }
        let Snapshot::Commit(commit) = snapshot else {
            return Err(no_change(so_far));
        };
        so_far.checks = match self_check(bench, &commit).await {
            Ok(results) => results,
            // The change is there; whether it is good is decided elsewhere.
            Err(Cut::Failed(failure)) => {
                task.say(transcript::Step::Checks, failure.detail.to_string());
                Vec::new()
            }
            Err(cut) => return Err(cut),
        };
        let red = so_far.checks.iter().any(|result| !result.passed());
        // What was said while the checks ran.
        if let Some(mut words) = words(task, harness, so_far) {
            if red {
                words.push_str(&prompt::repair(&so_far.checks));
            }
            go_on(&mut order, so_far, words);
            continue;
        }
        if !red || !next_repair(task, author, harness, &mut order, so_far) {
            push(bench, author, so_far).await?;
            return Ok(Did::Change);
        }
    }
}

async fn set_up(bench: &Bench<'_>) -> Result<(), Cut> {
    match check::setup(bench, &bench.task.order.start).await? {
        Some(result) if !result.passed() => Err(no_setup(&result)),
        Some(_) | None => Ok(()),
    }
}

fn no_setup(result: &CheckResult) -> Cut {
    Cut::failed(
        Reason::SetupFailed,
        say::its_last_words(
            say::setup(ended(&result.outcome)),
            last_lines(&result.output_tail),
        ),
    )
}

/// Starts the agent; once more without its session where that is not known any more. Returns
/// whether it asked.
async fn agent_step(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    harness: &dyn Harness,
    order: &mut AgentOrder,
    so_far: &mut SoFar,
) -> Result<Asks, Cut> {
    let task = bench.task;
    so_far.worked = true;
    loop {
        order.limits.max_cost_micro_usd = match left(task, so_far) {
            Some(0) => return Err(spent(task)),
            left => left,
        };
        let asks = bench.asks().await;
        let Came {
            outcome,
            question,
            cut,
        } = agent::start(bench, author, harness, order).await?;
        so_far.usage = usage::plus(so_far.usage, outcome.usage);
        if let Some(AgentFailure::SessionLost { detail }) = &outcome.failure
            && order.session.is_some()
            && cut.is_none()
        {
            task.say(
                transcript::Step::Agent,
                format!("the session is not known any more ({detail}): a fresh one starts"),
            );
            order.session = None;
            order.prompt = match &so_far.words {
                Some(words) => after_order(author, words),
                None if order.repair == 0 => author.prompt.clone(),
                None => with_order(author, &so_far.checks),
            };
            continue;
        }
        so_far.words = None;
        if outcome.session.is_some() {
            so_far.session = outcome.session;
        }
        if let Some(words) = outcome.final_text.filter(|words| !words.trim().is_empty()) {
            so_far.summary = Some(words);
        }
        if let Some(cut) = cut {
            return Err(cut);
        }
        let asked = bench.asks().await;
        // What the broker said while the program ended.
        if let Some(cut) = Cut::of_control(&task.control) {
            return Err(cut);
        }
        // What the server heard counts, also where the program then failed: it waits for an answer.
        if asked > asks {
            return Ok(Asks::Yes(question));
        }
        if let Some(failure) = &outcome.failure {
            return Err(Cut::Failed(agent::failure(task, failure)));
        }
        return Ok(match question {
            None => Asks::No,
            some => Asks::Yes(some),
        });
    }
}

/// What is left of the budget, where it has one and the agent's program tells its cost.
fn left(task: &Task, so_far: &SoFar) -> Option<u64> {
    let used = so_far.usage.cost_micro_usd.unwrap_or(0);
    task.order
        .limits
        .cost_micro_usd
        .map(|whole| whole.saturating_sub(used))
}

fn spent(task: &Task) -> Cut {
    let whole = task.order.limits.cost_micro_usd.unwrap_or(0);
    Cut::failed(Reason::BudgetExhausted, say::budget_of_run(dollars(whole)))
}

fn no_change(so_far: &SoFar) -> Cut {
    let words = so_far.summary.as_deref().map(str::trim);
    Cut::failed(
        Reason::NoChange,
        match words {
            Some(words) if !words.is_empty() => say::no_change_words(words),
            Some(_) | None => say::no_change(),
        },
    )
}

/// The required checks and the sealed tests, in the sandbox of the agent.
async fn self_check(bench: &Bench<'_>, commit: &ObjectId) -> Result<Vec<CheckResult>, Cut> {
    let order = &bench.task.order;
    let mut results = Vec::new();
    let is_left = |name: &str| {
        let left = order.withheld.iter().any(|step| step == name);
        if left {
            let text = format!("{name}: left to the proof, since it needs a secret of the project");
            bench.task.say(transcript::Step::Checks, text);
        }
        left
    };
    if let Some(acceptance) = &order.acceptance
        && !is_left(check::ACCEPTANCE)
    {
        results.push(check::accept(bench, commit, acceptance).await?);
    }
    for check in &order.checks {
        if is_left(&check.name) {
            continue;
        }
        let timeout = Duration::from_secs(check.timeout_s);
        let phase = transcript::Step::Checks;
        results.push(check::run(bench, phase, &check.name, commit, &check.run, timeout).await?);
    }
    Ok(results)
}

/// Makes the order of the next start, if red checks may go back to the agent once more.
fn next_repair(
    task: &Task,
    author: &AuthorOrder,
    harness: &dyn Harness,
    order: &mut AgentOrder,
    so_far: &SoFar,
) -> bool {
    if i64::from(order.repair) >= author.repair_in_run || task.left().is_zero() {
        return false;
    }
    if left(task, so_far) == Some(0) {
        task.say(
            transcript::Step::Runner,
            "the checks are red, and the issue's budget is used up: no repair",
        );
        return false;
    }
    let mut next = AgentOrder {
        repair: order.repair + 1,
        session: so_far.session.clone(),
        ..order.clone()
    };
    next.prompt = if next.session.is_some() {
        prompt::repair(&so_far.checks)
    } else {
        with_order(author, &so_far.checks)
    };
    let kind = author.agent.harness;
    // A script repairs where its issue has blocks for it: more files than the one that runs them.
    let can = match kind {
        Kind::Script => harness.plan(&next).is_ok_and(|plan| plan.files.len() > 1),
        kind => kind.can_repair(),
    };
    if can {
        task.say(
            transcript::Step::Runner,
            format!(
                "the checks are red: repair {} of {}",
                next.repair, author.repair_in_run
            ),
        );
        *order = next;
    }
    can
}

/// What people say to the agent, if it can be told and something is left to work with. What is not
/// told here, the next run is.
fn words(task: &Task, harness: &dyn Harness, so_far: &SoFar) -> Option<String> {
    let able = harness.resumes()
        && so_far.session.is_some()
        && !task.left().is_zero()
        && left(task, so_far) != Some(0);
    let waiting = task.control.waiting();
    if !able || waiting.is_empty() {
        return None;
    }
    for steer in &waiting {
        let (first, more) = match steer.text.split_once('\n') {
            Some((first, _)) => (first, " …"),
            None => (steer.text.as_str(), ""),
        };
        task.say(
            transcript::Step::Runner,
            format!("{} says to the agent: {first}{more}", steer.by),
        );
    }
    task.control.hand(&waiting);
    let said: Vec<(&str, &str)> = waiting
        .iter()
        .map(|steer| (steer.by.as_str(), steer.text.as_str()))
        .collect();
    Some(prompt::steer(&said))
}

/// The next start is the same session with these words.
fn go_on(order: &mut AgentOrder, so_far: &mut SoFar, words: String) {
    order.session = so_far.session.clone();
    order.prompt = words.clone();
    so_far.words = Some(words);
}

/// The whole order with what people said, for a program that remembers nothing.
fn after_order(author: &AuthorOrder, words: &str) -> String {
    format!(
        "{}\n\n## What is wanted now\n\n{words}",
        author.prompt.trim_end()
    )
}

/// The whole order with what was red, for a program that remembers nothing.
fn with_order(author: &AuthorOrder, results: &[CheckResult]) -> String {
    format!(
        "{}\n\n## What is wanted now\n\n{}",
        author.prompt.trim_end(),
        prompt::repair(results)
    )
}

async fn push(bench: &Bench<'_>, author: &AuthorOrder, so_far: &mut SoFar) -> Result<(), Cut> {
    let Some(commit) = so_far.commit.clone() else {
        return Ok(());
    };
    let within = bench.task.worker.config.timing.publish;
    publish::push(bench, author, &commit, Guard::Work, within).await?;
    so_far.pushed = Some(commit);
    Ok(())
}

/// Keeps what a run has that ends early: pushed like a result, adopted by nobody.
async fn rescue(bench: &Bench<'_>, author: &AuthorOrder, so_far: &mut SoFar) {
    if so_far.pushed.is_some() {
        return;
    }
    let within = bench.task.worker.config.timing.rescue;
    let kept = async {
        if so_far.commit.is_none() {
            match publish::commit(bench, author, Guard::Rescue, within).await? {
                Snapshot::Unchanged => return Ok(()),
                Snapshot::Commit(commit) => so_far.commit = Some(commit),
            }
        }
        if let Some(commit) = so_far.commit.clone() {
            publish::push(bench, author, &commit, Guard::Rescue, within).await?;
            so_far.pushed = Some(commit);
        }
        Ok::<(), Cut>(())
    };
    if let Err(cut) = kept.await {
        let words = match cut {
            Cut::Failed(failure) => failure.detail.to_string(),
            Cut::Lost | Cut::Halted(_) => "the run is lost".to_owned(),
        };
        bench.task.say(
            transcript::Step::Publish,
            format!("what the run had could not be kept: {words}"),
        );
    }
}
