//! How often somebody may try, and that nobody else pays for it.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_testkit::World;

use crate::browser::{Answer, Browser, Form as _};

const PASSWORD: &str = "four words are long enough";

/// Sets alice's password.
async fn with_password(world: &World) {
    let browser = Browser::signed_in(world, "alice").await;
    let set = browser
        .post(
            "/account/password",
            &[("password", PASSWORD), ("again", PASSWORD)],
        )
        .await;
    assert_eq!(set.status, 303, "{}", set.text);
}

/// One try at a name from an address behind the proxy, with the cookie of a known browser or none.
async fn tries(world: &World, from: &str, name: &str, password: &str, cookie: &str) -> Answer {
    let browser = Browser::new(world);
    let request = browser
        .request("POST", "/sign-in")
        .header("x-forwarded-for", from)
        .header("cookie", cookie)
        .form(&[("name", name), ("password", password)]);
    browser.send(request).await
}

fn device(answer: &Answer) -> String {
    let all = answer.headers.get_all("set-cookie").iter();
    let mut texts = all.filter_map(|value| value.to_str().ok());
    let found = texts.find(|text| text.starts_with("nightshift_device="));
    let found = found.expect("a known browser from now on");
    for flag in ["; Path=/sign-in", "; HttpOnly", "; SameSite=Lax"] {
        assert!(found.contains(flag), "{found}");
    }
    found.split(';').next().expect("a pair").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_at_a_name_keeps_out_itself_and_nobody_who_was_in_before() {
    let world = World::behind(&["127.0.0.1"]).await;
    with_password(&world).await;
    let first = tries(&world, "198.51.100.1", "alice", PASSWORD, "").await;
    assert!(first.cookie().is_some(), "{}", first.text);
    let known = device(&first);

    // From ever new addresses at one name.
    let mut worked_on = 0;
    for number in 0..60 {
        let from = format!("203.0.113.{number}");
        let answer = tries(&world, &from, "alice", "wrong", "").await;
        assert!(answer.cookie().is_none());
        match answer.status {
            429 => {
                assert!(answer.header("retry-after").parse::<u64>().is_ok());
                assert!(answer.text.contains("name=\"password\""));
            }
            _ => worked_on += 1,
        }
    }
    assert!((15..=25).contains(&worked_on), "{worked_on} were worked on");
    // A stranger's right password waits with the others; a browser that was in is in at once.
    let stranger = tries(&world, "198.51.100.9", "alice", PASSWORD, "").await;
    assert_eq!(stranger.status, 429);
    let mine = tries(&world, "198.51.100.1", "alice", PASSWORD, &known).await;
    assert!(mine.cookie().is_some(), "{}", mine.text);
    // So is whoever has a link.
    Browser::signed_in(&world, "alice").await;
    // What makes a browser known opens nothing, and helps at no other name.
    let (_, text) = known.split_once('=').expect("a value");
    nightshift_testkit::Person::new("thief", &world.url, text)
        .call::<op::MeGet>(Nothing {}, Nothing {})
        .await
        .expect_err("no token");
    // And a known browser may not guess either.
    let mut guesses = 0;
    for _ in 0..20 {
        let answer = tries(&world, "198.51.100.1", "alice", "wrong", &known).await;
        guesses += usize::from(answer.status != 429);
    }
    assert!(guesses <= 11, "{guesses}");
    // Time gives it back to everybody.
    world.clock.pass(Duration::from_secs(600));
    let later = tries(&world, "198.51.100.9", "alice", PASSWORD, "").await;
    assert!(later.cookie().is_some(), "{}", later.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_not_try_every_name_and_may_not_choose_its_address() {
    let world = World::new().await;
    let mut through = 0;
    for number in 0..80 {
        // There is no proxy here, so nobody is believed.
        let from = format!("203.0.113.{number}");
        let name = format!("person-{number}");
        let answer = tries(&world, &from, &name, "wrong", "").await;
        through += usize::from(answer.status != 429);
    }
    assert!(through <= 65, "{through}");
    let codes = Browser::new(&world).sign_in(&[("code", "x")]).await;
    assert_eq!(codes.status, 429);
    world.clock.pass(Duration::from_secs(300));
    Browser::signed_in(&world, "alice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_turned_away_and_valid_tokens_never() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, bob) = (world.alice(), world.person("bob", &[]).await);
    let browser = Browser::new(&world);
    let ask = |path: &str, token: &str| {
        let request = browser
            .request("GET", path)
            .header("authorization", format!("Bearer {token}"));
        browser.send(request)
    };
    let mut last = None;
    for number in 0..800 {
        let answer = ask("/api/v1/me", &format!("nst_{number}")).await;
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
        if answer.status == 429 {
            last = Some(answer);
        }
    }
    let last = last.expect("too many");
    assert_eq!(last.header("content-type"), "application/problem+json");
    assert!(last.header("retry-after").parse::<u64>().is_ok());
    let problem: serde_json::Value = serde_json::from_str(&last.text).expect("a problem");
    assert_eq!(problem["type"], "/problems/too-many");
    assert_eq!(problem["request_id"], last.header("x-request-id"));
    assert_eq!(ask("/api/v1/me", alice.token()).await.status, 200);

    // Searches are counted by who searches.
    let search = "/api/v1/projects/tally/issues?text=x";
    let mut done = 0;
    for _ in 0..90 {
        done += usize::from(ask(search, alice.token()).await.status == 200);
    }
    assert!((60..=75).contains(&done), "{done}");
    // However it is put, and whatever is sent beside it.
    let other = browser
        .request("GET", search)
        .header("authorization", format!("bearer   {}", alice.token()))
        .header("cookie", "theme=dark");
    assert_eq!(browser.send(other).await.status, 429);
    assert_eq!(ask(search, bob.token()).await.status, 404);
    let list = "/api/v1/projects/tally/issues?text=";
    assert_eq!(ask(list, alice.token()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_names_its_request() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    for (method, path, status) in [
        ("GET", "/api/v1/me", 401),
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/me", 405),
        ("GET", "/api/v1/%00", 404),
        (
            "GET",
            "/git/none.git/info/refs?service=git-upload-pack",
            401,
        ),
    ] {
        let answer = browser.send(browser.request(method, path)).await;
        assert_eq!(answer.status, status, "{path}");
        let problem: serde_json::Value = serde_json::from_str(&answer.text).expect("a problem");
        assert_eq!(
            problem["request_id"],
            answer.header("x-request-id"),
            "{path}"
        );
    }
}
