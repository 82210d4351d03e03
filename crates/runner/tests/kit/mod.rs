//! What the sandbox tests share: a runner's machine in a temporary directory, and a way to run a
//! shell script as a captured agent would.
//!
//! Invariant: the real engines; where one is missing its tests fail.
#![expect(dead_code, reason = "each test program uses its own part of the kit")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_runner::sandbox::{
    Backend, Exit, HostConfig, Limits, RunDir, Running, Sandbox, SandboxError, SandboxHost,
    SandboxProgram, Spec, Stdin, Step, System, Tree,
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

/// A machine with one run.
pub(crate) struct Machine {
    pub(crate) host: Arc<SandboxHost>,
    pub(crate) run: RunDir,
    pub(crate) spec: Spec,
    pub(crate) dir: tempfile::TempDir,
}

/// How a script ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Result<Exit, SandboxError>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What makes the walls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Bubblewrap,
    Container,
}

impl On {
    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Bubblewrap => Backend::Bubblewrap {
                program: PathBuf::from("/usr/bin/bwrap"),
            },
            Self::Container => Backend::Container {
                socket: nightshift_testkit::containers::socket(),
            },
        }
    }

    /// Its word in the names of tests.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Container => "container",
        }
    }
}

pub(crate) fn config(dir: &std::path::Path) -> HostConfig {
    config_on(On::Bubblewrap, dir)
}

pub(crate) fn config_on(on: On, dir: &std::path::Path) -> HostConfig {
    HostConfig {
        program: SandboxProgram {
            path: program(),
            prefix_args: Vec::new(),
        },
        backend: on.backend(),
        data: dir.join("data"),
        read_only: Vec::new(),
    }
}

/// Names the program to use in place of the built one, for [`again_as_an_ordinary_user`].
const PROGRAM: &str = "NIGHTSHIFT_TEST_PROGRAM";

#[expect(
    clippy::disallowed_methods,
    reason = "a test that starts itself again says where things are"
)]
pub(crate) fn program() -> PathBuf {
    match std::env::var_os(PROGRAM) {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_BIN_EXE_nightshift-sandbox")),
    }
}

/// Runs all tests of this program but `except` once more as a user without rights, if we are root.
#[expect(clippy::disallowed_methods, reason = "a test that starts itself again")]
pub(crate) fn again_as_an_ordinary_user(except: &str) {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).expect("rights");
    // Where things are built an ordinary user may not look.
    let copies = ["tests", "program"].map(|name| dir.path().join(name));
    std::fs::copy(std::env::current_exe().expect("our own path"), &copies[0]).expect("a copy");
    std::fs::copy(program(), &copies[1]).expect("a copy");
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&copies[0])
        .args(["--skip", except])
        // Whoever may open the socket of a container engine is root.
        .args(["--skip", "container::"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", dir.path())
        .env("HOME", dir.path())
        .env(PROGRAM, &copies[1])
        .current_dir(dir.path())
        .output()
        .expect("setpriv");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("test result: ok") && !said.contains(" 0 passed"),
        "{said}"
    );
}

impl Machine {
    pub(crate) async fn new() -> Self {
        Self::on(On::Bubblewrap).await
    }

    pub(crate) async fn on(on: On) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let host = SandboxHost::open(config_on(on, dir.path())).await;
        let host = host.expect("a machine on which sandboxes work");
        let run = host.run_dir("run").expect("a run directory");
        Self::with(host, run, dir)
    }

    /// A machine with a run that are there already.
    pub(crate) fn with(host: Arc<SandboxHost>, run: RunDir, dir: tempfile::TempDir) -> Self {
        let lower = dir.path().join("lower");
        host.shared_dir(&lower).expect("a lower directory");
        let tree = if host.support().no_overlay.is_some() {
            Tree::Plain
        } else {
            Tree::Overlay { lower, setup: None }
        };
        let spec = Spec {
            run_dir: run.path().to_owned(),
            tree,
            image: None,
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: Vec::new(),
            limits: Limits {
                host_free_bytes: 0,
                ..Limits::default()
            },
        };
        Self {
            host,
            run,
            spec,
            dir,
        }
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new(Arc::clone(&self.host), self.spec.clone())
    }

    pub(crate) async fn sh(&self, script: &str) -> Ran {
        finish(self.sandbox().spawn(&step(script)).await.expect("a start")).await
    }
}

