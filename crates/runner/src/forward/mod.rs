//! The sandbox's only ways out: one socket to the platform, one to the configured model endpoint.
//!
//! The sockets lie in the run's directory and are visible inside read-only; relays in the sandbox
//! carry a loopback port to each. Invariants: a request leaves only if a rule names it; the model's
//! credential is added out here and never seen inside; when this value is dropped every connection
//! is cut. Deliberately absent: any other destination, DNS for the sandbox, and decisions about
//! money, which are the platform's.

mod proxy;
pub mod rule;

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

pub use rule::Rule;

use proxy::{Auth, Counts, Upstream};

use crate::sandbox::spec::{MODEL_PORT, PLATFORM_PORT};
use crate::sandbox::{Relay, RunDir, SandboxHost};
use crate::secret::Secret;

/// Longest wait for a connection outside; a dead endpoint is told to the caller well within five
/// seconds.
const CONNECT: Duration = Duration::from_secs(4);
/// Longest wait for the head of a request from inside.
const HEAD: Duration = Duration::from_secs(30);
/// Connections from inside at one time, for each socket.
const MOST: usize = 64;
/// The names of the sockets.
const PLATFORM: &str = "platform";
const MODEL: &str = "model";

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// An address from the configuration.
    #[error(
        "{0:?} is not an http or https address; next: correct it in the runner's or agent's configuration"
    )]
    Address(String),
    /// The HTTP client.
    #[error("no HTTP client: {0}; next: check the certificate store of this machine")]
    Client(String),
    /// A socket in the run's directory.
    #[error("no socket at {}: {cause}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// How the real credential is presented to the model endpoint.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Such as `x-api-key`, `authorization`, `x-goog-api-key`.
    pub header: String,
    /// Before the value: `Bearer ` for `authorization`, else empty.
    pub prefix: String,
    /// The key.
    pub value: Secret,
}

impl Credential {
    fn name(&self) -> Result<HeaderName, String> {
        self.header
            .parse()
            .map_err(|_| "the credential's header has no valid name".to_owned())
    }

    fn header_value(&self) -> Result<HeaderValue, String> {
        let mut value = HeaderValue::from_str(&format!("{}{}", self.prefix, self.value.expose()))
            .map_err(|_| "the credential is no valid header value".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What one run may send and receive through one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests.
    pub requests: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests: 20_000,
            bytes_sent: 4 << 30,
            bytes_received: 4 << 30,
        }
    }
}

/// What went through one socket so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that a rule let through.
    pub requests: u64,
    /// Requests that were refused here.
    pub refused: u64,
    /// Requests that got no answer.
    pub failed: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
}

/// The way to the server.
#[derive(Debug, Clone)]
pub struct PlatformWay {
    /// The server's address.
    pub base: String,
    /// What may go there; see [`rule::git`]. The run's own token is presented from inside.
    pub rules: Vec<Rule>,
    /// At most.
    pub budget: Budget,
}

/// The way to the model.
#[derive(Debug, Clone)]
pub struct ModelWay {
    /// The endpoint's address; paths from inside are appended to it.
    pub base: String,
    /// What may go there; see [`rule::model`].
    pub rules: Vec<Rule>,
    /// Replaces whatever the agent sent; without one, what the agent sent is removed all the same.
    pub credential: Option<Credential>,
    /// At most.
    pub budget: Budget,
}

/// The HTTP client of all forwarders of a runner.
#[derive(Debug, Clone)]
pub struct ForwardClient(reqwest::Client);

impl ForwardClient {
    /// A client that follows no redirect, reads no proxy settings, and keeps no cookies.
    ///
    /// # Errors
    /// The machine has no usable certificate store.
    pub fn new() -> Result<Self, ForwardError> {
        // Whoever installed a provider first wins; which one it is does not matter here.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()
            .map(Self)
            .map_err(|e| ForwardError::Client(e.to_string()))
    }
}

/// The ways out of one run, open as long as this lives.
#[derive(Debug)]
pub struct Forwarder {
    platform: Arc<Upstream>,
    model: Option<Arc<Upstream>>,
    _tasks: JoinSet<()>,
}

impl Forwarder {
    /// Opens the sockets in the run's directory and serves them.
    ///
    /// # Errors
    /// An address is none, or a socket cannot be made.
    pub fn start(
        client: &ForwardClient,
        host: &SandboxHost,
        run: &RunDir,
        platform: PlatformWay,
        model: Option<ModelWay>,
    ) -> Result<Self, ForwardError> {
        let mut tasks = JoinSet::new();
        let platform = Arc::new(Upstream {
            client: client.0.clone(),
            base: address(&platform.base)?,
            rules: platform.rules,
            auth: Auth::Callers,
            budget: platform.budget,
            counts: Counts::default(),
        });
        tasks.spawn(serve(listen(host, run, PLATFORM)?, Arc::clone(&platform)));
        let model = match model {
            None => None,
            Some(way) => {
                let upstream = Arc::new(Upstream {
                    client: client.0.clone(),
                    base: address(&way.base)?,
                    rules: way.rules,
                    auth: Auth::Ours(way.credential),
                    budget: way.budget,
                    counts: Counts::default(),
                });
                tasks.spawn(serve(listen(host, run, MODEL)?, Arc::clone(&upstream)));
                Some(upstream)
            }
        };
        Ok(Self {
            platform,
            model,
            _tasks: tasks,
        })
    }

    /// The relays that the run's sandboxes need.
    #[must_use]
    pub fn relays(&self) -> Vec<Relay> {
        let relay = |port, socket: &str| Relay {
            port,
            socket: socket.to_owned(),
        };
        let mut relays = vec![relay(PLATFORM_PORT, PLATFORM)];
        relays.extend(self.model.as_ref().map(|_| relay(MODEL_PORT, MODEL)));
        relays
    }

    /// What went to and from the server.
    #[must_use]
    pub fn platform_traffic(&self) -> Traffic {
        self.platform.counts.traffic()
    }

    /// How often the server answered a `POST` of the run to this path with success: whether the
    /// agent asked.
    #[must_use]
    pub fn platform_posts(&self, path: &str) -> u64 {
        self.platform.counts.posts(path)
    }

    /// What went to and from the model.
    #[must_use]
    pub fn model_traffic(&self) -> Traffic {
        self.model
            .as_ref()
            .map(|model| model.counts.traffic())
            .unwrap_or_default()
    }
}

fn address(text: &str) -> Result<reqwest::Url, ForwardError> {
    let wrong = || ForwardError::Address(text.chars().take(200).collect());
    let url: reqwest::Url = text.parse().map_err(|_| wrong())?;
    let good = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none();
    if good { Ok(url) } else { Err(wrong()) }
}

/// A socket that only the user of the sandboxes may connect to. It is bound by way of the directory's
/// descriptor, because the path itself may be longer than a socket's address.
fn listen(host: &SandboxHost, run: &RunDir, name: &str) -> Result<UnixListener, ForwardError> {
    let directory = run.path().join("sockets");
    let path = directory.join(name);
    let bound = || -> io::Result<UnixListener> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = nix::fcntl::open(&directory, flags, Mode::empty())?;
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        host.give(&path)?;
        Ok(listener)
    };
    bound().map_err(|cause| ForwardError::Socket {
        path: path.clone(),
        cause,
    })
}

/// Accepts for ever; all connections end with this task.
async fn serve(listener: UnixListener, upstream: Arc<Upstream>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&upstream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a socket of a run does not accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn connection(stream: UnixStream, upstream: Arc<Upstream>) {
    let service = service_fn(move |request| proxy::answer(Arc::clone(&upstream), request));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a run broke");
    }
}
