//! One question over HTTP, and its answer as it streams.
//!
//! The way leads to the broker on the loopback, so it is plain HTTP without proxies or redirects.
//! Invariant: an answer counts only when it came to its end; what may work soon is tried again a few
//! times. Deliberately absent: waiting for a provider's reset, which the broker does.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::http::{Request, Response, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sse_stream::SseStream;
use tokio::time::{sleep, timeout};

use super::Options;
use super::report::Report;
use super::wire::{Answer, Missing, Question, Speaks};

/// How long a model may be silent. One on a small machine reads a long conversation for minutes.
const IDLE: Duration = Duration::from_secs(900);
/// The largest answer.
const MOST: usize = 16 << 20;
/// From one try to the next at first, and at most.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(8)];

/// The way to a model.
pub(super) struct Model {
    client: Client<HttpConnector, Full<Bytes>>,
    speaks: Speaks,
    url: String,
    key: String,
    retries: u32,
}

impl Model {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            speaks: options.speaks,
            url: format!("{}{}", options.url, options.speaks.path()),
            key: options.key.clone(),
            retries: options.retries,
        }
    }

    /// Asks until there is an answer, or no sense in asking on.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        report: &mut Report,
    ) -> Result<Answer, Missing> {
        let [mut pause, longest] = PAUSE;
        let mut left = self.retries;
        loop {
            match self.once(question).await {
                Err(Missing::Unavailable(why)) if left > 0 => {
                    left -= 1;
                    report.note(&format!(
                        "the model call failed, it is tried again in {} s: {why}",
                        pause.as_secs()
                    ));
                    sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
                other => return other,
            }
        }
    }

    async fn once(&self, question: &Question<'_>) -> Result<Answer, Missing> {
        let body = self.speaks.body(question).to_string();
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream, application/json");
        for (name, value) in self.speaks.headers(&self.key) {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Missing::Wrong(format!("no request can be made: {error}")))?;
        let response = in_time(self.client.request(request)).await?;
        let response = response.map_err(|error| Missing::Unavailable(explain(&error)))?;
        let status = response.status();
        let text = |name: header::HeaderName| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("")
        };
        let wait_s = text(header::RETRY_AFTER).trim().parse().ok();
        let streams = text(header::CONTENT_TYPE).starts_with("text/event-stream");
        if !status.is_success() {
            let body = whole(response).await.unwrap_or_default();
            let body = String::from_utf8_lossy(&body);
            return Err(Missing::of_status(status.as_u16(), wait_s, &body));
        }
        if streams {
            return self.stream(response).await;
        }
        let body = whole(response).await?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| Missing::Wrong("the answer is no JSON".to_owned()))?;
        let mut reader = self.speaks.reader();
        reader.whole(&answer)?;
        reader.finish()
    }

    async fn stream(&self, response: Response<Incoming>) -> Result<Answer, Missing> {
        let body = Limited::new(response.into_body(), MOST).map_err(std::io::Error::other);
        let mut events = pin!(SseStream::new(body));
        let mut reader = self.speaks.reader();
        while let Some(event) = in_time(events.next()).await? {
            let event = event.map_err(|error| Missing::Unavailable(explain(&error)))?;
            let data = event.data.unwrap_or_default();
            if data.trim() == "[DONE]" {
                reader.done();
                break;
            }
            // What is no JSON is no part of an answer.
            if let Ok(event) = serde_json::from_str(&data) {
                reader.event(&event)?;
            }
        }
        reader.finish()
    }
}

async fn in_time<T>(act: impl Future<Output = T>) -> Result<T, Missing> {
    let silent = |_| {
        let minutes = IDLE.as_secs() / 60;
        Missing::Unavailable(format!("the model said nothing for {minutes} minutes"))
    };
    timeout(IDLE, act).await.map_err(silent)
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Missing> {
    let body = Limited::new(response.into_body(), MOST);
    let body = in_time(body.collect()).await?;
    let body = body.map_err(|error| Missing::Unavailable(format!("the answer broke off: {error}")));
    Ok(body?.to_bytes())
}

/// What went wrong, with all causes.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
