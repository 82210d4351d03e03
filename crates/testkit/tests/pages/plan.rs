//! Planning on pages: an issue is written, acted upon and found again; projects and their members.

use nightshift_domain::access::Role;
use nightshift_testkit::World;

use crate::browser::{Answer, Browser};

/// Sends a form with parts, as a browser sends one that may carry files.
pub(crate) async fn send(
    browser: &Browser,
    path: &str,
    fields: &[(&str, &str)],
    upload: &[(&str, &str)],
) -> Answer {
    const END: &str = "----of-one-part";
    let token = browser.form_token().await;
    let mut body = String::new();
    for (name, value) in [("form_token", token.as_str())].iter().chain(fields) {
        body.push_str(&format!(
            "--{END}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    for (name, text) in upload {
        body.push_str(&format!(
            "--{END}\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{text}\r\n"
        ));
    }
    body.push_str(&format!("--{END}--\r\n"));
    let request = browser
        .request("POST", path)
        .header(
            "content-type",
            format!("multipart/form-data; boundary={END}"),
        )
        .body(body);
    browser.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_is_written_on_its_page_and_nothing_typed_is_lost() {
    let world = World::new().await;
    world.project("tally").await;
    let browser = Browser::signed_in(&world, "alice").await;

    let wrong = [
        ("title", ""),
        ("body", "my long text"),
        ("blocked_by", "soon"),
        ("path-0", "tests/a.sh"),
        ("content-0", "my test"),
        ("do", "ready"),
    ];
    let answer = send(&browser, "/p/tally/new", &wrong, &[("b.sh", "uploaded")]).await;
    assert_eq!(answer.status, 422);
    for kept in [
        "my long text",
        "my test",
        "uploaded",
        "value=\"soon\"",
        "value=\"tests/a.sh\"",
        "value=\"b.sh\"",
    ] {
        assert!(
            answer.text.contains(kept),
            "{kept} is lost: {}",
            answer.text
        );
    }
    assert!(
        answer.text.contains("soon is no number of an issue"),
        "{}",
        answer.text
    );

    let preview = [
        ("title", "T"),
        ("body", "**bold** <script>alert(1)</script>"),
        ("do", "preview"),
    ];
    let answer = send(&browser, "/p/tally/new", &preview, &[]).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text.contains("<strong>bold</strong>"),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("<script>alert"), "{}", answer.text);

    let good = [
        ("title", "Greet"),
        ("body", "one\r\ntwo"),
        ("agent", "script"),
        ("priority", "1"),
        ("labels", "a, b"),
        ("assignee", "alice"),
        ("run", "sh tests/a.sh"),
        ("timeout_s", "60"),
        ("path-0", "tests/a.sh"),
        ("content-0", "exit 1\r\n"),
        ("do", "draft"),
    ];
    let answer = send(&browser, "/p/tally/new", &good, &[]).await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, "/p/tally/1"),
        "{}",
        answer.text
    );
    let filed = world.alice().sees("tally", 1).await;
    assert_eq!(
        (
            filed.body.as_str(),
            filed.line.priority,
            filed.line.labels.len()
        ),
        ("one\ntwo", 1, 2)
    );
    let page = browser.get("/p/tally/1").await.text;
    for shown in ["Greet", "sh tests/a.sh", "exit 1", "Mark ready"] {
        assert!(page.contains(shown), "{shown} is not shown: {page}");
    }

    let form = browser.get("/p/tally/1/edit").await.text;
    assert!(
        form.contains("exit 1") && form.contains("name=\"version\" value=\"1\""),
        "{form}"
    );
    let mut stale = good.to_vec();
    stale[0].1 = "Greet twice";
    stale.push(("version", "7"));
    let answer = send(&browser, "/p/tally/1/edit", &stale, &[]).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("Greet twice"), "{}", answer.text);
    assert_eq!(world.alice().sees("tally", 1).await.line.title, "Greet");
    stale.pop();
    stale.push(("version", "1"));
    let answer = send(&browser, "/p/tally/1/edit", &stale, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(
        world.alice().sees("tally", 1).await.line.title,
        "Greet twice"
    );

    let foreign = browser
        .request("POST", "/p/tally/new")
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nT\r\n--x--\r\n");
    assert_eq!(
        browser.send(foreign).await.status,
        403,
        "a form without our token"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_buttons_are_those_of_the_phase_and_of_the_role() {
    let world = World::new().await;
    world.project("tally").await;
    let browser = Browser::signed_in(&world, "alice").await;
    let draft = [
        ("title", "One <script>alert(1)</script>"),
        ("agent", "script"),
        ("do", "draft"),
    ];
    assert_eq!(
        send(&browser, "/p/tally/new", &draft, &[]).await.status,
        303
    );
    let acts = async |browser: &Browser| -> Vec<String> {
        let page = browser.get("/p/tally/1").await.text;
        assert!(!page.contains("<script>alert"), "{page}");
        let mut found: Vec<String> = [
            "ready", "draft", "retry", "reopen", "close", "note", "answer",
        ]
        .iter()
        .filter(|word| page.contains(&format!("name=\"what\" value=\"{word}\"")))
        .map(|word| (*word).to_owned())
        .collect();
        found.sort();
        found
    };
    assert_eq!(acts(&browser).await, ["close", "note", "ready"]);
    for (act, then) in [
        ("ready", vec!["close", "draft", "note"]),
        ("draft", vec!["close", "note", "ready"]),
        ("close", vec!["note", "reopen"]),
        ("reopen", vec!["close", "note", "ready"]),
    ] {
        let answer = browser
            .post("/p/tally/1/act", &[("what", act), ("text", "so")])
            .await;
        assert_eq!(
            (answer.status, answer.location()),
            (303, "/p/tally/1"),
            "{act}: {}",
            answer.text
        );
        assert_eq!(acts(&browser).await, then, "after {act}");
    }
    let answer = browser
        .post(
            "/p/tally/1/act",
            &[("what", "answer"), ("text", "my words")],
        )
        .await;
    assert_eq!(answer.status, 409, "no question is open: {}", answer.text);

    world
        .alice()
        .makes_person("rita", &[("tally", Role::Reader)])
        .await;
    let reader = Browser::signed_in(&world, "rita").await;
    assert_eq!(acts(&reader).await, [""; 0]);
    for (path, fields) in [
        ("/p/tally/1/act", [("what", "ready")]),
        ("/p/tally/members", [("who", "rita")]),
    ] {
        let mut all = fields.to_vec();
        all.push(("role", "maintainer"));
        assert_eq!(reader.post(path, &all).await.status, 403, "{path}");
    }
    assert_eq!(reader.get("/p/tally/new").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_board_shows_what_one_may_see_and_filters_by_its_address() {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    world.alice().files_ready("tally", "Greet the world").await;
    world.alice().files_ready("other", "A secret plan").await;
    world
        .alice()
        .makes_person("rita", &[("tally", Role::Writer)])
        .await;
    let alice = Browser::signed_in(&world, "alice").await;
    let rita = Browser::signed_in(&world, "rita").await;

    let all = alice.get("/board").await.text;
    assert!(
        all.contains("Greet the world") && all.contains("A secret plan"),
        "{all}"
    );
    assert!(
        all.contains("no runner is alive"),
        "the reason it waits: {all}"
    );
    let hers = rita.get("/board").await.text;
    assert!(
        hers.contains("Greet the world") && !hers.contains("secret"),
        "{hers}"
    );
    assert!(!hers.contains(">other<"), "not even the name: {hers}");
    assert_eq!(rita.get("/p/other").await.status, 404);
    assert_eq!(rita.get("/board?project=other").await.status, 404);
    let found = alice.get("/board?text=WORLD").await.text;
    assert!(
        found.contains("Greet the world") && !found.contains("secret"),
        "{found}"
    );
    assert!(
        found.contains("action=\"/board/views\"") && found.contains("value=\"WORLD\""),
        "a form to keep it: {found}"
    );
    let own = alice.get("/p/other").await.text;
    assert!(
        own.contains("A secret plan") && !own.contains("Greet the world"),
        "{own}"
    );
    let listed = rita.get("/projects").await.text;
    assert!(
        listed.contains("/p/tally") && !listed.contains("/p/other"),
        "{listed}"
    );
    assert!(
        !listed.contains("action=\"/projects\""),
        "only administrators make projects"
    );
    assert_eq!(
        rita.post("/projects", &[("name", "mine")]).await.status,
        403
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_made_and_its_members_are_set_on_pages() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "alice").await;
    world.alice().makes_person("rita", &[]).await;
    let taken = [("name", "fresh"), ("branch", "trunk")];
    let answer = browser.post("/projects", &taken).await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, "/p/fresh"),
        "{}",
        answer.text
    );
    let again = browser.post("/projects", &taken).await;
    assert_eq!(again.status, 422);
    assert!(
        again.text.contains("value=\"fresh\""),
        "what was typed stays: {}",
        again.text
    );
    let page = browser.get("/p/fresh").await.text;
    assert!(
        page.contains("git push nightshift trunk") && page.contains("/git/fresh.git"),
        "{page}"
    );

    let set = [("who", "rita"), ("role", "writer")];
    assert_eq!(browser.post("/p/fresh/members", &set).await.status, 303);
    let rita = Browser::signed_in(&world, "rita").await;
    assert_eq!(rita.get("/p/fresh").await.status, 200);
    let out = [("who", "rita"), ("role", "none")];
    assert_eq!(browser.post("/p/fresh/members", &out).await.status, 303);
    assert_eq!(rita.get("/p/fresh").await.status, 404);

    // Mistakes stand beside the form, and the last maintainer stays.
    let nobody = [("who", "nobody"), ("role", "reader")];
    let answer = browser.post("/p/fresh/members", &nobody).await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("id=\"member-wrong\"") && answer.text.contains("value=\"nobody\""),
        "{}",
        answer.text
    );
    for role in ["none", "writer"] {
        let answer = browser
            .post("/p/fresh/members", &[("who", "alice"), ("role", role)])
            .await;
        assert_eq!(answer.status, 409, "{role}");
        assert!(
            answer.text.contains("is the last maintainer of fresh"),
            "{}",
            answer.text
        );
    }
    let two = [("who", "rita"), ("role", "maintainer")];
    assert_eq!(browser.post("/p/fresh/members", &two).await.status, 303);
    let page = rita.get("/p/fresh").await.text;
    assert!(page.contains("aria-label=\"Role of alice\""), "{page}");
    let out = [("who", "alice"), ("role", "none")];
    assert_eq!(rita.post("/p/fresh/members", &out).await.status, 303);
    assert_eq!(
        rita.post("/p/fresh/members", &[("who", "rita"), ("role", "none")])
            .await
            .status,
        409
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_no_runner_can_have_is_said_before_and_while_it_waits() {
    let world = World::new().await;
    let settings =
        "[environment]\nimage = \"team/base:1\"\n\n[[check]]\nname = \"t\"\nrun = \"true\"\n";
    world.project_with("tally", settings).await;
    assert!(world.hand("bare").await.claims().await.is_none());
    let alice = world.alice();
    let number = alice.files_ready("tally", "Say hello").await;
    world.settle().await;
    let mut browser = Browser::signed_in(&world, "alice").await;
    let path = format!("/p/tally/{number}");
    let page = browser.get(&path).await.text;
    assert!(
        page.contains("No containers.") && page.contains("the image team/base:1"),
        "{page}"
    );
    assert!(
        page.contains("waits for a runner with containers"),
        "{page}"
    );
    browser.speaks("zh-Hant");
    let page = browser.get(&path).await.text;
    assert!(
        page.contains("沒有容器。") && page.contains("在等待使用容器的執行器"),
        "{page}"
    );
    let board = browser.get("/board").await.text;
    assert!(board.contains("在等待使用容器的執行器"), "{board}");
}
