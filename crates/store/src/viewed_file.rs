//! Table `viewed_files`: which files of a change a person has looked at.
//!
//! Kept with the object id of the content that was seen, so that a file that changed since does not
//! look seen. Deliberately absent: that comparison; it needs the head.

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, UserId};

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("viewed file");

sql! { "viewed file";
    SET = both("INSERT INTO viewed_files (user_id, issue_id, path, blob, viewed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, issue_id, path) DO UPDATE SET blob = EXCLUDED.blob, viewed_at = EXCLUDED.viewed_at");
    CLEAR = both("DELETE FROM viewed_files WHERE user_id = $1 AND issue_id = $2 AND path = $3");
    LIST = both("SELECT path, blob FROM viewed_files WHERE user_id = $1 AND issue_id = $2 ORDER BY path");
}

/// Notes that a person saw this content of a file; `blob` is [`ObjectId::zero`] for a deleted one.
pub async fn viewed_set(
    tx: &mut Tx,
    user: UserId,
    issue: IssueId,
    path: &str,
    blob: &ObjectId,
    now: Timestamp,
) -> Result<(), Error> {
    let values = values![user, issue, path, blob, now];
    tx.run(&SET, values).await.map(|_| ())
}

/// Forgets that a person saw a file; false when they had not.
pub async fn viewed_clear(
    tx: &mut Tx,
    user: UserId,
    issue: IssueId,
    path: &str,
) -> Result<bool, Error> {
    Ok(tx.run(&CLEAR, values![user, issue, path]).await? > 0)
}

/// The files that a person saw, by path, each with the content that they saw.
pub async fn viewed_list(
    tx: &mut Tx,
    user: UserId,
    issue: IssueId,
) -> Result<Vec<(String, ObjectId)>, Error> {
    let rows: Vec<(String, String)> = tx.all(&LIST, values![user, issue]).await?;
    rows.into_iter()
        .map(|(path, blob)| Ok((path, COLUMNS.parse("blob", &blob)?)))
        .collect()
}
