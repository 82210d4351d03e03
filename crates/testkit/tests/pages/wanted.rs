//! What only a person can give: a secret's value, typed on the page of the issue that waits for it, and a
//! host that a proof missed.

use nightshift_api::operations as op;
use nightshift_api::run::{NewHostAsk, RunPath};
use nightshift_api::runner::End;
use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Person, World};

use crate::browser::Browser;

const VALUE: &str = "swordfish-is-the-word";
const CONFIG: &str = "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n\
    [[secret]]\nname = \"DB_PASSWORD\"\nsteps = [\"test\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_typed_on_the_issues_page_and_shown_nowhere() {
    let world = World::new().await;
    world.project_with("tally", CONFIG).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    world.person("wim", &[("tally", Role::Writer)]).await;
    alice.files_ready("tally", "Say hello").await;
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    let browser = Browser::signed_in(&world, "alice").await;
    let desk = browser.get("/").await.text;
    assert!(
        desk.contains("Needs a value") && desk.contains("href=\"/p/tally/1#secrets\""),
        "{desk}"
    );
    let page = browser.get("/p/tally/1").await.text;
    assert!(page.contains("Value of DB_PASSWORD"), "{page}");
    // Who may not set it is told who may.
    let writer = Browser::signed_in(&world, "wim").await;
    let seen = writer.get("/p/tally/1").await.text;
    assert!(
        seen.contains("A maintainer of the project can set them") && seen.contains("DB_PASSWORD"),
        "{seen}"
    );
    assert!(!seen.contains("name=\"value\""), "{seen}");
    let form = |value| [("name", "DB_PASSWORD"), ("issue", "1"), ("value", value)];
    let refused = writer.post("/p/tally/secrets", &form(VALUE)).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    // What was typed wrongly is not shown again.
    let refused = browser.post("/p/tally/secrets", &form("short-7")).await;
    assert!(refused.status >= 400, "{}", refused.text);
    assert!(!refused.text.contains("short-7"), "{}", refused.text);
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    let set = browser.post("/p/tally/secrets", &form(VALUE)).await;
    assert_eq!(set.status, 303, "{}", set.text);
    let page = browser.get("/p/tally/1").await.text;
    assert!(
        page.contains("set the value of a secret:") && !page.contains(VALUE),
        "{page}"
    );
    assert!(!page.contains("Value of DB_PASSWORD"), "{page}");
    assert!(hand.claims_of(&[Kind::Author]).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_for_hosts_that_is_answered_in_words_is_open_nowhere() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let agent = Person::new("agent", &world.url, &order.token);
    let ask = NewHostAsk {
        hosts: vec!["one.example.com".to_owned()],
        why: "The build fetches from there.".to_owned(),
    };
    let path = RunPath { run: order.run.0 };
    agent.call::<op::RunHosts>(path, ask).await.expect("asked");
    let end = End::Authored {
        summary: "I asked.".to_owned(),
        self_checks: Vec::new(),
    };
    hand.ends(&order, end, None).await.expect("ended");
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.get("/p/tally/1").await.text;
    assert!(
        page.contains("An answer in words leaves the hosts closed"),
        "{page}"
    );
    let answer = [("what", "answer"), ("text", "Use what is vendored.")];
    let answered = browser.post("/p/tally/1/act", &answer).await;
    assert_eq!(answered.status, 303, "{}", answered.text);
    let page = browser.get("/p/tally/1").await.text;
    assert!(
        !page.contains("host.allow") && !page.contains("Allow for this issue"),
        "{page}"
    );
    assert!(page.contains("denied a host:"), "{page}");
    let desk = browser.get("/").await.text;
    assert!(!desk.contains("one.example.com"), "{desk}");
}
