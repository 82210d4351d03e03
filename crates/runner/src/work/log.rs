//! A run's log: written to a spool file first, then uploaded in order, whole.
//!
//! Invariant: a record is on the runner's disk before anybody is told of it, and bytes reach the
//! server in the order of the file, from the offset the server names. Memory is bounded by one
//! record, disk by the run's limit, so a server that is away for a while blocks nothing and costs
//! nothing. Deliberately absent: dropping, and decoding: an entry holds bytes as they came.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nightshift_api::client::CallError;
use nightshift_api::client::Client;
use nightshift_api::operations::LOG_APPEND;
use nightshift_api::run::RunPath;
use nightshift_api::runner::{LogAppended, WorkOrder};
use nightshift_domain::id::{Epoch, RunId};
use nightshift_domain::mask::Forms;
use nightshift_domain::transcript::{Entry, Record, Step};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Clock;
use crate::supervisor::{Control, Halt, Lost, is_gone};

/// Kept for what the runner itself has to say after a run hit its limit.
const RESERVE: u64 = 16 << 10;
/// Uploaded at once when this much waits, else after [`LINGER`].
const BATCH: u64 = 64 << 10;
/// The most in one request.
const MOST: u64 = 1 << 20;
const LINGER: Duration = Duration::from_millis(200);
/// How often a part is offered that the server says it cannot take.
const MOST_REFUSALS: u32 = 5;
/// One request's time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the spool has come.
#[derive(Debug, Clone, Copy, Default)]
struct Spooled {
    size: u64,
    closed: bool,
}

/// Writes a run's log.
#[derive(Debug)]
pub(crate) struct RunLog {
    path: PathBuf,
    file: Mutex<File>,
    spooled: watch::Sender<Spooled>,
    limit: u64,
    clock: ClockField,
    control: Arc<Control>,
    /// The run's token and secrets; readers of the log are not to have them.
    hidden: Forms,
}

struct ClockField(Clock);

impl std::fmt::Debug for ClockField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The task that uploads.
#[derive(Debug)]
pub(crate) struct Upload {
    log: Arc<RunLog>,
    task: JoinHandle<()>,
}

impl RunLog {
    /// Begins the log of a run with its spool in `spools`.
    pub(crate) fn begin(
        spools: &Path,
        client: Client,
        order: &WorkOrder,
        clock: Clock,
        control: Arc<Control>,
    ) -> std::io::Result<Upload> {
        let (run, epoch) = (order.run, order.epoch);
        let path = spools.join(format!("{run}.{epoch}.ndjson"));
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let reader = file.try_clone()?;
        let log = Arc::new(Self {
            path,
            file: Mutex::new(file),
            spooled: watch::Sender::new(Spooled::default()),
            limit: order.limits.log_bytes,
            clock: ClockField(clock),
            control: Arc::clone(&control),
            hidden: hidden(order),
        });
        let spooled = log.spooled.subscribe();
        let uploader = Uploader {
            client,
            run,
            epoch,
            reader: Arc::new(reader),
            spooled,
            acknowledged: 0,
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = control.until_lost() => {}
                done = uploader.run() => if let Err(why) = done {
                    control.lose(why);
                },
            }
        });
        Ok(Upload { log, task })
    }

    /// What nobody is to read of the run.
    pub(crate) fn hidden(&self) -> &Forms {
        &self.hidden
    }

    /// Appends what a program or an agent said. Over the limit the run is halted and the entry
    /// left out.
    pub(crate) fn entry(&self, step: Step, entry: Entry) {
        self.append(step, entry, self.limit.saturating_sub(RESERVE));
    }

    /// Appends what the runner itself says about the run.
    pub(crate) fn status(&self, step: Step, text: impl Into<String>) {
        let text = text.into();
        tracing::debug!(?step, text, "run");
        self.append(step, Entry::Status { text }, self.limit);
    }

    fn append(&self, step: Step, entry: Entry, limit: u64) {
        let record = Record {
            at: (self.clock.0)(),
            step,
            entry,
        };
        let line = match serde_json::to_string(&record) {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(%error, "a record could not be written as JSON");
                return;
            }
        };
        let mut line = self.masked(&line);
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.spooled.borrow().size + line.len() as u64;
        if size > limit {
            self.control.halt(Halt::LogLimit { bytes: self.limit });
            return;
        }
        if let Err(error) = file.write_all(&line) {
            let cause = format!("{}: {error}", self.path.display());
            // What was written in part is cut off, so that the next record begins a line.
            file.set_len(size - line.len() as u64).ok();
            self.control.halt(Halt::Spool { cause });
            return;
        }
        self.spooled.send_modify(|spooled| spooled.size = size);
    }

    /// What programs print is masked as it comes; this is for what is said about it, and for text
    /// that an agent's program wrote as JSON.
    fn masked(&self, line: &str) -> Vec<u8> {
        self.hidden.text(line).into_bytes()
    }
}

/// The forms of what nobody is to read of a run.
fn hidden(order: &WorkOrder) -> Forms {
    let secrets = order.secrets.iter().map(|secret| secret.value.as_str());
    Forms::of(secrets.chain([order.token.as_str()]))
}

