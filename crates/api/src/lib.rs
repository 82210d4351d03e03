//! What is said: every operation of the server, declared once, with its wire types.
//!
//! The router, the typed client, the command line and the OpenAPI document read the same
//! declarations, so they cannot disagree. Deliberately absent: rules, storage, rendering.
#![warn(missing_docs)]

pub mod client;
pub mod desk;
pub mod issue;
pub mod openapi;
pub mod operation;
pub mod operations;
pub mod problem;
pub mod project;
pub mod pull;
pub mod run;
pub mod runner;
pub mod secret;
pub mod server;
pub mod settings;
pub mod view;

pub use operation::{Method, Needs, Operation};
pub use problem::{FieldProblem, Problem};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing: an operation without path, query, input or output of that kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items, in the order the operation documents.
    pub items: Vec<T>,
    /// Pass it as `cursor` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// Where the last page ended; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}
