//! The two engines behind one face: a `Db` gives transactions, a `Tx` runs registered statements.
//!
//! Invariants: on SQLite there is one process (lock file) and one writer (a pool of one connection,
//! `BEGIN IMMEDIATE`), and a commit is on disk when it returns (`synchronous=FULL`); on PostgreSQL
//! writers are READ COMMITTED and lock what they read first. A dropped `Tx` is rolled back.
//! Deliberately absent: retries; whoever began a transaction decides whether to begin it again.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Connection as _, Executor as _, FromRow, PgPool, Postgres, SqlSafeStr as _, Sqlite, SqlitePool,
    Transaction,
};

use crate::error::Error;
use crate::lock::Lock;
use crate::migration;
use crate::statement::{Statement, Value};

/// How long a transaction waits for a connection before it is [`Error::Unavailable`].
const PATIENCE: Duration = Duration::from_secs(30);
/// Concurrent readers on SQLite.
const READERS: u32 = 8;
/// Connections of one process to PostgreSQL.
const CONNECTIONS: u32 = 16;

/// What every session with PostgreSQL begins with. No JIT: every statement here is short, but the
/// planner expects lists in JSON to be long and would compile for a hundred times the time it takes
/// to run. The limits: a process that hangs in a transaction must not hold up all the others.
const SESSION: &str =
    "SET jit = off; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file; made when it is not there.
    Sqlite(PathBuf),
    /// A URL, `postgres://user@host/name`.
    Postgres(String),
}

impl Location {
    /// Reads `sqlite:<path>` (also as `sqlite://<path>`), `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// [`Error::BadLocation`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let path = text
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path))
            .filter(|path| !path.is_empty());
        if let Some(path) = path {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if is_postgres && PgConnectOptions::from_str(text).is_ok() {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(Error::BadLocation {
            text: without_password(text),
        })
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

/// Cuts whatever stands between `://` and the last `@`, and everything from `?` on.
fn without_password(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}…{}", &text[..scheme + 3], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Embedded, one process.
    Sqlite,
    /// A server, shared by several processes.
    Postgres,
}

/// An open database. Cheap to clone; closed when the last clone is gone.
#[derive(Clone)]
pub struct Db(Arc<Pools>);

enum Pools {
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
        // Last, so that it is given back after the connections.
        _lock: Lock,
    },
    Postgres(PgPool),
}

impl Db {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it; [`Error::TooNew`] when a newer program wrote
    /// it; [`Error::Unavailable`] when PostgreSQL does not answer.
    pub async fn open(location: &Location) -> Result<Self, Error> {
        let db = Self::connect(location).await?;
        migration::migrate(&db, migration::ALL).await?;
        Ok(db)
    }

