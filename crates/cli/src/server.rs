//! The server of this process: its parts put together, and the loop that answers.
//!
//! Invariant: a folder of data is its owner's only; an address that others can reach is listened on
//! only when the operator says that something in front of it encrypts. Deliberately absent: routes
//! and rules.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_app::reconcile::deliver::Target;
use nightshift_app::reconcile::driver;
use nightshift_app::{App, Clock, Ids, SealKey, Settings};
use nightshift_connect::Webhook;
use nightshift_git::Git;
use nightshift_store::{Db, Location};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock;
use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::server_settings::ServerSettings;

/// How long open requests may go on after the server was told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Where a server keeps what it knows.
#[derive(Debug)]
pub(crate) struct Place {
    /// Repositories and logs.
    pub(crate) data: PathBuf,
    /// Everything else.
    pub(crate) database: Location,
}

impl Place {
    /// In `data`; `database` is a file in it unless it is said.
    pub(crate) fn new(data: &Path, database: Option<&str>) -> Done<Self> {
        let database = match database {
            Some(text) => {
                Location::parse(text).map_err(|error| Failure::usage(error.to_string()))?
            }
            None => Location::Sqlite(data.join("nightshift.db")),
        };
        Ok(Self {
            data: data.to_owned(),
            database,
        })
    }

    /// Opens it; makes what is not there. The server listens at `address`.
    pub(crate) async fn open(
        &self,
        environment: &Environment,
        said: &ServerSettings,
        address: &str,
    ) -> Done<Opened> {
        private_folder(&self.data)?;
        let git = Git::new(nightshift_git::Settings {
            program: "git".into(),
            path: environment.path.clone(),
            proxy: environment.proxy.clone(),
            ca_file: None,
            limits: nightshift_git::Limits::default(),
        });
        git.check_version()
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        let db = Db::open(&self.database)
            .await
            .map_err(|error| Failure::failed(format!("{:#}", anyhow::Error::from(error))))?;
        let targets = targets(environment)?;
        let clock: Arc<dyn Clock> = Arc::new(World);
        let settings = Settings {
            targets: targets.iter().map(|one| one.name().to_owned()).collect(),
            public_url: said.public_url(address)?,
            providers: said.providers(&clock)?,
            trusted_proxies: said.proxies()?,
            seal_key: Some(seal_key(&self.data.join("secrets.key"))?),
            ..Settings::new(self.data.clone(), git)
        };
        let app = App::open(settings, db, clock, Arc::new(World))?;
        Ok(Opened { app, targets })
    }
}

/// An application, and the places outside that are told what happens.
pub(crate) struct Opened {
    pub(crate) app: App,
    pub(crate) targets: Vec<Box<dyn Target>>,
}

/// The webhook that the operator names, if any.
fn targets(environment: &Environment) -> Done<Vec<Box<dyn Target>>> {
    match (&environment.webhook_url, &environment.webhook_secret) {
        (None, _) => Ok(Vec::new()),
        (Some(_), None) => Err(Failure::usage(
            "NIGHTSHIFT_WEBHOOK_URL is set and NIGHTSHIFT_WEBHOOK_SECRET is not: messages are never \
             sent unsigned; set it to `whsec_` and the output of `openssl rand -base64 32`",
        )),
        (Some(url), Some(secret)) => {
            // Installed already where a client was made in this process.
            rustls::crypto::ring::default_provider()
                .install_default()
                .ok();
            let hook = Webhook::new("webhook", url, secret, Arc::new(World))
                .map_err(|error| Failure::usage(error.to_string()))?;
            Ok(vec![Box::new(hook)])
        }
    }
}

