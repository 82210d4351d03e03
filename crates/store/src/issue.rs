//! Table `issues`: the orders.
//!
//! `version` rises with every save and a save with an old one changes nothing. Lists go by keyset
//! and take one short index range per project and phase, so that they cost the same however many
//! issues there are; filters by agent, label and text look at the rows of those ranges. Deliberately
//! absent: the state machine, acceptance tests (their files are big) and blockers.

use jiff::Timestamp;
use nightshift_domain::budget::Budget;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::id::{IssueId, Number, ProjectId, UserId};
use nightshift_domain::issue::{self, Phase};
use nightshift_domain::trust::Trust;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list, id_set, word_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its id.
    pub id: IssueId,
    /// Its project.
    pub project: ProjectId,
    /// Its number in the project.
    pub number: Number,
    /// One line.
    pub title: String,
    /// The prompt, Markdown.
    pub body: String,
    /// Labels, in the order given.
    pub labels: Vec<String>,
    /// 0 urgent to 3 low.
    pub priority: i64,
    /// The person who looks after it.
    pub assignee: Option<String>,
    /// The agent that shall do it.
    pub agent: String,
    /// Who filed it.
    pub requester: UserId,
    /// Where it stands.
    pub state: issue::Issue,
    /// How far its text is trusted.
    pub trust: Trust,
    /// Whether it has acceptance tests.
    pub has_acceptance: bool,
    /// What its author runs may use together; the project's where it says nothing.
    pub budget: Budget,
    /// Rises with every save, from 1.
    pub version: i64,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

/// Which issues; whatever is left empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueFilter {
    /// Of one project.
    pub project: Option<ProjectId>,
    /// In one of these phases, by their words.
    pub phases: Vec<String>,
    /// For this agent.
    pub agent: Option<String>,
    /// With this label.
    pub label: Option<String>,
    /// With this in the title, whatever its case.
    pub text: Option<String>,
    /// Only of these projects (those the person may see).
    pub projects: Option<Vec<ProjectId>>,
}

pub(crate) const COLUMNS: Columns = Columns("issue");

macro_rules! columns {
    () => {
        "id, project_id, number, title, body, labels, priority, assignee, agent, requester_id, phase, state, round, repairs, failed, trust, has_acceptance, budget_micro_usd, budget_minutes, version, created_at, updated_at"
    };
}
pub(crate) use columns;

/// What follows the index range in every list: $1 before (time), $2 before (id), $3 limit,
/// $4 agent, $5 label, $6 folded text, $7 phases, $8 projects.
macro_rules! sqlite_rest {
    () => {
        " AND (created_at, id) < ($1, $2) AND ($4 IS NULL OR agent = $4) AND ($5 IS NULL OR EXISTS (SELECT 1 FROM json_each(labels) AS l WHERE l.value = $5)) AND ($6 IS NULL OR instr(title_folded, $6) > 0) ORDER BY created_at DESC, id DESC LIMIT $3"
    };
}
macro_rules! postgres_rest {
    () => {
        " AND (created_at, id) < ($1, $2) AND (CAST($4 AS TEXT) IS NULL OR agent = $4) AND (CAST($5 AS TEXT) IS NULL OR CAST(labels AS JSONB) @> jsonb_build_array(CAST($5 AS TEXT))) AND (CAST($6 AS TEXT) IS NULL OR strpos(title_folded, $6) > 0) ORDER BY created_at DESC, id DESC LIMIT $3"
    };
}

