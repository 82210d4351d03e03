//! Hosts that a run could not reach become a question to a person, and the work goes on with the answer.

use nightshift_api::Nothing;
use nightshift_api::client::CallError;
use nightshift_api::desk::Desk;
use nightshift_api::issue::{DecideHost, Issue};
use nightshift_api::operations as op;
use nightshift_api::project::EventQuery;
use nightshift_api::run::{NewHostAsk, RunPath};
use nightshift_api::runner::{Complete, End, SessionState, WorkOrder};
use nightshift_domain::access::Role;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::grant::Decision;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::{HostUse, Traffic};
use nightshift_testkit::hand::report;
use nightshift_testkit::person::{home, place};
use nightshift_testkit::{Hand, Person, World, invariants};

async fn stage() -> (World, Person, Hand, WorkOrder) {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    (world, alice, hand, order)
}

/// The agent asks for hosts.
async fn asks(world: &World, order: &WorkOrder, hosts: &[&str]) -> Result<Nothing, CallError> {
    let agent = Person::new("agent", &world.url, &order.token);
    let ask = NewHostAsk {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        why: "The build fetches from there.".to_owned(),
    };
    agent
        .call::<op::RunHosts>(RunPath { run: order.run.0 }, ask)
        .await
}

async fn decides(who: &Person, host: &str, decision: Decision) -> Result<Issue, CallError> {
    let decide = DecideHost {
        host: host.to_owned(),
        decision,
    };
    who.call::<op::IssueHost>(place("tally", 1), decide).await
}

/// The run ends with what it was refused.
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
        session: Some(SessionState {
            id: "session-1".to_owned(),
            agent: order.author.as_ref().expect("an author").agent.name.clone(),
            totals: serde_json::json!({}),
        }),
        attempt: None,
        handed: Vec::new(),
    };
    hand.completes(order, complete).await.expect("ended");
}

fn failed(reason: Reason) -> End {
    End::Failed {
        failure: Failure {
            reason,
            detail: Kept::quoted("npm ci failed"),
            retry_at: None,
        },
    }
}

fn authored() -> End {
    End::Authored {
        summary: "I asked.".to_owned(),
        self_checks: Vec::new(),
    }
}

/// Open hosts of the issue.
fn open(issue: &Issue) -> Vec<&str> {
    let open = issue.hosts.iter().filter(|one| one.decision.is_none());
    open.map(|one| one.host.as_str()).collect()
}

