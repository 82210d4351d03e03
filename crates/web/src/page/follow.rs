//! A run's log as it grows: rendered records, and the facts whenever they change.
//!
//! An event's id is the offset behind what it shows, so that a reader that was cut off goes on where
//! it was. Who signs out, or may no longer see the run, gets nothing more. Deliberately absent: the
//! records themselves, which are an operation of the API.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use nightshift_app::use_case::transcript::{LogPage, Look};
use nightshift_app::{Caller, Error};
use nightshift_domain::id::RunId;
use serde::Deserialize;

use super::visit::{COOKIE, Visit, cookie};
use super::{record, run};

/// How often a stream looks without being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
pub(crate) struct FollowQuery {
    offset: Option<String>,
}

/// Streams a run.
pub(crate) async fn run(
    visit: Visit,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<FollowQuery>,
) -> Response {
    let id = match run::id(&id) {
        Ok(id) => id,
        Err(error) => return visit.failed(error),
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let asked = last.or(query.offset.as_deref());
    let mut offset: u64 = asked.and_then(|text| text.parse().ok()).unwrap_or_default();
    // The first look answers with a status where the visitor may not see the run.
    if let Err(error) = visit.app.run_get(&visit.caller, id).await {
        return visit.failed(error);
    }
    let session = cookie(&headers, COOKIE).unwrap_or_default();
    let stream = async_stream::stream! {
        let mut bell = visit.app.signals().logs();
        let (mut step, mut facts) = (None, String::new());
        loop {
            let Ok((caller, log)) = look(&visit, &session, id, offset).await else {
                yield Ok::<_, Infallible>(Event::default().event("end").data(""));
                break;
            };
            if !log.lines.is_empty() {
                let html = record::items(visit.words, &log.lines, &mut step).into_string();
                yield Ok(Event::default().event("append").id(log.to.to_string()).data(html));
            }
            let moved = log.to > offset;
            offset = offset.max(log.to);
            if let Ok(choices) = visit.app.run_choices(&caller, &log.view.run).await {
                let html = run::facts(&visit, &log.view, &choices).into_string();
                if html != facts {
                    yield Ok(Event::default().event("facts").data(&html));
                    facts = html;
                }
            }
            if moved {
                continue;
            }
            if log.ended {
                yield Ok(Event::default().event("end").data("ended"));
                break;
            }
            let woken = async {
                while let Ok(grown) = bell.recv().await {
                    if grown == id {
                        break;
                    }
                }
            };
            drop(tokio::time::timeout(LOOK_AGAIN, woken).await);
        }
    };
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

async fn look(
    visit: &Visit,
    session: &str,
    id: RunId,
    offset: u64,
) -> Result<(Caller, LogPage), Error> {
    let caller = visit.app.authenticate(session).await?;
    let log = visit
        .app
        .run_log_page(&caller, id, Look::From(offset))
        .await?;
    Ok((caller, log))
}
