//! How the two hidden commands tell the runner what happened: lines of JSON in a file that no
//! process of the agent can open.
//!
//! Invariant: the file is opened before the agent's command exists and is held by the first process
//! only, which no other process inside may look into. So an exit status cannot be forged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::enter::Plan;
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

/// The plan as bytes for [`receive_plan`].
pub(super) fn encode_plan(plan: &Plan) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec(plan)?;
    let mut bytes = format!("{:08x}", json.len()).into_bytes();
    bytes.extend(json);
    Ok(bytes)
}

/// Reads exactly the plan from standard input and leaves what follows to the command.
pub(super) fn receive_plan() -> io::Result<Plan> {
    let mut input = Unbuffered;
    let mut digits = [0; 8];
    input.read_exact(&mut digits)?;
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| *length <= 16 << 20)
        .ok_or_else(|| io::Error::other("no length"))?;
    let mut json = vec![0; length];
    input.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

struct Unbuffered;

impl io::Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(io::stdin(), buffer)?)
    }
}

/// A line on standard error, for the case that no report can be written.
#[expect(
    clippy::print_stderr,
    reason = "a hidden command without a report has nothing else"
)]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
