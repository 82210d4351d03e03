//! Table `standings`: where what waits for a person stands on the desk.
//!
//! One row for each issue that waits, written with the state that makes it wait; a stale one is to
//! be computed anew. The first of many are read from one range of two indexes: what still ages by
//! its sum of weight and age, what has aged by its weight. Deliberately absent: what a weight is
//! made of (a rule), who may see which project, and what a person put off.

use jiff::{SignedDuration, Timestamp};
use nightshift_domain::id::{IssueId, ProjectId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_set};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// Where an issue stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The issue.
    pub issue: IssueId,
    /// Its project.
    pub project: ProjectId,
    /// What it weighs without its age.
    pub weight: i64,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whether the weight is to be computed anew.
    pub stale: bool,
}

/// How age counts: one point for each `point`, until `ages_for`.
#[derive(Debug, Clone, Copy)]
pub struct Ageing {
    /// The time that weighs one.
    pub point: SignedDuration,
    /// After which nothing more is added.
    pub ages_for: SignedDuration,
}

const COLUMNS: Columns = Columns("standing");

macro_rules! columns {
    () => {
        "issue_id, project_id, weight, since, stale"
    };
}

/// $1 projects, or all.
macro_rules! sqlite_seen {
    () => {
        "($1 IS NULL OR project_id IN (SELECT unhex(value) FROM json_each($1)))"
    };
}
macro_rules! postgres_seen {
    () => {
        "(CAST($1 AS TEXT) IS NULL OR project_id IN (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS seen (value)))"
    };
}
/// $2 limit, $3 since when something has aged, $4 milliseconds that weigh one.
macro_rules! ageing {
    () => {
        " AND since > $3 ORDER BY weight * $4 - since DESC, issue_id LIMIT $2"
    };
}
macro_rules! aged {
    () => {
        " AND since <= $3 ORDER BY weight DESC, since, issue_id LIMIT $2"
    };
}

sql! { "standing";
    SET = both(concat!("INSERT INTO standings (", columns!(), ") VALUES ($1, $2, $3, $4, $5) ON CONFLICT (issue_id) DO UPDATE SET weight = excluded.weight, since = excluded.since, stale = excluded.stale"));
    REMOVE = both("DELETE FROM standings WHERE issue_id = $1");
    MARK_BLOCKERS = both("UPDATE standings SET stale = 1 WHERE issue_id IN (SELECT blocker_id FROM blocks WHERE issue_id = $1)");
    GET = both(concat!("SELECT ", columns!(), " FROM standings WHERE issue_id = $1"));
    SETTLE = both("UPDATE standings SET stale = 0 WHERE issue_id = $1");
    STALE = both(concat!("SELECT ", columns!(), " FROM standings WHERE stale = 1 ORDER BY issue_id LIMIT $1"));
    // How a list of ids is read differs.
    AGEING = sqlite(concat!("SELECT ", columns!(), " FROM standings WHERE ", sqlite_seen!(), ageing!())),
        postgres(concat!("SELECT ", columns!(), " FROM standings WHERE ", postgres_seen!(), ageing!()));
    AGED = sqlite(concat!("SELECT ", columns!(), " FROM standings WHERE ", sqlite_seen!(), aged!())),
        postgres(concat!("SELECT ", columns!(), " FROM standings WHERE ", postgres_seen!(), aged!()));
    COUNT = sqlite(concat!("SELECT COUNT(*) FROM (SELECT 1 FROM standings WHERE ", sqlite_seen!(), " LIMIT $2) AS counted")),
        postgres(concat!("SELECT COUNT(*) FROM (SELECT 1 FROM standings WHERE ", postgres_seen!(), " LIMIT $2) AS counted"));
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    project_id: Uuid,
    weight: i64,
    since: i64,
    stale: i64,
}

impl Row {
    fn read(self) -> Result<Standing, Error> {
        Ok(Standing {
            issue: IssueId(self.issue_id),
            project: ProjectId(self.project_id),
            weight: self.weight,
            since: COLUMNS.time("since", self.since)?,
            stale: self.stale != 0,
        })
    }
}

/// Puts an issue on the desk, or changes where it stands.
pub async fn standing_set(tx: &mut Tx, standing: &Standing) -> Result<(), Error> {
    let values = values![
        standing.issue,
        standing.project,
        standing.weight,
        standing.since,
        i64::from(standing.stale)
    ];
    tx.run(&SET, values).await.map(|_| ())
}

/// Where an issue stands, if it waits.
pub async fn standing_get(tx: &mut Tx, issue: IssueId) -> Result<Option<Standing>, Error> {
    let row: Option<Row> = tx.one(&GET, values![issue]).await?;
    row.map(Row::read).transpose()
}

/// Takes an issue off the desk.
pub async fn standing_remove(tx: &mut Tx, issue: IssueId) -> Result<(), Error> {
    tx.run(&REMOVE, values![issue]).await.map(|_| ())
}

/// Says of all that stand before this issue that they are to be weighed anew.
pub async fn standing_mark_blockers(tx: &mut Tx, issue: IssueId) -> Result<(), Error> {
    tx.run(&MARK_BLOCKERS, values![issue]).await.map(|_| ())
}

/// Says that a standing is as good as it gets.
pub async fn standing_settle(tx: &mut Tx, issue: IssueId) -> Result<(), Error> {
    tx.run(&SETTLE, values![issue]).await.map(|_| ())
}

/// Those that are to be computed anew.
pub async fn standing_list_stale(tx: &mut Tx, limit: i64) -> Result<Vec<Standing>, Error> {
    let rows: Vec<Row> = tx.all(&STALE, values![limit]).await?;
    Ok(COLUMNS.readable(rows, |row| row.issue_id, Row::read))
}

/// The first of what waits in these projects, or in all, in no order: up to `limit` of those that
/// still age, whose whole hours the caller counts, and up to `limit` of those that have aged.
pub async fn standing_list_first(
    tx: &mut Tx,
    projects: Option<&[ProjectId]>,
    ageing: Ageing,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Standing>, Error> {
    let cutoff = now - ageing.ages_for;
    let mut values = values![projects.map(id_set), limit, cutoff];
    let mut rows: Vec<Row> = tx.all(&AGED, values.clone()).await?;
    let point = i64::try_from(ageing.point.as_millis()).unwrap_or(i64::MAX);
    values.extend(values![point]);
    let young: Vec<Row> = tx.all(&AGEING, values).await?;
    rows.extend(young);
    Ok(COLUMNS.readable(rows, |row| row.issue_id, Row::read))
}

/// How many wait in these projects, or in all; counting stops at `most`.
pub async fn standing_count(
    tx: &mut Tx,
    projects: Option<&[ProjectId]>,
    most: i64,
) -> Result<i64, Error> {
    tx.number(&COUNT, values![projects.map(id_set), most]).await
}
