//! Table `desk_parks`: what a person put off on their desk, and until when.
//!
//! Each person for themselves: nothing about the issue changes. Deliberately absent: a sweep; a park
//! whose time is past says nothing, and the next one takes its place.

use jiff::Timestamp;
use nightshift_domain::id::{IssueId, UserId};
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("desk park");

sql! { "desk park";
    SET = both("INSERT INTO desk_parks (user_id, issue_id, until) VALUES ($1, $2, $3) ON CONFLICT (user_id, issue_id) DO UPDATE SET until = EXCLUDED.until");
    CLEAR = both("DELETE FROM desk_parks WHERE user_id = $1 AND issue_id = $2");
    LIST = both("SELECT issue_id, until FROM desk_parks WHERE user_id = $1 AND until > $2 ORDER BY until, issue_id");
}

/// Puts an issue off for a person, in the place of any time before.
pub async fn park_set(
    tx: &mut Tx,
    user: UserId,
    issue: IssueId,
    until: Timestamp,
) -> Result<(), Error> {
    tx.run(&SET, values![user, issue, until]).await.map(|_| ())
}

/// Takes an issue up again; false when the person had not put it off.
pub async fn park_clear(tx: &mut Tx, user: UserId, issue: IssueId) -> Result<bool, Error> {
    Ok(tx.run(&CLEAR, values![user, issue]).await? > 0)
}

/// What a person has put off beyond `now`, soonest first.
pub async fn park_list(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<(IssueId, Timestamp)>, Error> {
    let rows: Vec<(Uuid, i64)> = tx.all(&LIST, values![user, now]).await?;
    rows.into_iter()
        .map(|(issue, until)| Ok((IssueId(issue), COLUMNS.time("until", until)?)))
        .collect()
}
