//! Whole runs in containers: what an author's run brings, its proof, words in the middle of a turn,
//! and a runner that is killed.

use std::time::{Duration, Instant};

use nightshift_api::runner::End;
use nightshift_domain::check::Outcome;
use nix::sys::signal::Signal;

use super::crash::Runner;
use super::end::{gone, is_up, stubborn};
use super::house::{House, check, container, sealed};

/// How many processes see something of the house's runs in a place of their own: those of containers.
fn containers(house: &House) -> usize {
    let name = house.dir.path().file_name().unwrap().to_string_lossy();
    let shown = format!("{name}/data/runs/");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("mountinfo")).ok())
        .filter(|mounts| mounts.contains(&shown))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_and_the_proof_of_what_it_brought() {
    let house = &mut House::empty(&[("a.txt", "one\n"), ("t.sh", "grep -q two a.txt\n")]).await;
    let mut config = house.config();
    config.backend = container();
    house.runner(config);
    let mut order = house.author(
        "```sh\nprintf 'one\\ntwo\\n' >a.txt\nmkdir new && echo x >new/x\nid -u; echo \"$NIGHTSHIFT_RUN_TOKEN\"\n```\n",
    );
    order.environment.setup = Some("echo ready >/workspace/ready; git status --short".to_owned());
    order.checks = vec![check("test", "sh t.sh && test -f ready")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let text = house.server.run(run).unwrap().text();
    let (End::Authored { self_checks, .. }, Some(attempt)) = (&complete.end, &complete.attempt)
    else {
        panic!("no change was brought: {complete:?}\n{text}");
    };
    assert_eq!(self_checks[0].outcome, Outcome::Passed, "{text}");
    let changed = house.git(&["show", "--format=", "--name-only", attempt.as_str()]);
    assert_eq!(changed, "a.txt\nnew/x\nready");
    assert!(!text.contains("run-token"), "{text}");

    let mut proof = house.verify(attempt);
    proof.acceptance = Some(sealed("sealed/t.sh", "sh t.sh\n", "sh sealed/t.sh"));
    proof.checks = vec![
        check("good", "cat a.txt"),
        check(
            "alone",
            "env | grep -c NIGHTSHIFT; ls /nightshift/sockets; cat /proc/net/tcp | wc -l",
        ),
        check("loud", "echo to-the-error-output >/dev/stderr; exit 3"),
    ];
    let run = house.give(&proof);
    let End::Proved { report } = house.server.ended(run).await.end else {
        panic!("{}", house.server.run(run).unwrap().text());
    };
    let base = report.acceptance_on_base.unwrap();
    assert_eq!(base.outcome, Outcome::Failed { code: 1 });
    assert!(report.acceptance_on_head.unwrap().passed());
    assert_eq!(report.checks[0].output_tail, "one\ntwo\n");
    // The door is gone, and only the proxy listens.
    assert_eq!(report.checks[1].output_tail, "0\nnetwork\n2\n");
    assert_eq!(report.checks[2].outcome, Outcome::Failed { code: 3 });
    assert_eq!(report.checks[2].output_tail, "to-the-error-output\n");
    house.drain().await;
    assert_eq!(containers(house), 0);
    let left = std::fs::read_dir(house.dir.path().join("data/runs")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_leaves_no_container() {
    let house = &mut House::empty(&[("a.txt", "one\n")]).await;
    // It must be there before the runner, which is about to be killed, would start it.
    drop(container());
    let runner = Runner::start(house, Some("container"));
    let order = house.author(&stubborn("7109"));
    let run = house.give(&order);
    is_up(house, run, "7109").await;
    assert!(containers(house) > 0);
    runner.signal(Signal::SIGKILL);
    drop(runner);
    gone("10007109", Duration::from_secs(15)).await;
    let end = Instant::now() + Duration::from_secs(15);
    while containers(house) > 0 {
        assert!(Instant::now() < end, "a container is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
