//! Table `queue_entries`: the merge queue, first approved first.
//!
//! An issue stands in it once. Deliberately absent: what to do next (a planner's business).

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, JobId, Number, ProjectId, UserId};
use nightshift_domain::merge::Candidate;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// An approved pull request that waits to land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its issue.
    pub issue: IssueId,
    /// Its project.
    pub project: ProjectId,
    /// Its number.
    pub number: Number,
    /// The commit that was approved.
    pub approved: ObjectId,
    /// Who approved.
    pub by: UserId,
    /// The commit built for landing, if one was.
    pub candidate: Option<Candidate>,
    /// The job that tries it.
    pub trial_job: Option<JobId>,
    /// Since when.
    pub entered_at: Timestamp,
    /// Whether its trial asks a person, as its issue says; what is entered does not.
    pub asks: bool,
}

const COLUMNS: Columns = Columns("merge queue entry");

macro_rules! columns {
    () => {
        "issue_id, project_id, number, approved, user_id, candidate, trial_job_id, entered_at"
    };
}

macro_rules! asks {
    () => {
        "(SELECT COUNT(*) FROM issues WHERE issues.id = queue_entries.issue_id AND issues.failed IS NOT NULL) AS asks"
    };
}

sql! { "merge queue entry";
    ENTER = both(concat!("INSERT INTO queue_entries (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"));
    LEAVE = both("DELETE FROM queue_entries WHERE issue_id = $1");
    SET_CANDIDATE = both("UPDATE queue_entries SET candidate = $2, trial_job_id = $3 WHERE issue_id = $1");
    GET = both(concat!("SELECT ", columns!(), ", ", asks!(), " FROM queue_entries WHERE issue_id = $1"));
    LIST = both(concat!("SELECT ", columns!(), ", ", asks!(), " FROM queue_entries WHERE project_id = $1 ORDER BY entered_at, number"));
    PROJECTS = both("SELECT DISTINCT project_id FROM queue_entries ORDER BY project_id");
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    project_id: Uuid,
    number: i64,
    approved: String,
    user_id: Uuid,
    candidate: Option<String>,
    trial_job_id: Option<Uuid>,
    entered_at: i64,
    asks: i64,
}

impl Row {
    fn read(self) -> Result<QueueEntry, Error> {
        Ok(QueueEntry {
            issue: IssueId(self.issue_id),
            project: ProjectId(self.project_id),
            number: self.number,
            approved: COLUMNS.parse("approved", &self.approved)?,
            by: UserId(self.user_id),
            candidate: COLUMNS.json_option("candidate", self.candidate.as_deref())?,
            trial_job: self.trial_job_id.map(JobId),
            entered_at: COLUMNS.time("entered_at", self.entered_at)?,
            asks: self.asks != 0,
        })
    }
}

/// Puts an issue at the end of its project's queue; [`Error::Duplicate`] when it stands there.
pub async fn queue_enter(tx: &mut Tx, entry: &QueueEntry) -> Result<(), Error> {
    let values = values![
        entry.issue,
        entry.project,
        entry.number,
        &entry.approved,
        entry.by,
        COLUMNS.to_json_option(entry.candidate.as_ref())?,
        entry.trial_job,
        entry.entered_at
    ];
    tx.run(&ENTER, values).await.map(|_| ())
}

/// Takes an issue out; false when it was not in.
pub async fn queue_leave(tx: &mut Tx, issue: IssueId) -> Result<bool, Error> {
    Ok(tx.run(&LEAVE, values![issue]).await? > 0)
}

/// Notes the candidate and the job that tries it.
pub async fn queue_set_candidate(
    tx: &mut Tx,
    issue: IssueId,
    candidate: Option<&Candidate>,
    trial_job: Option<JobId>,
) -> Result<(), Error> {
    let values = values![issue, COLUMNS.to_json_option(candidate)?, trial_job];
    tx.must_run(&SET_CANDIDATE, values).await
}

/// The entry of an issue.
pub async fn queue_get(tx: &mut Tx, issue: IssueId) -> Result<Option<QueueEntry>, Error> {
    let row: Option<Row> = tx.one(&GET, values![issue]).await?;
    row.map(Row::read).transpose()
}

/// A project's queue in the order of entry.
pub async fn queue_list(tx: &mut Tx, project: ProjectId) -> Result<Vec<QueueEntry>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![project]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The projects whose queue is not empty.
pub async fn queue_projects(tx: &mut Tx) -> Result<Vec<ProjectId>, Error> {
    let rows: Vec<(Uuid,)> = tx.all(&PROJECTS, values![]).await?;
    Ok(rows.into_iter().map(|(id,)| ProjectId(id)).collect())
}
