//! Suggestions on the change page, by plain forms: begun with the lines as they are, kept, shown as a
//! small diff, applied, and refused in place.

use nightshift_domain::access::Role;
use nightshift_testkit::World;

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suggestion_is_written_kept_and_applied_by_plain_forms() {
    let world = World::new().await;
    world.project("tally").await;
    world.person("reader", &[("tally", Role::Reader)]).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Count").await;
    hand.works(&[("a.txt", "one\n  ```two\nthree\n")]).await;
    let head = alice.pull("tally", 1).await.line.head;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = "/p/tally/1/change";
    let open = browser.get(&format!("{page}?comment=0.2")).await.text;
    assert!(open.contains("value=\"suggest\"") && open.contains(&head));
    let lines = |first: &'static str, last: &'static str| {
        vec![
            ("path", "a.txt"),
            ("file", "0"),
            ("head", head.as_str()),
            ("first", first),
            ("line", last),
        ]
    };
    let form = |first, last, what: &'static str, body: &'static str| {
        let mut fields = lines(first, last);
        fields.extend([("do", what), ("body", body)]);
        fields
    };
    // The lines come into what was written so far, fenced so that they cannot end the block.
    let begun = browser
        .post(
            &format!("{page}/comment"),
            &form("2", "3", "suggest", "Look:"),
        )
        .await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    assert!(
        begun
            .text
            .contains("Look:\n\n````suggestion\n  ```two\nthree\n````"),
        "{}",
        begun.text
    );
    // What does not fit is said beside what was written.
    for (first, last, what, body, status) in [
        ("3", "2", "suggest", "kept words", 422),
        ("9", "9", "suggest", "kept words", 422),
        ("3", "2", "keep", "kept words", 422),
    ] {
        let answer = browser
            .post(&format!("{page}/comment"), &form(first, last, what, body))
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(
            answer.text.contains("role=\"alert\"") && answer.text.contains(body),
            "{}",
            answer.text
        );
    }
    let body = "So:\n\n```suggestion\nTWO & <b>\n```";
    let kept = browser
        .post(&format!("{page}/comment"), &form("2", "2", "keep", body))
        .await;
    assert_eq!((kept.status, kept.location()), (303, page));
    let seen = browser.get(page).await.text;
    assert!(
        seen.contains("figure class=\"suggestion\"") && seen.contains("TWO &amp; &lt;b&gt;"),
        "{seen}"
    );
    assert!(!seen.contains("<b>\n"), "{seen}");
    let chinese = browser
        .send(browser.request("GET", page).header(
            "cookie",
            format!(
                "{}; nightshift_language=zh-Hant",
                browser.cookie().expect("a session")
            ),
        ))
        .await
        .text;
    assert!(
        chinese.contains("建議的修改") && chinese.contains("套用為提交"),
        "{chinese}"
    );
    let (_, rest) = seen.split_once("name=\"draft\" value=\"").expect("a draft");
    let draft = rest.split('"').next().expect("an id").to_owned();

    // Others neither see nor apply it.
    let reader = Browser::signed_in(&world, "reader").await;
    assert!(!reader.get(page).await.text.contains("TWO &amp;"));
    let apply = [("head", head.as_str()), ("draft", draft.as_str())];
    let refused = reader.post(&format!("{page}/apply"), &apply).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let old = "1".repeat(40);
    let stale = browser
        .post(
            &format!("{page}/apply"),
            &[("head", old.as_str()), ("draft", draft.as_str())],
        )
        .await;
    assert_eq!(stale.status, 409);
    assert!(
        stale.text.contains("line 2 did not change"),
        "{}",
        stale.text
    );
    let done = browser.post(&format!("{page}/apply"), &apply).await;
    assert_eq!((done.status, done.location()), (303, page), "{}", done.text);
    let after = alice.pull("tally", 1).await;
    assert_ne!(after.line.head, head);
    let seen = browser.get(page).await.text;
    assert!(!seen.contains("figure class=\"suggestion\""), "{seen}");
}
