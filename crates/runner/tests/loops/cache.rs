//! The cache of set-ups in whole runs: what runs once, what runs anew, and what nobody can leave to
//! others.
//!
//! A set-up here prints `ran-2` where it runs, which its line does not say; so the log tells how often.

use std::path::{Path, PathBuf};

use nightshift_api::runner::{Complete, End, SecretOrder, WorkOrder};
use nightshift_domain::check::{Outcome, ProofReport};
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::RunId;
use nightshift_domain::job::Kind;
use nix::sys::signal::Signal;

use self::kit::On;
use super::crash::Runner;
use super::end::is_up;
use super::house::{House, bubblewrap, check, commit, container, sealed};
use super::image::{self, text};

/// The engines, as the tests of both name them.
mod kit {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum On {
        Bubblewrap,
        Container,
    }
}

on_each_engine! {
    a_set_up_runs_once_for_all_runs_of_its_key,
    another_content_runs_it_anew_and_a_change_keeps_nothing,
    a_change_cannot_leave_anything_to_others,
    what_cannot_be_kept_is_told_and_runs_every_time,
    what_git_tracks_is_over_what_the_set_up_left,
    what_was_made_of_a_file_is_older_than_the_change_of_it,
    a_failing_set_up_ends_the_run_and_keeps_nothing,
    runs_that_want_the_same_at_one_time_make_it_once,
    a_runner_that_is_killed_leaves_nothing_half_made_and_nothing_damaged_is_used,
}

const FILES: &[(&str, &str)] = &[
    (".gitignore", "node_modules\nout\n"),
    ("a.txt", "one\n"),
    ("lock", "locked\n"),
];

/// What package managers do: from the lock into a folder that git ignores, and into the home.
const SETUP: &str = "echo ran-$((1+1)); mkdir -p node_modules/a node_modules/empty ~/.tool/sub; \
    cp lock node_modules/a/x; echo keep >node_modules/a/keep; chmod 555 node_modules/a/keep; \
    ln -s /etc/passwd node_modules/out; ln -s a/x node_modules/in; cp lock ~/.tool/sub/c; chmod 500 ~/.tool/sub";

/// Shows all of that.
const SHOW: &str = "cat node_modules/a/x node_modules/in ~/.tool/sub/c; \
    stat -c '%n %a' node_modules/a/keep ~/.tool/sub; ls node_modules; readlink node_modules/out";

const SHOWN: &str = "locked\nlocked\nlocked\nnode_modules/a/keep 555\n/home/agent/.tool/sub 500\n\
    a\nempty\nin\nout\n/etc/passwd\n";

async fn house(on: On, files: &[(&str, &str)]) -> House {
    let mut house = House::empty(files).await;
    let mut config = house.config();
    config.backend = match on {
        On::Bubblewrap => bubblewrap(),
        On::Container => container(),
    };
    house.runner(config);
    house
}

fn cached(mut order: WorkOrder, line: &str) -> WorkOrder {
    order.environment.setup = Some(line.to_owned());
    order.environment.cache = vec!["lock".to_owned()];
    order
}

/// An author's run over this set-up, with these lines as its agent.
async fn author(house: &mut House, line: &str, script: &str) -> (RunId, Complete) {
    let order = house.author(&format!("```sh\n{script}\necho two >a.txt\n```\n"));
    let run = house.give(&cached(order, line));
    (run, house.server.ended(run).await)
}

/// A proof over this set-up of a head, with one check.
async fn proof(house: &mut House, line: &str, head: &ObjectId, run: &str) -> (RunId, ProofReport) {
    let mut order = cached(house.verify(head), line);
    order.checks = vec![check("shows", run)];
    let run = house.give(&order);
    match house.server.ended(run).await.end {
        End::Proved { report } => (run, report),
        other => panic!("{other:?}\n{}", text(house, run)),
    }
}

/// How often the set-up ran in a run.
fn ran(house: &House, run: RunId) -> usize {
    text(house, run).matches("ran-2").count()
}

/// The folders that the house's runner keeps.
fn kept(house: &House) -> Vec<PathBuf> {
    let projects = std::fs::read_dir(house.dir.path().join("data/projects"));
    let setups = projects
        .unwrap()
        .map(|project| project.unwrap().path().join("setups"));
    let below = setups.filter_map(|setups| std::fs::read_dir(setups).ok());
    below.flatten().map(|setup| setup.unwrap().path()).collect()
}

#[track_caller]
fn told(house: &House, run: RunId, words: &str) {
    let text = text(house, run);
    assert!(text.contains(words), "{words:?} is not in\n{text}");
}

