//! What the project's settings give by now is asked of nobody: a host that comes onto the list, or a
//! secret that is taken off it, answers trials, proofs, questions and failed runs, however it came there.

use nightshift_api::Nothing;
use nightshift_api::issue::Issue;
use nightshift_api::operations as op;
use nightshift_api::project::EventQuery;
use nightshift_api::run::{NewHostAsk, RunPath};
use nightshift_api::runner::{Complete, End, WorkOrder};
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::{HostUse, Traffic};
use nightshift_testkit::hand::report;
use nightshift_testkit::person::{home, place};
use nightshift_testkit::{Checkout, Hand, Person, World, invariants};

const SETTINGS: &str =
    "[merge]\ndirect_push = true\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
const SECRET: &str = "[[secret]]\nname = \"DB_PASSWORD\"\nsteps = [\"test\"]\n";

async fn stage(settings: &str) -> (World, Person, Hand, Checkout) {
    let world = World::new().await;
    let main = world.project_with("tally", settings).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    (world, alice, hand, main)
}

/// The settings with these hosts on their list.
fn with_hosts(hosts: &[&str]) -> String {
    format!("{SETTINGS}[network]\nallow = {hosts:?}\n")
}

/// Somebody pushes settings.
async fn pushes(world: &World, main: &Checkout, settings: &str) {
    main.take("main");
    main.write(".nightshift/config.toml", settings);
    main.commit("settings");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
}

