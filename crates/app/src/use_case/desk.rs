//! The desk: everything that waits for a person, over all projects they see, in ranked order.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nightshift_domain::access::{Action, May, Standing};
use nightshift_domain::config::ConfigError;
use nightshift_domain::desk::{self, Card, Place, Wanted};
use nightshift_domain::grant::Need;
use nightshift_domain::id::{IssueId, Number, ProjectId};
use nightshift_domain::size::Size;
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::pull::Pull;
use nightshift_store::standing::Ageing;
use nightshift_store::verdict::Verdict;
use nightshift_store::{
    Tx, block, desk_park, host_ask, issue, member, project, pull, pull_head, run, standing, verdict,
};

use super::secret::waits_for_secrets;
pub use super::watch::COUNT_TO;
use crate::say::issue as say;
use crate::{App, Caller, Error, Rights};

/// The most that a desk shows at once; what is decided makes room for the next.
pub const MOST: usize = 50;
/// The most that are looked at for it: so many may be put off, and there is still a full desk.
const LOOK_AT: usize = 2_000;
/// How age counts in the order of the desk.
const AGEING: Ageing = Ageing {
    point: SignedDuration::from_secs(3_600 / desk::AGES_BY),
    ages_for: SignedDuration::from_hours(desk::AGES_FOR_HOURS),
};
/// How long a parked card stays away if nothing else is said.
const PARK: Duration = Duration::from_secs(20 * 3_600);
/// The longest that a card may be parked.
const LONGEST_PARK: Duration = Duration::from_secs(366 * 24 * 3_600);

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
    /// How large the change is, once it was measured.
    pub size: Option<Size>,
    /// Numbers of issues that wait for it.
    pub blocks: Vec<Number>,
    /// Hosts that its runs could not reach, and about which nobody has decided.
    pub hosts: Vec<String>,
    /// Hosts that its proof missed: only the project's list opens them.
    pub proof_hosts: Vec<String>,
    /// Secrets of the project whose values it waits for.
    pub secrets: Vec<String>,
    /// Author runs so far, what they cost in millionths of a US dollar, how long they took in ms.
    pub spent: (i64, i64, i64),
    /// Why it stands where it stands.
    pub place: Place,
    /// What whoever sees it may do about it.
    pub may: May,
}

/// A project whose settings file is broken.
#[derive(Debug, Clone)]
pub struct BrokenProject {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub error: ConfigError,
}

/// The desk of one person.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What waits, first things first; the first [`MOST`] of all.
    pub cards: Vec<DeskCard>,
    /// How many wait, parked ones left out; counted up to [`COUNT_TO`].
    pub total: usize,
    /// How many cards are parked for later.
    pub parked: usize,
    /// Projects whose settings are broken.
    pub broken: Vec<BrokenProject>,
}

/// What waits in some projects, before anybody's own order and what they put off.
#[derive(Debug)]
pub struct Waits {
    cards: Vec<DeskCard>,
    total: usize,
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
            .take(MOST)
            .filter_map(|place| {
                let card = (*shown.get(place.card)?).clone();
                Some(DeskCard { place, ..card })
            })
            .collect();
        let parked = self.cards.len() - shown.len();
        Desk {
            cards,
            total: self.total.saturating_sub(parked),
            parked,
            broken: self.broken.clone(),
        }
    }
}

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
            let roles = member::member_list_of_users(&mut tx, &[own]).await?;
            let roles = roles.into_iter();
            Rights::Of(roles.map(|(_, project, _, role)| (project, role)).collect())
        };
        let parked = desk_park::park_list(&mut tx, own, self.now()).await?;
        drop(tx);
        let parked: BTreeSet<IssueId> = parked.into_iter().map(|(id, _)| id).collect();
        Ok(self.waits(&rights, parked.len()).await?.desk(&parked))
    }

    /// What waits for whoever has these rights, as much as it takes to fill the desk of somebody who
    /// put so many off. However many things wait, it takes the same number of statements.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waits(&self, rights: &Rights, parked: usize) -> Result<Waits, Error> {
        let look_at = parked.saturating_add(MOST).min(LOOK_AT);
        let at = self.now();
        let mut tx = self.db().read().await?;
        let mut projects = project::project_list(&mut tx).await?;
        let visible = match rights {
            Rights::All => None,
            Rights::Of(roles) => {
                projects.retain(|project| rights.standing(project.id).is_some());
                let ids: Vec<ProjectId> = roles.iter().map(|(project, _)| *project).collect();
                Some(ids)
            }
        };
        let visible = visible.as_deref();
        let limit = i64::try_from(look_at).unwrap_or(i64::MAX);
        let standings = standing::standing_list_first(&mut tx, visible, AGEING, at, limit).await?;
        let kept: Vec<_> = standings
            .iter()
            .map(|one| (one.weight, one.since))
            .collect();
        let first: Vec<IssueId> = desk::first(&kept, at, look_at)
            .into_iter()
            .map(|place| standings[place].issue)
            .collect();
        let total = standing::standing_count(&mut tx, visible, COUNT_TO).await?;
        let mut facts = Facts::load(&mut tx, &first).await?;
        let rows = issue::issue_list_of(&mut tx, &first).await?;
        // Few projects lack a value, and each is looked at once.
        for row in rows.iter().filter(|row| waits_for_secrets(&row.state)) {
            let home = projects.iter().find(|project| project.id == row.project);
            if let Some(home) = home.filter(|home| !facts.secrets.contains_key(&home.id)) {
                let wanted = self.secrets_wanted(&mut tx, home, &row.state).await?;
                facts.secrets.insert(home.id, wanted);
            }
        }
        drop(tx);
        let card = |row: Issue| {
            let home = projects.iter().find(|project| project.id == row.project);
            let home = home?;
            facts.card(home, rights.standing(home.id)?, row)
        };
        Ok(Waits {
            cards: rows.into_iter().filter_map(card).collect(),
            total: usize::try_from(total).unwrap_or_default(),
            broken: projects.into_iter().filter_map(broken).collect(),
            at,
        })
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

    /// Hides a card from the caller's desk until a time of their choice, or for the usual one.
    ///
    /// # Errors
    /// `Invalid` for a time that is past or too far away, `NotFound` where the caller may not see
    /// the issue.
    pub async fn desk_park_until(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let now = self.now();
        let until = until.unwrap_or(now + PARK);
        if until <= now || until > now + LONGEST_PARK {
            return Err(Error::invalid(say::park_until()));
        }
        self.desk_park(caller, name, number, Some(until)).await
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
    sizes: HashMap<IssueId, Size>,
    blocks: HashMap<IssueId, Vec<Number>>,
    hosts: HashMap<IssueId, Vec<String>>,
    proof_hosts: HashMap<IssueId, Vec<String>>,
    secrets: HashMap<ProjectId, Vec<String>>,
    spent: HashMap<IssueId, (i64, i64, i64)>,
}

