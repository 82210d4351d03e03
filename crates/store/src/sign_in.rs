//! Table `sign_ins`: sign-ins that came back from a provider of identities, so that none comes back
//! twice.
//!
//! Deliberately absent: sign-ins that have only begun; the browser keeps those.

use jiff::Timestamp;

use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

sql! { "sign-in";
    INSERT = both("INSERT INTO sign_ins (state, used_at) VALUES ($1, $2) ON CONFLICT (state) DO NOTHING");
    SWEEP = both("DELETE FROM sign_ins WHERE used_at < $1");
}

/// Takes note that a sign-in came back; false when it had come back before.
pub async fn sign_in_insert(tx: &mut Tx, state: &[u8; 32], at: Timestamp) -> Result<bool, Error> {
    Ok(tx.run(&INSERT, values![state, at]).await? > 0)
}

/// Forgets those from before a time.
pub async fn sign_in_sweep(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    tx.run(&SWEEP, values![before]).await.map(|_| ())
}
