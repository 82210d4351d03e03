//! The wall clock and the maker of identities: read here, passed down as values.
#![expect(
    clippy::disallowed_methods,
    reason = "the composition root owns the clock and makes identities"
)]

use jiff::Timestamp;
use uuid::Uuid;

/// Now.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A new identity, which sorts by age.
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Lets time pass.
pub(crate) async fn pause(span: std::time::Duration) {
    tokio::time::sleep(span).await;
}
