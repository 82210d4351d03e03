//! Logins against a scripted token endpoint that rotates, and refuses what was used before.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;

/// What the endpoint answers next, instead of rotating.
#[derive(Clone)]
struct Says(u16, Value);

#[derive(Default)]
struct Endpoint {
    asked: AtomicUsize,
    /// How many tokens it gave; the last refresh token is the one that is worth something.
    given: AtomicUsize,
    says: Mutex<VecDeque<Says>>,
    bodies: Mutex<Vec<String>>,
    /// Milliseconds before it answers.
    slow: AtomicUsize,
    lives: AtomicUsize,
}

impl Endpoint {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn will(&self, status: u16, body: Value) {
        self.says
            .lock()
            .expect("a lock")
            .push_back(Says(status, body));
    }
}

async fn answer(State(state): State<Arc<Endpoint>>, body: String) -> Response {
    state.asked.fetch_add(1, Ordering::SeqCst);
    state.bodies.lock().expect("a lock").push(body.clone());
    let slow = state.slow.load(Ordering::SeqCst) as u64;
    tokio::time::sleep(Duration::from_millis(slow)).await;
    if let Some(Says(status, body)) = state.says.lock().expect("a lock").pop_front() {
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, Json(body)).into_response();
    }
    let given = state.given.load(Ordering::SeqCst);
    if !body.contains(&format!("refresh-CANARY-{given}")) {
        let echo = json!({ "error": "invalid_grant", "error_description": body });
        return (StatusCode::BAD_REQUEST, Json(echo)).into_response();
    }
    state.given.fetch_add(1, Ordering::SeqCst);
    let new = given + 1;
    let lives = state.lives.load(Ordering::SeqCst);
    Json(json!({
        "access_token": format!("access-CANARY-{new}"),
        "refresh_token": format!("refresh-CANARY-{new}"),
        "token_type": "Bearer",
        "expires_in": lives,
    }))
    .into_response()
}

fn noon() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time")
}

fn hours_later() -> Timestamp {
    Timestamp::from_second(1_700_030_000).expect("a time")
}

struct Scene {
    folder: tempfile::TempDir,
    endpoint: Arc<Endpoint>,
    url: String,
    client: reqwest::Client,
}

