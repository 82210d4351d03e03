//! Author runs: what becomes of a change.

use nightshift_api::runner::{Complete, End, SessionState};
use nightshift_domain::check::Outcome;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::transcript::{Entry, Step};

use super::house::{House, check, sealed};

fn attempt(complete: &Complete) -> ObjectId {
    match (&complete.end, &complete.attempt) {
        (End::Authored { .. }, Some(attempt)) => attempt.clone(),
        other => panic!("no change was brought: {other:?}"),
    }
}

fn failure(complete: &Complete) -> (Reason, &str) {
    match &complete.end {
        End::Failed { failure } => (failure.reason, failure.detail.as_str()),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_becomes_one_commit_of_the_agent_on_the_attempts_ref() {
    let house = &mut House::new(&[
        ("a.txt", "one\n"),
        ("b.txt", "b\n"),
        (".gitignore", "out/\n"),
    ])
    .await;
    let mut order = house.author(
        "```sh\nprintf 'one\\ntwo\\n' >a.txt\nrm b.txt\nmkdir -p out new && echo x >out/x && echo 'ü' >'new/ü.txt'\necho \"$NIGHTSHIFT_RUN_TOKEN\"\n\
         git add -A && git commit -q -m mine && git commit -q --allow-empty -m more && git checkout -q -b other\n\
         git config core.hooksPath /workspace/hooks && git config commit.gpgsign true && git config core.worktree /tmp\n```\n",
    );
    order.checks = vec![check("test", "test -f new/ü.txt; echo hello >dropping")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let attempt = attempt(&complete);
    let End::Authored { self_checks, .. } = &complete.end else {
        panic!("{complete:?}");
    };
    assert_eq!(self_checks.len(), 1);
    assert_eq!(self_checks[0].outcome, Outcome::Passed);
    assert_eq!(self_checks[0].commit, attempt);
    assert_eq!(
        house.git(&["rev-parse", &format!("refs/attempts/{run}")]),
        attempt.as_str()
    );
    let shown = house.git(&[
        "-c",
        "core.quotePath=false",
        "show",
        "--format=%P|%an|%ae|%cn|%at|%B",
        "--name-status",
        attempt.as_str(),
    ]);
    assert_eq!(
        shown,
        format!(
            "{}|script|script@agents.example|script|1790000000|Do it\n\nCo-authored-by: Ada <ada@example.com>\nNightshift-Issue: tally#1\nNightshift-Run: {run}\n\n\nM\ta.txt\nD\tb.txt\nA\tnew/ü.txt",
            house.base
        )
    );
    let seen = house.server.run(run).unwrap();
    let steps: Vec<Step> = seen.records().iter().map(|record| record.step).collect();
    for step in [Step::Prepare, Step::Agent, Step::Checks, Step::Publish] {
        assert!(steps.contains(&step), "{}", seen.text());
    }
    // The agent printed its token; who reads the log does not get it.
    assert!(seen.text().contains("\"***\""), "{}", seen.text());
    assert!(!seen.text().contains("run-token"), "{}", seen.text());
    house.drain().await;
    let left = std::fs::read_dir(house.dir.path().join("data/runs")).unwrap();
    assert_eq!(left.count(), 0);
    assert_eq!(
        std::fs::read_dir(house.dir.path().join("data/spool"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_changes_nothing_fails_with_its_last_words() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author("```sh\necho all is well already\n```\n");
    order.acceptance = Some(sealed("sealed/t.sh", "exit 1\n", "sh sealed/t.sh"));
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (reason, detail) = failure(&complete);
    assert_eq!(reason, Reason::NoChange);
    assert!(
        detail.contains("1 of 1 blocks of the issue ran"),
        "{detail}"
    );
    assert_eq!(complete.attempt, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_fails_is_a_failed_run_with_its_last_lines() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author("```sh\necho never >a.txt\n```\n");
    order.environment.setup = Some("seq 100; echo no such package >&2; exit 3".to_owned());
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (reason, detail) = failure(&complete);
    assert_eq!(reason, Reason::SetupFailed);
    assert!(detail.contains("exit status 3"), "{detail}");
    assert!(
        detail.contains("\n100") || detail.contains("no such package"),
        "{detail}"
    );
    assert!(!detail.contains("\n50\n"), "{detail}");
    assert_eq!(complete.attempt, None);
    assert!(
        house
            .server
            .run(run)
            .unwrap()
            .text()
            .contains("no such package")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_tests_that_the_agent_changed_are_as_they_were_filed() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author(
        "```sh\necho two >a.txt\nmkdir -p /tmp/away sealed/deep && rm -rf sealed && ln -s /tmp/away sealed\n\
         mkdir -p sealed/deep && echo 'exit 1' >sealed/deep/t.sh\n```\n",
    );
    order.acceptance = Some(sealed(
        "sealed/deep/t.sh",
        "grep -q two a.txt\n",
        "sh sealed/deep/t.sh",
    ));
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let attempt = attempt(&complete);
    assert_eq!(
        house.git(&["show", &format!("{attempt}:sealed/deep/t.sh")]),
        "grep -q two a.txt"
    );
    assert_eq!(house.git(&["show", &format!("{attempt}:a.txt")]), "two");
    let End::Authored { self_checks, .. } = &complete.end else {
        panic!("{complete:?}");
    };
    assert!(self_checks[0].passed(), "{self_checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn red_checks_go_back_to_the_agent_with_what_they_said() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    // Works only when told what is wrong.
    let mut order = house.command(
        "cat >/tmp/p; if grep -q 'expected three' /tmp/p; then echo three >a.txt; else echo two >a.txt; fi; grep -c 'Do this' /tmp/p",
    );
    order.checks = vec![check(
        "test",
        "grep -q three a.txt || { echo expected three; exit 7; }",
    )];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let attempt = attempt(&complete);
    assert_eq!(house.git(&["show", &format!("{attempt}:a.txt")]), "three");
    assert_eq!(
        house.git(&["rev-parse", &format!("{attempt}^")]),
        house.base.as_str()
    );
    let End::Authored {
        self_checks,
        summary,
    } = &complete.end
    else {
        panic!("{complete:?}");
    };
    assert!(self_checks[0].passed(), "{self_checks:?}");
    assert_eq!(summary, "1");
    let text = house.server.run(run).unwrap().text();
    assert!(text.contains("repair 1 of 2"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_gets_it_right_is_told_a_bounded_number_of_times() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.command("cat >/dev/null; echo x >>a.txt");
    order.checks = vec![check("test", "exit 7")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let attempt = attempt(&complete);
    assert_eq!(
        house.git(&["show", &format!("{attempt}:a.txt")]),
        "one\nx\nx\nx"
    );
    let End::Authored { self_checks, .. } = &complete.end else {
        panic!("{complete:?}");
    };
    assert_eq!(self_checks[0].outcome, Outcome::Failed { code: 7 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_mends_where_its_issue_says_how() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order =
        house.author("```sh\necho two >a.txt\n```\n```sh repair=1\necho three >a.txt\n```\n");
    order.checks = vec![check("test", "grep -q three a.txt")];
    let run = house.give(&order);
    let attempt = attempt(&house.server.ended(run).await);
    assert_eq!(house.git(&["show", &format!("{attempt}:a.txt")]), "three");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fails_leaves_what_it_has() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author("```sh\necho half >a.txt\necho out of ideas >&2\nexit 9\n```\n");
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (reason, detail) = failure(&complete);
    assert_eq!(reason, Reason::AgentFailed);
    assert!(detail.contains("out of ideas"), "{detail}");
    let kept = complete.attempt.expect("what it had is kept");
    assert_eq!(house.git(&["show", &format!("{kept}:a.txt")]), "half");
    assert_eq!(
        house.git(&["rev-parse", &format!("refs/attempts/{run}")]),
        kept.as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_the_platform_ends_the_run_without_checks() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    // Stands for `nightshift ask`: says it over the way that the sandbox has.
    let ask = r#"python3 - "$1" <<'EOF'
import json, os, sys, urllib.request as u
url = os.environ["NIGHTSHIFT_PLATFORM"] + "/api/v1/runs/" + os.environ["NIGHTSHIFT_RUN"] + "/ask"
head = {"authorization": "Bearer " + os.environ["NIGHTSHIFT_RUN_TOKEN"], "content-type": "application/json"}
u.urlopen(u.Request(url, json.dumps({"text": sys.argv[1]}).encode(), head))
EOF"#;
    let mut order = house.command(&format!(
        "cat >/dev/null; echo wip >a.txt; ask() {{ {ask}\n}}; ask 'Red or blue?'"
    ));
    order.checks = vec![check("test", "exit 1")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    // The runner does not know the words; the server does, and takes it for a question.
    assert!(
        matches!(&complete.end, End::Authored { self_checks, .. } if self_checks.is_empty()),
        "{complete:?}"
    );
    let seen = house.server.run(run).unwrap();
    assert_eq!(seen.asked, ["Red or blue?"]);
    // The checks were not run: the agent waits.
    assert!(
        !seen.records().iter().any(|r| r.step == Step::Checks),
        "{}",
        seen.text()
    );
    let kept = complete.attempt.expect("what it had is kept");
    assert_eq!(house.git(&["show", &format!("{kept}:a.txt")]), "wip");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_goes_on_behind_its_question() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house
        .author("```sh\necho never >a.txt\n```\n```ask\nRed?\n```\n```sh\necho red >b.txt\n```\n");
    order.author.as_mut().unwrap().session = Some(SessionState {
        id: "issue.1.0.2".to_owned(),
        agent: "script".to_owned(),
        totals: serde_json::Value::Null,
    });
    let run = house.give(&order);
    let attempt = attempt(&house.server.ended(run).await);
    assert_eq!(
        house.git(&[
            "diff",
            "--name-only",
            &format!("{attempt}^"),
            attempt.as_str()
        ]),
        "b.txt"
    );
    let prompts = house.server.run(run).unwrap();
    assert!(
        prompts
            .records()
            .iter()
            .any(|r| matches!(&r.entry, Entry::ToolCall { .. }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_before_anything_starts() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut order = house.author("Fix it.");
    order.author.as_mut().unwrap().agent.harness = nightshift_domain::config::Harness::ClaudeCode;
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (reason, detail) = failure(&complete);
    assert_eq!(reason, Reason::Misconfigured);
    assert!(
        detail.contains("no model endpoint for claude-code"),
        "{detail}"
    );
    let order = house.command("no-such-program-anywhere");
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    assert_eq!(failure(&complete).0, Reason::AgentFailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_leaves_in_the_tree_is_taken_or_refused_by_name() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let odd = house.author(
        "```sh\necho two >a.txt\necho x >locked && mkdir shut && echo y >shut/in && chmod 000 locked shut\nmkfifo pipe\nln -s /etc/passwd link\n```\n",
    );
    let nested = house.author(
        "```sh\ngit init -q sub && cd sub && echo x >x && git add x && git commit -q -m x\n```\n",
    );
    let bare = house.author("```sh\ngit init -q sub && echo x >sub/x\n```\n");
    let odd = house.give(&odd);
    let attempt = attempt(&house.server.ended(odd).await);
    let listed = house.git(&["ls-tree", "-r", "--name-only", attempt.as_str()]);
    assert_eq!(listed, "a.txt\nlink\nlocked\nshut/in");
    // A link is a link: what it points at was never read.
    assert_eq!(
        house.git(&["show", &format!("{attempt}:link")]),
        "/etc/passwd"
    );
    for order in [nested, bare] {
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let (reason, detail) = failure(&complete);
        assert_eq!(reason, Reason::AgentFailed, "{detail}");
        assert!(detail.contains("sub"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_too_much_ends_alone() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let mut disk = house.author("```sh\nhead -c 200000000 /dev/zero >big; sleep 60\n```\n");
    disk.limits.disk_bytes = 64 << 20;
    let mut processes = house
        .author("```sh\necho two >a.txt; for i in $(seq 500); do sleep 60 & done; sleep 60\n```\n");
    processes.limits.processes = 64;
    let (disk, processes) = (house.give(&disk), house.give(&processes));
    let calm = house.author("```sh\necho two >a.txt\n```\n");
    let calm = house.give(&calm);
    assert_eq!(
        failure(&house.server.ended(disk).await).0,
        Reason::DiskLimit
    );
    let ended = house.server.ended(processes).await;
    assert!(
        matches!(failure(&ended).0, Reason::MemoryLimit | Reason::AgentFailed),
        "{ended:?}"
    );
    assert!(house.server.ended(calm).await.attempt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_to_a_program_that_remembers_nothing_are_left_for_the_next_run() {
    let house = &mut House::new(&[("a.txt", "one\n")]).await;
    let order = house.author("```sh\necho began\nsleep 3\necho two >a.txt\n```\n");
    let run = house.give(&order);
    house
        .server
        .until(run, "a beginning", |run| run.text().contains("began"))
        .await;
    house.server.steer(run, "Three, please.", true);
    let complete = house.server.ended(run).await;
    attempt(&complete);
    assert!(complete.handed.is_empty());
    let seen = house.server.run(run).unwrap();
    assert!(seen.handed.is_empty());
    assert_eq!(seen.steers.len(), 1);
    assert!(!seen.text().contains("interrupted"), "{}", seen.text());
}
