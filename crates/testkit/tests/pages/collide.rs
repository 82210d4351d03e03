//! Collisions with other open changes, foretold on the page of a change.

use nightshift_testkit::World;

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collision_is_foretold_until_one_of_the_two_is_gone() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for (title, files) in [
        ("Greet", [("hello.txt", "hello\n")]),
        ("Shout", [("hello.txt", "HELLO\n")]),
        ("Count", [("count.txt", "1\n")]),
    ] {
        alice.files_ready("tally", title).await;
        hand.works(&files).await;
    }
    world.settle().await;
    let browser = Browser::signed_in(&world, "alice").await;
    let foretold = async |number: i64| {
        // What takes longer than a page may wait is there at a later look.
        let page = loop {
            let page = browser.get(&format!("/p/tally/{number}/change")).await;
            assert_eq!(page.status, 200, "{}", page.text);
            if !page.text.contains("data-trying") {
                break page;
            }
            assert!(page.text.contains("being tried"), "{}", page.text);
        };
        let (_, side) = page.text.split_once("<aside").expect("a side");
        ["Greet", "Shout", "Count"]
            .into_iter()
            .filter(|other| side.contains(other))
            .collect::<Vec<_>>()
    };
    // Twice: the second time from what is remembered.
    for _ in 0..2 {
        assert_eq!(foretold(1).await, ["Shout"]);
        assert_eq!(foretold(2).await, ["Greet"]);
        assert_eq!(foretold(3).await, [""; 0]);
    }
    let path = nightshift_testkit::person::place("tally", 2);
    let words = nightshift_api::issue::Words {
        text: "not wanted".to_owned(),
    };
    alice
        .call::<nightshift_api::operations::IssueClose>(path, words)
        .await
        .expect("closed");
    assert_eq!(foretold(1).await, [""; 0]);
}
