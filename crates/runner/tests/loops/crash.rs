//! A runner that is killed or paused by force: a process of its own, started from this program.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::end::{alive, gone, is_up, stubborn};
use super::house::{House, NOW, config, container};

const SERVER: &str = "NIGHTSHIFT_TEST_SERVER";
const DATA: &str = "NIGHTSHIFT_TEST_DATA";
const CONTAINER: &str = "NIGHTSHIFT_TEST_CONTAINER";
const RUNNER: &str = "crash::the_runner_itself";

/// The other process; on its own this test has nothing to do.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "told by the test that starts it")]
async fn the_runner_itself() {
    let (Ok(server), Ok(data)) = (std::env::var(SERVER), std::env::var(DATA)) else {
        return;
    };
    let mut config = config(&server, data.as_ref());
    if std::env::var_os(CONTAINER).is_some() {
        config.backend = container();
    }
    nightshift_runner::run(config, Arc::new(|| NOW), CancellationToken::new())
        .await
        .unwrap();
}

/// Killed when dropped.
pub(crate) struct Runner(Child);

impl Runner {
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself")]
    pub(crate) fn start(house: &House, engine: Option<&str>) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .envs(engine.map(|engine| (CONTAINER, engine)))
            .args(["--exact", RUNNER, "--nocapture"])
            .env(SERVER, &house.server.address)
            .env(DATA, house.dir.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Stops it, and returns when no thread of it runs any more: a stop signal takes its time.
    async fn sleeps(&self) {
        self.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.0.id());
        let stopped = || {
            std::fs::read_dir(&tasks).unwrap().all(|task| {
                let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
                stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().trim().starts_with('T'))
            })
        };
        for _ in 0..500 {
            if stopped() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the runner does not stop");
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_leaves_no_process_and_the_next_one_goes_on() {
    let house = &mut House::empty(&[("a.txt", "one\n")]).await;
    let runner = Runner::start(house, None);
    let mut order = house.author(&stubborn("7107"));
    let run = house.give(&order);
    is_up(house, run, "7107").await;
    runner.signal(Signal::SIGKILL);
    drop(runner);
    gone("10007107", Duration::from_secs(15)).await;
    // What the server had acknowledged it still has; the job's next run is another one.
    house.server.take_away(run);
    let runner = Runner::start(house, None);
    let next = house.author("```sh\necho two >a.txt\n```\n");
    order.run = next.run;
    order.epoch = 2;
    order.token = next.token;
    order.author = next.author;
    house.give(&order);
    let complete = house.server.ended(order.run).await;
    assert_eq!((complete.epoch, complete.attempt.is_some()), (2, true));
    let data = house.dir.path().join("data");
    let left: Vec<_> = std::fs::read_dir(data.join("spool")).unwrap().collect();
    assert!(left.len() <= 1, "{left:?}");
    assert!(!data.join("runs").join(run.to_string()).exists());
    drop(runner);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_slept_through_its_lease_says_nothing_of_the_run() {
    let house = &mut House::empty(&[("a.txt", "one\n")]).await;
    let runner = Runner::start(house, None);
    let order = house.author(&stubborn("7108"));
    let run = house.give(&order);
    is_up(house, run, "7108").await;
    runner.sleeps().await;
    house.server.take_away(run);
    tokio::time::sleep(super::house::timing().cut_off).await;
    let before = house.server.run(run).unwrap();
    assert!(alive("10007108") > 0);
    runner.signal(Signal::SIGCONT);
    gone("10007108", Duration::from_secs(15)).await;
    // It lives on: the next order is carried out.
    let next = house.author("```sh\necho two >a.txt\n```\n");
    let next = house.give(&next);
    assert!(house.server.ended(next).await.attempt.is_some());
    let after = house.server.run(run).unwrap();
    assert_eq!(after.completions, []);
    assert_eq!(after.log, before.log);
    assert!(!house.git(&["for-each-ref"]).contains(&run.to_string()));
}
