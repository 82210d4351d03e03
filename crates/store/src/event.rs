//! Tables `events` and `event_head`: what happened, append-only, each entry sealed by a hash over
//! the one before.
//!
//! `seq` has no gaps and becomes visible in order: every writer takes the one row of `event_head`
//! and holds it until it commits, so a reader that saw n has seen all below n. Append late in a
//! transaction; whoever appends first and then waits for another lock can make a deadlock, which
//! ends as [`Error::Unavailable`]. Deliberately absent: delivery (the outbox).

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::id::{IssueId, ProjectId, RunId};
use sha2::{Digest as _, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// Something that happened, about to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The project it is about, if any.
    pub project: Option<ProjectId>,
    /// The issue it is about, if any.
    pub issue: Option<IssueId>,
    /// The run it is about, if any.
    pub run: Option<RunId>,
    /// What happened, `noun.verb`.
    pub kind: String,
    /// Who did it.
    pub actor: Actor,
    /// The particulars.
    pub data: serde_json::Value,
}

/// Something that happened, as written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// The project it is about, if any.
    pub project: Option<ProjectId>,
    /// The issue it is about, if any.
    pub issue: Option<IssueId>,
    /// The run it is about, if any.
    pub run: Option<RunId>,
    /// What happened, `noun.verb`.
    pub kind: String,
    /// Who did it.
    pub actor: Actor,
    /// The particulars.
    pub data: serde_json::Value,
    /// SHA-256 over the hash before and every field, in hexadecimal digits.
    pub hash: String,
}

const COLUMNS: Columns = Columns("event");
/// How many events the check of the chain reads at once.
const PAGE: i64 = 1_000;

macro_rules! columns {
    () => {
        "seq, at, project_id, issue_id, run_id, kind, actor, data, hash"
    };
}

