//! What a run works on: the project's tree at the start commit, in milliseconds at any size.
//!
//! Under `<data>/projects/<project>/` lies a bare mirror and, per commit, a warm checkout that
//! borrows the mirror's objects. A run sees an overlay over the nearest warm checkout, and brings it
//! to its start commit inside its own sandbox. Below both may lie what a set-up left ([`Setup`]): what
//! git tracks hides it. Invariants: nothing here that an agent could have
//! written is ever read by the host's git; nothing in use is removed. Deliberately absent:
//! publishing, the contents of prompts, and which set-ups are kept (`work::cache`).

mod checkout;
pub mod collect;
mod error;
mod lay;
mod mirror;
mod over;
mod setups;
mod shelf;
mod sift;
mod walk;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{ProjectId, RunId};
use tokio::io::AsyncReadExt as _;

pub use collect::Collect;
pub use error::WorkspaceError;
pub use over::Clean;
pub use setups::{About, NotKept, Setup};
pub use sift::Refused;

use checkout::{Checkouts, InUse};
use mirror::Mirror;
use setups::Setups;

use crate::sandbox::{
    Bind, Exit, Limits, RunDir, Sandbox, SandboxHost, Spec, Stdin, Step, System, Tree, free_bytes,
    spec,
};
use crate::secret::Secret;

/// Checkouts of a project that stay however long they were not used.
const KEEP: usize = 2;
/// How long an unused checkout stays.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// The longest a checkout may take.
const CHECKOUT: Duration = Duration::from_secs(30 * 60);

/// Where a project's repository is read from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The project.
    pub project: ProjectId,
    /// The repository's address, without credentials.
    pub url: String,
    /// Sent as bearer token.
    pub token: Secret,
}

/// All workspaces of this runner.
#[derive(Debug)]
pub struct Workspaces {
    host: Arc<SandboxHost>,
    git: PathBuf,
    /// One change at a time to each project's mirror and checkouts.
    turns: Mutex<HashMap<ProjectId, Arc<tokio::sync::Mutex<()>>>>,
    setups: Arc<Setups>,
}

/// The tree of one run. Dropping it lets the warm checkout go; the run's directory stays until
/// [`Workspace::remove`] or the next start's sweep.
#[derive(Debug)]
pub struct Workspace {
    run: RunDir,
    start: ObjectId,
    objects: PathBuf,
    warm: Option<InUse>,
    setup: Option<Setup>,
}

impl Workspaces {
    /// Workspaces in the host's data directory; `git` is the host's program.
    #[must_use]
    pub fn new(host: Arc<SandboxHost>, git: PathBuf) -> Self {
        let setups = Arc::new(Setups::new(host.data().join("projects")));
        Self {
            host,
            git,
            turns: Mutex::default(),
            setups,
        }
    }

    /// Makes the workspace of a run at `start`.
    ///
    /// # Errors
    /// The commit cannot be fetched or checked out, the disk is full, or the run has one already.
    pub async fn prepare(
        &self,
        source: &Source,
        run: RunId,
        start: &ObjectId,
    ) -> Result<Workspace, WorkspaceError> {
        self.prepare_over(source, run, start, None).await
    }

    /// The same over what a set-up left, which the run cannot write.
    ///
    /// # Errors
    /// As [`Workspaces::prepare`]; what is kept cannot be laid.
    pub async fn prepare_over(
        &self,
        source: &Source,
        run: RunId,
        start: &ObjectId,
        setup: Option<Setup>,
    ) -> Result<Workspace, WorkspaceError> {
        self.admit()?;
        let mirror = self.mirror(source.project);
        if !mirror.has(start) {
            self.fetch(source, std::slice::from_ref(start)).await?;
        }
        let warm = if self.host.support().no_overlay.is_some() {
            None
        } else {
            let nearest = self.nearest(source, start).await?;
            match &setup {
                Some(setup) if self.hides(source, &nearest, start, setup).await? => {
                    drop(nearest);
                    Some(self.checkout(source.project, start).await?)
                }
                Some(_) | None => Some(nearest),
            }
        };
        let mut workspace = Workspace {
            run: self.host.run_dir(&run.to_string())?,
            start: start.clone(),
            objects: mirror.objects(),
            warm,
            setup,
        };
        if workspace.warm.is_none() && workspace.setup.is_some() {
            workspace = over::lay(workspace, self.host.owner()).await?;
        }
        Ok(workspace)
    }

