//! Where one run works: its workspace, its sandbox, its ways out.
//!
//! Invariants: the deadline and the levers are armed before anything is fetched; a proof gets neither
//! a token nor a way to the server or a model, and of the network what the project's list names (its
//! proxy is there where that is nothing, too, so that what it missed is known); what is dropped here is
//! gone from the disk. Deliberately absent: what is done on the bench.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::host::Allowed;
use nightshift_domain::mask::Forms;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript;

use super::check::Printed;
use super::cut::Cut;
use super::step::{self, Guard, Stepped};
use super::ways::{add_agents_ways, network, open_room, speech};
use super::{Task, seal, usage};
use crate::broker::{Dialect, Room, RouteWay, Ways};
use crate::sandbox::spec::PROXY_PORT;
use crate::sandbox::{self, Exit, Image, Limits, RunDir, Sandbox, Spec, Stdin, System, Tree};
use crate::secret::Secret;
use crate::workspace::{About, Clean, Collect, Setup, Source, Workspace, WorkspaceError};

/// The largest index of a working tree that is taken over; a million files have one of this size.
const INDEX: u64 = 256 << 20;

/// What is reached without the proxy: the relays themselves.
const HERE: &str = "127.0.0.1,localhost,::1";

/// What an agent may have that a proof may not.
pub(crate) struct Agent {
    /// The way to its model, if it has one.
    pub(crate) route: Option<RouteWay>,
    /// Its program, visible read-only.
    pub(crate) read_only: Vec<sandbox::Bind>,
    /// Its session, visible and writable.
    pub(crate) writable: Vec<sandbox::Bind>,
}

/// Where one run works.
pub(crate) struct Bench<'a> {
    pub(crate) task: &'a Task,
    pub(crate) sandbox: Sandbox,
    workspace: Option<Workspace>,
    room: Option<Room>,
}

impl<'a> Bench<'a> {
    /// Makes the workspace at `commit` and everything around it, over what a set-up left where there is
    /// something; sealed files are put beside the tree, not into it.
    pub(crate) async fn open(
        task: &'a Task,
        commit: &ObjectId,
        image: Option<Arc<Image>>,
        agent: Option<Agent>,
        setup: Option<Setup>,
    ) -> Result<Self, Cut> {
        let begun = Instant::now();
        let (workspaces, source) = (Arc::clone(&task.worker.workspaces), source(task));
        let (run, start) = (task.order.run, commit.clone());
        let made = async move { workspaces.prepare_over(&source, run, &start, setup).await };
        let workspace = prepare(task, made).await?;
        // A proof leans on nothing that was allowed for one issue.
        let granted: &[Allowed] = match task.order.author {
            Some(_) => &task.order.grants,
            None => &[],
        };
        let mut ways = Ways {
            network: Some(network(task, granted)),
            ..Ways::default()
        };
        let mut spec = workspace.spec(limits(task));
        spec.image = image;
        if let Some(agent) = agent {
            spec.read_only.extend(agent.read_only);
            spec.writable.extend(agent.writable);
            add_agents_ways(&mut ways, task, agent.route);
        }
        let bench = Self::over(task, workspace, spec, ways).await?;
        seal::write(bench.run_dir()?, task.order.acceptance.as_ref())?;
        bench.adjust().await?;
        bench.keep_index()?;
        task.say(
            transcript::Step::Prepare,
            format!("at {} after {:.1?}", commit.short(), begun.elapsed()),
        );
        Ok(bench)
    }

    /// Where a set-up runs that is to be kept: on this commit alone, with nothing of the run's own. It
    /// has neither the agent's things nor the sealed tests, and of the network what the project's and
    /// the operator's lists name.
    pub(crate) async fn alone(
        task: &'a Task,
        commit: &ObjectId,
        image: Option<Arc<Image>>,
    ) -> Result<Self, Cut> {
        let (workspaces, source) = (Arc::clone(&task.worker.workspaces), source(task));
        let (name, start) = (format!("setup-{}", task.order.run), commit.clone());
        let made = async move { workspaces.prepare_alone(&source, &name, &start).await };
        let workspace = prepare(task, made).await?;
        let ways = Ways {
            network: Some(network(task, &[])),
            ..Ways::default()
        };
        let mut spec = workspace.spec(limits(task));
        spec.image = image;
        let bench = Self::over(task, workspace, spec, ways).await?;
        match bench.adjust().await {
            Ok(()) => Ok(bench),
            Err(cut) => {
                bench.close().await;
                Err(cut)
            }
        }
    }

    async fn over(
        task: &'a Task,
        workspace: Workspace,
        mut spec: Spec,
        ways: Ways,
    ) -> Result<Self, Cut> {
        let room = open_room(task, workspace.run_dir(), ways).await?;
        spec.relays = room.relays();
        Ok(Self {
            task,
            sandbox: Sandbox::new(Arc::clone(&task.worker.host), spec),
            workspace: Some(workspace),
            room: Some(room),
        })
    }

