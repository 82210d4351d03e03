//! The model routes: tokens, what calls used, budgets, and providers that say "not now".

mod kit;

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use kit::{DONE, Machine, Ran, finish, step};
use nightshift_runner::broker::{
    Broker, BrokerProgram, Budget, Dialect, EndpointSpec, Event, KeySource, ModelsWay, Price, Room,
    RouteWay, Settings, Ways,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

const KEYS: [&str; 2] = ["sk-first-CANARY-1", "sk-second-CANARY-2"];

/// What a provider does with one call.
#[derive(Clone)]
enum Does {
    Streams(&'static str),
    Says(&'static str),
    Refuses(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Ends the stream after these words, without an end.
    Breaks(&'static str),
}

/// A provider that does what a test says, and remembers what it was asked.
struct Provider {
    base: String,
    state: Arc<Mutex<Played>>,
    _task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Played {
    next: VecDeque<Does>,
    seen: Vec<(String, String, String)>,
}

async fn provider(next: &[Does]) -> Provider {
    let state = Arc::new(Mutex::new(Played {
        next: next.iter().cloned().collect(),
        seen: Vec::new(),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(play).with_state(Arc::clone(&state));
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.ok();
    });
    Provider {
        base,
        state,
        _task: task,
    }
}

async fn play(State(state): State<Arc<Mutex<Played>>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let key = request
        .headers()
        .get("x-api-key")
        .and_then(|key| key.to_str().ok());
    let key = key.unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20)
        .await
        .expect("a body");
    let body = String::from_utf8_lossy(&body).into_owned();
    let does = {
        let mut state = state.lock().expect("a lock");
        state.seen.push((line, key, body));
        state.next.pop_front().unwrap_or(Does::Says("{}"))
    };
    let answer = Response::builder().header("request-id", "req-1");
    let answer = match does {
        Does::Streams(text) => answer
            .header("content-type", "text/event-stream")
            .body(Body::from(text)),
        Does::Says(text) => answer.body(Body::from(text)),
        Does::Refuses(status, headers, text) => headers
            .iter()
            .fold(answer.status(status), |answer, (name, value)| {
                answer.header(*name, *value)
            })
            .body(Body::from(text)),
        Does::Breaks(text) => {
            let parts = [Ok(text), Err(std::io::Error::other("cut"))];
            let stream = futures_util::stream::iter(parts).then(|part| async move {
                if part.is_err() {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                part
            });
            answer
                .header("content-type", "text/event-stream")
                .body(Body::from_stream(stream))
        }
    };
    answer.expect("an answer")
}

struct Setting {
    machine: Machine,
    room: Room,
    told: watch::Receiver<Vec<Event>>,
    provider: Provider,
    _broker: Broker,
}

impl Setting {
    async fn new(keys: usize, most: Option<u64>, next: &[Does]) -> Self {
        Self::with(most, next, |folder, _| {
            let files = KEYS.iter().take(keys).enumerate().map(|(n, key)| {
                let file = folder.join(format!("key-{n}"));
                std::fs::write(&file, key).expect("a file");
                KeySource::File(file)
            });
            files.collect()
        })
        .await
    }

    /// With keys that are made in a folder, for a provider at this address.
    async fn with(
        most: Option<u64>,
        next: &[Does],
        keys: impl FnOnce(&Path, &str) -> Vec<KeySource>,
    ) -> Self {
        let provider = provider(next).await;
        let mut machine = Machine::new().await;
        let keys = keys(machine.dir.path(), &provider.base);
        let endpoint = EndpointSpec {
            url: provider.base.clone(),
            header: "x-api-key".to_owned(),
            prefix: String::new(),
            dialect: Dialect::Anthropic,
            keys,
        };
        let price = Price {
            model: "m-1".to_owned(),
            input: 10.0,
            cached: Some(1.0),
            cache_write: None,
            output: 100.0,
        };
        let settings = Settings {
            endpoints: [("house".to_owned(), endpoint)].into(),
            prices: vec![price],
            ..Settings::default()
        };
        let program = BrokerProgram {
            path: kit::program(),
            args: vec!["broker".to_owned()],
        };
        let broker = Broker::start(program, settings).await.expect("a broker");
        let routes = [Dialect::Anthropic, Dialect::OpenAi].map(|dialect| RouteWay {
            dialect,
            endpoint: "house".to_owned(),
            token: String::new(),
        });
        let ways = Ways {
            models: Some(ModelsWay {
                routes: routes.to_vec(),
                budget: Budget::default(),
                cost_micro_usd: most,
            }),
            ..Ways::default()
        };
        let (heard, told) = watch::channel(Vec::new());
        let lever =
            Box::new(move |event| heard.send_modify(|told: &mut Vec<Event>| told.push(event)));
        let room = broker.open(&machine.host, &machine.run, ways, lever).await;
        let room = room.expect("a room");
        machine.spec.relays = room.relays();
        Self {
            machine,
            room,
            told,
            provider,
            _broker: broker,
        }
    }

    /// Runs a Python script inside that has the tokens `A` and `O` and `call(path, token, body)`.
    async fn python(&self, script: &str) -> Ran {
        let token = |dialect| self.room.token(dialect).expect("a token").to_owned();
        let script = format!(
            "A = '{}'; O = '{}'\n{CALL}\n{script}",
            token(Dialect::Anthropic),
            token(Dialect::OpenAi)
        );
        let mut python = step("");
        python.command = ["/usr/bin/python3", "-c", &script]
            .map(str::to_owned)
            .to_vec();
        let started = self.machine.sandbox().spawn(&python).await;
        finish(started.expect("a start")).await
    }

    fn seen(&self) -> Vec<(String, String, String)> {
        self.provider.state.lock().expect("a lock").seen.clone()
    }

    fn told(&self) -> Vec<Event> {
        self.told.borrow().clone()
    }

    /// What was told once there is something: it comes from another process.
    async fn told_at_last(&self) -> Vec<Event> {
        let mut told = self.told.clone();
        let some = told.wait_for(|told| !told.is_empty());
        let some = tokio::time::timeout(Duration::from_secs(30), some).await;
        some.expect("in time").expect("a room").clone()
    }
}

const CALL: &str = r#"
import http.client, json, time
M = '/anthropic/v1/messages'
def call(path, token, body='{"model":"m-1"}', header='x-api-key', method='POST'):
    c = http.client.HTTPConnection('127.0.0.1', 7071, timeout=60)
    c.request(method, path, body, {header: token} if token else {})
    r = c.getresponse()
    try: text = r.read().decode()
    except http.client.HTTPException: text = 'broken'
    return r.status, text
"#;

const STREAM: &str = concat!(
    r#"data: {"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":10,"cache_read_input_tokens":30,"output_tokens":1}}}"#,
    "\n\n",
    r#"data: {"type":"message_delta","usage":{"output_tokens":4}}"#,
    "\n\n",
);

#[tokio::test(flavor = "multi_thread")]
async fn only_the_runs_own_token_opens_its_route_and_its_paths() {
    let setting = Setting::new(1, None, &[]).await;
    let ran = setting
        .python(
            "other = 'nsr-' + 'a' * 48
for path, token in ((M, other), (M, O), (M, ''), (M, A[:-1]), (M, A + 'a'), ('/openai/v1/responses', A),
                    ('/anthropic/v1/files', A), ('/v1/messages', A), ('/gemini/v1beta/models/g:generateContent', A),
                    ('/anthropic/v1/../v1/messages', A), ('/anthropic/v1/messages/batches', A)):
    status, text = call(path, token)
    print(status, 'error' in json.loads(text))
print(call(M, 'Bearer ' + A, header='Authorization')[0], call('/openai/v1/responses', O)[0], call(M, A)[0])",
        )
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    let (refused, open) = lines.split_at(11);
    for line in refused {
        assert!(
            ["401 True", "403 True", "400 True"].contains(line),
            "{ran:?}"
        );
    }
    assert_eq!(&refused[..6], ["401 True"; 6], "{ran:?}");
    assert_eq!(open, ["200 200 200"]);
    let seen = setting.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.iter().all(|(_, key, _)| key == KEYS[0]), "{seen:?}");
    assert!(!format!("{seen:?}").contains("nsr-"), "{seen:?}");
    let told = setting.told_at_last().await;
    assert!(
        matches!(told[..], [Event::Refused { .. }]),
        "said once: {told:?}"
    );
    assert_eq!(setting.room.report().await.model.refused, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_refreshed_outside_and_its_end_is_told() {
    let given = r#"{"access_token":"access-CANARY-2","refresh_token":"refresh-CANARY-2","expires_in":3600}"#;
    let refused = r#"{"error":{"message":"not access-CANARY-1"}}"#;
    let over = r#"{"error":"invalid_grant","error_description":"refresh-CANARY-2"}"#;
    let next = [
        // The first token is refused, which is no news to the agent.
        Does::Refuses(401, &[], refused),
        Does::Says(given),
        Does::Says("{}"),
        Does::Says("{}"),
    ];
    let login = |folder: &Path, base: &str| {
        let file = folder.join("login.json");
        let text = serde_json::json!({
            "token_url": format!("{base}/token"),
            "client_id": "client-1",
            "access_token": "access-CANARY-1",
            "refresh_token": "refresh-CANARY-1",
        });
        std::fs::write(&file, text.to_string()).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("its mode");
        vec![KeySource::Login(file)]
    };
    let setting = Setting::with(None, &next, login).await;
    let ran = setting
        .python("print([call(M, A)[0] for _ in range(2)])")
        .await;
    assert_eq!(ran.out, "[200, 200]\n", "{ran:?}");
    let seen = setting.seen();
    let lines: Vec<(&str, &str)> = seen
        .iter()
        .map(|(line, key, _)| (line.as_str(), key.as_str()))
        .collect();
    let call = "POST /v1/messages";
    assert_eq!(
        lines,
        [
            (call, "access-CANARY-1"),
            ("POST /token", ""),
            (call, "access-CANARY-2"),
            (call, "access-CANARY-2"),
        ]
    );
    assert!(
        seen[1].2.contains("refresh_token=refresh-CANARY-1"),
        "{seen:?}"
    );
    let kept = setting.machine.dir.path().join("login.json");
    let kept = std::fs::read_to_string(kept).expect("the file");
    assert!(kept.contains("refresh-CANARY-2"), "{kept}");
    assert_eq!(setting.told(), []);
    // From now on its tokens are refused, and nothing of them is told to the agent.
    let state = Arc::clone(&setting.provider.state);
    state.lock().expect("a lock").next = [
        Does::Refuses(401, &[], r#"{"error":{"message":"not access-CANARY-2"}}"#),
        Does::Refuses(400, &[], over),
    ]
    .into();
    let ran = setting
        .python("print(call(M, A)); import os; print(os.environ, open('/proc/self/mounts').read())")
        .await;
    assert!(ran.out.starts_with("(401,"), "{ran:?}");
    assert!(ran.out.contains("log in again"), "{ran:?}");
    assert!(!format!("{ran:?}").contains("CANARY"), "{ran:?}");
    let told = setting.told_at_last().await;
    assert!(
        matches!(&told[..], [Event::Login { why }] if why.contains("log in again") && !why.contains("CANARY")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_has_under_way_is_bounded_and_given_back() {
    let setting = Setting::new(1, None, &[]).await;
    let script = r#"
import socket
def begin(mib):
    s = socket.create_connection(('127.0.0.1', 7071), timeout=60)
    s.sendall(f'POST {M} HTTP/1.1\r\nHost: 127.0.0.1:7071\r\nx-api-key: {A}\r\nContent-Length: {60 << 20}\r\n\r\n'.encode())
    try:
        for _ in range(mib): s.sendall(b'x' * (1 << 20))
    except OSError: pass
    return s
first, second = begin(40), begin(40)
time.sleep(2)
third = begin(40)
print(third.recv(1 << 16).decode().splitlines()[0])
for s in (first, second, third): s.close()
time.sleep(1)
again = begin(40)
again.settimeout(2)
try: print(again.recv(9))
except TimeoutError: print('it is taken')
again.close()
print(call(M, A)[0])
"#;
    let ran = setting.python(script).await;
    assert_eq!(
        ran.out, "HTTP/1.1 503 Service Unavailable\nit is taken\n200\n",
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_used_is_counted_however_they_end() {
    let chat = r#"{"model":"unheard-of","usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
    let setting = Setting::new(
        1,
        None,
        &[
            Does::Streams(STREAM),
            Does::Breaks(STREAM),
            Does::Says(chat),
            Does::Says("{}"),
        ],
    )
    .await;
    let ran = setting
        .python(
            r#"print(call(M, A)[1].count('data:')); print(call(M, A)[0])
print(call('/openai/v1/chat/completions', O, '{"model":"unheard-of","stream":true}')[0])
print(call(M, A)[0], call('/anthropic/v1/messages/count_tokens', A)[0])"#,
        )
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "2\n200\n200\n200 200\n"),
        "{ran:?}"
    );
    let report = setting.room.report().await;
    let of = |route: &str| {
        report
            .models
            .iter()
            .find(|used| used.route == route)
            .expect(route)
    };
    let known = of("anthropic");
    assert_eq!(
        (known.model.as_str(), known.requests, known.unmeasured),
        ("m-1", 3, 1),
        "{report:?}"
    );
    assert_eq!(
        (
            known.input_tokens,
            known.cached_input_tokens,
            known.output_tokens
        ),
        (20, 60, 8)
    );
    // Twice 10 in, 30 cached, 4 out; the third said nothing and is not nothing.
    assert_eq!(
        (known.cost_micro_usd, known.unpriced),
        (2 * (100 + 30 + 400), 1)
    );
    let unknown = of("openai");
    assert_eq!(
        (unknown.requests, unknown.unpriced, unknown.cost_micro_usd),
        (1, 1, 0)
    );
    assert_eq!((unknown.input_tokens, unknown.output_tokens), (9, 3));
    let asked = &setting.seen()[2].2;
    assert!(asked.contains("\"include_usage\":true"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_beyond_the_budget_is_not_made() {
    let setting = Setting::new(
        1,
        Some(531),
        &[Does::Streams(STREAM), Does::Streams(STREAM)],
    )
    .await;
    let ran = setting
        .python(
            "print([call(M, A)[0] for i in range(4)])
status, text = call(M, A); print(json.loads(text)['type'], json.loads(text)['error']['type'])
status, text = call('/openai/v1/responses', O); print(status, json.loads(text)['error']['code'])",
        )
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(
        ran.out, "[200, 200, 403, 403]\nerror budget_exhausted\n403 budget_exhausted\n",
        "{ran:?}"
    );
    assert_eq!(setting.seen().len(), 2);
    let spent = Event::Budget {
        spent: 1060,
        most: 531,
    };
    assert_eq!(setting.told_at_last().await.first(), Some(&spent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_account_is_left_out_and_the_run_parks_when_all_are() {
    const LATER: &[(&str, &str)] = &[("retry-after", "600")];
    const LIMIT: &str = r#"{"type":"error","error":{"type":"rate_limit_error"}}"#;
    let setting = Setting::new(
        2,
        None,
        &[
            Does::Refuses(429, LATER, LIMIT),
            Does::Streams(STREAM),
            Does::Streams(STREAM),
            Does::Refuses(429, &[("retry-after", "900")], LIMIT),
        ],
    )
    .await;
    let ran = setting
        .python("print([call(M, A)[0] for i in range(4)])")
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "[200, 200, 429, 429]\n"),
        "{ran:?}"
    );
    let seen = setting.seen();
    let keys: Vec<&str> = seen.iter().map(|(_, key, _)| key.as_str()).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[1..], [keys[1]; 3], "the limited one is left out");
    let told = setting.told_at_last().await;
    assert!(
        matches!(told[0], Event::Limited { wait_s, .. } if (500..=602).contains(&wait_s)),
        "until the first reset: {told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_wait_is_waited_here() {
    const SOON: &[(&str, &str)] = &[("retry-after", "1")];
    let setting = Setting::new(
        1,
        None,
        &[
            Does::Refuses(429, SOON, "{}"),
            Does::Refuses(529, SOON, "{}"),
            Does::Streams(STREAM),
            Does::Refuses(529, &[], "{\"why\":\"sk-first-CANARY-1\"}"),
            Does::Refuses(529, &[("retry-after", "300")], "{}"),
        ],
    )
    .await;
    let begun = Instant::now();
    let ran = setting
        .python("print(call(M, A)[0]); print(call(M, A)); print(call(M, A)[0])")
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert!(begun.elapsed() > Duration::from_secs(2));
    // Without a time the program is told as it was said, but for the key.
    assert_eq!(ran.out, "200\n(529, '{\"why\":\"***\"}')\n429\n", "{ran:?}");
    assert!(matches!(
        setting.told_at_last().await[..],
        [Event::Limited { wait_s: 301, .. }]
    ));
}
