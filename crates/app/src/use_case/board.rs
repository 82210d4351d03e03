//! The board: issues by where they stand, each with the reason it waits; and projects by name.
//!
//! Every column is a bounded list and every count stops at [`COUNT_TO`], so that a board costs the
//! same however many issues there are. Deliberately absent: paging (the list of issues has it).

use nightshift_domain::access::{Action, Role, allowed};
use nightshift_domain::budget::Budget;
use nightshift_domain::config::Agent;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::ProjectId;
use nightshift_domain::issue::Phase;
use nightshift_domain::view::Filter;
use nightshift_store::issue::{Issue, IssueFilter};
use nightshift_store::project::Project;
use nightshift_store::user::User;
use nightshift_store::{Tx, issue, member, queue, user};

use super::issue::IssueLine;
use super::pull::QueueLine;
use crate::{App, Caller, Error};

/// Cards in a column.
pub const CARDS: usize = 20;
/// Where counting stops: a count of this much means "this many, or more".
pub const COUNT_TO: i64 = 1_000;
/// How many of a phase are looked at for a column; failed ones among them stand in another one.
const LOOK_AT: i64 = 80;
/// How many ended issues are looked at, newest first: more is no board but a history.
const RECENT: i64 = 200;
/// The most names that are offered for a new member.
const PEOPLE: usize = 200;
/// The most projects whose merge queues one board shows.
const QUEUES: usize = 10;

/// Where an issue stands on the board; every issue that is not closed has one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Being written.
    Draft,
    /// May start, or waits for what blocks it.
    Queued,
    /// An agent works on it, or its result is being proved.
    Working,
    /// A question, or a failure: nothing moves until a person acts.
    NeedsYou,
    /// A result waits for a decision.
    InReview,
    /// Approved.
    Landing,
    /// On the default branch, newest first.
    Done,
}

/// A column of the board.
#[derive(Debug, Clone)]
pub struct BoardColumn {
    /// Which.
    pub stand: Stand,
    /// The newest, at most [`CARDS`].
    pub cards: Vec<IssueLine>,
    /// Whether there are more than the cards.
    pub more: bool,
    /// How many there are in the phase, up to [`COUNT_TO`]; unknown while a filter narrows, and
    /// where a column is no whole phase.
    pub count: Option<i64>,
}

/// The merge queue of a project.
#[derive(Debug, Clone)]
pub struct BoardQueue {
    /// The project.
    pub project: String,
    /// Its entries, first to land first.
    pub lines: Vec<QueueLine>,
}

/// A board.
#[derive(Debug, Clone)]
pub struct Board {
    /// The columns, in the order of life.
    pub columns: Vec<BoardColumn>,
    /// The merge queues that are not empty.
    pub queues: Vec<BoardQueue>,
    /// Names of the projects the caller may see.
    pub projects: Vec<String>,
    /// Names of the agents of the projects shown.
    pub agents: Vec<String>,
}

/// A project in the list.
#[derive(Debug, Clone)]
pub struct ProjectCard {
    /// The project.
    pub project: Project,
    /// How many issues are in each phase, up to [`COUNT_TO`] each; absent for none.
    pub counts: Vec<(String, i64)>,
}

/// A project's own page.
#[derive(Debug, Clone)]
pub struct ProjectHome {
    /// The project.
    pub project: Project,
    /// The tip of its default branch.
    pub head: Option<ObjectId>,
    /// Its members, by name.
    pub members: Vec<(User, Role)>,
    /// Names of people who are none, for whoever may manage members; some of them, where there are
    /// many.
    pub others: Vec<String>,
    /// Whether the caller may file and change issues.
    pub may_write: bool,
    /// Whether the caller may manage members.
    pub may_manage: bool,
}

/// What can be chosen when an issue is written.
#[derive(Debug, Clone)]
pub struct IssueChoices {
    /// The agents of the project.
    pub agents: Vec<Agent>,
    /// The names of its members.
    pub people: Vec<String>,
    /// What an issue may use that says nothing of its own.
    pub budget: Budget,
}

