//! Server-sent events: a run's log, and what happens. Resumable by `Last-Event-ID`.
//!
//! A stream looks at the stored state and is only woken by signals, so that a missed signal costs
//! seconds, never a line. The token is checked again at every look.

use std::time::Duration;

use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use nightshift_api::operations as op;
use nightshift_api::run::RunPath;
use nightshift_app::{App, Error};
use nightshift_domain::id::RunId;
use serde::Deserialize;

use crate::error::Failure;
use crate::operation::admitted;
use crate::{token, view};

/// How often a stream looks without being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The most of a log that is read at once, in bytes.
const WINDOW: u64 = 256 << 10;

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    offset: u64,
}

pub(crate) async fn log(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    admitted(&app, &parts, op::LOG_STREAM.needs).await?;
    let Path(path) = Path::<RunPath>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::not_found(rejection.body_text()))?;
    let query: LogQuery = query(&mut parts).await?;
    let run = RunId(path.run);
    let headers = parts.headers.clone();
    let mut offset = last_id(&headers).unwrap_or(query.offset);
    // The first look answers with a status code where the caller may not see the run.
    let caller = token::caller(&app, &headers).await?;
    app.run_log(&caller, run, offset, 0).await?;
    let stream = async_stream::try_stream! {
        let mut bell = app.signals().logs();
        loop {
            let caller = token::caller(&app, &headers).await?;
            let window = app.run_log(&caller, run, offset, WINDOW).await?;
            for line in window.bytes.split_inclusive(|b| *b == b'\n') {
                if line.last() != Some(&b'\n') {
                    break;
                }
                offset += u64::try_from(line.len()).unwrap_or_default();
                let text = String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
                yield Event::default().id(offset.to_string()).data(text.replace(['\r', '\n'], " "));
            }
            if !window.bytes.is_empty() {
                continue;
            }
            if window.ended {
                yield Event::default().event("end").data("");
                break;
            }
            let woken = async {
                while let Ok(grown) = bell.recv().await {
                    if grown == run {
                        break;
                    }
                }
            };
            drop(tokio::time::timeout(LOOK_AGAIN, woken).await);
        }
    };
    Ok(sse(stream))
}

#[derive(Deserialize)]
struct EventsQuery {
    project: Option<String>,
    after: Option<i64>,
}

pub(crate) async fn events(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let caller = admitted(&app, &parts, op::EVENT_STREAM.needs).await?;
    let query: EventsQuery = query(&mut parts).await?;
    let headers = parts.headers.clone();
    let project = query.project;
    app.event_list(&caller, project.as_deref(), i64::MAX, 1)
        .await?;
    let mut after = match last_id(&headers).map(i64::try_from) {
        Some(Ok(seq)) => seq,
        _ => match query.after {
            Some(seq) => seq,
            None => app.last_event().await?,
        },
    };
    let stream = async_stream::try_stream! {
        let mut bell = app.signals().events();
        loop {
            let caller = token::caller(&app, &headers).await?;
            let found = app.event_list(&caller, project.as_deref(), after, 200).await?;
            let idle = found.is_empty();
            for one in found {
                after = one.event.seq;
                let kind = one.event.kind.clone();
                let event = view::account::event(one);
                let text = serde_json::to_string(&event).unwrap_or_default();
                yield Event::default().id(after.to_string()).event(kind).data(text);
            }
            if idle {
                drop(tokio::time::timeout(LOOK_AGAIN, bell.recv()).await);
            }
        }
    };
    Ok(sse(stream))
}

fn sse<S>(stream: S) -> Response
where
    S: futures_util::Stream<Item = Result<Event, Error>> + Send + 'static,
{
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

fn last_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

async fn query<T: serde::de::DeserializeOwned + Send>(parts: &mut Parts) -> Result<T, Failure> {
    Query::<T>::from_request_parts(parts, &())
        .await
        .map(|Query(query)| query)
        .map_err(|rejection| Failure::invalid(rejection.body_text()))
}
