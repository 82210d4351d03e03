//! Ten issues at once: all of them run at the same time, all of them land, and main is green at
//! every commit.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::house::House;

/// How many.
pub(crate) const TEN: i64 = 10;

/// The project's own check: each slot of the list is taken exactly where its part is there.
const CHECK: &str = "set -eu
for n in 1 2 3 4 5 6 7 8 9 10; do
    if grep -qx \"slot $n: taken\" list; then test \"$(cat parts/$n)\" = \"part $n\"
    else grep -qx \"slot $n: free\" list; test ! -e parts/$n; fi
done
! grep -q '[<>]' list
";

/// Makes the project and files ten issues, whose agents wait until the branch `go` is there.
pub(crate) fn file_ten(house: &House) {
    house.write("p/check.sh", CHECK);
    let list: String = (1..=TEN)
        .map(|n| format!("slot {n}: free\n{}", "-\n".repeat(8)))
        .collect();
    house.write("p/list", &list);
    house.write(
        "p/.nightshift/config.toml",
        "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n",
    );
    house.project("p");
    for n in 1..=TEN {
        let body = format!(
            "Take slot {n}.\n\n```sh\n/nightshift/bin/nightshift progress waiting\n\
             until git -c http.extraHeader=\"Authorization: Bearer $NIGHTSHIFT_RUN_TOKEN\" \\\n\
             ls-remote --exit-code \"$NIGHTSHIFT_PLATFORM/git/p.git\" refs/heads/go >/dev/null 2>&1\n\
             do sleep 1; done\n\
             mkdir -p parts\necho 'part {n}' > parts/{n}\n\
             sed -i 's/^slot {n}: free$/slot {n}: taken/' list\n```\n"
        );
        let title = format!("take slot {n}");
        let accept = format!("grep -qx 'slot {n}: taken' list");
        let words = [
            "--title",
            &title,
            "--body",
            &body,
            "--acceptance-run",
            &accept,
        ];
        house
            .run(["issue", "new", "--ready"].iter().chain(&words))
            .ok();
    }
}

/// Waits until all ten agents are at work at the same time, and wait.
pub(crate) fn all_work(house: &House) {
    house.until(&["run", "list", "-n", "200"], |runs| {
        let runs = items(runs).iter();
        let waiting = runs.filter(|run| run["state"] == "running" && run["progress"] == "waiting");
        waiting.count() == 10
    });
}

/// Lets the agents go on.
pub(crate) fn open_the_gate(house: &House, token: &str) {
    let remote = house.remote("p", token);
    house.git("p", &["push", "-q", &remote, "main:refs/heads/go"]);
}

/// Approves whatever is green, until `enough` says so or all is done.
pub(crate) fn approve_until(house: &House, enough: impl Fn(&House) -> bool) {
    house.until(&["pr", "list", "-n", "200"], |pulls| {
        for pull in items(pulls) {
            if pull["phase"] == "in-review" && pull["verdict"] == "green" {
                let number = pull["number"].to_string();
                let head = pull["head"].as_str().expect("a head");
                house.run(["pr", "approve", &number, "--head", head]).ok();
            }
        }
        enough(house)
    });
}

/// How many issues there are in each phase, and that none is lost.
pub(crate) fn phases(house: &House) -> Vec<(String, i64)> {
    let project = house.json(&["project", "show", "p"]);
    let phases: Vec<_> = items_of(&project["issues"])
        .iter()
        .map(|line| {
            let count = line["count"].as_i64().expect("a count");
            (line["phase"].as_str().expect("a phase").to_owned(), count)
        })
        .collect();
    let all: i64 = phases.iter().map(|(_, count)| count).sum();
    assert_eq!(all, TEN, "accepted is the sum of the states: {phases:?}");
    phases
}

pub(crate) fn done(house: &House) -> i64 {
    let phases = phases(house);
    let done = phases.iter().find(|(phase, _)| phase == "done");
    done.map_or(0, |(_, count)| *count)
}

/// Everything has landed, each issue exactly once, and main is green at every commit.
pub(crate) fn all_is_well(house: &House, token: &str) {
    assert_eq!(phases(house), [("done".to_owned(), TEN)]);
    let remote = house.remote("p", token);
    house.git("", &["clone", "-q", &remote, "clone"]);
    let log = house.git(
        "clone",
        &[
            "log",
            "--format=%H %(trailers:key=Nightshift-Issue,valueonly,separator=%x2C)",
        ],
    );
    let commits: Vec<_> = log
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect();
    assert_eq!(commits.len(), 11, "{log}");
    let landed: BTreeSet<_> = commits
        .iter()
        .map(|(_, issue)| (*issue).to_owned())
        .collect();
    let mut wanted: BTreeSet<_> = (1..=TEN).map(|n| format!("p#{n}")).collect();
    wanted.insert(String::new());
    assert_eq!(landed, wanted, "each issue has one commit");
    for (at, (commit, _)) in commits.iter().enumerate() {
        house.git("clone", &["checkout", "-q", commit]);
        green(&house.path("clone"), commit);
        let list = house.git("clone", &["show", &format!("{commit}:list")]);
        let taken = list.lines().filter(|line| line.ends_with(": taken"));
        assert_eq!(taken.count(), 10 - at, "nobody's slot is lost at {commit}");
    }
    for n in 1..=TEN {
        let number = n.to_string();
        let issue = house.json(&["issue", "show", &number]);
        let landed = issue["landed"].as_str().expect("a commit");
        let commit = commits.iter().find(|(commit, _)| *commit == landed);
        assert_eq!(commit.map(|(_, of)| *of), Some(&*format!("p#{n}")));
        let runs = house.json(&["run", "list", &number]);
        let good = |run: &&Value| run["kind"] == "author" && run["state"] == "succeeded";
        assert_eq!(items(&runs).iter().filter(good).count(), 1, "{runs:#}");
        assert!(
            items(&runs).iter().all(|run| run["state"] != "running"),
            "{runs:#}"
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "the project's own check")]
fn green(tree: &Path, commit: &str) {
    let checked = std::process::Command::new("sh")
        .arg("check.sh")
        .current_dir(tree)
        .status();
    assert!(checked.expect("it runs").success(), "{commit} is red");
}

pub(crate) fn items(page: &Value) -> &[Value] {
    items_of(&page["items"])
}

fn items_of(list: &Value) -> &[Value] {
    list.as_array().expect("a list")
}

#[test]
fn e2e_ten_at_once_all_land_and_leave_nothing() {
    let mut house = House::with_runner(10, "", "");
    file_ten(&house);
    all_work(&house);
    assert!(
        house.left().len() >= 20,
        "what is there is seen: {:?}",
        house.left()
    );
    open_the_gate(&house, &house.token.clone());
    approve_until(&house, |house| done(house) == TEN);
    house.nothing_is_left();
    all_is_well(&house, &house.token.clone());
    // Ten agents once, one proof for each head, and nothing failed.
    let runs = house.json(&["run", "list", "-n", "200"]);
    assert!(
        items(&runs).iter().all(|run| run["state"] == "succeeded"),
        "{runs:#}"
    );
    house.stop();
    house.nothing_is_left();
}