impl App {
    /// Shows the board of one project, or of all that the caller may see.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn board(&self, caller: &Caller, filter: &Filter) -> Result<Board, Error> {
        let mut tx = self.db().read().await?;
        let all = self.visible(&mut tx, caller).await?;
        let shown: Vec<Project> = match &filter.project {
            Some(name) => {
                let (found, _) = self
                    .project_for(&mut tx, caller, name, Action::ProjectRead)
                    .await?;
                vec![found]
            }
            None => all.clone(),
        };
        let ids: Vec<ProjectId> = shown.iter().map(|project| project.id).collect();
        let waiting: Vec<ProjectId> = queue::queue_projects(&mut tx).await?;
        drop(tx);
        let mut queues = Vec::new();
        for project in shown
            .iter()
            .filter(|p| waiting.contains(&p.id))
            .take(QUEUES)
        {
            queues.push(BoardQueue {
                lines: self.queue_get(caller, &project.name).await?,
                project: project.name.clone(),
            });
        }
        let mut tx = self.db().read().await?;
        let columns = self
            .board_columns(&mut tx, filter, &shown, &ids, &queues)
            .await?;
        let mut agents: Vec<String> = shown
            .iter()
            .flat_map(|project| project.config.agents.iter().map(|agent| agent.name.clone()))
            .collect();
        agents.sort_unstable();
        agents.dedup();
        Ok(Board {
            columns,
            queues,
            projects: all.into_iter().map(|project| project.name).collect(),
            agents,
        })
    }

    async fn board_columns(
        &self,
        tx: &mut Tx,
        filter: &Filter,
        shown: &[Project],
        ids: &[ProjectId],
        queues: &[BoardQueue],
    ) -> Result<Vec<BoardColumn>, Error> {
        let mut counts = Vec::new();
        if !filter.narrows() {
            for (_, phase, count) in issue::issue_count_capped(tx, ids, COUNT_TO).await? {
                counts.push((phase, count));
            }
        }
        let count = |phase: &str| {
            let of_phase = counts.iter().filter(|(word, _)| word == phase);
            (!filter.narrows())
                .then(|| of_phase.map(|(_, count)| count).sum::<i64>())
                .map(|sum| sum.min(COUNT_TO))
        };
        let (ready, stuck) = self.board_phase(tx, filter, ids, "ready").await?;
        let (reviewed, unproved) = self.board_phase(tx, filter, ids, "in-review").await?;
        let (mut needs, asked) = self.board_phase(tx, filter, ids, "needs-input").await?;
        let (landing, held_up) = self.board_phase(tx, filter, ids, "landing").await?;
        for more in [asked, stuck, unproved, held_up] {
            needs.extend(more);
        }
        needs.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
        let drafts = self.board_phase(tx, filter, ids, "draft").await?.0;
        let working = self.board_phase(tx, filter, ids, "working").await?.0;
        let done = recent(tx, filter, ids).await?;
        let places = [
            (Stand::Draft, drafts, count("draft")),
            (Stand::Queued, ready, count("ready")),
            (Stand::Working, working, count("working")),
            (Stand::NeedsYou, needs, None),
            (Stand::InReview, reviewed, count("in-review")),
            (Stand::Landing, landing, count("landing")),
            (Stand::Done, done, count("done")),
        ];
        let alive = self.runners_alive(tx).await?;
        let cut = |(stand, mut rows, count): (_, Vec<Issue>, _)| {
            let more = rows.len() > CARDS;
            rows.truncate(CARDS);
            (stand, rows, count, more)
        };
        let places = places.map(cut);
        // What lands has its reason from the queues, which were read as a whole already.
        let rows = places
            .iter()
            .flat_map(|(_, rows, _, _)| rows)
            .filter(|row| row.state.phase != Phase::Landing);
        let known = self.surroundings(tx, rows, alive).await?;
        let now = self.now();
        let card = |row: Issue| {
            let home = shown.iter().find(|project| project.id == row.project)?;
            Some(match row.state.phase {
                Phase::Landing => landing_card(home, row, queues),
                _ => known.line(home, row, now),
            })
        };
        let column = |(stand, rows, count, more): (_, Vec<Issue>, _, _)| BoardColumn {
            stand,
            cards: rows.into_iter().filter_map(card).collect(),
            more,
            count,
        };
        Ok(places.into_iter().map(column).collect())
    }

    /// The newest issues in a phase, those that did not fail and those that did.
    async fn board_phase(
        &self,
        tx: &mut Tx,
        filter: &Filter,
        ids: &[ProjectId],
        phase: &str,
    ) -> Result<(Vec<Issue>, Vec<Issue>), Error> {
        let wanted = IssueFilter {
            project: None,
            phases: vec![phase.to_owned()],
            agent: filter.agent.clone(),
            label: filter.label.clone(),
            text: filter.text.clone(),
            projects: Some(ids.to_vec()),
        };
        let rows = issue::issue_list(tx, &wanted, None, LOOK_AT).await?;
        Ok(rows.into_iter().partition(|row| row.state.failed.is_none()))
    }

    /// Lists the projects the caller may see, by name, from what is remembered alone.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn project_cards(&self, caller: &Caller) -> Result<Vec<ProjectCard>, Error> {
        let mut tx = self.db().read().await?;
        let found = self.visible(&mut tx, caller).await?;
        let ids: Vec<ProjectId> = found.iter().map(|project| project.id).collect();
        let counted = issue::issue_count_capped(&mut tx, &ids, COUNT_TO).await?;
        Ok(found
            .into_iter()
            .map(|project| ProjectCard {
                counts: counted
                    .iter()
                    .filter(|(id, _, count)| *id == project.id && *count > 0)
                    .map(|(_, phase, count)| (phase.clone(), *count))
                    .collect(),
                project,
            })
            .collect())
    }

    /// Shows a project's own page.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn project_home(&self, caller: &Caller, name: &str) -> Result<ProjectHome, Error> {
        let mut tx = self.db().read().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let members = member::member_list(&mut tx, found.id).await?;
        let may_manage = allowed(standing, Action::MemberManage);
        let mut others = Vec::new();
        if may_manage {
            let known = user::user_list(&mut tx).await?;
            let is_member = |id| members.iter().any(|(one, _)| one.id == id);
            let free = known.into_iter().filter(|one| !is_member(one.id));
            others = free.take(PEOPLE).map(|one| one.name).collect();
        }
        drop(tx);
        Ok(ProjectHome {
            others,
            head: self.base_tip(&found).await?,
            project: found,
            members,
            may_write: allowed(standing, Action::IssueWrite),
            may_manage,
        })
    }

    /// What can be chosen when an issue of a project is written.
    ///
    /// # Errors
    /// `Forbidden` below writer.
    pub async fn issue_choices(&self, caller: &Caller, name: &str) -> Result<IssueChoices, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::IssueWrite)
            .await?;
        let members = member::member_list(&mut tx, found.id).await?;
        Ok(IssueChoices {
            budget: found.config.budget,
            agents: found.config.agents,
            people: members.into_iter().map(|(person, _)| person.name).collect(),
        })
    }
}

