//! Checks: named command lines, run in the tree, with their raw results.
//!
//! Invariant: a result is made of what was seen from outside (exit code, caps, clock) and of bytes
//! that the command printed, decoded lossily at the end only. Deliberately absent: judging.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nightshift_domain::check::{Acceptance, CheckResult, Outcome, ended};
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{self, Entry, Stream};

use super::bench::Bench;
use super::cache;
use super::cut::Cut;
use super::seal;
use super::step::{self, Guard, Reader, Stepped};
use crate::harness::output;
use crate::sandbox::{self, Cap, Exit, Stdin, System};
use crate::workspace::About;

/// What is kept of the output.
const TAIL: usize = 16 << 10;
/// The longest line of a check's output.
pub(crate) const MAX_LINE: usize = 64 << 10;

/// The name of the sealed tests' result.
pub(crate) const ACCEPTANCE: &str = "acceptance";
/// The name of the set-up command's result.
pub(crate) const SETUP: &str = "setup";

/// Runs a command line in the root of the tree.
pub(crate) async fn run(
    bench: &Bench<'_>,
    phase: transcript::Step,
    name: &str,
    commit: &ObjectId,
    line: &str,
    timeout: Duration,
) -> Result<CheckResult, Cut> {
    let left = bench.task.left();
    let mut env = bench.plain_env();
    env.extend(bench.secrets(name));
    let command = sandbox::Step {
        command: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        env,
        system: System::Project,
        stdin: Stdin::Closed,
        timeout: timeout.min(left),
    };
    bench.task.say(phase, format!("{name}: {line}"));
    let mut printed = Printed::default();
    let begun = Instant::now();
    let stepped = step::run(bench, phase, &command, Guard::Work, MAX_LINE, &mut printed).await?;
    let outcome = match stepped {
        Stepped::Ended(Exit::Exited { code: 0 }) => Outcome::Passed,
        Stepped::Ended(Exit::Exited { code }) => Outcome::Failed { code },
        Stepped::Ended(Exit::Signalled { signal }) => Outcome::Failed { code: 128 + signal },
        Stepped::Ended(Exit::TimedOut) if left <= timeout => {
            return Err(Cut::failed(
                Reason::TimeLimit,
                say::time_up_in(format!("{name:?}")),
            ));
        }
        Stepped::Ended(Exit::TimedOut | Exit::Killed)
        | Stepped::Impatient
        | Stepped::Interrupted => Outcome::TimedOut,
        Stepped::Ended(Exit::Capped(cap @ Cap::HostDisk(_))) => return Err(Cut::capped(cap)),
        Stepped::Ended(Exit::Capped(cap)) => Outcome::Capped {
            limit: limit_word(cap).to_owned(),
        },
    };
    let duration = begun.elapsed();
    let result = CheckResult {
        name: name.to_owned(),
        commit: commit.clone(),
        outcome,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        output_tail: printed.tail(),
    };
    bench.task.say(
        phase,
        format!("{name}: {} after {duration:.1?}", ended(&result.outcome)),
    );
    Ok(result)
}

/// Lays the sealed files over the tree and runs their command.
pub(crate) async fn accept(
    bench: &Bench<'_>,
    commit: &ObjectId,
    acceptance: &Acceptance,
) -> Result<CheckResult, Cut> {
    let command = sandbox::Step {
        command: ["/bin/sh", "-euc", seal::LAY].map(str::to_owned).to_vec(),
        env: bench.plain_env(),
        system: System::Machine,
        stdin: Stdin::Closed,
        timeout: bench.task.left(),
    };
    let mut printed = Printed::default();
    let phase = transcript::Step::Checks;
    let laid = step::run(bench, phase, &command, Guard::Work, MAX_LINE, &mut printed).await?;
    match laid {
        Stepped::Ended(Exit::Exited { code: 0 }) => {}
        Stepped::Ended(Exit::Capped(cap)) => return Err(Cut::capped(cap)),
        other => {
            return Err(Cut::failed(
                Reason::WorkspaceFailed,
                say::tests_not_laid(format!("{other:?}"), printed.tail().trim()),
            ));
        }
    }
    run(
        bench,
        phase,
        ACCEPTANCE,
        commit,
        &acceptance.run,
        Duration::from_secs(acceptance.timeout_s),
    )
    .await
}

/// Runs the set-up command, if there is one, as a step of its own; where the tree lies over what it left
/// before, that is its result.
pub(crate) async fn setup(
    bench: &Bench<'_>,
    commit: &ObjectId,
) -> Result<Option<CheckResult>, Cut> {
    if let Some(about) = bench.setup() {
        return Ok(Some(taken(about, commit)));
    }
    let environment = &bench.task.order.environment;
    let Some(line) = &environment.setup else {
        return Ok(None);
    };
    let timeout = Duration::from_secs(environment.setup_timeout_s);
    let phase = transcript::Step::Setup;
    run(bench, phase, SETUP, commit, line, timeout)
        .await
        .map(Some)
}

/// The result of a set-up that does not run again.
fn taken(about: &About, commit: &ObjectId) -> CheckResult {
    CheckResult {
        name: SETUP.to_owned(),
        commit: commit.clone(),
        outcome: Outcome::Passed,
        duration_ms: 0,
        output_tail: format!("{}\n", cache::origin(about)),
    }
}

/// The last lines of an output, for a message.
pub(crate) fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.trim_end().lines().rev().take(20).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    lines.join("\n")
}

fn limit_word(cap: Cap) -> &'static str {
    match cap {
        Cap::Memory(_) => "memory",
        Cap::Processes(_) => "process",
        Cap::DiskBytes(_) | Cap::DiskFiles(_) | Cap::DiskDepth(_) | Cap::HostDisk(_) => "disk",
        Cap::Output(_) => "log",
    }
}

/// Keeps the last part of what was printed.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    tail: VecDeque<u8>,
}

impl Printed {
    /// The last part, as text.
    pub(crate) fn tail(&self) -> String {
        let (one, other) = self.tail.as_slices();
        let bytes = [one, other].concat();
        let text = String::from_utf8_lossy(&bytes);
        // A character that was cut at the front became three bytes.
        let mut start = text.len().saturating_sub(TAIL);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].to_owned()
    }
}

impl Reader for Printed {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        self.tail.extend(line);
        self.tail.push_back(b'\n');
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        vec![output(stream, line)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_whatever_is_printed() {
        let mut printed = Printed::default();
        for _ in 0..1000 {
            drop(printed.line(Stream::Stdout, "\u{1f600}".repeat(20).as_bytes()));
            drop(printed.line(Stream::Stderr, &[0xff; 50]));
        }
        let tail = printed.tail();
        assert!(
            tail.len() <= TAIL && tail.len() > TAIL / 2,
            "{}",
            tail.len()
        );
        let mut short = Printed::default();
        drop(short.line(Stream::Stdout, b"one"));
        assert_eq!(short.tail(), "one\n");
    }
}