/// How many containers the engine has of the data directory in `dir`.
pub(crate) async fn containers(on: On, dir: &std::path::Path) -> usize {
    match on {
        On::Bubblewrap => 0,
        On::Container => list(on, dir).await.1.len(),
    }
}

/// Waits until the engine has none of them: it removes what has ended a moment later.
pub(crate) async fn nothing_left(on: On, dir: &std::path::Path) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while containers(on, dir).await > 0 {
        assert!(std::time::Instant::now() < end, "containers stay");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// All that the engine tells about the one container of the data directory in `dir`, and what it
/// printed as far as the engine knows.
pub(crate) async fn known_of(on: On, dir: &std::path::Path) -> String {
    use futures_util::StreamExt as _;
    let (docker, found) = list(on, dir).await;
    let id = found[0].id.clone().expect("an id");
    let about = docker
        .inspect_container(
            &id,
            None::<bollard::query_parameters::InspectContainerOptions>,
        )
        .await;
    let options = bollard::query_parameters::LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .build();
    let printed: Vec<_> = docker.logs(&id, Some(options)).collect().await;
    format!("{:?}\n{printed:?}", about.expect("an answer"))
}

/// Makes a container with the label of the data directory in `dir`, of a runner's own image.
pub(crate) async fn container_that_never_starts(on: On, dir: &std::path::Path) {
    let (docker, _) = list(on, dir).await;
    let images = docker
        .list_images(None::<bollard::query_parameters::ListImagesOptions>)
        .await;
    let images = images.expect("images");
    let empty = |image: &&bollard::models::ImageSummary| {
        let mut names = image.repo_tags.iter();
        names.any(|name| name.starts_with("localhost/nightshift-empty-"))
    };
    let body = bollard::models::ContainerCreateBody {
        image: Some(images.iter().find(empty).expect("it was made").id.clone()),
        cmd: Some(vec!["/bin/true".to_owned()]),
        labels: Some(HashMap::from([("nightshift.data".to_owned(), label(dir))])),
        ..Default::default()
    };
    let options = None::<bollard::query_parameters::CreateContainerOptions>;
    let made = docker.create_container(options, body).await;
    made.expect("a container");
}

fn label(dir: &std::path::Path) -> String {
    let data = dir.join("data").canonicalize().expect("a data directory");
    let hash = Sha256::digest(data.as_os_str().as_encoded_bytes());
    format!("nightshift-{}", hex::encode(&hash[..8]))
}

async fn list(
    on: On,
    dir: &std::path::Path,
) -> (bollard::Docker, Vec<bollard::models::ContainerSummary>) {
    let Backend::Container { socket } = on.backend() else {
        panic!("only containers are listed");
    };
    let label = format!("nightshift.data={}", label(dir));
    let socket = socket.to_str().expect("a path");
    let docker = bollard::Docker::connect_with_unix(socket, 60, bollard::API_DEFAULT_VERSION);
    let docker = docker.expect("an engine").negotiate_version().await;
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&HashMap::from([("label", vec![label])]))
        .build();
    let docker = docker.expect("an engine");
    let found = docker.list_containers(Some(options)).await;
    (docker, found.expect("a list"))
}

pub(crate) fn step(script: &str) -> Step {
    Step {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
        system: System::Project,
        stdin: Stdin::Closed,
        timeout: Duration::from_secs(60),
    }
}

pub(crate) async fn finish(mut running: Running) -> Ran {
    let mut stdout = running.stdout.take().expect("output");
    let mut stderr = running.stderr.take().expect("error output");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (exit, _, _) = tokio::join!(
        running.wait(),
        stdout.read_to_end(&mut out),
        stderr.read_to_end(&mut err)
    );
    Ran {
        exit,
        out: String::from_utf8_lossy(&out).into_owned(),
        err: String::from_utf8_lossy(&err).into_owned(),
    }
}

pub(crate) const DONE: Result<Exit, SandboxError> = Ok(Exit::Exited { code: 0 });
