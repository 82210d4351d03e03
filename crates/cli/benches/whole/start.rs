//! From an issue's readiness to the first instruction of its agent, with a warm cache and a free
//! slot, for trees of 100, 5,000 and 50,000 files.
//!
//! The agent `script` prints the time; the same command prints it in the raw sandbox. It then fails
//! on purpose, so that nothing is proved in between.

use std::time::{Duration, Instant, SystemTime};

use nightshift_api::issue::{IssuePath, NewIssue};
use nightshift_api::project::ProjectPath;
use nightshift_api::run::{RunPath, RunQuery};
use nightshift_api::{Nothing, operations};

use crate::floor::{self, percentiles};
use crate::house::{House, repository};
use crate::row;

const SIZES: [(usize, usize); 3] = [(100, 30), (5_000, 30), (50_000, 15)];
/// Runs before the first that counts: they fetch and check out.
const WARM: usize = 2;
const BODY: &str = "```sh\ndate +%s%N\nexit 1\n```\n";

struct Tree {
    size: usize,
    rounds: usize,
    project: String,
    commit: String,
    floor: Vec<f64>,
    ours: Vec<f64>,
}

pub(crate) async fn rows(house: &House) -> Vec<String> {
    let mut trees = Vec::new();
    for (size, rounds) in SIZES {
        let (path, project) = (house.path(&format!("tree-{size}")), format!("p{size}"));
        std::fs::create_dir_all(&path).expect("a folder");
        let commit = repository(&path, size);
        house.add(&path, &project);
        for _ in 0..WARM {
            once(house, &project).await;
        }
        let (floor, ours) = (Vec::new(), Vec::new());
        trees.push(Tree {
            size,
            rounds,
            project,
            commit,
            floor,
            ours,
        });
    }
    let most = SIZES.iter().map(|(_, rounds)| *rounds).max().unwrap_or(0);
    for round in 0..most {
        for tree in trees.iter_mut().filter(|tree| round < tree.rounds) {
            let lower = house.checkouts(&tree.commit).pop().expect("a checkout");
            let command = ["/bin/sh", "-c", "date +%s%N"];
            tree.floor
                .push(floor::once(&house.path(""), &lower, &command));
            tree.ours.push(once(house, &tree.project).await);
        }
    }
    let mut rows = Vec::new();
    let mut medians = Vec::new();
    for tree in &mut trees {
        let size = tree.size;
        let (o50, o99) = percentiles(&mut tree.ours);
        let (f50, f99) = percentiles(&mut tree.floor);
        let measure = |which| format!("ready → first instruction, {size} files, {which}");
        rows.push(row(&measure("p50"), o50, f50, "≤ 3"));
        rows.push(row(&measure("p99"), o99, f99, "≤ 8"));
        medians.push(o50);
    }
    let most = medians.iter().copied().fold(0.0, f64::max);
    let least = medians.iter().copied().fold(f64::MAX, f64::min);
    let measure = "the slowest of the three sizes against the fastest, p50";
    rows.push(row(measure, most, least, "≤ 1.2"));
    rows
}

/// One issue, from ready to the time that its agent printed, in milliseconds.
async fn once(house: &House, project: &str) -> f64 {
    let client = &house.client;
    let new = NewIssue {
        title: "what time is it".to_owned(),
        body: BODY.to_owned(),
        labels: Vec::new(),
        priority: None,
        assignee: None,
        agent: None,
        blocked_by: Vec::new(),
        acceptance: None,
        budget_micro_usd: None,
        budget_minutes: None,
        ready: false,
    };
    let path = ProjectPath {
        project: project.to_owned(),
    };
    let issue = client
        .call::<operations::IssueCreate>(&path, &Nothing {}, &new)
        .await
        .expect("an issue");
    let path = IssuePath {
        project: project.to_owned(),
        number: issue.line.number,
    };
    // The runner is back at the server's door.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begin = SystemTime::now();
    client
        .call::<operations::IssueReady>(&path, &Nothing {}, &Nothing {})
        .await
        .expect("ready");
    let query = RunQuery {
        project: Some(project.to_owned()),
        number: Some(issue.line.number),
        cursor: None,
        limit: None,
    };
    let waits = Instant::now();
    let run = loop {
        // Long enough to disturb nothing that is measured.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let runs = client
            .call::<operations::RunList>(&Nothing {}, &query, &Nothing {})
            .await
            .expect("runs");
        if let Some(run) = runs.items.into_iter().find(|run| run.state != "running") {
            break run;
        }
        assert!(waits.elapsed() < Duration::from_secs(120), "no run ended");
    };
    let path = RunPath { run: run.id };
    let log = client
        .bytes(&operations::LOG_READ, &path, &[], None)
        .await
        .expect("a log");
    let log = String::from_utf8_lossy(&log);
    let stamp = log
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() == 19);
    let stamp = stamp.unwrap_or_else(|| panic!("no time in the log: {log}"));
    let stamp = Duration::from_nanos(stamp.parse().expect("a number"));
    let begin = begin.duration_since(SystemTime::UNIX_EPOCH).expect("now");
    floor::millis(stamp - begin)
}
