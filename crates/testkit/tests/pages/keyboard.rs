//! What is decided at the keyboard, on pages: what would stop an issue, its tests tried, its budget,
//! and words to an agent that works.

use nightshift_domain::access::Role;
use nightshift_domain::job::Kind;
use nightshift_testkit::World;

use crate::browser::Browser;
use crate::plan::send;

const GREET: &[(&str, &str)] = &[
    ("title", "Greet"),
    ("body", "```sh\ntouch hello.txt\n```"),
    ("agent", "script"),
    ("run", "sh tests/a.sh"),
    ("path-0", "tests/a.sh"),
    ("content-0", "test -f hello.txt\n"),
    ("budget", "2.50"),
];

fn with<'a>(button: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [GREET, more, &[("do", button)]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_says_what_would_stop_it_and_tries_its_tests() {
    let world = World::new().await;
    world.project_with("tally", "[budget]\nissue = 5\n").await;
    let browser = Browser::signed_in(&world, "alice").await;
    let empty = browser.get("/p/tally/new").await.text;
    assert!(empty.contains("empty for the project's $5.00"), "{empty}");

    // Nothing is saved by asking.
    let asked = send(
        &browser,
        "/p/tally/new",
        &with("check", &[("title", "")]),
        &[],
    )
    .await;
    assert_eq!(asked.status, 200);
    for shown in ["none is alive", "were not tried", "test -f hello.txt"] {
        assert!(asked.text.contains(shown), "{shown}: {}", asked.text);
    }
    let wrong = send(
        &browser,
        "/p/tally/new",
        &[("title", "Greet"), ("budget", "much"), ("do", "draft")],
        &[],
    )
    .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text.contains("Write an amount such as 5"),
        "{}",
        wrong.text
    );
    let untested = [("title", "Greet"), ("do", "try")];
    let untested = send(&browser, "/p/tally/new", &untested, &[]).await;
    assert!(
        untested.text.contains("no command to try"),
        "{}",
        untested.text
    );
    assert_eq!(
        browser.get("/p/tally/1").await.status,
        404,
        "nothing was filed"
    );

    // Trying saves a draft, and comes back to the form.
    let tried = send(&browser, "/p/tally/new", &with("try", &[]), &[]).await;
    assert_eq!(tried.location(), "/p/tally/1/edit#tryout", "{}", tried.text);
    let issue = world.alice().sees("tally", 1).await;
    assert_eq!(issue.line.phase, "draft");
    assert_eq!(issue.budget.own_micro_usd, Some(2_500_000));
    let form = browser.get("/p/tally/1/edit").await.text;
    assert!(form.contains("waits for a runner"), "{form}");
    assert!(
        form.contains("data-live=\"/live/p/tally/1/tryout?"),
        "{form}"
    );
    let hand = world.hand("r1").await;
    hand.tries(127, "<b>\nsh: 1: frobnicate: not found")
        .await
        .expect("tried");
    let form = browser.get("/p/tally/1/edit").await.text;
    for shown in [
        "does not run: the program <code>frobnicate</code> is missing",
        "&lt;b&gt;\nsh: 1",
    ] {
        assert!(form.contains(shown), "{shown}: {form}");
    }

    // Mended and tried again from the form, then from the page.
    let mended = with("try", &[("version", "1")]);
    let mended: Vec<_> = mended
        .into_iter()
        .map(|(name, value)| match name {
            "content-0" => (name, "exit 1\n"),
            _ => (name, value),
        })
        .collect();
    let tried = send(&browser, "/p/tally/1/edit", &mended, &[]).await;
    assert_eq!(tried.status, 303, "{}", tried.text);
    hand.tries(1, "").await.expect("tried");
    let page = browser.get("/p/tally/1").await.text;
    for shown in ["red as expected", "$2.50"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("value=\"try\""), "it is known: {page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_said_to_an_agent_on_its_runs_page() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Greet").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let browser = Browser::signed_in(&world, "alice").await;
    let (page, steer) = (
        format!("/runs/{}", order.run),
        format!("/runs/{}/steer", order.run),
    );
    assert!(browser.get(&page).await.text.contains(&steer));
    let said = browser
        .post(
            &steer,
            &[("text", "In <i>French</i>.\r\nPlease."), ("now", "on")],
        )
        .await;
    assert_eq!(said.status, 303, "{}", said.text);
    let beat = hand.beats(&order).await.expect("alive");
    assert_eq!(beat.steers[0].text, "In <i>French</i>.\nPlease.");
    assert!(beat.steers[0].now);
    let shown = browser.get(&page).await.text;
    assert!(shown.contains("interrupts the agent's turn"), "{shown}");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let shown = browser.get(&page).await.text;
    assert!(shown.contains("too late for this run"), "{shown}");
    assert!(!shown.contains(&steer), "nobody works any more");
    let story = browser.get("/p/tally/1").await.text;
    assert!(story.contains("said to the agent in"), "{story}");

    world.person("reader", &[("tally", Role::Reader)]).await;
    let reader = Browser::signed_in(&world, "reader").await;
    assert!(!reader.get(&page).await.text.contains(&steer));
    assert_eq!(reader.post(&steer, &[("text", "Hi.")]).await.status, 403);
}
