//! How the two hidden commands tell the runner what happened: lines of JSON in a file that no
//! process of the agent can open.
//!
//! Invariant: the file is opened before the agent's command exists and is held by the first process
//! only, which no other process inside may look into. So an exit status cannot be forged.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::Part;

/// Stands in the command for the number of the report's file descriptor.
pub(super) const PLACEHOLDER: &str = "<report fd>";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(super) enum Event {
    /// A part failed; the command did not run.
    Failed { part: Part, cause: String },
    /// The command runs.
    Started,
    /// The command ended by itself.
    Exited { code: i32 },
    /// The command was ended by a signal.
    Signalled { signal: i32 },
}

/// Appends one event.
pub(super) fn append(path: &Path, event: &Event) -> io::Result<()> {
    write(&mut OpenOptions::new().append(true).open(path)?, event)
}

pub(super) fn write(file: &mut File, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Reads all events; a last line cut short by the end of its writer is left out.
pub(super) fn read(path: &Path) -> io::Result<Vec<Event>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// A line on standard error, for the case that no report can be written.
#[expect(
    clippy::print_stderr,
    reason = "a hidden command without a report has nothing else"
)]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
