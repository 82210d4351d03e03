//! Table `passwords`: what a person signs in with, of which only the hash is kept.
//!
//! A person has one or none. Deliberately absent: the password, and how it is hashed and compared.

use jiff::Timestamp;
use nightshift_domain::id::UserId;

use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

sql! { "password";
    SET = both("INSERT INTO passwords (user_id, hash, updated_at) VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE SET hash = EXCLUDED.hash, updated_at = EXCLUDED.updated_at");
    GET = both("SELECT hash FROM passwords WHERE user_id = $1");
    CLEAR = both("DELETE FROM passwords WHERE user_id = $1");
}

/// Sets the hash of a person's password, a PHC string, in the place of any before.
pub async fn password_set(
    tx: &mut Tx,
    user: UserId,
    hash: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.run(&SET, values![user, hash, now]).await.map(|_| ())
}

/// The hash of a person's password.
pub async fn password_get(tx: &mut Tx, user: UserId) -> Result<Option<String>, Error> {
    let row: Option<(String,)> = tx.one(&GET, values![user]).await?;
    Ok(row.map(|(hash,)| hash))
}

/// Takes a person's password away; false when they have none.
pub async fn password_clear(tx: &mut Tx, user: UserId) -> Result<bool, Error> {
    Ok(tx.run(&CLEAR, values![user]).await? > 0)
}
