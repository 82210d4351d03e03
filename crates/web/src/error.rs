//! The one place where an error becomes an answer. A private cause is logged here, once, and
//! nowhere shown.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nightshift_api::{FieldProblem, Problem};
use nightshift_app::Error;
use nightshift_domain::sentence::Place;

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Failure {
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self(Error::Invalid {
            detail: Place::Text(detail.into()),
        })
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self(Error::NotFound {
            detail: Place::Text(detail.into()),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, kind, title) = match &self.0 {
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Error::Unauthenticated { .. } => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in")
            }
            Error::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Error::Invalid { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "Not acceptable",
            ),
            Error::Unfit { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "Not acceptable",
            ),
            Error::Refused { .. } => (StatusCode::CONFLICT, "refused", "Refused by a rule"),
            Error::Conflict { .. } => (StatusCode::CONFLICT, "conflict", "Changed meanwhile"),
            Error::StaleHead { .. } => (StatusCode::CONFLICT, "stale-head", "The head moved"),
            Error::StaleEpoch { .. } => (StatusCode::CONFLICT, "stale-epoch", "The lease is lost"),
            Error::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many tries"),
            Error::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now")
            }
            Error::Internal(cause) => {
                tracing::error!(cause = cause.for_log(), "a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Our fault")
            }
        };
        let errors = match &self.0 {
            Error::Unfit { problems } => problems
                .iter()
                .map(crate::view::settings::problem)
                .collect(),
            _ => Vec::new(),
        };
        let mut answer = problem_at(status, kind, title, self.0.to_string(), errors);
        if status == StatusCode::UNAUTHORIZED {
            let ask = HeaderValue::from_static("Basic realm=\"nightshift\", charset=\"UTF-8\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        let pause = match &self.0 {
            Error::TooMany { seconds, .. } => Some(*seconds),
            Error::Unavailable { .. } => Some(2),
            _ => None,
        };
        if let Some(pause) = pause {
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(pause));
        }
        answer
    }
}

/// The detail of a problem, kept beside the answer so that a page can show it.
#[derive(Debug, Clone)]
pub(crate) struct Detail(pub(crate) String);

tokio::task_local! {
    /// The number of the request that is being answered.
    pub(crate) static REQUEST: u64;
}

/// A problem document as an answer.
pub(crate) fn problem(status: StatusCode, kind: &str, title: &str, detail: String) -> Response {
    problem_at(status, kind, title, detail, Vec::new())
}

fn problem_at(
    status: StatusCode,
    kind: &str,
    title: &str,
    detail: String,
    errors: Vec<FieldProblem>,
) -> Response {
    let kept = Detail(detail.clone());
    let body = Problem {
        kind: format!("/problems/{kind}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail,
        errors,
        // Outside of a request there is none.
        request_id: REQUEST.try_with(u64::to_string).ok(),
    };
    let mut answer = (status, Json(body)).into_response();
    let media = HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(header::CONTENT_TYPE, media);
    answer.extensions_mut().insert(kept);
    answer
}
