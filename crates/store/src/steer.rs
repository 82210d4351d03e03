//! Table `steers`: what people said to a run while it went on.
//!
//! Each ends in exactly one way: handed to the agent, or too late for the run. Deliberately absent:
//! what becomes of one that was too late (the next prompt has it).

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::id::{IssueId, RunId};
use nightshift_domain::trust::Trust;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// Words to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steer {
    /// Their id.
    pub id: Uuid,
    /// The run.
    pub run: RunId,
    /// The issue it works for.
    pub issue: IssueId,
    /// The round.
    pub round: i64,
    /// Who said it.
    pub author: Actor,
    /// How far they are trusted.
    pub trust: Trust,
    /// Markdown.
    pub body: String,
    /// Whether the agent is interrupted for it.
    pub interrupts: bool,
    /// When it was said.
    pub created_at: Timestamp,
    /// When the agent was given it.
    pub handed_at: Option<Timestamp>,
    /// When the run ended without it.
    pub late_at: Option<Timestamp>,
}

const COLUMNS: Columns = Columns("steer");

macro_rules! columns {
    () => {
        "id, run_id, issue_id, round, author, trust, body, interrupts, created_at, handed_at, late_at"
    };
}

sql! { "steer";
    INSERT = both(concat!("INSERT INTO steers (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"));
    HANDED = both("UPDATE steers SET handed_at = $3 WHERE id = $2 AND run_id = $1 AND handed_at IS NULL AND late_at IS NULL");
    LATE = both("UPDATE steers SET late_at = $2 WHERE run_id = $1 AND handed_at IS NULL AND late_at IS NULL");
    LIST_OF_RUN = both(concat!("SELECT ", columns!(), " FROM steers WHERE run_id = $1 ORDER BY created_at, id"));
    LIST_WAITING = both(concat!("SELECT ", columns!(), " FROM steers WHERE run_id = $1 AND handed_at IS NULL AND late_at IS NULL ORDER BY created_at, id"));
    LIST_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM steers WHERE issue_id = $1 ORDER BY created_at, id"));
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    run_id: Uuid,
    issue_id: Uuid,
    round: i64,
    author: String,
    trust: String,
    body: String,
    interrupts: i64,
    created_at: i64,
    handed_at: Option<i64>,
    late_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Steer, Error> {
        Ok(Steer {
            id: self.id,
            run: RunId(self.run_id),
            issue: IssueId(self.issue_id),
            round: self.round,
            author: COLUMNS.json("author", &self.author)?,
            trust: COLUMNS.word("trust", self.trust)?,
            body: self.body,
            interrupts: self.interrupts != 0,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            handed_at: COLUMNS.time_option("handed_at", self.handed_at)?,
            late_at: COLUMNS.time_option("late_at", self.late_at)?,
        })
    }
}

/// Adds words as they are.
pub async fn steer_insert(tx: &mut Tx, steer: &Steer) -> Result<(), Error> {
    let values = values![
        steer.id,
        steer.run,
        steer.issue,
        steer.round,
        COLUMNS.to_json(&steer.author)?,
        COLUMNS.to_word(&steer.trust)?,
        &steer.body,
        steer.interrupts,
        steer.created_at,
        steer.handed_at,
        steer.late_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// Notes that the agent has words that were waiting. Says whether they were.
pub async fn steer_handed(tx: &mut Tx, run: RunId, id: Uuid, at: Timestamp) -> Result<bool, Error> {
    Ok(tx.run(&HANDED, values![run, id, at]).await? > 0)
}

/// Notes that the run ended without the words that were waiting. Says how many those were.
pub async fn steer_late(tx: &mut Tx, run: RunId, at: Timestamp) -> Result<u64, Error> {
    tx.run(&LATE, values![run, at]).await
}

/// What was said to a run, oldest first.
pub async fn steer_list_of_run(tx: &mut Tx, run: RunId) -> Result<Vec<Steer>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_RUN, values![run]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// What waits to be handed to a run's agent, oldest first.
pub async fn steer_list_waiting(tx: &mut Tx, run: RunId) -> Result<Vec<Steer>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_WAITING, values![run]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// What was said to an issue's runs, oldest first.
pub async fn steer_list_of_issue(tx: &mut Tx, issue: IssueId) -> Result<Vec<Steer>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_ISSUE, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}
