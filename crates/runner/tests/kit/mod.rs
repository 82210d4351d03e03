//! What the sandbox tests share: a runner's machine in a temporary directory, and a way to run a
//! shell script as a captured agent would.
//!
//! Invariant: the real bubblewrap; where it is missing the tests fail.
#![expect(dead_code, reason = "each test program uses its own part of the kit")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightshift_runner::sandbox::{
    Exit, HostConfig, Limits, RunDir, Running, Sandbox, SandboxError, SandboxHost, SandboxProgram,
    Spec, Stdin, Step, Tree,
};
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

pub(crate) fn config(dir: &std::path::Path) -> HostConfig {
    HostConfig {
        program: SandboxProgram {
            path: program(),
            prefix_args: Vec::new(),
        },
        bwrap: PathBuf::from("/usr/bin/bwrap"),
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
        let dir = tempfile::tempdir().expect("a directory");
        let host = SandboxHost::open(config(dir.path())).await;
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
            Tree::Overlay { lower }
        };
        let spec = Spec {
            run_dir: run.path().to_owned(),
            tree,
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

pub(crate) fn step(script: &str) -> Step {
    Step {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
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
