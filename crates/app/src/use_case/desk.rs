//! The desk: everything that waits for a person, over all projects they see, in ranked order.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use nightshift_domain::access::Action;
use nightshift_domain::check::Colour;
use nightshift_domain::desk::{self, Card, Place, Wanted};
use nightshift_domain::facts::Severity;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_domain::issue::Phase;
use nightshift_git::DiffOptions;
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::pull::Pull;
use nightshift_store::verdict::Verdict;
use nightshift_store::{Tx, block, desk_park, issue, project, pull, run, verdict};

use crate::{App, Caller, Error, Rights};

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

/// What waits in some projects, before anybody's own order and what they put off.
#[derive(Debug)]
pub struct Waits {
    cards: Vec<DeskCard>,
    broken: Vec<BrokenProject>,
    at: Timestamp,
}

impl Waits {
    /// The desk of somebody who put these off.
    #[must_use]
    pub fn desk(&self, parked: &BTreeSet<IssueId>) -> Desk {
        let shown: Vec<&DeskCard> = self
            .cards
            .iter()
            .filter(|card| !parked.contains(&card.issue.id))
            .collect();
        let facts: Vec<Card> = shown.iter().map(|card| facts_of(card)).collect();
        let cards = desk::rank(&facts, self.at)
            .into_iter()
            .filter_map(|place| {
                let card = (*shown.get(place.card)?).clone();
                Some(DeskCard { place, ..card })
            })
            .collect();
        Desk {
            cards,
            parked: self.cards.len() - shown.len(),
            broken: self.broken.clone(),
        }
    }
}

/// What was measured of changes, by project, base and head: it never changes, and costs a git each.
#[derive(Default)]
pub(crate) struct Sizes(Mutex<HashMap<(ProjectId, ObjectId, ObjectId), Arc<Size>>>);

/// The size of a change: all files, lines added, lines removed; and its largest files.
#[derive(Debug, Default)]
struct Size {
    sum: (usize, u64, u64),
    files: Vec<(String, u64, u64)>,
}

/// How many sizes are remembered; then all are forgotten, which costs time and nothing else.
const REMEMBERED: usize = 10_000;

impl App {
    /// The caller's desk.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn desk(&self, caller: &Caller) -> Result<Desk, Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().read().await?;
        let rights = if caller.is_admin() {
            Rights::All
        } else {
            let seen = self.visible(&mut tx, caller).await?;
            Rights::Of(seen.iter().map(|project| project.id).collect())
        };
        let parked = desk_park::park_list(&mut tx, own, self.now()).await?;
        drop(tx);
        let parked = parked.into_iter().map(|(id, _)| id).collect();
        Ok(self.waits(&rights).await?.desk(&parked))
    }

    /// What waits for whoever has these rights. However many things wait, it takes the same number
    /// of statements.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waits(&self, rights: &Rights) -> Result<Waits, Error> {
        let at = self.now();
        let mut tx = self.db().read().await?;
        let mut projects = project::project_list(&mut tx).await?;
        let visible = match rights {
            Rights::All => None,
            Rights::Of(ids) => {
                projects.retain(|project| ids.contains(&project.id));
                Some(ids.as_slice())
            }
        };
        let rows = issue::issue_list_waiting(&mut tx, visible, MOST).await?;
        let facts = Facts::load(&mut tx, &rows).await?;
        drop(tx);
        let mut cards = Vec::new();
        for row in rows {
            if let Some(home) = projects.iter().find(|project| project.id == row.project) {
                let card = facts.card(home, row);
                cards.push(self.desk_size(card).await?);
            }
        }
        Ok(Waits {
            cards,
            broken: projects.into_iter().filter_map(broken).collect(),
            at,
        })
    }

    /// Measures a card's change.
    async fn desk_size(&self, mut card: DeskCard) -> Result<DeskCard, Error> {
        let Some(known) = &card.pull else {
            return Ok(card);
        };
        let size = self
            .size_of(card.issue.project, &known.base, &known.head)
            .await?;
        card.size = size.sum;
        card.files.clone_from(&size.files);
        Ok(card)
    }

    async fn size_of(
        &self,
        project: ProjectId,
        base: &ObjectId,
        head: &ObjectId,
    ) -> Result<Arc<Size>, Error> {
        let key = (project, base.clone(), head.clone());
        if let Some(size) = self.0.sizes.known(&key) {
            return Ok(size);
        }
        let diff = self
            .repository(project)?
            .diff(base, head, &DiffOptions::default())
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
        let sum = (
            files.len(),
            files.iter().map(|(_, added, _)| added).sum(),
            files.iter().map(|(_, _, removed)| removed).sum(),
        );
        files.sort_by_key(|(_, added, removed)| std::cmp::Reverse(added + removed));
        files.truncate(4);
        let size = Arc::new(Size { sum, files });
        self.0.sizes.keep(key, &size);
        Ok(size)
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

/// What cards are made of, read for all of them at once.
struct Facts {
    pulls: HashMap<IssueId, Pull>,
    verdicts: HashMap<IssueId, Verdict>,
    blocks: HashMap<IssueId, Vec<Number>>,
    spent: HashMap<IssueId, (i64, i64, i64)>,
}

impl Facts {
    async fn load(tx: &mut Tx, rows: &[Issue]) -> Result<Self, Error> {
        let ids: Vec<IssueId> = rows.iter().map(|row| row.id).collect();
        let pulls = pull::pull_list_of_issues(tx, &ids).await?;
        let verdicts = verdict::verdict_list_of_heads(tx, &ids).await?;
        let mut blocks: HashMap<IssueId, Vec<Number>> = HashMap::new();
        for (front, number) in block::blocks_open_behind(tx, &ids).await? {
            blocks.entry(front).or_default().push(number);
        }
        Ok(Self {
            pulls: pulls.into_iter().map(|pull| (pull.issue, pull)).collect(),
            // Oldest first: the last one about an issue stays.
            verdicts: verdicts
                .into_iter()
                .map(|verdict| (verdict.issue, verdict))
                .collect(),
            blocks,
            spent: run::run_cost_of_issues(tx, &ids).await?,
        })
    }

    fn card(&self, home: &Project, row: Issue) -> DeskCard {
        let wanted = match row.state.phase {
            Phase::NeedsInput { .. } => Wanted::Answer,
            Phase::InReview if row.state.failed.is_none() => Wanted::Review,
            _ => Wanted::Rescue,
        };
        DeskCard {
            project: home.name.clone(),
            wanted,
            pull: self.pulls.get(&row.id).cloned(),
            verdict: self.verdicts.get(&row.id).cloned(),
            size: (0, 0, 0),
            files: Vec::new(),
            blocks: self.blocks.get(&row.id).cloned().unwrap_or_default(),
            spent: self.spent.get(&row.id).copied().unwrap_or_default(),
            place: Place {
                card: 0,
                score: 0,
                reasons: Vec::new(),
            },
            issue: row,
        }
    }
}

impl Sizes {
    fn known(&self, key: &(ProjectId, ObjectId, ObjectId)) -> Option<Arc<Size>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned()
    }

    fn keep(&self, key: (ProjectId, ObjectId, ObjectId), size: &Arc<Size>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, Arc::clone(size));
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
