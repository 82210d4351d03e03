//! Table `pull_heads`: every commit a pull request ever offered, and by whom.
//!
//! Heads are added, never changed; how large the change is comes to them later. Deliberately absent: which one is current (that is the pull).

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, RunId};
use nightshift_domain::size::Size;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
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
    MEASURE = both("UPDATE pull_heads SET size = $3 WHERE issue_id = $1 AND head = $2");
    SIZE = both("SELECT size FROM pull_heads WHERE issue_id = $1 AND head = $2 AND size IS NOT NULL LIMIT 1");
    // How a list of ids is read differs.
    SIZES = sqlite("SELECT issue_id, size FROM pull_heads WHERE issue_id IN (SELECT unhex(value) FROM json_each($1)) AND size IS NOT NULL AND EXISTS (SELECT 1 FROM pulls AS p WHERE p.issue_id = pull_heads.issue_id AND p.head = pull_heads.head)"),
        postgres("SELECT issue_id, size FROM pull_heads WHERE issue_id IN (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND size IS NOT NULL AND EXISTS (SELECT 1 FROM pulls AS p WHERE p.issue_id = pull_heads.issue_id AND p.head = pull_heads.head)");
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

/// Takes note of how large the change with this head is.
pub async fn head_measure(
    tx: &mut Tx,
    issue: IssueId,
    head: &ObjectId,
    size: &Size,
) -> Result<(), Error> {
    let values = values![issue, head, COLUMNS.to_json(size)?];
    tx.run(&MEASURE, values).await.map(|_| ())
}

/// How large the change with this head is, once it was measured.
pub async fn head_size(
    tx: &mut Tx,
    issue: IssueId,
    head: &ObjectId,
) -> Result<Option<Size>, Error> {
    let row: Option<(String,)> = tx.one(&SIZE, values![issue, head]).await?;
    row.map(|(text,)| COLUMNS.json("size", &text)).transpose()
}

/// How large the changes of these issues are at their current heads, of those that were measured.
pub async fn head_size_list(
    tx: &mut Tx,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, Size)>, Error> {
    let rows: Vec<(Uuid, String)> = tx
        .all(&SIZES, values![id_list(issues.iter().map(|id| id.0))])
        .await?;
    Ok(COLUMNS.readable(
        rows,
        |row| row.0,
        |(issue, text)| Ok((IssueId(issue), COLUMNS.json("size", &text)?)),
    ))
}
