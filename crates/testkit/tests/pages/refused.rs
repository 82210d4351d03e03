//! What is refused is said in the reader's language; programs get the same words as ever.

use nightshift_api::client::CallError;
use nightshift_testkit::World;

use crate::browser::Browser;

/// The page that a refused form leads to.
async fn refused(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> String {
    let answer = browser.post(path, fields).await;
    assert!(
        answer.text.contains("lang=\"zh-Hant\""),
        "{path}: {}",
        answer.text
    );
    answer.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_said_in_the_readers_language() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    world.settle().await;
    let head = alice.pull("tally", 1).await.line.head.to_string();
    let mut browser = Browser::signed_in(&world, "alice").await;
    browser.speaks("zh-Hant");
    let issue = "/p/tally/1/act";
    let act = |what: &'static str, text: &'static str| [("what", what), ("text", text)];
    let old = "1".repeat(40);
    let said = [
        // Rules of the machine, with the name of the phase.
        (
            refused(&browser, issue, &act("reopen", "")).await,
            "議題的狀態是「待審」：只有已關閉的議題能重新開啟",
        ),
        (
            refused(&browser, issue, &act("retry", "")).await,
            "沒有可以重試的失敗",
        ),
        // Use cases, at the form and as a page of its own.
        (
            refused(&browser, issue, &act("note", " ")).await,
            "是空的：請寫下備註",
        ),
        (
            refused(&browser, issue, &act("host-denied", "packages.example.com")).await,
            "沒有人要求過 packages.example.com；沒有人要求過它",
        ),
        (
            refused(&browser, issue, &act("host-issue", "a..b")).await,
            "名稱有一部分是空的；請寫成 packages.example.com",
        ),
        (
            refused(&browser, "/p/tally/9/act", &act("ready", "")).await,
            "tally 沒有議題 #9",
        ),
        (
            refused(&browser, "/p/gone/1/act", &act("ready", "")).await,
            "沒有您能看到的專案 &quot;gone&quot;",
        ),
        (
            refused(&browser, issue, &act("dance", "")).await,
            "不能對議題做 &quot;dance&quot;",
        ),
        (
            refused(&browser, "/server/people", &[("name", "no name")]).await,
            "不能作為名稱",
        ),
        (
            refused(&browser, "/server/people", &[("name", "alice")]).await,
            "已經有名為 &quot;alice&quot; 的人",
        ),
        (
            refused(&browser, "/projects", &[("name", "tally"), ("branch", "")]).await,
            "已經有名為 &quot;tally&quot; 的專案",
        ),
        (
            refused(
                &browser,
                "/p/tally/members",
                &[("who", "nobody"), ("role", "writer")],
            )
            .await,
            "沒有名為 &quot;nobody&quot; 的人",
        ),
        (
            refused(
                &browser,
                "/p/tally/1/change/apply",
                &[("head", old.as_str())],
            )
            .await,
            "沒有您可以套用的建議",
        ),
        (
            refused(
                &browser,
                "/p/tally/1/change/comment",
                &[
                    ("path", "hello.txt"),
                    ("head", head.as_str()),
                    ("file", "0"),
                    ("first", "1"),
                    ("line", "1"),
                    ("do", "keep"),
                    ("body", ""),
                ],
            )
            .await,
            "留言有 1 到 16384 個位元組",
        ),
    ];
    for (text, part) in said {
        assert!(text.contains(part), "{part}: {text}");
    }
    let missing = browser.get("/p/tally/77").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text.contains("沒有議題 #77"), "{}", missing.text);

    // A program is told in the words that it always was.
    let place = nightshift_testkit::person::place("tally", 1);
    let told = alice
        .call::<nightshift_api::operations::IssueReopen>(place, nightshift_api::Nothing {})
        .await
        .expect_err("it is not closed");
    let CallError::Problem(problem) = told else {
        panic!("{told:?}")
    };
    assert_eq!(
        problem.detail,
        "the issue is in-review: only a closed issue can be reopened"
    );
}
