//! The server of the platform's tools, by its protocol alone: raw lines on its standard input and
//! output, and a platform that answers as a test says.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the real program"
)]

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const RUN: &str = "01900000-0000-7000-8000-000000000001";
const TOKEN: &str = "run-token";

/// What the platform was told: the last word of the path, the token, and the body.
type Heard = Arc<Mutex<Vec<(String, String, Value)>>>;

#[derive(Clone)]
struct Platform {
    heard: Heard,
    /// Answers with this problem: status, kind, detail.
    refuses: Option<(u16, &'static str, &'static str)>,
}

async fn hear(
    State(platform): State<Platform>,
    Path((run, what)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert_eq!(run, RUN);
    let token = headers["authorization"].to_str().unwrap().to_owned();
    platform
        .heard
        .lock()
        .unwrap()
        .push((what.clone(), token, body));
    if let Some((status, kind, detail)) = platform.refuses {
        let problem = json!({
            "type": format!("https://nightshift.invalid/problems/{kind}"),
            "title": "No", "status": status, "detail": detail,
        });
        return (StatusCode::from_u16(status).unwrap(), Json(problem)).into_response();
    }
    let answer = match what.as_str() {
        "issues" => json!({ "number": 7, "title": "Copy less" }),
        "guidelines" => json!({
            "id": RUN, "run": RUN, "round": 1, "text": "x", "source": null,
            "at": "2026-01-01T00:00:00Z",
        }),
        _ => json!({}),
    };
    Json(answer).into_response()
}

/// A client that says lines.
struct Client {
    dir: TempDir,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    heard: Heard,
    next: i64,
}

impl Client {
    async fn new() -> Self {
        Self::with(None).await
    }

    async fn with(refuses: Option<(u16, &'static str, &'static str)>) -> Self {
        let heard = Heard::default();
        let platform = Platform {
            heard: Arc::clone(&heard),
            refuses,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/api/v1/runs/{run}/{what}", post(hear))
            .with_state(platform);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut client = Self::silent(&address, heard);
        let version = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = client.asks("initialize", version).await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "nightshift");
        client
            .says(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        client
    }

    /// Before a word is said.
    fn silent(address: &str, heard: Heard) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let check = |name: &str, run: &str, timeout_s: u64| json!({ "name": name, "run": run, "timeout_s": timeout_s });
        let control = json!({
            "platform": address, "run": RUN, "token": TOKEN,
            "brief": {
                "project": "tally", "number": 4, "round": 2, "title": "Say hello",
                "body": "In `hello.txt`.", "trust": "maintainer",
                "said": [{ "what": "feedback", "by": "ann", "trust": "collaborator", "round": 1, "text": "Louder." }],
                "red": ["check \"test\" failed"],
            },
            "checks": [
                check("test", "cat hello.txt", 20),
                check("slow", "echo begun; sleep 300 & echo $! > pid; wait", 1),
                check("loud", "yes x | head -c 100000; echo the end", 20),
                check("env", "env | sort", 20),
                check("leaves", "sleep 300 & echo $! > pid; echo left", 20),
            ],
            "sealed": {
                "run": "test -f sealed.txt", "timeout_s": 20,
                "lay": "echo sealed > sealed.txt", "files": ["sealed.txt"],
            },
            "tree": dir.path(),
            "env": [["PATH", "/usr/bin:/bin"], ["CI", "true"]],
        });
        let file = dir.path().join("inside.json");
        std::fs::write(&file, control.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_nightshift-sandbox"))
            .args(["inside", "mcp"])
            .arg(&file)
            .env("SECRET", "not for checks")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            dir,
            child,
            stdin,
            lines,
            heard,
            next: 0,
        }
    }

    async fn says(&mut self, message: &Value) {
        self.line(message.to_string().as_bytes()).await;
    }

    async fn line(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).await.unwrap();
        self.stdin.write_all(b"\n").await.unwrap();
        self.stdin.flush().await.unwrap();
    }

    async fn hears(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        let line = line.expect("an answer in time").unwrap();
        serde_json::from_str(&line.expect("an answer")).unwrap()
    }

    async fn begins(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        let id = self.next;
        self.says(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        id
    }

    async fn asks(&mut self, method: &str, params: Value) -> Value {
        let id = self.begins(method, params).await;
        let answer = self.hears().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Calls a tool: whether it worked, and its words.
    async fn calls(&mut self, name: &str, arguments: Value) -> (bool, String) {
        let params = json!({ "name": name, "arguments": arguments });
        let answer = self.asks("tools/call", params).await;
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("no words: {answer}"));
        (result["isError"] == false, text.to_owned())
    }

    fn heard(&self) -> Vec<(String, String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    /// Whether the process that a check noted goes, which the kernel may take a moment for.
    async fn noted_is_gone(&self) -> bool {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).unwrap();
        for _ in 0..50 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            if !stat.is_ok_and(|stat| !stat.contains(") Z ")) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

#[tokio::test]
async fn the_tools_are_listed_with_what_they_take() {
    let mut client = Client::new().await;
    let answer = client.asks("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let told: Vec<String> = tools
        .iter()
        .map(|tool| {
            let schema = &tool["inputSchema"];
            assert_eq!(schema["additionalProperties"], false, "{tool}");
            let fields: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
            format!(
                "{}({})",
                tool["name"].as_str().unwrap(),
                fields
                    .iter()
                    .map(|f| f.as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "get_issue()",
            "get_feedback()",
            "run_checks(only)",
            "progress(text)",
            "ask(question)",
            "request_host(hosts why)",
            "propose_guideline(text source)",
            "split_issue(title body)",
        ]
    );
}

#[tokio::test]
async fn the_order_is_what_was_pinned_with_how_far_it_is_trusted() {
    let mut client = Client::new().await;
    let (worked, issue) = client.calls("get_issue", json!({})).await;
    let issue: Value = serde_json::from_str(&issue).unwrap();
    assert!(worked);
    assert_eq!(
        (&issue["body"], &issue["trust"]),
        (&json!("In `hello.txt`."), &json!("maintainer"))
    );
    assert_eq!(issue["sealed_tests"]["files"], json!(["sealed.txt"]));
    let (worked, feedback) = client.calls("get_feedback", json!({})).await;
    let feedback: Value = serde_json::from_str(&feedback).unwrap();
    assert!(worked);
    assert_eq!(feedback["said"][0]["trust"], "collaborator");
    assert_eq!(
        feedback["last_verdict_red_because"],
        json!(["check \"test\" failed"])
    );
    assert_eq!(client.heard().len(), 0, "nobody is asked");
}

#[tokio::test]
async fn what_is_said_goes_to_the_platform_with_the_runs_own_token() {
    let mut client = Client::new().await;
    for (tool, arguments) in [
        ("progress", json!({ "text": " half way " })),
        (
            "propose_guideline",
            json!({ "text": "Name it.", "source": "Names!" }),
        ),
        (
            "split_issue",
            json!({ "title": "Copy less", "body": "It copies." }),
        ),
        (
            "request_host",
            json!({ "hosts": ["a.example"], "why": "The build." }),
        ),
        ("ask", json!({ "question": "Left or right?" })),
    ] {
        let (worked, words) = client.calls(tool, arguments).await;
        assert!(worked, "{tool}: {words}");
        match tool {
            "split_issue" => assert!(words.contains("#7 is a draft"), "{words}"),
            "ask" => assert!(words.contains("Stop now"), "{words}"),
            _ => {}
        }
    }
    let heard = client.heard();
    let told: Vec<_> = heard
        .iter()
        .map(|(what, _, body)| (what.as_str(), body.clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("progress", json!({ "text": "half way" })),
            (
                "guidelines",
                json!({ "text": "Name it.", "source": "Names!" })
            ),
            (
                "issues",
                json!({ "title": "Copy less", "body": "It copies." })
            ),
            (
                "hosts",
                json!({ "hosts": ["a.example"], "why": "The build." })
            ),
            ("ask", json!({ "text": "Left or right?" })),
        ]
    );
    assert!(
        heard
            .iter()
            .all(|(_, token, _)| token == "Bearer run-token")
    );
}

#[tokio::test]
async fn a_refusal_reaches_the_model_in_the_platforms_words() {
    let words = "this run has split off an issue 10 times";
    let mut client = Client::with(Some((409, "refused", words))).await;
    let split = json!({ "title": "More", "body": "x" });
    assert_eq!(
        client.calls("split_issue", split).await,
        (false, words.to_owned())
    );
    let mut client = Client::with(Some((401, "unauthenticated", "the token is unknown"))).await;
    let (worked, said) = client.calls("progress", json!({ "text": "x" })).await;
    assert!(!worked && said.contains("this run has ended"), "{said}");
    // Nobody listens there.
    let mut client = Client::new().await;
    let dead = Client::silent("http://127.0.0.1:1", Heard::default());
    let alive = std::mem::replace(&mut client, dead);
    drop(alive);
    client.asks("initialize", json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    })).await;
    client
        .says(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
        .await;
    let (worked, said) = client.calls("ask", json!({ "question": "x" })).await;
    assert!(!worked && said.contains("does not answer"), "{said}");
}

#[tokio::test]
async fn bad_input_is_answered_in_words_and_ends_nothing() {
    let mut client = Client::new().await;
    for (tool, arguments, words) in [
        ("progress", json!({}), "missing field `text`"),
        ("progress", json!({ "text": 7 }), "expected a string"),
        (
            "progress",
            json!({ "text": "x", "run": "other" }),
            "unknown field `run`",
        ),
        ("progress", json!({ "text": " " }), "`text` is empty"),
        (
            "ask",
            json!({ "question": "x".repeat(20_000) }),
            "the most is 16384",
        ),
        (
            "get_issue",
            json!({ "number": 9 }),
            "unknown field `number`",
        ),
        (
            "split_issue",
            json!({ "title": "x" }),
            "missing field `body`",
        ),
        ("run_checks", json!({ "only": "test" }), "does not fit"),
        (
            "run_checks",
            json!({ "only": ["rm"] }),
            "there is no check \"rm\"; there are test",
        ),
        ("run_checks", json!({ "only": [] }), "names nothing"),
        (
            "split_issue",
            json!({ "title": "x", "body": "y".repeat(4 << 20) }),
            "the most is 65536",
        ),
    ] {
        let (worked, said) = client.calls(tool, arguments).await;
        assert!(!worked && said.contains(words), "{tool}: {said}");
    }
    assert_eq!(client.heard().len(), 0, "nothing of it is sent");
    let unknown = json!({ "name": "merge", "arguments": {} });
    let answer = client.asks("tools/call", unknown).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(
        said.contains("there is no tool \"merge\"") && said.contains("split_issue"),
        "{said}"
    );
    let answer = client.asks("approve/pull", json!({})).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    // Neither what is no JSON, nor a line that never seems to end, ends the conversation.
    client.line(b"{ not json").await;
    client.line(&[0xff, 0xfe, 0x00]).await;
    client.line(&vec![b'x'; 20 << 20]).await;
    let (worked, _) = client.calls("get_issue", json!({})).await;
    assert!(worked);
    assert!(client.child.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn checks_run_on_the_tree_and_report_what_they_came_to() {
    let mut client = Client::new().await;
    let only = |name: &str| json!({ "only": [name] });
    let (worked, report) = client.calls("run_checks", only("test")).await;
    assert!(
        worked && report.contains("test: failed with exit status 1"),
        "{report}"
    );
    assert!(report.ends_with("1 of 1 failed"), "{report}");
    std::fs::write(client.dir.path().join("hello.txt"), "hello there\n").unwrap();
    let both = json!({ "only": ["test", "acceptance"] });
    let (_, report) = client.calls("run_checks", both).await;
    assert!(
        report.contains("hello there") && report.ends_with("all 2 passed"),
        "{report}"
    );
    let laid = std::fs::read_to_string(client.dir.path().join("sealed.txt")).unwrap();
    assert_eq!(laid, "sealed\n", "the sealed files were laid over the tree");
    let (_, report) = client.calls("run_checks", only("loud")).await;
    assert!(
        report.contains("only the end") && report.contains("the end\n"),
        "{report}"
    );
    assert!(report.len() < 10_000, "{} bytes", report.len());
    let (_, report) = client.calls("run_checks", only("env")).await;
    assert!(
        report.contains("CI=true") && !report.contains("SECRET"),
        "{report}"
    );
}

#[tokio::test]
async fn a_check_ends_with_its_time_and_leaves_nothing() {
    let mut client = Client::new().await;
    let begun = Instant::now();
    let (_, report) = client
        .calls("run_checks", json!({ "only": ["slow"] }))
        .await;
    assert!(
        report.contains("slow: ran out of its 1 s") && report.contains("begun"),
        "{report}"
    );
    assert!(client.noted_is_gone().await);
    // What it leaves in the background ends with it, and does not hold the report back.
    let (_, report) = client
        .calls("run_checks", json!({ "only": ["leaves"] }))
        .await;
    assert!(
        report.contains("leaves: passed") && report.contains("left"),
        "{report}"
    );
    assert!(client.noted_is_gone().await);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn checks_run_one_at_a_time_and_can_be_cancelled() {
    let mut client = Client::new().await;
    let arguments = json!({ "name": "run_checks", "arguments": { "only": ["leaves", "slow"] } });
    let first = client.begins("tools/call", arguments.clone()).await;
    let second = client.begins("tools/call", arguments).await;
    let answer = client.hears().await;
    assert_eq!(answer["id"], second, "{answer}");
    let said = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("running already"), "{said}");
    client
        .says(&json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": first },
        }))
        .await;
    // The turn is free again; nothing of the cancelled one comes.
    let (worked, report) = loop {
        let (worked, said) = client.calls("run_checks", json!({ "only": ["env"] })).await;
        if !said.contains("running already") {
            break (worked, said);
        }
    };
    assert!(worked && report.contains("env: passed"), "{report}");
    // Its client gone, the server goes.
    drop(client.stdin);
    let ended = tokio::time::timeout(Duration::from_secs(10), client.child.wait()).await;
    assert!(ended.expect("it ends").unwrap().success());
}