/// A card of what lands, with the reason that the queue gives.
fn landing_card(home: &Project, row: Issue, queues: &[BoardQueue]) -> IssueLine {
    let waiting = queues
        .iter()
        .filter(|queue| queue.project == home.name)
        .flat_map(|queue| &queue.lines)
        .find(|line| line.entry.issue == row.id)
        .and_then(|line| line.waiting.clone());
    IssueLine {
        issue: row,
        project: home.name.clone(),
        waiting,
    }
}

/// What was done lately. Filtered here: in the database, a filter that nothing fits would look at
/// all that ever was.
async fn recent(tx: &mut Tx, filter: &Filter, ids: &[ProjectId]) -> Result<Vec<Issue>, Error> {
    let wanted = IssueFilter {
        phases: vec!["done".to_owned()],
        projects: Some(ids.to_vec()),
        ..IssueFilter::default()
    };
    let most = if filter.narrows() { RECENT } else { LOOK_AT };
    let mut rows = issue::issue_list(tx, &wanted, None, most).await?;
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    rows.retain(|row| {
        filter
            .agent
            .as_ref()
            .is_none_or(|agent| row.agent == *agent)
            && filter
                .label
                .as_ref()
                .is_none_or(|label| row.labels.contains(label))
            && text
                .as_ref()
                .is_none_or(|text| row.title.to_lowercase().contains(text))
    });
    Ok(rows)
}
