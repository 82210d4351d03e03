//! Table `tryouts`: sealed tests that were run, or are to be run, once on the base.
//!
//! A result is about exactly one seal on one base, and is written once. Deliberately absent: how far
//! a tryout without a result is; that is its job.

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, JobId, RunId};
use nightshift_domain::tryout::Tried;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// One trying of sealed tests on the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tryout {
    /// Its job.
    pub job: JobId,
    /// The issue whose tests they are.
    pub issue: IssueId,
    /// What of the sealed tests decides the result, as a hash.
    pub seal: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// What came of it.
    pub result: Option<TryoutResult>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryoutResult {
    /// The base that the tests ran on.
    pub base: ObjectId,
    /// The run that brought it.
    pub run: RunId,
    /// What was seen.
    pub tried: Tried,
    /// When.
    pub ended_at: Timestamp,
}

const COLUMNS: Columns = Columns("tryout");

macro_rules! columns {
    () => {
        "job_id, issue_id, seal, created_at, base, run_id, result, ended_at"
    };
}

sql! { "tryout";
    INSERT = both("INSERT INTO tryouts (job_id, issue_id, seal, created_at) VALUES ($1, $2, $3, $4)");
    FINISH = both("UPDATE tryouts SET base = $2, run_id = $3, result = $4, ended_at = $5 WHERE job_id = $1 AND result IS NULL");
    GET = both(concat!("SELECT ", columns!(), " FROM tryouts WHERE job_id = $1"));
    LIST = both(concat!("SELECT ", columns!(), " FROM tryouts WHERE issue_id = $1 AND seal = $2 ORDER BY created_at DESC, job_id DESC LIMIT $3"));
}

#[derive(FromRow)]
struct Row {
    job_id: Uuid,
    issue_id: Uuid,
    seal: String,
    created_at: i64,
    base: Option<String>,
    run_id: Option<Uuid>,
    result: Option<String>,
    ended_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Tryout, Error> {
        let result = match (self.base, self.run_id, self.result, self.ended_at) {
            (Some(base), Some(run), Some(result), Some(ended_at)) => Some(TryoutResult {
                base: COLUMNS.parse("base", &base)?,
                run: RunId(run),
                tried: COLUMNS.json("result", &result)?,
                ended_at: COLUMNS.time("ended_at", ended_at)?,
            }),
            _ => None,
        };
        Ok(Tryout {
            job: JobId(self.job_id),
            issue: IssueId(self.issue_id),
            seal: self.seal,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            result,
        })
    }
}

/// Adds one that has no result yet.
pub async fn tryout_insert(tx: &mut Tx, tryout: &Tryout) -> Result<(), Error> {
    let values = values![tryout.job, tryout.issue, &tryout.seal, tryout.created_at];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// Writes the result of one that has none. Says whether it had none.
pub async fn tryout_finish(tx: &mut Tx, job: JobId, result: &TryoutResult) -> Result<bool, Error> {
    let values = values![
        job,
        &result.base,
        result.run,
        COLUMNS.to_json(&result.tried)?,
        result.ended_at
    ];
    Ok(tx.run(&FINISH, values).await? > 0)
}

/// By its job.
pub async fn tryout_get(tx: &mut Tx, job: JobId) -> Result<Option<Tryout>, Error> {
    let row: Option<Row> = tx.one(&GET, values![job]).await?;
    row.map(Row::read).transpose()
}

/// Those of an issue's tests with this seal, newest first.
pub async fn tryout_list(
    tx: &mut Tx,
    issue: IssueId,
    seal: &str,
    limit: i64,
) -> Result<Vec<Tryout>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue, seal, limit]).await?;
    rows.into_iter().map(Row::read).collect()
}
