//! A canary in every slot of a secret, a whole story on top of it, and a search wherever something was
//! written: none of them is anywhere but in its slot.
//!
//! The server runs on PostgreSQL, whose password is a slot, too. What cannot be seen from outside, a
//! sandbox, is searched by the agent itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nightshift_testkit::Canaries;
use nightshift_testkit::model::{ModelServer, Script, Step};
use nightshift_testkit::postgres;
use reqwest::header::{COOKIE, SET_COOKIE};

use super::house::House;

/// Characters that are written in another way in addresses and in JSON.
const MODEL: &str = "sk-c\"4na/ry+7731=model&key";
const PROVIDER: &str = "provider-c4nary-5520\\client\"secret";
const DATABASE: &str = "c4nary-database-password-9917";
const WEBHOOK: &str = "whsec_YzRuYXJ5LXdlYmhvb2stc2VjcmV0LTgxNDc=";

fn script() -> Script {
    Script::new([
        Step::shell("I look everywhere.", "python3 look.py"),
        Step::shell("I work.", "echo two >a.txt"),
        Step::say("It is two now."),
    ])
    .when(
        "Once more",
        [
            Step::shell("Again.", "echo three >a.txt; python3 look.py"),
            Step::say("It is three now."),
        ],
    )
    .key(MODEL)
}

/// Slots that are files: what was put there by hand, or by the client for itself.
fn is_slot(path: &Path) -> bool {
    ["runner.token", ".config/nightshift/client.toml"]
        .iter()
        .any(|slot| path.ends_with(slot))
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_no_secret_leaves_its_slot() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let model = ModelServer::start(script()).await;
    let heard = ModelServer::start(Script::default()).await;
    tokio::task::block_in_place(|| story(&model, &heard));
}

