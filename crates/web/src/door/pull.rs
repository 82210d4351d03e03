//! Pull requests, decisions, the merge queue.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use nightshift_api::Page;
use nightshift_api::issue::IssuePath;
use nightshift_api::operations as op;
use nightshift_api::pull::{Decision as ApiDecision, Pull, PullLine, QueueLine};
use nightshift_api::run::Proposal;
use nightshift_app::App;
use nightshift_app::record::{Decision, LineComment, Taken};
use nightshift_app::use_case::pull::NewReview;
use nightshift_app::use_case::suggest::{Apply, Which};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::ReviewId;
use serde::Deserialize;

use super::whole;
use crate::cursor;
use crate::error::Failure;
use crate::operation::{Call, admitted};
use crate::view;

pub(crate) async fn list(call: Call<op::PullList>) -> Result<Page<PullLine>, Failure> {
    let limit = cursor::limit(call.query.limit)?;
    let after = cursor::decode(call.query.cursor.as_deref())?;
    let found = call
        .app
        .pull_list(&call.caller, &call.path.project, after, limit)
        .await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| cursor::encode(last.pull.created_at, last.pull.issue));
    Ok(Page {
        items: found.into_iter().map(view::pull::line).collect(),
        next,
    })
}

pub(crate) async fn get(call: Call<op::PullGet>) -> Result<Pull, Failure> {
    let path = &call.path;
    let found = call
        .app
        .pull_get(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::pull::pull(found))
}

pub(crate) async fn review(call: Call<op::PullReview>) -> Result<Pull, Failure> {
    let input = call.input;
    let new = NewReview {
        head: commit(&input.head, "head")?,
        decision: match input.decision {
            ApiDecision::Approve => Decision::Approve,
            ApiDecision::SendBack => Decision::SendBack,
        },
        body: input.body,
        comments: input
            .comments
            .into_iter()
            .map(|comment| LineComment {
                path: comment.path,
                line: comment.line,
                first: comment.first,
                head: None,
                body: comment.body,
            })
            .collect(),
        accept_unproven: input.accept_unproven,
        hold: Duration::from_secs(u64::from(input.hold_s)),
    };
    let path = &call.path;
    let changed = call
        .app
        .pull_review(&call.caller, &path.project, path.number, new)
        .await?;
    Ok(view::pull::pull(changed))
}

pub(crate) async fn withdraw(call: Call<op::PullWithdraw>) -> Result<Pull, Failure> {
    let path = &call.path;
    let changed = call
        .app
        .pull_withdraw(&call.caller, &path.project, path.number)
        .await?;
    Ok(view::pull::pull(changed))
}

pub(crate) async fn apply(call: Call<op::PullApply>) -> Result<Pull, Failure> {
    let input = call.input;
    let apply = Apply {
        head: commit(&input.head, "head")?,
        which: match input.drafts {
            Some(ids) => Which::Drafts(ids),
            None => Which::Review {
                review: input.review.map(ReviewId),
                only: input.only,
            },
        },
    };
    let path = &call.path;
    let changed = call
        .app
        .suggestions_apply(&call.caller, &path.project, path.number, &apply)
        .await?;
    Ok(view::pull::pull(changed))
}

pub(crate) async fn guideline(call: Call<op::PullGuideline>) -> Result<Proposal, Failure> {
    let (path, input) = (&call.path, &call.input);
    let taken = match input.accept {
        true => Taken::Accepted,
        false => Taken::Dismissed,
    };
    let decided = call
        .app
        .guideline_decide(
            &call.caller,
            &path.project,
            path.number,
            input.proposal,
            taken,
        )
        .await?;
    Ok(view::run::proposal(decided))
}

pub(crate) async fn queue(call: Call<op::QueueGet>) -> Result<Page<QueueLine>, Failure> {
    let found = call.app.queue_get(&call.caller, &call.path.project).await?;
    Ok(whole(found.into_iter().map(view::pull::queue).collect()))
}

#[derive(Deserialize)]
struct DiffQuery {
    from: Option<String>,
    to: Option<String>,
}

pub(crate) async fn diff(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let caller = admitted(&app, &parts, op::PULL_DIFF.needs).await?;
    let Path(path) = Path::<IssuePath>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::not_found(rejection.body_text()))?;
    let Query(query) = Query::<DiffQuery>::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let from = query.from.map(|text| commit(&text, "from")).transpose()?;
    let to = query.to.map(|text| commit(&text, "to")).transpose()?;
    let text = app
        .pull_diff(
            &caller,
            &path.project,
            path.number,
            from.as_ref(),
            to.as_ref(),
        )
        .await?;
    let mut answer = Body::from_stream(text).into_response();
    let media = HeaderValue::from_static("text/x-diff; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(answer)
}

fn commit(text: &str, field: &str) -> Result<ObjectId, Failure> {
    text.parse()
        .map_err(|error| Failure::invalid(format!("`{field}`: {error}")))
}
