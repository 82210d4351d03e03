//! From a claimed run to the first instruction in its sandbox, for trees of 100, 5,000 and 50,000
//! files, against the floor: one overlay mount and one bubblewrap with its own namespaces.
//!
//! Both are measured in turn in the same run, so that only the ratio counts. Prints rows of the
//! table that `cargo xtask bench` puts together: measure, ours, reference, ratio, bar. Run as root,
//! where a mount can be timed alone. Deliberately absent: the server; `nightshift`'s own benchmark
//! measures from an issue's readiness.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts the floor's programs itself"
)]

mod floor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{ProjectId, RunId};
use nightshift_runner::sandbox::{
    Backend, HostConfig, Limits, Sandbox, SandboxHost, SandboxProgram, Stdin, Step, System,
};
use nightshift_runner::secret::Secret;
use nightshift_runner::workspace::{Source, Workspaces};
use tokio::io::AsyncReadExt as _;

use floor::{millis, percentiles};

const ROUNDS: usize = 100;
const SIZES: [usize; 3] = [100, 5_000, 50_000];

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = HostConfig {
        program: SandboxProgram {
            path: PathBuf::from(env!("CARGO_BIN_EXE_nightshift-sandbox")),
            prefix_args: Vec::new(),
        },
        backend: Backend::Bubblewrap {
            program: PathBuf::from("/usr/bin/bwrap"),
        },
        data: dir.path().join("data"),
        read_only: Vec::new(),
    };
    let host = SandboxHost::open(config)
        .await
        .expect("a machine on which sandboxes work");
    let workspaces = Workspaces::new(Arc::clone(&host), "git".into());
    let mut trees = Vec::new();
    for (number, size) in (1_u128..).zip(SIZES) {
        let project = ProjectId(uuid::Uuid::from_u128(number));
        let commit = repository(dir.path(), project, size);
        let source = Source {
            project,
            url: String::new(),
            token: Secret::new(""),
        };
        workspaces
            .warm(&source, &commit)
            .await
            .expect("a warm checkout");
        let lower = host
            .data()
            .join(format!("projects/{project}/checkouts/{commit}/tree"));
        trees.push((size, source, commit, lower, Vec::new(), Vec::new()));
    }
    let mut runs = 0;
    for _ in 0..ROUNDS {
        for (_, source, commit, lower, floor, ours) in &mut trees {
            floor.push(floor::once(dir.path(), lower, &["/bin/echo", "x"]));
            runs += 1;
            let run = RunId(uuid::Uuid::from_u128(runs));
            ours.push(ours_once(&host, &workspaces, source, run, commit).await);
        }
    }
    let mut medians = Vec::new();
    for (size, .., mut floor, mut ours) in trees {
        let (f50, f99) = percentiles(&mut floor);
        let (o50, o99) = percentiles(&mut ours);
        for (which, ours, floor, bar) in [("p50", o50, f50, "≤ 3"), ("p99", o99, f99, "≤ 8")] {
            println!(
                "| claimed → first instruction, {size} files, {which} | {ours:.1} ms | {floor:.1} ms | {:.2} | {bar} |",
                ours / floor
            );
        }
        medians.push(o50);
    }
    let most = medians.iter().copied().fold(0.0, f64::max);
    let least = medians.iter().copied().fold(f64::MAX, f64::min);
    println!(
        "| the slowest of the three sizes against the fastest, p50 | {most:.1} ms | {least:.1} ms | {:.2} | ≤ 1.2 |",
        most / least
    );
}

/// A repository with `size` files, put where the runner would have fetched it.
fn repository(dir: &Path, project: ProjectId, size: usize) -> ObjectId {
    let work = dir.join(format!("work-{size}"));
    for number in 0..size {
        let path = work.join(format!("d{}/f{number}.txt", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        }
        fs::write(path, format!("file {number}\n").repeat(20)).expect("a file");
    }
    git(&work, &["init", "-q", "."]);
    git(&work, &["add", "-A"]);
    git(
        &work,
        &[
            "-c",
            "user.name=B",
            "-c",
            "user.email=b@example.com",
            "commit",
            "-q",
            "-m",
            "b",
        ],
    );
    let commit = git(&work, &["rev-parse", "HEAD"]);
    let mirror = dir.join(format!("data/projects/{project}/mirror.git"));
    fs::create_dir_all(mirror.parent().expect("a parent")).expect("directories");
    git(
        &work,
        &["clone", "-q", "--bare", ".", &mirror.display().to_string()],
    );
    git(
        &mirror,
        &[
            "update-ref",
            &format!("refs/keep/{}", commit.trim()),
            commit.trim(),
        ],
    );
    commit.trim().parse().expect("an id")
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .output()
        .expect("git");
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// A workspace and a sandbox until its command's first byte.
async fn ours_once(
    host: &Arc<SandboxHost>,
    workspaces: &Workspaces,
    source: &Source,
    run: RunId,
    commit: &ObjectId,
) -> f64 {
    let step = Step {
        command: ["/bin/echo", "x"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        system: System::Machine,
        stdin: Stdin::Closed,
        timeout: Duration::from_secs(60),
    };
    let begin = Instant::now();
    let workspace = workspaces
        .prepare(source, run, commit)
        .await
        .expect("a workspace");
    assert_eq!(workspace.adjust(), None);
    let sandbox = Sandbox::new(Arc::clone(host), workspace.spec(Limits::default()));
    let mut running = sandbox.spawn(&step).await.expect("a start");
    let stdout = running.stdout.as_mut().expect("output");
    let mut byte = [0];
    stdout.read_exact(&mut byte).await.expect("a byte");
    let took = begin.elapsed();
    running.wait().await.expect("an end");
    workspace.remove().expect("removed");
    millis(took)
}
