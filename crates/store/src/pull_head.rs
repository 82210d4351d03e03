//! Table `pull_heads`: every commit a pull request ever offered, and by whom.
//!
//! Heads are added, never changed. Deliberately absent: which one is current (that is the pull).

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, RunId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A commit that a pull request offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The issue of the pull request.
    pub issue: IssueId,
    /// The commit.
    pub head: ObjectId,
    /// The tip of the default branch it was up to date with.
    pub base: ObjectId,
    /// The round it came in.
    pub round: i64,
    /// The run that made it, if one did.
    pub run: Option<RunId>,
    /// Who put it there.
    pub by: Actor,
    /// When.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("head");

macro_rules! columns {
    () => {
        "issue_id, head, base, round, run_id, actor, created_at"
    };
}

sql! { "head";
    INSERT = both(concat!("INSERT INTO pull_heads (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)"));
    LIST = both(concat!("SELECT ", columns!(), " FROM pull_heads WHERE issue_id = $1 ORDER BY created_at, head"));
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    head: String,
    base: String,
    round: i64,
    run_id: Option<Uuid>,
    actor: String,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Head, Error> {
        Ok(Head {
            issue: IssueId(self.issue_id),
            head: COLUMNS.parse("head", &self.head)?,
            base: COLUMNS.parse("base", &self.base)?,
            round: self.round,
            run: self.run_id.map(RunId),
            by: COLUMNS.json("actor", &self.actor)?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a head.
pub async fn head_insert(tx: &mut Tx, head: &Head) -> Result<(), Error> {
    let values = values![
        head.issue,
        &head.head,
        &head.base,
        head.round,
        head.run,
        COLUMNS.to_json(&head.by)?,
        head.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// The heads of a pull request, oldest first.
pub async fn head_list(tx: &mut Tx, issue: IssueId) -> Result<Vec<Head>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}
