//! What is one's own: saved views of the board, when a token was used, identities at providers.

use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::view::{SaveView, ViewFilter, ViewPath};
use nightshift_testkit::World;

use crate::browser::Browser;

fn path(view: &str) -> ViewPath {
    ViewPath {
        view: view.to_owned(),
    }
}

fn labelled(label: &str) -> SaveView {
    SaveView {
        filter: Some(ViewFilter {
            label: Some(label.to_owned()),
            ..ViewFilter::default()
        }),
        ..SaveView::default()
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.project("tally").await;
    for (title, label) in [("Greet", "ui"), ("Count", "api")] {
        let new = NewIssue {
            title: title.to_owned(),
            labels: vec![label.to_owned()],
            ..NewIssue::default()
        };
        world.alice().files("tally", new).await.expect("filed");
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_kept_under_a_name_and_opens_the_board() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.get("/board").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("class=\"tabs\""), "no views, no tabs");

    let keep = [("view", " My/ui? "), ("label", "ui"), ("default", "yes")];
    let answer = browser.post("/board/views", &keep).await;
    assert_eq!((answer.status, answer.location()), (303, "/board?label=ui"));
    let answer = browser.get("/board").await;
    assert_eq!((answer.status, answer.location()), (303, "/board?label=ui"));
    let page = browser.get("/board?label=ui").await.text;
    assert!(page.contains("aria-current=\"page\">My/ui?</a>"), "{page}");
    assert!(
        page.contains(">Greet<") && !page.contains(">Count<"),
        "{page}"
    );
    let all = browser.get("/board?all").await.text;
    assert!(all.contains(">Greet<") && all.contains(">Count<"), "{all}");

    // Under another name, and no longer what the board opens with.
    let address = "/board/views/My%2Fui%3F";
    let answer = browser.post(address, &[("view", "Looks")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(browser.get("/board").await.status, 200);
    let page = browser.get("/board?label=ui").await.text;
    assert!(
        page.contains(">Looks</a>") && !page.contains("My/ui?"),
        "{page}"
    );
    let gone = browser.post(address, &[("view", "x")]).await;
    assert_eq!(gone.status, 404);

    let nothing = browser.post("/board/views", &[("view", "All")]).await;
    assert_eq!(nothing.status, 422);
    assert!(
        nothing.text.contains("leaves nothing out"),
        "{}",
        nothing.text
    );
    let bare = browser
        .request("POST", "/board/views")
        .body("view=x&label=ui");
    let bare = bare.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        browser.send(bare).await.status,
        403,
        "a form of another site"
    );

    let answer = browser.post("/board/views/Looks/remove", &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/board?all"));
    let again = browser.post("/board/views/Looks/remove", &[]).await;
    assert_eq!(again.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_ones_own_bounded_and_named_once() {
    let world = world().await;
    let alice = world.alice();
    let bob = alice.makes_person("bob", &[]).await;
    let saved = alice
        .call::<op::ViewSave>(path("mine"), labelled("ui"))
        .await
        .expect("saved");
    assert!(!saved.is_default);
    // What is not said stays.
    let first = SaveView {
        is_default: Some(true),
        ..SaveView::default()
    };
    alice
        .call::<op::ViewSave>(path("mine"), first.clone())
        .await
        .expect("the default");
    let again = alice
        .call::<op::ViewSave>(path("mine"), labelled("api"))
        .await
        .expect("saved anew");
    assert!(again.is_default);
    assert_eq!(again.filter.label.as_deref(), Some("api"));
    // There is one default.
    alice
        .call::<op::ViewSave>(path("other"), labelled("web"))
        .await
        .expect("saved");
    alice
        .call::<op::ViewSave>(path("other"), first.clone())
        .await
        .expect("the default");
    let views = alice.call::<op::ViewList>(Nothing {}, Nothing {}).await;
    let views = views.expect("views").items;
    let defaults: Vec<(&str, bool)> = views
        .iter()
        .map(|view| (view.name.as_str(), view.is_default))
        .collect();
    assert_eq!(defaults, [("mine", false), ("other", true)]);

    let rename = |name: &str| SaveView {
        name: Some(name.to_owned()),
        ..SaveView::default()
    };
    let refused = alice
        .call::<op::ViewSave>(path("mine"), rename("other"))
        .await
        .expect_err("taken");
    assert!(refused.to_string().contains("other"), "{refused}");
    bob.call::<op::ViewSave>(path("mine"), rename("his"))
        .await
        .expect_err("not his");
    bob.call::<op::ViewRemove>(path("mine"), Nothing {})
        .await
        .expect_err("not his");
    for number in 2..nightshift_domain::view::MOST {
        alice
            .call::<op::ViewSave>(path(&format!("v{number}")), labelled("x"))
            .await
            .expect("saved");
    }
    let refused = alice
        .call::<op::ViewSave>(path("too many"), labelled("x"))
        .await
        .expect_err("one too many");
    assert!(refused.to_string().contains("remove one"), "{refused}");
    // One that is there may still be changed.
    alice
        .call::<op::ViewSave>(path("v2"), labelled("y"))
        .await
        .expect("changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_says_when_it_was_last_used() {
    let world = world().await;
    let alice = world.alice();
    let used = async || {
        let tokens = alice.call::<op::TokenList>(Nothing {}, Nothing {}).await;
        tokens.expect("tokens").items[0].used_at
    };
    used().await;
    world.settle().await;
    let first = used().await.expect("it was used");
    // Within the hour nothing is written.
    world.after(Duration::from_secs(30 * 60)).await;
    used().await;
    world.settle().await;
    assert_eq!(used().await, Some(first));
    world.after(Duration::from_secs(40 * 60)).await;
    used().await;
    world.settle().await;
    assert!(used().await.expect("it was used") > first);
}
