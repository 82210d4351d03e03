//! Table `blocks`: which issue waits for which.
//!
//! No issue blocks itself. Deliberately absent: whether a blocker still counts (a landed one does
//! not; that is a rule) and the guard against two transactions closing a circle together: hold
//! [`crate::project_lock`] between [`block_would_cycle`] and [`block_set`].

use nightshift_domain::id::{IssueId, Number};
use uuid::Uuid;

use crate::column::id_list;
use crate::engine::Tx;
use crate::error::Error;
use crate::issue::{Issue, Row, columns};
use crate::statement::{Statement, sql, values};

sql! { "block";
    CLEAR = both("DELETE FROM blocks WHERE issue_id = $1");
    ADD = both("INSERT INTO blocks (issue_id, blocker_id) VALUES ($1, $2) ON CONFLICT (issue_id, blocker_id) DO NOTHING");
    BLOCKERS = both(concat!("SELECT ", columns!(), " FROM issues WHERE id IN (SELECT blocker_id FROM blocks WHERE issue_id = $1) ORDER BY created_at, id"));
    BLOCKED = both("SELECT issue_id FROM blocks WHERE blocker_id = $1 ORDER BY issue_id");
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    OPEN_BEHIND = sqlite("SELECT b.blocker_id, i.number FROM blocks b JOIN issues i ON i.id = b.issue_id WHERE b.blocker_id IN (SELECT unhex(value) FROM json_each($1)) AND i.phase NOT IN ('done', 'closed') ORDER BY b.blocker_id, i.number"),
        postgres("SELECT b.blocker_id, i.number FROM blocks b JOIN issues i ON i.id = b.issue_id WHERE b.blocker_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND i.phase NOT IN ('done', 'closed') ORDER BY b.blocker_id, i.number");
    OPEN_BEFORE = sqlite("SELECT b.issue_id, i.number FROM blocks b JOIN issues i ON i.id = b.blocker_id WHERE b.issue_id IN (SELECT unhex(value) FROM json_each($1)) AND i.phase NOT IN ('done', 'closed') ORDER BY b.issue_id, i.created_at, i.id"),
        postgres("SELECT b.issue_id, i.number FROM blocks b JOIN issues i ON i.id = b.blocker_id WHERE b.issue_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND i.phase NOT IN ('done', 'closed') ORDER BY b.issue_id, i.created_at, i.id");
    WOULD_CYCLE = sqlite("WITH RECURSIVE ahead (id) AS (SELECT unhex(value) FROM json_each($2) UNION SELECT b.blocker_id FROM blocks b JOIN ahead ON b.issue_id = ahead.id) SELECT COUNT(*) FROM ahead WHERE id = $1"),
        postgres("WITH RECURSIVE ahead (id) AS (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($2 AS JSONB)) AS given (value) UNION SELECT b.blocker_id FROM blocks b JOIN ahead ON b.issue_id = ahead.id) SELECT COUNT(*) FROM ahead WHERE id = $1");
}

/// Replaces the blockers of an issue.
pub async fn block_set(tx: &mut Tx, issue: IssueId, blockers: &[IssueId]) -> Result<(), Error> {
    tx.run(&CLEAR, values![issue]).await?;
    for blocker in blockers {
        tx.run(&ADD, values![issue, *blocker]).await?;
    }
    Ok(())
}

/// The issues that stand before this one, oldest first, whatever their phase.
pub async fn blockers(tx: &mut Tx, issue: IssueId) -> Result<Vec<Issue>, Error> {
    let rows: Vec<Row> = tx.all(&BLOCKERS, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The issues that wait for this one.
pub async fn blocked_by_me(tx: &mut Tx, issue: IssueId) -> Result<Vec<IssueId>, Error> {
    let rows: Vec<(Uuid,)> = tx.all(&BLOCKED, values![issue]).await?;
    Ok(rows.into_iter().map(|(id,)| IssueId(id)).collect())
}

/// What waits for each of these issues and has not ended: the issue in front, and the number of the
/// one behind it.
pub async fn blocks_open_behind(
    tx: &mut Tx,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, Number)>, Error> {
    numbers(tx, &OPEN_BEHIND, issues).await
}

/// What each of these issues waits for and has not ended: the issue behind, and the number of the one
/// in front of it, oldest first.
pub async fn blocks_open_before(
    tx: &mut Tx,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, Number)>, Error> {
    numbers(tx, &OPEN_BEFORE, issues).await
}

async fn numbers(
    tx: &mut Tx,
    statement: &'static Statement,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, Number)>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<(Uuid, i64)> = tx.all(statement, values![list]).await?;
    let read = |(issue, number)| (IssueId(issue), number);
    Ok(rows.into_iter().map(read).collect())
}

/// Whether `issue` would wait for itself if `blockers` stood before it.
pub async fn block_would_cycle(
    tx: &mut Tx,
    issue: IssueId,
    blockers: &[IssueId],
) -> Result<bool, Error> {
    let list = id_list(blockers.iter().map(|id| id.0));
    Ok(tx.number(&WOULD_CYCLE, values![issue, list]).await? > 0)
}