impl Upload {
    /// Where to write.
    pub(crate) fn log(&self) -> &Arc<RunLog> {
        &self.log
    }

    /// Waits until the server has everything, and removes the spool; ends early when the run is
    /// lost.
    pub(crate) async fn finish(self) -> Result<(), Lost> {
        let Self { log, task } = self;
        log.spooled.send_modify(|spooled| spooled.closed = true);
        task.await.ok();
        if let Err(error) = fs::remove_file(&log.path) {
            tracing::warn!(path = %log.path.display(), %error, "a spool file stays");
        }
        log.control.is_lost().map_or(Ok(()), Err)
    }
}

struct Uploader {
    client: Client,
    run: RunId,
    epoch: Epoch,
    reader: Arc<File>,
    spooled: watch::Receiver<Spooled>,
    acknowledged: u64,
}

impl Uploader {
    async fn run(mut self) -> Result<(), Lost> {
        let mut most = MOST;
        let mut pause = LINGER;
        let mut refusals = 0;
        loop {
            let spooled = self.wait().await;
            if spooled.size <= self.acknowledged {
                return Ok(());
            }
            let chunk = match self.read(spooled.size, most).await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(run = %self.run, %error, "the spool cannot be read");
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            match self.send(chunk).await {
                Ok(size) => {
                    // Where the server stands is where the next append begins, also backwards.
                    self.acknowledged = size.min(spooled.size);
                    (pause, refusals) = (LINGER, 0);
                    continue;
                }
                Err(Refused::Lost) => return Err(Lost::Stale),
                Err(Refused::TooLarge) if most > BATCH => {
                    most /= 2;
                    continue;
                }
                Err(Refused::TooLarge | Refused::Invalid) => refusals += 1,
                Err(Refused::Unknown) => {}
            }
            if refusals > MOST_REFUSALS {
                // A result without the end of its log is worth more than a run that never ends.
                tracing::error!(run = %self.run, at = self.acknowledged, "the server does not take the log");
                return Ok(());
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Waits until something is to be uploaded, and a little longer for more of it.
    async fn wait(&mut self) -> Spooled {
        let at = self.acknowledged;
        let some = self.spooled.wait_for(|s| s.closed || s.size > at).await;
        // The sender is gone only when the log is; then what was spooled is all there is.
        let Ok(some) = some.map(|s| *s) else {
            return Spooled {
                closed: true,
                ..*self.spooled.borrow()
            };
        };
        if some.closed || some.size - at >= BATCH {
            return some;
        }
        let more = self.spooled.wait_for(|s| s.closed || s.size - at >= BATCH);
        drop(timeout(LINGER, more).await);
        *self.spooled.borrow()
    }

    /// Whole records from where the server stands: about `most` bytes, at least one record.
    async fn read(&self, size: u64, most: u64) -> std::io::Result<Bytes> {
        let (file, at) = (Arc::clone(&self.reader), self.acknowledged);
        let read = tokio::task::spawn_blocking(move || {
            let mut most = most;
            loop {
                let length = (size - at).min(most);
                let mut chunk = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
                file.read_exact_at(&mut chunk, at)?;
                if let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') {
                    chunk.truncate(end + 1);
                    return Ok(Bytes::from(chunk));
                }
                if length == size - at {
                    return Ok(Bytes::from(chunk));
                }
                most *= 2;
            }
        });
        read.await.map_err(std::io::Error::other)?
    }

    async fn send(&self, chunk: Bytes) -> Result<u64, Refused> {
        let path = RunPath { run: self.run.0 };
        let query = [
            ("epoch", self.epoch.to_string()),
            ("offset", self.acknowledged.to_string()),
        ];
        let call = self.client.bytes(&LOG_APPEND, &path, &query, Some(chunk));
        let answer = match timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if is_gone(&error) => return Err(Refused::Lost),
            Ok(Err(error)) => {
                tracing::warn!(run = %self.run, %error, "the log waits");
                let status = match &error {
                    CallError::Problem(problem) => problem.status,
                    CallError::Unreachable { .. } | CallError::Strange { .. } => 0,
                };
                return Err(match status {
                    413 => Refused::TooLarge,
                    400 | 415 | 422 => Refused::Invalid,
                    _ => Refused::Unknown,
                });
            }
            Err(_elapsed) => return Err(Refused::Unknown),
        };
        match serde_json::from_slice::<LogAppended>(&answer) {
            Ok(appended) => Ok(u64::try_from(appended.size).unwrap_or(0)),
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "an answer to a log append is not understood");
                Err(Refused::Unknown)
            }
        }
    }
}

enum Refused {
    /// The run is not ours any more.
    Lost,
    /// A smaller part may be taken.
    TooLarge,
    /// This part is not taken, whoever is at fault.
    Invalid,
    /// Nobody knows.
    Unknown,
}

/// Removes what an earlier process left: its runs are lost, and what was acknowledged is kept.
pub(crate) fn sweep(spools: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(spools)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
