//! Odd requests: each is answered with a problem that names the cause, and none is our fault.

use nightshift_api::operations;
use nightshift_api::{Method, Needs};
use nightshift_testkit::World;
use serde_json::json;

use crate::ask::Ask;

async fn get(world: &World, path: &str) -> crate::ask::Answer {
    let alice = world.alice();
    let ask = Ask::new("GET", &format!("{}{path}", world.url));
    ask.token(Some(alice.token())).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_fit_are_refused_by_every_operation() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    let order = hand.claims().await.expect("a job");
    let runner = world
        .app
        .operator_token(None, Some("r1"), "shape")
        .await
        .expect("a token");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("cut", b"{\"title\": \"x".to_vec()),
        ("text", b"\"words\"".to_vec()),
        ("a number", b"1e999".to_vec()),
        ("no UTF-8", b"{\"title\": \"\xff\xfe\"}".to_vec()),
        ("deep", deep.into_bytes()),
        ("huge", vec![b' '; 5 << 20]),
        ("form", b"title=x&ready=true".to_vec()),
    ];
    let document = nightshift_api::openapi::document();
    for one in operations::all() {
        if matches!(one.method, Method::Get | Method::Delete) {
            continue;
        }
        let method = one.method.as_str().to_lowercase();
        if document["paths"][one.path][method]["requestBody"].is_null() {
            continue;
        }
        let path = one
            .path
            .replace("{project}", "tally")
            .replace("{number}", "1")
            .replace("{user}", "alice")
            .replace("{run}", &order.run.to_string())
            .replace("{notification}", &order.run.to_string());
        let token = match one.needs {
            Needs::Person | Needs::Nobody => alice.token().to_owned(),
            Needs::Runner => runner.reveal().to_owned(),
            Needs::Run => order.token.clone(),
        };
        for (what, body) in &bodies {
            let ask = Ask::new(one.method.as_str(), &format!("{}{path}", world.url));
            let answer = ask.token(Some(&token)).bytes(body.clone()).send().await;
            assert_eq!(
                answer.status,
                422,
                "{} with {what}: {}",
                one.id,
                answer.text()
            );
            assert_eq!(answer.problem(), "invalid", "{} with {what}", one.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_people_misspell_is_refused_and_named() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    for (method, path, body) in [
        (
            "POST",
            "projects/tally/issues",
            json!({ "title": "x", "priorty": 0 }),
        ),
        (
            "POST",
            "tokens",
            json!({ "label": "x", "expires_in_day": 1 }),
        ),
        ("POST", "users", json!({ "name": "x", "admin": true })),
        (
            "POST",
            "projects",
            json!({ "name": "x", "branch": "trunk" }),
        ),
        (
            "PUT",
            "projects/tally/members/alice",
            json!({ "role": "reader", "until": 1 }),
        ),
    ] {
        let ask = Ask::new(method, &format!("{}/api/v1/{path}", world.url));
        let answer = ask.token(Some(alice.token())).json(&body).send().await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.text());
        let wrong = body.as_object().expect("fields").keys().filter(|key| {
            ["priorty", "expires_in_day", "admin", "branch", "until"].contains(&key.as_str())
        });
        for key in wrong {
            assert!(answer.text().contains(key), "{}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_out_of_their_range_are_refused_and_nothing_is_filed() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let many: Vec<i64> = vec![1; 100_000];
    for body in [
        json!({ "title": "" }),
        json!({ "title": "x".repeat(201) }),
        json!({ "title": "a\u{0}b" }),
        json!({ "title": "two\nlines" }),
        json!({ "title": "x", "body": "a\u{0}b" }),
        json!({ "title": "x", "body": "y".repeat(300 << 10) }),
        json!({ "title": "x", "labels": ["a\u{0}b"] }),
        json!({ "title": "x", "labels": ["a,b"] }),
        json!({ "title": "x", "priority": -1 }),
        json!({ "title": "x", "priority": 1.5 }),
        json!({ "title": "x", "priority": 9_223_372_036_854_775_808_u64 }),
        json!({ "title": "x", "agent": "a\u{0}b" }),
        json!({ "title": "x", "assignee": "a\u{0}b" }),
        json!({ "title": "x", "blocked_by": [1] }),
        json!({ "title": "x", "blocked_by": [i64::MAX, i64::MIN] }),
        json!({ "title": "x", "blocked_by": many }),
        json!({ "title": "x", "acceptance": { "run": "", "files": [] } }),
        json!({ "title": "x", "acceptance": { "run": "sh a", "already_green": false,
            "timeout_s": 60, "files": [{ "path": "../a", "executable": false,
            "content_base64": "" }] } }),
        json!({ "title": "x", "acceptance": { "run": "sh \u{0}", "already_green": false,
            "timeout_s": 60, "files": [] } }),
    ] {
        let ask = Ask::new(
            "POST",
            &format!("{}/api/v1/projects/tally/issues", world.url),
        );
        let answer = ask.token(Some(alice.token())).json(&body).send().await;
        let shown: String = body.to_string().chars().take(120).collect();
        assert_eq!(answer.status, 422, "{shown}: {}", answer.text());
    }
    let page = get(&world, "/api/v1/projects/tally/issues").await.json();
    assert_eq!(page["items"].as_array().expect("items").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_addresses_are_not_found_and_never_our_fault() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    hand.works(&[("a.txt", "a\n")]).await;
    let long = "x".repeat(5_000);
    let odd = [
        "%00",
        "a%00b",
        "%2e%2e%2f%2e%2e",
        "..%2f..",
        "%ff%fe",
        "%F0%9F%92%A9",
        "-1",
        "0",
        "99999999999999999999",
        "9223372036854775807",
        "1e3",
        "+1",
        "%201",
        "--exec=x",
        "%24(id)",
        "tally.git",
        "tally%2f",
        "TALLY",
        "'%20or%201=1",
        &long,
    ];
    let paths = operations::all()
        .into_iter()
        .filter(|one| one.method == Method::Get)
        .map(|one| one.path)
        .chain(
            operations::RAW
                .iter()
                .filter(|raw| raw.method == Method::Get)
                .map(|raw| raw.path),
        );
    for template in paths.filter(|path| path.contains('{')) {
        for value in odd {
            for name in ["{project}", "{number}", "{run}", "{user}"] {
                if !template.contains(name) {
                    continue;
                }
                let path = template
                    .replace(name, value)
                    .replace("{project}", "tally")
                    .replace("{number}", "1")
                    .replace("{run}", "00000000-0000-7000-8000-000000000000");
                let answer = get(&world, &path).await;
                let known = ["+1", "%201"].contains(&value);
                assert!(
                    answer.status == 404 || (known && answer.status < 500),
                    "{path}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
        }
    }
    for value in odd {
        let answer = get(
            &world,
            &format!("/git/{value}/info/refs?service=git-upload-pack"),
        )
        .await;
        let known = value == "tally.git";
        assert_eq!(answer.status, if known { 200 } else { 404 }, "{value}");
    }
    let answer = get(&world, "/git/tally.git/info/refs?service=git-x").await;
    assert_eq!(answer.status, 422);
    let answer = get(&world, "/git/tally.git/info/refs").await;
    assert_eq!(answer.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_queries_are_refused_and_say_what_to_give() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    let order = hand.claims().await.expect("a job");
    hand.logs(&order, 0, "{}\n").await.expect("logged");
    let lists = [
        "/api/v1/projects/tally/issues",
        "/api/v1/projects/tally/pulls",
        "/api/v1/runs",
    ];
    for list in lists {
        for query in [
            "limit=0",
            "limit=-1",
            "limit=201",
            "limit=abc",
            "limit=1.5",
            "limit=99999999999999999999",
            "cursor=abc",
            "cursor=1.abc",
            "cursor=9223372036854775807.00000000-0000-7000-8000-000000000000",
            "cursor=%00",
        ] {
            let answer = get(&world, &format!("{list}?{query}")).await;
            assert_eq!(answer.status, 422, "{list}?{query}: {}", answer.text());
        }
    }
    for query in [
        "limit=0",
        "limit=501",
        "after=x",
        "after=99999999999999999999",
    ] {
        let answer = get(&world, &format!("/api/v1/events?{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
    }
    for after in ["-9223372036854775808", "9223372036854775807"] {
        let answer = get(&world, &format!("/api/v1/events?after={after}")).await;
        assert_eq!(answer.status, 200, "{after}");
    }
    for (query, status) in [
        ("phase=nonsense", 422),
        ("phase=%00", 422),
        ("text=%00", 422),
        ("label=%25", 200),
        ("agent='", 200),
    ] {
        let answer = get(&world, &format!("/api/v1/projects/tally/issues?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    let log = format!("/api/v1/runs/{}/log", order.run);
    for (query, status) in [
        ("offset=-1", 422),
        ("offset=18446744073709551616", 422),
        ("offset=18446744073709551615", 200),
        ("offset=9223372036854775808&limit=18446744073709551615", 200),
        ("offset=3", 200),
        ("limit=0", 200),
    ] {
        let answer = get(&world, &format!("{log}?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.status != 200 || answer.body.is_empty(), "{query}");
    }
    assert_eq!(get(&world, "/api/v1/runs?number=1").await.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_words_of_a_runner_are_refused_or_taken_and_never_our_fault() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    alice.files_ready("tally", "First").await;
    let order = hand.claims().await.expect("a job");
    let runner = world
        .app
        .operator_token(None, Some("r1"), "shape")
        .await
        .expect("a token");
    let base = format!("{}/api/v1/runner/runs/{}", world.url, order.run);
    for (offset, status) in [
        ("18446744073709551615", 409),
        ("9223372036854775807", 409),
        ("-1", 422),
        ("x", 422),
    ] {
        let ask = Ask::new("POST", &format!("{base}/log?epoch=1&offset={offset}"));
        let answer = ask
            .token(Some(runner.reveal()))
            .bytes(b"{}\n".to_vec())
            .send()
            .await;
        assert_eq!(answer.status, status, "{offset}: {}", answer.text());
    }
    for slots in [i64::MIN, -1, i64::MAX] {
        let body = json!({ "kinds": [], "slots": slots, "version": "a\u{0}b", "wait_s": u64::MAX });
        let ask = Ask::new("POST", &format!("{}/api/v1/runner/claim", world.url));
        let answer = ask.token(Some(runner.reveal())).json(&body).send().await;
        assert_eq!(answer.status, 422, "{slots}: {}", answer.text());
    }
    let progress = format!("{}/api/v1/runs/{}/progress", world.url, order.run);
    let ask = Ask::new("POST", &progress).token(Some(&order.token));
    let answer = ask.json(&json!({ "text": "a\u{0}b" })).send().await;
    assert_eq!(answer.status, 422, "{}", answer.text());

    // What an agent printed is kept, whatever bytes it printed.
    let end = json!({ "end": "asked", "question": "Which\u{0} one?" });
    let body = json!({ "epoch": 1, "end": end });
    let ask = Ask::new("POST", &format!("{base}/complete")).token(Some(runner.reveal()));
    let answer = ask.json(&body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let question = alice.sees("tally", 1).await.question.expect("a question");
    assert_eq!(question, "Which\u{fffd} one?");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_known_already_is_not_sent_again() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    let number = alice.files_ready("tally", "First").await;
    let url = format!("{}/api/v1/projects/tally/issues/{number}", world.url);
    let first = get(&world, &format!("/api/v1/projects/tally/issues/{number}")).await;
    let tag = first.headers["etag"].to_str().expect("a tag").to_owned();
    let again = |known: String| {
        let ask = Ask::new("GET", &url).token(Some(alice.token()));
        ask.header("if-none-match", &known).send()
    };
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let answer = again(known.clone()).await;
        assert_eq!(answer.status, 304, "{known}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.headers["etag"].to_str().expect("a tag"), tag);
    }
    assert_eq!(again("\"x\"".to_owned()).await.status, 200);
    let edit = nightshift_api::issue::EditIssue {
        title: Some("Other".to_owned()),
        ..Default::default()
    };
    alice.edits("tally", number, edit).await.expect("edited");
    assert_eq!(again(tag).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_complete_and_without_duplicates_while_issues_are_filed() {
    let world = World::new().await;
    world.project("tally").await;
    let alice = world.alice();
    for n in 0..23 {
        alice.files_ready("tally", &format!("Before {n}")).await;
    }
    let mut seen: Vec<i64> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/projects/tally/issues?limit=5{cursor}");
        let page = get(&world, &path).await.json();
        for item in page["items"].as_array().expect("items") {
            seen.push(item["number"].as_i64().expect("a number"));
        }
        alice.files_ready("tally", "Meanwhile").await;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<i64> = (1..=23).rev().collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_method_says_so() {
    let world = World::new().await;
    let ask = Ask::new("DELETE", &format!("{}/api/v1/health", world.url));
    let answer = ask.send().await;
    assert_eq!((answer.status, answer.problem().as_str()), (405, "method"));
}
