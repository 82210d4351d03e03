//! Table `pulls`: the pull request of an issue, through all its rounds.
//!
//! One per issue, under the issue's number. Deliberately absent: the history of its head
//! ([`crate::pull_head`]) and whether it may land.

use jiff::Timestamp;
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::id::{IssueId, Number, ProjectId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its issue.
    pub issue: IssueId,
    /// Its project.
    pub project: ProjectId,
    /// Its number, that of the issue.
    pub number: Number,
    /// Its branch.
    pub branch: RefName,
    /// The tip of the default branch that the head was last brought up to date with.
    pub base: ObjectId,
    /// The commit it offers.
    pub head: ObjectId,
    /// What the change does, Markdown.
    pub summary: String,
    /// The commit on the default branch, once there.
    pub landed: Option<ObjectId>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: Columns = Columns("pull request");

macro_rules! columns {
    () => {
        "issue_id, project_id, number, branch, base, head, summary, landed, created_at, updated_at"
    };
}

sql! { "pull request";
    UPSERT = both(concat!("INSERT INTO pulls (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (issue_id) DO UPDATE SET base = excluded.base, head = excluded.head, summary = excluded.summary, landed = excluded.landed, updated_at = excluded.updated_at"));
    GET = both(concat!("SELECT ", columns!(), " FROM pulls WHERE issue_id = $1"));
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    LIST_OF_ISSUES = sqlite(concat!("SELECT ", columns!(), " FROM pulls WHERE issue_id IN (SELECT unhex(value) FROM json_each($1))")),
        postgres(concat!("SELECT ", columns!(), " FROM pulls WHERE issue_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value))"));
    LIST = both(concat!("SELECT ", columns!(), " FROM pulls WHERE (created_at, issue_id) < ($1, $2) ORDER BY created_at DESC, issue_id DESC LIMIT $3"));
    LIST_OF_PROJECT = both(concat!("SELECT ", columns!(), " FROM pulls WHERE project_id = $4 AND (created_at, issue_id) < ($1, $2) ORDER BY created_at DESC, issue_id DESC LIMIT $3"));
}

#[derive(FromRow)]
struct Row {
    issue_id: Uuid,
    project_id: Uuid,
    number: i64,
    branch: String,
    base: String,
    head: String,
    summary: String,
    landed: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn read(self) -> Result<Pull, Error> {
        Ok(Pull {
            issue: IssueId(self.issue_id),
            project: ProjectId(self.project_id),
            number: self.number,
            branch: COLUMNS.parse("branch", &self.branch)?,
            base: COLUMNS.parse("base", &self.base)?,
            head: COLUMNS.parse("head", &self.head)?,
            summary: self.summary,
            landed: COLUMNS.parse_option("landed", self.landed.as_deref())?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            updated_at: COLUMNS.time("updated_at", self.updated_at)?,
        })
    }
}

/// Adds the pull request of an issue, or saves base, head, summary, landed and `updated_at`.
pub async fn pull_upsert(tx: &mut Tx, pull: &Pull) -> Result<(), Error> {
    let values = values![
        pull.issue,
        pull.project,
        pull.number,
        &pull.branch,
        &pull.base,
        &pull.head,
        &pull.summary,
        pull.landed.as_ref(),
        pull.created_at,
        pull.updated_at
    ];
    tx.run(&UPSERT, values).await.map(|_| ())
}

/// The pull request of an issue.
pub async fn pull_get(tx: &mut Tx, issue: IssueId) -> Result<Option<Pull>, Error> {
    let row: Option<Row> = tx.one(&GET, values![issue]).await?;
    row.map(Row::read).transpose()
}

/// Newest first, from after the given one (its `created_at` and issue) on.
pub async fn pull_list(
    tx: &mut Tx,
    project: Option<ProjectId>,
    after: Option<(Timestamp, IssueId)>,
    limit: i64,
) -> Result<Vec<Pull>, Error> {
    let (before, before_id) = after.map_or((i64::MAX, Uuid::max()), |(time, id)| {
        (time.as_millisecond(), id.0)
    });
    let mut values = values![before, before_id, limit];
    let rows: Vec<Row> = if let Some(project) = project {
        values.extend(values![project]);
        tx.all(&LIST_OF_PROJECT, values).await?
    } else {
        tx.all(&LIST, values).await?
    };
    rows.into_iter().map(Row::read).collect()
}

/// The pull requests of these issues, in no order.
pub async fn pull_list_of_issues(tx: &mut Tx, issues: &[IssueId]) -> Result<Vec<Pull>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<Row> = tx.all(&LIST_OF_ISSUES, values![list]).await?;
    rows.into_iter().map(Row::read).collect()
}
