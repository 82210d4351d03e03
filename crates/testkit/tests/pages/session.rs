//! Sessions: how one gets in and out, and what keeps others from using them.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_api::project::NewLink;
use nightshift_testkit::{Person, World};

use crate::browser::{Browser, Form as _};

/// Every page that a person opens by its address.
async fn pages(world: &World) -> Vec<String> {
    world.project("tally").await;
    let alice = world.alice();
    alice.files_ready("tally", "First").await;
    let hand = world.hand("r1").await;
    let order = hand.claims().await.expect("a job");
    let mut pages: Vec<String> = ["/", "/board", "/runs", "/projects", "/server", "/account"]
        .map(str::to_owned)
        .into();
    pages.extend(["", "/new", "/1", "/1/edit"].map(|rest| format!("/p/tally{rest}")));
    pages.push(format!("/runs/{}", order.run));
    pages.push(format!("/runs/{}?q=word", order.run));
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_signs_in_once_and_its_code_is_nothing_else() {
    let world = World::new().await;
    let made = world
        .alice()
        .call::<op::SessionLink>(Nothing {}, NewLink::default())
        .await
        .expect("a link");
    let mut browser = Browser::new(&world);
    // Opening it changes nothing: previews of links open them too.
    for _ in 0..2 {
        let form = browser.get(&made.path).await;
        assert_eq!(form.status, 200);
        assert!(form.cookie().is_none() && form.text.contains(&made.code));
    }
    // It is no token of the API.
    let stolen = Person::new("thief", &world.url, &made.code);
    stolen
        .call::<op::MeGet>(Nothing {}, Nothing {})
        .await
        .expect_err("a link is no token");
    let answer = browser.sign_in(&[("code", &made.code)]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    assert_eq!(browser.get("/").await.status, 200);

    let again = Browser::new(&world).sign_in(&[("code", &made.code)]).await;
    assert!(again.status == 200 && again.cookie().is_none(), "{again:?}");
    assert!(again.text.contains("role=\"alert\""));

    // And none works for ever.
    let late = world.app.link_create("alice").await.expect("a link");
    world.clock.pass(Duration::from_secs(31 * 60));
    let late = Browser::new(&world)
        .sign_in(&[("code", late.reveal())])
        .await;
    assert!(late.cookie().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_makes_another_ones_link() {
    let world = World::new().await;
    let bob = world.person("bob", &[]).await;
    let link = |name: &str| NewLink {
        user: Some(name.to_owned()),
    };
    bob.call::<op::SessionLink>(Nothing {}, link("bob"))
        .await
        .expect("one's own");
    bob.call::<op::SessionLink>(Nothing {}, link("alice"))
        .await
        .expect_err("not another's");
    let made = world
        .alice()
        .call::<op::SessionLink>(Nothing {}, link("bob"))
        .await
        .expect("an administrator may");
    let mut browser = Browser::new(&world);
    browser.sign_in(&[("code", &made.code)]).await;
    assert!(browser.get("/account").await.text.contains("bob"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let world = World::new().await;
    let code = world.app.link_create("alice").await.expect("a link");
    let browser = Browser::new(&world);
    let request = browser
        .request("POST", "/sign-in")
        .header("x-forwarded-proto", "https")
        .form(&[("code", code.reveal())]);
    let answer = browser.send(request).await;
    let cookie = answer.cookie().expect("a cookie");
    for flag in [
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Max-Age=",
    ] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let mut plain = Browser::new(&world);
    let code = world.app.link_create("alice").await.expect("a link");
    let answer = plain.sign_in(&[("code", code.reveal())]).await;
    assert!(!answer.cookie().expect("a cookie").contains("Secure"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_must_come_from_our_own_page() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "alice").await;
    let token = browser.form_token().await;
    let good = [
        ("form_token", token.as_str()),
        ("label", "mine"),
        ("days", "7"),
    ];
    let own = world.url.clone();
    let site = |name: &'static str, value: String| {
        browser
            .request("POST", "/account/tokens")
            .header(name, value)
            .form(&good)
    };
    let refused = [
        browser.request("POST", "/account/tokens").form(&good[1..]),
        browser.request("POST", "/account/tokens").form(&[
            ("form_token", "0"),
            ("label", "x"),
            ("days", "7"),
        ]),
        site("origin", "http://evil.test".to_owned()),
        site("origin", "null".to_owned()),
        site("origin", format!("{own}.evil.test")),
        site("sec-fetch-site", "cross-site".to_owned()),
        site("sec-fetch-site", "same-site".to_owned()),
    ];
    for (place, request) in refused.into_iter().enumerate() {
        let answer = browser.send(request).await;
        assert_eq!(answer.status, 403, "{place}: {}", answer.text);
    }
    let mine = || async {
        let page = browser.get("/account").await.text;
        page.matches("Revoke mine").count()
    };
    assert_eq!(mine().await, 0);
    let answer = browser.send(site("origin", own)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(mine().await, 1);

    // Another session's form token is no good here.
    let other = Browser::signed_in(&world, "alice").await;
    assert_ne!(other.form_token().await, token);
    let request = other.request("POST", "/account/tokens").form(&good);
    assert_eq!(other.send(request).await.status, 403);

    // Nor is a sign-in form of elsewhere, which would sign a visitor in as somebody else.
    let code = world.app.link_create("alice").await.expect("a link");
    let request = Browser::new(&world)
        .request("POST", "/sign-in")
        .header("origin", "http://evil.test")
        .form(&[("code", code.reveal())]);
    assert_eq!(browser.send(request).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_never_leaves_the_site() {
    let world = World::new().await;
    for (next, target) in [
        ("/runs?state=failed", "/runs?state=failed"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("http://evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.test", "/"),
        ("/\n/evil.test", "/"),
        ("\\\\evil.test", "/"),
        ("", "/"),
    ] {
        let code = world.app.link_create("alice").await.expect("a link");
        let mut browser = Browser::new(&world);
        let answer = browser
            .sign_in(&[("code", code.reveal()), ("next", next)])
            .await;
        assert_eq!(
            (answer.status, answer.location()),
            (303, target),
            "{next:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_signed_in_is_led_to_the_door() {
    let world = World::new().await;
    let stranger = Browser::new(&world);
    for page in pages(&world).await {
        let answer = stranger.get(&page).await;
        assert_eq!(answer.status, 303, "{page}");
        let to = answer.location();
        assert!(to.starts_with("/sign-in?next=/"), "{page}: {to}");
        assert!(answer.text.is_empty(), "{page}: {}", answer.text);
    }
    let answer = stranger
        .send(
            stranger
                .request("POST", "/account/tokens")
                .form(&[("label", "x")]),
        )
        .await;
    assert_eq!(answer.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_forbids_foreign_and_inline_code() {
    let world = World::new().await;
    let pages = pages(&world).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let more = [
        "/sign-in",
        "/runs/none",
        "/p/none",
        "/runs/0190a8b0-0000-7000-8000-0000deadbeef",
    ];
    for page in pages.iter().map(String::as_str).chain(more) {
        let answer = browser.get(page).await;
        assert!(
            answer.status == 200 || answer.status == 404,
            "{page}: {}",
            answer.status
        );
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'"),
            "{page}: {policy:?}"
        );
        for wish in [
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(wish), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{page}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{page}");
        assert!(
            answer.header("cache-control").starts_with("private"),
            "{page}"
        );
        let text = &answer.text;
        assert!(
            !text.contains("<style") && !text.contains(" style="),
            "{page}"
        );
        assert!(
            !text.contains("<script>") && !text.contains(" onclick="),
            "{page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_and_git_do_not_take_the_cookie() {
    let world = World::new().await;
    world.project("tally").await;
    let browser = Browser::signed_in(&world, "alice").await;
    assert!(browser.cookie().is_some());
    for (method, path) in [
        ("GET", "/api/v1/me"),
        ("GET", "/api/v1/projects"),
        ("POST", "/api/v1/sign-in-links"),
        ("POST", "/api/v1/tokens"),
        ("GET", "/api/v1/events/stream"),
        ("GET", "/git/tally.git/info/refs?service=git-upload-pack"),
    ] {
        let answer = browser.send(browser.request(method, path)).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_by_signing_out_or_by_a_new_password() {
    let world = World::new().await;
    let one = Browser::signed_in(&world, "alice").await;
    let two = Browser::signed_in(&world, "alice").await;
    let link = world.app.link_create("alice").await.expect("a link");
    assert_eq!(one.post("/sign-out", &[]).await.location(), "/sign-in");
    assert_eq!(one.get("/").await.status, 303);
    assert_eq!(two.get("/").await.status, 200);

    let short = two
        .post(
            "/account/password",
            &[("password", "short"), ("again", "short")],
        )
        .await;
    assert_eq!(short.status, 422, "{}", short.text);
    let long = "four words are long enough";
    let differ = two
        .post(
            "/account/password",
            &[("password", long), ("again", "four words are")],
        )
        .await;
    assert_eq!(differ.status, 422);
    let set = two
        .post("/account/password", &[("password", long), ("again", long)])
        .await;
    assert_eq!(
        (set.status, set.location()),
        (303, "/sign-in?next=/account")
    );
    assert_eq!(two.get("/").await.status, 303);
    let late = Browser::new(&world)
        .sign_in(&[("code", link.reveal())])
        .await;
    assert!(
        late.cookie().is_none(),
        "a link from before a new password works"
    );

    let mut three = Browser::new(&world);
    let wrong = three
        .sign_in(&[
            ("name", "alice"),
            ("password", "four words are long enougH"),
        ])
        .await;
    assert!(wrong.cookie().is_none());
    three
        .sign_in(&[("name", "alice"), ("password", long)])
        .await;
    assert_eq!(three.get("/account").await.status, 200);
}
