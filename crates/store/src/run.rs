//! Table `runs`: executions of jobs.
//!
//! One per job and epoch; a run that is over has an end. Deliberately absent: the log itself (a
//! file); only its length and whether it is closed are here, with functions of their own, so that
//! saving a run never sets them back.

use std::collections::HashMap;

use jiff::Timestamp;
use nightshift_domain::failure::Failure;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{Epoch, IssueId, JobId, Number, ProjectId, RunId, RunnerId};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Usage;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum RunState {
    /// It runs.
    Running,
    /// It brought its result.
    Succeeded,
    /// It did not.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// A person stopped it.
    Stopped,
    /// It ended with a question.
    Asked {
        /// The question, Markdown.
        question: Kept,
    },
}

impl RunState {
    /// The word used in tables and on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Stopped => "stopped",
            Self::Asked { .. } => "asked",
        }
    }
}

/// An agent program's session, to be resumed by a later run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The program's own id of it.
    pub id: String,
    /// The agent.
    pub agent: String,
    /// The runner whose disk has it.
    pub runner: RunnerId,
    /// Cumulative usage at its end, as the program counts.
    pub totals: serde_json::Value,
}

/// One execution of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its job.
    pub job: JobId,
    /// Its project.
    pub project: ProjectId,
    /// The issue it works for.
    pub issue: IssueId,
    /// The issue's number.
    pub number: Number,
    /// What kind of work.
    pub kind: Kind,
    /// The fence it holds.
    pub epoch: Epoch,
    /// The issue's round.
    pub round: i64,
    /// The agent.
    pub agent: String,
    /// The runner.
    pub runner: RunnerId,
    /// How it stands.
    pub state: RunState,
    /// The commit it started from.
    pub start: ObjectId,
    /// The commit it pushed.
    pub attempt: Option<ObjectId>,
    /// What it used.
    pub usage: Option<Usage>,
    /// What it reached and what it was refused.
    pub traffic: Option<Traffic>,
    /// The session it left.
    pub session: Option<Session>,
    /// What it last said about its progress.
    pub progress: Option<String>,
    /// The length of its log in bytes.
    pub log_bytes: i64,
    /// Whether its log is complete and compressed.
    pub log_closed: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

const COLUMNS: Columns = Columns("run");

macro_rules! columns {
    () => {
        "id, job_id, project_id, issue_id, number, kind, epoch, round, agent, runner_id, phase, state, start_commit, attempt, usage, traffic, session, progress, log_bytes, log_closed, started_at, ended_at"
    };
}

