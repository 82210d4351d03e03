//! A whole Nightshift on one machine: the server in this process, the runner as a child.
//!
//! The runner is a process of its own that talks HTTP, as it would on another machine. Invariant:
//! the runner is started again whenever it dies, and is gone when this process is. Deliberately
//! absent: what is printed.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nightshift_api::client::Client;
use nightshift_api::{Nothing, operations};
use nightshift_app::App;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection::http;
use crate::environment::Environment;
use crate::failure::{Done, Exit, Failure};
use crate::output::Output;
use crate::program;
use crate::server::{self, Place};
use crate::server_settings::ServerSettings;
use crate::stop::Stop;

/// The shortest and the longest pause before a dead runner is started again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A runner that lived so long died of something new.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// How long the runner may take to give its runs back.
const LAST_RUNS: Duration = Duration::from_secs(75);

/// What to start.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// How many runs at one time.
    pub(crate) slots: usize,
    /// The first administrator's name.
    pub(crate) admin: String,
    /// What the operator decided.
    pub(crate) settings: ServerSettings,
    /// The token the person has from before, if any.
    pub(crate) known: Option<String>,
}

/// What was started.
#[derive(Debug)]
pub(crate) struct Local {
    /// The server's address.
    pub(crate) server: String,
    /// The administrator's token.
    pub(crate) token: String,
    stop_server: CancellationToken,
    serving: JoinHandle<Done>,
    running: oneshot::Receiver<()>,
}

impl Local {
    /// Starts both; returns when the server answers.
    pub(crate) async fn start(
        plan: Plan,
        environment: &Environment,
        output: Output,
        stop: &Stop,
    ) -> Done<Self> {
        let listener = server::listen(plan.listen, false).await?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::failed(format!("cannot tell the address: {error}")))?;
        let address = format!("http://{address}");
        let place = Place::new(&plan.data.join("server"), None)?;
        server::private_folder(&plan.data)?;
        let opened = place.open(environment, &plan.settings, &address).await?;
        let app = opened.app.clone();
        let founded = found(&app, &plan).await?;
        let runner_token = runner_token(&app, &plan.data, founded.is_some()).await?;
        let stop_server = CancellationToken::new();
        let serving = tokio::spawn(server::serve(opened, listener, stop_server.clone()));
        let token = match founded {
            Some(token) => token,
            None => known_or_new(&app, &plan, &address).await?,
        };
        let runner = Runner {
            words: runner_words(&plan, &address),
            token: runner_token,
            log: plan.data.join("runner.log"),
            output,
        };
        Ok(Self {
            server: address,
            token,
            stop_server,
            serving,
            running: runner.on_its_own_thread(stop.clone())?,
        })
    }

    /// Waits for the word to stop, then for the runner, then for the server.
    pub(crate) async fn end(mut self, stop: &Stop) -> Done {
        tokio::select! {
            () = stop.orderly.cancelled() => {}
            broken = &mut self.serving => {
                stop.orderly.cancel();
                stop.at_once.cancel();
                (&mut self.running).await.ok();
                return broken.unwrap_or_else(|_| Err(Failure::failed("the server broke off")));
            }
        }
        // The server answers while the runner gives its runs back.
        (&mut self.running).await.ok();
        self.stop_server.cancel();
        self.serving
            .await
            .unwrap_or_else(|_| Err(Failure::failed("the server broke off")))
    }
}

/// Makes the first administrator on a fresh server.
async fn found(app: &App, plan: &Plan) -> Done<Option<String>> {
    match app.found(&plan.admin, "up").await {
        Ok(secret) => Ok(Some(secret.reveal().to_owned())),
        Err(nightshift_app::Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The person's token, or a new one if the server does not know it.
async fn known_or_new(app: &App, plan: &Plan, address: &str) -> Done<String> {
    if let Some(known) = &plan.known {
        let client = Client::new(http(address)?, address, Some(known.clone()));
        let me = client
            .call::<operations::MeGet>(&Nothing {}, &Nothing {}, &Nothing {})
            .await;
        match me.map_err(Failure::from) {
            Ok(_) => return Ok(known.clone()),
            Err(failure) if failure.exit == Exit::NotAllowed => {}
            Err(failure) => return Err(failure),
        }
    }
    let secret = app.operator_token(Some(&plan.admin), None, "up").await?;
    Ok(secret.reveal().to_owned())
}

/// The runner's token, kept beside the data.
async fn runner_token(app: &App, data: &Path, fresh: bool) -> Done<String> {
    let path = data.join("runner.token");
    let failed =
        |error: io::Error| Failure::failed(format!("cannot use {}: {error}", path.display()));
    match fs::read_to_string(&path) {
        Ok(token) if !fresh => return Ok(token.trim().to_owned()),
        Ok(_) => fs::remove_file(&path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let secret = app.operator_token(None, Some("local"), "up").await?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(secret.reveal().as_bytes()))
        .map_err(failed)?;
    Ok(secret.reveal().to_owned())
}

fn runner_words(plan: &Plan, address: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["runner", "--server", address, "--slots"]
        .map(OsString::from)
        .into();
    words.push(plan.slots.to_string().into());
    words.push("--data".into());
    words.push(plan.data.join("runner").into());
    words.push("--with-parent".into());
    words.push(std::process::id().to_string().into());
    words
}

/// The runner that is kept alive.
struct Runner {
    words: Vec<OsString>,
    token: String,
    log: PathBuf,
    output: Output,
}

impl Runner {
    /// Keeps it alive on a thread that lives as long as the runner: the system ends a child that
    /// asked for it when the very thread that started it is gone. Tells when all is over.
    fn on_its_own_thread(self, stop: Stop) -> Done<oneshot::Receiver<()>> {
        let failed = |error: io::Error| Failure::failed(format!("cannot start a thread: {error}"));
        let (over, wait) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        std::thread::Builder::new()
            .name("runner".to_owned())
            .spawn(move || {
                runtime.block_on(self.keep(stop));
                // Nobody may be waiting any more.
                over.send(()).ok();
            })
            .map_err(failed)?;
        Ok(wait)
    }

    async fn keep(self, stop: Stop) {
        let mut pause = PAUSES.0;
        while !stop.orderly.is_cancelled() {
            let began = Instant::now();
            let how = match self.start() {
                Ok(mut child) => tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => format!("ended ({status}): {}", self.last_words()),
                        Err(error) => format!("is lost: {error}"),
                    },
                    () = stop.orderly.cancelled() => return end(child, &stop).await,
                },
                Err(error) => format!("does not start: {error}"),
            };
            if began.elapsed() > LONG_LIFE {
                pause = PAUSES.0;
            }
            self.output.note(&format!(
                "the runner {how}; next try in {} s, its log is {}",
                pause.as_secs(),
                self.log.display()
            ));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.orderly.cancelled() => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn start(&self) -> io::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)?;
        program::runner(&self.words, &self.token, log)
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }
}

/// Lets the runner give its runs back; ends it if it takes too long or the person has no time.
async fn end(mut child: Child, stop: &Stop) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended by itself in this very moment.
        kill(Pid::from_raw(id), Signal::SIGTERM).ok();
    }
    tokio::select! {
        _ = child.wait() => return,
        () = tokio::time::sleep(LAST_RUNS) => {}
        () = stop.at_once.cancelled() => {}
    }
    child.kill().await.ok();
}
