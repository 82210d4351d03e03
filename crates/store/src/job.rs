//! Table `jobs`: the queue.
//!
//! The columns `phase`, `not_before`, `lease_until`, `runner_id` and `run_id` repeat what `state`
//! says, so that indexes and CHECK constraints can use it. One transaction at a time holds a job.
//!
//! `image` and `harness` are a note of what a job needs (`domain::route`), made when a claim comes
//! upon one that it cannot do: such claims then pass it over without reading it. What counts are the
//! project's settings, which each claim looks at, and `agent`, which repeats the issue's for a job that
//! starts one. A job that is saved, those of a project whose settings say other needs, and those of an
//! issue that gets another agent lose the note.
//! Deliberately absent: the state machine; a claim is pick, `Event::Claim`, save, by the caller.

use jiff::Timestamp;
use nightshift_domain::config::{Config, Harness};
use nightshift_domain::id::{IssueId, JobId, ProjectId};
use nightshift_domain::job::{self, Kind, Phase};
use nightshift_domain::route::{Needs, Runner};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list, not_earlier, word_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::project;
use crate::statement::{Value, sql, values};

/// A unit of queued work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its project.
    pub project: ProjectId,
    /// The issue it works for.
    pub issue: IssueId,
    /// What kind of work.
    pub kind: Kind,
    /// Where it stands.
    pub state: job::Job,
    /// What exactly is to be done, in the words of whoever queued it.
    pub order: serde_json::Value,
    /// 0 urgent to 3 low.
    pub priority: i64,
    /// Rises with every save, from 1.
    pub version: i64,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

const COLUMNS: Columns = Columns("job");

macro_rules! columns {
    () => {
        "id, project_id, issue_id, kind, phase, state, epoch, starts, payload, priority, version, created_at, updated_at"
    };
}

