//! Table `notifications`: what tells a person.
//!
//! Deliberately absent: mail and chat; they are deliveries of the outbox.

use jiff::Timestamp;
use nightshift_domain::id::{IssueId, Number, ProjectId, UserId};
use nightshift_domain::issue::Notice;
use nightshift_domain::sentence::Kept;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// Something a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// Who is told.
    pub user: UserId,
    /// The project.
    pub project: ProjectId,
    /// The issue.
    pub issue: IssueId,
    /// The issue's number.
    pub number: Number,
    /// What it is.
    pub notice: Notice,
    /// One line for the person.
    pub text: Kept,
    /// When.
    pub created_at: Timestamp,
    /// When they saw it.
    pub read_at: Option<Timestamp>,
}

const COLUMNS: Columns = Columns("notification");

macro_rules! columns {
    () => {
        "id, user_id, project_id, issue_id, number, notice, body, said, created_at, read_at"
    };
}

sql! { "notification";
    INSERT = both(concat!("INSERT INTO notifications (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"));
    LIST = both(concat!("SELECT ", columns!(), " FROM notifications WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"));
    LIST_UNREAD = both(concat!("SELECT ", columns!(), " FROM notifications WHERE user_id = $1 AND read_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $2"));
    SETTLE = both("UPDATE notifications SET read_at = $2 WHERE issue_id = $1 AND read_at IS NULL AND (notice = $3 OR notice = $4 OR notice = $5)");
    READ = both("UPDATE notifications SET read_at = $3 WHERE id = $2 AND user_id = $1 AND read_at IS NULL");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    project_id: Uuid,
    issue_id: Uuid,
    number: i64,
    notice: String,
    body: String,
    said: Option<String>,
    created_at: i64,
    read_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Notification, Error> {
        Ok(Notification {
            id: self.id,
            user: UserId(self.user_id),
            project: ProjectId(self.project_id),
            issue: IssueId(self.issue_id),
            number: self.number,
            notice: COLUMNS.word("notice", self.notice)?,
            text: COLUMNS.kept("said", self.body, self.said.as_deref())?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            read_at: COLUMNS.time_option("read_at", self.read_at)?,
        })
    }
}

/// Adds a notification.
pub async fn notification_insert(tx: &mut Tx, notification: &Notification) -> Result<(), Error> {
    let values = values![
        notification.id,
        notification.user,
        notification.project,
        notification.issue,
        notification.number,
        COLUMNS.to_word(&notification.notice)?,
        notification.text.as_str(),
        COLUMNS.to_json_option(notification.text.word())?,
        notification.created_at,
        notification.read_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// A person's notifications, newest first.
pub async fn notification_list(
    tx: &mut Tx,
    user: UserId,
    unread_only: bool,
    limit: i64,
) -> Result<Vec<Notification>, Error> {
    let statement = if unread_only { &LIST_UNREAD } else { &LIST };
    let rows: Vec<Row> = tx.all(statement, values![user, limit]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Notes that the person saw it; false when it is not theirs or was seen before.
pub async fn notification_read(
    tx: &mut Tx,
    user: UserId,
    id: Uuid,
    at: Timestamp,
) -> Result<bool, Error> {
    Ok(tx.run(&READ, values![user, id, at]).await? > 0)
}

/// Notes of everybody's notifications of these kinds on an issue that they are past; at most three
/// kinds at once. How many there were.
pub async fn notification_settle(
    tx: &mut Tx,
    issue: IssueId,
    past: &[Notice],
    at: Timestamp,
) -> Result<i64, Error> {
    let Some(first) = past.first() else {
        return Ok(0);
    };
    let word = |place: usize| COLUMNS.to_word(past.get(place).unwrap_or(first));
    let values = values![issue, at, word(0)?, word(1)?, word(2)?];
    tx.count(&SETTLE, values).await
}
