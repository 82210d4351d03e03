//! What the change page posts: viewed marks, comments kept for the review, suggestions to apply, the
//! review itself; and a file for download.

use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use nightshift_app::Error;
use nightshift_app::record::{Decision, LineComment};
use nightshift_app::use_case::pull::NewReview;
use nightshift_app::use_case::suggest::{Apply, Which};
use nightshift_domain::id::ReviewId;
use serde::Deserialize;

use super::change::{self, Look, Open, commit};
use super::desk::UNDO;
use super::{Posted, Visit};

/// A file as it was or is, for download: never shown as part of our site.
#[derive(Deserialize)]
pub(crate) struct FileQuery {
    pub(super) commit: String,
    pub(super) path: String,
}

pub(crate) async fn file(
    visit: Visit,
    Path((project, number)): Path<(String, i64)>,
    Query(query): Query<FileQuery>,
) -> Response {
    let id = match commit(&query.commit) {
        Ok(id) => id,
        Err(error) => return visit.failed(error),
    };
    let found = visit
        .app
        .change_file(&visit.caller, &project, number, &id, &query.path)
        .await;
    match found {
        Ok(bytes) => {
            let mut answer = bytes.into_response();
            let headers = answer.headers_mut();
            for (name, value) in [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CONTENT_DISPOSITION, "attachment"),
                (
                    header::CONTENT_SECURITY_POLICY,
                    "default-src 'none'; sandbox",
                ),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            answer
        }
        Err(error) => visit.failed(error),
    }
}

#[derive(Deserialize)]
pub(crate) struct ViewedForm {
    path: String,
    blob: Option<String>,
}

/// Marks a file as viewed, or takes the mark away.
pub(crate) async fn mark(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<ViewedForm>,
) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let blob = match form.blob.as_deref().map(commit).transpose() {
        Ok(blob) => blob,
        Err(error) => return visit.failed(error),
    };
    let marked = visit
        .app
        .viewed_mark(&visit.caller, &project, number, &form.path, blob.as_ref())
        .await;
    back(visit, &project, number, marked)
}

#[derive(Deserialize)]
pub(crate) struct CommentForm {
    path: String,
    file: usize,
    first: Option<i64>,
    line: Option<i64>,
    head: Option<String>,
    #[serde(default)]
    body: String,
    #[serde(default, rename = "do")]
    what: String,
    #[serde(flatten)]
    look: Look,
}

/// Keeps a comment until the review is sent.
pub(crate) async fn comment(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<CommentForm>,
) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let head = match form.head.as_deref().map(commit).transpose() {
        Ok(head) => head,
        Err(error) => return visit.failed(error),
    };
    // A browser sends line ends as carriage return and line feed.
    let body = form.body.replace("\r\n", "\n");
    let line = form.line.filter(|line| *line > 0);
    let first = form.first.filter(|first| Some(*first) != line);
    let open = Open {
        file: form.file,
        first: form.first.unwrap_or(1),
        last: line.unwrap_or(1),
        body: body.clone(),
    };
    if form.what == "suggest" {
        return change::show_open(visit, &project, number, &form.look, open, head.as_ref()).await;
    }
    let said = LineComment {
        path: form.path.clone(),
        line,
        first,
        head,
        body,
    };
    let kept = visit
        .app
        .draft_add(&visit.caller, &project, number, said)
        .await;
    match kept {
        Err(error @ Error::Invalid { .. }) => {
            change::show_refused(visit, &project, number, &form.look, Some(open), &error).await
        }
        done => back(visit, &project, number, done),
    }
}

#[derive(Deserialize)]
pub(crate) struct ApplyForm {
    head: String,
    #[serde(default)]
    draft: Vec<uuid::Uuid>,
    review: Option<uuid::Uuid>,
    #[serde(default)]
    only: Vec<usize>,
}

/// Applies suggestions as one commit, and shows the change as it is then; or why not.
pub(crate) async fn apply(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<ApplyForm>,
) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let head = match commit(&form.head) {
        Ok(head) => head,
        Err(error) => return visit.failed(error),
    };
    let which = match form.review {
        Some(review) => Which::Review {
            review: Some(ReviewId(review)),
            only: form.only.clone(),
        },
        None => Which::Drafts(form.draft.clone()),
    };
    let done = visit
        .app
        .suggestions_apply(&visit.caller, &project, number, &Apply { head, which })
        .await;
    match done {
        Err(error @ (Error::StaleHead { .. } | Error::Refused { .. } | Error::Invalid { .. })) => {
            change::show_refused(visit, &project, number, &Look::default(), None, &error).await
        }
        done => back(visit, &project, number, done.map(drop)),
    }
}

#[derive(Deserialize)]
pub(crate) struct DropForm {
    id: uuid::Uuid,
}

/// Drops a comment that was not said yet.
pub(crate) async fn drop_draft(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<DropForm>,
) -> Response {
    let visit = &posted.visit;
    let dropped = visit.app.draft_drop(&visit.caller, posted.form.id).await;
    back(visit, &project, number, dropped)
}

#[derive(Deserialize)]
pub(crate) struct ReviewForm {
    head: String,
    decision: String,
    #[serde(default)]
    body: String,
    unproven: Option<String>,
}

/// Sends the review: everything kept, and the words, as one round.
pub(crate) async fn review(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<ReviewForm>,
) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let head = match commit(&form.head) {
        Ok(head) => head,
        Err(error) => return visit.failed(error),
    };
    let new = NewReview {
        head,
        decision: if form.decision == "approve" {
            Decision::Approve
        } else {
            Decision::SendBack
        },
        body: form.body.clone(),
        comments: Vec::new(),
        accept_unproven: form.unproven.is_some(),
        hold: UNDO,
    };
    match visit
        .app
        .review_send(&visit.caller, &project, number, new)
        .await
    {
        Ok(()) => Redirect::to("/").into_response(),
        Err(error) => visit.failed(error),
    }
}

/// Takes the last decision back.
pub(crate) async fn withdraw(
    Path((project, number)): Path<(String, i64)>,
    posted: Posted<std::collections::BTreeMap<String, String>>,
) -> Response {
    let visit = &posted.visit;
    let done = visit
        .app
        .pull_withdraw(&visit.caller, &project, number)
        .await;
    back(visit, &project, number, done.map(drop))
}

fn back(visit: &Visit, project: &str, number: i64, done: Result<(), Error>) -> Response {
    match done {
        Ok(()) => Redirect::to(&format!("/p/{project}/{number}/change")).into_response(),
        Err(error) => visit.failed(error),
    }
}
