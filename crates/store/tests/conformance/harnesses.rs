//! Jobs whose agent needs a harness, and claims of runners that have others.

use nightshift_domain::config::Config;
use nightshift_domain::id::JobId;
use nightshift_domain::job::{Event, Kind, Phase};
use nightshift_domain::route::Runner as Able;
use nightshift_store::*;
use tokio::task::JoinSet;

use crate::world::{World, at};

/// A runner with these harnesses.
fn with(harnesses: &[&str]) -> Able {
    let names = harnesses.iter().map(|&name| name.to_owned());
    Able {
        kinds: None,
        harnesses: Some(names.collect()),
        images: false,
        draining: false,
    }
}

fn contained(harnesses: &[&str]) -> Able {
    Able {
        images: true,
        ..with(harnesses)
    }
}

/// Settings with an agent of each of these names and harnesses.
fn agents(image: bool, agents: &[(&str, &str)]) -> Config {
    let mut text = String::new();
    if image {
        text.push_str("[environment]\nimage = \"team/base:1\"\n");
    }
    for (name, harness) in agents {
        text.push_str(&format!(
            "[[agent]]\nname = \"{name}\"\nharness = \"{harness}\"\n"
        ));
        if *harness == "native" {
            text.push_str("model = \"m\"\n");
        }
    }
    Config::parse(&text).expect("a file")
}

const USUAL: &[(&str, &str)] = &[
    ("claude", "claude-code"),
    ("other", "claude-code"),
    ("codex", "codex"),
    ("own", "native"),
];