fn story(model: &ModelServer, heard: &ModelServer) {
    let database = postgres::Server::start(&[]).expect("PostgreSQL");
    let url = database.database("canary").expect("a database");
    let data = url.split_once("?host=").expect("a place").1.to_owned();
    let url = url.replace("nightshift@", &format!("nightshift:{DATABASE}@"));
    let mut house = House::empty();
    house.env = [
        ("NIGHTSHIFT_DATABASE", url.as_str()),
        (
            "NIGHTSHIFT_WEBHOOK_URL",
            &format!("{}/hook", heard.base_url()),
        ),
        ("NIGHTSHIFT_WEBHOOK_SECRET", WEBHOOK),
        ("PROVIDER_SECRET", PROVIDER),
        ("NIGHTSHIFT_LOG", "debug"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    house.write(
        ".config/nightshift/server.toml",
        "[provider.house]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"nightshift\"\n\
         client_secret_env = \"PROVIDER_SECRET\"\n",
    );
    let settings = format!(
        "[endpoint.native]\nurl = \"{}\"\nheader = \"authorization\"\nkey_env = \"MODEL_KEY\"\n",
        model.base_url()
    );
    let mut house = house.served().worked(2, MODEL, &settings);
    let runner = fs::read_to_string(house.path("runner.token")).expect("a token");
    let link = house.run(["sign-in-link"]).ok();
    let session = block(session(&link));
    let slots = [
        ("model", MODEL),
        ("provider", PROVIDER),
        ("database", DATABASE),
        ("webhook", WEBHOOK),
        ("person", &house.token),
        ("runner", runner.trim()),
        ("session", &session),
    ];
    let canaries = Arc::new(Canaries::of(slots));
    let watch = Watch::start(&canaries);

    house.write("tally/a.txt", "one\n");
    house.write("tally/look.py", &canaries.program());
    house.write(
        "tally/.nightshift/config.toml",
        "[[check]]\nname = \"test\"\nrun = \"! grep -q one a.txt\"\n[[agent]]\nname = \"author\"\n\
         harness = \"native\"\nmodel = \"scripted\"\n",
    );
    house.project("tally");
    let new = [
        "issue",
        "new",
        "--ready",
        "--agent",
        "author",
        "--title",
        "Two",
        "--body",
        "Make it two.",
    ];
    house.run(new).ok();
    let in_review = |round: i64| {
        house.until(&["pr", "show", "1"], |pull| {
            pull["round"] == round && pull["phase"] == "in-review" && pull["verdict"] == "green"
        })
    };
    house.until(&["issue", "show", "1"], |issue| {
        assert_eq!(issue["failed"], serde_json::Value::Null, "{issue:#}");
        issue["phase"] == "in-review"
    });
    let head = in_review(1)["head"].as_str().expect("a head").to_owned();
    house
        .run([
            "pr",
            "send-back",
            "1",
            "Once more, please.",
            "--head",
            &head,
        ])
        .ok();
    let head = in_review(2)["head"].as_str().expect("a head").to_owned();
    house.run(["pr", "approve", "1", "--head", &head]).ok();
    house.until(&["issue", "show", "1"], |issue| issue["phase"] == "done");

    // From inside: twice, with everything that was there.
    let requests: Vec<_> = model.journal().iter().map(|e| e.body.to_string()).collect();
    let last = requests.last().expect("a call");
    let looked: BTreeSet<_> = last
        .split("look: ")
        .skip(1)
        .filter_map(|text| text.split_once(']'))
        .map(|(line, _)| line.to_owned())
        .collect();
    assert!(!looked.is_empty(), "{last}");
    for line in &looked {
        assert!(line.ends_with("found=["), "{line}");
        assert!(!line.contains("planted=0"), "{line}");
    }
    assert_eq!(last.matches("look: files=").count(), 2, "{last}");
    // What the model and the webhook's receiver were told, beside the key in its header.
    for exchange in model.journal().iter().chain(&heard.journal()) {
        assert_eq!(canaries.find(exchange.body.to_string().as_bytes()), None);
    }
    assert!(!heard.journal().is_empty(), "events were told");
    // What the client, the server's pages and its streams say.
    for words in [
        &["events", "-n", "500"][..],
        &["run", "list", "1"],
        &["issue", "show", "1"],
        &["project", "settings", "tally"],
        &["token", "list"],
    ] {
        let said = house.run(words.iter().chain(&["--json"])).ok();
        assert_eq!(canaries.find(said.as_bytes()), None, "{words:?}");
    }
    block(pages(&house.url, &session, &canaries));
    let processes = watch.stop();
    assert!(
        processes.iter().any(|line| line.contains("sandbox-init")),
        "{processes:?}"
    );
    house.stop();

    // Files: data, logs, sessions, spools, checkouts; the database as it lies on the disk.
    let (found, seen) = canaries.in_files(&house.path(""), &is_slot);
    assert_eq!(found, []);
    assert!(seen > 50, "{seen} files");
    let (found, seen) = canaries.in_files(Path::new(&data), &|_| false);
    assert_eq!(found, []);
    assert!(seen > 500, "{seen} files");
    house.nothing_is_left();
}

fn block<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(act)
}

/// Signs a browser in; the cookie's value.
async fn session(link: &str) -> String {
    let (page, code) = link.split_once("?code=").expect("a link");
    let answer = browser()
        .post(page)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("code={code}"))
        .send()
        .await
        .expect("an answer");
    let mut cookies = answer.headers().get_all(SET_COOKIE).iter();
    let cookie = cookies.find_map(|value| value.to_str().ok()?.strip_prefix("nightshift_session="));
    let value = cookie.and_then(|cookie| cookie.split(';').next());
    value.expect("a session").to_owned()
}

fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.no_proxy().build().expect("a client")
}

/// Every page that a person looks at, with the session.
async fn pages(url: &str, session: &str, canaries: &Canaries) {
    for path in [
        "/",
        "/p/tally",
        "/p/tally/settings",
        "/p/tally/1",
        "/p/tally/1/change",
        "/runs",
        "/server",
        "/server/audit",
        "/server/people",
        "/account",
    ] {
        let answer = browser()
            .get(format!("{url}{path}"))
            .header(COOKIE, format!("nightshift_session={session}"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let head = format!("{:?}", answer.headers());
        let body = answer.bytes().await.expect("a body");
        assert_eq!(canaries.find(head.as_bytes()), None, "{path}");
        assert_eq!(canaries.find(&body), None, "{path}");
    }
}

/// Looks at the command lines of all processes of this machine, again and again.
struct Watch {
    ended: Arc<AtomicBool>,
    looks: std::thread::JoinHandle<BTreeSet<String>>,
}

impl Watch {
    fn start(canaries: &Arc<Canaries>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (canaries, until) = (Arc::clone(canaries), Arc::clone(&ended));
        let looks = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").expect("processes").flatten() {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let text = String::from_utf8_lossy(&line).replace('\0', " ");
                    if !text.is_empty() && seen.insert(text.clone()) {
                        let shown = format!("{text:.80}");
                        assert_eq!(canaries.find(&line), None, "in the arguments of {shown}");
                    }
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            seen
        });
        Self { ended, looks }
    }

    fn stop(self) -> BTreeSet<String> {
        self.ended.store(true, Ordering::Relaxed);
        self.looks.join().expect("no canary among the arguments")
    }
}
