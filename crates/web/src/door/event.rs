//! Events: what happened in a project, since a cursor; and the whole log, to be kept elsewhere.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use nightshift_api::Page;
use nightshift_api::operations as op;
use nightshift_api::project::Event;
use nightshift_app::use_case::audit::AuditFilter;
use nightshift_app::{App, Error};
use serde::Deserialize;

use crate::error::Failure;
use crate::operation::{Call, admitted};
use crate::{token, view};

pub(crate) async fn list(call: Call<op::EventList>) -> Result<Page<Event>, Failure> {
    let limit = call.query.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Failure::invalid(format!(
            "`limit` is {limit}: give 1 to 500"
        )));
    }
    let project = call.query.project.as_deref();
    let found = call
        .app
        .event_list(&call.caller, project, call.query.after, limit)
        .await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| last.event.seq.to_string());
    Ok(Page {
        items: found.into_iter().map(view::account::event).collect(),
        next,
    })
}

/// Which events are exported.
#[derive(Deserialize)]
struct ExportQuery {
    project: Option<String>,
    person: Option<String>,
    kind: Option<String>,
    from: Option<String>,
    until: Option<String>,
    #[serde(default)]
    after: i64,
}

/// The audit log as lines, part by part, so that its size costs no memory. The token is looked at
/// again for each part.
pub(crate) async fn export(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let caller = admitted(&app, &parts, op::EVENT_EXPORT.needs).await?;
    let Query(query) = Query::<ExportQuery>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let filter = AuditFilter {
        from: time("from", query.from.as_deref())?,
        until: time("until", query.until.as_deref())?,
        project: query.project,
        person: query.person,
        kind: query.kind,
    };
    // The first part answers with a status code where the caller may not see the log.
    let mut part = app.audit_part(&caller, &filter, query.after).await?;
    let headers = parts.headers;
    let lines = async_stream::try_stream! {
        loop {
            let mut text = Vec::new();
            for event in part.events {
                if serde_json::to_writer(&mut text, &view::account::event(event)).is_ok() {
                    text.push(b'\n');
                }
            }
            yield Bytes::from(text);
            let Some(after) = part.next else { break };
            let caller = token::caller(&app, &headers).await?;
            part = app.audit_part(&caller, &filter, after).await?;
        }
    };
    let body = Body::from_stream(failing(lines));
    let media = HeaderValue::from_static(op::EVENT_EXPORT.answers);
    Ok(([(header::CONTENT_TYPE, media)], body).into_response())
}

/// A stream that breaks off where it fails, with a line in the log: its status is told already.
fn failing(
    lines: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    lines.map(|part| {
        part.map_err(|error| {
            tracing::warn!(%error, "an export of the audit log broke off");
            std::io::Error::other("the export broke off")
        })
    })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = text.parse().map_err(|_| {
        Failure::invalid(format!(
            "`{name}`: {text:?} is no time: write it as 2026-01-31T08:00:00Z"
        ))
    })?;
    Ok(Some(time))
}