sql! { "job";
    INSERT = both(concat!("INSERT INTO jobs (", columns!(), ", not_before, lease_until, runner_id, run_id, agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, CASE WHEN $4 = 'author' THEN (SELECT agent FROM issues WHERE id = $3) END)"));
    GET = both(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1"));
    // SQLite's one writer is the lock. NO KEY: the run that refers to the job stays insertable.
    LOCK = sqlite(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1")),
        postgres(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1 FOR NO KEY UPDATE"));
    SAVE = both("UPDATE jobs SET phase = $3, state = $4, epoch = $5, starts = $6, payload = $7, priority = $8, updated_at = $9, not_before = $10, lease_until = $11, runner_id = $12, run_id = $13, image = 0, harness = '', version = version + 1 WHERE id = $1 AND version = $2");
    // The first of each note ($2, a JSON list of pairs), and the first of these. PostgreSQL passes
    // over what another claim holds; on SQLite there is no other. Only what stands behind a place.
    // Others see none of these firsts until the transaction ends, and look again a moment later.
    // INDEXED BY: without that index SQLite refuses the statement, so that it cannot become slow
    // unseen. Only PostgreSQL has LATERAL.
    CLAIM_NEXT = sqlite(concat!("SELECT ", columns!(), ", agent, image, harness FROM jobs WHERE id IN (SELECT (SELECT pick.id FROM jobs AS pick INDEXED BY jobs_queued WHERE pick.phase = 'queued' AND pick.image = json_extract(note.value, '$[0]') AND pick.harness = json_extract(note.value, '$[1]') AND pick.not_before <= $1 AND (pick.priority, pick.created_at, pick.id) > ($3, $4, $5) AND pick.kind IN (SELECT value FROM json_each($6)) ORDER BY pick.priority, pick.created_at, pick.id LIMIT 1) FROM json_each($2) AS note) ORDER BY priority, created_at, id LIMIT 1")),
        postgres(concat!("SELECT ", columns!(), ", agent, image, harness FROM jsonb_array_elements(CAST($2 AS JSONB)) AS note (pair) CROSS JOIN LATERAL (SELECT ", columns!(), ", agent, image, harness FROM jobs WHERE phase = 'queued' AND image = CAST(note.pair ->> 0 AS BIGINT) AND harness = (note.pair ->> 1) AND not_before <= $1 AND (priority, created_at, id) > ($3, $4, $5) AND kind IN (SELECT jsonb_array_elements_text(CAST($6 AS JSONB))) ORDER BY priority, created_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS pick ORDER BY priority, created_at, id LIMIT 1"));
    // The same for what is urgent, in the few rows of its own index. No harness is needed there.
    CLAIM_URGENT = sqlite(concat!("SELECT ", columns!(), ", agent, image, harness FROM jobs WHERE id IN (SELECT (SELECT pick.id FROM jobs AS pick INDEXED BY jobs_urgent WHERE pick.phase = 'queued' AND pick.kind = 'tryout' AND pick.image = json_extract(note.value, '$[0]') AND pick.not_before <= $1 AND (pick.created_at, pick.id) > ($3, $4) ORDER BY pick.created_at, pick.id LIMIT 1) FROM json_each($2) AS note) ORDER BY created_at, id LIMIT 1")),
        postgres(concat!("SELECT ", columns!(), ", agent, image, harness FROM jsonb_array_elements(CAST($2 AS JSONB)) AS note (pair) CROSS JOIN LATERAL (SELECT ", columns!(), ", agent, image, harness FROM jobs WHERE phase = 'queued' AND kind = 'tryout' AND image = CAST(note.pair ->> 0 AS BIGINT) AND not_before <= $1 AND (created_at, id) > ($3, $4) ORDER BY created_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS pick ORDER BY created_at, id LIMIT 1"));
    // Of the next thousand places with the same note those of one project, and of some of its agents
    // where $4 names them. PostgreSQL leaves out what another transaction holds: that one takes the
    // note away, or takes the job.
    NOTE_NEXT = sqlite("UPDATE jobs SET image = $2, harness = $3 WHERE project_id = $1 AND ($4 IS NULL OR agent IN (SELECT value FROM json_each($4))) AND id IN (SELECT id FROM jobs INDEXED BY jobs_queued WHERE phase = 'queued' AND image = $5 AND harness = $6 AND (priority, created_at, id) >= ($7, $8, $9) ORDER BY priority, created_at, id LIMIT 1000)"),
        postgres("UPDATE jobs SET image = $2, harness = $3 WHERE id IN (SELECT id FROM jobs WHERE project_id = $1 AND (CAST($4 AS TEXT) IS NULL OR agent IN (SELECT jsonb_array_elements_text(CAST($4 AS JSONB)))) AND id IN (SELECT id FROM jobs WHERE phase = 'queued' AND image = $5 AND harness = $6 AND (priority, created_at, id) >= ($7, $8, $9) ORDER BY priority, created_at, id LIMIT 1000) FOR NO KEY UPDATE SKIP LOCKED)");
    NOTE_URGENT = sqlite("UPDATE jobs SET image = 1 WHERE project_id = $1 AND id IN (SELECT id FROM jobs INDEXED BY jobs_urgent WHERE phase = 'queued' AND kind = 'tryout' AND image = 0 AND (created_at, id) >= ($2, $3) ORDER BY created_at, id LIMIT 1000)"),
        postgres("UPDATE jobs SET image = 1 WHERE id IN (SELECT id FROM jobs WHERE project_id = $1 AND id IN (SELECT id FROM jobs WHERE phase = 'queued' AND kind = 'tryout' AND image = 0 AND (created_at, id) >= ($2, $3) ORDER BY created_at, id LIMIT 1000) FOR NO KEY UPDATE SKIP LOCKED)");
    // Whoever has a project noted this way holds its row.
    FORGET_NEEDS = both("UPDATE jobs SET image = 0, harness = '' WHERE phase = 'queued' AND (image, harness) > (0, '') AND project_id = $1");
    // Without a look at the note: a claim that makes one just now is waited for.
    SET_AGENT = both("UPDATE jobs SET agent = $2, harness = '' WHERE issue_id = $1 AND phase IN ('queued', 'leased') AND kind = 'author'");
    LIST_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM jobs WHERE issue_id = $1 ORDER BY created_at, id"));
    LIST_LIVE_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM jobs WHERE issue_id = $1 AND phase IN ('queued', 'leased') ORDER BY created_at, id"));
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently. INDEXED BY: SQLite
    // would rather look through all that is queued.
    LIST_LIVE_OF_ISSUES = sqlite(concat!("SELECT ", columns!(), " FROM jobs INDEXED BY jobs_issue WHERE issue_id IN (SELECT unhex(value) FROM json_each($1)) AND phase IN ('queued', 'leased') ORDER BY created_at, id")),
        postgres(concat!("SELECT ", columns!(), " FROM jobs WHERE issue_id IN (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND phase IN ('queued', 'leased') ORDER BY created_at, id"));
    LIST_EXPIRED = both("SELECT id FROM jobs WHERE phase = 'leased' AND lease_until <= $1 ORDER BY lease_until, id LIMIT $2");
    LIST_LIVE = both(concat!("SELECT ", columns!(), " FROM jobs WHERE phase IN ('queued', 'leased') ORDER BY priority, created_at, id LIMIT $1"));
    COUNT_BY_PHASE = both("SELECT phase, COUNT(*) FROM jobs GROUP BY phase ORDER BY phase");
    COUNT_CAPPED = both("SELECT COUNT(*) FROM (SELECT 1 AS one FROM jobs WHERE phase = $1 LIMIT $2) AS capped");
    EXISTS = both("SELECT version FROM jobs WHERE id = $1");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    project_id: Uuid,
    issue_id: Uuid,
    kind: String,
    phase: String,
    state: String,
    epoch: i64,
    starts: i64,
    payload: String,
    priority: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

/// What a claim came upon.
#[derive(FromRow)]
struct Found {
    #[sqlx(flatten)]
    row: Row,
    agent: Option<String>,
    image: i64,
    harness: String,
}

impl Row {
    fn read(self) -> Result<Job, Error> {
        let phase: Phase = COLUMNS.json("state", &self.state)?;
        if phase.as_str() != self.phase {
            return Err(COLUMNS.corrupt("phase", format!("{} is not what state says", self.phase)));
        }
        Ok(Job {
            id: JobId(self.id),
            project: ProjectId(self.project_id),
            issue: IssueId(self.issue_id),
            kind: Kind::parse(&self.kind)
                .ok_or_else(|| COLUMNS.corrupt("kind", format!("{} is no kind", self.kind)))?,
            state: job::Job {
                phase,
                epoch: self.epoch,
                starts: self.starts,
            },
            order: COLUMNS.json("payload", &self.payload)?,
            priority: self.priority,
            version: self.version,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            updated_at: COLUMNS.time("updated_at", self.updated_at)?,
        })
    }
}

/// `not_before`, `lease_until`, `runner_id` and `run_id`, as the phase says.
fn repeated(phase: &Phase) -> Vec<Value> {
    match phase {
        Phase::Queued { not_before, .. } => {
            let due = not_before.map_or(0, not_earlier);
            values![due, None::<i64>, None::<Uuid>, None::<Uuid>]
        }
        Phase::Leased {
            runner, run, until, ..
        } => values![None::<i64>, not_earlier(*until), *runner, *run],
        Phase::Succeeded | Phase::Failed { .. } | Phase::Cancelled | Phase::Dead { .. } => {
            values![None::<i64>, None::<i64>, None::<Uuid>, None::<Uuid>]
        }
    }
}

/// Adds a job as it is. The caller holds its issue, so that the agent is the one it has.
pub async fn job_insert(tx: &mut Tx, job: &Job) -> Result<(), Error> {
    let mut values = values![
        job.id,
        job.project,
        job.issue,
        job.kind.as_str(),
        job.state.phase.as_str(),
        COLUMNS.to_json(&job.state.phase)?,
        job.state.epoch,
        job.state.starts,
        COLUMNS.to_json(&job.order)?,
        job.priority,
        job.version,
        job.created_at,
        job.updated_at
    ];
    values.extend(repeated(&job.state.phase));
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn job_get(tx: &mut Tx, id: JobId) -> Result<Option<Job>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// By id, and nobody else changes it until the transaction ends.
pub async fn job_lock(tx: &mut Tx, id: JobId) -> Result<Option<Job>, Error> {
    let row: Option<Row> = tx.one(&LOCK, values![id]).await?;
    row.map(Row::read).transpose()
}

/// Saves state, order and priority. The row gets the next version; `job.version` is the one that
/// was read.
///
/// # Errors
/// [`Error::Stale`] when the row has another version by now.
pub async fn job_save(tx: &mut Tx, job: &Job, now: Timestamp) -> Result<(), Error> {
    let mut values = values![
        job.id,
        job.version,
        job.state.phase.as_str(),
        COLUMNS.to_json(&job.state.phase)?,
        job.state.epoch,
        job.state.starts,
        COLUMNS.to_json(&job.order)?,
        job.priority,
        now
    ];
    values.extend(repeated(&job.state.phase));
    if tx.run(&SAVE, values).await? > 0 {
        return Ok(());
    }
    tx.number(&EXISTS, values![job.id]).await?;
    Err(Error::Stale { what: COLUMNS.0 })
}

/// Picks and locks the next due job of these kinds that a runner with this can do: most urgent first,
/// then oldest. The caller claims and saves it in the same transaction. A job that cannot be read is
/// logged and passed over.
pub async fn job_claim_next(
    tx: &mut Tx,
    kinds: &[Kind],
    runner: &Runner,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    let kinds = word_list(kinds.iter().map(|kind| kind.as_str()));
    claim(tx, &Queue::Next { kinds }, runner, now).await
}

/// Picks and locks the next due job that a person waits for at the keyboard, oldest first; as
/// [`job_claim_next`].
pub async fn job_claim_urgent(
    tx: &mut Tx,
    runner: &Runner,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    claim(tx, &Queue::Urgent, runner, now).await
}

/// A view of the queued jobs in an order of its own.
enum Queue {
    Next { kinds: String },
    Urgent,
}

/// Priority, time and id: where a job stands in a queue. The urgent one goes without priority.
type Place = (i64, i64, Uuid);

const FIRST: Place = (i64::MIN, i64::MIN, Uuid::nil());

impl Queue {
    fn values(&self, place: Place) -> Vec<Value> {
        match self {
            Self::Next { .. } => values![place.0, place.1, place.2],
            Self::Urgent => values![place.1, place.2],
        }
    }

    /// The notes of which a runner can do the jobs, as a JSON list of pairs.
    fn notes(&self, runner: &Runner) -> Result<String, Error> {
        let notes: Vec<(u8, &str)> = Needs::all()
            .filter(|needs| match self {
                Self::Next { .. } => true,
                Self::Urgent => needs.harness.is_none(),
            })
            .filter(|needs| runner.can(*needs))
            .map(|needs| {
                let harness = needs.harness.map_or("", Harness::as_str);
                (u8::from(needs.image), harness)
            })
            .collect();
        COLUMNS.to_json(&notes)
    }

    /// The first with one of these notes that is due, behind a place.
    async fn first(
        &self,
        tx: &mut Tx,
        notes: &str,
        after: Place,
        now: Timestamp,
    ) -> Result<Option<Found>, Error> {
        let mut values = values![now, notes];
        values.extend(self.values(after));
        match self {
            Self::Next { kinds } => {
                values.extend(values![kinds]);
                tx.one(&CLAIM_NEXT, values).await
            }
            Self::Urgent => tx.one(&CLAIM_URGENT, values).await,
        }
    }

    /// Notes what the jobs of a project need that have the same note as this one, from it on.
    async fn note(&self, tx: &mut Tx, met: &Met, noted: &Noted) -> Result<(), Error> {
        let from = self.values(met.place);
        let (statement, mut values) = match self {
            Self::Next { .. } => {
                let note = values![noted.image, noted.harness, &noted.agents];
                let values = [values![met.project], note, values![met.image, &met.harness]];
                (&NOTE_NEXT, values.concat())
            }
            Self::Urgent => (&NOTE_URGENT, values![met.project]),
        };
        values.extend(from);
        tx.run(statement, values).await.map(|_| ())
    }
}

/// What a claim came upon.
struct Met {
    project: Uuid,
    agent: Option<String>,
    place: Place,
    image: i64,
    harness: String,
}

/// What is noted of some jobs of a project.
struct Noted {
    image: bool,
    harness: &'static str,
    /// Of these agents only, as a JSON list.
    agents: Option<String>,
}

async fn claim(
    tx: &mut Tx,
    queue: &Queue,
    runner: &Runner,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    let notes = queue.notes(runner)?;
    let mut after = FIRST;
    while let Some(found) = queue.first(tx, &notes, after, now).await? {
        let (row, met) = found.parted();
        after = met.place;
        let job = match row.read() {
            Ok(job) => job,
            Err(error) => {
                COLUMNS.skipped(after.2, &error);
                continue;
            }
        };
        match fits_or_noted(tx, queue, runner, &job, &met).await {
            Ok(true) => return Ok(Some(job)),
            Ok(false) => {}
            Err(error @ Error::Corrupt { .. }) => COLUMNS.skipped(after.2, &error),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a runner can do a job; where it cannot, later claims are told so.
async fn fits_or_noted(
    tx: &mut Tx,
    queue: &Queue,
    runner: &Runner,
    job: &Job,
    met: &Met,
) -> Result<bool, Error> {
    if fits(tx, runner, job, met).await? {
        return Ok(true);
    }
    // Where somebody else has the project just now, a later claim makes the note.
    if let Some(config) = project::lock_config(tx, met.project).await?
        && let Some(noted) = noted(&config, runner, job, met)
    {
        queue.note(tx, met, &noted).await?;
    }
    Ok(false)
}

/// Whether a runner has what a job needs by its project's settings as they are now.
async fn fits(tx: &mut Tx, runner: &Runner, job: &Job, met: &Met) -> Result<bool, Error> {
    if runner.images && (job.kind != Kind::Author || runner.harnesses.is_none()) {
        return Ok(true);
    }
    if job.kind != Kind::Author {
        return Ok(!project::has_image(tx, met.project).await?);
    }
    let config = project::config(tx, met.project).await?;
    Ok(runner.can(met.needs(job.kind, &config)))
}

/// What to note of a job that a runner cannot do, and of those like it: that they need an image
/// goes for all of a project, a harness for those of the agents that have it.
fn noted(config: &Config, runner: &Runner, job: &Job, met: &Met) -> Option<Noted> {
    let needs = met.needs(job.kind, config);
    if runner.can(needs) {
        return None;
    }
    let harness = needs.harness.filter(|_| runner.images || !needs.image);
    let agents = harness.map(|harness| {
        let same = config
            .agents
            .iter()
            .filter(|agent| agent.harness == harness);
        word_list(same.map(|agent| agent.name.as_str()))
    });
    Some(Noted {
        image: needs.image,
        harness: harness.map_or("", Harness::as_str),
        agents,
    })
}

impl Found {
    fn parted(self) -> (Row, Met) {
        let met = Met {
            project: self.row.project_id,
            agent: self.agent,
            place: (self.row.priority, self.row.created_at, self.row.id),
            image: self.image,
            harness: self.harness,
        };
        (self.row, met)
    }
}

impl Met {
    fn needs(&self, kind: Kind, config: &Config) -> Needs {
        Needs::of(kind, config, self.agent.as_deref().unwrap_or_default())
    }
}

/// Takes the notes of what the jobs of a project need away, since its settings say something else.
pub(crate) async fn forget_needs(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    tx.run(&FORGET_NEEDS, values![project]).await.map(|_| ())
}

/// Has the live author job of an issue start this agent. The caller holds the issue, so that no job
/// is queued meanwhile for the one it had.
pub async fn job_set_agent(tx: &mut Tx, issue: IssueId, agent: &str) -> Result<(), Error> {
    tx.run(&SET_AGENT, values![issue, agent]).await.map(|_| ())
}

/// All jobs of an issue, oldest first.
pub async fn job_list_of_issue(tx: &mut Tx, issue: IssueId) -> Result<Vec<Job>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_ISSUE, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The queued and leased jobs of an issue, oldest first.
pub async fn job_list_live_of_issue(tx: &mut Tx, issue: IssueId) -> Result<Vec<Job>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_LIVE_OF_ISSUE, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The queued and leased jobs of these issues, oldest first; rows that cannot be read are left out.
pub async fn job_list_live_of_issues(tx: &mut Tx, issues: &[IssueId]) -> Result<Vec<Job>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<Row> = tx.all(&LIST_LIVE_OF_ISSUES, values![list]).await?;
    Ok(COLUMNS.readable(rows, |row| row.id, Row::read))
}

/// Jobs whose lease has run out, longest first.
pub async fn job_list_expired(
    tx: &mut Tx,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<JobId>, Error> {
    let rows: Vec<(Uuid,)> = tx.all(&LIST_EXPIRED, values![now, limit]).await?;
    Ok(rows.into_iter().map(|(id,)| JobId(id)).collect())
}

/// How many jobs are in which phase; phases without jobs are left out.
pub async fn job_count_by_phase(tx: &mut Tx) -> Result<Vec<(String, i64)>, Error> {
    tx.all(&COUNT_BY_PHASE, values![]).await
}

/// How many jobs are in a phase, counted up to `most`.
pub async fn job_count_capped(tx: &mut Tx, phase: &str, most: i64) -> Result<i64, Error> {
    let count: Option<(i64,)> = tx.one(&COUNT_CAPPED, values![phase, most]).await?;
    Ok(count.map_or(0, |(count,)| count))
}

/// The queued and leased jobs in the order of claiming; rows that cannot be read are left out.
pub async fn job_list_live(tx: &mut Tx, limit: i64) -> Result<Vec<Job>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_LIVE, values![limit]).await?;
    Ok(COLUMNS.readable(rows, |row| row.id, Row::read))
}
