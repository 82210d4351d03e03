//! The git crate against the real git program: one binary, one module per subject.
//!
//! Everything lives in temporary directories; nothing leaves the machine. Deliberately absent:
//! fakes of git.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests find git by PATH and run a client beside the crate"
)]

mod crash;
mod diff;
mod history;
mod hostile;
mod http;
mod import;
mod push;
mod race;
mod refs;
mod repository;
mod world;