/// The key that seals secrets of projects; made where there is none.
fn seal_key(path: &Path) -> Done<SealKey> {
    let unreadable = |error: std::io::Error| {
        Failure::failed(format!(
            "the key {} cannot be read or made: {error}",
            path.display()
        ))
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Whole or not at all: half a key would lock out everything sealed later.
            let made = hex::encode(World.secret());
            let new = path.with_extension("key.new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)
                .map_err(unreadable)?;
            file.write_all(format!("{made}\n").as_bytes())
                .and_then(|()| file.sync_all())
                .and_then(|()| std::fs::rename(&new, path))
                .map_err(unreadable)?;
            made
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mode = std::fs::metadata(path)
        .map_err(unreadable)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Failure::failed(format!(
            "others can read the key {}: chmod 600 it, and set the secrets of projects anew",
            path.display()
        )));
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| {
        Failure::failed(format!(
            "{} is no key of 64 hexadecimal digits: restore it from a backup; without it the \
             secrets of projects cannot be opened. Removed, a new one is made, and they have to be \
             set again",
            path.display()
        ))
    })?;
    Ok(SealKey::new(bytes))
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_folder(path: &Path) -> Done {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::failed(format!("cannot make {}: {error}", path.display())))
}

/// Listens on an address, or says why not.
pub(crate) async fn listen(address: SocketAddr, behind_tls: bool) -> Done<TcpListener> {
    if !address.ip().is_loopback() && !behind_tls {
        return Err(Failure::usage(format!(
            "{address} can be reached by others, and tokens would travel unencrypted: listen on \
             127.0.0.1 and put a reverse proxy with TLS in front, then say --behind-tls if that \
             proxy is on another machine"
        )));
    }
    TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!(
            "cannot listen on {address}: {error}; is another server running there?"
        ))
    })
}

/// Answers until `stop` is cancelled, then lets open requests end.
pub(crate) async fn serve(opened: Opened, listener: TcpListener, stop: CancellationToken) -> Done {
    let Opened { app, targets } = opened;
    // A thread of its own, which ends with the process: no page waits for grammars, and what a page
    // had no time to colour is coloured here.
    let colouring = std::thread::Builder::new()
        .name("colours".to_owned())
        .spawn(|| {
            nightshift_web::warm_colours();
            nightshift_web::colour_later();
        });
    if let Err(error) = colouring {
        tracing::warn!(%error, "no thread for colours: large changes stay plain in part");
    }
    let driving = tokio::spawn(driver::run(app.clone(), stop.clone().cancelled_owned()));
    let delivering = tokio::spawn(driver::deliver(
        app.clone(),
        targets,
        stop.clone().cancelled_owned(),
    ));
    let measuring = tokio::spawn(driver::measure(app.clone(), stop.clone().cancelled_owned()));
    let router = nightshift_web::router(app);
    let answering = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop.clone().cancelled_owned());
    // Streams and waiting claims end only when somebody cuts them.
    let enough = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    let served = tokio::select! {
        served = answering.into_future() => served,
        () = enough => Ok(()),
    };
    stop.cancel();
    // A reconciler stops between two steps; what it was doing is finished at the next start.
    driving.await.ok();
    // A delivery that is under way is repeated with the same id at the next start.
    delivering.abort();
    measuring.abort();
    served.map_err(|error| Failure::failed(format!("the server broke off: {error}")))
}

/// The real clock and real luck.
#[derive(Debug, Clone, Copy)]
struct World;

impl Clock for World {
    fn now(&self) -> Timestamp {
        clock::now()
    }
}

impl Ids for World {
    fn uuid(&self) -> Uuid {
        clock::new_id()
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_without_a_secret_is_refused() {
        let mut environment = Environment {
            webhook_url: Some("http://127.0.0.1:9/".to_owned()),
            ..Environment::default()
        };
        let refused = targets(&environment).err().expect("refused");
        assert!(refused.message.contains("openssl rand"), "{refused}");
        environment.webhook_secret = Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        assert_eq!(targets(&environment).map_or(0, |found| found.len()), 1);
    }

    #[tokio::test]
    async fn an_open_address_needs_a_word() {
        let open = "0.0.0.0:0".parse().expect("an address");
        let refused = listen(open, false).await.expect_err("refused");
        assert!(refused.message.contains("--behind-tls"), "{refused}");
        assert!(listen(open, true).await.is_ok());
        let own = "127.0.0.1:0".parse().expect("an address");
        assert!(listen(own, false).await.is_ok());
    }
}
