//! Table `reviews`: a person's decisions.
//!
//! A review names the head it decided on and is never changed, but may be withdrawn once. Deliberately
//! absent: whether it still counts (a new head voids it; that is a rule).

use jiff::Timestamp;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, ReviewId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Land it.
    Approve,
    /// Do it again, with these words.
    SendBack,
}

/// A comment on a line of the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineComment {
    /// Path from the root of the tree.
    pub path: String,
    /// The line, from 1, or the last one of a range; none for the file as a whole.
    pub line: Option<i64>,
    /// The first line of a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
    /// The commit whose lines are meant, where it is not the review's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<ObjectId>,
    /// Markdown.
    pub body: String,
}

/// A decision on a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The issue.
    pub issue: IssueId,
    /// The round it ends.
    pub round: i64,
    /// The commit it is about.
    pub head: ObjectId,
    /// What was decided.
    pub decision: Decision,
    /// Markdown.
    pub body: String,
    /// Comments on lines.
    pub comments: Vec<LineComment>,
    /// Who decided.
    pub by: UserId,
    /// Their name at that time.
    pub by_name: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was taken back.
    pub withdrawn_at: Option<Timestamp>,
}

const COLUMNS: Columns = Columns("review");

macro_rules! columns {
    () => {
        "id, issue_id, round, head, decision, body, comments, user_id, user_name, created_at, withdrawn_at"
    };
}

sql! { "review";
    INSERT = both(concat!("INSERT INTO reviews (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"));
    LIST = both(concat!("SELECT ", columns!(), " FROM reviews WHERE issue_id = $1 ORDER BY created_at, id"));
    WITHDRAW = both("UPDATE reviews SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    issue_id: Uuid,
    round: i64,
    head: String,
    decision: String,
    body: String,
    comments: String,
    user_id: Uuid,
    user_name: String,
    created_at: i64,
    withdrawn_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Review, Error> {
        Ok(Review {
            id: ReviewId(self.id),
            issue: IssueId(self.issue_id),
            round: self.round,
            head: COLUMNS.parse("head", &self.head)?,
            decision: COLUMNS.word("decision", self.decision)?,
            body: self.body,
            comments: COLUMNS.json("comments", &self.comments)?,
            by: UserId(self.user_id),
            by_name: self.user_name,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            withdrawn_at: COLUMNS.time_option("withdrawn_at", self.withdrawn_at)?,
        })
    }
}

/// Adds a review.
pub async fn review_insert(tx: &mut Tx, review: &Review) -> Result<(), Error> {
    let values = values![
        review.id,
        review.issue,
        review.round,
        &review.head,
        COLUMNS.to_word(&review.decision)?,
        &review.body,
        COLUMNS.to_json(&review.comments)?,
        review.by,
        &review.by_name,
        review.created_at,
        review.withdrawn_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// The reviews of an issue, oldest first, the withdrawn ones among them.
pub async fn review_list(tx: &mut Tx, issue: IssueId) -> Result<Vec<Review>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Takes a review back; false when there is none, or it was taken back before.
pub async fn review_withdraw(tx: &mut Tx, id: ReviewId, at: Timestamp) -> Result<bool, Error> {
    Ok(tx.run(&WITHDRAW, values![id, at]).await? > 0)
}
