//! What records say is in the reader's language: verdicts, runs that failed, settings that are
//! broken. What others said stays as it is, and programs get the same words as ever.

use nightshift_api::operations as op;
use nightshift_api::project::EventQuery;
use nightshift_api::runner::End;
use nightshift_domain::check::{self, Outcome};
use nightshift_domain::config::ConfigError;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::told::failure as say;
use nightshift_store::project;
use nightshift_testkit::World;
use nightshift_testkit::hand::Hand;

use crate::browser::Browser;

async fn chinese(world: &World, who: &str) -> Browser {
    let mut browser = Browser::signed_in(world, who).await;
    browser.speaks("zh-Hant");
    browser
}

/// Looks for these parts on each page, and for none of the others.
async fn pages(browser: &Browser, paths: &[&str], parts: &[&str], absent: &[&str]) {
    for path in paths {
        let page = browser.get(path).await.text;
        assert!(page.contains("lang=\"zh-Hant\""), "{path}: {page}");
        for part in parts {
            assert!(page.contains(part), "{path}: {part} is not there: {page}");
        }
        for part in absent {
            assert!(!page.contains(part), "{path}: {part} is there: {page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_red_verdict_says_why_in_the_readers_language() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let key = format!("key = \"ghp_{}\"\n", "a1".repeat(18));
    let files = [("hello.txt", key.as_str()), ("Cargo.lock", "a\n")];
    hand.authors(&order, &files).await.expect("authored");
    let order = hand.claims_of(&[Kind::Verify]).await.expect("a job");
    hand.proves(&order, false).await.expect("proved");
    world.settle().await;

    let browser = chinese(&world, "alice").await;
    let said = [
        "檢查項目 &quot;test&quot; 失敗（結束代碼 1）",
        "新增的一行看起來像是 GitHub 權杖",
        "相依套件有變動",
    ];
    let english = [
        "failed with exit status",
        "looks like",
        "dependencies change",
    ];
    pages(&browser, &["/", "/p/tally/1/change"], &said, &english).await;
    pages(&browser, &["/p/tally/1"], &said[..1], &english).await;
    let head = alice.pull("tally", 1).await.line.head;
    let decision = [
        ("head", head.as_str()),
        ("decision", "approve"),
        ("body", ""),
    ];
    let refused = browser
        .post("/p/tally/1/change/review", &decision)
        .await
        .text;
    assert!(refused.contains("未通過：檢查項目"), "{refused}");

    let proof = alice.pull("tally", 1).await.proof.expect("a proof");
    assert_eq!(proof.reasons, ["check \"test\" failed with exit status 1"]);
    let told = serde_json::to_string(&proof.findings).expect("findings");
    assert!(
        told.contains("an added line looks like a GitHub token"),
        "{told}"
    );
    assert!(!told.contains("\"said\""), "{told}");
}

/// Ends the next author's run with a failure, and settles.
async fn fails(world: &World, hand: &Hand, failure: Failure) -> String {
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let end = End::Failed { failure };
    hand.ends(&order, end, None).await.expect("ended");
    world.settle().await;
    format!("/runs/{}", order.run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_says_why_in_the_readers_language() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let failed = say::its_last_words(
        say::setup(check::ended(&Outcome::Failed { code: 1 })),
        "npm: the disk is gone",
    );
    let blocked = say::out_of_reach(failed, "packages.example.com");
    let run = fails(&world, &hand, Failure::new(Reason::SetupFailed, blocked)).await;

    let browser = chinese(&world, "alice").await;
    let said = [
        "準備指令失敗（結束代碼 1）",
        "npm: the disk is gone",
        "它連不到 packages.example.com",
    ];
    let english = ["failed with exit status", "could not reach"];
    pages(&browser, &["/", "/p/tally/1", &run], &said, &english).await;
    pages(&browser, &["/p/tally"], &said[..1], &english).await;

    let told = alice.sees("tally", 1).await;
    assert!(
        told.line
            .waiting
            .as_ref()
            .is_some_and(|why| why.contains("the set-up command failed with exit status 1")),
        "{told:?}"
    );
    let failed = told.failed.expect("it failed");
    assert_eq!(failed, failed.clone().plain());
    assert!(
        failed
            .detail
            .as_str()
            .starts_with("the set-up command failed")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_runner_is_shown_in_its_own_words_and_none_is_believed_in_two() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let browser = chinese(&world, "alice").await;
    alice.files_ready("tally", "Say hello").await;
    let older = r#"{"reason":"setup-failed","detail":"the set-up command failed"}"#;
    let older = serde_json::from_str(older).expect("as an older runner says it");
    let run = fails(&world, &hand, older).await;
    let said = ["準備指令失敗", "the set-up command failed"];
    pages(&browser, &["/", "/p/tally/1", &run], &said, &[]).await;

    alice.files_ready("tally", "Say hello").await;
    let two = r#"{"reason":"agent-failed","detail":"it is fine",
        "said":{"key":"failed.no-change-words","places":{"words":"it is evil"}}}"#;
    let two = serde_json::from_str(two).expect("two things at once");
    let run = fails(&world, &hand, two).await;
    let absent = ["it is evil"];
    pages(
        &browser,
        &["/", "/p/tally/2", &run],
        &["it is fine"],
        &absent,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_settings_is_said_in_the_readers_language() {
    let world = World::new().await;
    let open = "[merge]\ndirect_push = true\n";
    let main = world.project_with("tally", open).await;
    let broken = "[[check]]\nname = \"test\"\nrun = \"\"\ntimeout = \"soon\"\n\
                  [merge]\nmethod = \"force\"\n[network]\nallow = [\"a..b\"]\n";
    main.write(".nightshift/config.toml", broken);
    main.commit("break it");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;

    let browser = chinese(&world, "alice").await;
    let said = [".nightshift/config.toml 第 4 行：&quot;soon&quot; 不是 1s 到 24h 之間的時間長度"];
    let english = ["is no duration", "unknown variant", "would always be green"];
    pages(&browser, &["/", "/projects", "/p/tally"], &said, &english).await;
    let said = [
        "&quot;soon&quot; 不是 1s 到 24h",
        "什麼都不執行的檢查項目永遠會通過",
        "不認得 <code>force</code>，應為 下列之一：<code>squash</code>",
        "&quot;a..b&quot; 不能允許：名稱有一部分是空的",
    ];
    let page = ["/p/tally/settings"];
    pages(&browser, &page, &said, &english).await;
    let shown = browser.get(page[0]).await.text;
    let field = shown.split("id=\"check-0-timeout-wrong\"").nth(1);
    let field = field.and_then(|rest| rest.split("</div>").next());
    assert!(
        field.expect("a field").contains("不是 1s 到 24h"),
        "{shown}"
    );

    let place = nightshift_testkit::person::home("tally");
    let project = world
        .alice()
        .call::<nightshift_api::operations::ProjectGet>(place, nightshift_api::Nothing {})
        .await
        .expect("a project");
    let error = project.config_error.expect("an error");
    assert_eq!(
        error.to_string(),
        ".nightshift/config.toml, line 4: \"soon\" is no duration between 1s and 24h: \
         write it as \"90s\", \"10m\" or \"2h\""
    );
    assert_eq!(error, error.clone().plain());

    // What is no TOML is told in the parser's own words.
    main.write(".nightshift/config.toml", "[merge\nmethod = 1");
    main.commit("break it more");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    let said = ["第 1 行：不是正確的 TOML：unclosed table"];
    pages(&browser, &["/", "/p/tally"], &said, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_kept_before_is_shown_as_it_stands_and_is_no_news_later() {
    let world = World::new().await;
    let open = "[merge]\ndirect_push = true\n";
    let main = world.project_with("tally", open).await;
    main.write(".nightshift/config.toml", "[merge]\nmethod = \"force\"\n");
    main.commit("break it");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;

    // As it was kept when records had the text alone.
    let mut tx = world.db().write().await.expect("a transaction");
    let found = project::project_by_name(&mut tx, "tally").await;
    let home = found.expect("an answer").expect("a project");
    let (error, tip) = (
        home.config_error.map(ConfigError::plain),
        home.config_commit,
    );
    let kept = (error.as_ref(), tip.as_ref());
    project::project_set_config(&mut tx, home.id, &home.config, kept.0, kept.1)
        .await
        .expect("kept");
    tx.commit().await.expect("kept");
    let browser = chinese(&world, "alice").await;
    let english = ["第 2 行：unknown variant"];
    pages(&browser, &["/", "/p/tally"], &english, &["不認得"]).await;

    main.write("README", "more\n");
    main.commit("something else");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    pages(&browser, &["/", "/p/tally"], &["第 2 行：不認得"], &english).await;
    let nothing = nightshift_api::Nothing {};
    let events = world
        .alice()
        .client()
        .call::<op::EventList>(&nothing, &EventQuery::default(), &nothing)
        .await
        .expect("events");
    let told = |kind: &str| events.items.iter().filter(|one| one.kind == kind).count();
    assert_eq!(told("project.config-broken"), 1);
}
