//! Table `tokens`: bearer tokens, of which only the SHA-256 is kept.
//!
//! A token belongs to exactly one holder. Deliberately absent: the secret, and whether an expired
//! or revoked token still counts (the caller compares with its clock).

use jiff::Timestamp;
use nightshift_domain::id::{ProjectId, RunId, RunnerId, TokenId, UserId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, hash_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};
use crate::user::User;

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A person's.
    Person(UserId),
    /// A runner's.
    Runner(RunnerId),
    /// A run's own, good for its project.
    Run {
        /// The run.
        run: RunId,
        /// Its project.
        project: ProjectId,
    },
}

/// The record of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub holder: Holder,
    /// What it is for, in its holder's words.
    pub label: String,
    /// From when on it no longer counts.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last opened something, to the hour.
    pub used_at: Option<Timestamp>,
}

const COLUMNS: Columns = Columns("token");

macro_rules! columns {
    () => {
        "id, holder, user_id, runner_id, run_id, project_id, label, expires_at, revoked_at, created_at, used_at"
    };
}

macro_rules! held {
    () => {
        "t.id, t.holder, t.user_id, t.runner_id, t.run_id, t.project_id, t.label, t.expires_at, t.revoked_at, t.created_at, t.used_at, t.hash, u.name, u.is_admin, u.created_at AS since"
    };
}

sql! { "token";
    INSERT = both(concat!("INSERT INTO tokens (", columns!(), ", hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"));
    BY_HASH = both(concat!("SELECT ", columns!(), " FROM tokens WHERE hash = $1"));
    // Hashes come as a JSON list of hexadecimal digits; the engines read it differently.
    LIST_HELD = sqlite(concat!("SELECT ", held!(), " FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.hash IN (SELECT unhex(value) FROM json_each($1))")),
        postgres(concat!("SELECT ", held!(), " FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.hash IN (SELECT decode(given.value, 'hex') FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value))"));
    LIST_OF_USER = both(concat!("SELECT ", columns!(), " FROM tokens WHERE user_id = $1 ORDER BY created_at, id"));
    USED = both("UPDATE tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)");
    REVOKE = both("UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
    REVOKE_LABELLED = both("UPDATE tokens SET revoked_at = $3 WHERE user_id = $1 AND label = $2 AND revoked_at IS NULL");
    // Looks at all tokens; an administrator does it once in a while.
    REVOKE_RUNNER = both("UPDATE tokens SET revoked_at = $2 WHERE runner_id = $1 AND revoked_at IS NULL");
    REVOKE_RUN = both("UPDATE tokens SET revoked_at = $2 WHERE run_id = $1 AND revoked_at IS NULL");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    holder: String,
    user_id: Option<Uuid>,
    runner_id: Option<Uuid>,
    run_id: Option<Uuid>,
    project_id: Option<Uuid>,
    label: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
    used_at: Option<i64>,
}

/// A token with its person.
#[derive(FromRow)]
struct Held {
    #[sqlx(flatten)]
    token: Row,
    hash: Vec<u8>,
    name: String,
    is_admin: i64,
    since: i64,
}

impl Row {
    fn read(self) -> Result<Token, Error> {
        let ids = (self.user_id, self.runner_id, self.run_id, self.project_id);
        let holder = match (self.holder.as_str(), ids) {
            ("person", (Some(user), None, None, None)) => Holder::Person(UserId(user)),
            ("runner", (None, Some(runner), None, None)) => Holder::Runner(RunnerId(runner)),
            ("run", (None, None, Some(run), Some(project))) => Holder::Run {
                run: RunId(run),
                project: ProjectId(project),
            },
            (word, _) => {
                return Err(COLUMNS.corrupt("holder", format!("{word} and its ids disagree")));
            }
        };
        Ok(Token {
            id: TokenId(self.id),
            holder,
            label: self.label,
            expires_at: COLUMNS.time_option("expires_at", self.expires_at)?,
            revoked_at: COLUMNS.time_option("revoked_at", self.revoked_at)?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            used_at: COLUMNS.time_option("used_at", self.used_at)?,
        })
    }
}

/// Adds a token under the SHA-256 of its secret.
pub async fn token_insert(tx: &mut Tx, token: &Token, hash: &[u8; 32]) -> Result<(), Error> {
    let (word, user, runner, run, project) = match token.holder {
        Holder::Person(user) => ("person", Some(user), None, None, None),
        Holder::Runner(runner) => ("runner", None, Some(runner), None, None),
        Holder::Run { run, project } => ("run", None, None, Some(run), Some(project)),
    };
    let values = values![
        token.id,
        word,
        user,
        runner,
        run,
        project,
        &token.label,
        token.expires_at,
        token.revoked_at,
        token.created_at,
        token.used_at,
        hash
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By the SHA-256 of its secret, whether it still counts or not.
pub async fn token_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<Token>, Error> {
    let row: Option<Row> = tx.one(&BY_HASH, values![hash]).await?;
    row.map(Row::read).transpose()
}

/// The tokens of people with one of these hashes, each with its person and whether it still counts
/// or not; in no order.
pub async fn token_list_held(
    tx: &mut Tx,
    hashes: &[[u8; 32]],
) -> Result<Vec<([u8; 32], Token, User)>, Error> {
    let rows: Vec<Held> = tx.all(&LIST_HELD, values![hash_list(hashes)]).await?;
    rows.into_iter()
        .map(|row| {
            let token = row.token.read()?;
            let Holder::Person(id) = token.holder else {
                return Err(COLUMNS.corrupt("holder", "a person's token is no person's"));
            };
            let user = User {
                id,
                name: row.name,
                is_admin: row.is_admin != 0,
                created_at: COLUMNS.time("created_at", row.since)?,
            };
            Ok((COLUMNS.hash("hash", row.hash)?, token, user))
        })
        .collect()
}

/// All tokens of a person, oldest first.
pub async fn token_list_of_user(tx: &mut Tx, user: UserId) -> Result<Vec<Token>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_USER, values![user]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Takes note that a token opened something at that time, unless a later one is known.
pub async fn token_used(tx: &mut Tx, id: TokenId, at: Timestamp) -> Result<(), Error> {
    tx.run(&USED, values![id, at]).await.map(|_| ())
}

/// Revokes a token; false when there is none, or it was revoked before.
pub async fn token_revoke(tx: &mut Tx, id: TokenId, at: Timestamp) -> Result<bool, Error> {
    Ok(tx.run(&REVOKE, values![id, at]).await? > 0)
}

/// Revokes every token of a person with exactly this label; how many there were to revoke.
pub async fn token_revoke_labelled(
    tx: &mut Tx,
    user: UserId,
    label: &str,
    at: Timestamp,
) -> Result<i64, Error> {
    tx.count(&REVOKE_LABELLED, values![user, label, at]).await
}

/// Revokes every token of a run.
pub async fn token_revoke_run(tx: &mut Tx, run: RunId, at: Timestamp) -> Result<(), Error> {
    tx.run(&REVOKE_RUN, values![run, at]).await.map(|_| ())
}

/// Revokes every token of a runner; how many there were to revoke.
pub async fn token_revoke_runner(
    tx: &mut Tx,
    runner: RunnerId,
    at: Timestamp,
) -> Result<i64, Error> {
    tx.count(&REVOKE_RUNNER, values![runner, at]).await
}
