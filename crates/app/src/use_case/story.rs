//! An issue with everything that happened to it, for the page that tells it.
//!
//! Deliberately absent: the order of telling (a page's business), the diff, and logs.

use nightshift_domain::id::{IssueId, Number};
use nightshift_store::event::Event;
use nightshift_store::pull::Pull;
use nightshift_store::pull_head::Head;
use nightshift_store::review::Review;
use nightshift_store::run::Run;
use nightshift_store::steer::Steer;
use nightshift_store::verdict::Verdict;
use nightshift_store::{Tx, block, event, issue, pull, pull_head, review, run, steer, verdict};

use super::issue::IssueView;
use crate::{App, Caller, Error};

/// The most runs a story tells, the newest.
const RUNS: i64 = 100;
/// The most events a story tells.
const EVENTS: i64 = 500;

/// An issue that another one is tied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tied {
    /// Its number in the same project.
    pub number: Number,
    /// Its title.
    pub title: String,
    /// The word of its phase.
    pub phase: &'static str,
}

/// An issue, told.
#[derive(Debug, Clone)]
pub struct Story {
    /// The issue.
    pub view: IssueView,
    /// What must be done first.
    pub blockers: Vec<Tied>,
    /// What waits for it.
    pub blocks: Vec<Tied>,
    /// Its change.
    pub pull: Option<Pull>,
    /// Every head of the change, oldest first.
    pub heads: Vec<Head>,
    /// Every verdict, oldest first.
    pub verdicts: Vec<Verdict>,
    /// Every decision, oldest first.
    pub reviews: Vec<Review>,
    /// What was said to its runs, oldest first.
    pub steers: Vec<Steer>,
    /// Its runs, newest first.
    pub runs: Vec<Run>,
    /// What was written down about it, oldest first.
    pub events: Vec<Event>,
    /// Author runs that are over, their cost in millionths of a US dollar, their time in ms.
    pub spent: (i64, i64, i64),
}

impl App {
    /// Tells an issue.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn issue_story(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
    ) -> Result<Story, Error> {
        let view = self.issue_get(caller, name, number).await?;
        let id = view.line.issue.id;
        let mut tx = self.db().read().await?;
        let blockers = block::blockers(&mut tx, id)
            .await?
            .into_iter()
            .map(tied)
            .collect();
        Ok(Story {
            blockers,
            blocks: blocks(&mut tx, id).await?,
            pull: pull::pull_get(&mut tx, id).await?,
            heads: pull_head::head_list(&mut tx, id).await?,
            verdicts: verdict::verdict_list(&mut tx, id).await?,
            reviews: review::review_list(&mut tx, id).await?,
            steers: steer::steer_list_of_issue(&mut tx, id).await?,
            runs: run::run_list(&mut tx, Some(id), None, None, RUNS).await?,
            events: event::event_list(&mut tx, 0, None, Some(id), EVENTS).await?,
            spent: run::run_cost_of_issue(&mut tx, id).await?,
            view,
        })
    }
}

async fn blocks(tx: &mut Tx, id: IssueId) -> Result<Vec<Tied>, Error> {
    let mut out = Vec::new();
    for other in block::blocked_by_me(tx, id).await? {
        out.extend(issue::issue_get(tx, other).await?.map(tied));
    }
    Ok(out)
}

fn tied(row: issue::Issue) -> Tied {
    Tied {
        number: row.number,
        title: row.title,
        phase: row.state.phase.as_str(),
    }
}