fn granted(order: &WorkOrder) -> Vec<String> {
    order.grants.iter().map(ToString::to_string).collect()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> (String, String) {
    let error = answer.expect_err("a refusal");
    let kind = error.kind().unwrap_or_default().to_owned();
    (kind, error.to_string())
}

async fn events(alice: &Person, kind: &str) -> Vec<serde_json::Value> {
    let page = alice
        .client()
        .call::<op::EventList>(&Nothing {}, &EventQuery::default(), &Nothing {})
        .await
        .expect("events");
    let found = page.items.into_iter().filter(|event| event.kind == kind);
    found.map(|event| event.data).collect()
}

async fn desk(who: &Person) -> Desk {
    who.call::<op::DeskList>(Nothing {}, Nothing {})
        .await
        .expect("a desk")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_asks_for_hosts_and_goes_on_in_its_session_with_the_answer() {
    let (world, alice, hand, order) = stage().await;
    asks(
        &world,
        &order,
        &["Packages.Example.com:443", "cdn.example.net"],
    )
    .await
    .expect("asked");
    ends(&hand, &order, authored(), &[]).await;
    let issue = alice.sees("tally", 1).await;
    assert_eq!(issue.line.phase, "needs-input");
    let question = issue.question.as_deref().expect("a question");
    assert!(
        question.contains("`packages.example.com`, `cdn.example.net`"),
        "{question}"
    );
    assert_eq!(open(&issue), ["cdn.example.net", "packages.example.com"]);
    assert_eq!(
        desk(&alice).await.cards[0].hosts,
        ["cdn.example.net", "packages.example.com"]
    );

    let issue = decides(&alice, "packages.example.com", Decision::Issue)
        .await
        .expect("allowed");
    assert_eq!(issue.line.phase, "needs-input", "the other is open");
    decides(&alice, "cdn.example.net", Decision::Denied)
        .await
        .expect("denied");
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    assert_eq!(granted(&order), ["packages.example.com"]);
    let author = order.author.as_ref().expect("an author");
    assert_eq!(
        author.session.as_ref().expect("its session").id,
        "session-1"
    );
    for words in [
        "You may reach `packages.example.com` now",
        "`cdn.example.net` stays out of reach",
        "Of the network you reach `packages.example.com`",
    ] {
        assert!(
            author.resumed_prompt.contains(words),
            "{words}: {}",
            author.resumed_prompt
        );
    }
    // What is decided is not asked again.
    let (kind, said) = refusal(asks(&world, &order, &["cdn.example.net"]).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("denied by alice"), "{said}");
    let (kind, said) = refusal(asks(&world, &order, &["packages.example.com"]).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("already"), "{said}");
    // A proof leans on none of it.
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    assert!(proof.grants.is_empty() && proof.network.allow.is_empty());
    let allowed = events(&alice, "host.allowed").await;
    assert_eq!(
        (&allowed[0]["host"], &allowed[0]["for"]),
        (&"packages.example.com".into(), &"issue".into())
    );
    assert_eq!(events(&alice, "host.denied").await.len(), 1);
    world.settle().await;
    invariants::hold(&world, "hosts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_run_was_refused_is_a_question_and_what_programs_call_by_themselves_is_none()
{
    let (world, alice, hand, order) = stage().await;
    let blocked = [
        "registry.example.com:443",
        "statsig.anthropic.com:443",
        "169.254.169.254:80",
    ];
    ends(&hand, &order, failed(Reason::SetupFailed), &blocked).await;
    let issue = alice.sees("tally", 1).await;
    assert_eq!(open(&issue), ["registry.example.com"]);
    let writer = world.person("wim", &[("tally", Role::Writer)]).await;
    let reader = world.person("rea", &[("tally", Role::Reader)]).await;
    let stranger = world.person("sten", &[]).await;
    let host = "registry.example.com";
    for (who, decision, kind) in [
        (&writer, Decision::Project, "forbidden"),
        (&reader, Decision::Issue, "forbidden"),
        (&reader, Decision::Project, "forbidden"),
        (&stranger, Decision::Issue, "not-found"),
    ] {
        let refused = refusal(decides(who, host, decision).await);
        assert_eq!(refused.0, kind, "{} {decision:?}", who.name());
    }
    assert_eq!(
        open(&alice.sees("tally", 1).await),
        [host],
        "nothing came of it"
    );
    // For the project: a commit to its settings, and the run is tried again.
    decides(&alice, host, Decision::Project)
        .await
        .expect("allowed");
    let settings = alice
        .call::<op::SettingsGet>(home("tally"), Nothing {})
        .await
        .expect("settings");
    assert!(
        settings.text.contains("allow = [\"registry.example.com\"]"),
        "{}",
        settings.text
    );
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    let reach: Vec<String> = order
        .network
        .allow
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!((reach, granted(&order)), (vec![host.to_owned()], vec![]));
    // Once more is no second commit.
    let head = settings.commit.clone();
    decides(&alice, host, Decision::Project)
        .await
        .expect("allowed");
    let settings = alice
        .call::<op::SettingsGet>(home("tally"), Nothing {})
        .await
        .expect("settings");
    assert_eq!(settings.commit, head);
    world.settle().await;
    invariants::hold(&world, "hosts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_is_a_no_and_a_writers_yes_tries_again() {
    let (world, alice, hand, order) = stage().await;
    let wim = world.person("wim", &[("tally", Role::Writer)]).await;
    let blocked = ["one.example.com:443", "two.example.com:8443"];
    ends(&hand, &order, failed(Reason::AgentFailed), &blocked).await;
    decides(&wim, "two.example.com:8443", Decision::Denied)
        .await
        .expect("denied");
    assert!(
        hand.claims_of(&[Kind::Author]).await.is_none(),
        "one is open"
    );
    decides(&wim, "one.example.com", Decision::Issue)
        .await
        .expect("allowed");
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    assert_eq!(granted(&order), ["one.example.com"]);
    ends(&hand, &order, failed(Reason::AgentFailed), &blocked[1..]).await;
    let issue = alice.sees("tally", 1).await;
    assert_eq!(open(&issue), Vec::<&str>::new(), "nobody is asked again");
    // A no alone starts nothing.
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    let (kind, said) = refusal(decides(&alice, "three.example.com", Decision::Denied).await);
    assert_eq!(kind, "refused");
    assert!(
        said.contains("nobody asked for three.example.com"),
        "{said}"
    );
    let (kind, said) = refusal(decides(&alice, "https://x/", Decision::Issue).await);
    assert_eq!(kind, "invalid");
    assert!(said.contains("packages.example.com"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_cannot_ask_for_what_nobody_can_open_nor_decide_itself() {
    let (world, alice, hand, order) = stage().await;
    for (hosts, kind, words) in [
        (&["169.254.169.254"][..], "refused", "no public host"),
        (&["localhost"], "refused", "no public host"),
        (&["*.example.com"], "invalid", "single hosts"),
        (&["http://example.com/x"], "invalid", "single hosts"),
        (&[], "invalid", "1 to 10"),
    ] {
        let (found, said) = refusal(asks(&world, &order, hosts).await);
        assert_eq!(found, kind, "{hosts:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
    let agent = Person::new("agent", &world.url, &order.token);
    let refused = refusal(decides(&agent, "evil.example.com", Decision::Issue).await);
    assert_eq!(refused.0, "forbidden");
    assert_eq!(alice.sees("tally", 1).await.hosts, []);
    // The one question of a run, whichever it is.
    asks(&world, &order, &["one.example.com"])
        .await
        .expect("asked");
    let (kind, said) = refusal(asks(&world, &order, &["two.example.com"]).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("has asked already"), "{said}");
    // It may be answered in words as well.
    ends(&hand, &order, authored(), &[]).await;
    alice
        .answers("tally", 1, "Use what is vendored.")
        .await
        .expect("answered");
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    assert_eq!(granted(&order), Vec::<String>::new());
    // Whoever answers in words has decided: it is open nowhere, and not asked again.
    let issue = alice.sees("tally", 1).await;
    let (decision, by) = (&issue.hosts[0].decision, &issue.hosts[0].decided_by);
    assert_eq!(
        (decision.as_deref(), by.as_deref()),
        (Some("denied"), Some("alice"))
    );
    let denied = events(&alice, "host.denied").await;
    assert_eq!(denied.len(), 1);
    assert_eq!(
        (&denied[0]["host"], &denied[0]["in_words"]),
        (&"one.example.com".into(), &true.into())
    );
    let (kind, said) = refusal(asks(&world, &order, &["one.example.com"]).await);
    assert_eq!(kind, "refused");
    assert!(said.contains("denied by alice"), "{said}");
}

/// A change whose proof is red and was refused these.
async fn missed(hand: &Hand, blocked: &[&str]) {
    let order = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    let end = End::Proved {
        report: report(&order, false),
    };
    let hosts = blocked.iter().map(|host| HostUse {
        refused: 1,
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
    hand.completes(&order, complete).await.expect("ended");
}

const CHECKED: &str = "[[check]]\nname = \"test\"\nrun = \"sh t\"\n[repair]\nafter_verdict = 0\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proof_missed_is_a_question_that_the_projects_list_alone_answers() {
    let world = World::new().await;
    world.project_with("tally", CHECKED).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let wim = world.person("wim", &[("tally", Role::Writer)]).await;
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    // Allowed for the issue beforehand: its author reaches it, its proof does not.
    let host = "pkgs.example.com";
    decides(&wim, host, Decision::Issue).await.expect("allowed");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let blocked = ["pkgs.example.com:443", "two.example.com:443"];
    missed(&hand, &blocked).await;
    let issue = alice.sees("tally", 1).await;
    assert_eq!(issue.line.phase, "in-review");
    let asked: Vec<(&str, &str, Option<&str>)> = issue
        .hosts
        .iter()
        .map(|one| (&*one.host, &*one.need, one.decision.as_deref()))
        .collect();
    assert_eq!(
        asked,
        [
            ("pkgs.example.com", "author", Some("issue")),
            ("pkgs.example.com", "proof", None),
            ("two.example.com", "proof", None)
        ]
    );
    let card = &desk(&alice).await.cards[0];
    assert_eq!(card.proof_hosts, ["pkgs.example.com", "two.example.com"]);
    assert_eq!(card.hosts, [""; 0]);
    // Never for an issue, whoever says so; for the project by a maintainer.
    for who in [&alice, &wim] {
        let (kind, said) = refusal(decides(who, host, Decision::Issue).await);
        assert_eq!(kind, "refused");
        assert!(said.contains("for the project"), "{said}");
    }
    let (kind, _) = refusal(decides(&wim, host, Decision::Project).await);
    assert_eq!(kind, "forbidden");
    decides(&alice, host, Decision::Project)
        .await
        .expect("allowed");
    assert!(
        hand.claims_of(&[Kind::Verify]).await.is_none(),
        "one is open"
    );
    decides(&wim, "two.example.com", Decision::Denied)
        .await
        .expect("denied");
    // It is proved again, with the project's list.
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("it goes on");
    let reach: Vec<String> = proof
        .network
        .allow
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!((reach, granted(&proof)), (vec![host.to_owned()], vec![]));
    hand.proves(&proof, true).await.expect("proved");
    assert_eq!(desk(&alice).await.cards[0].proof_hosts, [""; 0]);
    alice.approves("tally", 1).await.expect("green by now");
    world.settle().await;
    invariants::hold(&world, "a proof's hosts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_a_proof_is_a_no_and_a_green_proof_misses_nothing() {
    let world = World::new().await;
    world.project_with("tally", CHECKED).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    missed(&hand, &["one.example.com:443", "two.example.com:443"]).await;
    decides(&alice, "one.example.com", Decision::Denied)
        .await
        .expect("denied");
    assert!(hand.claims_of(&[Kind::Verify]).await.is_none());
    // Another round, whose proof is red again: a no is not asked again.
    alice
        .sends_back("tally", 1, "Without them.")
        .await
        .expect("sent back");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    hand.authors(&order, &[("hello.txt", "hello!\n")])
        .await
        .expect("authored");
    missed(&hand, &["one.example.com:443", "two.example.com:443"]).await;
    assert_eq!(open(&alice.sees("tally", 1).await), ["two.example.com"]);
    alice
        .sends_back("tally", 1, "Without both.")
        .await
        .expect("sent back");
    hand.works(&[("hello.txt", "hi\n")]).await;
    assert_eq!(open(&alice.sees("tally", 1).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_settings_lose_nothing_when_a_host_is_allowed_for_the_project() {
    let world = World::new().await;
    let config = "[merge]\ndirect_push = true\n";
    let main = world.project_with("tally", config).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    asks(&world, &order, &["pkgs.example.com"])
        .await
        .expect("asked");
    ends(&hand, &order, authored(), &[]).await;
    let broken = "[network]\nallow = [\"kept.example.com\", \"https://wrong\"]\n";
    main.write(".nightshift/config.toml", broken);
    main.commit("break the settings");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    let refused = decides(&alice, "pkgs.example.com", Decision::Project)
        .await
        .expect_err("broken settings");
    assert!(refused.to_string().contains("are broken"), "{refused}");
    let settings = alice
        .call::<op::SettingsGet>(home("tally"), Nothing {})
        .await
        .expect("settings");
    assert_eq!(settings.text, broken);
    // For the issue alone it goes.
    decides(&alice, "pkgs.example.com", Decision::Issue)
        .await
        .expect("allowed");
}
