//! A server that keeps everything in memory and does what a test tells it: the runner protocol,
//! questions, and one repository over smart HTTP whose attempt refs only their run may write.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path as Part, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::TryStreamExt as _;
use nightshift_api::Problem;
use nightshift_api::issue::Words;
use nightshift_api::runner::{
    ClaimAnswer, ClaimRequest, Complete, Completed, Heartbeat, HeartbeatAnswer, LogAppended,
    SteerOrder, WorkOrder,
};
use nightshift_domain::git_name::ATTEMPTS;
use nightshift_domain::id::RunId;
use nightshift_domain::transcript::Record;
use nightshift_testkit::git::{
    Git, Limits, Movement, Protocol, PushPolicy, RefUpdate, Repository, Service, Settings,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::io::StreamReader;
use uuid::Uuid;

/// The runner's own token.
pub(crate) const RUNNER_TOKEN: &str = "nsr_runner-CANARY-token-5521";

/// What the server knows of one run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) order: WorkOrder,
    pub(crate) log: Vec<u8>,
    pub(crate) beats: usize,
    pub(crate) asked: Vec<String>,
    /// What else its agent said: the last word of the path, and the body.
    pub(crate) said: Vec<(String, Value)>,
    pub(crate) completions: Vec<Complete>,
    /// A person wants it to stop.
    pub(crate) stop: bool,
    /// What a person says to it, until it is handed over.
    pub(crate) steers: Vec<SteerOrder>,
    /// What was handed over, as heartbeats said.
    pub(crate) handed: Vec<Uuid>,
    /// Its lease went to somebody else.
    pub(crate) stale: bool,
}

#[derive(Debug, Default)]
struct Memory {
    queue: VecDeque<WorkOrder>,
    runs: HashMap<Uuid, Run>,
    claims: usize,
    /// Claims that wait for work right now.
    open: usize,
}

/// The server.
#[derive(Clone)]
pub(crate) struct Server {
    memory: Arc<Mutex<Memory>>,
    changed: watch::Sender<u64>,
    pub(crate) repo: Repository,
    pub(crate) address: String,
    /// While set, every request is answered with a bare 503.
    down: Arc<AtomicBool>,
    /// While set, pushes are.
    no_push: Arc<AtomicBool>,
}

impl Server {
    pub(crate) async fn start(dir: &Path) -> Self {
        let git = Git::new(Settings {
            program: "git".into(),
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            proxy: None,
            ca_file: None,
            limits: Limits::default(),
        });
        let main = "main".parse().unwrap();
        let repo = Repository::init_bare(&git, &dir.join("server.git"), &main)
            .await
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            memory: Arc::default(),
            changed: watch::Sender::new(0),
            repo,
            address: format!("http://{}", listener.local_addr().unwrap()),
            down: Arc::default(),
            no_push: Arc::default(),
        };
        let router = Router::new()
            .route("/api/v1/runner/claim", post(claim))
            .route("/api/v1/runner/runs/{run}/heartbeat", post(heartbeat))
            .route("/api/v1/runner/runs/{run}/log", post(append))
            .route("/api/v1/runner/runs/{run}/complete", post(complete))
            .route("/api/v1/runs/{run}/ask", post(ask))
            .route("/api/v1/runs/{run}/{what}", post(speak))
            .route("/git/tally.git/info/refs", get(info_refs))
            .route("/git/tally.git/git-upload-pack", post(upload))
            .route("/git/tally.git/git-receive-pack", post(receive))
            .layer(middleware::from_fn_with_state(server.clone(), door))
            .layer(tower_http::decompression::RequestDecompressionLayer::new())
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn queue(&self, order: WorkOrder) {
        self.change(|memory| memory.queue.push_back(order));
    }

    /// Says something to a run; its words stay until the agent has them.
    pub(crate) fn steer(&self, run: RunId, text: &str, now: bool) -> Uuid {
        let id = Uuid::from_u128(0x5000 + text.len() as u128);
        let steer = SteerOrder {
            id,
            by: "alice".to_owned(),
            text: text.to_owned(),
            now,
        };
        self.change(|memory| memory.runs.get_mut(&run.0).unwrap().steers.push(steer));
        id
    }

    pub(crate) fn claims(&self) -> usize {
        self.memory.lock().unwrap().claims
    }

    /// Waits until no claim is open: work that is queued from now on is for the next one.
    pub(crate) async fn no_claim_open(&self) {
        let mut changes = self.changed.subscribe();
        while self.memory.lock().unwrap().open > 0 {
            changes.changed().await.unwrap();
        }
    }

    pub(crate) fn run(&self, run: RunId) -> Option<Run> {
        self.memory.lock().unwrap().runs.get(&run.0).cloned()
    }

