//! Proof runs: raw results on exactly one commit.

use nightshift_api::runner::{Complete, End, SecretOrder, WorkOrder};
use nightshift_domain::check::{Acceptance, Outcome, ProofReport};
use nightshift_domain::job::Kind;
use nightshift_domain::tryout;

use super::house::{House, check, commit, sealed};

fn report(complete: Complete) -> ProofReport {
    match complete.end {
        End::Proved { report } => report,
        other => panic!("nothing was proved: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_runs_on_the_head_and_the_sealed_tests_also_on_the_base() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let parents = [house.base.clone()];
    let head = commit(
        &house.server,
        &parents,
        &[("a.txt", "two\n"), ("sealed/t.sh", "exit 0\n")],
    )
    .await;
    let mut order = house.verify(&head);
    order.environment.setup = Some("echo ready >ready".to_owned());
    order.acceptance = Some(sealed(
        "sealed/t.sh",
        "test -f ready && grep -q two a.txt\n",
        "sh sealed/t.sh",
    ));
    order.checks = vec![
        check("good", "cat ready a.txt"),
        check("bad", "printf 'caf\\303\\251 \\377'; exit 4"),
        check("slow", "sleep 60"),
        check(
            "alone",
            "env | grep -c NIGHTSHIFT; ls /nightshift/sockets; cat /proc/net/tcp | wc -l; \
             curl -s -o /dev/null -w '%{http_code}\\n' http://pkgs.example.com/",
        ),
    ];
    order.checks[2].timeout_s = 1;
    let run = house.give(&order);
    let report = report(house.server.ended(run).await);
    assert_eq!(report.head, head);
    assert!(report.setup.unwrap().passed());
    let base = report.acceptance_on_base.unwrap();
    assert_eq!(
        (base.outcome, base.commit),
        (Outcome::Failed { code: 1 }, house.base.clone())
    );
    let on_head = report.acceptance_on_head.unwrap();
    assert_eq!(
        (on_head.outcome, on_head.commit),
        (Outcome::Passed, head.clone())
    );
    let outcomes: Vec<_> = report.checks.iter().map(|c| c.outcome.clone()).collect();
    assert_eq!(
        outcomes[..3],
        [
            Outcome::Passed,
            Outcome::Failed { code: 4 },
            Outcome::TimedOut
        ]
    );
    assert_eq!(report.checks[0].output_tail, "ready\ntwo\n");
    assert_eq!(report.checks[1].output_tail, "café \u{fffd}\n");
    // No token, and nothing that listens but the proxy, which refuses everything where nobody allowed
    // anything.
    assert_eq!(report.checks[3].output_tail, "0\nnetwork\n2\n403\n");

    // A trial proves a merged tree; on its base nothing has to be red.
    let trial = house.trial(&head, &order);
    let run = house.give(&trial);
    let report = self::report(house.server.ended(run).await);
    assert_eq!(report.acceptance_on_base, None);
    assert!(report.acceptance_on_head.unwrap().passed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_fails_on_the_head_is_a_result_and_not_a_failure_of_the_run() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let parents = [house.base.clone()];
    let head = commit(&house.server, &parents, &[("a.txt", "two\n")]).await;
    let mut order = house.verify(&head);
    order.environment.setup = Some("grep -q one a.txt".to_owned());
    order.checks = vec![check("test", "true")];
    let run = house.give(&order);
    let report = report(house.server.ended(run).await);
    assert_eq!(report.setup.unwrap().outcome, Outcome::Failed { code: 1 });
    assert_eq!(report.checks, []);
}

/// A tryout on the base, by tests with this command and content.
async fn tried(
    house: &mut House,
    run: &str,
    content: &str,
    change: impl FnOnce(&mut WorkOrder),
) -> Complete {
    let base = house.base.clone();
    let mut order = house.verify(&base);
    order.kind = Kind::Tryout;
    order.acceptance = Some(sealed("tests/t.sh", content, run));
    change(&mut order);
    let run = house.give(&order);
    house.server.ended(run).await
}

/// What the platform makes of it.
fn words(complete: &Complete, acceptance: &Acceptance) -> String {
    match &complete.end {
        End::Tried { report } => tryout::read(report, acceptance).words(false),
        other => panic!("nothing was tried: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_tests_are_tried_on_the_base_for_real() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let run = "sh tests/t.sh";
    for (command, content, expected) in [
        (run, "grep -q two a.txt\n", "red as expected"),
        (run, "grep -q one a.txt\n", "already green"),
        (
            run,
            "frobnicate --all\n",
            "does not run: the program `frobnicate` is missing",
        ),
        (
            run,
            "if grep -q two a.txt; then\n",
            "does not run: the tests have a syntax error",
        ),
        (
            "tests/t.sh",
            "exit 1\n",
            "does not run: a file that the command starts is not executable",
        ),
        (
            "sh tests/other.sh",
            "exit 1\n",
            "does not run: the file `tests/other.sh` is neither sealed nor on the base",
        ),
    ] {
        let complete = tried(house, command, content, |_| {}).await;
        let acceptance = sealed("tests/t.sh", content, command);
        assert_eq!(words(&complete, &acceptance), expected, "{complete:?}");
    }
    // It hangs, and is ended.
    let complete = tried(house, run, "sleep 600\n", |order| {
        order.acceptance.as_mut().unwrap().timeout_s = 2;
    })
    .await;
    let acceptance = sealed("tests/t.sh", "sleep 600\n", run);
    assert_eq!(
        words(&complete, &acceptance),
        "does not run: they did not end within their time"
    );
    // Nothing is set up: the tests are not run at all.
    let complete = tried(house, run, "touch /tmp/ran\n", |order| {
        order.environment.setup = Some("echo no such package; exit 3".to_owned());
    })
    .await;
    let acceptance = sealed("tests/t.sh", "touch /tmp/ran\n", run);
    assert_eq!(
        words(&complete, &acceptance),
        "does not run: the project's set-up command fails on the base"
    );
    let End::Tried { report } = &complete.end else {
        panic!("{complete:?}");
    };
    assert!(report.acceptance.is_none());
    assert!(
        report
            .setup
            .as_ref()
            .unwrap()
            .output_tail
            .contains("no such package")
    );
}

const VALUE: &str = "Swordfish/is+the word-42";

fn secret(steps: &[&str]) -> SecretOrder {
    SecretOrder {
        name: "DB_PASSWORD".to_owned(),
        value: VALUE.to_owned(),
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_the_steps_that_are_named_and_in_no_log_in_no_form() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let parents = [house.base.clone()];
    let head = commit(&house.server, &parents, &[("a.txt", "two\n")]).await;
    let mut order = house.verify(&head);
    order.secrets = vec![secret(&["setup", "loud"])];
    order.environment.setup = Some("printf %s \"$DB_PASSWORD\" >kept".to_owned());
    order.checks = vec![
        check("quiet", "test -z \"${DB_PASSWORD+set}\""),
        check(
            "loud",
            "test \"$DB_PASSWORD\" = \"$(cat kept)\" || exit 3\n\
             echo \"plain $DB_PASSWORD after\"\n\
             for before in '' x xx; do printf '%s%s' \"$before\" \"$DB_PASSWORD\" | base64; done\n\
             printf %s \"$DB_PASSWORD\" | od -An -tx1\n\
             printf %s \"$DB_PASSWORD\" | fold -w1\n\
             printf %s \"$DB_PASSWORD\" | sed 's/./&\\x1b[0m/g'; echo\n\
             printf %s \"$DB_PASSWORD\" | cut -c1-17\n\
             printf %s \"$DB_PASSWORD\" | dd bs=5 2>/dev/null; sleep 0.2; echo\n\
             echo \"$DB_PASSWORD\" >&2",
        ),
        // What a step wrote down another step may print.
        check("later", "cat kept; echo"),
    ];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let log = house.server.run(run).expect("a run").text();
    let said = format!("{complete:?}\n{log}");
    let report = report(complete);
    for check in &report.checks {
        assert!(check.passed(), "{check:?}");
    }
    let plain: String = said
        .split_whitespace()
        .collect::<String>()
        .replace("\\n", "");
    for part in [
        "Swordfish/is",
        "is+theword",
        "U3dvcmRmaXNo",
        "53776f7264",
        "Swo\u{1b}",
    ] {
        assert!(!plain.contains(part), "{part} is in what was told: {said}");
    }
    assert!(log.contains("plain *** after"), "{log}");
    assert_eq!(report.checks[2].output_tail, "***\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_an_agent_a_check_that_needs_a_secret_is_left_to_the_proof() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author("```sh\necho two >a.txt\nenv >env.txt\n```");
    order.checks = vec![check("plain", "true"), check("needs", "exit 9")];
    order.withheld = vec!["needs".to_owned()];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let End::Authored { self_checks, .. } = complete.end else {
        panic!("{complete:?}");
    };
    let names: Vec<&str> = self_checks.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["plain"]);
    let log = house.server.run(run).expect("a run").text();
    assert!(log.contains("needs: left to the proof"), "{log}");
}
