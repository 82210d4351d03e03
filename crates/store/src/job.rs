//! Table `jobs`: the queue.
//!
//! The columns `phase`, `not_before`, `lease_until`, `runner_id` and `run_id` repeat what `state`
//! says, so that indexes and CHECK constraints can use it. One transaction at a time holds a job.
//!
//! `image` is a note, made when a claim that cannot have images comes upon a job whose project names
//! one: such claims then pass it over without reading it. What counts is the project, which each of
//! them looks at; a job that is saved, and those of a project that names none any more, lose it.
//! Deliberately absent: the state machine; a claim is pick, `Event::Claim`, save, by the caller.

use jiff::Timestamp;
use nightshift_domain::id::{IssueId, JobId, ProjectId};
use nightshift_domain::job::{self, Kind, Phase};
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
    INSERT = both(concat!("INSERT INTO jobs (", columns!(), ", not_before, lease_until, runner_id, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"));
    GET = both(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1"));
    // SQLite's one writer is the lock. NO KEY: the run that refers to the job stays insertable.
    LOCK = sqlite(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1")),
        postgres(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1 FOR NO KEY UPDATE"));
    SAVE = both("UPDATE jobs SET phase = $3, state = $4, epoch = $5, starts = $6, payload = $7, priority = $8, updated_at = $9, not_before = $10, lease_until = $11, runner_id = $12, run_id = $13, image = 0, version = version + 1 WHERE id = $1 AND version = $2");
    // PostgreSQL passes over what another claim holds; on SQLite there is no other. Only what stands
    // between two places. INDEXED BY: without that index SQLite refuses the statement, so that it
    // cannot become slow unseen.
    CLAIM_NEXT = sqlite(concat!("SELECT ", columns!(), " FROM jobs INDEXED BY jobs_queued WHERE phase = 'queued' AND image = $2 AND not_before <= $1 AND (priority, created_at, id) > ($3, $4, $5) AND (priority, created_at, id) < ($6, $7, $8) AND kind IN (SELECT value FROM json_each($9)) ORDER BY priority, created_at, id LIMIT 1")),
        postgres(concat!("SELECT ", columns!(), " FROM jobs WHERE phase = 'queued' AND image = $2 AND not_before <= $1 AND (priority, created_at, id) > ($3, $4, $5) AND (priority, created_at, id) < ($6, $7, $8) AND kind IN (SELECT jsonb_array_elements_text(CAST($9 AS JSONB))) ORDER BY priority, created_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"));
    // The same for what is urgent, in the few rows of its own index.
    CLAIM_URGENT = sqlite(concat!("SELECT ", columns!(), " FROM jobs INDEXED BY jobs_urgent WHERE phase = 'queued' AND kind = 'tryout' AND image = $2 AND not_before <= $1 AND (created_at, id) > ($3, $4) AND (created_at, id) < ($5, $6) ORDER BY created_at, id LIMIT 1")),
        postgres(concat!("SELECT ", columns!(), " FROM jobs WHERE phase = 'queued' AND kind = 'tryout' AND image = $2 AND not_before <= $1 AND (created_at, id) > ($3, $4) AND (created_at, id) < ($5, $6) ORDER BY created_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"));
    // Of the next thousand places those of one project. PostgreSQL leaves out what another
    // transaction holds: that one takes the note away, or takes the job.
    NOTE_NEXT = sqlite("UPDATE jobs SET image = 1 WHERE project_id = $1 AND id IN (SELECT id FROM jobs INDEXED BY jobs_queued WHERE phase = 'queued' AND image = 0 AND (priority, created_at, id) >= ($2, $3, $4) ORDER BY priority, created_at, id LIMIT 1000)"),
        postgres("UPDATE jobs SET image = 1 WHERE id IN (SELECT id FROM jobs WHERE project_id = $1 AND id IN (SELECT id FROM jobs WHERE phase = 'queued' AND image = 0 AND (priority, created_at, id) >= ($2, $3, $4) ORDER BY priority, created_at, id LIMIT 1000) FOR NO KEY UPDATE SKIP LOCKED)");
    NOTE_URGENT = sqlite("UPDATE jobs SET image = 1 WHERE project_id = $1 AND id IN (SELECT id FROM jobs INDEXED BY jobs_urgent WHERE phase = 'queued' AND kind = 'tryout' AND image = 0 AND (created_at, id) >= ($2, $3) ORDER BY created_at, id LIMIT 1000)"),
        postgres("UPDATE jobs SET image = 1 WHERE id IN (SELECT id FROM jobs WHERE project_id = $1 AND id IN (SELECT id FROM jobs WHERE phase = 'queued' AND kind = 'tryout' AND image = 0 AND (created_at, id) >= ($2, $3) ORDER BY created_at, id LIMIT 1000) FOR NO KEY UPDATE SKIP LOCKED)");
    FORGET_IMAGE = both("UPDATE jobs SET image = 0 WHERE phase = 'queued' AND image = 1 AND project_id = $1");
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

/// Adds a job as it is.
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

/// Picks and locks the next due job of these kinds: most urgent first, then oldest; without
/// `images` none of a project that names one. The caller claims and saves it in the same
/// transaction. A job that cannot be read is logged and passed over.
pub async fn job_claim_next(
    tx: &mut Tx,
    kinds: &[Kind],
    images: bool,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    let kinds = word_list(kinds.iter().map(|kind| kind.as_str()));
    claim(tx, &Queue::Next { kinds }, images, now).await
}

/// Picks and locks the next due job that a person waits for at the keyboard, oldest first; as
/// [`job_claim_next`].
pub async fn job_claim_urgent(
    tx: &mut Tx,
    images: bool,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    claim(tx, &Queue::Urgent, images, now).await
}

/// A view of the queued jobs in an order of its own.
enum Queue {
    Next { kinds: String },
    Urgent,
}

/// Priority, time and id: where a job stands in a queue. The urgent one goes without priority.
type Place = (i64, i64, Uuid);

const FIRST: Place = (i64::MIN, i64::MIN, Uuid::nil());
const LAST: Place = (i64::MAX, i64::MAX, Uuid::max());

impl Queue {
    fn values(&self, place: Place) -> Vec<Value> {
        match self {
            Self::Next { .. } => values![place.0, place.1, place.2],
            Self::Urgent => values![place.1, place.2],
        }
    }

    /// The first that is due between two places, noted with an image or not.
    async fn first(
        &self,
        tx: &mut Tx,
        noted: bool,
        (after, before): (Place, Place),
        now: Timestamp,
    ) -> Result<Option<Row>, Error> {
        let mut values = values![now, noted];
        values.extend(self.values(after));
        values.extend(self.values(before));
        match self {
            Self::Next { kinds } => {
                values.extend(values![kinds]);
                tx.one(&CLAIM_NEXT, values).await
            }
            Self::Urgent => tx.one(&CLAIM_URGENT, values).await,
        }
    }

    /// Notes that the jobs of a project from this place on have an image.
    async fn note(&self, tx: &mut Tx, project: Uuid, from: Place) -> Result<(), Error> {
        let statement = match self {
            Self::Next { .. } => &NOTE_NEXT,
            Self::Urgent => &NOTE_URGENT,
        };
        let mut values = values![project];
        values.extend(self.values(from));
        tx.run(statement, values).await.map(|_| ())
    }
}

async fn claim(
    tx: &mut Tx,
    queue: &Queue,
    images: bool,
    now: Timestamp,
) -> Result<Option<Job>, Error> {
    let (mut found, mut before) = (None, LAST);
    for noted in [false, true] {
        let mut after = FIRST;
        while let Some(row) = queue.first(tx, noted, (after, before), now).await? {
            let project = row.project_id;
            after = (row.priority, row.created_at, row.id);
            match row.read() {
                Err(error) => COLUMNS.skipped(after.2, &error),
                Ok(_) if !images && project::has_image(tx, project).await? => {
                    // Where somebody else has the project just now, a later claim makes the note.
                    if project::lock_image(tx, project).await? {
                        queue.note(tx, project, after).await?;
                    }
                }
                Ok(job) => {
                    (found, before) = (Some(job), after);
                    break;
                }
            }
        }
        if !images {
            break;
        }
    }
    Ok(found)
}

/// Takes the notes of an image away, since the project names none any more.
pub(crate) async fn forget_image(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    tx.run(&FORGET_IMAGE, values![project]).await.map(|_| ())
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