    /// Brings commits into the project's mirror, so that runs can name them.
    ///
    /// # Errors
    /// The server does not answer, refuses, or does not have them.
    pub async fn fetch(&self, source: &Source, commits: &[ObjectId]) -> Result<(), WorkspaceError> {
        let turn = self.turn(source.project);
        let _turn = turn.lock().await;
        let mirror = self.mirror(source.project);
        mirror.fetch(&source.url, &source.token, commits).await
    }

    /// Makes the warm checkout of `commit` if it is not there; for the background, so that the next
    /// run starts on it.
    ///
    /// # Errors
    /// As [`Workspaces::prepare`].
    pub async fn warm(&self, source: &Source, commit: &ObjectId) -> Result<(), WorkspaceError> {
        self.fetch(source, std::slice::from_ref(commit)).await?;
        if self.host.support().no_overlay.is_none() {
            self.checkout(source.project, commit).await?;
        }
        Ok(())
    }

    /// Removes warm checkouts that no run uses and that were not used for a day, but for the two
    /// used last of each project. Returns how many went.
    ///
    /// # Errors
    /// The file system refuses; what was not reached stays.
    pub fn sweep(&self, now: SystemTime) -> Result<usize, WorkspaceError> {
        let projects = self.host.data().join("projects");
        let failed = |e| WorkspaceError::host(format!("sweeping {}", projects.display()), e);
        let mut gone = 0;
        for entry in std::fs::read_dir(&projects).map_err(failed)? {
            let checkouts = Checkouts::new(entry.map_err(failed)?.path().join("checkouts"));
            match checkouts.sweep(now, GRACE, KEEP) {
                Ok(count) => gone += count,
                // One project that cannot be swept does not hold up the others.
                Err(error) => {
                    tracing::warn!(path = %checkouts.path().display(), %error, "warm checkouts stay");
                }
            }
        }
        match self.setups.sweep() {
            Ok(count) => gone += count,
            Err(error) => tracing::warn!(%error, "old set-ups stay"),
        }
        Ok(gone)
    }

    async fn nearest(&self, source: &Source, start: &ObjectId) -> Result<InUse, WorkspaceError> {
        let checkouts = self.checkouts(source.project);
        match checkouts.exact(start).or_else(|| checkouts.newest()) {
            Some(found) => Ok(found),
            None => self.checkout(source.project, start).await,
        }
    }

    /// Makes a checkout in a sandbox and gives it its name.
    async fn checkout(
        &self,
        project: ProjectId,
        commit: &ObjectId,
    ) -> Result<InUse, WorkspaceError> {
        let turn = self.turn(project);
        let _turn = turn.lock().await;
        let checkouts = self.checkouts(project);
        if let Some(found) = checkouts.exact(commit) {
            return Ok(found);
        }
        let workspace = Workspace {
            run: self.host.run_dir(&format!("warm-{project}-{commit}"))?,
            start: commit.clone(),
            objects: self.mirror(project).objects(),
            warm: None,
            setup: None,
        };
        let limits = Limits {
            disk_bytes: 256 << 30,
            disk_files: 10_000_000,
            host_free_bytes: Limits::default().host_free_bytes,
            ..Limits::default()
        };
        let made = self.run_checkout(&workspace, limits).await;
        let adopted = made.and_then(|()| {
            checkouts
                .adopt(commit, &workspace.run.path().join("tree"))
                .map_err(|e| WorkspaceError::host(format!("keeping the checkout of {commit}"), e))
        });
        workspace.remove()?;
        adopted?;
        checkouts.exact(commit).ok_or_else(|| {
            let cause = std::io::ErrorKind::NotFound.into();
            WorkspaceError::host(format!("using the checkout of {commit}"), cause)
        })
    }

