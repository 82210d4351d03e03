//! Brings one sandbox up and lets our own program look at its walls from inside: of this machine at a
//! runner's start, of each image before a run uses it.
//!
//! Invariant: it happens over a directory made for it, so that what a strange image makes of our places
//! touches no run. Deliberately absent: what a wall is ([`super::probe`]).

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::error::{Part, SandboxError};
use super::host::{Engine, SandboxHost};
use super::spec::{self, Exit, Limits, Spec, Stdin, Step, System, Tree};
use super::{Image, RunDir, Sandbox, run_dir};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(60);
/// The most that is read of what a command says.
const WORDS: u64 = 64 << 10;

/// What a command in an image said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
}

/// Looks at the walls of this machine's sandboxes.
pub(super) async fn machine(host: &Arc<SandboxHost>, overlay: bool) -> Result<(), SandboxError> {
    let run = host.run_dir("probe")?;
    let sandbox = sandbox(host, &run, overlay, None)?;
    let mut command = vec![spec::PROGRAM.to_owned()];
    command.extend_from_slice(&host.config.program.prefix_args);
    command.extend(["sandbox-init", "--probe"].map(str::to_owned));
    command.push(host.engine.user().to_string());
    let said = ask(&sandbox, command, System::Machine).await;
    drop(sandbox);
    run.remove()?;
    match said {
        Ok(Said {
            exit: Exit::Exited { code: 0 },
            ..
        }) => Ok(()),
        Ok(Said { exit, err, .. }) => {
            let cause = format!("the probe ended with {exit:?}: {}", err.trim());
            Err(SandboxError::part(Part::Namespaces, cause))
        }
        Err((
            SandboxError::Part {
                part: part @ (Part::Bubblewrap | Part::Engine),
                ..
            },
            said,
        )) if !said.is_empty() => Err(SandboxError::part(part, said)),
        Err((error, _)) => Err(error),
    }
}

/// Looks at the walls where the system is an image's.
pub(super) async fn image(host: &Arc<SandboxHost>, image: &Arc<Image>) -> Result<(), SandboxError> {
    let Engine::Container(engine) = &host.engine else {
        return Ok(());
    };
    let mut command = engine.words(&host.config.program);
    command.extend(["sandbox-init", "--probe-image"].map(str::to_owned));
    command.push(host.engine.user().to_string());
    let Said { exit, err, .. } = inside(host, image, command).await?;
    match exit {
        Exit::Exited { code: 0 } => Ok(()),
        exit => Err(SandboxError::Image {
            name: image.name().to_owned(),
            cause: match err.trim() {
                "" => format!("a look at it from inside ended with {exit:?}"),
                said => said.to_owned(),
            },
        }),
    }
}

/// Runs a command where the system is an image's, over nothing.
pub(super) async fn inside(
    host: &Arc<SandboxHost>,
    image: &Arc<Image>,
    command: Vec<String>,
) -> Result<Said, SandboxError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let run = host.run_dir(&format!("look-{}", NEXT.fetch_add(1, Ordering::Relaxed)))?;
    let sandbox = sandbox(host, &run, false, Some(image))?;
    let said = ask(&sandbox, command, System::Project).await;
    drop(sandbox);
    run.remove()?;
    said.map_err(|(error, _)| error)
}

fn sandbox(
    host: &Arc<SandboxHost>,
    run: &RunDir,
    overlay: bool,
    image: Option<&Arc<Image>>,
) -> Result<Sandbox, SandboxError> {
    let lower = run.path().join("steps/lower");
    let tree = if overlay {
        lower.clone()
    } else {
        run.path().join("tree")
    };
    let failed = |e: io::Error| SandboxError::host(format!("writing {}", tree.display()), e);
    if overlay {
        run_dir::directory(&tree, host.identity).map_err(failed)?;
    }
    fs::write(tree.join("seen"), "below").map_err(failed)?;
    host.give(&tree.join("seen")).map_err(failed)?;
    Ok(Sandbox::new(
        Arc::clone(host),
        Spec {
            run_dir: run.path().to_owned(),
            tree: if overlay {
                Tree::Overlay { lower, setup: None }
            } else {
                Tree::Plain
            },
            image: image.cloned(),
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: Vec::new(),
            limits: Limits {
                memory_bytes: 1 << 30,
                host_free_bytes: 0,
                ..Limits::default()
            },
        },
    ))
}

/// Runs a command; with an error comes what was said before.
async fn ask(
    sandbox: &Sandbox,
    command: Vec<String>,
    system: System,
) -> Result<Said, (SandboxError, String)> {
    let step = Step {
        command,
        env: Vec::new(),
        system,
        stdin: Stdin::Closed,
        timeout: LOOK,
    };
    let started = sandbox.spawn(&step).await;
    let mut running = started.map_err(|error| (error, String::new()))?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
    tokio::join!(read(stdout, &mut out), read(stderr, &mut err));
    let exit = running.wait().await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match exit {
        Ok(exit) => Ok(Said {
            exit,
            out: text(&out),
            err: text(&err),
        }),
        Err(error) => Err((error, text(&err))),
    }
}

async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(stream) = stream {
        // What cannot be read is not in the message; the outcome tells.
        stream.take(WORDS).read_to_end(into).await.ok();
    }
}
