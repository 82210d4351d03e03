//! What the platform itself says in the conversation on an issue is in the reader's language; what
//! people and agents said stays as it is, and programs and agents get the English words.

use nightshift_api::issue::DecideHost;
use nightshift_api::operations as op;
use nightshift_api::run::{NewHostAsk, NewSteer, RunPath};
use nightshift_api::runner::End;
use nightshift_domain::access::Actor;
use nightshift_domain::grant::Decision;
use nightshift_domain::job::{Event, Kind};
use nightshift_domain::sentence::Kept;
use nightshift_domain::trust::Trust;
use nightshift_store::{Message, MessageKind, issue, job, message, notification, project, user};
use nightshift_testkit::person::place;
use nightshift_testkit::{Hand, Person, World};

use crate::browser::Browser;

async fn chinese(world: &World, who: &str) -> Browser {
    let mut browser = Browser::signed_in(world, who).await;
    browser.speaks("zh-Hant");
    browser
}

/// Looks for these parts on a page, and for none of the others.
async fn shows(browser: &Browser, path: &str, parts: &[&str], absent: &[&str]) {
    let page = browser.get(path).await.text;
    assert!(page.contains("lang=\"zh-Hant\""), "{path}: {page}");
    for part in parts {
        assert!(page.contains(part), "{path}: {part} is not there: {page}");
    }
    for part in absent {
        assert!(!page.contains(part), "{path}: {part} is there: {page}");
    }
}

