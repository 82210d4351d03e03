//! The ways out: what the real sandbox reaches through relay, socket and broker, and what not; and
//! what happens when the broker dies or hangs.

mod kit;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kit::{DONE, Machine, Ran, finish, step};
use nightshift_runner::broker::{
    Broker, BrokerError, BrokerProgram, Budget, Dialect, EndpointSpec, Event, KeySource, ModelsWay,
    PlatformWay, Room, RouteWay, Rule, Settings, Traffic, Ways, rule,
};
use nightshift_runner::sandbox::{Running, Stdin};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;

const KEY: &str = "sk-real-CANARY-5519";

/// One request as the upstream saw it.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    headers: String,
    body: usize,
}

/// A server of one's own on the host's loopback.
struct Upstream {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: tokio::task::JoinSet<()>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn upstream() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!(
        "http://{}/prefix",
        listener.local_addr().expect("an address")
    );
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let record = Arc::clone(&seen);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let record = Arc::clone(&record);
            tokio::spawn(async move {
                let service = service_fn(move |request| reply(Arc::clone(&record), request));
                let http = hyper::server::conn::http1::Builder::new();
                http.serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    Upstream {
        base,
        seen,
        _task: tasks,
    }
}

async fn reply(
    seen: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = format!("{:?}", request.headers());
    let given = request
        .headers()
        .get("x-api-key")
        .map(|v| v.to_str().unwrap_or("").to_owned());
    let body = request
        .into_body()
        .collect()
        .await
        .map_or(0, |body| body.to_bytes().len());
    seen.lock().expect("a lock").push(Seen {
        line: line.clone(),
        headers,
        body,
    });
    let full = |text: String| Full::new(Bytes::from(text)).boxed_unsync();
    let mut response = if line.contains("stream") {
        // Two events, the second one a while after the first.
        let events = futures_util::stream::iter([0, 1]).then(|number| async move {
            tokio::time::sleep(Duration::from_millis(300 * number)).await;
            Ok(Frame::data(Bytes::from(format!("data: {number}\n\n"))))
        });
        Response::new(StreamBody::new(events).boxed_unsync())
    } else if line.contains("models") {
        let mut bad = Response::new(full(format!("invalid key {}", given.unwrap_or_default())));
        *bad.status_mut() = StatusCode::UNAUTHORIZED;
        bad
    } else if line.contains("away") {
        let mut moved = Response::new(full(String::new()));
        *moved.status_mut() = StatusCode::FOUND;
        moved
            .headers_mut()
            .insert("location", "http://127.0.0.1:1/".parse().expect("a value"));
        moved
    } else {
        Response::new(full("fine".to_owned()))
    };
    response
        .headers_mut()
        .insert("set-cookie", "a=b".parse().expect("a value"));
    Ok(response)
}

struct Setting {
    machine: Machine,
    room: Room,
    /// What the runner was told.
    told: Arc<Mutex<Vec<Event>>>,
    broker: Broker,
}

fn program() -> BrokerProgram {
    BrokerProgram {
        path: kit::program(),
        args: vec!["broker".to_owned()],
    }
}

/// Settings with the endpoint `house`, whose key is in a file.
fn settings(url: &str, dir: &std::path::Path) -> Settings {
    let key = dir.join("key");
    std::fs::write(&key, format!("{KEY}\n")).expect("a file");
    let house = EndpointSpec {
        url: url.to_owned(),
        header: "x-api-key".to_owned(),
        prefix: String::new(),
        dialect: Dialect::Anthropic,
        keys: vec![KeySource::File(key)],
    };
    Settings {
        endpoints: [("house".to_owned(), house)].into(),
        ..Settings::default()
    }
}

fn models(budget: Budget) -> ModelsWay {
    ModelsWay {
        routes: vec![RouteWay {
            dialect: Dialect::Anthropic,
            endpoint: "house".to_owned(),
            token: String::new(),
        }],
        budget,
        cost_micro_usd: None,
    }
}

impl Setting {
    /// What stands in the sandbox for the key, as a line of Python.
    fn token(&self) -> String {
        let token = self.room.token(Dialect::Anthropic).expect("a token");
        format!("T = {{'x-api-key': '{token}'}}")
    }

    async fn new(platform: &str, model: &str, budget: Budget) -> Self {
        let mut machine = Machine::new().await;
        let mut rules = rule::git("/git/p1.git");
        for (method, path) in [
            ("POST", "/api/v1/runs/r1/ask"),
            ("GET", "/api/v1/runs/r1/away"),
        ] {
            rules.push(Rule::new(method.parse().expect("a method"), path));
        }
        let ways = Ways {
            platform: Some(PlatformWay {
                base: platform.to_owned(),
                rules,
                budget,
            }),
            models: Some(models(budget)),
            network: None,
        };
        let settings = settings(model, machine.dir.path());
        let broker = Broker::start(program(), settings).await.expect("a broker");
        let told: Arc<Mutex<Vec<Event>>> = Arc::default();
        let heard = Arc::clone(&told);
        let lever = Box::new(move |event| heard.lock().expect("a lock").push(event));
        let room = broker.open(&machine.host, &machine.run, ways, lever).await;
        let room = room.expect("a room");
        machine.spec.relays = room.relays();
        Self {
            machine,
            room,
            told,
            broker,
        }
    }

    /// Stops or kills the broker's process, and waits until no thread of it runs any more.
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.broker.pid()).expect("a process");
        kill(Pid::from_raw(pid), signal).expect("a signal");
        let still = |state: &str| ["T", "t", "Z", "X"].contains(&state);
        loop {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
            let states: Vec<String> = threads
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
                .collect();
            let state = |stat: &String| {
                let (_, rest) = stat.rsplit_once(") ")?;
                rest.split(' ').next().map(str::to_owned)
            };
            if states.iter().filter_map(state).all(|state| still(&state)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    async fn model_traffic(&self) -> Traffic {
        self.room.report().await.model
    }

    /// Runs a Python script that has `call(port, method, path, headers, body)`.
    async fn python(&self, script: &str) -> Ran {
        let script = format!("{CALL}\n{}\n{script}", self.token());
        let mut python = step("");
        python.command = ["/usr/bin/python3", "-c", &script]
            .map(str::to_owned)
            .to_vec();
        finish(
            self.machine
                .sandbox()
                .spawn(&python)
                .await
                .expect("a start"),
        )
        .await
    }
}

const CALL: &str = r#"
import http.client, time, sys
def call(port, method, path, headers={}, body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request(method, path, body, headers)
    r = c.getresponse()
    text = r.read().decode()
    print(r.status, text if r.status < 400 else "", dict(r.getheaders()).get("set-cookie", ""))
    return r.status, text
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_model_gets_the_real_credential_and_the_agent_never_sees_it() {
    let upstream = upstream().await;
    let setting = Setting::new(&upstream.base, &upstream.base, Budget::default()).await;
    let ran = setting
        .python(
            "h = {**T, 'Authorization': 'Bearer sent-from-inside', 'Cookie': 'sent-from-inside', 'X-Keep': 'kept'}
call(7071, 'POST', '/anthropic/v1/messages?beta=true&key=sent-from-inside', h, 'x' * 100000)
status, text = call(7071, 'GET', '/anthropic/v1/models', h)
print(text)",
        )
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(ran.out, "200 fine \n401  \ninvalid key ***\n", "{ran:?}");
    let seen = upstream.seen.lock().expect("a lock").clone();
    assert_eq!(seen[0].line, "POST /prefix/v1/messages?beta=true");
    assert_eq!(seen[0].body, 100_000);
    assert!(
        seen[0].headers.contains(KEY) && seen[0].headers.contains("kept"),
        "{seen:?}"
    );
    assert!(
        !format!("{seen:?}").contains("sent-from-inside") && !format!("{seen:?}").contains("nsr-"),
        "{seen:?}"
    );
    let traffic = setting.model_traffic().await;
    assert_eq!(
        (traffic.requests, traffic.bytes_sent, traffic.refused),
        (2, 100_000, 0)
    );
    assert!(traffic.bytes_received >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_gets_the_runs_own_token_and_only_what_a_rule_names() {
    let upstream = upstream().await;
    let setting = Setting::new(&upstream.base, &upstream.base, Budget::default()).await;
    let ran = setting
        .python(
            "h = {'Authorization': 'Bearer run-token'}
call(7070, 'POST', '/api/v1/runs/r1/ask', h, 'question')
call(7070, 'GET', '/git/p1.git/info/refs?service=git-upload-pack', h)
for method, path in [('GET', '/git/p2.git/info/refs'), ('GET', '/git/p1.git/../p2.git/info/refs'),
                     ('POST', '/api/v1/runs/r2/ask'), ('GET', '/api/v1/tokens'), ('CONNECT', 'evil.test:443'),
                     ('GET', 'http://evil.test/git/p1.git/info/refs'), ('DELETE', '/git/p1.git/info/refs')]:
    status, text = call(7070, method, path, h)
    if status < 400: print('open:', method, path)
call(7070, 'POST', '/api/v1/runs/r1/ask', {'Host': 'evil.test'})
call(7070, 'GET', '/api/v1/runs/r1/away', h)",
        )
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let statuses: Vec<&str> = ran.out.lines().map(|line| &line[..3]).collect();
    assert_eq!(
        statuses,
        [
            "200", "200", "403", "400", "403", "403", "400", "400", "403", "421", "302"
        ],
        "{ran:?}"
    );
    let seen = upstream.seen.lock().expect("a lock").clone();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(
        seen[0].headers.contains("run-token") && !seen[0].headers.contains(KEY),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_as_it_comes() {
    let upstream = upstream().await;
    let setting = Setting::new(&upstream.base, &upstream.base, Budget::default()).await;
    let ran = setting
        .python(
            "c = http.client.HTTPConnection('127.0.0.1', 7071); c.request('POST', '/anthropic/v1/messages?stream', '{}', T)
r = c.getresponse(); a = r.read1(100); t = time.monotonic(); b = r.read1(100)
print(a, b, time.monotonic() - t > 0.1)",
        )
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "b'data: 0\\n\\n' b'data: 1\\n\\n' True\n"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_upstream_the_answer_comes_all_the_same() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    // An address that answers nothing at all.
    let setting = Setting::new(&dead, "http://192.0.2.1:81", Budget::default()).await;
    let begin = Instant::now();
    let ran = setting
        .python("call(7070, 'POST', '/api/v1/runs/r1/ask'); print(call(7071, 'POST', '/anthropic/v1/messages', T, '{}')[1])")
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert!(
        ran.out.starts_with("502") && ran.out.contains("\"unavailable\""),
        "{ran:?}"
    );
    assert!(!ran.out.contains(KEY), "{ran:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(setting.model_traffic().await.failed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_end_what_a_run_may_send() {
    let upstream = upstream().await;
    let budget = Budget {
        requests: 3,
        bytes_sent: 1 << 20,
        bytes_received: 1 << 20,
    };
    let setting = Setting::new(&upstream.base, &upstream.base, budget).await;
    let ran = setting
        .python(
            "for i in range(5): call(7070, 'POST', '/api/v1/runs/r1/ask')
try: call(7071, 'POST', '/anthropic/v1/messages', T, 'x' * 50000000)
except OSError as error: print('cut')
try: call(7071, 'POST', '/anthropic/v1/messages', T, 'x')
except OSError as error: print('cut')",
        )
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let starts: Vec<&str> = ran.out.lines().map(|line| &line[..3]).collect();
    assert_eq!(starts[..5], ["200", "200", "200", "429", "429"], "{ran:?}");
    assert_eq!(starts.last(), Some(&"429"), "{ran:?}");
    let seen = upstream.seen.lock().expect("a lock").clone();
    assert!(seen.iter().all(|seen| seen.body <= 2 << 20), "{seen:?}");
}

/// Starts a script inside, with a pipe as its input; returns when it has printed `ready`.
async fn until_ready(setting: &Setting, script: &str) -> Running {
    let mut python = step("");
    let script = format!("{CALL}\n{}\n{script}", setting.token());
    python.command = ["/usr/bin/python3", "-c", &script]
        .map(str::to_owned)
        .to_vec();
    python.stdin = Stdin::Pipe;
    let started = setting.machine.sandbox().spawn(&python).await;
    let mut running = started.expect("a start");
    let mut seen = Vec::new();
    let stdout = running.stdout.as_mut().expect("output");
    while !seen.ends_with(b"ready\n") {
        let read = tokio::io::AsyncReadExt::read_buf(stdout, &mut seen).await;
        assert_ne!(read.expect("output"), 0, "{seen:?}");
    }
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_run_ends_every_connection_is_cut() {
    let upstream = upstream().await;
    let setting = Setting::new(&upstream.base, &upstream.base, Budget::default()).await;
    let script = "import socket
s = socket.create_connection(('127.0.0.1', 7070)); s.sendall(b'POST /api'); print('ready', flush=True)
s.settimeout(10); print(s.recv(12))
n = socket.create_connection(('127.0.0.1', 7070)); n.settimeout(10)
n.sendall(b'GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'); print(n.recv(12))";
    let running = until_ready(&setting, script).await;
    let report = setting.room.close().await;
    assert_eq!(report.platform.requests, 0);
    let ran = finish(running).await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "b'HTTP/1.1 503'\nb'HTTP/1.1 503'\n"),
        "{ran:?}"
    );
}

/// Waits until the runner was told that the broker is lost.
async fn until_lost(setting: &Setting) {
    let begun = Instant::now();
    while !matches!(
        setting.told.lock().expect("a lock").first(),
        Some(Event::Lost { .. })
    ) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody was told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_answered_503_and_comes_back(signal: Signal) {
    let upstream = upstream().await;
    let setting = Setting::new(&upstream.base, &upstream.base, Budget::default()).await;
    let script = "h = {'Authorization': 'Bearer run-token'}
call(7070, 'POST', '/api/v1/runs/r1/ask', h, 'question'); call(7071, 'POST', '/anthropic/v1/messages', T, '{}')
print('ready', flush=True); sys.stdin.read()
begun = time.monotonic(); status, text = call(7071, 'POST', '/anthropic/v1/messages', T, '{}')
print(status, time.monotonic() - begun < 5, 'unavailable' in text)
for i in range(100):
    status, text = call(7071, 'POST', '/anthropic/v1/messages', T, '{}')
    if status == 200: break
    time.sleep(0.1)
print('back', status, call(7070, 'POST', '/api/v1/runs/r1/ask', h)[0])";
    let mut running = until_ready(&setting, script).await;
    let before = setting.room.report().await;
    assert_eq!((before.platform.requests, before.model.requests), (1, 1));
    let first = setting.broker.pid();
    setting.signal(signal);
    drop(running.stdin.take());
    until_lost(&setting).await;
    let ran = finish(running).await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.contains(&"503 True True"), "{ran:?}");
    assert!(ran.out.ends_with("back 200 200\n"), "{ran:?}");
    assert_ne!(setting.broker.pid(), first);
    // What was used before is not forgotten, and nothing went past the broker.
    let after = setting.room.report().await;
    assert_eq!(after.posts["/api/v1/runs/r1/ask"], 2);
    assert_eq!(after.model.requests, 2);
    assert_eq!(upstream.seen.lock().expect("a lock").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_is_answered_503_and_comes_back() {
    is_answered_503_and_comes_back(Signal::SIGKILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_answered_503_and_comes_back() {
    is_answered_503_and_comes_back(Signal::SIGSTOP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_ends_with_its_runner() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(program(), settings("http://127.0.0.1:9", dir.path())).await;
    let broker = broker.expect("a broker");
    let process = format!("/proc/{}", broker.pid());
    assert!(std::fs::exists(&process).expect("processes"));
    // Nothing else of this user reads the keys in it.
    assert_eq!(
        std::fs::read(format!("{process}/environ")).is_ok(),
        nix::unistd::geteuid().is_root()
    );
    drop(broker);
    let begun = Instant::now();
    while std::fs::exists(&process).expect("processes") {
        assert!(begun.elapsed() < Duration::from_secs(30), "it lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_settings_is_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    for bad in [
        "ftp://x",
        "not an address",
        "http://user:pass@x/",
        "http://",
    ] {
        let started = Broker::start(program(), settings(bad, dir.path())).await;
        let error = started.expect_err(bad);
        assert!(matches!(error, BrokerError::Settings(_)), "{error}");
        assert!(
            error
                .to_string()
                .contains("is not an http or https address"),
            "{error}"
        );
    }
    let without = settings("http://127.0.0.1:9", dir.path());
    std::fs::remove_file(dir.path().join("key")).expect("a file");
    let error = Broker::start(program(), without).await.expect_err("no key");
    assert!(
        error.to_string().contains("\"house\": cannot read"),
        "{error}"
    );
    let machine = Machine::new().await;
    let broker = Broker::start(program(), Settings::default())
        .await
        .expect("a broker");
    let ways = Ways {
        models: Some(models(Budget::default())),
        ..Ways::default()
    };
    let opened = broker
        .open(&machine.host, &machine.run, ways, Box::new(|_| {}))
        .await;
    let error = opened.expect_err("no endpoint").to_string();
    assert!(error.contains("no model endpoint \"house\""), "{error}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    kit::again_as_an_ordinary_user("all_of_this_holds_for_an_ordinary_user");
}
