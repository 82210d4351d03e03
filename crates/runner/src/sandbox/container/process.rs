//! A process by the kernel's own handle: it names that very process for ever, also when its number has
//! become another's.
//!
//! Invariant: the first process of a namespace is gone only after all others of it, so its end is
//! theirs.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

/// A process of this machine.
#[derive(Debug)]
pub(super) struct Process {
    handle: Arc<OwnedFd>,
    gone: watch::Receiver<bool>,
}

impl Process {
    /// The process that has this number now.
    pub(super) fn open(pid: Pid) -> io::Result<Self> {
        let handle = Arc::new(pidfd_open(pid, PidfdFlags::empty())?);
        let (tell, gone) = watch::channel(false);
        let theirs = Arc::clone(&handle);
        thread::Builder::new()
            .name("container-watch".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                let mut ends = [PollFd::new(&theirs, PollFlags::IN)];
                while poll(&mut ends, None) == Err(Errno::INTR) {}
                // Nobody has to be listening.
                tell.send(true).ok();
            })?;
        Ok(Self { handle, gone })
    }

    /// Sends SIGKILL. A process that is gone already is what we want.
    pub(super) fn kill(&self) {
        pidfd_send_signal(&*self.handle, Signal::KILL).ok();
    }

    /// Returns when it is gone. It may be dropped and called again.
    pub(super) async fn gone(&self) {
        // Without its teller it is gone as well.
        self.gone.clone().wait_for(|gone| *gone).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a process to end")]
    async fn its_end_is_seen_by_whoever_asks() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a process");
        let process = Process::open(Pid::from_child(&child)).expect("a handle");
        let early = tokio::time::timeout(Duration::from_millis(50), process.gone()).await;
        assert!(early.is_err(), "it is alive");
        process.kill();
        for _ in 0..2 {
            let gone = tokio::time::timeout(Duration::from_secs(10), process.gone()).await;
            gone.expect("it is gone");
        }
        child.wait().expect("an end");
        process.kill();
    }
}