    /// Where something is added to an image, with the ways to what the project's and the operator's
    /// lists name: what is allowed for one issue is not there, since others get the result as well.
    pub(crate) async fn install(
        task: &'a Task,
        image: &Arc<Image>,
        run: &RunDir,
    ) -> Result<Self, Cut> {
        let ways = Ways {
            network: Some(network(task, &[])),
            ..Ways::default()
        };
        let room = open_room(task, run, ways).await?;
        let spec = Spec {
            run_dir: run.path().to_owned(),
            tree: Tree::Plain,
            image: Some(Arc::clone(image)),
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: room.relays(),
            limits: limits(task),
        };
        Ok(Self {
            task,
            sandbox: Sandbox::new(Arc::clone(&task.worker.host), spec),
            workspace: None,
            room: Some(room),
        })
    }

    /// The system that the project's commands see, where it is an image's.
    pub(crate) fn image(&self) -> Option<&Image> {
        self.sandbox.spec().image.as_deref()
    }

    /// All variables of a command of the project that is given nothing of its own.
    pub(crate) fn whole_env(&self) -> Vec<(String, String)> {
        let below = self.image().map(Image::env).unwrap_or_default();
        sandbox::environment(below, &self.plain_env())
    }

    /// Writes a file that is visible inside at `/nightshift/<name>`.
    pub(crate) fn control(&self, name: &Path, bytes: &[u8]) -> Result<(), Cut> {
        Ok(self.run_dir()?.write_control(name, bytes, false)?)
    }

