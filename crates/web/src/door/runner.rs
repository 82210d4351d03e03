//! The runner protocol.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use nightshift_api::operations as op;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{ClaimAnswer, Completed, HeartbeatAnswer, LogAppended};
use nightshift_app::App;
use nightshift_app::use_case::lease::Claim;
use nightshift_domain::id::RunId;
use serde::Deserialize;

use crate::error::Failure;
use crate::operation::{Call, admitted, read};
use crate::view;

/// The longest a claim waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn claim(call: Call<op::RunnerClaim>) -> Result<ClaimAnswer, Failure> {
    let claim = Claim {
        kinds: call.input.kinds,
        slots: call.input.slots,
        version: call.input.version,
        harnesses: call.input.harnesses,
        images: call.input.images,
    };
    let wait = Duration::from_secs(call.input.wait_s).min(LONGEST_WAIT);
    let prepared = call.app.claim_wait(&call.caller, &claim, wait).await?;
    Ok(ClaimAnswer {
        order: prepared.map(|prepared| Box::new(view::runner::order(prepared))),
    })
}

pub(crate) async fn heartbeat(call: Call<op::RunnerHeartbeat>) -> Result<HeartbeatAnswer, Failure> {
    let id = RunId(call.path.run);
    let said = &call.input;
    let beat = call
        .app
        .heartbeat(&call.caller, id, said.epoch, &said.handed, said.usage)
        .await?;
    Ok(HeartbeatAnswer {
        steers: beat.steers.into_iter().map(view::runner::steer).collect(),
        stop: beat.stop,
        lease_until: beat.until,
    })
}

pub(crate) async fn complete(call: Call<op::RunnerComplete>) -> Result<Completed, Failure> {
    let id = RunId(call.path.run);
    let epoch = call.input.epoch;
    let ending = view::runner::ending(call.input);
    let state = call.app.complete(&call.caller, id, epoch, ending).await?;
    Ok(Completed {
        state: state.to_owned(),
    })
}

#[derive(Deserialize)]
struct AppendQuery {
    epoch: i64,
    offset: u64,
}

pub(crate) async fn append(
    State(app): State<App>,
    request: Request,
) -> Result<Json<LogAppended>, Failure> {
    let (mut parts, body) = request.into_parts();
    let caller = admitted(&app, &parts, op::LOG_APPEND.needs).await?;
    let Path(path) = Path::<RunPath>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::not_found(rejection.body_text()))?;
    let Query(query) = Query::<AppendQuery>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let bytes = read(body).await?;
    let size = app
        .log_append(
            &caller,
            RunId(path.run),
            query.epoch,
            query.offset,
            bytes.to_vec(),
        )
        .await?;
    Ok(Json(LogAppended {
        size: i64::try_from(size).unwrap_or(i64::MAX),
    }))
}
