//! Table `splits`: which issue a run split off, and from which.
//!
//! An issue is split off at most once, when it is made. Deliberately absent: the issues themselves.

use nightshift_domain::id::{IssueId, Number, RunId};

use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

sql! { "split";
    INSERT = both("INSERT INTO splits (issue_id, parent_id, run_id) VALUES ($1, $2, $3)");
    PARENT = both("SELECT i.number FROM splits s JOIN issues i ON i.id = s.parent_id WHERE s.issue_id = $1");
    CHILDREN = both("SELECT i.number FROM splits s JOIN issues i ON i.id = s.issue_id WHERE s.parent_id = $1 ORDER BY i.number");
}

/// Notes that a run split an issue off.
pub async fn split_insert(
    tx: &mut Tx,
    issue: IssueId,
    parent: IssueId,
    run: RunId,
) -> Result<(), Error> {
    tx.run(&INSERT, values![issue, parent, run])
        .await
        .map(|_| ())
}

/// The issue that this one was split off from.
pub async fn split_parent(tx: &mut Tx, issue: IssueId) -> Result<Option<Number>, Error> {
    let row: Option<(Number,)> = tx.one(&PARENT, values![issue]).await?;
    Ok(row.map(|(number,)| number))
}

/// The issues that were split off from this one, by number.
pub async fn split_children(tx: &mut Tx, issue: IssueId) -> Result<Vec<Number>, Error> {
    let rows: Vec<(Number,)> = tx.all(&CHILDREN, values![issue]).await?;
    Ok(rows.into_iter().map(|(number,)| number).collect())
}
