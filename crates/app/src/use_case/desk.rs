//! The desk: everything that waits for a person, over all projects they see, in ranked order.

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::check::Colour;
use nightshift_domain::desk::{self, Card, Place, Wanted};
use nightshift_domain::facts::Severity;
use nightshift_domain::id::{IssueId, Number};
use nightshift_domain::issue::Phase;
use nightshift_git::DiffOptions;
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::pull::Pull;
use nightshift_store::verdict::Verdict;
use nightshift_store::{block, desk_park, issue, project, pull, run, verdict};

use crate::{App, Caller, Error};

/// The most that a desk shows; more than a person decides in a morning.
const MOST: i64 = 300;

/// One thing that waits for a person.
#[derive(Debug, Clone)]
pub struct DeskCard {
    /// The issue.
    pub issue: Issue,
    /// Its project's name.
    pub project: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// The change, for a review.
    pub pull: Option<Pull>,
    /// The verdict on its head.
    pub verdict: Option<Verdict>,
    /// Files, lines added, lines removed.
    pub size: (usize, u64, u64),
    /// The largest files of the change: path, lines added, lines removed.
    pub files: Vec<(String, u64, u64)>,
    /// Numbers of issues that wait for it.
    pub blocks: Vec<Number>,
    /// Author runs so far, what they cost in millionths of a US dollar, how long they took in ms.
    pub spent: (i64, i64, i64),
    /// Why it stands where it stands.
    pub place: Place,
}

/// A project whose settings file is broken.
#[derive(Debug, Clone)]
pub struct BrokenProject {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub error: String,
}

/// The desk of one person.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What waits, first things first.
    pub cards: Vec<DeskCard>,
    /// How many cards are parked for later.
    pub parked: usize,
    /// Projects whose settings are broken.
    pub broken: Vec<BrokenProject>,
}

impl App {
    /// The caller's desk.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn desk(&self, caller: &Caller) -> Result<Desk, Error> {
        let (own, _) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().read().await?;
        let projects = self.visible(&mut tx, caller).await?;
        let ids: Vec<_> = projects.iter().map(|project| project.id).collect();
        let visible = (!caller.is_admin()).then_some(ids.as_slice());
        let parked = desk_park::park_list(&mut tx, own, now).await?;
        let mut found = Vec::new();
        let mut hidden = 0;
        for row in issue::issue_list_waiting(&mut tx, visible, MOST).await? {
            if parked.iter().any(|(id, _)| *id == row.id) {
                hidden += 1;
                continue;
            }
            let Some(home) = projects.iter().find(|project| project.id == row.project) else {
                continue;
            };
            found.push(self.desk_facts(&mut tx, home, row).await?);
        }
        drop(tx);
        let mut cards = Vec::new();
        for card in found {
            cards.push(self.desk_size(card).await?);
        }
        let facts: Vec<Card> = cards.iter().map(facts_of).collect();
        let mut slots: Vec<Option<DeskCard>> = cards.into_iter().map(Some).collect();
        let cards = desk::rank(&facts, now)
            .into_iter()
            .filter_map(|place| {
                let card = slots.get_mut(place.card)?.take()?;
                Some(DeskCard { place, ..card })
            })
            .collect();
        Ok(Desk {
            cards,
            parked: hidden,
            broken: projects.into_iter().filter_map(broken).collect(),
        })
    }

    async fn desk_facts(
        &self,
        tx: &mut nightshift_store::Tx,
        home: &Project,
        row: Issue,
    ) -> Result<DeskCard, Error> {
        let wanted = match row.state.phase {
            Phase::NeedsInput { .. } => Wanted::Answer,
            Phase::InReview if row.state.failed.is_none() => Wanted::Review,
            _ => Wanted::Rescue,
        };
        let known = pull::pull_get(tx, row.id).await?;
        let made = match &known {
            Some(known) => verdict::verdict_of(tx, row.id, &known.head).await?,
            None => None,
        };
        let mut blocks = Vec::new();
        for id in block::blocked_by_me(tx, row.id).await? {
            if let Some(other) = issue::issue_get(tx, id).await?
                && !other.state.phase.is_final()
            {
                blocks.push(other.number);
            }
        }
        let spent = run::run_cost_of_issue(tx, row.id).await?;
        Ok(DeskCard {
            project: home.name.clone(),
            wanted,
            pull: known,
            verdict: made,
            size: (0, 0, 0),
            files: Vec::new(),
            blocks,
            spent,
            place: Place {
                card: 0,
                score: 0,
                reasons: Vec::new(),
            },
            issue: row,
        })
    }

    /// Measures a card's change.
    async fn desk_size(&self, mut card: DeskCard) -> Result<DeskCard, Error> {
        let Some(known) = &card.pull else {
            return Ok(card);
        };
        let repository = self.repository(card.issue.project)?;
        let diff = repository
            .diff(&known.base, &known.head, &DiffOptions::default())
            .await?;
        let mut files: Vec<(String, u64, u64)> = diff
            .files
            .iter()
            .map(|file| {
                (
                    file.path().to_text().into_owned(),
                    file.additions,
                    file.deletions,
                )
            })
            .collect();
        card.size = (
            files.len(),
            files.iter().map(|(_, added, _)| added).sum(),
            files.iter().map(|(_, _, removed)| removed).sum(),
        );
        files.sort_by_key(|(_, added, removed)| std::cmp::Reverse(added + removed));
        files.truncate(4);
        card.files = files;
        Ok(card)
    }

    /// Hides a card from the caller's desk until a time.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the issue.
    pub async fn desk_park(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        self.park(&mut tx, own, row.id, until).await?;
        self.commit(tx, caller).await
    }

    async fn park(
        &self,
        tx: &mut nightshift_store::Tx,
        own: nightshift_domain::id::UserId,
        id: IssueId,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        match until {
            Some(until) => desk_park::park_set(tx, own, id, until).await?,
            None => {
                desk_park::park_clear(tx, own, id).await?;
            }
        }
        Ok(())
    }

    /// Brings every parked card of the caller back.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn desk_unpark_all(&self, caller: &Caller) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        for (id, _) in desk_park::park_list(&mut tx, own, now).await? {
            desk_park::park_clear(&mut tx, own, id).await?;
        }
        self.commit(tx, caller).await
    }

    /// A project by its id's name, for pages that show several.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn project_names(&self, caller: &Caller) -> Result<Vec<String>, Error> {
        let mut tx = self.db().read().await?;
        let all = if caller.is_admin() {
            project::project_list(&mut tx).await?
        } else {
            self.visible(&mut tx, caller).await?
        };
        Ok(all.into_iter().map(|project| project.name).collect())
    }
}

fn facts_of(card: &DeskCard) -> Card {
    let worst: Option<Severity> = card.verdict.as_ref().and_then(|verdict| {
        verdict
            .findings
            .iter()
            .map(|finding| finding.severity)
            .max()
    });
    let colour: Option<Colour> = card.verdict.as_ref().map(|verdict| verdict.colour);
    Card {
        wanted: card.wanted,
        colour,
        worst,
        lines: card.size.1 + card.size.2,
        blocks: card.blocks.len(),
        priority: card.issue.priority,
        since: card.issue.updated_at,
    }
}

fn broken(project: Project) -> Option<BrokenProject> {
    project.config_error.map(|error| BrokenProject {
        name: project.name,
        error: error.to_string(),
    })
}
