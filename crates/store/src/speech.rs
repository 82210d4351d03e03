//! Table `speeches`: how much of each kind a run said to the platform.
//!
//! One row for each run and kind. Deliberately absent: the limits, and the words.

use jiff::Timestamp;
use nightshift_domain::id::RunId;
use nightshift_domain::speech::{Said, Speech};

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

const COLUMNS: Columns = Columns("speech");

sql! { "speech";
    GET = both("SELECT count, last_at FROM speeches WHERE run_id = $1 AND kind = $2");
    SET = both("INSERT INTO speeches (run_id, kind, count, last_at) VALUES ($1, $2, $3, $4) ON CONFLICT (run_id, kind) DO UPDATE SET count = excluded.count, last_at = excluded.last_at");
}

/// What a run said of this kind so far.
pub async fn speech_get(tx: &mut Tx, run: RunId, speech: Speech) -> Result<Said, Error> {
    let kind = COLUMNS.to_word(&speech)?;
    let row: Option<(i64, i64)> = tx.one(&GET, values![run, kind]).await?;
    let Some((count, last_at)) = row else {
        return Ok(Said::default());
    };
    Ok(Said {
        count,
        last_at: Some(COLUMNS.time("last_at", last_at)?),
    })
}

/// Keeps what a run said of this kind.
pub async fn speech_set(
    tx: &mut Tx,
    run: RunId,
    speech: Speech,
    count: i64,
    last_at: Timestamp,
) -> Result<(), Error> {
    let kind = COLUMNS.to_word(&speech)?;
    tx.run(&SET, values![run, kind, count, last_at])
        .await
        .map(|_| ())
}