async fn a_set_up_runs_once_for_all_runs_of_its_key(on: On) {
    let house = &mut house(on, FILES).await;
    let spoil = "chmod -R u+w node_modules ~/.tool; echo spoiled >node_modules/a/x; rm node_modules/in; \
        mv node_modules/a node_modules/b; echo spoiled >~/.tool/sub/c; rm -r node_modules/empty";
    let (first, complete) = author(house, SETUP, &format!("{SHOW}\n{spoil}")).await;
    assert_eq!(ran(house, first), 1, "{}", text(house, first));
    told(house, first, SHOWN.trim_end());
    told(house, first, "it runs on the base");
    told(house, first, "setup: taken from the cache: key ");
    let head = complete.attempt.expect("a change");
    let changed = house.git(&["show", "--format=", "--name-only", head.as_str()]);
    assert_eq!(changed, "a.txt");

    let (second, complete) = author(house, SETUP, SHOW).await;
    assert_eq!(ran(house, second), 0, "{}", text(house, second));
    told(house, second, SHOWN.trim_end());
    told(
        house,
        second,
        &format!("by run {first} on {}", house.base.short()),
    );
    assert!(complete.attempt.is_some());

    let (run, report) = proof(house, SETUP, &head, SHOW).await;
    assert_eq!(ran(house, run), 0);
    let setup = report.setup.expect("a set-up");
    assert_eq!((&setup.outcome, &setup.commit), (&Outcome::Passed, &head));
    assert!(
        setup.output_tail.starts_with("taken from the cache: key "),
        "{setup:?}"
    );
    assert_eq!(report.checks[0].output_tail, SHOWN);

    let mut order = cached(house.verify(&head), SETUP);
    order.acceptance = Some(sealed(
        "t.sh",
        "test -f node_modules/a/keep && grep two a.txt\n",
        "sh t.sh",
    ));
    let trial = house.trial(&head, &order);
    let mut tryout = cached(house.verify(&house.base.clone()), SETUP);
    tryout.kind = Kind::Tryout;
    tryout.acceptance.clone_from(&order.acceptance);
    for order in [order, trial, tryout] {
        let run = house.give(&order);
        let end = house.server.ended(run).await.end;
        assert_eq!(ran(house, run), 0, "{}", text(house, run));
        let (base, on_head) = match end {
            End::Proved { report } => (report.acceptance_on_base, report.acceptance_on_head),
            End::Tried { report } => (report.acceptance, None),
            other => panic!("{other:?}"),
        };
        let red = Outcome::Failed { code: 1 };
        assert!(base.is_none_or(|base| base.outcome == red));
        assert!(on_head.is_none_or(|head| head.passed()));
    }
    assert_eq!(kept(house).len(), 1);
    house.drain().await;
    let left = std::fs::read_dir(house.dir.path().join("data/runs")).unwrap();
    assert_eq!(left.count(), 0);
}

async fn another_content_runs_it_anew_and_a_change_keeps_nothing(on: On) {
    let house = &mut house(on, FILES).await;
    author(house, SETUP, "true").await;
    let parents = [house.base.clone()];
    let files = [FILES[0], ("a.txt", "two\n"), ("lock", "other\n")];
    let head = commit(&house.server, &parents, &files).await;
    for _ in 0..2 {
        let (run, report) = proof(house, SETUP, &head, "cat node_modules/a/x").await;
        assert_eq!(ran(house, run), 1);
        told(house, run, "lock is not as on the base");
        assert_eq!(report.checks[0].output_tail, "other\n");
        assert_eq!(report.setup.unwrap().output_tail, "ran-2\n");
    }
    assert_eq!(kept(house).len(), 1);
    // It landed.
    house.base = head;
    for times in [1, 0] {
        let (run, _) = author(house, SETUP, "cat node_modules/a/x").await;
        assert_eq!(ran(house, run), times);
        told(house, run, "other");
    }
    assert_eq!(kept(house).len(), 2);
    // Another command is another key, and no list is no cache.
    let (run, _) = author(house, &format!("{SETUP}; true"), "true").await;
    assert_eq!(ran(house, run), 1);
    let mut order = cached(house.author("```sh\necho three >a.txt\n```\n"), SETUP);
    order.environment.cache.clear();
    let run = house.give(&order);
    house.server.ended(run).await;
    assert_eq!(ran(house, run), 1);
    assert!(!text(house, run).contains("cache"));
}

