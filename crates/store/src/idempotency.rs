//! Table `idempotency_keys`: answers kept so that a repeated request gets the same one.
//!
//! The first to keep an answer under a key wins. Deliberately absent: for how long.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of the request, to tell a repetition from a mistaken reuse of the key.
    pub request_hash: [u8; 32],
    /// The status of the answer.
    pub status: i64,
    /// Its body.
    pub body: Vec<u8>,
}

const COLUMNS: Columns = Columns("kept answer");

sql! { "kept answer";
    GET = both("SELECT request_hash, status, body FROM idempotency_keys WHERE holder = $1 AND request_key = $2");
    INSERT = both("INSERT INTO idempotency_keys (holder, request_key, request_hash, status, body, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (holder, request_key) DO NOTHING");
    ANSWER = both("UPDATE idempotency_keys SET status = $3, body = $4 WHERE holder = $1 AND request_key = $2");
    PURGE = both("DELETE FROM idempotency_keys WHERE created_at < $1");
}

#[derive(FromRow)]
struct Row {
    request_hash: Vec<u8>,
    status: i64,
    body: Vec<u8>,
}

/// The answer kept for a holder's key.
pub async fn idempotency_get(tx: &mut Tx, holder: &str, key: &str) -> Result<Option<Kept>, Error> {
    let row: Option<Row> = tx.one(&GET, values![holder, key]).await?;
    row.map(|row| {
        Ok(Kept {
            request_hash: COLUMNS.hash("request_hash", row.request_hash)?,
            status: row.status,
            body: row.body,
        })
    })
    .transpose()
}

/// Keeps an answer; false when another is kept there. Waits for a transaction that is just keeping
/// one under the same key.
pub async fn idempotency_insert(
    tx: &mut Tx,
    holder: &str,
    key: &str,
    kept: &Kept,
    now: Timestamp,
) -> Result<bool, Error> {
    let values = values![
        holder,
        key,
        &kept.request_hash,
        kept.status,
        kept.body.clone(),
        now
    ];
    Ok(tx.run(&INSERT, values).await? > 0)
}

/// Puts the answer to a request that is kept already; false when it is not.
pub async fn idempotency_answer(
    tx: &mut Tx,
    holder: &str,
    key: &str,
    status: i64,
    body: &[u8],
) -> Result<bool, Error> {
    let values = values![holder, key, status, body.to_vec()];
    Ok(tx.run(&ANSWER, values).await? > 0)
}

/// Forgets answers kept before this time and says how many.
pub async fn idempotency_purge(tx: &mut Tx, before: Timestamp) -> Result<i64, Error> {
    let gone = tx.run(&PURGE, values![before]).await?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}
