//! The two hidden sandbox commands alone: what the tests run, and all that needs to be visible
//! inside a sandbox.
//!
//! Invariant: one thread until `sandbox-enter` has become bubblewrap. Deliberately absent: every
//! other command.

use std::process::ExitCode;

use nightshift_runner::sandbox::{enter, init};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("sandbox-enter") => enter::main(args),
        Some("sandbox-init") => init::main(args),
        _ => ExitCode::from(64),
    }
}
