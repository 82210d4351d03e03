//! Cutting a future off at a point of its life: what a crash does to a request.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use http_body_util::BodyExt as _;
use nightshift_app::App;
use serde_json::Value;
use tower::ServiceExt as _;

/// Runs a future to its end and counts how often it was looked at.
pub(crate) async fn count<F: Future>(future: F) -> (usize, F::Output) {
    let mut future = pin!(future);
    let mut polls = 0;
    let output = poll_fn(|context| {
        polls += 1;
        future.as_mut().poll(context)
    })
    .await;
    (polls, output)
}

/// Runs a future and drops it when it is to be looked at for the time after `polls`.
pub(crate) async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Sends a request straight to the doors of an application; the answer's status and body.
pub(crate) async fn ask(
    app: &App,
    method: &str,
    path: &str,
    token: &str,
    key: Option<&str>,
    body: Vec<u8>,
) -> (u16, Vec<u8>) {
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let answer = nightshift_web::router(app.clone())
        .oneshot(request)
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    // A stream that breaks off is what a crash looks like; its bytes do not matter here.
    let body = match answer.into_body().collect().await {
        Ok(whole) => whole.to_bytes().to_vec(),
        Err(_) => Vec::new(),
    };
    assert!(
        status < 500,
        "{method} {path}: {status} {}",
        String::from_utf8_lossy(&body)
    );
    (status, body)
}

/// The same with JSON.
pub(crate) async fn post(
    app: &App,
    path: &str,
    token: &str,
    key: Option<&str>,
    body: &Value,
) -> (u16, Vec<u8>) {
    ask(app, "POST", path, token, key, body.to_string().into_bytes()).await
}
