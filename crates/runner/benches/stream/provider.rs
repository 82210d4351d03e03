//! The provider of the benchmark: streams of events at the speed of a model, or as fast as they go.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;

/// Events of a paced stream: three seconds of a fast model.
const EVENTS: usize = 150;
const EVERY: Duration = Duration::from_millis(20);
/// Parts of a flood, and events in each: 64 MB.
const PARTS: usize = 4_096;

/// Starts it; its address.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(answer);
    tokio::spawn(async move {
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            stream.set_nodelay(true).expect("set");
        });
        axum::serve(listener, router).await.ok();
    });
    format!("http://{address}")
}

async fn answer(request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), 1 << 20);
    let body = body.await.expect("a request");
    let asked = |model: &str| {
        body.windows(model.len())
            .any(|part| part == model.as_bytes())
    };
    let parts = if asked("paced") {
        let first = stream::iter([begin()]);
        let rest = stream::unfold(tokio::time::interval(EVERY), |mut tick| async move {
            tick.tick().await;
            Some((delta(), tick))
        });
        // The first tick is at once.
        first.chain(rest.skip(1).take(EVENTS)).boxed()
    } else if asked("flood") {
        let events: Vec<u8> = (0..128).flat_map(|_| delta().to_vec()).collect();
        let part = Bytes::from(events);
        let parts = stream::repeat(part).take(PARTS);
        stream::iter([begin()]).chain(parts).boxed()
    } else {
        stream::iter([begin()]).boxed()
    };
    let parts = parts.chain(stream::iter([end()]));
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(parts.map(Ok::<_, std::io::Error>)))
        .expect("an answer")
}

/// Bytes of events of a paced stream.
pub(crate) fn paced() -> usize {
    begin().len() + EVENTS * delta().len() + end().len()
}

/// Bytes of events of a flood.
pub(crate) fn flood() -> usize {
    begin().len() + PARTS * 128 * delta().len() + end().len()
}

fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn begin() -> Bytes {
    event(
        "message_start",
        r#"{"type":"message_start","message":{"model":"bench","usage":{"input_tokens":9,"output_tokens":1}}}"#,
    )
}

fn delta() -> Bytes {
    event(
        "content_block_delta",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}"#,
    )
}

fn end() -> Bytes {
    event(
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":150}}"#,
    )
}
