//! The door of a container: how the runner hands a command to the first process inside, with all that
//! it reads and writes, past the engine.
//!
//! A socket in the run's directory. The first process connects to it before anything else exists in
//! the container, and is given words and open files. Invariants: one connection is taken, of that
//! very process, and the socket is gone before the command starts, so nothing of the agent ever
//! speaks to the runner here; the connection stays, and the first process ends with it, so a
//! container outlives no runner. Deliberately absent: the engine; it sees neither the command, nor
//! its variables, nor what it prints.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt as _, Interest};

use crate::sandbox::run_dir;

/// Open files that go with an order: report, output, error output, and input if it is a pipe.
const MOST: usize = 4;
/// The bytes of the length before the order.
const HEAD: usize = 8;
/// How long the first process waits for the runner at its end.
const LAST: Duration = Duration::from_secs(5);

/// What the first process is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Order {
    /// Loopback ports with the sockets they lead to.
    pub(in crate::sandbox) relays: Vec<(u16, PathBuf)>,
    /// The largest single file.
    pub(in crate::sandbox) file_bytes: u64,
    /// Most processes, where the engine does not limit them.
    pub(in crate::sandbox) processes: Option<u64>,
    /// The file that is the command's input, if it is one.
    pub(in crate::sandbox) stdin: Option<PathBuf>,
    /// All variables.
    pub(in crate::sandbox) env: Vec<(String, String)>,
    /// Program and arguments.
    pub(in crate::sandbox) command: Vec<String>,
}

/// What goes through the door, on the runner's side.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) order: Order,
    /// As [`MOST`] says.
    pub(super) files: Vec<OwnedFd>,
}

/// The same, inside.
pub(in crate::sandbox) struct Received {
    pub(in crate::sandbox) order: Order,
    pub(in crate::sandbox) report: File,
    pub(in crate::sandbox) stdin: Option<OwnedFd>,
    pub(in crate::sandbox) stdout: OwnedFd,
    pub(in crate::sandbox) stderr: OwnedFd,
    pub(in crate::sandbox) line: Line,
}

/// The connection that stays, inside.
pub(in crate::sandbox) struct Line(UnixStream);

/// The socket, until it has been used.
#[derive(Debug)]
pub(super) struct Door {
    listener: tokio::net::UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens a door of this name among a run's sockets, for the user of its containers.
    pub(super) fn open(sockets: &Path, name: &str, owner: Option<(u32, u32)>) -> io::Result<Self> {
        Ok(Self {
            listener: run_dir::listen(sockets, name, owner)?,
            path: sockets.join(name),
        })
    }

    /// Waits for the one who comes first. It may be dropped and called again.
    pub(super) async fn first(&self) -> io::Result<tokio::net::UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A socket that stays behind leads nowhere; the run's directory goes with it.
        std::fs::remove_file(&self.path).ok();
    }
}

impl Packet {
    /// Hands everything over.
    pub(super) async fn send(self, line: &mut tokio::net::UnixStream) -> io::Result<()> {
        let order = serde_json::to_vec(&self.order)?;
        let mut bytes = format!("{:0HEAD$x}", order.len()).into_bytes();
        bytes.extend(order);
        let files: Vec<BorrowedFd<'_>> = self.files.iter().map(AsFd::as_fd).collect();
        let sent = line
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
                let mut rights = SendAncillaryBuffer::new(&mut space);
                if !rights.push(SendAncillaryMessage::ScmRights(&files)) {
                    return Err(io::Error::other("too many open files for one order"));
                }
                let line = rustix::fd::AsFd::as_fd(&*line);
                let words = [IoSlice::new(&bytes)];
                Ok(sendmsg(line, &words, &mut rights, SendFlags::NOSIGNAL)?)
            })
            .await?;
        line.write_all(&bytes[sent..]).await
    }
}

