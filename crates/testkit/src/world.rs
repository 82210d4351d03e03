//! A server with everything real but the clock: store, git, HTTP on the loopback.
//!
//! The server runs on threads of its own, so that it can be ended in the middle of whatever it does
//! and opened again on the same data: as after a crash.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_app::{App, Provider, Proxies, Settings};
use nightshift_domain::admission::Policy;
use nightshift_domain::id::ProjectId;
use nightshift_git::{Git, Limits, Repository, Settings as GitSettings};
use nightshift_store::{Db, Error as StoreError, Location};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::checkout::Checkout;
use crate::clock::{ManualClock, SeededIds};
use crate::hand::Hand;
use crate::identities::Identities;
use crate::person::Person;

/// One world. Dropped, it stops its server and removes its data.
pub struct World {
    /// The application, to tick.
    pub app: App,
    /// The time.
    pub clock: Arc<ManualClock>,
    /// Where the server listens: `http://127.0.0.1:port`.
    pub url: String,
    db: Db,
    server: Server,
    admin: String,
    place: Place,
    data: tempfile::TempDir,
}

/// Everything a server process is started with.
#[derive(Clone)]
struct Place {
    location: Location,
    data: PathBuf,
    clock: Arc<ManualClock>,
    ids: Arc<SeededIds>,
    targets: Vec<String>,
    providers: Vec<Arc<dyn Provider>>,
    proxies: Proxies,
}

/// The threads of a server.
struct Server {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl World {
    /// A fresh world on SQLite with its first administrator, `alice`.
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let location = Location::Sqlite(data.path().join("nightshift.db"));
        Self::at(location, data, &[]).await
    }

    /// A fresh world behind proxies of these networks.
    pub async fn behind(proxies: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let place = Place {
            location: Location::Sqlite(data.path().join("nightshift.db")),
            data: data.path().to_owned(),
            clock: Arc::new(ManualClock::default()),
            ids: Arc::new(SeededIds::default()),
            targets: Vec::new(),
            providers: Vec::new(),
            proxies: Proxies::parse(proxies).expect("networks"),
        };
        Self::begin(place, data).await
    }

    /// A fresh world that lets people in by this provider.
    pub async fn with_provider(identities: &Identities, policy: Policy) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let place = Place {
            location: Location::Sqlite(data.path().join("nightshift.db")),
            data: data.path().to_owned(),
            clock: Arc::clone(&identities.clock),
            ids: Arc::new(SeededIds::default()),
            targets: Vec::new(),
            providers: vec![identities.known(policy)],
            proxies: Proxies::default(),
        };
        Self::begin(place, data).await
    }

    /// A fresh world whose events go to targets of these names.
    pub async fn with_targets(targets: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let location = Location::Sqlite(data.path().join("nightshift.db"));
        Self::at(location, data, targets).await
    }

    /// A fresh world on this database.
    pub async fn on(location: Location) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        Self::at(location, data, &[]).await
    }

    async fn at(location: Location, data: tempfile::TempDir, targets: &[&str]) -> Self {
        let place = Place {
            location,
            data: data.path().to_owned(),
            clock: Arc::new(ManualClock::default()),
            ids: Arc::new(SeededIds::default()),
            targets: targets.iter().map(|name| (*name).to_owned()).collect(),
            providers: Vec::new(),
            proxies: Proxies::default(),
        };
        Self::begin(place, data).await
    }

    async fn begin(place: Place, data: tempfile::TempDir) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (app, db, server) = Server::start(&place, any).await;
        let admin = app
            .found("alice", "tests")
            .await
            .expect("the first administrator");
        let admin = admin.reveal().to_owned();
        Self {
            app,
            clock: Arc::clone(&place.clock),
            url: format!("http://{}", server.address),
            db,
            server,
            admin,
            place,
            data,
        }
    }

    /// Ends the server wherever it is, and opens it again on the same data at the same address.
    /// People and runners of before go on with it.
    #[must_use]
    pub async fn reopen(self) -> Self {
        let Self {
            app,
            clock,
            url,
            db,
            server,
            admin,
            place,
            data,
        } = self;
        drop((app, db));
        let address = server.address;
        server.kill().await;
        let (app, db, server) = Server::start(&place, address).await;
        Self {
            app,
            clock,
            url,
            db,
            server,
            admin,
            place,
            data,
        }
    }

    /// Ends the server for good. Once this is done nobody answers at its address any more; what it
    /// kept stays until the folder that is given back is dropped.
    #[must_use]
    pub async fn close(self) -> tempfile::TempDir {
        let Self {
            app,
            db,
            server,
            data,
            ..
        } = self;
        drop((app, db));
        server.kill().await;
        data
    }

    /// Another server process on the same PostgreSQL database and the same repositories.
    pub async fn replica(&self) -> App {
        self.place.open(&self.url).await.expect("a replica").0
    }

    /// Where the server keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.path().to_owned()
    }

    /// The database, to look at.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// A project's repository on the server, to look at.
    #[must_use]
    pub fn repository(&self, project: ProjectId) -> Repository {
        let path = self.data().join(format!("repositories/{project}.git"));
        Repository::open(&git(), &path).expect("a repository")
    }

    /// The first administrator.
    #[must_use]
    pub fn alice(&self) -> Person {
        Person::new("alice", &self.url, &self.admin)
    }

    /// Another person, with a role in each of these projects.
    pub async fn person(
        &self,
        name: &str,
        roles: &[(&str, nightshift_domain::access::Role)],
    ) -> Person {
        self.alice().makes_person(name, roles).await
    }

    /// A runner that does by hand what it is told.
    pub async fn hand(&self, name: &str) -> Hand {
        let token = self.app.operator_token(None, Some(name), "tests").await;
        Hand::new(&self.url, token.expect("a runner's token").reveal())
    }

    /// A project with one commit: a check `test` that runs `sh check.sh`, which is green.
    pub async fn project(&self, name: &str) -> Checkout {
        self.project_with(name, "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n")
            .await
    }

    /// A project with one commit and this settings file.
    pub async fn project_with(&self, name: &str, config: &str) -> Checkout {
        let alice = self.alice();
        alice.makes_project(name).await;
        let checkout = self.checkout(name, alice.token());
        checkout.write(".nightshift/config.toml", config);
        checkout.write("check.sh", "exit 0\n");
        checkout.write("README.md", "a project\n");
        checkout.commit("begin");
        checkout
            .push(&["HEAD:refs/heads/main"])
            .expect("the first push");
        checkout
    }

    /// An empty working copy for a project, used with this token.
    #[must_use]
    pub fn checkout(&self, project: &str, token: &str) -> Checkout {
        Checkout::empty(&format!("{}/git/{project}.git", self.url), token)
    }

    /// Lets the reconcilers work until nothing changes any more.
    pub async fn settle(&self) {
        for _ in 0..100 {
            let report = self.app.tick().await.expect("a tick");
            assert_eq!(report.skipped, 0, "a reconciler skipped something");
            if report.changed == 0 {
                return;
            }
        }
        panic!("the reconcilers do not come to rest");
    }

    /// Lets time pass, then the reconcilers work.
    pub async fn after(&self, span: Duration) {
        self.clock.pass(span);
        self.settle().await;
    }
}

