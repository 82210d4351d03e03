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
    let server = browser.get("/server").await.text;
    assert!(
        server.contains("r1") && server.contains("queued"),
        "{server}"
    );
    let first = browser.get("/server/audit").await.text;
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
    let mut path = format!("/server/audit?before={}", newest.last().expect("one"));
    loop {
        let page = seqs(&browser.get(&path).await.text);
        let Some(last) = page.last() else { break };
        path = format!("/server/audit?before={last}");
        seen.extend(page);
    }
    let whole: Vec<i64> = (1..=newest[0]).rev().collect();
    assert_eq!(seen, whole, "every event once, newest first");
    let of_other = browser.get("/server/audit?project=other").await.text;
    assert!(!of_other.contains("/p/tally/") && !seqs(&of_other).is_empty());

    world.person("bob", &[("other", Role::Reader)]).await;
    let bob = Browser::signed_in(&world, "bob").await;
    assert!(seqs(&bob.get("/server/audit").await.text).is_empty());
    assert!(!seqs(&bob.get("/server/audit?project=other").await.text).is_empty());
    assert_eq!(bob.get("/server/audit?project=tally").await.status, 404);
}

/// The events of an export, with their places and kinds.
async fn exported(world: &World, token: &str, query: &str) -> (u16, Vec<serde_json::Value>) {
    let url = format!("{}/api/v1/events/export{query}", world.url);
    let answer = nightshift_testkit::person::http()
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a text");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    (status, lines.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_is_filtered_and_exported() {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    let alice = world.alice();
    let kate = world.person("kate", &[("tally", Role::Writer)]).await;
    kate.files_ready("tally", "Early").await;
    world.after(std::time::Duration::from_secs(3_600)).await;
    let hour = world.app.later(std::time::Duration::ZERO);
    kate.files_ready("tally", "Late").await;
    alice.files_ready("other", "Hers").await;

    let (status, all) = exported(&world, alice.token(), "").await;
    assert_eq!(status, 200);
    let places: Vec<i64> = all.iter().filter_map(|one| one["seq"].as_i64()).collect();
    let last = world.app.last_event().await.expect("a place");
    assert_eq!(
        places,
        (1..=last).collect::<Vec<_>>(),
        "every event once, oldest first"
    );
    let count = |events: &[serde_json::Value], kind: &str| {
        events.iter().filter(|one| one["kind"] == kind).count()
    };
    for (query, filed) in [
        ("?person=kate".to_owned(), 2),
        ("?kind=issue.filed".to_owned(), 3),
        ("?kind=issue&person=kate&project=tally".to_owned(), 2),
        ("?kind=iss".to_owned(), 0),
        (format!("?from={hour}&person=kate"), 1),
        (format!("?until={hour}&person=kate"), 1),
        (format!("?from={hour}&until={hour}"), 0),
        (format!("?after={last}"), 0),
    ] {
        let (status, events) = exported(&world, alice.token(), &query).await;
        assert_eq!(
            (status, count(&events, "issue.filed")),
            (200, filed),
            "{query}"
        );
        let fits = events
            .iter()
            .all(|one| !query.contains("kate") || one["actor"] == "kate");
        assert!(fits, "{query}: {events:?}");
    }
    assert_eq!(exported(&world, alice.token(), "?from=noon").await.0, 422);
    assert_eq!(exported(&world, kate.token(), "").await.0, 403);
    assert_eq!(
        exported(&world, kate.token(), "?project=other").await.0,
        404
    );
    let (_, own) = exported(&world, kate.token(), "?project=tally").await;
    assert!(own.iter().all(|one| one["project"] == "tally"), "{own:?}");

    let browser = Browser::signed_in(&world, "alice").await;
    let minute = hour.strftime("%Y-%m-%dT%H:%M").to_string();
    for (query, has, has_not) in [
        (
            "person=kate&kind=issue".to_owned(),
            "/p/tally/1",
            "/p/other",
        ),
        (
            format!("person=kate&from={minute}"),
            "/p/tally/2",
            "/p/tally/1",
        ),
        (
            format!("person=kate&until={minute}"),
            "/p/tally/1",
            "/p/tally/2",
        ),
    ] {
        let page = browser.get(&format!("/server/audit?{query}")).await.text;
        let (_, table) = page.split_once("<tbody>").expect("a table");
        assert!(
            table.contains(has) && !table.contains(has_not),
            "{query}: {table}"
        );
    }
    let hostile = "/server/audit?person=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let page = browser.get(hostile).await;
    assert!(
        page.status == 200 && !page.text.contains("<script>alert"),
        "{}",
        page.text
    );
    let wrong = browser.get("/server/audit?from=noon").await;
    assert_eq!(wrong.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_see_health_and_room_and_make_people_and_runners() {
    let world = World::new().await;
    world.project("tally").await;
    world.settle().await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.get("/server").await.text;
    assert!(
        page.contains("Not measured yet") && page.contains("inodes free"),
        "{page}"
    );
    world.app.storage_measure().await.expect("measured");
    let page = browser.get("/server").await.text;
    assert!(
        page.contains("Repositories, the largest first") && page.contains("KiB"),
        "{page}"
    );
    let server = world
        .alice()
        .call::<nightshift_api::operations::ServerGet>(
            nightshift_api::Nothing {},
            nightshift_api::Nothing {},
        )
        .await
        .expect("the server");
    let storage = server.storage.expect("measured");
    assert_eq!(storage.repositories[0].project, "tally");
    assert!(storage.repositories[0].bytes > 1_000 && storage.database_bytes > 4_096);
    let signs: Vec<&str> = server
        .health
        .iter()
        .map(|sign| sign.what.as_str())
        .collect();
    assert_eq!(
        signs,
        ["database", "reconcilers", "space", "inodes", "runners"]
    );

    let people = browser.get("/server/people").await.text;
    assert!(people.contains("alice"), "{people}");
    let bad = browser.post("/server/people", &[("name", "no name")]).await;
    assert_eq!(bad.status, 422);
    assert!(
        bad.text.contains("value=\"no name\"") && bad.text.contains("is no name"),
        "{}",
        bad.text
    );
    assert_eq!(
        browser
            .post("/server/people", &[("name", "alice")])
            .await
            .status,
        409
    );
    let made = browser.post("/server/people", &[("name", "zoe")]).await;
    assert_eq!(
        (made.status, made.header("cache-control")),
        (200, "no-store")
    );
    let (_, code) = made.text.split_once("/sign-in?code=").expect("a link");
    let code = code.split('<').next().expect("an end");
    let mut zoe = Browser::new(&world);
    assert_eq!(zoe.sign_in(&[("code", code)]).await.status, 303);
    for (path, fields) in [
        ("/server/people", [("name", "eve")]),
        ("/server/people/link", [("name", "alice")]),
        ("/server/people/runner", [("name", "r9")]),
        ("/server/people/runner-revoke", [("name", "r1")]),
    ] {
        assert_eq!(zoe.post(path, &fields).await.status, 403, "{path}");
    }
    assert_eq!(zoe.get("/server/people").await.status, 403);
    assert!(!zoe.get("/server").await.text.contains("inodes"));

    let made = browser
        .post("/server/people/runner", &[("name", "r1")])
        .await;
    let (_, secret) = made.text.split_once("<pre><code>").expect("a secret");
    let secret = secret.split('<').next().expect("an end").to_owned();
    let hand = nightshift_testkit::Hand::new(&world.url, &secret);
    assert!(hand.claims().await.is_none());
    let page = browser.get("/server").await.text;
    assert!(page.contains(" · all</td>"), "{page}");
    let hand = hand.with_images();
    assert!(hand.claims().await.is_none());
    let page = browser.get("/server").await.text;
    assert!(page.contains(" · all · images</td>"), "{page}");
    let gone = browser
        .post("/server/people/runner-revoke", &[("name", "r1")])
        .await;
    assert_eq!(gone.status, 303);
    let claim = nightshift_testkit::person::http()
        .post(format!("{}/api/v1/runner/claim", world.url))
        .bearer_auth(&secret)
        .json(&serde_json::json!({ "kinds": ["author"], "slots": 1, "version": "t", "wait_s": 0 }))
        .send();
    assert_eq!(claim.await.expect("an answer").status().as_u16(), 401);
    let none = browser
        .post("/server/people/runner-revoke", &[("name", "r7")])
        .await;
    assert_eq!(none.status, 404);
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
