//! Signing in by a provider of identities: who gets in, and every way in which it must not work.

use std::time::{Duration, Instant};

use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_api::project::{IdentityPath, UserPath};
use nightshift_domain::admission::Policy;
use nightshift_testkit::{Fault, Identities, World};
use serde_json::{Value, json};

use crate::browser::{Answer, Browser};

/// A browser on its way through a provider.
struct Trip {
    browser: Browser,
    cookie: String,
    /// Where the provider sends the browser back to.
    back: String,
}

fn ada() -> Value {
    json!({
        "sub": "248289761001",
        "preferred_username": "ada",
        "email": "ada@example.com",
        "email_verified": true,
        "groups": ["devs"],
    })
}

fn policy(groups: &[&str], domains: &[&str]) -> Policy {
    let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Policy {
        require_groups: texts(groups),
        email_domains: texts(domains),
        admin_groups: Vec::new(),
    }
}

/// A world that makes an account for whoever is in `devs`, and a provider that vouches for Ada.
async fn open() -> (World, Identities) {
    let identities = Identities::start().await;
    identities.vouches_for(ada());
    let world = World::with_provider(&identities, policy(&["devs"], &[])).await;
    (world, identities)
}

/// Begins, and agrees at the provider's page.
async fn trip(world: &World, query: &str) -> Trip {
    let browser = Browser::new(world);
    let begun = browser.get(&format!("/sign-in/with/house{query}")).await;
    assert_eq!(begun.status, 303, "{}", begun.text);
    let cookie = begun.header("set-cookie").to_owned();
    for flag in ["; Path=/sign-in/with/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let address = begun.location().to_owned();
    for part in [
        "code_challenge_method=S256",
        "nonce=",
        "state=",
        "response_type=code",
    ] {
        assert!(address.contains(part), "{address}");
    }
    let http = nightshift_testkit::person::http();
    let page = http.get(&address).send().await.expect("the provider");
    assert_eq!(page.status(), 200, "{:?}", page.text().await);
    let text = page.text().await.expect("a page");
    let (_, rest) = text.split_once("href=\"").expect("a link");
    let link = rest
        .split('"')
        .next()
        .expect("a link")
        .replace("&amp;", "&");
    let origin = reqwest::Url::parse(&address).expect("an address").origin();
    let agreed = format!("{}{link}", origin.ascii_serialization());
    let answer = browser.send(browser.to(&agreed)).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    Trip {
        back: answer.location().to_owned(),
        cookie: pair,
        browser,
    }
}

impl Trip {
    async fn comes_back(&self) -> Answer {
        self.comes_back_as(&self.back, &self.cookie).await
    }

    async fn comes_back_as(&self, back: &str, cookie: &str) -> Answer {
        let request = self.browser.to(back).header("cookie", cookie);
        self.browser.send(request).await
    }
}

/// Who a browser with this answer's session is.
async fn who(world: &World, answer: &Answer) -> String {
    let session = answer.cookie().expect("a session");
    let pair = session.split(';').next().expect("a pair");
    let browser = Browser::new(world);
    let page = browser
        .send(browser.request("GET", "/account").header("cookie", pair))
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let (_, rest) = page.text.split_once("class=\"who\"").expect("a name");
    let (_, rest) = rest.split_once("</span>").expect("a name");
    rest.split('<').next().expect("a name").trim().to_owned()
}

fn told(answer: &Answer) -> &str {
    assert!(answer.cookie().is_none(), "{answer:?}");
    let (_, rest) = answer
        .text
        .split_once("role=\"alert\">")
        .expect("it says why");
    // The other ways in stay open.
    assert!(rest.contains("name=\"password\""), "{}", answer.text);
    rest.split('<').next().expect("words")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_vouched_for_gets_in_and_stays_the_same_person() {
    let (world, identities) = open().await;
    let page = Browser::new(&world).get("/sign-in?next=/runs").await;
    let link = "href=\"/sign-in/with/house?next=/runs\"";
    assert!(page.text.contains(link), "{}", page.text);
    assert!(page.text.contains("Sign in with House &amp; Co"));
    assert_eq!(identities.asked(), 0, "the page waits for no provider");

    let first = trip(&world, "?next=/runs").await.comes_back().await;
    assert_eq!((first.status, first.location()), (303, "/runs"));
    assert_eq!(who(&world, &first).await, "ada");

    // Another name and address, the same person; another person, the same name and address.
    let mut later = ada();
    later["preferred_username"] = json!("countess");
    later["email"] = json!("countess@example.com");
    identities.vouches_for(later);
    let second = trip(&world, "").await.comes_back().await;
    assert_eq!(second.location(), "/");
    assert_eq!(who(&world, &second).await, "ada");
    let mut other = ada();
    other["sub"] = json!("other");
    identities.vouches_for(other);
    let third = trip(&world, "").await.comes_back().await;
    assert_eq!(who(&world, &third).await, "ada-2");

    let alice = world.alice();
    let path = UserPath {
        user: "ada".to_owned(),
    };
    let known = alice
        .call::<op::IdentityList>(path, Nothing {})
        .await
        .expect("identities");
    assert_eq!(known.items.len(), 1);
    assert_eq!(known.items[0].subject, "248289761001");
    assert_eq!(
        known.items[0].email.as_deref(),
        Some("countess@example.com")
    );
    let me = alice.call::<op::UserList>(Nothing {}, Nothing {}).await;
    let people = me.expect("people").items;
    assert!(
        people
            .iter()
            .all(|one| !one.is_admin || one.name == "alice")
    );

    // Unlinked, they are out, and a stranger afterwards. They may do it themselves.
    let pair = second.cookie().expect("a session").split(';').next();
    let mut ada = Browser::new(&world);
    ada.keep(pair.expect("a pair"));
    let page = ada.get("/account").await.text;
    assert!(page.contains("countess@example.com"), "{page}");
    let id = known.items[0].id;
    let foreign = IdentityPath {
        user: "alice".to_owned(),
        identity: id,
    };
    alice
        .call::<op::IdentityRemove>(foreign, Nothing {})
        .await
        .expect_err("not of alice");
    let removed = ada
        .post(&format!("/account/identities/{id}/remove"), &[])
        .await;
    assert_eq!(removed.location(), "/sign-in?next=/account");
    assert_eq!(ada.get("/").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_fits_only_the_browser_that_asked_and_only_once() {
    let (world, identities) = open().await;
    identities.errs(Some(Fault::TakesCodesTwice));
    let (mine, theirs) = (trip(&world, "").await, trip(&world, "").await);

    // Somebody else's answer, led to this browser (login CSRF), with and without its own sign-in.
    let none = mine.comes_back_as(&theirs.back, "x=1").await;
    assert_eq!(none.status, 400);
    assert!(told(&none).contains("not begun in this browser"));
    let stale = mine.comes_back_as(&theirs.back, &mine.cookie).await;
    assert_eq!(stale.status, 400);
    // Its cookie under the name that the answer asks for does not help.
    let value = mine.cookie.split_once('=').expect("a value").1;
    let name = theirs.cookie.split_once('=').expect("a name").0;
    let forced = mine
        .comes_back_as(&theirs.back, &format!("{name}={value}"))
        .await;
    assert_eq!(forced.status, 400);
    let blank = mine
        .comes_back_as(
            &format!("{}/sign-in/with/house/back", world.url),
            &mine.cookie,
        )
        .await;
    assert_eq!(blank.status, 400);
    // Its code under our own state is redeemed with our proof key, which does not fit.
    let code = |back: &str| {
        let url = reqwest::Url::parse(back).expect("an address");
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(key, _)| key == "code").expect("a code");
        found.1.into_owned()
    };
    let swapped = mine.back.replace(&code(&mine.back), &code(&theirs.back));
    let swapped = mine.comes_back_as(&swapped, &mine.cookie).await;
    assert_eq!(swapped.status, 502);
    assert!(told(&swapped).contains("does not take the code back"));

    // Once, even where the provider would take the code again.
    let good = mine.comes_back().await;
    assert_eq!(good.status, 303, "{}", good.text);
    assert!(good.header("set-cookie").contains("nightshift_"));
    let again = mine.comes_back().await;
    assert_eq!(again.status, 400);
    told(&again);

    // And not for ever.
    let late = trip(&world, "").await;
    world.clock.pass(Duration::from_secs(16 * 60));
    assert_eq!(late.comes_back().await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_signs_must_be_for_us_now_and_by_its_key() {
    let (world, identities) = open().await;
    for (fault, status, word) in [
        (Fault::WrongNonce, 502, "nonce mismatch"),
        (Fault::NoNonce, 502, "missing nonce"),
        (Fault::WrongIssuer, 502, "issuer"),
        (Fault::WrongAudience, 502, "audience"),
        (Fault::MoreAudiences, 502, "audience"),
        (Fault::Expired, 502, "Expired"),
        (Fault::Early, 502, "future"),
        (Fault::Unsigned, 502, "ignature"),
        (Fault::SignedWithSecret, 502, "ignature"),
        (Fault::Forged, 502, "ignature"),
        (Fault::MixedUp, 502, "another issuer"),
        (Fault::Denies, 400, "not today"),
    ] {
        identities.errs(Some(fault));
        let answer = trip(&world, "").await.comes_back().await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text);
        let told = told(&answer);
        assert!(told.contains(word), "{fault:?}: {told}");
        assert!(!answer.text.contains("<b>"), "{}", answer.text);
    }
    identities.errs(None);
    // Keys change, and nobody need tell the server.
    assert_eq!(trip(&world, "").await.comes_back().await.status, 303);
    let under_way = trip(&world, "").await;
    identities.changes_keys();
    assert_eq!(under_way.comes_back().await.status, 303);
    assert_eq!(trip(&world, "").await.comes_back().await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_who_why_and_what_to_do() {
    let identities = Identities::start().await;
    let world = World::with_provider(&identities, policy(&[], &["example.com"])).await;
    for (change, words) in [
        (json!({ "email": null }), "names no e-mail"),
        (
            json!({ "email_verified": false }),
            "not verified the address ada@example.com",
        ),
        (json!({ "email_verified": null }), "not verified"),
        (
            json!({ "email": "ada@evil.test" }),
            "addresses at example.com; yours is ada@evil.test",
        ),
    ] {
        let mut person = ada();
        for (key, value) in change.as_object().expect("a change") {
            person[key] = value.clone();
        }
        identities.vouches_for(person);
        let answer = trip(&world, "").await.comes_back().await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        let told = told(&answer);
        assert!(told.contains("House &amp; Co knows you as "), "{told}");
        assert!(told.contains(words), "{told}");
        assert!(told.contains("invitation"), "{told}");
    }
    // The address of somebody who is known lets nobody in.
    let mut same = ada();
    same["preferred_username"] = json!("alice");
    identities.vouches_for(same);
    let answer = trip(&world, "").await.comes_back().await;
    assert_eq!(who(&world, &answer).await, "alice-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_asked_for_where_the_token_has_none() {
    let identities = Identities::start().await;
    let admins = Policy {
        admin_groups: vec!["ops".to_owned()],
        ..policy(&["devs"], &[])
    };
    let world = World::with_provider(&identities, admins).await;
    let mut person = ada();
    person["groups"] = Value::Null;
    identities.vouches_for(person.clone());
    let answer = trip(&world, "").await.comes_back().await;
    assert_eq!(answer.status, 403);
    assert!(told(&answer).contains("groups is needed: devs"));
    identities.says_aside(json!({ "groups": ["devs", "ops"], "sub": "another" }));
    let answer = trip(&world, "").await.comes_back().await;
    assert_eq!(answer.status, 502, "it speaks of somebody else");

    let is_admin = || async {
        let all = world
            .alice()
            .call::<op::UserList>(Nothing {}, Nothing {})
            .await;
        let all = all.expect("people").items;
        let ada = all.iter().find(|one| one.name == "ada").expect("ada");
        ada.is_admin
    };
    identities.says_aside(json!({ "groups": ["devs", "ops"] }));
    assert_eq!(trip(&world, "").await.comes_back().await.status, 303);
    assert!(is_admin().await);
    // Who is no longer in the group administers no longer; who is in none does not get in.
    identities.says_aside(json!({ "groups": ["devs"] }));
    assert_eq!(trip(&world, "").await.comes_back().await.status, 303);
    assert!(!is_admin().await);
    identities.says_aside(json!({ "groups": ["ops"] }));
    assert_eq!(trip(&world, "").await.comes_back().await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_links_an_identity_to_an_account_once() {
    let identities = Identities::start().await;
    identities.vouches_for(ada());
    let world = World::with_provider(&identities, Policy::default()).await;
    let bob = world.person("bob", &[]).await;
    let path = || UserPath {
        user: "bob".to_owned(),
    };
    let closed = trip(&world, "").await.comes_back().await;
    assert_eq!(closed.status, 403);
    assert!(told(&closed).contains("nightshift user invite"));
    bob.call::<op::IdentityInvite>(path(), Nothing {})
        .await
        .expect_err("administrators invite");
    let alice = world.alice();
    let invite = || alice.call::<op::IdentityInvite>(path(), Nothing {});
    let made = invite().await.expect("an invitation");
    let page = Browser::new(&world).get(&made.path).await;
    assert!(page.text.contains("You are invited"), "{}", page.text);
    assert!(!page.text.contains("name=\"password\""));
    // It is no session and no token.
    let stolen = Browser::new(&world).sign_in(&[("code", &made.code)]).await;
    assert!(stolen.cookie().is_none());
    nightshift_testkit::Person::new("thief", &world.url, &made.code)
        .call::<op::MeGet>(Nothing {}, Nothing {})
        .await
        .expect_err("no token");

    let query = format!("?invite={}", made.code);
    let entered = trip(&world, &query).await.comes_back().await;
    assert_eq!(who(&world, &entered).await, "bob");
    let plain = trip(&world, "").await.comes_back().await;
    assert_eq!(who(&world, &plain).await, "bob");
    let again = trip(&world, &query).await.comes_back().await;
    assert_eq!(again.status, 400);
    assert!(told(&again).contains("invitation was used"));

    // An identity of bob's cannot become alice's, and an old invitation is none.
    let alices = UserPath {
        user: "alice".to_owned(),
    };
    let made = alice
        .call::<op::IdentityInvite>(alices, Nothing {})
        .await
        .expect("an invitation");
    let query = format!("?invite={}", made.code);
    let taken = trip(&world, &query).await.comes_back().await;
    assert_eq!(taken.status, 403);
    assert!(told(&taken).contains("another account"));
    world.clock.pass(Duration::from_secs(8 * 24 * 3_600));
    let late = trip(&world, &query).await.comes_back().await;
    assert_eq!(late.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_silent_costs_little_and_closes_no_other_door() {
    let (world, identities) = open().await;
    for fault in [Fault::Hangs, Fault::Babbles] {
        identities.errs(Some(fault));
        let before = identities.asked();
        let began = Instant::now();
        let (one, two) = (Browser::new(&world), Browser::new(&world));
        let (one, two) = tokio::join!(
            one.get("/sign-in/with/house"),
            two.get("/sign-in/with/house")
        );
        assert!(began.elapsed() < Duration::from_secs(30), "{fault:?}");
        for answer in [one, two] {
            assert_eq!(answer.status, 503);
            assert!(told(&answer).contains("does not answer"));
        }
        assert_eq!(identities.asked() - before, 1, "one asks for all");
        let answer = Browser::signed_in(&world, "alice").await;
        assert_eq!(answer.get("/").await.status, 200);
        world.clock.pass(Duration::from_secs(61));
    }
    identities.errs(None);
    let under_way = trip(&world, "").await;
    identities.errs(Some(Fault::Hangs));
    let began = Instant::now();
    let answer = under_way.comes_back().await;
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(answer.status, 503, "{}", answer.text);
    told(&answer);
    let unknown = Browser::new(&world).get("/sign-in/with/nobody").await;
    assert_eq!(unknown.status, 404);
    told(&unknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_on_never_leaves_the_site() {
    let (world, _identities) = open().await;
    for (next, target) in [
        ("/runs?state=failed", "/runs?state=failed"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test", "/"),
        ("/\t/evil.test", "/"),
    ] {
        let url = reqwest::Url::parse_with_params("http://x/", [("next", next)]).expect("a query");
        let query = format!("?{}", url.query().expect("a query"));
        let answer = trip(&world, &query).await.comes_back().await;
        assert_eq!(
            (answer.status, answer.location()),
            (303, target),
            "{next:?}"
        );
    }
    let long = format!("?next=/{}", "x".repeat(5_000));
    let answer = trip(&world, &long).await.comes_back().await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
}
