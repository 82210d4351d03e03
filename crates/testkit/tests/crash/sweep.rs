//! The server ends at many points of each step; it is opened again, and whoever sent the request
//! sends it again. Codes (F1 ...) are the cells of the matrix of faults.

use nightshift_api::runner::{Complete, End, WorkOrder};
use nightshift_app::App;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_testkit::hand::report;
use nightshift_testkit::{Hand, World, finish, invariants};
use serde_json::json;

use crate::cut::{ask, count, cut, post};

/// Where a step is cut, out of all its points.
const FEW: usize = 6;
const MANY: usize = 14;
/// On PostgreSQL, where opening again costs more.
pub(crate) const SOME: usize = 5;

/// A world and what its steps need.
pub(crate) struct Stage {
    pub(crate) world: World,
    hand: Hand,
    alice: String,
    runner: String,
}

impl Stage {
    pub(crate) async fn on(world: World) -> Self {
        world.project("tally").await;
        let runner = world.app.operator_token(None, Some("r1"), "sweep").await;
        let runner = runner.expect("a token").reveal().to_owned();
        Self {
            hand: Hand::new(&world.url, &runner),
            alice: world.alice().token().to_owned(),
            runner,
            world,
        }
    }

    /// Everything but the world, for the step.
    fn hands(&self) -> Hands {
        Hands {
            alice: self.alice.clone(),
            runner: self.runner.clone(),
        }
    }

    async fn files(&self) -> i64 {
        self.world.alice().files_ready("tally", "Do it").await
    }

    async fn claims(&self, kind: Kind) -> WorkOrder {
        let order = self.hand.claims_of(&[kind]).await;
        order.expect("a job")
    }

    /// An issue whose author has pushed and not said so yet.
    async fn pushed(&self) -> (WorkOrder, ObjectId) {
        self.files().await;
        let order = self.claims(Kind::Author).await;
        let name = format!("file-{}.txt", order.number);
        let attempt = self.hand.pushes(&order, &[(&name, "x\n")]);
        (order, attempt)
    }

    async fn authored(&self) -> i64 {
        let (order, attempt) = self.pushed().await;
        let end = End::Authored {
            summary: "did it".to_owned(),
            self_checks: Vec::new(),
        };
        let done = self.hand.ends(&order, end, Some(attempt)).await;
        done.expect("authored");
        order.number
    }

    async fn in_review(&self) -> (i64, String) {
        let number = self.authored().await;
        let proof = self.claims(Kind::Verify).await;
        self.hand.proves(&proof, true).await.expect("proved");
        let head = self.world.alice().pull("tally", number).await.line.head;
        (number, head)
    }
}

pub(crate) struct Hands {
    alice: String,
    runner: String,
}

/// Cuts `act` at `points` of its points, each time on something new from `prepare`, and opens the
/// server again; the sender repeats, and in the end everything ends.
async fn sweep<T>(
    mut stage: Stage,
    points: usize,
    prepare: impl AsyncFn(&Stage) -> T,
    act: impl AsyncFn(&App, &Hands, &T),
) {
    let hands = stage.hands();
    let first = prepare(&stage).await;
    let app = stage.world.app.clone();
    let (total, ()) = count(act(&app, &hands, &first)).await;
    drop(app);
    stage.world.settle().await;
    invariants::hold(&stage.world, "not cut at all").await;
    for point in 0..points.min(total) {
        let polls = 1 + point * total / points;
        let target = prepare(&stage).await;
        let app = stage.world.app.clone();
        cut(act(&app, &hands, &target), polls).await;
        drop(app);
        stage.world = stage.world.reopen().await;
        stage.world.settle().await;
        invariants::hold(&stage.world, &format!("cut at {polls} of {total}")).await;
        act(&stage.world.app, &hands, &target).await;
        stage.world.settle().await;
        invariants::hold(&stage.world, &format!("repeated after {polls} of {total}")).await;
        // Whatever was lost on the way is found again when its lease runs out.
        stage.world.after(std::time::Duration::from_secs(61)).await;
        invariants::hold(&stage.world, "a lease later").await;
    }
    finish::finish(&stage.world, "tally").await;
    invariants::hold(&stage.world, "at the end").await;
}

