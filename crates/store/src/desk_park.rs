//! Table `desk_parks`: what a person put off on their desk, and until when.
//!
//! Each person for themselves: nothing about the issue changes. Deliberately absent: a sweep; a park
//! whose time is past says nothing, and the next one takes its place.

use jiff::Timestamp;
use nightshift_domain::id::{IssueId, UserId};
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("desk park");

sql! { "desk park";
    SET = both("INSERT INTO desk_parks (user_id, issue_id, until) VALUES ($1, $2, $3) ON CONFLICT (user_id, issue_id) DO UPDATE SET until = EXCLUDED.until");
    CLEAR = both("DELETE FROM desk_parks WHERE user_id = $1 AND issue_id = $2");
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    LIST_OF_USERS = sqlite("SELECT user_id, issue_id FROM desk_parks WHERE user_id IN (SELECT unhex(value) FROM json_each($1)) AND until > $2 ORDER BY user_id, issue_id"),
        postgres("SELECT user_id, issue_id FROM desk_parks WHERE user_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND until > $2 ORDER BY user_id, issue_id");
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

/// What these people have put off beyond `now`, by person and issue.
pub async fn park_list_of_users(
    tx: &mut Tx,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<(UserId, IssueId)>, Error> {
    let list = id_list(users.iter().map(|id| id.0));
    let rows: Vec<(Uuid, Uuid)> = tx.all(&LIST_OF_USERS, values![list, now]).await?;
    Ok(rows
        .into_iter()
        .map(|(user, issue)| (UserId(user), IssueId(issue)))
        .collect())
}