    pub(crate) fn cancel(&self, run: RunId) {
        self.change(|memory| memory.runs.get_mut(&run.0).unwrap().stop = true);
    }

    /// Gives the lease to nobody in particular.
    pub(crate) fn take_away(&self, run: RunId) {
        self.change(|memory| memory.runs.get_mut(&run.0).unwrap().stale = true);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn set_no_push(&self, no_push: bool) {
        self.no_push.store(no_push, Ordering::SeqCst);
    }

    /// Waits until the run is as wished.
    pub(crate) async fn until(&self, run: RunId, what: &str, wish: impl Fn(&Run) -> bool) -> Run {
        let mut changes = self.changed.subscribe();
        let wait = async {
            loop {
                if let Some(found) = self.run(run).filter(&wish) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), wait).await {
            Ok(run) => run,
            Err(_elapsed) => panic!("never {what}: {:#?}", self.run(run)),
        }
    }

    pub(crate) async fn ended(&self, run: RunId) -> Complete {
        let run = self
            .until(run, "ended", |run| !run.completions.is_empty())
            .await;
        run.completions[0].clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let changed = change(&mut self.memory.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    /// Does something to a run that still has its lease.
    fn with<T>(
        &self,
        run: Uuid,
        epoch: i64,
        change: impl FnOnce(&mut Run) -> T,
    ) -> Result<T, (u16, &'static str)> {
        self.change(|memory| {
            let run = memory.runs.get_mut(&run).ok_or((404, "not-found"))?;
            if run.stale || run.order.epoch != epoch {
                return Err((409, "stale-epoch"));
            }
            Ok(change(run))
        })
    }
}

impl Run {
    /// Its log, record by record.
    pub(crate) fn records(&self) -> Vec<Record> {
        let text = std::str::from_utf8(&self.log).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}")))
            .collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }
}

fn problem(status: u16, kind: &str) -> Response {
    let problem = Problem {
        kind: format!("/problems/{kind}"),
        title: kind.to_owned(),
        status,
        detail: kind.to_owned(),
        errors: Vec::new(),
        request_id: None,
    };
    (StatusCode::from_u16(status).unwrap(), Json(problem)).into_response()
}

fn refused((status, kind): (u16, &str)) -> Response {
    problem(status, kind)
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get("authorization").and_then(|v| v.to_str().ok());
    value
        .and_then(|v| v.strip_prefix("Bearer "))
        .unwrap_or_default()
        .to_owned()
}

async fn door(State(server): State<Server>, request: Request, next: Next) -> Response {
    if server.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let runners = request.uri().path().starts_with("/api/v1/runner/");
    if runners && bearer(request.headers()) != RUNNER_TOKEN {
        return problem(401, "unauthenticated");
    }
    next.run(request).await
}

/// An open claim; the runner may hang up at any time.
struct Open(Server);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|memory| memory.open -= 1);
    }
}

async fn claim(State(server): State<Server>, Json(request): Json<ClaimRequest>) -> Response {
    server.change(|memory| {
        memory.claims += 1;
        memory.open += 1;
    });
    let _open = Open(server.clone());
    let mut changes = server.changed.subscribe();
    let wait = async {
        loop {
            let order = server.memory.lock().unwrap().queue.pop_front();
            if let Some(order) = order {
                return order;
            }
            changes.changed().await.unwrap();
        }
    };
    let order = tokio::time::timeout(Duration::from_secs(request.wait_s), wait).await;
    let order = order.ok().map(|order| {
        let run = Run {
            order: order.clone(),
            log: Vec::new(),
            beats: 0,
            asked: Vec::new(),
            said: Vec::new(),
            completions: Vec::new(),
            stop: false,
            steers: Vec::new(),
            handed: Vec::new(),
            stale: false,
        };
        server.change(|memory| memory.runs.insert(order.run.0, run));
        Box::new(order)
    });
    Json(ClaimAnswer { order }).into_response()
}

async fn heartbeat(
    State(server): State<Server>,
    Part(run): Part<Uuid>,
    Json(beat): Json<Heartbeat>,
) -> Response {
    let answer = server.with(run, beat.epoch, |run| {
        run.beats += 1;
        run.handed.extend(&beat.handed);
        run.steers.retain(|steer| !beat.handed.contains(&steer.id));
        HeartbeatAnswer {
            steers: run.steers.clone(),
            stop: run.stop,
            lease_until: super::house::NOW,
        }
    });
    answer.map_or_else(refused, |answer| Json(answer).into_response())
}