impl Server {
    async fn start(place: &Place, address: SocketAddr) -> (App, Db, Self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let place = place.clone();
        let started = runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .expect("a port");
            let address = listener.local_addr().expect("an address");
            let (app, db) = place.open_freed(&format!("http://{address}")).await;
            drop(listen(listener, app.clone()));
            (app, db, address)
        });
        let (app, db, address) = started.await.expect("a server");
        let server = Self {
            runtime: Some(runtime),
            address,
        };
        (app, db, server)
    }

    /// Drops every task where it stands, and waits until all are gone.
    async fn kill(mut self) {
        let runtime = self.runtime.take().expect("a server that runs");
        let ended =
            tokio::task::spawn_blocking(|| runtime.shutdown_timeout(Duration::from_secs(20)));
        ended.await.expect("an end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Place {
    /// Opens an application.
    async fn open(&self, url: &str) -> Result<(App, Db), StoreError> {
        let db = Db::open(&self.location).await?;
        let settings = Settings {
            targets: self.targets.clone(),
            public_url: url.to_owned(),
            providers: self.providers.clone(),
            trusted_proxies: self.proxies.clone(),
            seal_key: Some(nightshift_app::SealKey::new([7; 32])),
            ..Settings::new(self.data.clone(), git())
        };
        let clock = Arc::clone(&self.clock) as Arc<dyn nightshift_app::Clock>;
        let ids = Arc::clone(&self.ids) as Arc<dyn nightshift_app::Ids>;
        let app = App::open(settings, db.clone(), clock, ids).expect("an application");
        Ok((app, db))
    }

    /// Opens an application once the process before it has let go of the database.
    async fn open_freed(&self, url: &str) -> (App, Db) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            match self.open(url).await {
                Ok(opened) => return opened,
                Err(StoreError::Locked { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("the database does not open: {error}"),
            }
        }
    }
}

fn git() -> Git {
    Git::new(GitSettings {
        program: "git".into(),
        path: path_variable(),
        proxy: None,
        ca_file: None,
        limits: Limits::default(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests find the programs where the shell finds them"
)]
fn path_variable() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Serves an application on a free port of the loopback; the caller ends it.
pub async fn serve(app: App) -> (String, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    (format!("http://{address}"), listen(listener, app))
}

fn listen(listener: tokio::net::TcpListener, app: App) -> JoinHandle<()> {
    let router = nightshift_web::router(app);
    tokio::spawn(async move {
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, router).await.expect("a server");
    })
}
