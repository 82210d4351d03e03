//! The pages in a real browser: a whole morning by keys, and every page as different people meet it.
//!
//! The browser is the system's Chromium, driven by the scripts in `scripts/browser`. A missing
//! browser fails, and says how to install it.
#![expect(
    clippy::disallowed_methods,
    reason = "starts the browser's driver, for tests only"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::pull::{Decision, LineComment, NewReview};
use nightshift_api::runner::End;
use nightshift_api::view::{SaveView, ViewFilter, ViewPath};
use nightshift_domain::admission::Policy;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Hand, Identities, Person, World};

/// Runs a script of `scripts/browser` and returns what it printed.
fn drive(script: &str, words: &[&str]) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("scripts/browser");
    let installed = Command::new(folder.join("install.sh"))
        .output()
        .expect("install.sh starts");
    assert!(
        installed.status.success(),
        "{}",
        String::from_utf8_lossy(&installed.stderr)
    );
    let output = Command::new("node")
        .arg(folder.join(script))
        .args(words)
        .output()
        .expect("node is installed: `apt-get install nodejs`");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{script}: {text}");
    text
}

/// Files one issue and brings its result to the desk.
async fn result(
    alice: &Person,
    hand: &Hand,
    title: &str,
    files: &[(&str, &str)],
    green: bool,
) -> i64 {
    let number = alice.files_ready("night", title).await;
    let order = hand
        .claims_of(&[Kind::Author])
        .await
        .expect("an author's job");
    hand.authors(&order, files).await.expect("authored");
    let proof = hand
        .claims_of(&[Kind::Verify])
        .await
        .expect("a proof's job");
    hand.proves(&proof, green).await.expect("proved");
    number
}

