//! What happened, as far as the caller may see it.

use nightshift_domain::access::Action;
use nightshift_domain::id::ProjectId;
use nightshift_store::event::Event;
use nightshift_store::{event, issue, project};

use crate::{App, Caller, Error};

/// An event with names in place of ids.
#[derive(Debug, Clone)]
pub struct EventView {
    /// The event.
    pub event: Event,
    /// Its project's name.
    pub project: Option<String>,
    /// Its issue's number.
    pub number: Option<i64>,
}

impl App {
    /// The newest place in the event log.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_event(&self) -> Result<i64, Error> {
        let mut tx = self.db().read().await?;
        Ok(event::event_last_seq(&mut tx).await?)
    }

    /// Lists events after a place in the log, oldest first. An administrator sees all, others
    /// those of their projects.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn event_list(
        &self,
        caller: &Caller,
        name: Option<&str>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<EventView>, Error> {
        let mut tx = self.db().read().await?;
        let visible: Option<Vec<ProjectId>> = match name {
            Some(name) => {
                let (found, _) = self
                    .project_for(&mut tx, caller, name, Action::ProjectRead)
                    .await?;
                Some(vec![found.id])
            }
            None if caller.is_admin() => None,
            None => Some(
                self.visible(&mut tx, caller)
                    .await?
                    .iter()
                    .map(|project| project.id)
                    .collect(),
            ),
        };
        let mut views = Vec::new();
        for event in event::event_list(&mut tx, after, visible.as_deref(), None, limit).await? {
            let project = match event.project {
                Some(id) => project::project_get(&mut tx, id).await?.map(|p| p.name),
                None => None,
            };
            let number = match event.issue {
                Some(id) => issue::issue_get(&mut tx, id).await?.map(|i| i.number),
                None => None,
            };
            views.push(EventView {
                event,
                project,
                number,
            });
        }
        Ok(views)
    }
}
