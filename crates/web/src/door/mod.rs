//! Handlers: extract, call one use case, render. One file for each noun.

pub(crate) mod account;
pub(crate) mod desk;
pub(crate) mod event;
pub(crate) mod issue;
pub(crate) mod project;
pub(crate) mod pull;
pub(crate) mod run;
pub(crate) mod runner;
pub(crate) mod secret;
pub(crate) mod view;

use nightshift_api::Page;

/// A list that is never cut.
pub(crate) fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}
