//! Table `proposals`: guidelines that agents propose.
//!
//! They are added, and decided about; their words never change. What is accepted stays so, since a commit
//! holds it. Deliberately absent: who may decide.

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::id::{IssueId, RunId};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// What a person decided about a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is in the project's guidelines.
    Accepted,
    /// Nothing comes of it.
    Dismissed,
}

impl Taken {
    /// The word used in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
        }
    }
}

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
    /// What was decided, by whom, when.
    pub decided: Option<(Taken, Actor, Timestamp)>,
}

const COLUMNS: Columns = Columns("proposal");

macro_rules! columns {
    () => {
        "id, run_id, issue_id, round, body, source, created_at, decision, decided_by, decided_at"
    };
}

sql! { "proposal";
    INSERT = both(concat!("INSERT INTO proposals (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"));
    GET = both(concat!("SELECT ", columns!(), " FROM proposals WHERE id = $1"));
    DECIDE = both("UPDATE proposals SET decision = $2, decided_by = $3, decided_at = $4 WHERE id = $1 AND (decision IS NULL OR ($2 = 'accepted' AND decision = 'dismissed'))");
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
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Proposal, Error> {
        let decided = match (self.decision, self.decided_by, self.decided_at) {
            (Some(decision), Some(by), Some(at)) => Some((
                COLUMNS.word("decision", decision)?,
                COLUMNS.json("decided_by", &by)?,
                COLUMNS.time("decided_at", at)?,
            )),
            _ => None,
        };
        Ok(Proposal {
            decided,
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

/// Adds a proposal, open.
pub async fn proposal_insert(tx: &mut Tx, proposal: &Proposal) -> Result<(), Error> {
    let values = values![
        proposal.id,
        proposal.run,
        proposal.issue,
        proposal.round,
        &proposal.body,
        proposal.source.clone(),
        proposal.created_at,
        None::<String>,
        None::<String>,
        None::<i64>
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By its id.
pub async fn proposal_get(tx: &mut Tx, id: Uuid) -> Result<Option<Proposal>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// Keeps what was decided; returns whether that was still open. A dismissed one can still be accepted.
pub async fn proposal_decide(
    tx: &mut Tx,
    id: Uuid,
    taken: Taken,
    by: &Actor,
    now: Timestamp,
) -> Result<bool, Error> {
    let values = values![id, taken.as_str(), COLUMNS.to_json(by)?, now];
    Ok(tx.run(&DECIDE, values).await? > 0)
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
