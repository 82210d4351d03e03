//! What nobody can do just now, and what asks before it can land: on the issue, the board and the desk,
//! in both languages.

use nightshift_api::issue::NewIssue;
use nightshift_api::runner::{Complete, End};
use nightshift_domain::job::Kind;
use nightshift_domain::traffic::{HostUse, Traffic};
use nightshift_testkit::World;
use nightshift_testkit::hand::report;

use crate::browser::Browser;

const SETTINGS: &str = "[merge]\ndirect_push = true\n[[agent]]\nname = \"claude\"\nharness = \"claude-code\"\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_no_runner_has_is_named() {
    let world = World::new().await;
    world.project_with("tally", SETTINGS).await;
    let hand = world.hand("r1").await.with_harnesses(&["codex", "script"]);
    assert!(hand.claims().await.is_none());
    let new = NewIssue {
        title: "Say hello".to_owned(),
        agent: Some("claude".to_owned()),
        ready: true,
        ..NewIssue::default()
    };
    world.alice().files("tally", new).await.expect("filed");
    world.settle().await;
    let mut browser = Browser::signed_in(&world, "alice").await;
    let words = "no runner that is alive has the program and the model endpoint of claude-code";
    for path in ["/p/tally/1", "/board?project=tally"] {
        let page = browser.get(path).await.text;
        assert!(page.contains(words), "{path}: {page}");
    }
    let page = browser.get("/server").await.text;
    assert!(page.contains("codex, script"), "{page}");
    browser.speaks("zh-Hant");
    let page = browser.get("/p/tally/1").await.text;
    let words = "在線上的執行器都沒有 claude-code 的程式及其模型端點";
    assert!(page.contains(words), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_asks_is_found_where_people_look() {
    let world = World::new().await;
    let main = world.project_with("tally", SETTINGS).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "other\n");
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    alice.approves("tally", 1).await.expect("approved");
    world.settle().await;
    let order = hand.claims_of(&[Kind::Trial]).await.expect("a trial");
    let complete = Complete {
        epoch: order.epoch,
        end: End::Proved {
            report: report(&order, false),
        },
        usage: None,
        traffic: Some(Traffic {
            hosts: vec![HostUse {
                refused: 1,
                ..HostUse::of("pkgs.example.com:443".to_owned())
            }],
            models: Vec::new(),
        }),
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    hand.completes(&order, complete).await.expect("ended");
    let mut browser = Browser::signed_in(&world, "alice").await;
    let words = "the trial of the merged tree was refused pkgs.example.com";
    for path in [
        "/",
        "/p/tally/1",
        "/p/tally/1/change",
        "/board?project=tally",
    ] {
        let page = browser.get(path).await.text;
        assert!(page.contains(words), "{path}: {page}");
    }
    let page = browser.get("/p/tally/1").await.text;
    assert!(page.contains("asks before it can land"), "{page}");
    browser.speaks("zh-Hant");
    let page = browser.get("/p/tally/1").await.text;
    for words in ["缺少可連線的主機", "合併前需要您決定"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // The buttons of the desk and of the page answer it.
    let fields = [("what", "host-project"), ("text", "pkgs.example.com")];
    let answer = browser.post("/p/tally/1/act", &fields).await;
    assert!(answer.status < 400, "{}", answer.text);
    assert!(!browser.get("/").await.text.contains("pkgs.example.com"));
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("it goes on");
    assert_eq!(trial.number, 1);
}
