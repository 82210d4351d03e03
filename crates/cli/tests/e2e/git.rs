//! A stock git client against the server: what a person, a stranger and a run may do with it.

use nightshift_api::client::Client;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{ClaimRequest, Complete, End, WorkOrder};
use nightshift_api::{Nothing, operations};
use nightshift_domain::job::Kind;

use super::house::House;

/// The runner's side of the API.
fn runner(house: &House, token: &str) -> Client {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody else did");
    let http = reqwest::Client::builder().no_proxy().build();
    Client::new(http.expect("a client"), &house.url, Some(token.to_owned()))
}

/// Claims the job that waits, as a runner does.
async fn claim(runner: &Client) -> WorkOrder {
    let request = ClaimRequest {
        kinds: vec![Kind::Author],
        slots: 1,
        version: "test".to_owned(),
        harnesses: None,
        images: false,
        wait_s: 20,
    };
    let answer = runner
        .call::<operations::RunnerClaim>(&Nothing {}, &Nothing {}, &request)
        .await;
    *answer.expect("an answer").order.expect("an order")
}

/// Ends the run, as a runner does.
async fn end(runner: &Client, order: &WorkOrder) {
    let complete = Complete {
        epoch: order.epoch,
        end: End::Stopped,
        usage: None,
        traffic: None,
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    let path = RunPath { run: order.run.0 };
    let ended = runner
        .call::<operations::RunnerComplete>(&path, &Nothing {}, &complete)
        .await;
    ended.expect("an end");
}

/// The status of git's last answer.
fn status(said: &str) -> Option<&str> {
    let lines = said.lines().rev();
    let mut found = lines.filter_map(|line| line.split_once("HTTP/1.1 ").map(|(_, rest)| rest));
    found.next().map(|rest| &rest[..3])
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_git_of_a_person_a_stranger_and_a_run() {
    let house = House::with_server();
    house.write("p/a.txt", "one\n");
    house.project("p");
    let alice = house.remote("p", &house.token);

    // A person clones, by the second version of the protocol, and pushes a branch.
    let traced = [("GIT_TRACE_PACKET", "1")];
    let cloned = house.git_with("", &traced, &["clone", &alice, "mine"]);
    assert!(
        cloned.good && cloned.err.contains("version 2"),
        "{}",
        cloned.err
    );
    assert_eq!(
        house.git("mine", &["rev-parse", "HEAD"]),
        house.git("p", &["rev-parse", "HEAD"])
    );
    house.write("mine/b.txt", "two\n");
    house.git("mine", &["add", "-A"]);
    house.git("mine", &["commit", "-q", "-m", "second"]);
    house.git("mine", &["push", "-q", "origin", "HEAD:topic"]);
    let second = house.git("mine", &["rev-parse", "HEAD"]);
    let topic = || house.git("mine", &["ls-remote", "origin", "refs/heads/topic"]);
    assert_eq!(topic(), format!("{second}\trefs/heads/topic"));
    // They may write it anew and remove it.
    house.git("mine", &["commit", "-q", "--amend", "-m", "anew"]);
    house.git("mine", &["push", "-q", "--force", "origin", "HEAD:topic"]);
    house.git("mine", &["push", "-q", "origin", ":topic"]);
    assert_eq!(topic(), "");

    // Not main, though they administer everything; and not what belongs to the platform.
    let main = house.git("mine", &["rev-parse", "origin/main"]);
    let push = |to: &str| {
        house
            .git_with("mine", &[], &["push", "origin", to])
            .refused()
    };
    let queue = "the default branch moves by the merge queue";
    for (to, why) in [
        ("HEAD:main", queue),
        ("+HEAD:main", queue),
        (":main", "the default branch cannot be deleted"),
    ] {
        let said = push(to);
        assert!(
            said.contains("[remote rejected]") && said.contains(why),
            "{to}: {said}"
        );
    }
    assert!(push("HEAD:refs/attempts/x").contains("belongs to the platform"));
    assert!(push("HEAD:refs/heads/nightshift/1").contains("begins with its first result"));

    // Wrong tokens, none, and somebody else's project.
    house.run(["user", "new", "bob"]).ok();
    let bob = house.run(["token", "new", "--user", "bob"]).ok();
    let answers = |remote: &str| {
        let verbose = [("GIT_CURL_VERBOSE", "1")];
        let said = house
            .git_with("", &verbose, &["ls-remote", remote])
            .refused();
        status(&said).unwrap_or_default().to_owned()
    };
    assert_eq!(answers(&house.remote("p", "nst_wrong")), "401");
    assert_eq!(answers(&format!("{}/git/p.git", house.url)), "401");
    assert_eq!(answers(&house.remote("p", &bob)), "404");
    assert_eq!(answers(&house.remote("no-such", &bob)), "404");
    // Once bob may read, he may read and no more.
    house
        .run(["project", "member", "set", "bob", "reader"])
        .ok();
    let bobs = house.remote("p", &bob);
    house.git("", &["clone", "-q", &bobs, "his"]);
    let said = house.git_with("his", &[], &["push", "origin", "HEAD:topic"]);
    assert!(
        said.refused()
            .contains("your role does not allow pushing here")
    );

    // A run writes one ref, its own attempt, and only while it lives.
    let runner = runner(&house, &house.run(["token", "new", "--runner", "one"]).ok());
    let words = [
        "issue",
        "new",
        "--ready",
        "--title",
        "x",
        "--body",
        "```sh\ntrue\n```",
    ];
    house.run(words).ok();
    let order = claim(&runner).await;
    let attempt = &order.author.as_ref().expect("an author").attempt_ref;
    let run = house.remote("p", &order.token);
    let push = |to: &str| house.git_with("mine", &[], &["push", &run, to]);
    let another = "refs/attempts/0199f0a0-0000-7000-8000-000000000001";
    for to in [
        "main",
        "refs/heads/topic",
        "refs/heads/nightshift/1",
        "refs/tags/v1",
        another,
    ] {
        let said = push(&format!("HEAD:{to}")).refused();
        let rule = format!("a run's token writes {attempt} and nothing else");
        assert!(
            said.contains("[remote rejected]") && said.contains(&rule),
            "{to}: {said}"
        );
    }
    // Of two refs in one push, the one that it may write does not come in by the side of another.
    let both = [&*format!("HEAD:{attempt}"), "HEAD:main"];
    let said = house.git_with("mine", &[], &["push", "--atomic", &run, both[0], both[1]]);
    said.refused();
    let attempts = || house.git("mine", &["ls-remote", &run, "refs/attempts/*"]);
    assert_eq!(attempts(), "");
    push(&format!("HEAD:{attempt}")).ok();
    assert!(
        push(&format!(":{attempt}"))
            .refused()
            .contains("kept for rescue")
    );
    let head = house.git("mine", &["rev-parse", "HEAD"]);
    assert_eq!(attempts(), format!("{head}\t{attempt}"));
    end(&runner, &order).await;
    assert_eq!(answers(&run), "401", "the token ends with the run");
    let tip = house.git("mine", &["ls-remote", "origin", "refs/heads/main"]);
    assert_eq!(
        tip,
        format!("{main}\trefs/heads/main"),
        "main is where it was"
    );
    let refs = house.git(
        "mine",
        &["ls-remote", "origin", "refs/heads/*", "refs/tags/*"],
    );
    assert_eq!(refs.lines().count(), 1, "{refs}");
}
