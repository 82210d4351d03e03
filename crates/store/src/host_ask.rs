//! Table `host_asks`: hosts that an issue's runs asked for, and what a person decided.
//!
//! One row for each issue, host and whose need it is. Deliberately absent: rules.

use nightshift_domain::grant::{Asked, Decided, Need};
use nightshift_domain::host::Allowed;
use nightshift_domain::id::{IssueId, ProjectId, RunId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("host ask");

macro_rules! columns {
    () => {
        "issue_id, host, need, run_id, why, asked_at, decision, decided_by, decided_at"
    };
}

sql! { "host ask";
    SET = both(concat!("INSERT INTO host_asks (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (issue_id, host, need) DO UPDATE SET run_id = excluded.run_id, why = excluded.why, asked_at = excluded.asked_at, decision = excluded.decision, decided_by = excluded.decided_by, decided_at = excluded.decided_at"));
    LIST = both(concat!("SELECT ", columns!(), " FROM host_asks WHERE issue_id = $1 ORDER BY asked_at, host, need"));
    OPEN = sqlite("SELECT issue_id, host, need FROM host_asks WHERE decision IS NULL AND issue_id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY asked_at, host, need"),
        postgres("SELECT issue_id, host, need FROM host_asks WHERE decision IS NULL AND issue_id IN (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) ORDER BY asked_at, host, need");
    OPEN_ALL = both("SELECT i.project_id, i.id FROM issues i WHERE i.phase NOT IN ('done', 'closed') AND i.id IN (SELECT issue_id FROM host_asks WHERE decision IS NULL) ORDER BY i.project_id, i.id");
    FORGET = both("DELETE FROM host_asks WHERE issue_id = $1 AND need = $2 AND decision IS NULL");
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    host: String,
    need: String,
    run_id: Option<Uuid>,
    why: Option<String>,
    asked_at: i64,
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Asked, Error> {
        let decided = match (self.decision, self.decided_by, self.decided_at) {
            (Some(decision), Some(by), Some(at)) => Some(Decided {
                decision: COLUMNS.word("decision", decision)?,
                by: COLUMNS.json("decided_by", &by)?,
                at: COLUMNS.time("decided_at", at)?,
            }),
            _ => None,
        };
        Ok(Asked {
            issue: IssueId(self.issue_id),
            host: COLUMNS.word::<Allowed>("host", self.host)?,
            need: COLUMNS.word("need", self.need)?,
            run: self.run_id.map(RunId),
            why: self.why,
            at: COLUMNS.time("asked_at", self.asked_at)?,
            decided,
        })
    }
}

/// Keeps what was asked and decided about a host, over what was known of it.
pub async fn host_ask_set(tx: &mut Tx, asked: &Asked) -> Result<(), Error> {
    let decided = asked.decided.as_ref();
    let by = decided
        .map(|decided| COLUMNS.to_json(&decided.by))
        .transpose()?;
    let values = values![
        asked.issue,
        asked.host.to_string(),
        asked.need.as_str(),
        asked.run,
        &asked.why,
        asked.at,
        decided.map(|decided| decided.decision.as_str()),
        by,
        decided.map(|decided| decided.at)
    ];
    tx.run(&SET, values).await.map(|_| ())
}

/// What an issue's runs asked for, oldest first.
pub async fn host_ask_list(tx: &mut Tx, issue: IssueId) -> Result<Vec<Asked>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The hosts that are open for these issues, oldest first.
pub async fn host_ask_list_open(
    tx: &mut Tx,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, String, Need)>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<(Uuid, String, String)> = tx.all(&OPEN, values![list]).await?;
    rows.into_iter()
        .map(|(issue, host, need)| Ok((IssueId(issue), host, COLUMNS.word("need", need)?)))
        .collect()
}

/// The issues that have not ended and for which a host is open, with their projects, by both.
pub async fn host_ask_issues_open(tx: &mut Tx) -> Result<Vec<(ProjectId, IssueId)>, Error> {
    let rows: Vec<(Uuid, Uuid)> = tx.all(&OPEN_ALL, values![]).await?;
    Ok(rows
        .into_iter()
        .map(|(project, issue)| (ProjectId(project), IssueId(issue)))
        .collect())
}

/// Forgets what an issue's runs asked for this need and nobody decided.
pub async fn host_ask_forget(tx: &mut Tx, issue: IssueId, need: Need) -> Result<(), Error> {
    let values = values![issue, need.as_str()];
    tx.run(&FORGET, values).await.map(|_| ())
}
