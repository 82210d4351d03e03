//! A container engine for tests: the one that `scripts/containers/engine.sh` knows or starts.
//!
//! Invariant: where there is none the test fails and says what to do; it is never left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The engine's socket.
///
/// # Panics
/// There is no engine; the message says what to do.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a test starts its engine")]
pub fn socket() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/containers/engine.sh");
    let output = Command::new("sh")
        .arg(&script)
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "no container engine: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
