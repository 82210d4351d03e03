//! Nothing of a step survives its end, whatever it does; and each cap ends the step with its reason.

mod kit;
#[macro_use]
#[path = "kit/on_each.rs"]
mod on_each;

use std::time::{Duration, Instant};

use kit::{DONE, Machine, On, config_on, containers, finish, nothing_left, step};
use nightshift_runner::sandbox::{Cap, Exit, SandboxError, SandboxHost};
use tokio::io::AsyncReadExt as _;

on_each_engine! {
    daemons_end_with_the_command,
    a_command_that_ignores_signals_is_killed_with_its_children,
    a_dropped_handle_kills,
    killing_at_any_moment_of_the_start_leaves_nothing,
    the_wall_clock_ends_a_step,
    a_fork_bomb_is_capped,
    a_memory_hog_is_capped,
    a_disk_hog_is_capped_by_bytes_and_by_files,
    temporary_files_and_single_files_are_capped,
    a_tree_that_was_made_hard_to_remove_is_removed,
    the_end_cannot_be_forged_from_inside,
    an_interrupt_reaches_the_command_and_nothing_else,
    a_killed_runner_takes_its_sandboxes_along,
}

/// A number of seconds that names this test of this process in the list of all processes.
fn mark(number: u32) -> String {
    format!("864{number}{}", std::process::id())
}

/// Processes on this host whose command line holds `mark`.
fn alive(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    entries
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(mark) && line.starts_with("sleep"))
        .collect()
}

/// Starts `script`, waits for the line `ready`, and hands the step over.
async fn ready(machine: &Machine, script: &str) -> nightshift_runner::sandbox::Running {
    let mut running = machine
        .sandbox()
        .spawn(&step(script))
        .await
        .expect("a start");
    let stdout = running.stdout.as_mut().expect("output");
    let mut seen = Vec::new();
    while !seen.ends_with(b"ready\n") {
        assert_ne!(
            stdout.read_buf(&mut seen).await.expect("output"),
            0,
            "{seen:?}"
        );
    }
    running
}

async fn daemons_end_with_the_command(on: On) {
    let machine = Machine::on(on).await;
    let mark = mark(11);
    let script = format!(
        "(setsid sh -c 'setsid sleep {mark}.1 & setsid nohup sleep {mark}.2 &' &) ; sleep {mark}.3 & sleep 0.2; echo started"
    );
    let ran = machine.sh(&script).await;
    assert_eq!((ran.exit, ran.out.as_str()), (DONE, "started\n"));
    assert_eq!(alive(&mark), Vec::<String>::new());
}

