//! Table `proposals`: guidelines that agents propose.
//!
//! They are added, never changed. Deliberately absent: what becomes of one; a person reads it with
//! the change.

use jiff::Timestamp;
use nightshift_domain::id::{IssueId, RunId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A guideline that an agent proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: Uuid,
    /// The run it comes from.
    pub run: RunId,
    /// The issue of that run.
    pub issue: IssueId,
    /// The round of that run.
    pub round: i64,
    /// The rule, Markdown; an agent's words.
    pub body: String,
    /// The feedback that the agent says it comes from.
    pub source: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("proposal");

macro_rules! columns {
    () => {
        "id, run_id, issue_id, round, body, source, created_at"
    };
}

sql! { "proposal";
    INSERT = both(concat!("INSERT INTO proposals (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)"));
    LIST_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM proposals WHERE issue_id = $1 ORDER BY created_at, id"));
    LIST_OF_RUN = both(concat!("SELECT ", columns!(), " FROM proposals WHERE run_id = $1 ORDER BY created_at, id"));
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    run_id: Uuid,
    issue_id: Uuid,
    round: i64,
    body: String,
    source: Option<String>,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Proposal, Error> {
        Ok(Proposal {
            id: self.id,
            run: RunId(self.run_id),
            issue: IssueId(self.issue_id),
            round: self.round,
            body: self.body,
            source: self.source,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a proposal.
pub async fn proposal_insert(tx: &mut Tx, proposal: &Proposal) -> Result<(), Error> {
    let values = values![
        proposal.id,
        proposal.run,
        proposal.issue,
        proposal.round,
        &proposal.body,
        proposal.source.clone(),
        proposal.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// What an issue's runs proposed, oldest first.
pub async fn proposal_list_of_issue(tx: &mut Tx, issue: IssueId) -> Result<Vec<Proposal>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_ISSUE, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// What a run proposed, oldest first.
pub async fn proposal_list_of_run(tx: &mut Tx, run: RunId) -> Result<Vec<Proposal>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_RUN, values![run]).await?;
    rows.into_iter().map(Row::read).collect()
}