    pub(crate) async fn connect(location: &Location) -> Result<Self, Error> {
        let sort = |error| Error::sort("database", error);
        let pools = match location {
            Location::Sqlite(path) => {
                let lock = Lock::take(path)?;
                let write = SqlitePoolOptions::new()
                    .max_connections(1)
                    .min_connections(1)
                    .acquire_timeout(PATIENCE)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .test_before_acquire(false)
                    .connect_with(sqlite_options(path).create_if_missing(true))
                    .await
                    .map_err(sort)?;
                let read = SqlitePoolOptions::new()
                    .max_connections(READERS)
                    .acquire_timeout(PATIENCE)
                    .test_before_acquire(false)
                    .connect_with(sqlite_options(path).pragma("query_only", "ON"))
                    .await
                    .map_err(sort)?;
                Pools::Sqlite {
                    write,
                    read,
                    _lock: lock,
                }
            }
            Location::Postgres(url) => {
                let options = PgConnectOptions::from_str(url)
                    .map_err(sort)?
                    .application_name("nightshift");
                let pool = PgPoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            connection.execute(SESSION).await?;
                            Ok(())
                        })
                    })
                    .connect_with(options)
                    .await
                    .map_err(sort)?;
                Pools::Postgres(pool)
            }
        };
        Ok(Self(Arc::new(pools)))
    }

    /// Begins a transaction that reads one consistent snapshot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no connection is free in time.
    pub async fn read(&self) -> Result<Tx, Error> {
        let inner = match &*self.0 {
            Pools::Sqlite { read, .. } => read.begin().await.map(Inner::Sqlite),
            Pools::Postgres(pool) => pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await
                .map(Inner::Postgres),
        };
        inner
            .map(Tx)
            .map_err(|error| Error::sort("database", error))
    }

    /// Begins a transaction that may write. On SQLite it is the only one; keep it short.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no connection is free in time.
    pub async fn write(&self) -> Result<Tx, Error> {
        let inner = match &*self.0 {
            Pools::Sqlite { write, .. } => {
                write.begin_with("BEGIN IMMEDIATE").await.map(Inner::Sqlite)
            }
            Pools::Postgres(pool) => pool
                .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                .await
                .map(Inner::Postgres),
        };
        inner
            .map(Tx)
            .map_err(|error| Error::sort("database", error))
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &*self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Checks that the file is sound and that every statement of this program fits the schema.
    /// Reads the whole database on SQLite: for `doctor`, not for a probe.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with everything that was found.
    pub async fn check(&self) -> Result<(), Error> {
        let sort = |error| Error::sort("database", error);
        let mut found = Vec::new();
        match &*self.0 {
            Pools::Sqlite { read, .. } => {
                let mut connection = read.acquire().await.map_err(sort)?;
                let report: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check")
                    .fetch_all(&mut *connection)
                    .await
                    .map_err(sort)?;
                found.extend(report.into_iter().map(|(line,)| line).filter(|l| l != "ok"));
                let dangling = sqlx::query("PRAGMA foreign_key_check")
                    .fetch_all(&mut *connection)
                    .await
                    .map_err(sort)?;
                if !dangling.is_empty() {
                    found.push(format!("{} rows refer to nothing", dangling.len()));
                }
                // A statement prepared before would be taken from there unseen.
                connection.clear_cached_statements().await.map_err(sort)?;
                for statement in crate::statements() {
                    let text = statement.sqlite.into_sql_str();
                    if let Err(error) = connection.prepare(text).await {
                        found.push(format!("{} {}: {error}", statement.noun, statement.name));
                    }
                }
            }
            Pools::Postgres(pool) => {
                let mut connection = pool.acquire().await.map_err(sort)?;
                connection.clear_cached_statements().await.map_err(sort)?;
                for statement in crate::statements() {
                    let text = statement.postgres.into_sql_str();
                    if let Err(error) = connection.prepare(text).await {
                        found.push(format!("{} {}: {error}", statement.noun, statement.name));
                    }
                }
            }
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(Error::Corrupt {
                what: "database",
                detail: found.join("; "),
            })
        }
    }

    /// Waits until every connection is closed. Dropping the last clone closes them as well, but
    /// does not wait.
    pub async fn close(self) {
        match &*self.0 {
            Pools::Sqlite { write, read, .. } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256)
        // KiB, of each connection: the ranges that lists read stay at hand however much there is.
        .pragma("cache_size", "-16384")
}

/// A transaction. Rolled back when dropped.
pub struct Tx(Inner);

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A row type that both engines can fill.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// Binds a list of values to a query of either engine.
macro_rules! bind {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Id(id) => query.bind(id),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

impl Tx {
    /// Makes everything done in it last.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Unavailable`]: nothing was kept. When the connection broke in
    /// the very commit, whether it was kept is unknown; read before trying again.
    pub async fn commit(self) -> Result<(), Error> {
        match self.0 {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => tx.commit().await,
        }
        .map_err(|error| Error::sort("database", error))
    }

    /// Every row.
    pub(crate) async fn all<R: Row>(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<Vec<R>, Error> {
        refuse_nul(statement, &values)?;
        match &mut self.0 {
            Inner::Sqlite(tx) => {
                bind!(sqlx::query_as::<Sqlite, R>(statement.sqlite), values)
                    .fetch_all(&mut **tx)
                    .await
            }
            Inner::Postgres(tx) => {
                bind!(sqlx::query_as::<Postgres, R>(statement.postgres), values)
                    .fetch_all(&mut **tx)
                    .await
            }
        }
        .map_err(|error| Error::sort(statement.noun, error))
    }

    /// The row, if there is one.
    pub(crate) async fn one<R: Row>(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<Option<R>, Error> {
        refuse_nul(statement, &values)?;
        match &mut self.0 {
            Inner::Sqlite(tx) => {
                bind!(sqlx::query_as::<Sqlite, R>(statement.sqlite), values)
                    .fetch_optional(&mut **tx)
                    .await
            }
            Inner::Postgres(tx) => {
                bind!(sqlx::query_as::<Postgres, R>(statement.postgres), values)
                    .fetch_optional(&mut **tx)
                    .await
            }
        }
        .map_err(|error| Error::sort(statement.noun, error))
    }

    /// Runs it and says how many rows it touched.
    pub(crate) async fn run(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<u64, Error> {
        refuse_nul(statement, &values)?;
        match &mut self.0 {
            Inner::Sqlite(tx) => bind!(sqlx::query::<Sqlite>(statement.sqlite), values)
                .execute(&mut **tx)
                .await
                .map(|done| done.rows_affected()),
            Inner::Postgres(tx) => bind!(sqlx::query::<Postgres>(statement.postgres), values)
                .execute(&mut **tx)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(|error| Error::sort(statement.noun, error))
    }

    /// Runs it and insists that it touched a row.
    pub(crate) async fn must_run(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<(), Error> {
        match self.run(statement, values).await? {
            0 => Err(Error::NotFound {
                what: statement.noun,
            }),
            _ => Ok(()),
        }
    }

    /// Runs it and counts the rows it touched, in the integer of the API.
    pub(crate) async fn count(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<i64, Error> {
        let rows = self.run(statement, values).await?;
        Ok(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    /// A number that always exists, like a count.
    pub(crate) async fn number(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<i64, Error> {
        let row: Option<(i64,)> = self.one(statement, values).await?;
        row.map(|(number,)| number).ok_or(Error::NotFound {
            what: statement.noun,
        })
    }

    /// Runs a migration's script of several statements.
    pub(crate) async fn script(&mut self, text: &'static str) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Sqlite(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(|_| ()),
            Inner::Postgres(tx) => sqlx::raw_sql(text).execute(&mut **tx).await.map(|_| ()),
        }
        .map_err(|error| Error::sort("schema", error))
    }

    pub(crate) fn engine(&self) -> Engine {
        match &self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }
}

/// PostgreSQL has no NUL in text and SQLite does; what one cannot keep, neither takes.
fn refuse_nul(statement: &Statement, values: &[Value]) -> Result<(), Error> {
    let has_nul = values
        .iter()
        .any(|value| matches!(value, Value::Text(Some(text)) if text.contains('\0')));
    if has_nul {
        return Err(Error::Corrupt {
            what: statement.noun,
            detail: "a text holds a NUL character, which cannot be stored".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_and_never_shows_its_password() {
        for (text, path) in [
            ("sqlite:/var/lib/n.db", "/var/lib/n.db"),
            ("sqlite:///var/lib/n.db", "/var/lib/n.db"),
            ("sqlite:n.db", "n.db"),
            ("sqlite://n.db", "n.db"),
        ] {
            let location = Location::parse(text).expect("a location");
            assert_eq!(location, Location::Sqlite(PathBuf::from(path)));
        }
        let secret = Location::parse("postgres://me:hush@db.example/n?password=hush").expect("one");
        assert_eq!(format!("{secret:?}"), "postgres://…@db.example/n");
        for bad in ["", "sqlite:", "sqlite://", "mysql://x", "/var/lib/n.db"] {
            assert!(Location::parse(bad).is_err(), "{bad:?} was accepted");
        }
        let shown = Location::parse("mysql://me:hush@x")
            .expect_err("refused")
            .to_string();
        assert!(!shown.contains("hush"), "{shown}");
    }
}
