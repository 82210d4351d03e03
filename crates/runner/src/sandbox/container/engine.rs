//! What the engine is asked: who it is, one container, and what a dead runner left.
//!
//! Invariant: every answer that is not good becomes an error with the engine's own words; a container
//! whose start fails is removed.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    PruneContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use rustix::process::Pid;
use tokio::time::{sleep, timeout};

use super::Live;
use super::door::{Door, Packet};
use super::mounted;
use super::plan::LABEL;
use super::process::Process;
use crate::sandbox::error::{Part, SandboxError};

/// How long one answer may take, in seconds.
const ANSWER: u64 = 60;
/// How often the engine is asked for a list that cannot be read, and after which pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// What became of a container that is not found any more, or is found without a process.
const SILENT: &str = "its first process ended before it spoke to the runner";
/// From the start of a container to the first word of its first process.
const WORD: Duration = Duration::from_secs(30);

/// Who the engine is.
pub(super) struct Found {
    /// For people.
    pub(super) about: String,
    pub(super) podman: bool,
    /// Whether it limits memory and processes.
    pub(super) limits: bool,
}

/// Connects, and settles on a version of the interface.
pub(super) async fn connect(socket: &Path) -> Result<Docker, SandboxError> {
    let shown = socket.display();
    let failed = |cause: &dyn std::fmt::Display| {
        SandboxError::part(Part::Engine, format!("{shown}: {cause}"))
    };
    // The library's own error does not say whether it is missing, closed or shut to us.
    std::os::unix::net::UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(&"there is no socket"),
        io::ErrorKind::PermissionDenied => failed(&"this user may not open it"),
        io::ErrorKind::ConnectionRefused => failed(&"nobody listens there"),
        _ => failed(&error),
    })?;
    let path = socket.to_str().ok_or_else(|| failed(&"not UTF-8"))?;
    let docker = Docker::connect_with_unix(path, ANSWER, API_DEFAULT_VERSION);
    let docker = docker.map_err(|e| failed(&e))?;
    docker.negotiate_version().await.map_err(|e| failed(&e))
}

/// Asks the engine who it is, and refuses one that cannot keep the walls.
pub(super) async fn look(docker: &Docker, socket: &Path) -> Result<Found, SandboxError> {
    let shown = socket.display();
    let failed = |e: Error| SandboxError::part(Part::Engine, format!("{shown}: {e}"));
    let version = docker.version().await.map_err(failed)?;
    let info = docker.info().await.map_err(failed)?;
    let components = version.components.unwrap_or_default();
    let podman = components.iter().any(|part| part.name.contains("Podman"));
    let name = if podman { "Podman" } else { "Docker" };
    let number = version.version.unwrap_or_default();
    let options = info.security_options.unwrap_or_default();
    if options.iter().any(|option| option.contains("rootless")) {
        return Err(SandboxError::part(
            Part::Engine,
            format!(
                "{shown}: {name} runs without root there, and such an engine cannot give a container the runner's own user"
            ),
        ));
    }
    let limits = info.memory_limit == Some(true) && info.pids_limit == Some(true);
    Ok(Found {
        about: format!("{name} {number} at {shown}"),
        podman,
        limits,
    })
}

/// A container to be brought up.
pub(super) struct Coming {
    pub(super) docker: Docker,
    pub(super) name: String,
    pub(super) body: ContainerCreateBody,
    /// The project's name of its image, if it is one.
    pub(super) image: Option<String>,
    /// What must be a mount of its own inside; empty where the system is the machine's.
    pub(super) places: Vec<String>,
    pub(super) door: Door,
    /// As whom its first process runs.
    pub(super) user: u32,
    pub(super) packet: Packet,
    /// Where its first process is told, before that gets its order: who hears the command can find it.
    pub(super) first: Arc<OnceLock<i32>>,
}

/// Brings a container up and hands its first process the order.
pub(super) async fn start(coming: Coming) -> Result<Live, SandboxError> {
    let Coming {
        docker,
        name,
        body,
        image,
        places,
        door,
        user,
        packet,
        first,
    } = coming;
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let made = docker.create_container(Some(options), body).await;
    made.map_err(|e| SandboxError::part(Part::Engine, format!("making a container: {e}")))?;
    let shown = Shown { image, places };
    let order = Order {
        door,
        user,
        packet,
        first,
    };
    let started = enter(&docker, &name, &shown, order).await;
    if started.is_err() {
        remove(&docker, &name).await;
    }
    started
}

/// What the first process of a container is handed, and how.
struct Order {
    door: Door,
    user: u32,
    packet: Packet,
    first: Arc<OnceLock<i32>>,
}

/// What a container has that is not the machine's.
struct Shown {
    image: Option<String>,
    places: Vec<String>,
}

