//! Runs and their logs.

use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use nightshift_api::operations as op;
use nightshift_api::run::{Proposal, Run, RunPath, SplitOff, Steer};
use nightshift_api::{Nothing, Page};
use nightshift_app::App;
use nightshift_domain::id::RunId;
use serde::Deserialize;

use crate::cursor;
use crate::error::Failure;
use crate::operation::{Call, admitted};
use crate::view;

pub(crate) async fn list(call: Call<op::RunList>) -> Result<Page<Run>, Failure> {
    let query = call.query;
    let limit = cursor::limit(query.limit)?;
    let after = match query.cursor.as_deref().map(str::parse::<RunId>) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => {
            return Err(Failure::invalid(
                "`cursor` is none of ours: leave it out for the first page, then pass `next`",
            ));
        }
    };
    let found = call
        .app
        .run_list(
            &call.caller,
            query.project.as_deref(),
            query.number,
            after,
            limit,
        )
        .await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| last.run.id.to_string());
    Ok(Page {
        items: found.into_iter().map(view::run::run).collect(),
        next,
    })
}

pub(crate) async fn get(call: Call<op::RunGet>) -> Result<Run, Failure> {
    let id = RunId(call.path.run);
    let found = call.app.run_get(&call.caller, id).await?;
    let steers = call.app.run_steers(&call.caller, id).await?;
    let proposals = call.app.run_proposals(&call.caller, id).await?;
    Ok(Run {
        steers: steers.into_iter().map(view::run::steer).collect(),
        proposals: proposals.into_iter().map(view::run::proposal).collect(),
        ..view::run::run(found)
    })
}

pub(crate) async fn steer(call: Call<op::RunSteer>) -> Result<Steer, Failure> {
    let said = call
        .app
        .run_steer(
            &call.caller,
            RunId(call.path.run),
            &call.input.text,
            call.input.now,
        )
        .await?;
    Ok(view::run::steer(said))
}

pub(crate) async fn cancel(call: Call<op::RunCancel>) -> Result<Run, Failure> {
    let id = RunId(call.path.run);
    Ok(view::run::run(call.app.run_cancel(&call.caller, id).await?))
}

pub(crate) async fn ask(call: Call<op::RunAsk>) -> Result<Nothing, Failure> {
    let id = RunId(call.path.run);
    call.app.run_ask(&call.caller, id, &call.input.text).await?;
    Ok(Nothing {})
}

pub(crate) async fn progress(call: Call<op::RunProgress>) -> Result<Nothing, Failure> {
    let id = RunId(call.path.run);
    call.app
        .run_progress(&call.caller, id, &call.input.text)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn hosts(call: Call<op::RunHosts>) -> Result<Nothing, Failure> {
    let (id, input) = (RunId(call.path.run), &call.input);
    call.app
        .run_request_hosts(&call.caller, id, &input.hosts, &input.why)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn propose(call: Call<op::RunPropose>) -> Result<Proposal, Failure> {
    let (id, input) = (RunId(call.path.run), &call.input);
    let made = call
        .app
        .run_propose(&call.caller, id, &input.text, input.source.as_deref())
        .await?;
    Ok(view::run::proposal(made))
}

pub(crate) async fn split(call: Call<op::RunSplit>) -> Result<SplitOff, Failure> {
    let (id, input) = (RunId(call.path.run), &call.input);
    let made = call
        .app
        .run_split(&call.caller, id, &input.title, &input.body)
        .await?;
    Ok(SplitOff {
        number: made.number,
        title: made.title,
    })
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    offset: u64,
    limit: Option<u64>,
}

pub(crate) async fn log(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let caller = admitted(&app, &parts, op::LOG_READ.needs).await?;
    let Path(path) = Path::<RunPath>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::not_found(rejection.body_text()))?;
    let Query(query) = Query::<LogQuery>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let limit = query.limit.unwrap_or(1 << 20);
    let window = app
        .run_log(&caller, RunId(path.run), query.offset, limit)
        .await?;
    let mut answer = window.bytes.into_response();
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    let ended = if window.ended { "true" } else { "false" };
    headers.insert("nightshift-run-ended", HeaderValue::from_static(ended));
    Ok(answer)
}