sql! { "issue";
    INSERT = both(concat!("INSERT INTO issues (", columns!(), ", title_folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)"));
    GET = both(concat!("SELECT ", columns!(), " FROM issues WHERE id = $1"));
    // How a list of ids is read differs.
    BY_IDS = sqlite(concat!("SELECT ", columns!(), " FROM issues WHERE id IN (SELECT unhex(value) FROM json_each($1))")),
        postgres(concat!("SELECT ", columns!(), " FROM issues WHERE id IN (SELECT CAST(value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value))"));
    BY_NUMBER = both(concat!("SELECT ", columns!(), " FROM issues WHERE project_id = $1 AND number = $2"));
    // SQLite's one writer is the lock. NO KEY: rows that refer to the issue stay insertable.
    LOCK = sqlite(concat!("SELECT ", columns!(), " FROM issues WHERE id = $1")),
        postgres(concat!("SELECT ", columns!(), " FROM issues WHERE id = $1 FOR NO KEY UPDATE"));
    SAVE = both("UPDATE issues SET title = $3, title_folded = $4, body = $5, labels = $6, priority = $7, assignee = $8, agent = $9, phase = $10, state = $11, round = $12, repairs = $13, failed = $14, trust = $15, has_acceptance = $16, budget_micro_usd = $17, budget_minutes = $18, version = version + 1, updated_at = $19 WHERE id = $1 AND version = $2");
    // One index range per phase. Only PostgreSQL has LATERAL; SQLite picks the ids in a correlated
    // subquery instead. JSON functions and the spelling of a nullable parameter differ as well.
    LIST = sqlite(concat!(
            "SELECT ", columns!(), " FROM issues WHERE id IN (SELECT pick.id FROM json_each($7) AS wanted CROSS JOIN issues AS pick WHERE pick.id IN (SELECT id FROM issues WHERE phase = wanted.value",
            sqlite_rest!(), ")) ORDER BY created_at DESC, id DESC LIMIT $3")),
        postgres(concat!(
            "SELECT ", columns!(), " FROM jsonb_array_elements_text(CAST($7 AS JSONB)) AS wanted (word) CROSS JOIN LATERAL (SELECT ", columns!(), " FROM issues WHERE phase = wanted.word",
            postgres_rest!(), ") AS pick ORDER BY created_at DESC, id DESC LIMIT $3"));
    // The same, one index range per project and phase.
    LIST_OF_PROJECTS = sqlite(concat!(
            "SELECT ", columns!(), " FROM issues WHERE id IN (SELECT pick.id FROM json_each($8) AS seen CROSS JOIN json_each($7) AS wanted CROSS JOIN issues AS pick WHERE pick.id IN (SELECT id FROM issues WHERE project_id = unhex(seen.value) AND phase = wanted.value",
            sqlite_rest!(), ")) ORDER BY created_at DESC, id DESC LIMIT $3")),
        postgres(concat!(
            "SELECT ", columns!(), " FROM jsonb_array_elements_text(CAST($8 AS JSONB)) AS seen (project) CROSS JOIN jsonb_array_elements_text(CAST($7 AS JSONB)) AS wanted (word) CROSS JOIN LATERAL (SELECT ", columns!(), " FROM issues WHERE project_id = CAST(seen.project AS UUID) AND phase = wanted.word",
            postgres_rest!(), ") AS pick ORDER BY created_at DESC, id DESC LIMIT $3"));
    LIST_IN_PHASE = both(concat!("SELECT ", columns!(), " FROM issues WHERE phase = $1 AND id > $2 ORDER BY id LIMIT $3"));
    FAILED = both("SELECT id FROM issues WHERE project_id = $1 AND phase IN ('ready', 'in-review', 'landing') AND failed IS NOT NULL ORDER BY id");
    // A failure begins with its reason.
    FAILED_FOR = both("SELECT DISTINCT project_id FROM issues WHERE failed IS NOT NULL AND failed LIKE $1 AND phase IN ('ready', 'in-review', 'landing') ORDER BY project_id");
    COUNT_BY_PHASE = both("SELECT phase, COUNT(*) FROM issues WHERE project_id = $1 GROUP BY phase ORDER BY phase");
    // Counting stops at a limit, so that it costs the same however many there are; see the lists for
    // why the engines differ. $1 limit, $2 phases, $3 projects.
    COUNT_CAPPED = sqlite("SELECT unhex(seen.value), wanted.value, (SELECT COUNT(*) FROM (SELECT 1 FROM issues WHERE project_id = unhex(seen.value) AND phase = wanted.value LIMIT $1)) FROM json_each($3) AS seen CROSS JOIN json_each($2) AS wanted"),
        postgres("SELECT CAST(seen.project AS UUID), wanted.word, (SELECT COUNT(*) FROM (SELECT 1 FROM issues WHERE project_id = CAST(seen.project AS UUID) AND phase = wanted.word LIMIT $1) AS capped) FROM jsonb_array_elements_text(CAST($3 AS JSONB)) AS seen (project) CROSS JOIN jsonb_array_elements_text(CAST($2 AS JSONB)) AS wanted (word)");
    EXISTS = both("SELECT version FROM issues WHERE id = $1");
}

