//! From a claimed run to the first instruction in its sandbox, for trees of 100, 5,000 and 50,000
//! files, against the floor: one overlay mount and one bubblewrap with its own namespaces.
//!
//! Both are measured in turn in the same run, so that only the ratio counts. Prints one line per
//! tree; the bars are 3 times the floor at the median and 8 times at the 99th percentile, and
//! medians of the sizes within 20 % of each other. Run as root, where a mount can be timed alone.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts the floor's programs itself"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{ProjectId, RunId};
use nightshift_runner::sandbox::{
    HostConfig, Limits, Sandbox, SandboxHost, SandboxProgram, Stdin, Step,
};
use nightshift_runner::secret::Secret;
use nightshift_runner::workspace::{Source, Workspaces};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tokio::io::AsyncReadExt as _;

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
        bwrap: PathBuf::from("/usr/bin/bwrap"),
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
            floor.push(floor_once(dir.path(), lower));
            runs += 1;
            let run = RunId(uuid::Uuid::from_u128(runs));
            ours.push(ours_once(&host, &workspaces, source, run, commit).await);
        }
    }
    println!(
        "{:>7} {:>22} {:>22} {:>13}",
        "files", "floor p50/p99 ms", "ours p50/p99 ms", "ratio p50/p99"
    );
    let mut medians = Vec::new();
    for (size, .., mut floor, mut ours) in trees {
        let (f50, f99) = percentiles(&mut floor);
        let (o50, o99) = percentiles(&mut ours);
        println!(
            "{size:>7} {f50:>13.2} / {f99:<6.2} {o50:>13.2} / {o99:<6.2} {:>5.2} / {:<5.2}",
            o50 / f50,
            o99 / f99
        );
        medians.push(o50);
    }
    let most = medians.iter().copied().fold(0.0, f64::max);
    let least = medians.iter().copied().fold(f64::MAX, f64::min);
    println!(
        "spread of the medians: {:.0} %",
        (most / least - 1.0) * 100.0
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

/// One mount in a namespace of its own, and one bubblewrap until its command's first byte.
fn floor_once(dir: &Path, lower: &Path) -> f64 {
    let (base, lower) = (dir.join("floor"), lower.to_owned());
    let mounted = std::thread::spawn(move || {
        for part in ["upper", "work", "merged"] {
            fs::create_dir_all(base.join(part)).expect("directories");
        }
        unshare(CloneFlags::CLONE_NEWNS).expect("a namespace; run as root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private");
        let merged = base.join("merged");
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            base.join("upper").display(),
            base.join("work").display()
        );
        let begin = Instant::now();
        mount(
            Some("overlay"),
            &merged,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .expect("a mount");
        let took = begin.elapsed();
        umount2(&merged, MntFlags::empty()).expect("unmounted");
        took
    });
    let mounted = mounted.join().expect("a mount");
    let begin = Instant::now();
    let mut child = Command::new("/usr/bin/bwrap")
        .args([
            "--unshare-all",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--cap-drop",
            "ALL",
            "--die-with-parent",
            "--new-session",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/bin",
            "/bin",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--ro-bind",
            "/etc",
            "/etc",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--bind",
        ])
        .arg(dir)
        .args(["/workspace", "--chdir", "/workspace", "/bin/echo", "x"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bubblewrap");
    let mut byte = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("output"), &mut byte).expect("a byte");
    let took = mounted + begin.elapsed();
    child.wait().expect("an end");
    millis(took)
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

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn percentiles(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() * 99 / 100])
}