/// The run ends, and was refused these.
async fn ends(hand: &Hand, order: &WorkOrder, end: End, blocked: &[&str]) {
    let hosts = blocked.iter().map(|host| HostUse {
        refused: 2,
        refused_because: Some("it is not among the hosts".to_owned()),
        ..HostUse::of((*host).to_owned())
    });
    let complete = Complete {
        epoch: order.epoch,
        end,
        usage: None,
        traffic: Some(Traffic {
            hosts: hosts.collect(),
            models: Vec::new(),
        }),
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    hand.completes(order, complete).await.expect("ended");
}

fn failed(reason: Reason) -> End {
    End::Failed {
        failure: Failure {
            reason,
            detail: Kept::quoted("as the test says"),
            retry_at: None,
        },
    }
}

fn red(order: &WorkOrder) -> End {
    End::Proved {
        report: report(order, false),
    }
}

fn reach(order: &WorkOrder) -> Vec<String> {
    order
        .network
        .allow
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What was decided about each host, and by whom.
fn decided(issue: &Issue) -> Vec<(&str, Option<&str>, Option<&str>)> {
    let hosts = issue.hosts.iter();
    hosts
        .map(|one| {
            let (decision, by) = (one.decision.as_deref(), one.decided_by.as_deref());
            (one.host.as_str(), decision, by)
        })
        .collect()
}

async fn cards(who: &Person) -> usize {
    let desk = who.call::<op::DeskList>(Nothing {}, Nothing {}).await;
    desk.expect("a desk").cards.len()
}

async fn events(who: &Person, kind: &str) -> Vec<serde_json::Value> {
    let page = who
        .client()
        .call::<op::EventList>(&Nothing {}, &EventQuery::default(), &Nothing {})
        .await
        .expect("events");
    let found = page.items.into_iter().filter(|event| event.kind == kind);
    found.map(|event| event.data).collect()
}

/// A change that is approved on a base that moved, and its trial, which is refused these hosts.
async fn trial_that_asks(
    world: &World,
    alice: &Person,
    hand: &Hand,
    main: &Checkout,
    blocked: &[&str],
) {
    alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "other\n");
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    alice.approves("tally", 1).await.expect("approved");
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("a trial");
    ends(hand, &trial, red(&trial), blocked).await;
    world.settle().await;
    assert_eq!(cards(alice).await, 1, "it asks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_the_settings_answers_a_trial() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    let blocked = ["pkgs.example.com:443", "cdn.example.net:443"];
    trial_that_asks(&world, &alice, &hand, &main, &blocked).await;
    // One of two: it still asks, for the other.
    pushes(&world, &main, &with_hosts(&["*.example.com"])).await;
    let issue = alice.sees("tally", 1).await;
    let by = Some("nightshift");
    let first = ("pkgs.example.com", Some("project"), by);
    assert_eq!(decided(&issue), [("cdn.example.net", None, None), first]);
    assert!(hand.claims_of(&[Kind::Trial]).await.is_none());
    assert_eq!(cards(&alice).await, 1);

    pushes(
        &world,
        &main,
        &with_hosts(&["*.example.com", "cdn.example.net"]),
    )
    .await;
    assert_eq!(cards(&alice).await, 0, "nobody is asked any more");
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("it goes on");
    assert_eq!(reach(&trial), ["*.example.com", "cdn.example.net"]);
    hand.proves(&trial, true).await.expect("tried");
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "done");
    let told = events(&alice, "host.allowed").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|one| one["for"] == "project" && one["settings"].is_string()),
        "{told:?}"
    );
    invariants::hold(&world, "answered by a push").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_of_the_settings_answers_a_trial() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    trial_that_asks(&world, &alice, &hand, &main, &["pkgs.example.com:443"]).await;
    let view = alice
        .call::<op::SettingsGet>(home("tally"), Nothing {})
        .await
        .expect("settings");
    let save = serde_json::json!({
        "blob": view.blob, "set": { "network.allow": ["pkgs.example.com"] },
    });
    let save = serde_json::from_value(save).expect("settings");
    alice
        .call::<op::SettingsSave>(home("tally"), save)
        .await
        .expect("saved");
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("it goes on");
    assert_eq!(reach(&trial), ["pkgs.example.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_list_does_not_name_to_the_port_is_asked_on() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    trial_that_asks(&world, &alice, &hand, &main, &["pkgs.example.com:80"]).await;
    // The next trial would be refused the very same.
    pushes(&world, &main, &with_hosts(&["pkgs.example.com:443"])).await;
    assert!(hand.claims_of(&[Kind::Trial]).await.is_none());
    assert_eq!(cards(&alice).await, 1);
    pushes(&world, &main, &with_hosts(&["pkgs.example.com"])).await;
    assert!(hand.claims_of(&[Kind::Trial]).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_on_the_list_when_the_run_ends_is_no_question() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    pushes(&world, &main, &with_hosts(&["pkgs.example.com"])).await;
    let end = failed(Reason::SetupFailed);
    ends(&hand, &order, end, &["pkgs.example.com:443"]).await;
    world.settle().await;
    assert_eq!(cards(&alice).await, 0);
    let again = hand.claims_of(&[Kind::Author]).await.expect("tried again");
    assert_eq!(reach(&again), ["pkgs.example.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_the_settings_answers_an_agents_question() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let agent = Person::new("agent", &world.url, &order.token);
    let run = || RunPath { run: order.run.0 };
    let ask = |host: &str| NewHostAsk {
        hosts: vec![host.to_owned()],
        why: "The build fetches from there.".to_owned(),
    };
    let asked = agent.call::<op::RunHosts>(run(), ask("pkgs.example.com"));
    asked.await.expect("asked");
    let end = End::Authored {
        summary: "I asked.".to_owned(),
        self_checks: Vec::new(),
    };
    ends(&hand, &order, end, &[]).await;
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "needs-input");
    pushes(&world, &main, &with_hosts(&["*.example.com"])).await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    let issue = alice.sees("tally", 1).await;
    let answer = issue.messages.last().expect("an answer");
    assert_eq!(
        (answer.kind.as_str(), answer.by.as_str()),
        ("answer", "nightshift")
    );
    let prompt = order
        .author
        .as_ref()
        .expect("an author")
        .resumed_prompt
        .clone();
    assert!(
        prompt.contains("You may reach `pkgs.example.com` now"),
        "{prompt}"
    );
    // It is in reach, so no agent asks for it once more, and is answered, for ever.
    let agent = Person::new("agent", &world.url, &order.token);
    let run = RunPath { run: order.run.0 };
    let again = agent.call::<op::RunHosts>(run, ask("pkgs.example.com"));
    let refused = again.await.expect_err("in reach already");
    assert!(refused.to_string().contains("already"), "{refused}");
    invariants::hold(&world, "a question").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_the_settings_answers_a_failed_run_and_a_proof() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    // 1: its author failed. 2: its proof could not be made. 3: its proof is red. 4: ended.
    for title in ["failed", "no proof", "red", "ended"] {
        alice.files_ready("tally", title).await;
    }
    let host = ["pkgs.example.com:443"];
    for number in 1..=4_i64 {
        let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
        assert_eq!(order.number, number);
        if matches!(number, 1 | 4) {
            ends(&hand, &order, failed(Reason::SetupFailed), &host).await;
            continue;
        }
        let file = format!("{number}.txt");
        let files = [(file.as_str(), "hello\n")];
        hand.authors(&order, &files).await.expect("authored");
    }
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    assert_eq!(proof.number, 2);
    ends(&hand, &proof, failed(Reason::SetupFailed), &host).await;
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    assert_eq!(proof.number, 3);
    ends(&hand, &proof, red(&proof), &host).await;
    let close = nightshift_api::issue::Words {
        text: "not needed".to_owned(),
    };
    alice
        .call::<op::IssueClose>(place("tally", 4), close)
        .await
        .expect("closed");
    for number in 1..=4 {
        let issue = alice.sees("tally", number).await;
        assert_eq!(decided(&issue), [("pkgs.example.com", None, None)]);
    }

    pushes(&world, &main, &with_hosts(&["pkgs.example.com"])).await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("tried again");
    assert_eq!(order.number, 1);
    let mut proved = Vec::new();
    while let Some(proof) = hand.claims_of(&[Kind::Verify]).await {
        assert_eq!(reach(&proof), ["pkgs.example.com"]);
        hand.proves(&proof, true).await.expect("proved");
        proved.push(proof.number);
    }
    assert_eq!(proved, [2, 3]);
    let ended = alice.sees("tally", 4).await;
    assert_eq!(ended.line.phase, "closed");
    assert_eq!(decided(&ended), [("pkgs.example.com", None, None)]);
    world.settle().await;
    invariants::hold(&world, "failed runs and proofs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_settings_name_no_more_is_missed_by_nobody() {
    let (world, alice, hand, main) = stage(SETTINGS).await;
    // 1: approved, to be tried. 2: to be begun.
    alice.files_ready("tally", "lands").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "other\n");
    pushes(&world, &main, &format!("{SETTINGS}{SECRET}")).await;
    alice.approves("tally", 1).await.expect("approved");
    world.settle().await;
    assert!(hand.claims_of(&[Kind::Trial]).await.is_none());
    alice.files_ready("tally", "begins").await;
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    world.settle().await;
    for number in [1, 2] {
        assert_eq!(alice.sees("tally", number).await.secrets, ["DB_PASSWORD"]);
    }

    pushes(&world, &main, SETTINGS).await;
    assert_eq!(cards(&alice).await, 0);
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("it goes on");
    assert_eq!(trial.number, 1);
    let order = hand.claims_of(&[Kind::Author]).await.expect("it begins");
    assert_eq!(order.number, 2);
    assert_eq!(events(&alice, "secret.given").await.len(), 2);
    invariants::hold(&world, "no secret").await;
}