#[derive(FromRow)]
pub(crate) struct Row {
    id: Uuid,
    project_id: Uuid,
    number: i64,
    title: String,
    body: String,
    labels: String,
    priority: i64,
    assignee: Option<String>,
    agent: String,
    requester_id: Uuid,
    phase: String,
    state: String,
    round: i64,
    repairs: i64,
    failed: Option<String>,
    trust: String,
    has_acceptance: i64,
    budget_micro_usd: Option<i64>,
    budget_minutes: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    pub(crate) fn read(self) -> Result<Issue, Error> {
        let phase: Phase = COLUMNS.json("state", &self.state)?;
        if phase.as_str() != self.phase {
            return Err(COLUMNS.corrupt("phase", format!("{} is not what state says", self.phase)));
        }
        let failed: Option<Failure> = COLUMNS.json_option("failed", self.failed.as_deref())?;
        Ok(Issue {
            id: IssueId(self.id),
            project: ProjectId(self.project_id),
            number: self.number,
            title: self.title,
            body: self.body,
            labels: COLUMNS.json("labels", &self.labels)?,
            priority: self.priority,
            assignee: self.assignee,
            agent: self.agent,
            requester: UserId(self.requester_id),
            state: issue::Issue {
                phase,
                round: self.round,
                repairs: self.repairs,
                failed,
            },
            trust: COLUMNS.word("trust", self.trust)?,
            has_acceptance: self.has_acceptance != 0,
            budget: Budget {
                cost_micro_usd: self.budget_micro_usd.map(i64::unsigned_abs),
                minutes: self.budget_minutes.map(i64::unsigned_abs),
            },
            version: self.version,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            updated_at: COLUMNS.time("updated_at", self.updated_at)?,
        })
    }
}

