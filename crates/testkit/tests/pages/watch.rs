//! What one watches: the list of runs, the server, one's own tokens.

use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_domain::access::Role;
use nightshift_domain::failure::Reason;
use nightshift_testkit::{Person, World};

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_filtered_and_stopped_from_the_list() {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Fails").await;
    let failed = hand.claims().await.expect("a job");
    hand.fails(&failed, Reason::SetupFailed)
        .await
        .expect("failed");
    alice.files_ready("other", "Runs").await;
    let live = hand.claims().await.expect("a job");
    let browser = Browser::signed_in(&world, "alice").await;

    let all = browser.get("/runs").await.text;
    let (at_live, at_failed) = (
        all.find(&live.run.to_string()),
        all.find(&failed.run.to_string()),
    );
    assert!(
        at_live.expect("shown") < at_failed.expect("shown"),
        "what runs stands first"
    );
    assert!(all.contains("setup-failed"));
    for (query, shows_live, shows_failed) in [
        ("?project=tally", false, true),
        ("?state=running", true, false),
        ("?state=failed&kind=author", false, true),
        ("?kind=verify", false, false),
        ("?after=nonsense", true, true),
    ] {
        let text = browser.get(&format!("/runs{query}")).await.text;
        assert_eq!(text.contains(&live.run.to_string()), shows_live, "{query}");
        assert_eq!(
            text.contains(&failed.run.to_string()),
            shows_failed,
            "{query}"
        );
    }

    // A reader sees and cannot stop; a stranger sees nothing.
    world.person("reader", &[("other", Role::Reader)]).await;
    world.person("stranger", &[]).await;
    let page = format!("/runs/{}", live.run);
    let cancel = format!("{page}/cancel");
    let reader = Browser::signed_in(&world, "reader").await;
    let seen = reader.get("/runs").await.text;
    assert!(seen.contains(&live.run.to_string()) && !seen.contains(&failed.run.to_string()));
    assert!(!seen.contains(&cancel) && !reader.get(&page).await.text.contains(&cancel));
    assert_eq!(reader.post(&cancel, &[]).await.status, 403);
    let stranger = Browser::signed_in(&world, "stranger").await;
    assert!(
        !stranger
            .get("/runs")
            .await
            .text
            .contains(&live.run.to_string())
    );
    for path in [
        page.clone(),
        format!("{page}?q=x"),
        format!("/live{}", page.replace("runs", "run")),
    ] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
    }

    let stopped = browser.post(&cancel, &[("back", "runs")]).await;
    assert_eq!((stopped.status, stopped.location()), (303, "/runs"));
    // What has ended cannot be stopped.
    let ended = browser
        .post(&format!("/runs/{}/cancel", failed.run), &[])
        .await;
    assert_eq!(ended.status, 409, "{}", ended.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_is_paged_and_shown_to_whom_it_concerns() {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    let alice = world.alice();
    for n in 0..60 {
        alice.files_ready("tally", &format!("Issue {n}")).await;
    }
    world.hand("r1").await;
    let browser = Browser::signed_in(&world, "alice").await;
    let first = browser.get("/server").await.text;
    assert!(first.contains("r1") && first.contains("queued"), "{first}");
    let seqs = |text: &str| -> Vec<i64> {
        text.split("<tr id=\"e")
            .skip(1)
            .map(|rest| {
                rest.split('"')
                    .next()
                    .expect("a place")
                    .parse()
                    .expect("a number")
            })
            .collect()
    };
    let newest = seqs(&first);
    assert_eq!(newest.len(), 50);
    let mut seen = newest.clone();
    let mut path = format!("/server?before={}", newest.last().expect("one"));
    loop {
        let page = seqs(&browser.get(&path).await.text);
        let Some(last) = page.last() else { break };
        path = format!("/server?before={last}");
        seen.extend(page);
    }
    let whole: Vec<i64> = (1..=newest[0]).rev().collect();
    assert_eq!(seen, whole, "every event once, newest first");
    let of_other = browser.get("/server?project=other").await.text;
    assert!(!of_other.contains("/p/tally/") && !seqs(&of_other).is_empty());

    world.person("bob", &[("other", Role::Reader)]).await;
    let bob = Browser::signed_in(&world, "bob").await;
    assert!(seqs(&bob.get("/server").await.text).is_empty());
    assert!(!seqs(&bob.get("/server?project=other").await.text).is_empty());
    assert_eq!(bob.get("/server?project=tally").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tokens_secret_is_shown_once_and_revoked_for_good() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "alice").await;
    let made = browser
        .post(
            "/account/tokens",
            &[("label", "<b>laptop</b>"), ("days", "30")],
        )
        .await;
    assert_eq!(
        (made.status, made.header("cache-control")),
        (200, "no-store")
    );
    assert!(made.text.contains("&lt;b&gt;laptop&lt;/b&gt;") && !made.text.contains("<b>laptop"));
    let (_, rest) = made.text.split_once("<pre><code>").expect("a secret");
    let secret = rest.split('<').next().expect("a secret").to_owned();
    assert!(!browser.get("/account").await.text.contains(&secret));
    let person = Person::new("alice", &world.url, &secret);
    let me = person.call::<op::MeGet>(Nothing {}, Nothing {}).await;
    assert_eq!(me.expect("it works").name, "alice");

    let page = browser.get("/account").await.text;
    let row = &page[..page.find("laptop").expect("listed")];
    assert!(row.len() < page.len());
    let after = &page[row.len()..];
    let (_, rest) = after.split_once("action=\"").expect("a form");
    let revoke = rest.split('"').next().expect("an address").to_owned();
    assert_eq!(browser.post(&revoke, &[]).await.location(), "/account");
    person
        .call::<op::MeGet>(Nothing {}, Nothing {})
        .await
        .expect_err("revoked");
    // Another person's token is not there to be revoked, and the platform's labels are its own.
    world.person("bob", &[]).await;
    let bob = Browser::signed_in(&world, "bob").await;
    assert_eq!(bob.post(&revoke, &[]).await.status, 404);
    for label in ["session", "sign-in link", " "] {
        let answer = bob
            .post("/account/tokens", &[("label", label), ("days", "7")])
            .await;
        assert_eq!(answer.status, 422, "{label:?}");
    }
}