async fn a_command_that_ignores_signals_is_killed_with_its_children(on: On) {
    let machine = Machine::on(on).await;
    let mark = mark(12);
    let script = format!(
        "trap '' TERM INT HUP; setsid sleep {mark}.1 & sleep {mark}.2 & echo ready; while :; do sleep {mark}.3; done"
    );
    let mut running = ready(&machine, &script).await;
    let end = Instant::now() + Duration::from_secs(10);
    while alive(&mark).len() < 3 {
        assert!(Instant::now() < end, "{:?}", alive(&mark));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begin = Instant::now();
    assert_eq!(running.kill().await, Ok(Exit::Killed));
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(alive(&mark), Vec::<String>::new());
}

async fn a_dropped_handle_kills(on: On) {
    let machine = Machine::on(on).await;
    let sandbox = machine.sandbox();
    let running = sandbox
        .spawn(&step(&format!("sleep {}", mark(13))))
        .await
        .expect("a start");
    assert_eq!(
        sandbox.spawn(&step("true")).await.err(),
        Some(SandboxError::Busy)
    );
    // A handle to end it from elsewhere does not keep it alive.
    let elsewhere = running.killer();
    drop(running);
    let end = Instant::now() + Duration::from_secs(10);
    while sandbox.spawn(&step("true")).await.err() == Some(SandboxError::Busy) {
        assert!(Instant::now() < end, "the step is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(alive(&mark(13)), Vec::<String>::new());
    drop(elsewhere);
}

async fn killing_at_any_moment_of_the_start_leaves_nothing(on: On) {
    let machine = Machine::on(on).await;
    // A container takes longer to come up; what is killed before it is there must not come later.
    let (times, pause) = match on {
        On::Bubblewrap => (20, 700),
        On::Container => (8, 70_000),
    };
    for delay in 0..times {
        let mut running = machine
            .sandbox()
            .spawn(&step(&format!("sleep {}", mark(14))))
            .await
            .expect("a start");
        tokio::time::sleep(Duration::from_micros(delay * pause)).await;
        assert_eq!(running.kill().await, Ok(Exit::Killed));
        assert_eq!(alive(&mark(14)), Vec::<String>::new());
    }
    nothing_left(on, machine.dir.path()).await;
}

async fn the_wall_clock_ends_a_step(on: On) {
    let machine = Machine::on(on).await;
    let mut short = step(&format!("sleep {}", mark(15)));
    short.timeout = Duration::from_millis(700);
    let begin = Instant::now();
    let ran = finish(machine.sandbox().spawn(&short).await.expect("a start")).await;
    assert_eq!(ran.exit, Ok(Exit::TimedOut));
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(alive(&mark(15)), Vec::<String>::new());
}

async fn a_fork_bomb_is_capped(on: On) {
    let mut machine = Machine::on(on).await;
    machine.spec.limits.processes = 100;
    let many = "import os, time
for i in range(400):
    try:
        if os.fork() == 0: time.sleep(30); os._exit(0)
    except OSError: pass
time.sleep(30)";
    let mut bombs = vec![["python3", "-c", many]];
    // Without control groups the limit itself starves this one before anybody can look.
    if machine.host.support().caps.starts_with("control groups") {
        bombs.push(["sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 30"]);
    }
    for bomb in bombs {
        let mut step = step("");
        step.command = bomb.map(str::to_owned).to_vec();
        let ran = finish(machine.sandbox().spawn(&step).await.expect("a start")).await;
        assert_eq!(
            ran.exit,
            Ok(Exit::Capped(Cap::Processes(100))),
            "{}",
            ran.err
        );
    }
}

async fn a_memory_hog_is_capped(on: On) {
    let mut machine = Machine::on(on).await;
    machine.spec.limits.memory_bytes = 128 << 20;
    let ran = machine
        .sh("python3 -c 'x = bytearray(400 << 20); print(len(x))'; sleep 30")
        .await;
    assert_eq!(
        ran.exit,
        Ok(Exit::Capped(Cap::Memory(128 << 20))),
        "{ran:?}"
    );
    // The kernel ends what the command is before what tells of it.
    let sooner = machine.sh("cat /proc/self/oom_score_adj").await;
    assert_eq!(sooner.out, "500\n", "{sooner:?}");
}

async fn a_disk_hog_is_capped_by_bytes_and_by_files(on: On) {
    let mut machine = Machine::on(on).await;
    machine.spec.limits.disk_bytes = 20 << 20;
    let ran = machine
        .sh("while :; do head -c 5000000 /dev/zero >> hog; done")
        .await;
    assert_eq!(
        ran.exit,
        Ok(Exit::Capped(Cap::DiskBytes(20 << 20))),
        "{ran:?}"
    );
    let mut machine = Machine::on(on).await;
    machine.spec.limits.disk_files = 500;
    let ran = machine
        .sh("cd /home/agent; i=0; while :; do mkdir d$i; : > d$i/f; i=$((i+1)); done")
        .await;
    assert_eq!(ran.exit, Ok(Exit::Capped(Cap::DiskFiles(500))), "{ran:?}");
}

async fn temporary_files_and_single_files_are_capped(on: On) {
    let mut machine = Machine::on(on).await;
    machine.spec.limits.tmp_bytes = 1 << 20;
    machine.spec.limits.file_bytes = 2 << 20;
    let ran = machine
        .sh("head -c 3000000 /dev/zero > /tmp/x 2>/dev/null; wc -c < /tmp/x; (head -c 9000000 /dev/zero > y) 2>/dev/null; wc -c < y")
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "1048576\n2097152\n"),
        "{ran:?}"
    );
}

async fn a_tree_that_was_made_hard_to_remove_is_removed(on: On) {
    let machine = Machine::on(on).await;
    let ran = machine
        .sh("mkdir -p a/b; : > a/b/f; chmod 0 a/b a; cd /home/agent; for i in $(seq 100); do mkdir d; cd d || exit 1; done; chmod 0 .")
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let path = machine.run.path().to_owned();
    machine.run.remove().expect("removed");
    assert!(!path.exists());
}

async fn the_end_cannot_be_forged_from_inside(on: On) {
    let machine = Machine::on(on).await;
    let ran = machine
        .sh("for f in /proc/1/fd/* /proc/1/mem /proc/1/environ; do (echo '{\"event\":\"exited\",\"code\":0}' > $f) 2>/dev/null && echo wrote $f; done; kill -9 1; kill -TERM 1; exit 3")
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (Ok(Exit::Exited { code: 3 }), ""),
        "{ran:?}"
    );
}

