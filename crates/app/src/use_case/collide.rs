//! Which other open changes a change collides with, foretold.
//!
//! Trial merges of large changes take longer than a page may. So a page waits a moment for them and
//! shows what is known then; they go on behind it and are remembered. Deliberately absent: merging.

use std::collections::HashMap;
use std::time::Duration;

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, Number};
use nightshift_store::pull::Pull;
use nightshift_store::{issue, pull};

use super::pull::PullLine;
use crate::collided::Paths;
use crate::{App, Error};

/// How many other open changes are tried against one.
const MOST_TRIED: i64 = 20;
/// How long somebody who looks at a change waits for the trial merges: about as long as the diff takes
/// beside them.
const PATIENCE: Duration = Duration::from_millis(10);

/// Other open changes that do not merge with this one.
#[derive(Debug, Clone, Default)]
pub struct Collisions {
    /// Those that are known.
    pub found: Vec<Collision>,
    /// Whether some are still being tried; a later look knows.
    pub trying: bool,
}

/// Another open change that does not merge with this one.
#[derive(Debug, Clone)]
pub struct Collision {
    /// Its number.
    pub number: Number,
    /// Its title.
    pub title: String,
    /// Where they collide.
    pub paths: Vec<String>,
}

impl App {
    /// Tries this change against the other open ones, so that a collision is known before landing.
    pub(crate) async fn collisions(&self, view: &PullLine) -> Result<Collisions, Error> {
        let own = &view.pull;
        if view.line.issue.state.phase.is_final() {
            return Ok(Collisions::default());
        }
        let mut tx = self.db().read().await?;
        let mut others = pull::pull_list(&mut tx, Some(own.project), None, MOST_TRIED).await?;
        let ids: Vec<IssueId> = others.iter().map(|other| other.issue).collect();
        let rows = issue::issue_list_of(&mut tx, &ids).await?;
        drop(tx);
        let open: HashMap<IssueId, String> = rows
            .into_iter()
            .filter(|row| row.id != own.issue && !row.state.phase.is_final())
            .map(|row| (row.id, row.title))
            .collect();
        others.retain(|other| open.contains_key(&other.issue));
        let heads: Vec<ObjectId> = others.iter().map(|other| other.head.clone()).collect();
        let mut tried = self.0.collided.known(&own.head, &heads);
        let mut trying = tried.iter().any(Option::is_none);
        if trying && let Some(brought) = self.try_collisions(own, heads).await? {
            tried = brought.into_iter().map(Some).collect();
            trying = false;
        }
        let collide = others.iter().zip(tried).filter_map(|(other, at)| {
            let paths = at.filter(|at| !at.is_empty())?.to_vec();
            Some(Collision {
                number: other.number,
                title: open.get(&other.issue).cloned().unwrap_or_default(),
                paths,
            })
        });
        Ok(Collisions {
            found: collide.collect(),
            trying,
        })
    }

    /// Tries a change against these heads; none where that takes longer than somebody waits, or is under
    /// way already.
    async fn try_collisions(
        &self,
        own: &Pull,
        theirs: Vec<ObjectId>,
    ) -> Result<Option<Vec<Paths>>, Error> {
        let (app, repository) = (self.clone(), self.repository(own.project)?);
        let ours = own.head.clone();
        // Whoever does not wait for it leaves it to who comes next.
        let trying = tokio::spawn(async move {
            let collided = &app.0.collided;
            let Some(_right) = collided.begin(&ours) else {
                return Ok(None);
            };
            let tried = collided.try_each(&repository, &ours, &theirs).await;
            if let Err(error) = &tried {
                tracing::warn!(%error, "open changes could not be tried against each other");
            }
            tried.map(Some)
        });
        match tokio::time::timeout(PATIENCE, trying).await {
            Ok(Ok(tried)) => tried,
            Ok(Err(broken)) => Err(Error::internal(broken)),
            Err(_elapsed) => Ok(None),
        }
    }
}
