//! How runs end when something outside ends them, and that nothing of them is left.

use std::time::{Duration, Instant};

use nightshift_api::runner::{Complete, End};
use nightshift_domain::failure::Reason;
use nightshift_domain::transcript::Entry;

use super::house::House;

fn reason(complete: &Complete) -> Reason {
    match &complete.end {
        End::Failed { failure } => failure.reason,
        other => panic!("it did not fail: {other:?}"),
    }
}

/// How many processes have this word in their arguments.
pub(crate) fn alive(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(mark)
        })
        .count()
}

/// Waits for a process outside of our hands to go.
pub(crate) async fn gone(mark: &str, within: Duration) {
    let end = Instant::now() + within;
    while alive(mark) > 0 {
        assert!(Instant::now() < end, "{mark} is still alive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A shell block that says it is there and then ignores everything but SIGKILL.
pub(crate) fn stubborn(mark: &str) -> String {
    format!(
        "```sh\necho wip >a.txt\ntrap '' TERM INT HUP\nsetsid sh -c 'trap \"\" TERM; while :; do sleep 1000{mark}; done' &\necho {mark} is up\nwhile :; do sleep 1000{mark}; done\n```\n"
    )
}

pub(crate) async fn is_up(house: &House, run: nightshift_domain::id::RunId, mark: &str) {
    let words = format!("{mark} is up");
    house
        .server
        .until(run, "up", |run| run.text().contains(&words))
        .await;
    // What it starts last, it may still be about to start.
    let end = Instant::now() + Duration::from_secs(10);
    while alive(&format!("1000{mark}")) == 0 {
        assert!(Instant::now() < end, "{mark} does not sleep");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_the_agent_left_is_gone_when_the_run_ends() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author(
        "```sh\necho two >a.txt\n(setsid nohup sleep 10007101 >/dev/null 2>&1 &)\nsleep 0.1\n```\n",
    );
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert!(complete.attempt.is_some(), "{complete:?}");
    assert_eq!(alive("10007101"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_agent_that_ignores_signals_is_gone_at_once_and_its_work_is_kept() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author(&stubborn("7102"));
    let run = house.give(&order);
    is_up(house, run, "7102").await;
    let begun = Instant::now();
    house.server.cancel(run);
    let complete = house.server.ended(run).await;
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(complete.end, End::Stopped);
    assert_eq!(alive("10007102"), 0);
    let kept = complete.attempt.expect("what it had is kept");
    assert_eq!(house.git(&["show", &format!("{kept}:a.txt")]), "wip");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_broker_dies_ends_as_such_and_the_next_one_has_another() {
    let house = &mut House::empty(&[("a.txt", "one\n")]).await;
    let mut config = house.config();
    // A name of its own, by which it is found.
    let program = house.dir.path().join("the-broker");
    std::os::unix::fs::symlink(&config.broker.path, &program).unwrap();
    config.broker.path = program.clone();
    house.runner(config);
    let order = house.author(&stubborn("7105"));
    let run = house.give(&order);
    is_up(house, run, "7105").await;
    let mark = program.to_str().unwrap();
    let broker = pid(mark);
    nix::sys::signal::kill(broker, nix::sys::signal::Signal::SIGKILL).unwrap();
    let complete = house.server.ended(run).await;
    assert_eq!(reason(&complete), Reason::BrokerLost);
    assert_eq!(alive("10007105"), 0);
    let kept = complete.attempt.expect("what it had is kept");
    assert_eq!(house.git(&["show", &format!("{kept}:a.txt")]), "wip");
    assert_ne!(pid(mark), broker);
    let order = house.author("```sh\necho two >a.txt\n```\n");
    let run = house.give(&order);
    assert!(house.server.ended(run).await.attempt.is_some());
    house.drain().await;
    gone(mark, Duration::from_secs(5)).await;
}

/// The process with this word in its arguments.
fn pid(mark: &str) -> nix::unistd::Pid {
    let found = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    });
    let name = found.expect("a process").file_name().into_string().unwrap();
    nix::unistd::Pid::from_raw(name.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_epoch_kills_the_run_and_nothing_more_is_said_of_it() {
    let house = &mut House::empty(&[("a.txt", "one\n")]).await;
    let mut config = house.config();
    // Not because of silence.
    config.timing.cut_off = Duration::from_secs(600);
    house.runner(config);
    let order = house.author(&stubborn("7103"));
    let run = house.give(&order);
    is_up(house, run, "7103").await;
    house.server.take_away(run);
    gone("10007103", Duration::from_secs(10)).await;
    house.drain().await;
    let seen = house.server.run(run).unwrap();
    assert_eq!(seen.completions, []);
    assert!(house.git(&["for-each-ref", "refs/attempts"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_reach_for_the_time_of_the_lease_ends_the_sandbox() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author(&stubborn("7104"));
    let run = house.give(&order);
    is_up(house, run, "7104").await;
    house.server.set_down(true);
    let begun = Instant::now();
    gone("10007104", Duration::from_secs(10)).await;
    assert!(
        begun.elapsed() > Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    house.server.set_down(false);
    // The runner itself goes on.
    let order = house.author("```sh\necho two >a.txt\n```\n");
    let run = house.give(&order);
    assert!(house.server.ended(run).await.attempt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_a_while_gets_everything_when_it_is_back() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author(
        "```sh\necho first; sleep 1.5; for i in $(seq 3000); do echo line $i; done; echo two >a.txt\n```\n",
    );
    let run = house.give(&order);
    house
        .server
        .until(run, "heard", |run| run.text().contains("first"))
        .await;
    house.server.set_down(true);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    house.server.set_down(false);
    let complete = house.server.ended(run).await;
    assert!(complete.attempt.is_some(), "{complete:?}");
    let seen = house.server.run(run).unwrap();
    let lines: Vec<String> = seen
        .records()
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Output {
                text: Some(text), ..
            } if text.starts_with("line ") => Some(text),
            _ => None,
        })
        .collect();
    let expected: Vec<String> = (1..=3000).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, expected);
    assert_eq!(seen.completions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_writes_more_log_than_it_may_ends_alone() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut loud =
        house.author("```sh\necho two >a.txt\nwhile :; do echo far too much; done\n```\n");
    loud.limits.log_bytes = 200 << 10;
    let quiet = house.author("```sh\nsleep 2; echo three >a.txt\n```\n");
    let (loud, quiet) = (house.give(&loud), house.give(&quiet));
    let complete = house.server.ended(loud).await;
    assert_eq!(reason(&complete), Reason::LogLimit);
    assert!(complete.attempt.is_some(), "what it had is kept");
    let size = house.server.run(loud).unwrap().log.len();
    assert!(size <= 200 << 10 && size > 100 << 10, "{size}");
    assert!(house.server.ended(quiet).await.attempt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_clock_ends_a_run_and_its_work_is_kept() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author(&stubborn("7105"));
    order.limits.wall_s = 3;
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert_eq!(reason(&complete), Reason::TimeLimit);
    assert!(complete.attempt.is_some());
    assert_eq!(alive("10007105"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_gives_back_what_does_not_end_and_claims_nothing() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author(&stubborn("7106"));
    let run = house.give(&order);
    is_up(house, run, "7106").await;
    house.begin_drain();
    house.server.no_claim_open().await;
    let claims = house.server.claims();
    let waiting = house.author("```sh\necho two >a.txt\n```\n");
    let waiting = house.give(&waiting);
    house.drain().await;
    let complete = house.server.ended(run).await;
    assert_eq!(reason(&complete), Reason::Released);
    assert!(complete.attempt.is_some(), "what it had is kept");
    assert_eq!(alive("10007106"), 0);
    assert!(house.server.run(waiting).is_none(), "it was claimed");
    assert_eq!(house.server.claims(), claims);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_does_not_get_through_is_tried_again() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    house.server.set_no_push(true);
    let order = house.author("```sh\necho two >a.txt\n```\n");
    let run = house.give(&order);
    house
        .server
        .until(run, "refused", |run| run.text().contains("push ended with"))
        .await;
    house.server.set_no_push(false);
    let complete = house.server.ended(run).await;
    assert!(complete.attempt.is_some(), "{complete:?}");
    assert_eq!(
        house.git(&["rev-parse", &format!("refs/attempts/{run}")]),
        complete.attempt.unwrap().as_str()
    );
}