async fn append(
    State(server): State<Server>,
    Part(run): Part<Uuid>,
    Query(query): Query<HashMap<String, i64>>,
    body: Bytes,
) -> Response {
    if body.last().is_some_and(|last| *last != b'\n') {
        return problem(422, "invalid");
    }
    let answer = server.with(run, query["epoch"], |run| {
        let size = run.log.len();
        if usize::try_from(query["offset"]).ok() == Some(size) {
            run.log.extend_from_slice(&body);
        }
        LogAppended {
            size: i64::try_from(run.log.len()).unwrap(),
        }
    });
    answer.map_or_else(refused, |answer| Json(answer).into_response())
}

async fn complete(
    State(server): State<Server>,
    Part(run): Part<Uuid>,
    Json(complete): Json<Complete>,
) -> Response {
    let answer = server.with(run, complete.epoch, |run| run.completions.push(complete));
    let state = "succeeded".to_owned();
    answer.map_or_else(refused, |()| Json(Completed { state }).into_response())
}

async fn ask(
    State(server): State<Server>,
    Part(run): Part<Uuid>,
    headers: HeaderMap,
    Json(words): Json<Words>,
) -> Response {
    let token = bearer(&headers);
    server.change(|memory| match memory.runs.get_mut(&run) {
        Some(run) if run.order.token == token => {
            run.asked.push(words.text);
            Json(nightshift_api::Nothing {}).into_response()
        }
        _ => problem(401, "unauthenticated"),
    })
}

async fn speak(
    State(server): State<Server>,
    Part((run, what)): Part<(Uuid, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let token = bearer(&headers);
    let answer = match what.as_str() {
        "issues" => json!({ "number": 7, "title": body["title"] }),
        "guidelines" => json!({
            "id": run, "run": run, "round": 1, "text": body["text"], "source": null,
            "at": super::house::NOW,
        }),
        _ => json!({}),
    };
    server.change(|memory| match memory.runs.get_mut(&run) {
        Some(run) if run.order.token == token => {
            run.said.push((what, body));
            Json(answer).into_response()
        }
        _ => problem(401, "unauthenticated"),
    })
}

/// Who pushes: the run with this token, or nobody.
struct Attempt(Option<String>);

impl PushPolicy for Attempt {
    fn may_name(&self, update: &RefUpdate) -> Result<(), String> {
        if self.0.as_deref() == Some(update.name.as_str()) {
            Ok(())
        } else {
            Err("this token writes its own attempt only".to_owned())
        }
    }

    fn may_move(&self, _update: &RefUpdate, _movement: Movement) -> Result<(), String> {
        Ok(())
    }
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(headers.get("git-protocol").map(|value| value.as_bytes()))
}

impl Server {
    /// The run whose token this is.
    fn of_token(&self, headers: &HeaderMap) -> Option<Uuid> {
        let token = bearer(headers);
        let memory = self.memory.lock().unwrap();
        let mut runs = memory.runs.iter();
        runs.find(|(_, run)| run.order.token == token)
            .map(|(run, _)| *run)
    }
}

async fn info_refs(
    State(server): State<Server>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if server.of_token(&headers).is_none() {
        return problem(401, "unauthenticated");
    }
    let service = Service::from_name(&query["service"]).unwrap();
    let body = match service {
        Service::UploadPack => server.repo.advertise_upload(protocol(&headers)).await,
        Service::ReceivePack => server.repo.advertise_receive(|_| true).await,
    };
    let media = format!("application/x-{}-advertisement", service.name());
    ([("content-type", media)], body.unwrap()).into_response()
}

fn reader(body: Body) -> impl tokio::io::AsyncRead + Send + Unpin + 'static {
    let stream = body.into_data_stream().map_err(std::io::Error::other);
    Box::pin(StreamReader::new(stream))
}

async fn upload(State(server): State<Server>, request: Request) -> Response {
    if server.of_token(request.headers()).is_none() {
        return problem(401, "unauthenticated");
    }
    let version = protocol(request.headers());
    let answer = server
        .repo
        .upload_pack(version, reader(request.into_body()))
        .unwrap();
    let media = "application/x-git-upload-pack-result";
    ([("content-type", media)], Body::from_stream(answer)).into_response()
}

async fn receive(State(server): State<Server>, request: Request) -> Response {
    if server.no_push.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let run = server.of_token(request.headers());
    let policy = Attempt(run.map(|run| format!("{ATTEMPTS}{run}")));
    let body = reader(request.into_body());
    let received = server
        .repo
        .receive_pack(body, &policy, "push by a run", &|_| {})
        .await
        .unwrap();
    let media = "application/x-git-receive-pack-result";
    ([("content-type", media)], received.response).into_response()
}