/// What `setup.sh` does on the base, and in a change that is after others.
const GOOD: &str =
    "echo ran-$((1+1)); mkdir -p node_modules; echo good >node_modules/x; echo good >~/x\n";
const EVIL: &str =
    "echo ran-$((1+1)); mkdir -p node_modules; echo evil >node_modules/x; echo evil >~/x\n";

async fn a_change_cannot_leave_anything_to_others(on: On) {
    let base = [FILES[0], FILES[1], FILES[2], ("setup.sh", GOOD)];
    let house = &mut house(on, &base).await;
    let parents = [house.base.clone()];
    let line = "sh setup.sh";
    let show = "cat node_modules/x ~/x";
    // The very first run is one of a change that alters what the set-up does, under the same key.
    let evil = [FILES[0], FILES[1], FILES[2], ("setup.sh", EVIL)];
    let head = commit(&house.server, &parents, &evil).await;
    let (run, report) = proof(house, line, &head, show).await;
    assert_eq!(ran(house, run), 1);
    assert_eq!(report.checks[0].output_tail, "good\ngood\n");
    // One that alters the key as well has its own way, alone.
    let evil = [FILES[0], FILES[1], ("lock", "other\n"), ("setup.sh", EVIL)];
    let head = commit(&house.server, &parents, &evil).await;
    let (run, report) = proof(house, line, &head, show).await;
    assert_eq!(
        (ran(house, run), &*report.checks[0].output_tail),
        (1, "evil\nevil\n")
    );
    let honest = [FILES[0], FILES[1], ("lock", "other\n"), ("setup.sh", GOOD)];
    let head = commit(&house.server, &parents, &honest).await;
    let (run, report) = proof(house, line, &head, show).await;
    assert_eq!(
        (ran(house, run), &*report.checks[0].output_tail),
        (1, "good\ngood\n")
    );
    // A later round starts from a change, whatever its agent did in the one before.
    let mut order = cached(
        house.author(&format!("```sh\n{show}\necho two >a.txt\n```\n")),
        line,
    );
    order.start = head;
    let run = house.give(&order);
    house.server.ended(run).await;
    assert_eq!(ran(house, run), 1);
    assert_eq!(kept(house).len(), 1);
    let (run, _) = author(house, line, show).await;
    assert_eq!(ran(house, run), 0);
    told(house, run, "good\ngood");
}

async fn what_cannot_be_kept_is_told_and_runs_every_time(on: On) {
    let house = &mut house(on, FILES).await;
    for (leaves, why) in [
        ("echo more >>a.txt", "it changes a.txt, which git tracks"),
        ("rm a.txt", "it removes a.txt, which git tracks"),
        ("mkfifo out", "it leaves out, a socket, pipe or device"),
        (
            "cp /bin/true out; chmod u+s out",
            "it leaves out, a file that runs as its owner",
        ),
        (
            "ln -s / ~/root; mkdir ~/d; mkfifo ~/d/p",
            "it leaves d/p, a socket, pipe or device",
        ),
    ] {
        let line = format!("echo ran-$((1+1)); {leaves}");
        for times in [2, 1] {
            let (run, complete) = author(house, &line, "test -e out || test -e ~/d || ls").await;
            assert_eq!(ran(house, run), times, "{leaves}");
            told(house, run, why);
            assert!(complete.attempt.is_some(), "{}", text(house, run));
        }
    }
    // Where it is not tried at all.
    let secret = |steps: &[&str]| SecretOrder {
        name: "TOKEN".to_owned(),
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
        value: "a-secret-of-theirs".to_owned(),
    };
    let mut given = cached(house.verify(&house.base.clone()), SETUP);
    given.secrets = vec![secret(&["test", "setup"])];
    let mut withheld = cached(house.author("```sh\necho two >a.txt\n```\n"), SETUP);
    withheld.withheld = vec!["setup".to_owned()];
    let mut granted = cached(house.author("```sh\necho two >a.txt\n```\n"), SETUP);
    granted.grants = vec!["packages.example.com".parse().unwrap()];
    let mut linked = cached(house.author("```sh\necho two >a.txt\n```\n"), SETUP);
    linked.environment.cache = vec!["../lock".to_owned()];
    for (order, why) in [
        (given, "a secret of the project is for it"),
        (withheld, "a secret of the project is for it"),
        (granted, "hosts are allowed for this issue alone"),
        (linked, "git does not say what is at the paths"),
    ] {
        let run = house.give(&order);
        house.server.ended(run).await;
        assert_eq!(ran(house, run), 1, "{why}");
        told(house, run, why);
    }
    assert_eq!(kept(house), <[PathBuf; 0]>::default());
    // Another step's secret is not in it.
    let mut order = cached(house.verify(&house.base.clone()), SETUP);
    order.secrets = vec![secret(&["test"])];
    let run = house.give(&order);
    house.server.ended(run).await;
    assert_eq!(kept(house).len(), 1);
}

