//! Live pages: one computation for all who see the same, the newest state for the slow, and rights
//! as they are now.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::Request;
use futures_util::StreamExt as _;
use nightshift_api::Nothing;
use nightshift_api::operations as op;
use nightshift_api::project::MemberPath;
use nightshift_domain::access::Role;
use nightshift_domain::failure::Reason;
use nightshift_testkit::{Hand, World};
use nightshift_web::Live;
use tower::ServiceExt as _;

use crate::browser::Browser;

/// Somebody who watches a page.
struct Viewer {
    body: BodyDataStream,
}

/// What came: the id and the markup of a fragment, or the word that it is over.
#[derive(Debug, PartialEq)]
enum Came {
    Fragment { id: String, html: String },
    End,
}

impl Viewer {
    async fn open(
        world: &World,
        live: &Live,
        who: &Browser,
        path: &str,
        last: Option<&str>,
    ) -> Self {
        let mut request = Request::get(path).header("cookie", who.cookie().expect("a session"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let router = nightshift_web::router_with(world.app.clone(), live);
        let answer = router.oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut body = answer.into_body().into_data_stream();
        let first = body.next().await.expect("a beginning").expect("bytes");
        assert!(first.starts_with(b":"), "{first:?}");
        Self { body }
    }

    async fn next(&mut self) -> Option<Came> {
        loop {
            let waited = tokio::time::timeout(Duration::from_secs(30), self.body.next()).await;
            let bytes: Bytes = waited.expect("something in time")?.expect("bytes");
            let text = String::from_utf8(bytes.to_vec()).expect("a text");
            if let Some(rest) = text.strip_prefix("id: ") {
                let (id, rest) = rest.split_once('\n').expect("an id");
                return Some(Came::Fragment {
                    id: id.to_owned(),
                    html: rest.replace("\ndata: ", "\n"),
                });
            }
            if text.starts_with("event: end") {
                return Some(Came::End);
            }
        }
    }

    /// The first fragment that has this text, with its id.
    async fn until(&mut self, wanted: &str) -> (String, String) {
        loop {
            match self.next().await {
                Some(Came::Fragment { id, html }) if html.contains(wanted) => return (id, html),
                Some(Came::Fragment { .. }) => {}
                other => panic!("{other:?} in the place of {wanted}"),
            }
        }
    }
}

/// Brings something to the desk.
async fn fails(world: &World, hand: &Hand, project: &str, title: &str) {
    world.alice().files_ready(project, title).await;
    let order = hand.claims().await.expect("a job");
    hand.fails(&order, Reason::SetupFailed)
        .await
        .expect("failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_viewers_cost_what_their_few_sights_cost() {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    world.person("bob", &[("tally", Role::Writer)]).await;
    world.person("carol", &[("tally", Role::Writer)]).await;
    world.person("dave", &[]).await;
    let hand = world.hand("r1").await;
    fails(&world, &hand, "other", "Elsewhere").await;
    let live = Live::default();
    let mut viewers = Vec::new();
    // Bob and Carol see the same list: they may do the same.
    for (name, count, sees) in [
        ("alice", 40, Some(true)),
        ("bob", 20, Some(false)),
        ("carol", 20, Some(false)),
        ("dave", 20, None),
    ] {
        let browser = Browser::signed_in(&world, name).await;
        for _ in 0..count {
            let mut viewer = Viewer::open(&world, &live, &browser, "/live/desk", None).await;
            let Some(Came::Fragment { html, .. }) = viewer.next().await else {
                panic!("{name} sees nothing");
            };
            assert_eq!(html.contains("Elsewhere"), sees == Some(true), "{name}");
            viewers.push((viewer, sees));
        }
    }
    let before = live.figures();
    assert_eq!(before.viewers, 100);
    let commits = *world.app.signals().commits().borrow();
    let reading: Vec<_> = viewers
        .into_iter()
        .map(|(mut viewer, sees)| {
            tokio::spawn(async move {
                if let Some(all) = sees {
                    let (_, html) = viewer.until("Fifth of all").await;
                    assert_eq!(html.contains("Elsewhere"), all);
                }
                viewer
            })
        })
        .collect();
    for title in ["First", "Second", "Third", "Fourth", "Fifth of all"] {
        fails(&world, &hand, "tally", title).await;
    }
    let mut open = Vec::new();
    for one in reading {
        open.push(one.await.expect("read"));
    }
    let (after, commits) = (
        live.figures(),
        *world.app.signals().commits().borrow() - commits,
    );
    let bursts = after.bursts - before.bursts;
    let computed = after.computed - before.computed;
    assert!(
        bursts >= 1 && bursts <= commits,
        "{bursts} for {commits} commits"
    );
    // Once everybody's rights, and for each of the three sights what waits and how it looks.
    assert!(computed <= bursts * 7, "{computed} in {bursts} bursts");
    assert!(after.sent - before.sent >= 80, "{after:?}");
    drop(open);
    assert_eq!(live.figures().viewers, 0, "who left is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_viewer_gets_the_newest_state_once() {
    let world = World::new().await;
    world.project("tally").await;
    let (hand, live) = (world.hand("r1").await, Live::default());
    let alice = Browser::signed_in(&world, "alice").await;
    let mut slow = Viewer::open(&world, &live, &alice, "/live/desk", None).await;
    let mut quick = Viewer::open(&world, &live, &alice, "/live/desk", None).await;
    slow.next().await.expect("the state now");
    let titles = ["Ant", "Bee", "Cat", "Dog", "Elk", "Fox"];
    for title in titles {
        fails(&world, &hand, "tally", title).await;
        quick.until(title).await;
    }
    let Some(Came::Fragment { id, html }) = slow.next().await else {
        panic!("nothing came");
    };
    for title in titles {
        assert!(html.contains(title), "{title} is missing: {html}");
    }

    // Who was cut off and has it all is sent nothing but what comes next.
    drop(slow);
    let mut again = Viewer::open(&world, &live, &alice, "/live/desk", Some(&id)).await;
    // It reads first, and what it has already is not sent.
    let (came, ()) = tokio::join!(again.next(), fails(&world, &hand, "tally", "Gnu"));
    let Some(Came::Fragment { html, .. }) = came else {
        panic!("nothing came");
    };
    assert!(html.contains("Gnu"), "the same was sent again: {html}");
    // Who missed something is told at once.
    let mut late = Viewer::open(&world, &live, &alice, "/live/desk", Some(&id)).await;
    let Some(Came::Fragment { html, .. }) = late.next().await else {
        panic!("nothing came");
    };
    assert!(html.contains("Gnu"), "{html}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_names_what_it_shows_so_that_the_stream_need_not_repeat_it() {
    let world = World::new().await;
    world.project("tally").await;
    let (hand, live) = (world.hand("r1").await, Live::default());
    fails(&world, &hand, "tally", "Broken").await;
    let alice = Browser::signed_in(&world, "alice").await;
    for page in ["/", "/p/tally/1"] {
        let text = alice.get(page).await.text;
        let (_, rest) = text.split_once("data-live=\"").expect("a live part");
        let path = rest.split('"').next().expect("an address").to_owned();
        let mut viewer = Viewer::open(&world, &live, &alice, &path, None).await;
        fails(&world, &hand, "tally", "Another").await;
        world
            .alice()
            .call::<op::IssueNote>(
                nightshift_testkit::person::place("tally", 1),
                nightshift_api::issue::Words {
                    text: "Another word".to_owned(),
                },
            )
            .await
            .expect("noted");
        let (_, html) = viewer.until("Another").await;
        assert!(
            html.contains("name=\"form_token\" value=\"\""),
            "a fragment for everybody carries somebody's token: {html}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_or_signed_out_sees_nothing_from_the_next_update_on() {
    let world = World::new().await;
    world.project("tally").await;
    let bob = world.person("bob", &[("tally", Role::Reader)]).await;
    world.person("carol", &[("tally", Role::Reader)]).await;
    let (hand, live) = (world.hand("r1").await, Live::default());
    fails(&world, &hand, "tally", "Private").await;
    let (bobs, carols) = (
        Browser::signed_in(&world, "bob").await,
        Browser::signed_in(&world, "carol").await,
    );
    let mut desk = Viewer::open(&world, &live, &bobs, "/live/desk", None).await;
    let mut page = Viewer::open(&world, &live, &bobs, "/live/p/tally/1", None).await;
    let mut hers = Viewer::open(&world, &live, &carols, "/live/desk", None).await;
    desk.until("Private").await;
    page.until("setup-failed").await;
    hers.until("Private").await;
    let path = MemberPath {
        project: "tally".to_owned(),
        user: bob.name().to_owned(),
    };
    world
        .alice()
        .call::<op::MemberRemove>(path, Nothing {})
        .await
        .expect("removed");
    let Some(Came::Fragment { html, .. }) = desk.next().await else {
        panic!("nothing came");
    };
    assert!(!html.contains("Private"), "{html}");
    let Some(Came::Fragment { html, .. }) = page.next().await else {
        panic!("nothing came");
    };
    assert!(!html.contains("setup-failed"), "{html}");
    assert_eq!(page.next().await, None, "and nothing more");

    assert_eq!(carols.post("/sign-out", &[]).await.status, 303);
    fails(&world, &hand, "tally", "Later").await;
    assert_eq!(hers.next().await, Some(Came::End));
    assert_eq!(hers.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_on_the_desk_well_within_the_bar() {
    let world = World::new().await;
    world.project("tally").await;
    let (hand, live) = (world.hand("r1").await, Live::default());
    let alice = Browser::signed_in(&world, "alice").await;
    let mut viewer = Viewer::open(&world, &live, &alice, "/live/desk", None).await;
    let mut best = Duration::MAX;
    for n in 0..5 {
        let title = format!("Number {n} failed");
        world.alice().files_ready("tally", &title).await;
        let order = hand.claims().await.expect("a job");
        let reading = tokio::spawn(async move {
            viewer.until(&title).await;
            (viewer, tokio::time::Instant::now())
        });
        hand.fails(&order, Reason::SetupFailed)
            .await
            .expect("failed");
        let happened = tokio::time::Instant::now();
        let (back, seen) = reading.await.expect("read");
        viewer = back;
        best = best.min(seen.saturating_duration_since(happened));
    }
    // Far below the five seconds after which it would look again by itself.
    assert!(best < Duration::from_millis(300), "seen after {best:?}");
}
