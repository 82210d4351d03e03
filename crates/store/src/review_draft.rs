//! Table `review_drafts`: comments on lines that a person has written and not yet said.
//!
//! Nobody else sees them; a review takes them up and clears them. Deliberately absent: where their
//! lines are by now.

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, UserId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A comment not yet said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftComment {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The issue.
    pub issue: IssueId,
    /// Path from the root of the tree.
    pub path: String,
    /// The line, from 1, or the last one of a range; none for the file as a whole.
    pub line: Option<i64>,
    /// The first line of a range.
    pub first: Option<i64>,
    /// The commit whose lines are meant; older ones do not say.
    pub head: Option<ObjectId>,
    /// Markdown.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("draft comment");

macro_rules! columns {
    () => {
        "id, user_id, issue_id, path, line, first_line, head, body, created_at"
    };
}

sql! { "draft comment";
    INSERT = both(concat!("INSERT INTO review_drafts (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
    DELETE = both("DELETE FROM review_drafts WHERE user_id = $1 AND id = $2");
    LIST = both(concat!("SELECT ", columns!(), " FROM review_drafts WHERE user_id = $1 AND issue_id = $2 ORDER BY created_at, id"));
    CLEAR = both("DELETE FROM review_drafts WHERE user_id = $1 AND issue_id = $2");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    issue_id: Uuid,
    path: String,
    line: Option<i64>,
    first_line: Option<i64>,
    head: Option<String>,
    body: String,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<DraftComment, Error> {
        Ok(DraftComment {
            id: self.id,
            user: UserId(self.user_id),
            issue: IssueId(self.issue_id),
            path: self.path,
            line: self.line,
            first: self.first_line,
            head: COLUMNS.parse_option("head", self.head.as_deref())?,
            body: self.body,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a comment.
pub async fn draft_insert(tx: &mut Tx, draft: &DraftComment) -> Result<(), Error> {
    let values = values![
        draft.id,
        draft.user,
        draft.issue,
        &draft.path,
        draft.line,
        draft.first,
        draft.head.as_ref(),
        &draft.body,
        draft.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// Drops a person's comment; false when they have none with this id.
pub async fn draft_delete(tx: &mut Tx, user: UserId, id: Uuid) -> Result<bool, Error> {
    Ok(tx.run(&DELETE, values![user, id]).await? > 0)
}

/// A person's comments on an issue, oldest first.
pub async fn draft_list(
    tx: &mut Tx,
    user: UserId,
    issue: IssueId,
) -> Result<Vec<DraftComment>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![user, issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Drops all of a person's comments on an issue; how many there were.
pub async fn draft_clear(tx: &mut Tx, user: UserId, issue: IssueId) -> Result<i64, Error> {
    tx.count(&CLEAR, values![user, issue]).await
}