sql! { "run";
    INSERT = both(concat!("INSERT INTO runs (", columns!(), ", session_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)"));
    GET = both(concat!("SELECT ", columns!(), " FROM runs WHERE id = $1"));
    SAVE = both("UPDATE runs SET phase = $2, state = $3, start_commit = $4, attempt = $5, usage = $6, session = $7, session_agent = $8, progress = $9, ended_at = $10, traffic = $11 WHERE id = $1");
    SET_LOG = both("UPDATE runs SET log_bytes = $2 WHERE id = $1");
    SET_LOG_CLOSED = both("UPDATE runs SET log_closed = 1 WHERE id = $1");
    LIST = both(concat!("SELECT ", columns!(), " FROM runs WHERE id < $1 ORDER BY id DESC LIMIT $2"));
    LIST_OF_PROJECT = both(concat!("SELECT ", columns!(), " FROM runs WHERE project_id = $3 AND id < $1 ORDER BY id DESC LIMIT $2"));
    LIST_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM runs WHERE issue_id = $3 AND id < $1 ORDER BY id DESC LIMIT $2"));
    // A run that has not ended has its log open: one range of `runs_log_open`.
    LIST_RUNNING = both(concat!("SELECT ", columns!(), " FROM runs WHERE log_closed = 0 AND ended_at IS NULL ORDER BY id DESC LIMIT $1"));
    LIST_LOG_OPEN_ENDED = both("SELECT id FROM runs WHERE log_closed = 0 AND ended_at < $1 ORDER BY ended_at, id LIMIT $2");
    // Added up here: the engines' JSON numbers differ beyond 63 bits.
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    SET_USAGE = both("UPDATE runs SET usage = $2 WHERE id = $1");
    COSTS_OF_ISSUES = sqlite("SELECT issue_id, usage, started_at, ended_at FROM runs WHERE issue_id IN (SELECT unhex(value) FROM json_each($1)) AND kind = 'author' AND ended_at IS NOT NULL"),
        postgres("SELECT issue_id, usage, started_at, ended_at FROM runs WHERE issue_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) AND kind = 'author' AND ended_at IS NOT NULL");
    COSTS_OF_ISSUE = both("SELECT usage, started_at, ended_at FROM runs WHERE issue_id = $1 AND kind = 'author' AND ended_at IS NOT NULL");
    LAST_SESSION = both("SELECT session FROM runs WHERE issue_id = $1 AND session_agent = $2 AND session IS NOT NULL ORDER BY id DESC LIMIT 1");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    job_id: Uuid,
    project_id: Uuid,
    issue_id: Uuid,
    number: i64,
    kind: String,
    epoch: i64,
    round: i64,
    agent: String,
    runner_id: Uuid,
    phase: String,
    state: String,
    start_commit: String,
    attempt: Option<String>,
    usage: Option<String>,
    traffic: Option<String>,
    session: Option<String>,
    progress: Option<String>,
    log_bytes: i64,
    log_closed: i64,
    started_at: i64,
    ended_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Run, Error> {
        let state: RunState = COLUMNS.json("state", &self.state)?;
        if state.as_str() != self.phase {
            return Err(COLUMNS.corrupt("phase", format!("{} is not what state says", self.phase)));
        }
        Ok(Run {
            id: RunId(self.id),
            job: JobId(self.job_id),
            project: ProjectId(self.project_id),
            issue: IssueId(self.issue_id),
            number: self.number,
            kind: Kind::parse(&self.kind)
                .ok_or_else(|| COLUMNS.corrupt("kind", format!("{} is no kind", self.kind)))?,
            epoch: self.epoch,
            round: self.round,
            agent: self.agent,
            runner: RunnerId(self.runner_id),
            state,
            start: COLUMNS.parse("start_commit", &self.start_commit)?,
            attempt: COLUMNS.parse_option("attempt", self.attempt.as_deref())?,
            usage: COLUMNS.json_option("usage", self.usage.as_deref())?,
            traffic: COLUMNS.json_option("traffic", self.traffic.as_deref())?,
            session: COLUMNS.json_option("session", self.session.as_deref())?,
            progress: self.progress,
            log_bytes: self.log_bytes,
            log_closed: self.log_closed != 0,
            started_at: COLUMNS.time("started_at", self.started_at)?,
            ended_at: COLUMNS.time_option("ended_at", self.ended_at)?,
        })
    }
}

