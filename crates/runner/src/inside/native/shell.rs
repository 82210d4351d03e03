//! One command line: started, read, and stopped when it takes too long.
//!
//! Invariant: both streams come in the order in which they were written, and only their beginning and
//! end are kept; what is stopped is stopped with all that it started in its group. Deliberately
//! absent: a shell that lives on, in which a model would lose its way.
#![expect(
    clippy::disallowed_methods,
    reason = "the agent's commands run in its own environment; this is where they are started"
)]

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What is kept of an output: its beginning and its end.
const HEAD: usize = 6 << 10;
const TAIL: usize = 18 << 10;
/// How long what a command left running may still write.
const DRAIN: Duration = Duration::from_millis(300);
/// The shells, the better one first.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
/// Of no use to commands.
const HIDDEN: [&str; 2] = ["NIGHTSHIFT_MODEL_KEY", "NIGHTSHIFT_MODEL_URL"];

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    /// Its output, and how it ended where that is not well.
    pub(super) output: String,
    /// Whether it ended in another way than well.
    pub(super) is_error: bool,
}

/// Runs a command line in the tree.
pub(super) async fn run(tree: &Path, line: &str, limit: Duration) -> Ran {
    match begin(tree, line) {
        Ok((child, from)) => follow(child, from, limit).await,
        Err(error) => Ran {
            output: format!("the command cannot be started: {error}"),
            is_error: true,
        },
    }
}

fn begin(tree: &Path, line: &str) -> std::io::Result<(Group, pipe::Receiver)> {
    let shell = SHELLS.into_iter().find(|shell| Path::new(shell).exists());
    let (from, to) = std::io::pipe()?;
    let mut command = Command::new(shell.unwrap_or("sh"));
    command
        .args(["-c", line])
        .current_dir(tree)
        .stdin(Stdio::null())
        .stdout(to.try_clone()?)
        .stderr(to)
        .process_group(0);
    for name in HIDDEN {
        command.env_remove(name);
    }
    let child = command.spawn()?;
    // The command holds the writing ends; with ours the output would never end.
    drop(command);
    let from = pipe::Receiver::from_owned_fd(OwnedFd::from(from))?;
    Ok((Group(child), from))
}

/// A command with all that it started in its group; ended when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Group {
    /// Ends it if it still runs. What a command left running on purpose lives on.
    fn kill(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            // It may have ended just now.
            killpg(Pid::from_raw(id), Signal::SIGKILL).ok();
        }
    }
}

async fn follow(mut group: Group, mut from: pipe::Receiver, limit: Duration) -> Ran {
    let mut kept = Kept::default();
    let mut buffer = vec![0; 16 << 10];
    let mut open = true;
    let out_of_time = sleep(limit);
    tokio::pin!(out_of_time);
    let status = loop {
        tokio::select! {
            read = from.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(count) => kept.see(&buffer[..count]),
            },
            status = group.0.wait() => break status.ok(),
            () = &mut out_of_time => {
                group.kill();
                group.0.wait().await.ok();
                break None;
            }
        }
    };
    while open && let Ok(Ok(count @ 1..)) = timeout(DRAIN, from.read(&mut buffer)).await {
        kept.see(&buffer[..count]);
    }
    let ended = match status {
        None => Some(format!(
            "stopped after {} s; give it more with timeout_s, or less to do",
            limit.as_secs()
        )),
        Some(status) if status.success() => None,
        Some(status) => Some(how(status)),
    };
    let mut output = kept.text();
    let is_error = ended.is_some();
    if let Some(ended) = ended {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str(&format!("[{ended}]"));
    } else if output.is_empty() {
        "[no output]".clone_into(&mut output);
    }
    Ran { output, is_error }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("ended by signal {}", signal.unwrap_or(0)),
    }
}

/// The beginning and the end of what was written.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Kept {
    fn see(&mut self, bytes: &[u8]) {
        let room = (HEAD - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        let rest = &bytes[room..];
        let skipped = rest.len().saturating_sub(TAIL);
        self.tail.extend(&rest[skipped..]);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.left_out += (skipped + over) as u64;
    }

    fn text(self) -> String {
        let mut bytes = self.head;
        if self.left_out > 0 {
            let mark = format!("\n[{} bytes are left out here]\n", self.left_out);
            bytes.extend_from_slice(mark.as_bytes());
        }
        bytes.extend(self.tail);
        String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn sh(line: &str, limit: Duration) -> (Ran, tempfile::TempDir) {
        let tree = tempfile::tempdir().expect("a folder");
        (run(tree.path(), line, limit).await, tree)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn both_streams_come_in_order_and_the_end_is_said() {
        for (line, output, is_error) in [
            ("echo a; echo b >&2; echo c", "a\nb\nc\n", false),
            ("true", "[no output]", false),
            ("printf x; exit 3", "x\n[exit code 3]", true),
            ("kill -9 $$", "[ended by signal 9]", true),
            ("cat", "[no output]", false),
            ("printf '\\377\\0'", "\u{fffd}\u{fffd}", false),
            ("echo $NIGHTSHIFT_MODEL_KEY$0", "/bin/bash\n", false),
        ] {
            let (ran, _tree) = sh(line, LONG).await;
            assert_eq!(
                (ran.output.as_str(), ran.is_error),
                (output, is_error),
                "{line}"
            );
        }
    }

    #[tokio::test]
    async fn of_a_flood_the_beginning_and_the_end_are_kept() {
        let (ran, _tree) = sh("echo begin; yes | head -c 5000000; echo end", LONG).await;
        assert!(ran.output.starts_with("begin\n") && ran.output.ends_with("end\n"));
        assert!(ran.output.len() < HEAD + TAIL + 100, "{}", ran.output.len());
        assert!(
            ran.output.contains("[4975434 bytes are left out here]"),
            "{}",
            &ran.output[HEAD..HEAD + 60]
        );
    }

    #[tokio::test]
    async fn what_takes_too_long_is_stopped_with_its_children() {
        let line = "(sleep 3; touch late) & echo started; sleep 100";
        let (ran, tree) = sh(line, Duration::from_secs(1)).await;
        assert!(ran.is_error);
        assert!(
            ran.output.starts_with("started\n[stopped after 1 s;"),
            "{ran:?}"
        );
        sleep(Duration::from_secs(3)).await;
        assert!(!tree.path().join("late").exists());
    }

    #[tokio::test]
    async fn what_is_left_running_is_not_waited_for() {
        let begun = Instant::now();
        let (ran, _tree) = sh("sleep 60 & echo started", LONG).await;
        assert_eq!((ran.output.as_str(), ran.is_error), ("started\n", false));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