async fn what_git_tracks_is_over_what_the_set_up_left(on: On) {
    let old = [
        FILES[1],
        FILES[2],
        ("node_modules/a/x", "tracked\n"),
        ("d/old", "x\n"),
    ];
    let house = &mut house(on, &old).await;
    // A checkout of the old base is there, and warm.
    let order = house.author("```sh\necho two >a.txt\n```\n");
    let run = house.give(&order);
    house.server.ended(run).await;
    let parents = [house.base.clone()];
    let new = [FILES[0], FILES[1], FILES[2], ("d/new/file", "x\n")];
    house.base = commit(&house.server, &parents, &new).await;
    let line = format!("{SETUP}; mkdir -p d/new/out; echo deep >d/new/out/x");
    for times in [1, 0] {
        let show = "cat node_modules/a/x d/new/out/x; ls d; git status --short";
        let (run, complete) = author(house, &line, show).await;
        assert_eq!(ran(house, run), times);
        told(house, run, "locked\ndeep\nnew");
        assert!(complete.attempt.is_some(), "{}", text(house, run));
    }
    // A change tracks what the set-up of the base makes, and a file where that makes a folder.
    let parents = [house.base.clone()];
    let head = [
        FILES[1],
        FILES[2],
        ("node_modules/a/x", "mine\n"),
        ("node_modules/empty", "a file\n"),
    ];
    let head = commit(&house.server, &parents, &head).await;
    let show = "cat node_modules/a/x node_modules/a/keep node_modules/empty; git status --short";
    let (run, report) = proof(house, &line, &head, show).await;
    assert_eq!(ran(house, run), 0);
    let shown = &report.checks[0].output_tail;
    assert!(shown.starts_with("mine\nkeep\na file\n"), "{shown}");
    assert!(!shown.contains(" M ") && !shown.contains(" D "), "{shown}");
}

async fn what_was_made_of_a_file_is_older_than_the_change_of_it(on: On) {
    let house = &mut house(on, FILES).await;
    let parents = [house.base.clone()];
    let files = [FILES[0], ("a.txt", "two\n"), FILES[2]];
    let head = commit(&house.server, &parents, &files).await;
    // The checkout of the change is older than the set-up of the base.
    let order = house.verify(&head);
    let run = house.give(&order);
    house.server.ended(run).await;
    let line = "echo ran-$((1+1)); cp a.txt out";
    let make = "if [ a.txt -nt out ]; then cp a.txt out; fi; cat out; git status --short";
    author(house, line, "true").await;
    let (run, report) = proof(house, line, &head, make).await;
    assert_eq!(ran(house, run), 0);
    assert_eq!(report.checks[0].output_tail, "two\n");
    // What did not change is not made again where the tree was there before.
    let (_, report) = proof(
        house,
        line,
        &head,
        "test lock -nt out && echo lock is younger",
    )
    .await;
    let younger = report.checks[0].passed();
    assert_eq!(younger, on == On::Container, "{report:?}");
}

async fn a_failing_set_up_ends_the_run_and_keeps_nothing(on: On) {
    let house = &mut house(on, FILES).await;
    let line = "echo ran-$((1+1)); mkdir node_modules; curl -s http://pkgs.example.com/; \
        echo no such package; exit 3";
    let (run, complete) = author(house, line, "true").await;
    let End::Failed { failure } = complete.end else {
        panic!("{complete:?}");
    };
    assert_eq!(failure.reason, Reason::SetupFailed);
    // What it did not reach is known, so that a person can be asked.
    assert!(
        failure.detail.to_string().contains("pkgs.example.com"),
        "{failure:?}"
    );
    let traffic = complete.traffic.expect("what it tried");
    assert_eq!(traffic.blocked().count(), 1, "{traffic:?}");
    assert!(
        failure.detail.to_string().contains("no such package"),
        "{failure:?}"
    );
    assert_eq!(ran(house, run), 1);
    let mut order = cached(house.verify(&house.base.clone()), line);
    order.kind = Kind::Tryout;
    order.acceptance = Some(sealed("t.sh", "exit 1\n", "sh t.sh"));
    let run = house.give(&order);
    let End::Tried { report } = house.server.ended(run).await.end else {
        panic!("{}", text(house, run));
    };
    assert_eq!(report.setup.unwrap().outcome, Outcome::Failed { code: 3 });
    assert_eq!(ran(house, run), 1);
    // A change may be what mends it; it is seen in its own tree.
    let parents = [house.base.clone()];
    let files = [FILES[0], ("a.txt", "two\n"), FILES[2]];
    let head = commit(&house.server, &parents, &files).await;
    let line = "echo ran-$((1+1)); grep two a.txt";
    let (run, report) = proof(house, line, &head, "true").await;
    assert!(report.setup.unwrap().passed());
    assert_eq!(ran(house, run), 2);
    told(house, run, "not from the cache: it fails on the base");
    assert_eq!(kept(house), <[PathBuf; 0]>::default());
}

