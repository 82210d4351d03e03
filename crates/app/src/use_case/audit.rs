//! The audit log: the event log from its end, by project, person, kind and time; and whole, to be
//! kept elsewhere.
//!
//! A page looks at a bounded number of events and says where to go on, so that a look costs the same
//! however much has happened and however little fits. Deliberately absent: changing or forgetting.

use std::collections::HashMap;

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::id::ProjectId;
use nightshift_store::event::Event;
use nightshift_store::{Tx, event, issue, project};

use super::event::EventView;
use crate::{App, Caller, Error};

/// How many events a page shows.
const SHOWN: usize = 50;
/// How many events are looked at for a page.
const LOOK_AT: usize = 3_000;
/// How many events are read at once.
const BATCH: i64 = 500;

/// Which events; whatever is left empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A project's name; without it only administrators see the log.
    pub project: Option<String>,
    /// Who acted: a person's name, or `nightshift` for the platform.
    pub person: Option<String>,
    /// A kind such as `pull.approved`, or the noun of several: `pull`.
    pub kind: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// A page of the audit log.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// What fits, newest first.
    pub events: Vec<EventView>,
    /// Before which place the next page begins, if there may be more.
    pub next: Option<i64>,
}

/// A part of the whole log.
#[derive(Debug, Clone)]
pub struct AuditPart {
    /// What fits, oldest first.
    pub events: Vec<EventView>,
    /// After which place it goes on; `None` at the end.
    pub next: Option<i64>,
}

impl AuditFilter {
    fn fits(&self, event: &Event) -> bool {
        let kind = self.kind.as_deref().is_none_or(|kind| {
            event
                .kind
                .strip_prefix(kind)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let person = self.person.as_deref();
        kind && person.is_none_or(|person| event.actor.label() == person)
            && self.from.is_none_or(|from| event.at >= from)
            && self.until.is_none_or(|until| event.at < until)
    }
}

impl App {
    /// Shows a page of the audit log, newest first: of a project, or, to an administrator, of all.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project; `Forbidden` for the whole without
    /// administration.
    pub async fn audit_page(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        before: Option<i64>,
    ) -> Result<AuditPage, Error> {
        let mut tx = self.db().read().await?;
        let home = self.audited(&mut tx, caller, filter).await?;
        let mut before = before.unwrap_or(i64::MAX);
        if let Some(until) = filter.until {
            before = before.min(place_of(&mut tx, until).await?);
        }
        let (mut found, mut looked) = (Vec::new(), 0);
        let next = 'pages: loop {
            let batch = event::event_list_back(&mut tx, before, home, BATCH).await?;
            let is_last = i64::try_from(batch.len()).unwrap_or(BATCH) < BATCH;
            for one in batch {
                if filter.from.is_some_and(|from| one.at < from) {
                    break 'pages None;
                }
                if found.len() == SHOWN {
                    break 'pages Some(before);
                }
                before = one.seq;
                looked += 1;
                if filter.fits(&one) {
                    found.push(one);
                }
            }
            if is_last {
                break None;
            }
            if looked >= LOOK_AT {
                break Some(before);
            }
        };
        Ok(AuditPage {
            events: views(&mut tx, found).await?,
            next,
        })
    }

    /// A part of the audit log after a place in it, oldest first; a part may be empty and not be the
    /// last.
    ///
    /// # Errors
    /// As [`App::audit_page`].
    pub async fn audit_part(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        after: i64,
    ) -> Result<AuditPart, Error> {
        let mut tx = self.db().read().await?;
        let home = self.audited(&mut tx, caller, filter).await?;
        let mut after = after.max(0);
        if let Some(from) = filter.from {
            after = after.max(place_of(&mut tx, from).await? - 1);
        }
        let seen = home.map(|home| [home]);
        let seen = seen.as_ref().map(|seen| seen.as_slice());
        let batch = event::event_list(&mut tx, after, seen, None, BATCH).await?;
        let is_last = i64::try_from(batch.len()).unwrap_or(BATCH) < BATCH;
        let over = |one: &Event| filter.until.is_some_and(|until| one.at >= until);
        let ends = is_last || batch.last().is_some_and(over);
        let next = batch.last().map(|last| last.seq).filter(|_| !ends);
        let found = batch.into_iter().filter(|one| filter.fits(one)).collect();
        Ok(AuditPart {
            events: views(&mut tx, found).await?,
            next,
        })
    }

    /// The project whose log it is, if the caller may see it.
    async fn audited(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        filter: &AuditFilter,
    ) -> Result<Option<ProjectId>, Error> {
        caller.person()?;
        let Some(name) = &filter.project else {
            self.admin(caller)?;
            return Ok(None);
        };
        let (found, _) = self
            .project_for(tx, caller, name, Action::ProjectRead)
            .await?;
        Ok(Some(found.id))
    }
}

/// The place of the first event that is not before a time; the log is in the order of time.
async fn place_of(tx: &mut Tx, time: Timestamp) -> Result<i64, Error> {
    let (mut low, mut high) = (1, event::event_last_seq(tx).await? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = event::event_list(tx, middle - 1, None, None, 1).await?;
        if found.first().is_some_and(|one| one.at < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The events with names in place of ids.
async fn views(tx: &mut Tx, events: Vec<Event>) -> Result<Vec<EventView>, Error> {
    let mut projects = HashMap::new();
    let mut numbers = HashMap::new();
    let mut views = Vec::new();
    for event in events {
        if let Some(id) = event.project
            && let std::collections::hash_map::Entry::Vacant(place) = projects.entry(id)
        {
            place.insert(project::project_get(tx, id).await?.map(|one| one.name));
        }
        if let Some(id) = event.issue
            && let std::collections::hash_map::Entry::Vacant(place) = numbers.entry(id)
        {
            place.insert(issue::issue_get(tx, id).await?.map(|one| one.number));
        }
        let project = event.project.and_then(|id| projects.get(&id).cloned());
        let number = event.issue.and_then(|id| numbers.get(&id).copied());
        views.push(EventView {
            project: project.flatten(),
            number: number.flatten(),
            event,
        });
    }
    Ok(views)
}