async fn question(alice: &Person, hand: &Hand, title: &str) -> i64 {
    let number = alice.files_ready("night", title).await;
    let order = hand
        .claims_of(&[Kind::Author])
        .await
        .expect("an author's job");
    let end = End::Asked {
        question: "Red or **blue**?".to_owned(),
    };
    hand.ends(&order, end, None).await.expect("asked");
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_browser_a_morning_by_keys_alone() {
    let world = World::new().await;
    world.project("night").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for n in 1..=14 {
        let path = format!("src/part-{n}.txt");
        result(
            &alice,
            &hand,
            &format!("Write part {n}"),
            &[(&path, "a line\n")],
            true,
        )
        .await;
    }
    for n in 1..=2 {
        let path = format!("src/red-{n}.txt");
        result(
            &alice,
            &hand,
            &format!("Break part {n}"),
            &[(&path, "a line\n")],
            false,
        )
        .await;
    }
    for n in 1..=2 {
        question(&alice, &hand, &format!("Paint part {n}")).await;
        let config = format!("[[check]]\nname = \"test\"\nrun = \"true # {n}\"\n");
        let files = [(".nightshift/config.toml", config.as_str())];
        result(
            &alice,
            &hand,
            &format!("Touch the settings {n}"),
            &files,
            true,
        )
        .await;
    }
    let said = drive("morning.mjs", &[&world.url, alice.token()]);
    assert!(said.contains("20 decided"), "{said}");

    // What was decided can be taken back for ten seconds, and then happens.
    world.settle().await;
    assert_eq!(alice.phase("night", 1).await, "landing");
    world.after(Duration::from_secs(11)).await;
    while let Some(trial) = hand.claims_of(&[Kind::Trial]).await {
        hand.proves(&trial, true).await.expect("tried");
        world.settle().await;
    }
    for n in 1..=14 {
        assert_eq!(alice.phase("night", n).await, "done", "#{n}");
    }
    for n in [15, 16, 18, 20] {
        let issue = alice.sees("night", n).await;
        assert_eq!(
            (issue.line.phase.as_str(), issue.line.round),
            ("ready", 2),
            "#{n}"
        );
    }
    for n in [17, 19] {
        let issue = alice.sees("night", n).await;
        assert_eq!(
            issue.messages.last().expect("an answer").body,
            "Blue.",
            "#{n}"
        );
    }
}

/// Words that would run, if anything let them.
const HOSTILE: &[&str] = &[
    "<script>globalThis.__pwned=1</script>",
    "\"><img src=x onerror=\"globalThis.__pwned=1\">",
    "<svg/onload=globalThis.__pwned=1>",
    "[x](javascript:globalThis.__pwned=1)",
    "<a href=\"javascript:globalThis.__pwned=1\">x</a>",
    "<iframe srcdoc=\"<script>parent.__pwned=1</script>\"></iframe>",
    "<details open ontoggle=globalThis.__pwned=1>",
    "javascript:globalThis.__pwned=1",
    "</textarea><script>globalThis.__pwned=1</script>",
    "{{constructor.constructor('globalThis.__pwned=1')()}}",
    "<math><mtext></mtext><mglyph><style><img src onerror=globalThis.__pwned=1></style></mglyph></math>",
    "' autofocus onfocus='globalThis.__pwned=1",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_browser_every_page_for_everybody() {
    let world = World::new().await;
    world.project("night").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let words = HOSTILE.join("\n\n");
    let new = NewIssue {
        title: HOSTILE[1].to_owned(),
        body: words.clone(),
        labels: vec![HOSTILE[2].to_owned()],
        ready: true,
        ..NewIssue::default()
    };
    alice.files("night", new).await.expect("an issue");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let files = [
        (
            "src/<img src=x onerror=globalThis.__pwned=1>.js",
            words.as_str(),
        ),
        ("README.md", words.as_str()),
    ];
    let attempt = hand.pushes(&order, &files);
    let mut log = String::new();
    for text in HOSTILE {
        let record = serde_json::json!({
            "at": "2026-01-01T00:00:00Z", "step": "agent", "kind": "text", "text": text,
        });
        log.push_str(&format!("{record}\n"));
        let record = serde_json::json!({
            "at": "2026-01-01T00:00:00Z", "step": "agent", "kind": "output", "stream": "stdout",
            "text": format!("\u{1b}]8;;javascript:globalThis.__pwned=1\u{7}{text}\u{1b}[31m"),
        });
        log.push_str(&format!("{record}\n"));
    }
    hand.logs(&order, 0, &log).await.expect("logged");
    let end = End::Authored {
        summary: words.clone(),
        self_checks: Vec::new(),
    };
    hand.ends(&order, end, Some(attempt))
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    let mut report = nightshift_testkit::hand::report(&proof, true);
    report.checks[0].output_tail = words.clone();
    hand.ends(&proof, End::Proved { report }, None)
        .await
        .expect("proved");
    for n in 2..=4 {
        let path = format!("src/part-{n}.txt");
        result(
            &alice,
            &hand,
            &format!("Write part {n}"),
            &[(&path, "a line\n")],
            true,
        )
        .await;
    }
    question(&alice, &hand, "Paint it").await;
    // What people say about lines, and what they suggest.
    let said = |path: &str, body: String| LineComment {
        path: path.to_owned(),
        line: Some(1),
        first: None,
        body,
    };
    let review = NewReview {
        head: alice.pull("night", 4).await.line.head,
        decision: Decision::SendBack,
        body: words.clone(),
        comments: vec![
            said("src/part-4.txt", words.clone()),
            said(
                "src/part-4.txt",
                format!("{words}\n\n~~~suggestion\n{}\n~~~", HOSTILE.join("\n")),
            ),
            said(HOSTILE[2], words.clone()),
        ],
        accept_unproven: false,
        hold_s: 0,
    };
    alice
        .call::<op::PullReview>(nightshift_testkit::person::place("night", 4), review)
        .await
        .expect("sent back");

    let view = ViewPath {
        view: HOSTILE[0].to_owned(),
    };
    let save = SaveView {
        filter: Some(ViewFilter {
            text: Some(HOSTILE[1].to_owned()),
            ..ViewFilter::default()
        }),
        ..SaveView::default()
    };
    alice.call::<op::ViewSave>(view, save).await.expect("saved");

    let run = format!("/runs/{}", order.run);
    let paths = [
        "/",
        "/p/night/1/change",
        "/p/night/4/change",
        "/p/night/2/change?comment=0.1",
        "/p/night/1",
        "/p/night/2/change?split=1",
        "/board",
        "/board?text=%22%3E%3Cimg+src%3Dx+onerror%3D%22globalThis.__pwned%3D1%22%3E",
        "/board?label=hostile",
        "/p/night/secrets",
        "/p/night",
        "/p/night/settings",
        "/p/night/new",
        "/p/night/5/edit",
        "/projects",
        "/runs",
        &run,
        "/server",
        "/server/audit",
        "/server/people",
        "/account",
    ];
    let mut arguments = vec![world.url.as_str(), alice.token()];
    arguments.extend(paths);
    let said = drive("pages.mjs", &arguments);
    assert!(said.contains("21 pages"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_browser_settings_by_keys_with_scripts_and_without() {
    let world = World::new().await;
    world.project("night").await;
    let said = drive(
        "settings.mjs",
        &[&world.url, world.alice().token(), "night"],
    );
    assert!(said.contains("with scripts and without"), "{said}");
}

/// A red dot of one pixel.
const DOT: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx\xdac\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xf7\x03AC\x00\x00\x00\x00IEND\xaeB`\x82";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_browser_suggestions_and_pictures() {
    let world = World::new().await;
    world.project("night").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    for n in 1..=2 {
        let title = format!("Write part {n}");
        result(
            &alice,
            &hand,
            &title,
            &[("a.txt", "one\ntwo\nthree\n")],
            true,
        )
        .await;
    }
    alice.files_ready("night", "Draw").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let tree = hand.workspace(&order);
    std::fs::write(tree.file("dot.png"), DOT).expect("written");
    tree.write(
        "hostile.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"8\" onload=\"globalThis.__pwned=1;alert(1)\">\
         <script>globalThis.__pwned=1;alert(2)</script>\
         <style>@import url(http://evil.invalid/x.css);</style>\
         <image href=\"http://evil.invalid/x.png\" width=\"8\" height=\"8\"/>\
         <foreignObject><iframe xmlns=\"http://www.w3.org/1999/xhtml\" src=\"javascript:parent.__pwned=1\"/></foreignObject>\
         <rect width=\"8\" height=\"8\" fill=\"red\"/></svg>\n",
    );
    tree.write("page.png", "<html><script>globalThis.__pwned=1</script>");
    let author = order.author.as_ref().expect("an author's order");
    let commit = tree.commit(&author.commit.message);
    tree.push(&[&format!("HEAD:{}", author.attempt_ref)])
        .expect("pushed");
    let end = End::Authored {
        summary: "drawn".to_owned(),
        self_checks: Vec::new(),
    };
    hand.ends(&order, end, Some(commit.parse().expect("a commit")))
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    let said = drive(
        "suggest.mjs",
        &[
            &world.url,
            alice.token(),
            "/p/night/1/change",
            "/p/night/2/change",
            "/p/night/3/change",
        ],
    );
    assert!(said.contains("suggestions by keys"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_browser_in_by_a_provider() {
    let identities = Identities::start().await;
    identities.vouches_for(serde_json::json!({
        "sub": "1", "preferred_username": "ada", "groups": ["devs"],
    }));
    let policy = Policy {
        require_groups: vec!["devs".to_owned()],
        ..Policy::default()
    };
    let world = World::with_provider(&identities, policy).await;
    let said = drive("provider.mjs", &[&world.url]);
    assert!(said.contains("in as ada"), "{said}");
}