async fn runs_that_want_the_same_at_one_time_make_it_once(on: On) {
    let house = &mut house(on, FILES).await;
    let orders: Vec<_> = (0..2)
        .map(|_| {
            cached(
                house.author("```sh\ncat node_modules/a/x\necho two >a.txt\n```\n"),
                SETUP,
            )
        })
        .collect();
    let runs: Vec<_> = orders.iter().map(|order| house.give(order)).collect();
    let mut times = 0;
    for run in runs {
        let complete = house.server.ended(run).await;
        assert!(complete.attempt.is_some(), "{}", text(house, run));
        times += ran(house, run);
        told(house, run, "locked");
    }
    assert_eq!(times, 1);
}

async fn a_runner_that_is_killed_leaves_nothing_half_made_and_nothing_damaged_is_used(on: On) {
    let (engine, mark) = match on {
        On::Bubblewrap => (None, "7121"),
        On::Container => (Some("container"), "7122"),
    };
    if on == On::Container {
        // It must be there before the runner, which is about to be killed, would start it.
        drop(container());
    }
    let block = [FILES[0], FILES[1], FILES[2], ("block", mark)];
    let house = &mut House::empty(&block).await;
    let runner = Runner::start(house, engine);
    let line = "echo ran-$((1+1)); mkdir -p node_modules; echo half >node_modules/x; \
        if [ -f block ]; then echo \"$(cat block) is up\"; sleep 1000$(cat block); fi; echo whole >node_modules/x";
    let order = cached(house.author("```sh\necho two >a.txt\n```\n"), line);
    let run = house.give(&order);
    is_up(house, run, mark).await;
    runner.signal(Signal::SIGKILL);
    drop(runner);
    house.server.no_claim_open().await;
    let parents = [house.base.clone()];
    house.base = commit(&house.server, &parents, FILES).await;
    let runner = Runner::start(house, engine);
    for times in [1, 0] {
        let (run, _) = author(house, line, "cat node_modules/x").await;
        assert_eq!(ran(house, run), times);
        told(house, run, "whole");
    }
    let left = std::fs::read_dir(house.dir.path().join("data/runs")).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    let setups = names
        .iter()
        .filter(|name| name.to_string_lossy().starts_with("setup-"));
    assert_eq!(setups.count(), 0, "{names:?}");
    let [setup] = &*kept(house) else {
        panic!("{:?}", kept(house));
    };
    drop(runner);
    // What is queued from here on is not for the one that is gone.
    house.server.no_claim_open().await;
    damage(&setup.join("tree/node_modules/x"));
    std::fs::create_dir(setup.with_file_name(".new-half")).unwrap();
    let _runner = Runner::start(house, engine);
    for times in [1, 0] {
        let (run, _) = author(house, line, "cat node_modules/x").await;
        assert_eq!(ran(house, run), times);
        told(house, run, "whole");
    }
    assert_eq!(kept(house).len(), 1, "{:?}", kept(house));
}

fn damage(file: &Path) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(3).unwrap();
}

mod image_of_the_project {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn is_a_part_of_the_key() {
        let house = &mut house(On::Container, FILES).await;
        let image = image::image().await;
        let line = "echo ran-$((1+1)); test -f /of-the-image && cp lock out";
        for times in [1, 0] {
            let order = house.author("```sh\ncat out\necho two >a.txt\n```\n");
            let mut order = cached(order, line);
            image::names(&mut order, &image);
            let run = house.give(&order);
            assert!(house.server.ended(run).await.attempt.is_some());
            assert_eq!(ran(house, run), times, "{}", text(house, run));
            told(house, run, "locked");
        }
        let (run, complete) = author(house, line, "true").await;
        assert!(matches!(complete.end, End::Failed { .. }), "{complete:?}");
        assert_eq!(ran(house, run), 1);
    }
}
