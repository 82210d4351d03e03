//! The checks, run where the agent works, for the agent's own eyes.
//!
//! Invariant: the command lines come from the control file, never from the tree; each ends with its
//! time, and with it every process of its group. Deliberately absent: a verdict. The agent could
//! forge all of this, and would fool itself only.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::sync::CancellationToken;

use super::control::Control;
use crate::work::ACCEPTANCE;

/// What is kept of each command's output, in bytes.
const TAIL: usize = 8 << 10;
/// How long what a command left behind may hold its output open.
const LINGER: Duration = Duration::from_secs(1);

/// One command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    name: String,
    /// Lays the sealed files over the tree first.
    lay: Option<String>,
    line: String,
    timeout_s: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Code(i32),
    Signal(i32),
    TimedOut,
    Cancelled,
}

/// What shall run: all, or those that are named.
pub(super) fn chosen(control: &Control, only: Option<&[String]>) -> Result<Vec<Chosen>, String> {
    let checks = control.checks.iter().map(|check| Chosen {
        name: check.name.clone(),
        lay: None,
        line: check.run.clone(),
        timeout_s: check.timeout_s,
    });
    let sealed = control.sealed.as_ref().map(|sealed| Chosen {
        name: ACCEPTANCE.to_owned(),
        lay: Some(sealed.lay.clone()),
        line: sealed.run.clone(),
        timeout_s: sealed.timeout_s,
    });
    let all: Vec<Chosen> = checks.chain(sealed).collect();
    if all.is_empty() && !control.left_out.is_empty() {
        return Err(format!(
            "{} need secrets of the project that are not here: the proof runs them",
            control.left_out.join(", ")
        ));
    }
    if all.is_empty() {
        return Err(
            "the project has no checks and the issue no sealed tests: run what you think fit"
                .to_owned(),
        );
    }
    let Some(only) = only else {
        return Ok(all);
    };
    let known: Vec<&str> = all.iter().map(|check| check.name.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "there is no check {unknown:?}; there are {}",
            known.join(", ")
        ));
    }
    if only.is_empty() {
        return Err(format!(
            "`only` names nothing: leave it out, or name some of {}",
            known.join(", ")
        ));
    }
    Ok(all
        .into_iter()
        .filter(|check| only.contains(&check.name))
        .collect())
}

/// Runs them one after the other, and reports.
pub(super) async fn run(
    control: &Control,
    chosen: &[Chosen],
    cancelled: &CancellationToken,
) -> Result<String, String> {
    let mut report = String::new();
    let mut failed = 0;
    for check in chosen {
        let begun = Instant::now();
        let limit = Duration::from_secs(check.timeout_s);
        let mut laid = None;
        if let Some(lay) = &check.lay {
            let (ended, output) = command(control, &["-euc", lay], limit, cancelled).await?;
            laid = (ended != Ended::Code(0)).then_some((ended, output));
        }
        let (ended, output) = match laid {
            Some(laid) => laid,
            None => command(control, &["-c", &check.line], limit, cancelled).await?,
        };
        let words = match ended {
            Ended::Code(0) => "passed".to_owned(),
            Ended::Code(code) => format!("failed with exit status {code}"),
            Ended::Signal(signal) => format!("was ended by signal {signal}"),
            Ended::TimedOut => format!("ran out of its {} s", check.timeout_s),
            Ended::Cancelled => return Err("the checks were cancelled".to_owned()),
        };
        failed += usize::from(ended != Ended::Code(0));
        report.push_str(&format!(
            "{}: {words} after {:.1?}\n$ {}\n{}\n\n",
            check.name,
            begun.elapsed(),
            check.line,
            output.trim_end()
        ));
    }
    for name in &control.left_out {
        report.push_str(&format!(
            "{name}: left to the proof, since it needs a secret of the project\n"
        ));
    }
    let all = chosen.len();
    report.push_str(&match failed {
        0 => format!("all {all} passed"),
        _ => format!("{failed} of {all} failed"),
    });
    Ok(report)
}

/// Runs the shell with these arguments in the root of the tree.
async fn command(
    control: &Control,
    args: &[&str],
    limit: Duration,
    cancelled: &CancellationToken,
) -> Result<(Ended, String), String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "inside the sandbox: the environment is cleared, and the walls are around it"
    )]
    let mut command = tokio::process::Command::new("/bin/sh");
    command
        .args(args)
        .current_dir(&control.tree)
        .env_clear()
        .envs(control.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
    let group = Group(child.id());
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut tail = Tail::default();
    let mut out = [0_u8; 8 << 10];
    let mut err = [0_u8; 8 << 10];
    let limit = tokio::time::sleep(limit);
    tokio::pin!(limit);
    let mut ended = None;
    let mut linger = None;
    while ended.is_none() || stdout.is_some() || stderr.is_some() {
        tokio::select! {
            status = child.wait(), if ended.is_none() => {
                let status = status.map_err(|error| format!("waiting: {error}"))?;
                let signal = std::os::unix::process::ExitStatusExt::signal(&status);
                ended = Some(match (status.code(), signal) {
                    (Some(code), _) => Ended::Code(code),
                    (None, signal) => Ended::Signal(signal.unwrap_or(0)),
                });
                linger = Some(tokio::time::Instant::now() + LINGER);
            }
            count = read(&mut stdout, &mut out), if stdout.is_some() => tail.take(&out[..count]),
            count = read(&mut stderr, &mut err), if stderr.is_some() => tail.take(&err[..count]),
            () = &mut limit, if ended.is_none() => {
                ended = Some(Ended::TimedOut);
                break;
            }
            () = cancelled.cancelled(), if ended.is_none() => {
                ended = Some(Ended::Cancelled);
                break;
            }
            () = tokio::time::sleep_until(linger.unwrap_or_else(tokio::time::Instant::now)), if linger.is_some() => break,
        }
    }
    drop(group);
    Ok((ended.unwrap_or(Ended::Cancelled), tail.text()))
}

/// Reads once; at the end, or where it fails, the stream is gone.
async fn read<R: AsyncRead + Unpin>(from: &mut Option<R>, buffer: &mut [u8]) -> usize {
    let Some(stream) = from else {
        return 0;
    };
    match stream.read(buffer).await {
        Ok(count) if count > 0 => count,
        Ok(_) | Err(_) => {
            *from = None;
            0
        }
    }
}

/// A process group that ends when this is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) else {
            return;
        };
        // Nobody may be left in it.
        killpg(Pid::from_raw(id), Signal::SIGKILL).ok();
    }
}

/// The last part of what was printed.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let over = self.bytes.len().saturating_sub(TAIL);
        self.cut |= over > 0;
        self.bytes.drain(..over);
    }

    fn text(&self) -> String {
        let (one, other) = self.bytes.as_slices();
        let text = String::from_utf8_lossy(&[one, other].concat()).into_owned();
        match self.cut {
            true => format!("[only the end of the output]\n{text}"),
            false => text,
        }
    }
}