impl Scene {
    async fn new() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let endpoint = Arc::new(Endpoint::default());
        endpoint.lives.store(3_600, Ordering::SeqCst);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!(
            "http://{}/token",
            listener.local_addr().expect("an address")
        );
        let router = Router::new()
            .route("/token", post(answer))
            .with_state(Arc::clone(&endpoint));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            endpoint,
            url,
            client: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("login.json")
    }

    /// Writes the file as somebody does who logged in; the first token ends at noon.
    fn log_in(&self, number: usize, expires_at: Value) {
        let text = json!({
            "token_url": self.url,
            "client_id": "client-1",
            "client_secret": "client-CANARY",
            "access_token": format!("access-CANARY-{number}"),
            "refresh_token": format!("refresh-CANARY-{number}"),
            "expires_at": expires_at,
            "account": "kept as it is",
        });
        std::fs::write(self.path(), text.to_string()).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(), mode).expect("its mode");
    }

    fn login(&self) -> Arc<Login> {
        Arc::new(Login::open(&self.path(), "authorization", "Bearer ").expect("a login"))
    }

    async fn token(&self, login: &Arc<Login>, now: Clock) -> Result<String, Missing> {
        let held = login.token(&self.client, now).await?;
        Ok(held.tokens.access.expose().to_owned())
    }

    async fn renewed(&self, login: &Arc<Login>, seen: u64) -> Result<String, Missing> {
        let held = login.renewed(&self.client, noon, seen).await?;
        Ok(held.tokens.access.expose().to_owned())
    }

    fn kept(&self) -> Value {
        let text = std::fs::read(self.path()).expect("the file");
        serde_json::from_slice(&text).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_are_one_refresh() {
    let scene = Scene::new().await;
    scene.log_in(0, json!("2023-11-14T22:13:20Z"));
    scene.endpoint.slow.store(100, Ordering::SeqCst);
    let login = scene.login();
    let calls = (0..100).map(|_| scene.token(&login, noon));
    for token in futures_util::future::join_all(calls).await {
        assert_eq!(token.as_deref(), Ok("access-CANARY-1"));
    }
    assert_eq!(scene.endpoint.asked(), 1);
    // It is on the disk, whole, for its owner alone, with what else was there.
    let kept = scene.kept();
    assert_eq!(kept["refresh_token"], "refresh-CANARY-1");
    assert_eq!(kept["expires_at"], "2023-11-14T23:13:20Z");
    assert_eq!(kept["account"], "kept as it is");
    let mode = std::fs::metadata(scene.path())
        .expect("the file")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let body = scene.endpoint.bodies.lock().expect("a lock")[0].clone();
    assert_eq!(
        body,
        "grant_type=refresh_token&refresh_token=refresh-CANARY-0&client_id=client-1&client_secret=client-CANARY"
    );
    // The next one goes with the new refresh token, which the endpoint insists on.
    assert_eq!(
        scene.token(&login, hours_later).await.as_deref(),
        Ok("access-CANARY-2")
    );
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_after_a_crash_finds_the_old_or_the_new_tokens() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    // A crash in the middle of a write left this; it counts for nothing.
    std::fs::write(scene.folder.path().join(".login.json.new"), "{\"access").expect("a file");
    let login = scene.login();
    scene.token(&login, noon).await.expect("a token");
    drop(login);
    let again = scene.login();
    assert_eq!(
        scene.token(&again, noon).await.as_deref(),
        Ok("access-CANARY-1")
    );
    assert_eq!(scene.endpoint.asked(), 1, "what was written is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_not_used_and_not_lost() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    let login = scene.login();
    // Nobody can make this file.
    let in_the_way = scene.folder.path().join(".login.json.new");
    std::fs::create_dir(&in_the_way).expect("a folder");
    let missing = scene
        .token(&login, noon)
        .await
        .expect_err("not on the disk");
    let Missing::Later { why, .. } = &missing else {
        panic!("{missing:?}");
    };
    assert!(
        why.contains("cannot be written") && !why.contains("CANARY"),
        "{why}"
    );
    assert_eq!(scene.kept()["refresh_token"], "refresh-CANARY-0");
    std::fs::remove_dir(&in_the_way).expect("gone");
    assert_eq!(
        scene.token(&login, noon).await.as_deref(),
        Ok("access-CANARY-1")
    );
    assert_eq!(scene.kept()["refresh_token"], "refresh-CANARY-1");
    assert_eq!(scene.endpoint.asked(), 1, "its answer was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_takes_no_answer_with_it() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    scene.endpoint.slow.store(300, Ordering::SeqCst);
    let login = scene.login();
    let gone = tokio::time::timeout(Duration::from_millis(100), scene.token(&login, noon)).await;
    assert!(gone.is_err(), "it went away in the middle");
    assert_eq!(
        scene.token(&login, noon).await.as_deref(),
        Ok("access-CANARY-1")
    );
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_was_used_before_is_asked_for_once_and_then_a_person_is() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    scene.endpoint.given.store(5, Ordering::SeqCst);
    let login = scene.login();
    for _ in 0..20 {
        let missing = scene.token(&login, noon).await.expect_err("refused");
        let Missing::Login(why) = &missing else {
            panic!("{missing:?}");
        };
        assert!(
            why.contains("invalid_grant, 400") && why.contains("log in again"),
            "{why}"
        );
        assert!(!why.contains("CANARY"), "{why}");
    }
    assert_eq!(scene.endpoint.asked(), 1, "a refusal is not asked again");
    // Somebody logs in again: it goes on by itself.
    scene.log_in(5, json!(1_700_000_000));
    assert_eq!(
        scene.token(&login, noon).await.as_deref(),
        Ok("access-CANARY-6")
    );
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_is_one_refresh_and_a_new_token_that_is_refused_gets_no_third() {
    let scene = Scene::new().await;
    scene.log_in(0, Value::Null);
    let login = scene.login();
    assert_eq!(
        scene.token(&login, noon).await.as_deref(),
        Ok("access-CANARY-0"),
        "nobody knows its end"
    );
    assert_eq!(scene.endpoint.asked(), 0);
    let calls = (0..50).map(|_| scene.renewed(&login, 0));
    for token in futures_util::future::join_all(calls).await {
        assert_eq!(token.as_deref(), Ok("access-CANARY-1"));
    }
    assert_eq!(scene.endpoint.asked(), 1);
    for _ in 0..50 {
        let missing = scene.renewed(&login, 1).await.expect_err("refused");
        assert!(
            matches!(&missing, Missing::Login(why) if why.contains("just got")),
            "{missing:?}"
        );
    }
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_an_answer_is_left_alone_for_a_while() {
    let scene = Scene::new().await;
    // Thirty seconds are left of it.
    scene.log_in(0, json!(1_700_000_030));
    scene.endpoint.will(500, json!({}));
    scene
        .endpoint
        .will(200, json!({ "access_token": "has blanks" }));
    let login = scene.login();
    for _ in 0..10 {
        assert_eq!(
            scene.token(&login, noon).await.as_deref(),
            Ok("access-CANARY-0"),
            "it is not at its end"
        );
    }
    let missing = scene.token(&login, hours_later).await.expect_err("its end");
    assert!(matches!(missing, Missing::Later { .. }), "{missing:?}");
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_life_and_a_clock_that_differs_make_no_storm() {
    let scene = Scene::new().await;
    // The clock of whoever wrote the file was years ahead, and so is its end: the provider says.
    scene.log_in(0, json!(1_900_000_000_000_i64));
    scene.endpoint.lives.store(30, Ordering::SeqCst);
    let login = scene.login();
    assert_eq!(
        scene.token(&login, noon).await.as_deref(),
        Ok("access-CANARY-0")
    );
    scene
        .renewed(&login, 0)
        .await
        .expect("refused, and replaced");
    for _ in 0..10 {
        assert_eq!(
            scene.token(&login, noon).await.as_deref(),
            Ok("access-CANARY-1"),
            "a life of half a minute is no reason to refresh at each call"
        );
    }
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runners_share_one_file() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    scene.endpoint.slow.store(100, Ordering::SeqCst);
    let (one, other) = (scene.login(), scene.login());
    let both = tokio::join!(scene.token(&one, noon), scene.token(&other, noon));
    assert_eq!(both.0.as_deref(), Ok("access-CANARY-1"));
    assert_eq!(both.1.as_deref(), Ok("access-CANARY-1"));
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_of_now_or_before_is_in_a_text() {
    let scene = Scene::new().await;
    scene.log_in(0, json!(1_700_000_000));
    let login = scene.login();
    scene.token(&login, noon).await.expect("a token");
    let text = "access-CANARY-0 refresh-CANARY-0 access-CANARY-1 refresh-CANARY-1 client-CANARY";
    assert_eq!(login.clean(text.to_owned()), "*** *** *** *** ***");
}

#[tokio::test]
async fn a_file_that_is_no_login_is_named_with_what_to_do() {
    let scene = Scene::new().await;
    let wrong = |text: &str| {
        std::fs::write(scene.path(), text).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(scene.path(), mode).expect("its mode");
        Login::open(&scene.path(), "authorization", "Bearer ")
            .err()
            .expect("it is none")
    };
    let with = |name: &str, value: Value| {
        scene.log_in(0, Value::Null);
        let mut document = scene.kept();
        document[name] = value;
        document.to_string()
    };
    for (text, says) in [
        ("access-CANARY-0".to_owned(), "no JSON object"),
        (
            with("refresh_token", Value::Null),
            "`refresh_token` is missing",
        ),
        (with("client_id", json!(7)), "`client_id` must be a text"),
        (
            with("token_url", json!("http://auth.example.com/t")),
            "must be https",
        ),
        (
            with("token_url", json!("ftp://x")),
            "no http or https address",
        ),
        (with("expires_at", json!("soon")), "`expires_at` is no time"),
        (with("request", json!("xml")), "`form` or `json`"),
        (with("access_token", json!("a\nb")), "no valid header value"),
    ] {
        let why = wrong(&text);
        assert!(why.contains(says), "{says}: {why}");
        assert!(!why.contains("CANARY"), "{why}");
    }
    scene.log_in(0, Value::Null);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(scene.path(), open).expect("its mode");
    let why = Login::open(&scene.path(), "authorization", "Bearer ").err();
    assert!(why.is_some_and(|why| why.contains("chmod 600")));
}