/// Goes through the door, inside.
pub(in crate::sandbox) fn receive(place: &Path) -> Result<Received, String> {
    let said = |e: io::Error| e.to_string();
    let mut line = UnixStream::connect(place).map_err(said)?;
    let mut head = [0; HEAD];
    let (got, mut files) = first(&line, &mut head).map_err(said)?;
    line.read_exact(&mut head[got..]).map_err(said)?;
    let length = std::str::from_utf8(&head)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| *length <= 16 << 20)
        .ok_or("the order has no length")?;
    let mut order = vec![0; length];
    line.read_exact(&mut order).map_err(said)?;
    let order = serde_json::from_slice(&order).map_err(|e| format!("the order: {e}"))?;
    if files.len() < MOST - 1 {
        return Err(format!("{} open files came with the order", files.len()));
    }
    let stdin = files.drain(MOST - 1..).next();
    let (Some(stderr), Some(stdout), Some(report)) = (files.pop(), files.pop(), files.pop()) else {
        return Err("open files are missing".to_owned());
    };
    Ok(Received {
        order,
        report: report.into(),
        stdin,
        stdout,
        stderr,
        line: Line(line),
    })
}

/// The first bytes, with the files that came along. They are ours alone: no command inherits them.
fn first(line: &UnixStream, head: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        line,
        &mut [IoSliceMut::new(head)],
        &mut rights,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if got.bytes == 0 {
        return Err(io::Error::other("the runner has nothing to say"));
    }
    let mut files = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            files.extend(more);
        }
    }
    Ok((got.bytes, files))
}

impl Line {
    /// Ends this process, and with it all others of the container, when the runner is gone.
    pub(in crate::sandbox) fn watch(&self) -> io::Result<()> {
        let mut line = self.0.try_clone()?;
        thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || {
                // The runner says nothing more; what ends this is its end.
                while let Ok(1..) = line.read(&mut [0; 8]) {}
                std::process::exit(125);
            })?;
        Ok(())
    }

    /// Says that the command has ended, and waits until the runner has seen what it wants to see.
    pub(in crate::sandbox) fn end(mut self) {
        if self.0.write_all(b"e").is_ok() && self.0.set_read_timeout(Some(LAST)).is_ok() {
            // Its answer is that the connection ends.
            self.0.read_exact(&mut [0]).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            relays: vec![(7070, "/nightshift/sockets/platform".into())],
            file_bytes: 5,
            processes: None,
            stdin: None,
            env: vec![("A".to_owned(), "1".to_owned())],
            // Larger than what a socket takes at once.
            command: vec!["x".repeat(900_000)],
        }
    }

    #[tokio::test]
    async fn an_order_comes_through_with_its_files_and_the_door_is_shut() {
        let dir = tempfile::tempdir().expect("a directory");
        let door = Door::open(dir.path(), "door", None).expect("a door");
        let place = dir.path().join("door");
        let inside = {
            let place = place.clone();
            tokio::task::spawn_blocking(move || receive(&place))
        };
        let mut line = door.first().await.expect("a connection");
        drop(door);
        assert!(!place.exists());
        let report = tempfile::tempfile().expect("a file");
        let (mut out, theirs) = io::pipe().expect("a pipe");
        let (_, errors) = io::pipe().expect("a pipe");
        let packet = Packet {
            order: order(),
            files: vec![report.into(), theirs.into(), errors.into()],
        };
        packet.send(&mut line).await.expect("sent");
        let received = inside.await.expect("a thread").expect("received");
        assert_eq!(received.order, order());
        assert!(received.stdin.is_none());
        File::from(received.stdout)
            .write_all(b"said")
            .expect("written");
        let mut said = String::new();
        out.read_to_string(&mut said).expect("read");
        assert_eq!(said, "said");
    }

    #[tokio::test]
    async fn without_an_order_nothing_is_done() {
        let dir = tempfile::tempdir().expect("a directory");
        let door = Door::open(dir.path(), "door", None).expect("a door");
        let place = dir.path().join("door");
        let inside = tokio::task::spawn_blocking(move || receive(&place));
        drop(door.first().await.expect("a connection"));
        let error = inside.await.expect("a thread").err().expect("no order");
        assert!(error.contains("nothing to say"), "{error}");
    }
}
