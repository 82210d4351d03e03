//! Serving fetches: `git upload-pack` behind smart HTTP.
//!
//! The request streams in and the answer streams out, both bounded by time; when the answer is
//! dropped, the process group ends. Deliberately absent: decompression and authentication (`web`),
//! the dumb protocol, hidden refs.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncRead;
use tokio::process::ChildStdout;
use tokio::task::JoinSet;
use tokio_util::io::ReaderStream;

use crate::command::{Call, Running};
use crate::error::{GitError, clean};
use crate::pkt_line;
use crate::repository::Repository;

/// The two services of git's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Fetching.
    UploadPack,
    /// Pushing.
    ReceivePack,
}

impl Service {
    /// Reads the `service` parameter of `GET …/info/refs`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    /// The name in paths and media types (`application/x-<name>-advertisement`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// The version of the protocol that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// The oldest, for clients that ask for nothing.
    #[default]
    V0,
    /// As V0 with a greeting.
    V1,
    /// The current one.
    V2,
}

impl Protocol {
    /// Reads the `Git-Protocol` header. Only `version=0`, `1` or `2` is understood, alone; any
    /// other value counts as none, and no byte of it is passed on.
    #[must_use]
    pub fn from_header(value: Option<&[u8]>) -> Self {
        match value {
            Some(b"version=2") => Self::V2,
            Some(b"version=1") => Self::V1,
            _ => Self::V0,
        }
    }

    fn env(self) -> &'static str {
        match self {
            Self::V0 => "version=0",
            Self::V1 => "version=1",
            Self::V2 => "version=2",
        }
    }
}

impl Repository {
    /// The body of `GET …/info/refs?service=git-upload-pack`.
    pub async fn advertise_upload(&self, protocol: Protocol) -> Result<Bytes, GitError> {
        let call = self
            .git()
            .call("upload-pack")
            .env("GIT_PROTOCOL", protocol.env())
            .args(["--stateless-rpc", "--http-backend-info-refs", "--strict"])
            .arg("--end-of-options")
            .arg(self.path());
        let said = call.run().await?;
        let mut body = Vec::new();
        if protocol != Protocol::V2 {
            pkt_line::write(&mut body, b"# service=git-upload-pack\n");
            pkt_line::flush(&mut body);
        }
        body.extend_from_slice(&said.stdout);
        Ok(Bytes::from(body))
    }

    /// Answers `POST …/git-upload-pack`; `body` is decompressed already. In protocol v2 a client
    /// may ask for any object by its id, so whoever may read a repository may read all of it.
    pub fn upload_pack(
        &self,
        protocol: Protocol,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<ByteStream, GitError> {
        let idle = self.git().limits().idle.as_secs().max(1);
        let call = self
            .git()
            .call("upload-pack")
            .env("GIT_PROTOCOL", protocol.env())
            .args(["--stateless-rpc", "--strict"])
            .arg(format!("--timeout={idle}"))
            .arg("--end-of-options")
            .arg(self.path());
        ByteStream::start(call, body, self.git().limits().transport)
    }
}

/// Output of git as it comes. Dropped, it ends the program. An error is the last item.
#[derive(Debug)]
pub struct ByteStream {
    output: ReaderStream<ChildStdout>,
    /// Feeds the input, reads the error output, watches the clock; ends with the outcome.
    work: JoinSet<Result<(), GitError>>,
    done: bool,
}

impl ByteStream {
    pub(crate) fn start(
        call: Call,
        input: impl AsyncRead + Send + Unpin + 'static,
        limit: Duration,
    ) -> Result<Self, GitError> {
        let mut running = call.spawn()?;
        let Some(stdout) = running.stdout.take() else {
            return Err(crate::refs::odd("transport", b"no pipe"));
        };
        let mut work = JoinSet::new();
        work.spawn(attend(running, input, limit));
        Ok(Self {
            output: ReaderStream::with_capacity(stdout, 64 * 1024),
            work,
            done: false,
        })
    }
}

async fn attend(
    mut running: Running,
    mut input: impl AsyncRead + Unpin,
    limit: Duration,
) -> Result<(), GitError> {
    let stdin = running.stdin.take();
    let mut stderr = running.stderr.take();
    let work = async {
        let feed = async move {
            let mut stdin = stdin;
            if let Some(pipe) = stdin.as_mut() {
                // A program that has read enough closes its input; its exit code tells the rest.
                let _closed = tokio::io::copy(&mut input, pipe).await;
            }
        };
        let complain = crate::command::read_tail(stderr.as_mut());
        tokio::pin!(feed, complain);
        let mut fed = false;
        let said = loop {
            tokio::select! {
                () = &mut feed, if !fed => fed = true,
                // It has ended; what the client still has to say goes nowhere.
                said = &mut complain => break said,
            }
        };
        (running.wait().await, said)
    };
    match tokio::time::timeout(limit, work).await {
        Ok((Ok(Some(0)), _)) => Ok(()),
        Ok((Ok(code), said)) => Err(GitError::Failed {
            command: "transport".to_owned(),
            code,
            message: clean(&said, 500),
        }),
        Ok((Err(error), _)) => Err(error),
        Err(_elapsed) => Err(GitError::TimedOut {
            command: "transport".to_owned(),
            after: limit,
        }),
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes, GitError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.output).poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
            Poll::Ready(Some(Err(source))) => {
                self.done = true;
                let action = "read from git".to_owned();
                return Poll::Ready(Some(Err(GitError::Io { action, source })));
            }
            Poll::Ready(None) => {}
        }
        // The output is complete; how did it end?
        let outcome = match self.work.poll_join_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(outcome) => outcome,
        };
        self.done = true;
        match outcome {
            Some(Ok(Err(error))) => Poll::Ready(Some(Err(error))),
            Some(Err(panic)) => Poll::Ready(Some(Err(GitError::Io {
                action: "attend git".to_owned(),
                source: std::io::Error::other(panic),
            }))),
            Some(Ok(Ok(()))) | None => Poll::Ready(None),
        }
    }
}
