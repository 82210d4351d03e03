//! Our own program inside a sandbox, beside `sandbox-init`: what the platform itself runs there.
//!
//! Invariant: everything here is as captured as the agent is; it holds the run's own tokens and
//! nothing else, and nothing outside believes it. Deliberately absent: rules about runs, which are
//! outside.

mod acp;
mod mcp;
mod native;

use std::process::ExitCode;

pub(crate) use self::mcp::{Control, FILE, Sealed, server};
pub(crate) use self::native::SESSIONS as NATIVE_SESSIONS;

/// Runs the hidden command `inside NAME ..`.
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    match args.next().as_deref() {
        Some("acp") => acp::main(args),
        Some("mcp") => mcp::main(args),
        Some("native") => native::main(args),
        _ => ExitCode::from(64),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the harness put into the environment is read here and handed down"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