fn complete(order: &WorkOrder, end: End, attempt: Option<ObjectId>) -> serde_json::Value {
    let complete = Complete {
        epoch: order.epoch,
        end,
        usage: None,
        traffic: None,
        session: None,
        attempt,
        handed: Vec::new(),
    };
    serde_json::to_value(complete).expect("JSON")
}

pub(crate) async fn filing(stage: Stage, points: usize) {
    let made = std::sync::atomic::AtomicUsize::new(0);
    let prepare = async |_: &Stage| made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    sweep(stage, points, prepare, async |app, hands, n| {
        let body = json!({ "title": format!("Issue {n}"), "ready": true });
        let key = format!("key {n}");
        let path = "/api/v1/projects/tally/issues";
        let (status, _) = post(app, path, &hands.alice, Some(&key), &body).await;
        // 409: carried out, and the answer was lost with the server.
        assert!(matches!(status, 200 | 409), "{status}");
        let (_, page) = ask(
            app,
            "GET",
            &format!("{path}?limit=200"),
            &hands.alice,
            None,
            Vec::new(),
        )
        .await;
        let page: serde_json::Value = serde_json::from_slice(&page).expect("JSON");
        let same = page["items"].as_array().expect("items").iter();
        let same = same.filter(|item| item["title"] == body["title"]).count();
        assert_eq!(same, 1, "{body} was filed {same} times");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_to_f3_while_an_issue_is_filed() {
    filing(Stage::on(World::new().await).await, MANY).await;
}

pub(crate) async fn claiming(stage: Stage, points: usize) {
    let prepare = async |stage: &Stage| stage.files().await;
    sweep(stage, points, prepare, async |app, hands, _| {
        let claim = json!({ "kinds": ["author"], "slots": 1, "version": "t", "wait_s": 0 });
        post(app, "/api/v1/runner/claim", &hands.runner, None, &claim).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_to_f6_while_a_job_is_claimed() {
    claiming(Stage::on(World::new().await).await, MANY).await;
}

pub(crate) async fn authoring(stage: Stage, points: usize) {
    let prepare = async |stage: &Stage| stage.pushed().await;
    sweep(
        stage,
        points,
        prepare,
        async |app, hands, (order, attempt)| {
            let end = End::Authored {
                summary: "did it".to_owned(),
                self_checks: Vec::new(),
            };
            let body = complete(order, end, Some(attempt.clone()));
            let path = format!("/api/v1/runner/runs/{}/complete", order.run);
            let (status, answer) = post(app, &path, &hands.runner, None, &body).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
            assert_eq!(answer, b"{\"state\":\"succeeded\"}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_adopted_once_while_the_server_ends() {
    authoring(Stage::on(World::new().await).await, FEW).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_while_a_proof_is_reported() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| {
        stage.authored().await;
        stage.claims(Kind::Verify).await
    };
    sweep(stage, FEW, prepare, async |app, hands, order| {
        let end = End::Proved {
            report: report(order, true),
        };
        let path = format!("/api/v1/runner/runs/{}/complete", order.run);
        let body = complete(order, end, None);
        let (status, _) = post(app, &path, &hands.runner, None, &body).await;
        assert_eq!(status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_person_approves() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| stage.in_review().await;
    sweep(stage, FEW, prepare, async |app, hands, (number, head)| {
        let body = json!({ "head": head, "decision": "approve" });
        let path = format!("/api/v1/projects/tally/pulls/{number}/reviews");
        let key = format!("approve {number}");
        post(app, &path, &hands.alice, Some(&key), &body).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_person_sends_back() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| stage.in_review().await;
    sweep(stage, FEW, prepare, async |app, hands, (number, head)| {
        let body = json!({ "head": head, "decision": "send-back", "body": "again" });
        let path = format!("/api/v1/projects/tally/pulls/{number}/reviews");
        let key = format!("send back {number}");
        post(app, &path, &hands.alice, Some(&key), &body).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_person_closes_what_is_being_worked_on() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| {
        stage.files().await;
        stage.claims(Kind::Author).await.number
    };
    sweep(stage, FEW, prepare, async |app, hands, number| {
        let path = format!("/api/v1/projects/tally/issues/{number}/close");
        let body = json!({ "text": "never mind" });
        post(app, &path, &hands.alice, None, &body).await;
    })
    .await;
}

pub(crate) async fn landing(stage: Stage, points: usize) {
    let prepare = async |stage: &Stage| {
        let (number, _) = stage.in_review().await;
        let approved = stage.world.alice().approves("tally", number).await;
        approved.expect("approved");
    };
    // One tick builds, lands and takes note.
    sweep(stage, points, prepare, async |app, _, ()| {
        let report = app.tick().await.expect("a tick");
        assert_eq!(report.skipped, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_and_f19_while_a_change_lands() {
    landing(Stage::on(World::new().await).await, MANY).await;
}

/// The bytes of a push of `new` to `name`, as git would send them.
fn push_of(
    tree: &nightshift_testkit::Checkout,
    old: &str,
    new: &str,
    name: &str,
    start: &str,
) -> Vec<u8> {
    let command = format!("{old} {new} {name}\0 report-status\n");
    let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
    tree.git(&["update-ref", "refs/heads/sent", new]);
    tree.git(&[
        "bundle",
        "create",
        "--quiet",
        "sent",
        "refs/heads/sent",
        &format!("^{start}"),
    ]);
    let bundle = std::fs::read(tree.file("sent")).expect("a bundle");
    let pack = bundle
        .windows(2)
        .position(|two| two == b"\n\n")
        .expect("a pack")
        + 2;
    body.extend_from_slice(&bundle[pack..]);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_while_an_attempt_is_pushed() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| {
        stage.files().await;
        let order = stage.claims(Kind::Author).await;
        let tree = stage.hand.workspace(&order);
        tree.write(&format!("file-{}.txt", order.number), "x\n");
        let new = tree.commit("did it");
        let name = order
            .author
            .as_ref()
            .expect("an author")
            .attempt_ref
            .to_string();
        let body = push_of(&tree, &"0".repeat(40), &new, &name, order.start.as_str());
        (order, body)
    };
    sweep(stage, MANY, prepare, async |app, _, (order, body)| {
        ask(
            app,
            "POST",
            "/git/tally.git/git-receive-pack",
            &order.token,
            None,
            body.clone(),
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_while_a_person_takes_over() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| {
        let (number, head) = stage.in_review().await;
        let tree = stage.world.checkout("tally", &stage.alice);
        tree.take(&format!("nightshift/{number}"));
        tree.write(&format!("more-{number}.txt"), "x\n");
        let new = tree.commit("by hand");
        let name = format!("refs/heads/nightshift/{number}");
        push_of(&tree, &head, &new, &name, &head)
    };
    sweep(stage, MANY, prepare, async |app, hands, body| {
        ask(
            app,
            "POST",
            "/git/tally.git/git-receive-pack",
            &hands.alice,
            None,
            body.clone(),
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_lost_lease_is_swept() {
    let stage = Stage::on(World::new().await).await;
    let prepare = async |stage: &Stage| {
        stage.files().await;
        stage.claims(Kind::Author).await;
        stage.world.clock.pass(std::time::Duration::from_secs(61));
    };
    sweep(stage, FEW, prepare, async |app, _, ()| {
        app.tick().await.expect("a tick");
    })
    .await;
}