/// Adds an issue as it is; [`Error::Duplicate`] when its number is taken.
pub async fn issue_insert(tx: &mut Tx, issue: &Issue) -> Result<(), Error> {
    let values = values![
        issue.id,
        issue.project,
        issue.number,
        &issue.title,
        &issue.body,
        COLUMNS.to_json(&issue.labels)?,
        issue.priority,
        &issue.assignee,
        &issue.agent,
        issue.requester,
        issue.state.phase.as_str(),
        COLUMNS.to_json(&issue.state.phase)?,
        issue.state.round,
        issue.state.repairs,
        COLUMNS.to_json_option(issue.state.failed.as_ref())?,
        COLUMNS.to_word(&issue.trust)?,
        issue.has_acceptance,
        issue.budget.cost_micro_usd.map(signed),
        issue.budget.minutes.map(signed),
        issue.version,
        issue.created_at,
        issue.updated_at,
        fold(&issue.title)
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn issue_get(tx: &mut Tx, id: IssueId) -> Result<Option<Issue>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// By its number in a project.
pub async fn issue_by_number(
    tx: &mut Tx,
    project: ProjectId,
    number: Number,
) -> Result<Option<Issue>, Error> {
    let row: Option<Row> = tx.one(&BY_NUMBER, values![project, number]).await?;
    row.map(Row::read).transpose()
}

/// By id, and nobody else changes it until the transaction ends.
pub async fn issue_lock(tx: &mut Tx, id: IssueId) -> Result<Option<Issue>, Error> {
    let row: Option<Row> = tx.one(&LOCK, values![id]).await?;
    row.map(Row::read).transpose()
}

/// Saves everything but id, project, number, requester and time of filing. The row gets the next
/// version; `issue.version` is the one that was read.
///
/// # Errors
/// [`Error::Stale`] when the row has another version by now.
pub async fn issue_save(tx: &mut Tx, issue: &Issue, now: Timestamp) -> Result<(), Error> {
    let values = values![
        issue.id,
        issue.version,
        &issue.title,
        fold(&issue.title),
        &issue.body,
        COLUMNS.to_json(&issue.labels)?,
        issue.priority,
        &issue.assignee,
        &issue.agent,
        issue.state.phase.as_str(),
        COLUMNS.to_json(&issue.state.phase)?,
        issue.state.round,
        issue.state.repairs,
        COLUMNS.to_json_option(issue.state.failed.as_ref())?,
        COLUMNS.to_word(&issue.trust)?,
        issue.has_acceptance,
        issue.budget.cost_micro_usd.map(signed),
        issue.budget.minutes.map(signed),
        now
    ];
    if tx.run(&SAVE, values).await? > 0 {
        return Ok(());
    }
    tx.number(&EXISTS, values![issue.id]).await?;
    Err(Error::Stale { what: COLUMNS.0 })
}

/// Newest first, from after the given one on.
pub async fn issue_list(
    tx: &mut Tx,
    filter: &IssueFilter,
    after: Option<(Timestamp, IssueId)>,
    limit: i64,
) -> Result<Vec<Issue>, Error> {
    let projects = match (filter.project, &filter.projects) {
        (Some(one), Some(seen)) if !seen.contains(&one) => Some(vec![]),
        (Some(one), _) => Some(vec![one]),
        (None, seen) => seen.clone(),
    };
    let (before, before_id) = after.map_or((i64::MAX, Uuid::max()), |(time, id)| {
        (time.as_millisecond(), id.0)
    });
    let phases = if filter.phases.is_empty() {
        word_list(Phase::WORDS.iter().copied())
    } else {
        // Each once: a phase named twice would bring its issues twice.
        let mut phases: Vec<&str> = filter.phases.iter().map(String::as_str).collect();
        phases.sort_unstable();
        phases.dedup();
        word_list(phases)
    };
    let text = filter.text.as_deref().map(fold);
    let mut values = values![
        before,
        before_id,
        limit,
        &filter.agent,
        &filter.label,
        text,
        phases
    ];
    let rows: Vec<Row> = if let Some(projects) = projects {
        values.extend(values![id_set(&projects)]);
        tx.all(&LIST_OF_PROJECTS, values).await?
    } else {
        tx.all(&LIST, values).await?
    };
    rows.into_iter().map(Row::read).collect()
}

/// Of all projects, by id, for sweeps: rows that cannot be read are logged and left out. A sweep
/// that got fewer than `limit` may therefore not be at its end; one that got none is.
pub async fn issue_list_in_phase(
    tx: &mut Tx,
    phase: &str,
    limit: i64,
    after: Option<IssueId>,
) -> Result<Vec<Issue>, Error> {
    let mut after = after.map_or(Uuid::nil(), |id| id.0);
    loop {
        let rows: Vec<Row> = tx.all(&LIST_IN_PHASE, values![phase, after, limit]).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            return Ok(Vec::new());
        };
        let issues = COLUMNS.readable(rows, |row| row.id, Row::read);
        if !issues.is_empty() {
            return Ok(issues);
        }
        // A whole page of damaged rows must not look like the end.
        after = last;
    }
}

/// These issues, in no order; a row that cannot be read is logged and left out.
pub async fn issue_list_of(tx: &mut Tx, issues: &[IssueId]) -> Result<Vec<Issue>, Error> {
    let rows: Vec<Row> = tx
        .all(&BY_IDS, values![id_list(issues.iter().map(|id| id.0))])
        .await?;
    Ok(COLUMNS.readable(rows, |row| row.id, Row::read))
}

/// The issues of a project that failed and wait for a person, by id.
pub async fn issue_list_failed(tx: &mut Tx, project: ProjectId) -> Result<Vec<IssueId>, Error> {
    let rows: Vec<(Uuid,)> = tx.all(&FAILED, values![project]).await?;
    Ok(rows.into_iter().map(|(id,)| IssueId(id)).collect())
}

/// The projects of issues that failed for this reason and wait for a person, by id.
pub async fn issue_projects_failed(tx: &mut Tx, reason: Reason) -> Result<Vec<ProjectId>, Error> {
    let begins = format!("{{\"reason\":\"{}\"%", reason.as_str());
    let rows: Vec<(Uuid,)> = tx.all(&FAILED_FOR, values![begins]).await?;
    Ok(rows.into_iter().map(|(id,)| ProjectId(id)).collect())
}

/// How many issues of these projects are in each phase; counting stops at `most`.
pub async fn issue_count_capped(
    tx: &mut Tx,
    projects: &[ProjectId],
    most: i64,
) -> Result<Vec<(ProjectId, String, i64)>, Error> {
    let phases = word_list(Phase::WORDS.iter().copied());
    let rows: Vec<(Uuid, String, i64)> = tx
        .all(&COUNT_CAPPED, values![most, phases, id_set(projects)])
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, phase, count)| (ProjectId(id), phase, count))
        .collect())
}

/// How many issues of a project are in which phase; phases without issues are left out.
pub async fn issue_count_by_phase(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<(String, i64)>, Error> {
    tx.all(&COUNT_BY_PHASE, values![project]).await
}

/// As the column holds it; budgets stay far below.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Lower case by Unicode's rules, the same on both engines.
fn fold(text: &str) -> String {
    text.to_lowercase()
}
