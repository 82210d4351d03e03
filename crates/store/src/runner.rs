//! Table `runners`: processes that claim jobs.
//!
//! A name is unique. Deliberately absent: what a runner works on; that is the leased jobs.

use jiff::Timestamp;
use nightshift_domain::id::RunnerId;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A process that claims jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: RunnerId,
    /// Its unique name.
    pub name: String,
    /// How many runs at once.
    pub slots: i64,
    /// The version of its program.
    pub version: String,
    /// Kinds of jobs it takes, if it says so.
    pub kinds: Option<Vec<String>>,
    /// Harnesses whose programs it has, if it says so.
    pub harnesses: Option<Vec<String>>,
    /// Whether its sandboxes can have an image that a project names.
    pub images: bool,
    /// Whether it is handed no new jobs; nothing that it says of itself changes that.
    pub draining: bool,
    /// When it last called.
    pub last_seen_at: Timestamp,
    /// Since when.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("runner");

macro_rules! columns {
    () => {
        "id, name, slots, version, kinds, harnesses, images, draining, last_seen_at, created_at"
    };
}

sql! { "runner";
    INSERT = both(concat!("INSERT INTO runners (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"));
    GET = both(concat!("SELECT ", columns!(), " FROM runners WHERE id = $1"));
    BY_NAME = both(concat!("SELECT ", columns!(), " FROM runners WHERE name = $1"));
    LIST = both(concat!("SELECT ", columns!(), " FROM runners ORDER BY name"));
    SEEN = both("UPDATE runners SET slots = $2, version = $3, kinds = $4, harnesses = $5, images = $6, last_seen_at = $7 WHERE id = $1");
    DRAIN = both("UPDATE runners SET draining = $2 WHERE id = $1");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    slots: i64,
    version: String,
    kinds: Option<String>,
    harnesses: Option<String>,
    images: i64,
    draining: i64,
    last_seen_at: i64,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Runner, Error> {
        Ok(Runner {
            id: RunnerId(self.id),
            name: self.name,
            slots: self.slots,
            version: self.version,
            kinds: COLUMNS.json_option("kinds", self.kinds.as_deref())?,
            harnesses: COLUMNS.json_option("harnesses", self.harnesses.as_deref())?,
            images: self.images != 0,
            draining: self.draining != 0,
            last_seen_at: COLUMNS.time("last_seen_at", self.last_seen_at)?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a runner; [`Error::Duplicate`] when the name is taken.
pub async fn runner_insert(tx: &mut Tx, runner: &Runner) -> Result<(), Error> {
    let values = values![
        runner.id,
        &runner.name,
        runner.slots,
        &runner.version,
        COLUMNS.to_json_option(runner.kinds.as_ref())?,
        COLUMNS.to_json_option(runner.harnesses.as_ref())?,
        runner.images,
        runner.draining,
        runner.last_seen_at,
        runner.created_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn runner_get(tx: &mut Tx, id: RunnerId) -> Result<Option<Runner>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// By name, exactly as written.
pub async fn runner_by_name(tx: &mut Tx, name: &str) -> Result<Option<Runner>, Error> {
    let row: Option<Row> = tx.one(&BY_NAME, values![name]).await?;
    row.map(Row::read).transpose()
}

/// What a runner says of itself when it calls.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// How many runs at once.
    pub slots: i64,
    /// The version of its program.
    pub version: &'a str,
    /// Kinds of jobs it takes, if it says so.
    pub kinds: Option<&'a [String]>,
    /// Harnesses whose programs it has, if it says so.
    pub harnesses: Option<&'a [String]>,
    /// Whether its sandboxes can have an image that a project names.
    pub images: bool,
}

/// Notes that a runner called and what it said of itself; [`Error::NotFound`] when unknown.
pub async fn runner_seen(
    tx: &mut Tx,
    id: RunnerId,
    seen: &Seen<'_>,
    at: Timestamp,
) -> Result<(), Error> {
    let values = values![
        id,
        seen.slots,
        seen.version,
        COLUMNS.to_json_option(seen.kinds.as_ref())?,
        COLUMNS.to_json_option(seen.harnesses.as_ref())?,
        seen.images,
        at
    ];
    tx.must_run(&SEEN, values).await
}

/// Says whether a runner is handed new jobs; [`Error::NotFound`] when unknown.
pub async fn runner_drain(tx: &mut Tx, id: RunnerId, draining: bool) -> Result<(), Error> {
    tx.must_run(&DRAIN, values![id, draining]).await
}

/// All of them, by name.
pub async fn runner_list(tx: &mut Tx) -> Result<Vec<Runner>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![]).await?;
    rows.into_iter().map(Row::read).collect()
}
