//! One command in the run's sandbox: its output read as it comes, its end seen from outside.
//!
//! Invariant: when this returns, nothing of the command is alive; output is read until its end, so
//! that nothing that was said is missing; a run that is halted or lost ends its step at once.
//! Deliberately absent: what the command is.

use std::time::{Duration, Instant};

use nightshift_domain::mask::Masker;
use nightshift_domain::transcript::{self, Entry, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::sleep_until;

use super::bench::Bench;
use super::cut::Cut;
use crate::harness::LineSplitter;
use crate::sandbox::{self, Exit};

/// Takes what a command prints.
pub(crate) trait Reader: Send {
    /// What a line says, for the log.
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry>;

    /// How long the next line may take, if that is bounded now.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Whether the command ends well when it is asked to in the middle.
    fn interrupts(&self) -> bool {
        false
    }
}

/// What may end a step before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A halt or a loss: for the run's work.
    Work,
    /// A loss only: for what is done after a halt.
    Rescue,
}

/// How a step ended by itself or by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// As the sandbox saw it; never [`Exit::Killed`].
    Ended(Exit),
    /// It was killed since it said nothing for too long.
    Impatient,
    /// It was asked to stop in the middle, for words that wait.
    Interrupted,
}

/// From asking a command to stop to killing it.
const GRACE: Duration = Duration::from_secs(20);

/// Runs a command. Its lines go to `reader` and what they say to the log.
pub(crate) async fn run(
    bench: &Bench<'_>,
    phase: transcript::Step,
    command: &sandbox::Step,
    guard: Guard,
    max_line: usize,
    reader: &mut dyn Reader,
) -> Result<Stepped, Cut> {
    let control = &bench.task.control;
    let cut = |guard| match (guard, Cut::of_control(control)) {
        (Guard::Rescue, Some(Cut::Halted(_)) | None) | (Guard::Work, None) => None,
        (Guard::Rescue | Guard::Work, some) => some,
    };
    if let Some(cut) = cut(guard) {
        return Err(cut);
    }
    let mut running = bench.sandbox.spawn(command).await?;
    let hidden = || Masker::new(bench.hidden().clone());
    let mut output = Pipe::new(running.stdout.take(), max_line, hidden());
    let mut errors = Pipe::new(running.stderr.take(), max_line, hidden());
    let ended = async {
        match guard {
            Guard::Work => control.until_halted().await,
            Guard::Rescue => {
                control.until_lost().await;
            }
        }
    };
    tokio::pin!(ended);
    let mut heard = Instant::now();
    let (mut killed, mut impatient) = (false, false);
    let mut interrupted: Option<Instant> = None;
    while output.open() || errors.open() {
        let patience = reader.patience().map(|patience| heard + patience);
        let may_interrupt = reader.interrupts() && interrupted.is_none() && !killed;
        let (stream, lines) = tokio::select! {
            () = &mut ended, if !killed => {
                killed = true;
                running.kill().await?;
                continue;
            }
            () = sleep_until(patience.unwrap_or(heard).into()), if patience.is_some() && !killed => {
                (killed, impatient) = (true, true);
                running.kill().await?;
                continue;
            }
            () = control.until_urgent(), if may_interrupt => {
                interrupted = Some(Instant::now());
                bench.task.say(phase, "the agent's turn is interrupted: somebody says something");
                running.interrupt().await;
                continue;
            }
            () = sleep_until(interrupted.map_or(heard, |at| at + GRACE).into()), if interrupted.is_some() && !killed => {
                killed = true;
                running.kill().await?;
                continue;
            }
            lines = output.read(), if output.open() => (Stream::Stdout, lines),
            lines = errors.read(), if errors.open() => (Stream::Stderr, lines),
        };
        heard = Instant::now();
        for line in lines {
            for entry in reader.line(stream, &line) {
                bench.task.log.entry(phase, entry);
            }
        }
    }
    let exit = tokio::select! {
        exit = running.wait() => exit?,
        () = &mut ended, if !killed => running.kill().await?,
    };
    if impatient {
        return Ok(Stepped::Impatient);
    }
    if interrupted.is_some() && cut(guard).is_none() {
        return match exit {
            Exit::Capped(_) | Exit::TimedOut => Ok(Stepped::Ended(exit)),
            Exit::Exited { .. } | Exit::Signalled { .. } | Exit::Killed => Ok(Stepped::Interrupted),
        };
    }
    match (exit, cut(guard)) {
        (Exit::Killed, Some(cut)) => Err(cut),
        // INVARIANT: only this function kills, after one of the levers was moved.
        (Exit::Killed, None) => Err(Cut::Lost),
        (exit, _) => Ok(Stepped::Ended(exit)),
    }
}

/// A stream cut into lines, without secrets.
struct Pipe<R> {
    from: Option<R>,
    masker: Masker,
    splitter: LineSplitter,
    max_line: usize,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(from: Option<R>, max_line: usize, masker: Masker) -> Self {
        Self {
            from,
            masker,
            splitter: LineSplitter::new(max_line),
            max_line,
            buffer: vec![0; 32 << 10],
        }
    }

    fn open(&self) -> bool {
        self.from.is_some()
    }

    /// The lines that came; the last one when the stream has ended.
    async fn read(&mut self) -> Vec<Vec<u8>> {
        let Some(from) = &mut self.from else {
            return Vec::new();
        };
        match from.read(&mut self.buffer).await {
            Ok(count) if count > 0 => {
                let shown = self.masker.push(&self.buffer[..count]);
                self.splitter.push(&shown)
            }
            Ok(_) | Err(_) => {
                self.from = None;
                let mut lines = self.splitter.push(&self.masker.end());
                let fresh = LineSplitter::new(self.max_line);
                lines.extend(std::mem::replace(&mut self.splitter, fresh).end());
                lines
            }
        }
    }
}