    /// What a command of the project finds in its environment, beside the sandbox's own.
    pub(crate) fn plain_env(&self) -> Vec<(String, String)> {
        let proxied = self
            .sandbox
            .spec()
            .relays
            .iter()
            .any(|relay| relay.port == PROXY_PORT);
        let proxy = format!("http://127.0.0.1:{PROXY_PORT}");
        let proxy = [
            ("HTTP_PROXY", proxy.as_str()),
            ("HTTPS_PROXY", &proxy),
            ("http_proxy", &proxy),
            ("https_proxy", &proxy),
            ("NO_PROXY", HERE),
            ("no_proxy", HERE),
            // Node reads the variables above only where this one is set.
            ("NODE_USE_ENV_PROXY", "1"),
        ];
        let plain = [
            ("CI", "true"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_EDITOR", "true"),
            ("GIT_PAGER", "cat"),
            ("PAGER", "cat"),
        ];
        let proxy = proxy.into_iter().filter(|_| proxied);
        plain
            .into_iter()
            .chain(proxy)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The secrets that a step of this name gets.
    pub(crate) fn secrets(&self, step: &str) -> Vec<(String, String)> {
        let secrets = self.task.order.secrets.iter();
        let given = secrets.filter(|secret| secret.steps.iter().any(|name| name == step));
        given
            .map(|secret| (secret.name.clone(), secret.value.clone()))
            .collect()
    }

    /// What nobody is to read of what programs print.
    pub(crate) fn hidden(&self) -> &Forms {
        self.task.log.hidden()
    }

    /// What stands in the sandbox for the model's key.
    pub(crate) fn model_token(&self, dialect: Dialect) -> Option<&str> {
        self.room.as_ref()?.token(dialect)
    }

    /// How often the agent asked the person, as the server acknowledged.
    pub(crate) async fn asks(&self) -> u64 {
        let Some(room) = &self.room else {
            return 0;
        };
        let posts = room.report().await.posts;
        let of = |what| posts.get(&speech(self.task, what)).copied().unwrap_or(0);
        of("ask") + of("hosts")
    }

    /// What calls to models used so far; none where there were none.
    pub(crate) async fn used(&self) -> Option<transcript::Usage> {
        let models = self.room.as_ref()?.report().await.models;
        let traffic = Traffic {
            models,
            ..Traffic::default()
        };
        let used = usage::measured(transcript::Usage::default(), &traffic, true);
        (!traffic.models.is_empty()).then_some(used)
    }

    /// What of the tree is tracked, as long as nothing but git was in it.
    pub(crate) async fn clean(&self) -> Result<Clean, Cut> {
        Ok(self.workspace()?.clean().await?)
    }

    /// What a set-up left before, where this is over it.
    pub(crate) fn setup(&self) -> Option<&About> {
        self.workspace.as_ref()?.setup()
    }

    /// Closes the ways out and removes everything; what went out is said in the log, and returned.
    pub(crate) async fn close(mut self) -> Traffic {
        let traffic = self.shut().await;
        if let Some(workspace) = self.workspace.take() {
            remove(workspace).await;
        }
        traffic
    }

    /// Closes the ways out, and returns with what went out the workspace that is left.
    pub(crate) async fn leave(mut self) -> (Traffic, Option<Workspace>) {
        (self.shut().await, self.workspace.take())
    }

    async fn shut(&mut self) -> Traffic {
        let mut traffic = Traffic::default();
        if let Some(room) = self.room.take() {
            let report = room.close().await;
            let (model, platform) = (report.model, report.platform);
            traffic.hosts = report.hosts;
            traffic.models = report.models;
            self.task.say(
                transcript::Step::Runner,
                format!(
                    "model: {} requests, {} failed, {} refused, {} bytes sent, {} received; \
                     platform: {} requests, {} failed, {} refused",
                    model.requests,
                    model.failed,
                    model.refused,
                    model.bytes_sent,
                    model.bytes_received,
                    platform.requests,
                    platform.failed,
                    platform.refused,
                ),
            );
        }
        traffic
    }

    fn workspace(&self) -> Result<&Workspace, Cut> {
        let gone = || Cut::failed(Reason::WorkspaceFailed, say::workspace_gone());
        self.workspace.as_ref().ok_or_else(gone)
    }

    fn run_dir(&self) -> Result<&sandbox::RunDir, Cut> {
        Ok(self.workspace()?.run_dir())
    }

    /// Brings the tree from the nearest warm checkout to the start.
    async fn adjust(&self) -> Result<(), Cut> {
        let Some(command) = self.workspace.as_ref().and_then(Workspace::adjust) else {
            return Ok(());
        };
        let command = sandbox::Step {
            command,
            env: Vec::new(),
            system: System::Machine,
            stdin: Stdin::Closed,
            timeout: self.task.left(),
        };
        let mut printed = Printed::default();
        let phase = transcript::Step::Prepare;
        match step::run(self, phase, &command, Guard::Work, 64 << 10, &mut printed).await? {
            Stepped::Ended(Exit::Exited { code: 0 }) => Ok(()),
            Stepped::Ended(Exit::Capped(cap)) => Err(Cut::capped(cap)),
            other => Err(Cut::failed(
                Reason::WorkspaceFailed,
                say::not_adjusted(format!("{other:?}"), printed.tail().trim()),
            )),
        }
    }

    /// Keeps git's index of the untouched tree, so that publishing need not read every file again
    /// and never trusts one that an agent wrote.
    fn keep_index(&self) -> Result<(), Cut> {
        let run = self.run_dir()?.path();
        let places: [PathBuf; 3] = [
            run.join("upper"),
            run.join("tree"),
            match &self.sandbox.spec().tree {
                Tree::Overlay { lower, .. } => lower.clone(),
                Tree::Plain => run.join("tree"),
            },
        ];
        let index = places.iter().find_map(|place| {
            let name = Path::new(".git/index");
            let time = std::fs::symlink_metadata(place.join(name)).ok()?.modified();
            let bytes = Collect::open(place).ok()?.read(name, INDEX).ok()?;
            Some((bytes, time.ok()?))
        });
        let Some((bytes, time)) = index else {
            return Ok(());
        };
        self.control(Path::new("index"), &bytes)?;
        // Git reads a file again whose time is not older than the index's: it must stay the same,
        // or a change within the second of the checkout would not be seen.
        let copy = std::fs::File::options()
            .write(true)
            .open(run.join("control/index"));
        copy.and_then(|copy| copy.set_modified(time))
            .map_err(|e| Cut::failed(Reason::WorkspaceFailed, say::no_index(e.to_string())))
    }
}

/// Where the run's repository is read from.
pub(super) fn source(task: &Task) -> Source {
    Source {
        project: task.order.project_id,
        url: format!(
            "{}{}",
            task.worker.config.server.trim_end_matches('/'),
            task.order.git_path
        ),
        token: Secret::new(task.order.token.clone()),
    }
}

/// Makes a workspace; a halt does not wait for it, and what then still comes of it is removed.
async fn prepare(
    task: &Task,
    made: impl Future<Output = Result<Workspace, WorkspaceError>> + Send + 'static,
) -> Result<Workspace, Cut> {
    let mut made = tokio::spawn(made);
    let late = |made: tokio::task::JoinHandle<Result<Workspace, _>>| {
        tokio::spawn(async move {
            if let Ok(Ok(workspace)) = made.await {
                remove(workspace).await;
            }
        })
    };
    tokio::select! {
        biased;
        workspace = &mut made => match workspace {
            Ok(workspace) => Ok(workspace?),
            Err(panic) => Err(Cut::failed(Reason::WorkspaceFailed, say::as_said(panic.to_string()))),
        },
        () = task.control.until_halted() => {
            let _detached = late(made);
            Err(Cut::of_control(&task.control).unwrap_or(Cut::Lost))
        }
        () = tokio::time::sleep(task.left()) => {
            let _detached = late(made);
            Err(Cut::failed(
                Reason::WorkspaceFailed,
                say::time_up_workspace(),
            ))
        }
    }
}

/// Removes a workspace in which nothing is alive.
pub(super) async fn remove(workspace: Workspace) {
    let removed = tokio::task::spawn_blocking(move || workspace.remove()).await;
    match removed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a run's directory stays until the next start"),
        Err(panic) => tracing::error!(%panic, "a run's directory stays until the next start"),
    }
}

fn limits(task: &Task) -> Limits {
    let order = task.order.limits;
    Limits {
        memory_bytes: order.memory_bytes,
        processes: order.processes,
        disk_bytes: order.disk_bytes,
        ..Limits::default()
    }
}
