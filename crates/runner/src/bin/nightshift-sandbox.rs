//! The hidden commands of sandboxes and the broker alone: what the tests run, and all that needs to be
//! visible inside a sandbox.
//!
//! Invariant: one thread until `sandbox-enter` has become bubblewrap. Deliberately absent: every
//! other command.

use std::process::ExitCode;

use nightshift_runner::broker;
use nightshift_runner::inside;
use nightshift_runner::sandbox::{enter, init};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("sandbox-enter") => enter::main(args),
        Some("sandbox-init") => init::main(args),
        Some("inside") => inside::main(args),
        Some("broker") => match broker::serve(variable, now) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => ExitCode::from(64),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program reads its own environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "this program has no other clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
