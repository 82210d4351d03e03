//! Table `outbox`: what still has to be told to whom.
//!
//! A delivery is written in the transaction of its event. Per target the order of events is kept:
//! a delivery is due only when all before it are done. Deliberately absent: the telling, and how
//! long to wait after a failure.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// One event for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; also the key by which the target knows a repetition.
    pub id: Uuid,
    /// The event.
    pub seq: i64,
    /// To whom.
    pub target: String,
    /// How often it was tried without success.
    pub attempts: i64,
    /// When to try next.
    pub next_at: Timestamp,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Why it last did not.
    pub last_error: Option<String>,
}

const COLUMNS: Columns = Columns("delivery");

macro_rules! columns {
    () => {
        "id, seq, target, attempts, next_at, delivered_at, last_error"
    };
}

sql! { "delivery";
    INSERT = both(concat!("INSERT INTO outbox (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)"));
    // Hops from target to target over the index of pending deliveries, so that one long backlog
    // costs the others nothing.
    DUE = both(concat!("WITH RECURSIVE waiting (name) AS (SELECT MIN(target) FROM outbox WHERE delivered_at IS NULL UNION ALL SELECT (SELECT MIN(o.target) FROM outbox o WHERE o.delivered_at IS NULL AND o.target > waiting.name) FROM waiting WHERE waiting.name IS NOT NULL) SELECT ", columns!(), " FROM waiting JOIN outbox ON outbox.target = waiting.name AND outbox.seq = (SELECT MIN(o.seq) FROM outbox o WHERE o.target = waiting.name AND o.delivered_at IS NULL) WHERE next_at <= $1 ORDER BY next_at, seq LIMIT $2"));
    DELIVERED = both("UPDATE outbox SET delivered_at = $2, last_error = NULL WHERE id = $1");
    FAILED = both("UPDATE outbox SET attempts = attempts + 1, last_error = $2, next_at = $3 WHERE id = $1");
    PENDING = both("SELECT COUNT(*) FROM outbox WHERE target = $1 AND delivered_at IS NULL");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    seq: i64,
    target: String,
    attempts: i64,
    next_at: i64,
    delivered_at: Option<i64>,
    last_error: Option<String>,
}

impl Row {
    fn read(self) -> Result<Delivery, Error> {
        Ok(Delivery {
            id: self.id,
            seq: self.seq,
            target: self.target,
            attempts: self.attempts,
            next_at: COLUMNS.time("next_at", self.next_at)?,
            delivered_at: COLUMNS.time_option("delivered_at", self.delivered_at)?,
            last_error: self.last_error,
        })
    }
}

/// Adds a delivery; [`Error::Duplicate`] when the target has this event already.
pub async fn outbox_insert(tx: &mut Tx, delivery: &Delivery) -> Result<(), Error> {
    let values = values![
        delivery.id,
        delivery.seq,
        &delivery.target,
        delivery.attempts,
        delivery.next_at,
        delivery.delivered_at,
        &delivery.last_error
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// What can be delivered now: at most one per target, its oldest.
pub async fn outbox_due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Delivery>, Error> {
    let rows: Vec<Row> = tx.all(&DUE, values![now, limit]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Notes that it arrived.
pub async fn outbox_delivered(tx: &mut Tx, id: Uuid, at: Timestamp) -> Result<(), Error> {
    tx.must_run(&DELIVERED, values![id, at]).await
}

/// Notes that it did not, why, and when to try again.
pub async fn outbox_failed(
    tx: &mut Tx,
    id: Uuid,
    error: &str,
    next_at: Timestamp,
) -> Result<(), Error> {
    tx.must_run(&FAILED, values![id, error, next_at]).await
}

/// How many deliveries a target still waits for.
pub async fn outbox_pending(tx: &mut Tx, target: &str) -> Result<i64, Error> {
    tx.number(&PENDING, values![target]).await
}