    async fn run_checkout(
        &self,
        workspace: &Workspace,
        limits: Limits,
    ) -> Result<(), WorkspaceError> {
        let sandbox = Sandbox::new(Arc::clone(&self.host), workspace.spec(limits));
        let step = Step {
            command: workspace.adjust().unwrap_or_default(),
            env: Vec::new(),
            system: System::Machine,
            stdin: Stdin::Closed,
            timeout: CHECKOUT,
        };
        let mut running = sandbox.spawn(&step).await?;
        let mut said = Vec::new();
        if let Some(errors) = running.stderr.take() {
            // The first bytes name the cause; what comes after them is let go by closing.
            errors.take(16 << 10).read_to_end(&mut said).await.ok();
        }
        match running.wait().await? {
            Exit::Exited { code: 0 } => Ok(()),
            exit => Err(WorkspaceError::Checkout {
                commit: workspace.start.clone(),
                exit,
                said: String::from_utf8_lossy(&said).trim().to_owned(),
            }),
        }
    }

    fn admit(&self) -> Result<(), WorkspaceError> {
        let path = self.host.data().to_owned();
        let (free, needed) = (free_bytes(&path), Limits::default().host_free_bytes);
        if free < needed {
            return Err(WorkspaceError::Full { path, free, needed });
        }
        Ok(())
    }

    fn mirror(&self, project: ProjectId) -> Mirror {
        Mirror::new(&self.git, self.project(project).join("mirror.git"))
    }

    fn checkouts(&self, project: ProjectId) -> Checkouts {
        Checkouts::new(self.project(project).join("checkouts"))
    }

    fn project(&self, project: ProjectId) -> PathBuf {
        self.host.data().join("projects").join(project.to_string())
    }

    fn turn(&self, project: ProjectId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(project).or_default())
    }
}

impl Workspace {
    /// The run's directory.
    #[must_use]
    pub fn run_dir(&self) -> &RunDir {
        &self.run
    }

    /// The commit that the tree is at once [`Workspace::adjust`] has run.
    #[must_use]
    pub fn start(&self) -> &ObjectId {
        &self.start
    }

    /// The specification of the run's sandbox; the caller adds what else is visible, and the relays.
    #[must_use]
    pub fn spec(&self, limits: Limits) -> Spec {
        Spec {
            run_dir: self.run.path().to_owned(),
            tree: match &self.warm {
                Some(warm) => Tree::Overlay {
                    lower: warm.tree.clone(),
                    setup: self.setup.as_ref().map(|setup| setup.path().to_owned()),
                },
                None => Tree::Plain,
            },
            image: None,
            read_only: vec![Bind {
                source: self.objects.clone(),
                target: spec::OBJECTS.into(),
            }],
            writable: Vec::new(),
            relays: Vec::new(),
            limits,
        }
    }

    /// The command that must succeed in the sandbox before anything else does, to bring the tree to
    /// the start commit; `None` when the warm checkout is of that very commit.
    #[must_use]
    pub fn adjust(&self) -> Option<Vec<String>> {
        let laid = self.setup.as_ref();
        let script = match &self.warm {
            // All of it is younger than what was laid.
            None => checkout::whole(&self.start, laid.is_some()),
            Some(warm) => {
                let mut script = String::new();
                if warm.commit != self.start {
                    script += &checkout::delta(&warm.commit, &self.start);
                }
                match laid.map(|setup| &setup.about.commit) {
                    Some(seen) if *seen != self.start => {
                        script += &checkout::younger(seen, &self.start);
                    }
                    Some(_) | None => {}
                }
                script
            }
        };
        (!script.is_empty()).then(|| checkout::shell(&script))
    }

    /// What a set-up left before, where the workspace is made over it.
    #[must_use]
    pub fn setup(&self) -> Option<&About> {
        self.setup.as_ref().map(|setup| &setup.about)
    }

    /// Removes the run's directory with everything the agent made. Nothing of the run may be alive.
    ///
    /// # Errors
    /// The file system refuses; the next start's sweep tries again.
    pub fn remove(self) -> Result<(), WorkspaceError> {
        Ok(self.run.remove()?)
    }
}
