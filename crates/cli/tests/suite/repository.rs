//! `project add`: repositories of every kind, whole or not at all.

use super::kit::{Person, git};

#[test]
fn all_branches_and_tags_arrive_and_no_token_is_left_behind() {
    let person = Person::with_server();
    person.write("tally/a.txt", "x");
    let tally = person.repository("tally");
    git(&tally, &["branch", "feature/x"]);
    git(&tally, &["branch", "nightshift/7"]);
    git(&tally, &["tag", "v1"]);
    let said = person.run(["project", "add", "tally"]).ok();
    assert!(said.contains("defines no check"), "{said}");
    let url = person
        .url
        .replace("http://", &format!("http://x:{}@", person.token));
    let refs = git(&tally, &["ls-remote", &format!("{url}/git/tally.git")]);
    for name in ["refs/heads/main", "refs/heads/feature/x", "refs/tags/v1"] {
        assert!(refs.contains(name), "{refs}");
    }
    assert!(!refs.contains("refs/heads/nightshift/7"), "{refs}");
    let config = std::fs::read_to_string(tally.join(".git/config")).expect("a file");
    assert!(!config.contains("remote"), "{config}");
    // It has commits: nothing is written over.
    assert!(
        person
            .run(["project", "add", "tally"])
            .fails(6)
            .contains("--name")
    );
    // A clone knows its project, also when there are several.
    person
        .run(["project", "add", "tally", "--name", "other"])
        .ok();
    person.run(["issue", "list"]).fails(2);
    git(
        &tally,
        &[
            "remote",
            "add",
            "night",
            &format!("{}/git/tally.git", person.url),
        ],
    );
    let mut there = person.command(["queue"]);
    let output = there.current_dir(&tally).output().expect("it runs");
    assert!(output.status.success());
}

#[test]
fn an_address_is_cloned_with_the_persons_own_git() {
    let person = Person::with_server();
    person.write("far/a.txt", "x");
    let far = person.repository("far");
    git(&far, &["checkout", "-q", "-b", "trunk"]);
    let address = format!("file://{}", far.display());
    let project = person
        .run(["project", "add", &address, "--name", "near", "--json"])
        .json();
    assert_eq!(project["default_branch"], "trunk");
    assert_eq!(project["head"], git(&far, &["rev-parse", "HEAD"]));
}

#[test]
fn what_cannot_be_taken_is_said() {
    let person = Person::with_server();
    std::fs::create_dir(person.path("plain")).expect("a folder");
    assert!(
        person
            .run(["project", "add", "plain"])
            .fails(3)
            .contains("git init")
    );
    person.run(["project", "add", "nowhere"]).fails(3);
    person.write("whole/a.txt", "x");
    let whole = person.repository("whole");
    person.write("whole/b.txt", "x");
    git(&whole, &["add", "-A"]);
    git(&whole, &["commit", "-q", "-m", "second"]);
    let address = format!("file://{}", whole.display());
    git(
        &person.path(""),
        &["clone", "-q", "--depth", "1", &address, "shallow"],
    );
    assert!(
        person
            .run(["project", "add", "shallow"])
            .fails(1)
            .contains("--unshallow")
    );
}

#[test]
fn an_empty_repository_is_taken_and_the_next_call_goes_on() {
    let person = Person::with_server();
    std::fs::create_dir(person.path("young")).expect("a folder");
    git(&person.path("young"), &["init", "-q", "-b", "main"]);
    let said = person.run(["project", "add", "young"]).ok();
    assert!(said.contains("no commit on main yet: git push"), "{said}");
    person.write("young/a.txt", "x");
    person.repository("young");
    let project = person.run(["project", "add", "young", "--json"]).json();
    assert!(project["head"].is_string(), "{project}");
}
