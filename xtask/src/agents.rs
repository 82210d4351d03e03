//! The table of real agent programs: installs them, then tries each through the runner.
//!
//! Invariant: what is driven is what `scripts/agents` pins. Deliberately absent: a place in `ci`; the
//! programs take 1.6 GB, and the table some minutes.

#![expect(clippy::print_stderr, reason = "says what it is about to do")]

use std::path::Path;

use anyhow::Result;

use crate::program::Line;

/// Installs the programs and prints the table, of all harnesses or of these.
pub fn run(root: &Path, harnesses: &[&str]) -> Result<()> {
    let install = "scripts/agents/install.sh";
    let table = [
        "cargo",
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--test",
        "agents",
        "--",
    ];
    let table = [&table[..], harnesses].concat();
    for words in [&["sh", install][..], &["sh", install, "more"], &table] {
        let line = Line { env: &[], words };
        eprintln!("xtask: {line}");
        line.run(root)?;
    }
    Ok(())
}
