//! Workspaces over what a set-up left, and those in which it is made.
//!
//! Invariants: a set-up that is to be kept has a checkout of its own, so that all of it can be taken;
//! what is kept lies below everything that git tracks, and is never written by who uses it. Deliberately
//! absent: whether something is to be kept or used (`work::cache`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::RunId;

use super::checkout::InUse;
use super::setups::{NotKept, Setup};
use super::sift::Tracked;
use super::{Source, Workspace, WorkspaceError, Workspaces, lay};

/// A checkout as it was when nothing but git had been in it.
#[derive(Debug)]
pub struct Clean(Tracked);

impl Workspaces {
    /// Makes the workspace of a set-up that is to be kept: a checkout of its own, of which everything
    /// can be taken. `name` is that of its directory.
    ///
    /// # Errors
    /// As [`Workspaces::prepare`].
    pub async fn prepare_alone(
        &self,
        source: &Source,
        name: &str,
        start: &ObjectId,
    ) -> Result<Workspace, WorkspaceError> {
        self.admit()?;
        let mirror = self.mirror(source.project);
        if !mirror.has(start) {
            self.fetch(source, std::slice::from_ref(start)).await?;
        }
        Ok(Workspace {
            run: self.host.run_dir(name)?,
            start: start.clone(),
            objects: mirror.objects(),
            warm: None,
            setup: None,
        })
    }

    /// What a commit has at these paths: mode, type, object and path of each that is there, as
    /// `git ls-tree -z` prints it.
    ///
    /// # Errors
    /// The commit cannot be fetched, or git fails.
    pub async fn listing(
        &self,
        source: &Source,
        commit: &ObjectId,
        paths: &[String],
    ) -> Result<Vec<u8>, WorkspaceError> {
        let mirror = self.mirror(source.project);
        if !mirror.has(commit) {
            self.fetch(source, std::slice::from_ref(commit)).await?;
        }
        mirror.listing(commit, paths).await
    }

    /// The kept set-up of this key, if there is one and the commit that it ran on is at hand.
    pub async fn setup(&self, source: &Source, key: &str) -> Option<Setup> {
        let (setups, project, key) = (Arc::clone(&self.setups), source.project, key.to_owned());
        let taken = tokio::task::spawn_blocking(move || setups.take(project, &key)).await;
        let setup = taken.ok().flatten()?;
        let commit = &setup.about.commit;
        if self.mirror(source.project).has(commit) {
            return Some(setup);
        }
        match self.fetch(source, std::slice::from_ref(commit)).await {
            Ok(()) => Some(setup),
            Err(error) => {
                tracing::warn!(%commit, %error, "a kept set-up is not used, since its commit is gone");
                None
            }
        }
    }

    /// Keeps what a set-up left in a workspace of [`Workspaces::prepare_alone`], if that can be.
    ///
    /// # Errors
    /// Why it is not kept.
    pub async fn keep(
        &self,
        source: &Source,
        key: &str,
        workspace: &Workspace,
        clean: Clean,
        by: (RunId, Timestamp),
    ) -> Result<(), NotKept> {
        let (setups, project, key) = (Arc::clone(&self.setups), source.project, key.to_owned());
        let (run, start) = (workspace.run.path().to_owned(), workspace.start.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let from = (&start, by.0, by.1);
            setups.keep(project, &key, &run, &clean.0, from)?;
            if let Err(error) = setups.sweep() {
                tracing::warn!(%error, "old set-ups stay");
            }
            Ok(())
        });
        kept.await
            .unwrap_or_else(|panic| Err(NotKept::Host(panic.to_string())))
    }

    /// Removes what an earlier runner left half made of set-ups. To be called before the first run.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn clear(&self) -> Result<usize, WorkspaceError> {
        let failed = |e| WorkspaceError::host("removing half-made set-ups", e);
        self.setups.clear().map_err(failed)
    }

    /// Whether the way from a checkout to a commit removes something that the set-up has as well: an
    /// overlay would then hide both.
    pub(super) async fn hides(
        &self,
        source: &Source,
        warm: &InUse,
        start: &ObjectId,
        setup: &Setup,
    ) -> Result<bool, WorkspaceError> {
        if warm.commit == *start {
            return Ok(false);
        }
        let removed = self
            .mirror(source.project)
            .removed(&warm.commit, start)
            .await?;
        let tree = setup.path().join("tree");
        let mut paths = removed.split(|byte| *byte == 0).filter(|p| !p.is_empty());
        let there = |path: &[u8]| {
            tree.join(OsStr::from_bytes(path))
                .symlink_metadata()
                .is_ok()
        };
        Ok(paths.any(there))
    }
}

impl Workspace {
    /// What of the tree is tracked, before anything but git was in it: for [`Workspaces::keep`].
    ///
    /// # Errors
    /// The tree cannot be read.
    pub async fn clean(&self) -> Result<Clean, WorkspaceError> {
        let tree = self.run.path().join("tree");
        let looked = tokio::task::spawn_blocking(move || Tracked::of(&tree)).await;
        looked
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
            .map(Clean)
            .map_err(|e| WorkspaceError::host("looking at a clean checkout", e))
    }
}

/// Copies what a set-up left into a workspace in which nothing is yet.
pub(super) async fn lay(
    workspace: Workspace,
    owner: Option<(u32, u32)>,
) -> Result<Workspace, WorkspaceError> {
    let laid = tokio::task::spawn_blocking(move || {
        let from = workspace.setup.as_ref().map(Setup::path);
        let copied = from.into_iter().try_for_each(|from| {
            ["tree", "home"].into_iter().try_for_each(|part| {
                let to = workspace.run.path().join(part);
                lay::copy(&from.join(part), &to, owner).map_err(|e| {
                    let what = format!("copying what a set-up left to {}", to.display());
                    WorkspaceError::host(what, e)
                })
            })
        });
        match copied {
            Ok(()) => Ok(workspace),
            Err(error) => {
                workspace.remove()?;
                Err(error)
            }
        }
    });
    laid.await.unwrap_or_else(|panic| {
        Err(WorkspaceError::host(
            "copying",
            std::io::Error::other(panic),
        ))
    })
}
