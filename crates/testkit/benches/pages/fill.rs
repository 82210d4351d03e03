//! A world with many issues: one that was really worked on, and copies of its rows.
//!
//! Copies share the commits of the first, so that no repository of a million objects has to be made;
//! git is not asked by lists, and pages of one change are measured on real ones.

use jiff::SignedDuration;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, JobId, RunId};
use nightshift_domain::issue::{Issue as State, Phase};
use nightshift_domain::job;
use nightshift_store::issue::Issue;
use nightshift_store::job::Job;
use nightshift_store::pull::Pull;
use nightshift_store::pull_head::Head;
use nightshift_store::run::{Run, RunState};
use nightshift_store::standing::Standing;
use nightshift_store::verdict::Verdict;
use nightshift_store::*;
use nightshift_testkit::World;
use uuid::Uuid;

/// The project.
pub(crate) const PROJECT: &str = "p";
/// The issue whose change is small, and the one whose change is large.
pub(crate) const SMALL: i64 = 1;
pub(crate) const LARGE: i64 = 2;
/// Other large changes, at which nobody has looked.
pub(crate) const FRESH: std::ops::RangeInclusive<i64> = LARGE + 1..=LARGE + 15;
/// Lines of the large change.
pub(crate) const LINES: usize = 10_000;
/// Files that it spreads over.
const FILES: usize = 40;
/// Rows of one transaction.
const BATCH: i64 = 5_000;

/// What the copies are made of.
struct Model {
    issue: Issue,
    pull: Pull,
    head: Head,
    verdict: Verdict,
    job: Job,
    run: Run,
    standing: Standing,
}

/// A world with so many issues, and so many of them with a change that waits for a decision. With a
/// thousand, each list of a page is full already, so that what grows is what lies behind it.
pub(crate) async fn world(issues: i64, open: i64) -> World {
    let world = World::new().await;
    world.project(PROJECT).await;
    let (alice, hand) = (world.alice(), world.hand("worker").await);
    for number in SMALL..=*FRESH.end() {
        let files = match number {
            SMALL => vec![(
                "src/small.rs".to_owned(),
                "fn small() -> u8 {\n    1\n}\n".to_owned(),
            )],
            large => self::large(large),
        };
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        alice
            .files_ready(PROJECT, "Make it greet the world by name")
            .await;
        hand.works(&files).await;
    }
    world.settle().await;
    for number in SMALL..=*FRESH.end() {
        assert_eq!(alice.phase(PROJECT, number).await, "in-review");
    }
    let model = Model::read(&world).await;
    let every = issues / open;
    for from in (FRESH.end() + 1..=issues).step_by(usize::try_from(BATCH).expect("a step")) {
        let mut tx = world.db().write().await.expect("a transaction");
        for number in from..(from + BATCH).min(issues + 1) {
            model.copy(&mut tx, number, issues - number, every).await;
        }
        tx.commit().await.expect("filed");
    }
    world
}

/// Files with as many lines as a large change has, others for each.
fn large(number: i64) -> Vec<(String, String)> {
    let each = LINES / FILES;
    let file = |file: usize| {
        let line = |line: usize| {
            format!(
                "    let value_{file}_{line} = compute({line}, \"text {line}\").unwrap_or({number}); // why\n"
            )
        };
        (
            format!("src/part{}/f{file}.rs", file % 7),
            (0..each).map(line).collect(),
        )
    };
    (0..FILES).map(file).collect()
}

impl Model {
    async fn read(world: &World) -> Self {
        let mut tx = world.db().read().await.expect("a transaction");
        let home = project_list(&mut tx).await.expect("projects").remove(0);
        let issue = issue_by_number(&mut tx, home.id, SMALL)
            .await
            .expect("read")
            .expect("an issue");
        let id = issue.id;
        let pull = pull_get(&mut tx, id).await.expect("read").expect("a pull");
        let head = head_list(&mut tx, id).await.expect("read").remove(0);
        let verdict = verdict_latest(&mut tx, id)
            .await
            .expect("read")
            .expect("a verdict");
        let standing = standing_get(&mut tx, id)
            .await
            .expect("read")
            .expect("a standing");
        let runs = run_list(&mut tx, Some(id), None, None, 9)
            .await
            .expect("read");
        let run = runs
            .into_iter()
            .find(|run| Some(run.id) == head.run)
            .expect("its run");
        let job = job_get(&mut tx, run.job)
            .await
            .expect("read")
            .expect("its job");
        Self {
            issue,
            pull,
            head,
            verdict,
            job,
            run,
            standing,
        }
    }

    /// Another issue, older by as many minutes; every so many waits for a decision.
    async fn copy(&self, tx: &mut Tx, number: i64, older: i64, every: i64) {
        let age = SignedDuration::from_mins(older);
        let id = IssueId(new());
        let phase = match number % every {
            0 => Phase::InReview,
            1 if number % 10 == 1 => Phase::Ready,
            2 if number % 10 == 2 => Phase::Draft,
            _ => Phase::Done {
                commit: self.pull.head.clone(),
            },
        };
        let issue = Issue {
            id,
            number,
            title: format!("{} ({number})", self.issue.title),
            labels: vec![format!("label-{}", number % 50)],
            priority: number % 4,
            state: State {
                phase: phase.clone(),
                ..self.issue.state.clone()
            },
            created_at: self.issue.created_at - age,
            updated_at: self.issue.updated_at - age,
            ..self.issue.clone()
        };
        issue_insert(tx, &issue).await.expect("an issue");
        let done = Job {
            id: JobId(new()),
            issue: id,
            ..self.job.clone()
        };
        if phase == Phase::Ready {
            let queued = Job {
                state: job::Job::queued(),
                ..done
            };
            return job_insert(tx, &queued).await.expect("a job");
        }
        if phase == Phase::Draft {
            return;
        }
        let run = Run {
            id: RunId(new()),
            job: done.id,
            issue: id,
            number,
            started_at: issue.created_at,
            ended_at: Some(issue.updated_at),
            state: RunState::Succeeded,
            ..self.run.clone()
        };
        job_insert(tx, &done).await.expect("a job");
        run_insert(tx, &run).await.expect("a run");
        run_save(tx, &run).await.expect("an ended run");
        let landed: Option<ObjectId> = (phase != Phase::InReview).then(|| self.pull.head.clone());
        let pull = Pull {
            issue: id,
            number,
            branch: nightshift_domain::git_name::RefName::issue_branch(number),
            landed,
            created_at: issue.created_at,
            updated_at: issue.updated_at,
            ..self.pull.clone()
        };
        pull_upsert(tx, &pull).await.expect("a pull");
        let head = Head {
            issue: id,
            run: Some(run.id),
            ..self.head.clone()
        };
        head_insert(tx, &head).await.expect("a head");
        let verdict = Verdict {
            issue: id,
            run: run.id,
            ..self.verdict.clone()
        };
        verdict_insert(tx, &verdict).await.expect("a verdict");
        if phase == Phase::InReview {
            let size = nightshift_domain::size::Size::default();
            head_measure(tx, id, &head.head, &size)
                .await
                .expect("a size");
            let standing = Standing {
                issue: id,
                weight: self.standing.weight + number % 90,
                since: issue.updated_at,
                ..self.standing.clone()
            };
            standing_set(tx, &standing).await.expect("a standing");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is its own composition root"
)]
fn new() -> Uuid {
    Uuid::now_v7()
}
