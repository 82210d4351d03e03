//! A project that names an image: its jobs go to runners that can have one, and everybody is told.

use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::{Nothing, runner::RunnerLine};
use nightshift_domain::job::Kind;
use nightshift_testkit::person::{home, sealed};
use nightshift_testkit::{Person, World, invariants};

const CHECK: &str = "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";
const IMAGE: &str = "[environment]\nimage = \"registry.example.com/team/base:1\"\n";
const WAITS: &str = "waits for a runner with containers, since the project names an image: set `engine = \"container\"` in a runner's runner.toml";

fn configure(world: &World, who: &Person, config: &str) {
    let checkout = world.checkout("tally", who.token());
    checkout.take("main");
    checkout.write(".nightshift/config.toml", config);
    checkout.commit("settings");
    checkout
        .push(&["HEAD:refs/heads/main"])
        .expect("it is pushed");
}

async fn runners(who: &Person) -> Vec<RunnerLine> {
    let found = who.call::<op::RunnerList>(Nothing {}, Nothing {}).await;
    found.expect("runners").items
}

async fn waiting(who: &Person, number: i64) -> String {
    let found = who.sees("tally", number).await;
    found.line.waiting.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_runner_with_containers_gets_what_needs_an_image() {
    let world = World::new().await;
    let settings = format!("[merge]\ndirect_push = true\n{IMAGE}{CHECK}");
    world.project_with("tally", &settings).await;
    world.project("plain").await;
    let alice = world.alice();
    let bare = world.hand("bare").await;
    assert!(bare.claims().await.is_none());
    let new = NewIssue {
        title: "Say hello".to_owned(),
        body: "```sh\ntouch hello.txt\n```\n".to_owned(),
        ..NewIssue::default()
    };
    let found = alice
        .call::<op::IssueCheck>(home("tally"), new.clone())
        .await;
    let found = found.expect("findings").items;
    let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["no-images"]);
    assert_eq!(found[0].severity, "stops");
    assert!(found[0].what.contains("registry.example.com/team/base:1"));

    let number = alice.files_ready("tally", "Say hello").await;
    let tried = NewIssue {
        acceptance: Some(sealed("t.sh", "false\n", "sh t.sh")),
        ready: true,
        ..new
    };
    let tried = alice
        .files("tally", tried)
        .await
        .expect("filed")
        .line
        .number;
    let other = alice.files_ready("plain", "Another").await;
    world.settle().await;
    let order = bare.claims().await.expect("the work of the plain project");
    assert_eq!((order.project.as_str(), order.number), ("plain", other));
    assert!(bare.claims().await.is_none());
    assert_eq!(
        waiting(&alice, number).await,
        format!("the author job {WAITS}")
    );
    assert_eq!(
        waiting(&alice, tried).await,
        format!("its sealed tests are tried first: the tryout job {WAITS}")
    );

    let hand = world.hand("contained").await.with_images();
    let order = hand.claims().await.expect("what is urgent first");
    assert_eq!((order.kind, order.number), (Kind::Tryout, tried));
    let image = order.environment.image.as_ref().map(ToString::to_string);
    assert_eq!(image.as_deref(), Some("registry.example.com/team/base:1"));
    let order = hand.claims().await.expect("then the author's");
    assert_eq!((order.kind, order.number), (Kind::Author, number));
    let lines = runners(&alice).await;
    let images: Vec<_> = lines
        .iter()
        .map(|one| (one.name.as_str(), one.images))
        .collect();
    assert_eq!(images, [("bare", false), ("contained", true)]);
    let proof = alice.files_ready("tally", "One more").await;
    world.settle().await;
    assert_eq!(
        waiting(&alice, proof).await,
        "the author job waits for a free runner"
    );
    invariants::hold(&world, "images").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_change_count_for_what_is_queued() {
    let world = World::new().await;
    let before = format!("[merge]\ndirect_push = true\n{CHECK}");
    world.project_with("tally", &before).await;
    let (alice, bare) = (world.alice(), world.hand("bare").await);
    let number = alice.files_ready("tally", "Say hello").await;
    world.settle().await;
    configure(&world, &alice, &format!("{before}{IMAGE}"));
    world.settle().await;
    assert!(bare.claims().await.is_none(), "the settings name an image");
    assert_eq!(
        waiting(&alice, number).await,
        format!("the author job {WAITS}")
    );
    configure(&world, &alice, &before);
    world.settle().await;
    assert_eq!(
        waiting(&alice, number).await,
        "the author job waits for a free runner"
    );
    let order = bare.claims().await.expect("no image is named any more");
    assert_eq!(order.number, number);
}

/// What was proved is tested once more where it lands, and that waits as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_merge_queue_says_that_its_trial_waits_for_containers() {
    let world = World::new().await;
    let before = format!("[merge]\ndirect_push = true\n{CHECK}");
    let main = world.project_with("tally", &before).await;
    let (alice, bare) = (world.alice(), world.hand("bare").await);
    let number = alice.files_ready("tally", "Say hello").await;
    bare.works(&[("hello.txt", "hello\n")]).await;
    main.write("other.txt", "moved\n");
    main.write(".nightshift/config.toml", &format!("{before}{IMAGE}"));
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    world.settle().await;
    alice.approves("tally", number).await.expect("approved");
    world.after(std::time::Duration::from_secs(60)).await;
    assert!(bare.claims().await.is_none());
    let queue = alice.call::<op::QueueGet>(home("tally"), Nothing {}).await;
    let queue = queue.expect("a queue").items;
    assert_eq!(
        queue[0].waiting.as_deref(),
        Some(format!("the trial job {WAITS}").as_str())
    );
    let hand = world.hand("contained").await.with_images();
    let order = hand.claims().await.expect("the trial");
    assert_eq!(order.kind, Kind::Trial);
}
