//! Table `verdicts`: what the platform itself proved about a head.
//!
//! One per run, never changed; the latest about a head counts. Deliberately absent: the judgement.

use jiff::Timestamp;
use nightshift_domain::check::{Colour, ProofReport};
use nightshift_domain::facts::Finding;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, RunId};
use nightshift_domain::sentence::Kept;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The issue it is about.
    pub issue: IssueId,
    /// The commit that was proved.
    pub head: ObjectId,
    /// The base whose definitions were used.
    pub base: ObjectId,
    /// The judgement.
    pub colour: Colour,
    /// Why it is not green.
    pub reasons: Vec<Kept>,
    /// Facts about the change that a person should see.
    pub findings: Vec<Finding>,
    /// The raw results.
    pub report: ProofReport,
    /// The run that proved it.
    pub run: RunId,
    /// When.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("verdict");

macro_rules! columns {
    () => {
        "issue_id, head, base, colour, reasons, findings, report, run_id, created_at"
    };
}

macro_rules! of_verdict {
    () => {
        "v.issue_id, v.head, v.base, v.colour, v.reasons, v.findings, v.report, v.run_id, v.created_at"
    };
}

sql! { "verdict";
    INSERT = both(concat!("INSERT INTO verdicts (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
    LATEST = both(concat!("SELECT ", columns!(), " FROM verdicts WHERE issue_id = $1 ORDER BY created_at DESC, run_id DESC LIMIT 1"));
    OF_HEAD = both(concat!("SELECT ", columns!(), " FROM verdicts WHERE issue_id = $1 AND head = $2 ORDER BY created_at DESC, run_id DESC LIMIT 1"));
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    LIST_OF_HEADS = sqlite(concat!("SELECT ", of_verdict!(), " FROM pulls p JOIN verdicts v ON v.issue_id = p.issue_id AND v.head = p.head WHERE p.issue_id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY v.created_at, v.run_id")),
        postgres(concat!("SELECT ", of_verdict!(), " FROM pulls p JOIN verdicts v ON v.issue_id = p.issue_id AND v.head = p.head WHERE p.issue_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) ORDER BY v.created_at, v.run_id"));
    LIST = both(concat!("SELECT ", columns!(), " FROM verdicts WHERE issue_id = $1 ORDER BY created_at, run_id"));
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    head: String,
    base: String,
    colour: String,
    reasons: String,
    findings: String,
    report: String,
    run_id: Uuid,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Verdict, Error> {
        Ok(Verdict {
            issue: IssueId(self.issue_id),
            head: COLUMNS.parse("head", &self.head)?,
            base: COLUMNS.parse("base", &self.base)?,
            colour: COLUMNS.word("colour", self.colour)?,
            reasons: COLUMNS.json("reasons", &self.reasons)?,
            findings: COLUMNS.json("findings", &self.findings)?,
            report: COLUMNS.json("report", &self.report)?,
            run: RunId(self.run_id),
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a verdict; [`Error::Duplicate`] when its run has brought one.
pub async fn verdict_insert(tx: &mut Tx, verdict: &Verdict) -> Result<(), Error> {
    let values = values![
        verdict.issue,
        &verdict.head,
        &verdict.base,
        verdict.colour.as_str(),
        COLUMNS.to_json(&verdict.reasons)?,
        COLUMNS.to_json(&verdict.findings)?,
        COLUMNS.to_json(&verdict.report)?,
        verdict.run,
        verdict.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// The latest on an issue, about whichever head.
pub async fn verdict_latest(tx: &mut Tx, issue: IssueId) -> Result<Option<Verdict>, Error> {
    let row: Option<Row> = tx.one(&LATEST, values![issue]).await?;
    row.map(Row::read).transpose()
}

/// The latest about this head.
pub async fn verdict_of(
    tx: &mut Tx,
    issue: IssueId,
    head: &ObjectId,
) -> Result<Option<Verdict>, Error> {
    let row: Option<Row> = tx.one(&OF_HEAD, values![issue, head]).await?;
    row.map(Row::read).transpose()
}

/// All on an issue, oldest first.
pub async fn verdict_list(tx: &mut Tx, issue: IssueId) -> Result<Vec<Verdict>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![issue]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// All about the present heads of these issues' pull requests, oldest first: the last one about an
/// issue counts.
pub async fn verdict_list_of_heads(tx: &mut Tx, issues: &[IssueId]) -> Result<Vec<Verdict>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<Row> = tx.all(&LIST_OF_HEADS, values![list]).await?;
    rows.into_iter().map(Row::read).collect()
}
