//! A server with everything real but the clock: store, git, HTTP on the loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_app::{App, Settings};
use nightshift_git::{Git, Limits, Settings as GitSettings};
use nightshift_store::{Db, Location};
use tokio::task::JoinHandle;

use crate::checkout::Checkout;
use crate::clock::{ManualClock, SeededIds};
use crate::hand::Hand;
use crate::person::Person;

/// One world. Dropped, it stops its server and removes its data.
pub struct World {
    /// The application, to tick.
    pub app: App,
    /// The time.
    pub clock: Arc<ManualClock>,
    /// Where the server listens: `http://127.0.0.1:port`.
    pub url: String,
    server: JoinHandle<()>,
    admin: String,
    data: tempfile::TempDir,
}

impl World {
    /// A fresh world on SQLite with its first administrator, `alice`.
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let location = Location::Sqlite(data.path().join("nightshift.db"));
        Self::at(location, data, &[]).await
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
        let clock = Arc::new(ManualClock::default());
        let app = open_with(&location, data.path().to_owned(), &clock, targets).await;
        let admin = app
            .found("alice", "tests")
            .await
            .expect("the first administrator");
        let admin = admin.reveal().to_owned();
        let (url, server) = serve(app.clone()).await;
        Self {
            app,
            clock,
            url,
            server,
            admin,
            data,
        }
    }

    /// Where the server keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.path().to_owned()
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

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Opens an application on a database with its data in `data`.
pub async fn open(location: &Location, data: PathBuf, clock: &Arc<ManualClock>) -> App {
    open_with(location, data, clock, &[]).await
}

async fn open_with(
    location: &Location,
    data: PathBuf,
    clock: &Arc<ManualClock>,
    targets: &[&str],
) -> App {
    let db = Db::open(location).await.expect("a database");
    let git = Git::new(GitSettings {
        program: "git".into(),
        path: path_variable(),
        proxy: None,
        ca_file: None,
        limits: Limits::default(),
    });
    let clock = Arc::clone(clock) as Arc<dyn nightshift_app::Clock>;
    let settings = Settings {
        targets: targets.iter().map(|name| (*name).to_owned()).collect(),
        ..Settings::new(data, git)
    };
    App::open(settings, db, clock, Arc::new(SeededIds::default())).expect("an application")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests find the programs where the shell finds them"
)]
fn path_variable() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Serves an application on a free port of the loopback.
pub async fn serve(app: App) -> (String, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = nightshift_web::router(app);
    let server = tokio::spawn(async move {
        axum::serve(listener, router).await.expect("a server");
    });
    (format!("http://{address}"), server)
}