async fn configure(w: &World, project: &Project, config: &Config) {
    let mut tx = w.db.write().await.unwrap();
    project_set_config(&mut tx, project.id, config, None, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn give(w: &World, issue: &mut Issue, agent: &str) {
    let mut tx = w.db.write().await.unwrap();
    issue.agent = agent.to_owned();
    issue_save(&mut tx, issue, at(1)).await.unwrap();
    issue.version += 1;
    job_set_agent(&mut tx, issue.id, agent).await.unwrap();
    tx.commit().await.unwrap();
}

/// What each of the claims that follow takes, by the place in `put`, until there is nothing.
async fn taken(w: &World, put: &[JobId], runner: &Runner, has: &Able) -> Vec<usize> {
    let mut order = Vec::new();
    loop {
        let mut tx = w.db.write().await.unwrap();
        let next = job_claim_next(&mut tx, Kind::ALL, has, at(100))
            .await
            .unwrap();
        let Some(job) = next else {
            tx.commit().await.unwrap();
            return order;
        };
        order.push(put.iter().position(|id| *id == job.id).unwrap());
        w.claim_in(&mut tx, job, runner.id, at(100)).await;
        tx.commit().await.unwrap();
    }
}

/// A project with [`USUAL`] agents, and a job for each of these, in an issue of its own.
async fn queued(w: &World, wanted: &[&str]) -> (Project, Vec<Issue>, Vec<JobId>) {
    let user = w.user("alice").await;
    let project = w.project("p").await;
    configure(w, &project, &agents(false, USUAL)).await;
    let (mut issues, mut put) = (Vec::new(), Vec::new());
    for (number, agent) in (1..).zip(wanted) {
        let mut issue = w.draft(&project, &user, number);
        issue.agent = (*agent).to_owned();
        w.file(&issue).await;
        let job = w.order(&issue, number);
        w.queue(&job).await;
        put.push(job.id);
        issues.push(issue);
    }
    (project, issues, put)
}

pub(crate) async fn what_a_runner_lacks_is_left_to_another(w: World) {
    let runner = w.runner("r").await;
    let wanted = ["claude", "codex", "script", "other", "gone", "codex"];
    let (_, issues, put) = queued(&w, &wanted).await;
    // Only an author starts an agent.
    let mut proof = w.order(&issues[0], 0);
    proof.kind = Kind::Verify;
    w.queue(&proof).await;
    let put = [put, vec![proof.id]].concat();
    assert_eq!(taken(&w, &put, &runner, &with(&[])).await, [6, 4]);
    assert_eq!(taken(&w, &put, &runner, &with(&["script"])).await, [2]);
    assert_eq!(taken(&w, &put, &runner, &with(&["codex"])).await, [1, 5]);
    // What is noted and what is not come in one order, whoever takes it.
    let between = w.order(&issues[3], 2);
    w.queue(&between).await;
    let put = [put, vec![between.id]].concat();
    let all = taken(&w, &put, &runner, &Able::default()).await;
    assert_eq!(all, [0, 7, 3]);
}

pub(crate) async fn settings_and_agents_that_change_count_for_what_is_queued(w: World) {
    let runner = w.runner("r").await;
    let (project, mut issues, put) = queued(&w, &["claude", "other", "codex"]).await;
    let codex = with(&["codex"]);
    let claude = with(&["claude-code"]);
    let none = [0_usize; 0];
    // Noted, then the agent is driven otherwise.
    assert_eq!(taken(&w, &put, &runner, &with(&[])).await, none);
    let changed = agents(
        false,
        &[
            ("claude", "codex"),
            ("other", "claude-code"),
            ("codex", "codex"),
        ],
    );
    configure(&w, &project, &changed).await;
    assert_eq!(taken(&w, &put, &runner, &codex).await, [0, 2]);
    // Noted, then the issue is given to another agent, and back.
    assert_eq!(taken(&w, &put, &runner, &codex).await, none);
    give(&w, &mut issues[1], "codex").await;
    assert_eq!(taken(&w, &put, &runner, &claude).await, none);
    give(&w, &mut issues[1], "other").await;
    assert_eq!(taken(&w, &put, &runner, &codex).await, none);
    let mut tx = w.db.write().await.unwrap();
    let found = job_claim_next(&mut tx, Kind::ALL, &claude, at(100))
        .await
        .unwrap();
    let (mut back, _) = w
        .claim_in(&mut tx, found.unwrap(), runner.id, at(100))
        .await;
    tx.commit().await.unwrap();
    // Given to another agent while a runner has it: it counts once the job comes back.
    give(&w, &mut issues[1], "codex").await;
    let mut tx = w.db.write().await.unwrap();
    back.state = back.state.apply(Event::Expire, at(9_000)).unwrap();
    back.state.phase = Phase::Queued {
        not_before: None,
        after: None,
    };
    job_save(&mut tx, &back, at(9_000)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(taken(&w, &put, &runner, &claude).await, none);
    assert_eq!(taken(&w, &put, &runner, &codex).await, [1]);
}

pub(crate) async fn an_image_brings_the_program(w: World) {
    let runner = w.runner("r").await;
    let (project, _, put) = queued(&w, &["claude", "own", "script"]).await;
    let none = [0_usize; 0];
    let (bare, without) = (with(&["script"]), contained(&["script"]));
    // Noted without an image.
    assert_eq!(taken(&w, &put, &runner, &with(&[])).await, none);
    configure(&w, &project, &agents(true, USUAL)).await;
    assert_eq!(taken(&w, &put, &runner, &bare).await, none);
    assert_eq!(taken(&w, &put, &runner, &contained(&[])).await, [0]);
    assert_eq!(taken(&w, &put, &runner, &with(&["native"])).await, none);
    assert_eq!(taken(&w, &put, &runner, &without).await, [2]);
    // Noted with one.
    assert_eq!(taken(&w, &put, &runner, &without).await, none);
    configure(&w, &project, &agents(false, USUAL)).await;
    assert_eq!(taken(&w, &put, &runner, &without).await, none);
    assert_eq!(taken(&w, &put, &runner, &with(&["native"])).await, [1]);
}

/// After the first claim that came upon them, a claim reads none of them; counted in rows, since
/// time is the machine's.
pub(crate) async fn many_that_need_a_harness_cost_a_claim_nothing(w: World) {
    const MANY: i64 = 2_500;
    let (_, issues, put) = queued(&w, &["claude", "other", "codex"]).await;
    let mut tx = w.db.write().await.unwrap();
    for created in 10..MANY + 10 {
        let issue = &issues[usize::from(created % 2 == 0)];
        job_insert(&mut tx, &w.order(issue, created)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let codex = with(&["codex"]);
    let runner = w.runner("r").await;
    assert_eq!(taken(&w, &put, &runner, &codex).await, [2]);
    let last = w.order(&issues[2], MANY + 10);
    w.queue(&last).await;
    w.raw("CREATE TABLE counted (one BIGINT CHECK (one = 1))")
        .await
        .unwrap();
    let unnoted = "INSERT INTO counted SELECT COUNT(*) FROM jobs WHERE phase = 'queued' AND image = 0 AND harness = ''";
    w.raw(unnoted).await.unwrap();
    assert_eq!(taken(&w, &[last.id], &runner, &codex).await, [0]);
}

/// Whatever changes while claims make their notes, no note outlives its cause: at last a runner that
/// has what is needed by then takes everything.
pub(crate) async fn no_note_outlives_its_cause(w: World) {
    const ROUNDS: usize = 30;
    let wanted = ["claude", "other", "codex", "claude", "other", "codex"];
    let (project, issues, put) = queued(&w, &wanted).await;
    let settings = [
        agents(false, USUAL),
        agents(true, USUAL),
        agents(
            false,
            &[
                ("claude", "codex"),
                ("other", "codex"),
                ("codex", "claude-code"),
            ],
        ),
    ];
    let mut tasks = JoinSet::new();
    for has in [
        with(&[]),
        with(&["codex"]),
        contained(&[]),
        contained(&["codex"]),
    ] {
        let w = w.clone();
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let mut tx = w.db.write().await.unwrap();
                // Two that wait for each other are told to try again.
                if job_claim_next(&mut tx, Kind::ALL, &has, at(100))
                    .await
                    .is_ok()
                {
                    drop(tx.commit().await);
                }
            }
        });
    }
    {
        let (w, project, settings) = (w.clone(), project.clone(), settings.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                configure(&w, &project, &settings[round % settings.len()]).await;
            }
        });
    }
    {
        let (w, mut issues) = (w.clone(), issues.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                let at = round % issues.len();
                let agent = ["codex", "claude", "own"][round % 3];
                give(&w, &mut issues[at], agent).await;
            }
        });
    }
    tasks.join_all().await;
    configure(&w, &project, &settings[0]).await;
    let mut tx = w.db.read().await.unwrap();
    let mut needed = Vec::new();
    for issue in &issues {
        let now = issue_get(&mut tx, issue.id).await.unwrap().unwrap();
        let config = &settings[0];
        needed.push(config.agent(&now.agent).unwrap().harness.as_str());
    }
    drop(tx);
    let runner = w.runner("r").await;
    let mut left: Vec<usize> = (0..put.len()).collect();
    for harness in ["claude-code", "codex", "native"] {
        let got = taken(&w, &put, &runner, &with(&[harness])).await;
        let expected: Vec<usize> = (0..put.len())
            .filter(|place| needed[*place] == harness)
            .collect();
        assert_eq!(got, expected, "{harness}: {needed:?}");
        left.retain(|place| !got.contains(place));
    }
    assert_eq!(left, [0_usize; 0]);
}
