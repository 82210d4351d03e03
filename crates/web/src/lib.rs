//! How it is reached: axum doors for the API, git and runners.
//!
//! A door extracts, calls one use case, renders. Deliberately absent: rules, SQL, and any decision
//! about who may do what.

mod cursor;
mod diff;
mod door;
mod error;
mod git;
mod limit;
mod live;
mod operation;
mod page;
mod routes;
mod stream;
mod token;
mod view;

pub use diff::{colour_later, warm_colours};
pub use live::{Figures, Live};
pub use routes::{router, router_with};