impl Facts {
    async fn load(tx: &mut Tx, ids: &[IssueId]) -> Result<Self, Error> {
        let pulls = pull::pull_list_of_issues(tx, ids).await?;
        let verdicts = verdict::verdict_list_of_heads(tx, ids).await?;
        let sizes = pull_head::head_size_list(tx, ids).await?;
        let mut blocks: HashMap<IssueId, Vec<Number>> = HashMap::new();
        for (front, number) in block::blocks_open_behind(tx, ids).await? {
            blocks.entry(front).or_default().push(number);
        }
        let mut hosts: HashMap<IssueId, Vec<String>> = HashMap::new();
        let mut proof_hosts: HashMap<IssueId, Vec<String>> = HashMap::new();
        for (issue, host, need) in host_ask::host_ask_list_open(tx, ids).await? {
            let of = match need {
                Need::Author => &mut hosts,
                Need::Proof => &mut proof_hosts,
            };
            of.entry(issue).or_default().push(host);
        }
        Ok(Self {
            pulls: pulls.into_iter().map(|pull| (pull.issue, pull)).collect(),
            // Oldest first: the last one about an issue stays.
            verdicts: verdicts
                .into_iter()
                .map(|verdict| (verdict.issue, verdict))
                .collect(),
            sizes: sizes.into_iter().collect(),
            blocks,
            hosts,
            proof_hosts,
            secrets: HashMap::new(),
            spent: run::run_cost_of_issues(tx, ids).await?,
        })
    }

    /// The card of an issue, if it wants something.
    fn card(&self, home: &Project, standing: Standing, row: Issue) -> Option<DeskCard> {
        let wanted = Wanted::of(&row.state)?;
        Some(DeskCard {
            project: home.name.clone(),
            wanted,
            pull: self.pulls.get(&row.id).cloned(),
            verdict: self.verdicts.get(&row.id).cloned(),
            size: self.sizes.get(&row.id).cloned(),
            blocks: self.blocks.get(&row.id).cloned().unwrap_or_default(),
            hosts: self.hosts.get(&row.id).cloned().unwrap_or_default(),
            proof_hosts: self.proof_hosts.get(&row.id).cloned().unwrap_or_default(),
            secrets: match waits_for_secrets(&row.state) {
                true => self.secrets.get(&home.id).cloned().unwrap_or_default(),
                false => Vec::new(),
            },
            spent: self.spent.get(&row.id).copied().unwrap_or_default(),
            place: Place {
                card: 0,
                score: 0,
                reasons: Vec::new(),
            },
            may: May::of(standing),
            issue: row,
        })
    }
}

fn facts_of(card: &DeskCard) -> Card {
    let verdict = card.verdict.as_ref();
    crate::standing::card(
        &card.issue,
        card.wanted,
        verdict.map(|verdict| verdict.colour),
        verdict.map_or(&[], |verdict| verdict.findings.as_slice()),
        card.size.as_ref(),
        card.blocks.len(),
    )
}

fn broken(project: Project) -> Option<BrokenProject> {
    project.config_error.map(|error| BrokenProject {
        name: project.name,
        error,
    })
}