impl Shown {
    /// What an image can cause is said of it, where there is one.
    fn unfit(&self, cause: &dyn std::fmt::Display) -> SandboxError {
        let cause = format!("starting a container: {cause}");
        match &self.image {
            Some(name) => SandboxError::Image {
                name: name.clone(),
                cause,
            },
            None => SandboxError::part(Part::Engine, cause),
        }
    }
}

async fn enter(
    docker: &Docker,
    name: &str,
    shown: &Shown,
    order: Order,
) -> Result<Live, SandboxError> {
    let Order {
        door,
        user,
        packet,
        first,
    } = order;
    let failed = |cause: &dyn std::fmt::Display| {
        SandboxError::part(Part::Engine, format!("starting a container: {cause}"))
    };
    let started = docker.start_container(name, None::<StartContainerOptions>);
    started.await.map_err(|error| match error {
        // The engine's runtime could not make of it what was asked for.
        Error::DockerResponseServerError { .. } => shown.unfit(&error),
        error => failed(&error),
    })?;
    let found = docker.inspect_container(name, None::<InspectContainerOptions>);
    let state = match found.await {
        Ok(found) => found.state.unwrap_or_default(),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => return Err(shown.unfit(&SILENT)),
        Err(error) => return Err(failed(&error)),
    };
    let number = state.pid.and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = number.and_then(Pid::from_raw) else {
        let code = state.exit_code.unwrap_or_default();
        let said = state.error.unwrap_or_default();
        return Err(shown.unfit(&format!("{SILENT}: it was {code}: {said}")));
    };
    let process = Process::open(pid).map_err(|e| failed(&format!("its first process: {e}")))?;
    let line = tokio::select! {
        biased;
        line = door.first() => line.map_err(|e| failed(&e))?,
        () = process.gone() => return Err(shown.unfit(&SILENT)),
        () = sleep(WORD) => return Err(failed(&format!("no word of its first process within {} s", WORD.as_secs()))),
    };
    let peer = line.peer_cred().map_err(|e| failed(&e))?;
    let pid = pid.as_raw_nonzero().get();
    if peer.pid() != Some(pid) || peer.uid() != user {
        return Err(failed(&format!(
            "another process than its first one ({pid}) came to its door ({peer:?}); the engine must run on the runner's own machine"
        )));
    }
    if !shown.places.is_empty() {
        let mounted = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
        let mounted = mounted.map_err(|e| failed(&e))?;
        mounted::check(&mounted, &shown.places).map_err(|why| shown.unfit(&why))?;
    }
    drop(door);
    // Nobody else sets it.
    first.set(pid).ok();
    let mut line = line;
    packet.send(&mut line).await.map_err(|e| failed(&e))?;
    Ok(Live {
        pid,
        process,
        line: Some(line),
    })
}

/// Removes a container, whatever it does; says whether it is gone.
pub(in crate::sandbox) async fn remove(docker: &Docker, name: &str) -> bool {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
    let removed = docker.remove_container(name, Some(options.build()));
    match timeout(Duration::from_secs(10), removed).await {
        Ok(Ok(())) => true,
        Ok(Err(Error::DockerResponseServerError {
            status_code: 404, ..
        })) => true,
        // It removes itself, too.
        Ok(Err(Error::DockerResponseServerError {
            status_code: 409, ..
        })) => false,
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "a container stays until the next start");
            false
        }
        Err(_elapsed) => {
            tracing::warn!(name, "a container stays until the next start");
            false
        }
    }
}

/// Removes every container of this label; returns how many there were.
pub(super) async fn sweep(docker: &Docker, label: &str) -> Result<usize, SandboxError> {
    let ours = HashMap::from([("label", vec![format!("{LABEL}={label}")])]);
    let failed =
        |e: Error| SandboxError::part(Part::Engine, format!("looking for old containers: {e}"));
    // Those that have ended. Podman has a word of its own for some of them, by which the library
    // cannot read a list.
    let options = PruneContainersOptionsBuilder::new().filters(&ours).build();
    let ended = match docker.prune_containers(Some(options)).await {
        Ok(ended) => ended.containers_deleted.map_or(0, |ended| ended.len()),
        // Somebody else has Docker do the same, one at a time; its list has them all.
        Err(Error::DockerResponseServerError {
            status_code: 409, ..
        }) => 0,
        Err(error) => return Err(failed(error)),
    };
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&ours)
        .build();
    let mut tries = TRIES;
    let found = loop {
        tries -= 1;
        match docker.list_containers(Some(options.clone())).await {
            Ok(found) => break found,
            // It is about to have ended.
            Err(Error::JsonDataError { .. }) if tries > 0 => sleep(PAUSE).await,
            Err(error) => return Err(failed(error)),
        }
    };
    for container in &found {
        if let Some(id) = &container.id {
            remove(docker, id).await;
        }
    }
    Ok(found.len() + ended)
}