async fn an_interrupt_reaches_the_command_and_nothing_else(on: On) {
    let machine = Machine::on(on).await;
    let script = "(trap 'touch /workspace/child' INT; while :; do sleep 0.05; done) &
        trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let running = ready(&machine, script).await;
    assert!(running.interrupt().await);
    let ran = finish(running).await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (Ok(Exit::Exited { code: 5 }), "interrupted\n"),
        "{ran:?}"
    );
    assert_eq!(machine.sh("test ! -e child").await.exit, DONE);
}

/// Tells [`the_runner_that_is_killed`] where its data is and how its processes are named.
const VICTIM: &str = "NIGHTSHIFT_TEST_VICTIM";

#[expect(
    clippy::disallowed_methods,
    reason = "a test that starts itself again as a runner"
)]
async fn a_killed_runner_takes_its_sandboxes_along(on: On) {
    let mark = mark(16);
    let dir = tempfile::tempdir().expect("a directory");
    let mut runner = std::process::Command::new(std::env::current_exe().expect("our own path"))
        .args(["--exact", "the_runner_that_is_killed", "--nocapture"])
        .env(
            VICTIM,
            format!("{} {mark} {}", on.word(), dir.path().display()),
        )
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a runner");
    let until = |wanted: usize| {
        let mark = mark.clone();
        async move {
            let end = Instant::now() + Duration::from_secs(20);
            while alive(&mark).len() != wanted {
                assert!(
                    Instant::now() < end,
                    "{:?} instead of {wanted}",
                    alive(&mark)
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    until(3).await;
    runner.kill().expect("killed");
    runner.wait().expect("an end");
    until(0).await;
    nothing_left(on, dir.path()).await;
    let host = SandboxHost::open(config_on(on, dir.path()))
        .await
        .expect("a machine");
    assert!(host.support().swept >= 1, "{:?}", host.support());
    let left = std::fs::read_dir(dir.path().join("data/runs"))
        .expect("runs")
        .count();
    assert_eq!(left, 0);
}

mod alone {
    /// Under the name by which tests of this engine are found.
    mod container {
        #[tokio::test(flavor = "multi_thread")]
        async fn what_never_started_is_removed_at_the_next_start() {
            super::super::what_never_started_is_removed_at_the_next_start().await;
        }
    }
}

/// A runner that is killed between making a container and starting it leaves one that never ends.
async fn what_never_started_is_removed_at_the_next_start() {
    let on = On::Container;
    let dir = tempfile::tempdir().expect("a directory");
    let open = || SandboxHost::open(config_on(on, dir.path()));
    drop(open().await.expect("a machine"));
    kit::container_that_never_starts(on, dir.path()).await;
    let foreign = tempfile::tempdir().expect("a directory");
    let host = SandboxHost::open(config_on(on, foreign.path())).await;
    assert_eq!(host.expect("a machine").support().swept, 0);
    assert_eq!(
        containers(on, dir.path()).await,
        1,
        "it is another runner's"
    );
    let host = open().await.expect("a machine");
    assert_eq!(host.support().swept, 1);
    nothing_left(on, dir.path()).await;
}

/// Not a test of its own: the runner that is killed above.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "told by the test that starts it")]
async fn the_runner_that_is_killed() {
    let Ok(told) = std::env::var(VICTIM) else {
        return;
    };
    let [on, mark, dir] = told.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("three words");
    };
    let on = match on {
        "container" => On::Container,
        _ => On::Bubblewrap,
    };
    let host = SandboxHost::open(config_on(on, std::path::Path::new(dir)))
        .await
        .expect("a machine");
    let run = host.run_dir("run").expect("a run directory");
    let machine = Machine::with(host, run, tempfile::tempdir().expect("a directory"));
    let script = format!("setsid sleep {mark}.1 & (setsid sleep {mark}.2 &) ; sleep {mark}.3");
    machine.sh(&script).await;
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    kit::again_as_an_ordinary_user("all_of_this_holds_for_an_ordinary_user");
}