sql! { "event";
    // SQLite's one writer is the lock.
    HEAD = sqlite("SELECT seq, hash FROM event_head WHERE id = 1"),
        postgres("SELECT seq, hash FROM event_head WHERE id = 1 FOR NO KEY UPDATE");
    PEEK = both("SELECT seq, hash FROM event_head WHERE id = 1");
    SET_HEAD = both("UPDATE event_head SET seq = $1, hash = $2 WHERE id = 1");
    INSERT = both(concat!("INSERT INTO events (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
    LIST = both(concat!("SELECT ", columns!(), " FROM events WHERE seq > $1 ORDER BY seq LIMIT $2"));
    LIST_BACK = both(concat!("SELECT ", columns!(), " FROM events WHERE seq < $1 ORDER BY seq DESC LIMIT $2"));
    LIST_BACK_OF_PROJECT = both(concat!("SELECT ", columns!(), " FROM events WHERE project_id = $3 AND seq < $1 ORDER BY seq DESC LIMIT $2"));
    LIST_OF_ISSUE = both(concat!("SELECT ", columns!(), " FROM events WHERE issue_id = $3 AND seq > $1 ORDER BY seq LIMIT $2"));
    // One index range per project; see the lists of issues for why the engines differ.
    LIST_OF_PROJECTS = sqlite(concat!("SELECT ", columns!(), " FROM events WHERE seq IN (SELECT pick.seq FROM json_each($3) AS seen CROSS JOIN events AS pick WHERE pick.seq IN (SELECT seq FROM events WHERE project_id = unhex(seen.value) AND seq > $1 ORDER BY seq LIMIT $2)) ORDER BY seq LIMIT $2")),
        postgres(concat!("SELECT ", columns!(), " FROM jsonb_array_elements_text(CAST($3 AS JSONB)) AS seen (project) CROSS JOIN LATERAL (SELECT ", columns!(), " FROM events WHERE project_id = CAST(seen.project AS UUID) AND seq > $1 ORDER BY seq LIMIT $2) AS pick ORDER BY seq LIMIT $2"));
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: i64,
    project_id: Option<Uuid>,
    issue_id: Option<Uuid>,
    run_id: Option<Uuid>,
    kind: String,
    actor: String,
    data: String,
    hash: String,
}

impl Row {
    fn read(self) -> Result<Event, Error> {
        Ok(Event {
            seq: self.seq,
            at: COLUMNS.time("at", self.at)?,
            project: self.project_id.map(ProjectId),
            issue: self.issue_id.map(IssueId),
            run: self.run_id.map(RunId),
            kind: self.kind,
            actor: COLUMNS.json("actor", &self.actor)?,
            data: COLUMNS.json("data", &self.data)?,
            hash: self.hash,
        })
    }

    /// The hash that belongs to this row after `before`. Every field is preceded by its length, so
    /// that no two different rows read the same.
    fn sealed(&self, before: &str) -> String {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let fields = [
            before,
            &self.seq.to_string(),
            &self.at.to_string(),
            &id(self.project_id),
            &id(self.issue_id),
            &id(self.run_id),
            &self.kind,
            &self.actor,
            &self.data,
        ];
        let mut hash = Sha256::new();
        for field in fields {
            hash.update(field.len().to_string());
            hash.update(":");
            hash.update(field);
        }
        hex::encode(hash.finalize())
    }
}

/// Writes an event down and returns its place.
pub async fn event_append(tx: &mut Tx, event: &NewEvent, now: Timestamp) -> Result<i64, Error> {
    let (last, before): (i64, String) = tx
        .one(&HEAD, values![])
        .await?
        .ok_or_else(|| COLUMNS.corrupt("event_head", "its one row is missing"))?;
    let mut row = Row {
        seq: last + 1,
        at: now.as_millisecond(),
        project_id: event.project.map(|id| id.0),
        issue_id: event.issue.map(|id| id.0),
        run_id: event.run.map(|id| id.0),
        kind: event.kind.clone(),
        actor: COLUMNS.to_json(&event.actor)?,
        data: COLUMNS.to_json(&event.data)?,
        hash: String::new(),
    };
    row.hash = row.sealed(&before);
    let seq = row.seq;
    let hash = row.hash.clone();
    let values = values![
        row.seq,
        row.at,
        row.project_id,
        row.issue_id,
        row.run_id,
        row.kind,
        row.actor,
        row.data,
        row.hash
    ];
    tx.run(&INSERT, values).await?;
    tx.must_run(&SET_HEAD, values![seq, hash]).await?;
    Ok(seq)
}

/// What happened after `after_seq`, in order: on an issue, in some projects, or everywhere. With
/// both an issue and projects, the issue's events as far as they are in those projects.
pub async fn event_list(
    tx: &mut Tx,
    after_seq: i64,
    projects: Option<&[ProjectId]>,
    issue: Option<IssueId>,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let mut values = values![after_seq, limit];
    let rows: Vec<Row> = match (issue, projects) {
        (Some(issue), _) => {
            values.extend(values![issue]);
            tx.all(&LIST_OF_ISSUE, values).await?
        }
        (None, Some(projects)) => {
            let mut ids: Vec<Uuid> = projects.iter().map(|id| id.0).collect();
            ids.sort_unstable();
            ids.dedup();
            values.extend(values![id_list(ids)]);
            tx.all(&LIST_OF_PROJECTS, values).await?
        }
        (None, None) => tx.all(&LIST, values).await?,
    };
    rows.into_iter()
        // An issue has one project: this keeps all of its events or none.
        .filter(|row| {
            projects.is_none_or(|seen| {
                row.project_id
                    .is_some_and(|id| seen.contains(&ProjectId(id)))
            })
        })
        .map(Row::read)
        .collect()
}

/// What happened before `before_seq`, newest first: in a project, or everywhere.
pub async fn event_list_back(
    tx: &mut Tx,
    before_seq: i64,
    project: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let mut values = values![before_seq, limit];
    let rows: Vec<Row> = match project {
        Some(project) => {
            values.extend(values![project]);
            tx.all(&LIST_BACK_OF_PROJECT, values).await?
        }
        None => tx.all(&LIST_BACK, values).await?,
    };
    rows.into_iter().map(Row::read).collect()
}

/// The place of the last event; 0 before the first.
pub async fn event_last_seq(tx: &mut Tx) -> Result<i64, Error> {
    let head: Option<(i64, String)> = tx.one(&PEEK, values![]).await?;
    head.map(|(seq, _)| seq)
        .ok_or_else(|| COLUMNS.corrupt("event_head", "its one row is missing"))
}

/// Recomputes the whole chain and returns how many events it has. Call it in a reading transaction.
///
/// # Errors
/// [`Error::BrokenChain`] names the first event that was changed, or stands where one was removed.
pub async fn event_verify_chain(tx: &mut Tx) -> Result<i64, Error> {
    let mut seq = 0;
    let mut hash = "0".repeat(64);
    loop {
        let rows: Vec<Row> = tx.all(&LIST, values![seq, PAGE]).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq != seq + 1 || row.hash != row.sealed(&hash) {
                return Err(Error::BrokenChain { seq: seq + 1 });
            }
            seq = row.seq;
            hash = row.hash;
        }
    }
    let head: Option<(i64, String)> = tx.one(&PEEK, values![]).await?;
    if head != Some((seq, hash)) {
        return Err(Error::BrokenChain { seq: seq + 1 });
    }
    Ok(seq)
}