async fn stage() -> (World, Person, Hand) {
    let world = World::new().await;
    let open = "[merge]\ndirect_push = true\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
    let main = world.project_with("tally", open).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "other\n");
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    alice.approves("tally", 1).await.expect("approved");
    (world, alice, hand)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_the_queue_gave_a_change_back_is_in_the_readers_language() {
    let (world, alice, hand) = stage().await;
    for _ in 0..2 {
        world.settle().await;
        let trial = hand.claims_of(&[Kind::Trial]).await.expect("a trial");
        hand.proves(&trial, false).await.expect("tried");
    }
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "in-review");

    let browser = chinese(&world, "alice").await;
    let said =
        ["已從合併佇列退回：與目前的預設分支合在一起時，檢查項目 \"test\" 失敗（結束代碼 1）。"];
    let english = ["Taken out", "together with", "failed with exit"];
    shows(&browser, "/p/tally/1", &said, &english).await;
    let told = alice.sees("tally", 1).await;
    assert_eq!(
        told.messages.last().expect("a note").body,
        "Taken out of the merge queue: together with the current default branch: \
         check \"test\" failed with exit status 1."
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_trial_could_not_be_made_is_in_the_readers_language() {
    let (world, alice, _) = stage().await;
    world.settle().await;
    let mut tx = world.db().write().await.expect("a transaction");
    let found = project::project_by_name(&mut tx, "tally").await;
    let home = found.expect("an answer").expect("a project").id;
    let entries = nightshift_store::queue::queue_list(&mut tx, home).await;
    let entry = entries.expect("a queue").remove(0);
    let id = entry.trial_job.expect("a trial");
    let found = job::job_lock(&mut tx, id).await.expect("an answer");
    let mut trial = found.expect("a job");
    let now = trial.updated_at;
    trial.state = trial.state.apply(Event::Cancel, now).expect("cancelled");
    job::job_save(&mut tx, &trial, now).await.expect("kept");
    tx.commit().await.expect("kept");
    world.settle().await;
    assert_eq!(alice.phase("tally", 1).await, "in-review");
    let browser = chinese(&world, "alice").await;
    let said = ["已從合併佇列退回：無法測試合併後的內容：試合併已取消。"];
    shows(&browser, "/p/tally/1", &said, &["the trial was cancelled"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_for_hosts_and_its_answer_are_in_the_readers_language() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let agent = Person::new("agent", &world.url, &order.token);
    let ask = NewHostAsk {
        hosts: vec![
            "packages.example.com".to_owned(),
            "cdn.example.net".to_owned(),
        ],
        why: "The build fetches from there.".to_owned(),
    };
    let run = RunPath { run: order.run.0 };
    agent.call::<op::RunHosts>(run, ask).await.expect("asked");
    let end = End::Authored {
        summary: "I asked.".to_owned(),
        self_checks: Vec::new(),
    };
    hand.ends(&order, end, None).await.expect("ended");

    let browser = chinese(&world, "alice").await;
    let said = [
        "可以讓我連到 <code>packages.example.com</code>, <code>cdn.example.net</code> 嗎？",
        "The build fetches from there.",
    ];
    let path = format!("/runs/{}", order.run);
    for page in ["/", "/p/tally/1", path.as_str()] {
        shows(&browser, page, &said, &["May I reach"]).await;
    }
    let decides = async |host: &str, decision| {
        let decide = DecideHost {
            host: host.to_owned(),
            decision,
        };
        let decided = alice.call::<op::IssueHost>(place("tally", 1), decide).await;
        decided.expect("decided");
    };
    decides("packages.example.com", Decision::Issue).await;
    decides("cdn.example.net", Decision::Denied).await;
    let said = [
        "現在可以透過環境變數所指定的 Proxy 連到 <code>packages.example.com</code>。<code>cdn.example.net</code> 仍然連不到",
    ];
    shows(
        &browser,
        "/p/tally/1",
        &said,
        &["You may reach", "stays out"],
    )
    .await;
    // The agent gets it in English, as all of its prompt is.
    let order = hand.claims_of(&[Kind::Author]).await.expect("it goes on");
    let prompt = order.author.expect("an author").resumed_prompt;
    assert!(
        prompt.contains("You may reach `packages.example.com` now"),
        "{prompt}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_came_too_late_are_told_in_the_readers_language_and_stay_as_they_are() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "Say hello").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let words = NewSteer {
        text: "In French, {who}.".to_owned(),
        now: false,
    };
    let run = RunPath { run: order.run.0 };
    alice.call::<op::RunSteer>(run, words).await.expect("said");
    hand.authors(&order, &[("hello.txt", "hello\n")])
        .await
        .expect("authored");
    let browser = chinese(&world, "alice").await;
    let said = ["alice 對代理說的話來不及交給該次執行", "In French, {who}."];
    shows(&browser, "/p/tally/1", &said, &["came too late"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_kept_before_is_shown_as_it_stands() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    alice.files_ready("tally", "Say hello").await;
    let mut tx = world.db().write().await.expect("a transaction");
    let found = project::project_by_name(&mut tx, "tally").await;
    let home = found.expect("an answer").expect("a project").id;
    let row = issue::issue_by_number(&mut tx, home, 1).await;
    let row = row.expect("an answer").expect("an issue");
    let old = Message {
        id: uuid::Uuid::from_u128(1),
        issue: row.id,
        round: 1,
        kind: MessageKind::Note,
        author: Actor::System,
        trust: Trust::Operator,
        body: Kept::quoted("Taken out of the merge queue: it was long ago."),
        created_at: row.created_at,
    };
    message::message_insert(&mut tx, &old).await.expect("kept");
    tx.commit().await.expect("kept");
    let browser = chinese(&world, "alice").await;
    let said = ["Taken out of the merge queue: it was long ago."];
    shows(&browser, "/p/tally/1", &said, &[]).await;
}

/// No page shows notifications; the record has what one would need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_is_notified_of_is_kept_as_a_sentence() {
    let (world, _, _) = stage().await;
    let mut tx = world.db().read().await.expect("a transaction");
    let found = user::user_by_name(&mut tx, "alice").await;
    let id = found.expect("an answer").expect("a person").id;
    let told = notification::notification_list(&mut tx, id, false, 9).await;
    let told = told.expect("notifications");
    let wanted = &told.last().expect("one").text;
    let english = "tally#1 waits for your decision: Say hello";
    assert_eq!(wanted.as_str(), english);
    let other =
        |key: &str| (key == "notice.review-wanted").then_some("{title}: {project}/{number}");
    assert_eq!(wanted.said(&other), "Say hello: tally/1");
}
