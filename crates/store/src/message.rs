//! Table `messages`: the conversation on an issue.
//!
//! Messages are added, never changed. Deliberately absent: comments on lines (part of a review).

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::id::IssueId;
use nightshift_domain::sentence::Kept;
use nightshift_domain::trust::Trust;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// The agent asks.
    Question,
    /// A person answers.
    Answer,
    /// A person sends back.
    Feedback,
    /// Anything else worth keeping.
    Note,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// The issue it is about.
    pub issue: IssueId,
    /// The round it was said in.
    pub round: i64,
    /// What it is.
    pub kind: MessageKind,
    /// Who said it.
    pub author: Actor,
    /// How far it is trusted.
    pub trust: Trust,
    /// Markdown.
    pub body: Kept,
    /// When.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("message");

macro_rules! columns {
    () => {
        "id, issue_id, round, kind, author, trust, body, said, created_at"
    };
}

sql! { "message";
    INSERT = both(concat!("INSERT INTO messages (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
    LIST = both(concat!("SELECT ", columns!(), " FROM messages WHERE issue_id = $1 ORDER BY created_at, id"));
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    issue_id: Uuid,
    round: i64,
    kind: String,
    author: String,
    trust: String,
    body: String,
    said: Option<String>,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Message, Error> {
        Ok(Message {
            id: self.id,
            issue: IssueId(self.issue_id),
            round: self.round,
            kind: COLUMNS.word("kind", self.kind)?,
            author: COLUMNS.json("author", &self.author)?,
            trust: COLUMNS.word("trust", self.trust)?,
            body: COLUMNS.kept("said", self.body, self.said.as_deref())?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a message.
pub async fn message_insert(tx: &mut Tx, message: &Message) -> Result<(), Error> {
    let values = values![
        message.id,
        message.issue,
        message.round,
        COLUMNS.to_word(&message.kind)?,
        COLUMNS.to_json(&message.author)?,
        COLUMNS.to_word(&message.trust)?,
        message.body.as_str(),
        COLUMNS.to_json_option(message.body.word())?,
        message.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// The conversation, oldest first.
pub async fn message_list(tx: &mut Tx, issue: IssueId) -> Result<Vec<Message>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}