/// Adds a run; [`Error::Duplicate`] when its job has one with this epoch.
pub async fn run_insert(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    let values = values![
        run.id,
        run.job,
        run.project,
        run.issue,
        run.number,
        run.kind.as_str(),
        run.epoch,
        run.round,
        &run.agent,
        run.runner,
        run.state.as_str(),
        COLUMNS.to_json(&run.state)?,
        &run.start,
        run.attempt.as_ref(),
        COLUMNS.to_json_option(run.usage.as_ref())?,
        COLUMNS.to_json_option(run.traffic.as_ref())?,
        COLUMNS.to_json_option(run.session.as_ref())?,
        &run.progress,
        run.log_bytes,
        run.log_closed,
        run.started_at,
        run.ended_at,
        run.session.as_ref().map(|session| session.agent.as_str())
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn run_get(tx: &mut Tx, id: RunId) -> Result<Option<Run>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// Saves everything that can change, but for the two columns of the log.
pub async fn run_save(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    let values = values![
        run.id,
        run.state.as_str(),
        COLUMNS.to_json(&run.state)?,
        &run.start,
        run.attempt.as_ref(),
        COLUMNS.to_json_option(run.usage.as_ref())?,
        COLUMNS.to_json_option(run.session.as_ref())?,
        run.session.as_ref().map(|session| session.agent.as_str()),
        &run.progress,
        run.ended_at,
        COLUMNS.to_json_option(run.traffic.as_ref())?
    ];
    tx.must_run(&SAVE, values).await
}

/// Notes the length of the log.
pub async fn run_set_log(tx: &mut Tx, id: RunId, bytes: i64) -> Result<(), Error> {
    tx.must_run(&SET_LOG, values![id, bytes]).await
}

/// Newest first, from after the given one on; of an issue, of a project, or of all.
pub async fn run_list(
    tx: &mut Tx,
    issue: Option<IssueId>,
    project: Option<ProjectId>,
    after: Option<RunId>,
    limit: i64,
) -> Result<Vec<Run>, Error> {
    let mut values = values![after.map_or(Uuid::max(), |id| id.0), limit];
    let rows: Vec<Row> = match (issue, project) {
        (Some(issue), _) => {
            values.extend(values![issue]);
            tx.all(&LIST_OF_ISSUE, values).await?
        }
        (None, Some(project)) => {
            values.extend(values![project]);
            tx.all(&LIST_OF_PROJECT, values).await?
        }
        (None, None) => tx.all(&LIST, values).await?,
    };
    rows.into_iter()
        // An issue has one project: this keeps all of its runs or none.
        .filter(|row| project.is_none_or(|project| project.0 == row.project_id))
        .map(Row::read)
        .collect()
}

/// Runs that have not ended, newest first, of all projects.
pub async fn run_list_running(tx: &mut Tx, limit: i64) -> Result<Vec<Run>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_RUNNING, values![limit]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Runs that ended before this time and whose log is still open, longest ended first.
pub async fn run_list_log_open_ended(
    tx: &mut Tx,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<RunId>, Error> {
    let rows: Vec<(Uuid,)> = tx.all(&LIST_LOG_OPEN_ENDED, values![before, limit]).await?;
    Ok(rows.into_iter().map(|(id,)| RunId(id)).collect())
}

/// Notes what a run used so far, and touches nothing else: its agent may say something at the same
/// moment.
pub async fn run_set_usage(tx: &mut Tx, id: RunId, usage: &Usage) -> Result<(), Error> {
    let values = values![id, COLUMNS.to_json(usage)?];
    tx.run(&SET_USAGE, values).await.map(|_| ())
}

/// Notes that the log is complete and compressed.
pub async fn run_set_log_closed(tx: &mut Tx, id: RunId) -> Result<(), Error> {
    tx.must_run(&SET_LOG_CLOSED, values![id]).await
}

/// The session that the agent last left on an issue.
pub async fn run_last_session(
    tx: &mut Tx,
    issue: IssueId,
    agent: &str,
) -> Result<Option<Session>, Error> {
    let row: Option<(String,)> = tx.one(&LAST_SESSION, values![issue, agent]).await?;
    row.map(|(text,)| COLUMNS.json("session", &text))
        .transpose()
}

/// What an issue's author runs took, of those that are over: how many there were, their cost in
/// millionths of a US dollar as far as the programs said so, and their time in milliseconds.
pub async fn run_cost_of_issue(tx: &mut Tx, issue: IssueId) -> Result<(i64, i64, i64), Error> {
    let rows: Vec<(Option<String>, i64, i64)> = tx.all(&COSTS_OF_ISSUE, values![issue]).await?;
    let mut sum = (0, 0, 0);
    for (usage, started_at, ended_at) in rows {
        add_cost(&mut sum, usage.as_deref(), started_at, ended_at)?;
    }
    Ok(sum)
}

/// The same of each of these issues; one without such runs is left out.
pub async fn run_cost_of_issues(
    tx: &mut Tx,
    issues: &[IssueId],
) -> Result<HashMap<IssueId, (i64, i64, i64)>, Error> {
    let list = id_list(issues.iter().map(|id| id.0));
    let rows: Vec<(Uuid, Option<String>, i64, i64)> =
        tx.all(&COSTS_OF_ISSUES, values![list]).await?;
    let mut sums = HashMap::new();
    for (issue, usage, started_at, ended_at) in rows {
        let sum = sums.entry(IssueId(issue)).or_insert((0, 0, 0));
        add_cost(sum, usage.as_deref(), started_at, ended_at)?;
    }
    Ok(sums)
}

fn add_cost(
    sum: &mut (i64, i64, i64),
    usage: Option<&str>,
    started_at: i64,
    ended_at: i64,
) -> Result<(), Error> {
    let usage: Option<Usage> = COLUMNS.json_option("usage", usage)?;
    let said = usage.and_then(|usage| usage.cost_micro_usd).unwrap_or(0);
    sum.0 += 1;
    sum.1 = sum
        .1
        .saturating_add(i64::try_from(said).unwrap_or(i64::MAX));
    sum.2 = sum
        .2
        .saturating_add(ended_at.saturating_sub(started_at).max(0));
    Ok(())
}
