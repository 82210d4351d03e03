//! The error body: RFC 9457 problem details.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// A stable word for the kind of problem, as a relative URI: `/problems/<kind>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// This very problem: the thing, the cause, the next step.
    pub detail: String,
    /// Where a file or form that was sent is wrong, mistake by mistake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The id of the request, to find it in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One mistake in what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// The key, such as `check[1].timeout` (rows counted from 0); absent where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The line, counted from 1; absent where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong, and what is expected.
    pub message: String,
}
