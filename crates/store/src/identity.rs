//! Table `identities`: what providers of identities vouch for, each linked to one person.
//!
//! One issuer and one subject are one identity, for ever. Deliberately absent: whether it lets
//! anybody in, and any search by e-mail.

use jiff::Timestamp;
use nightshift_domain::id::{IdentityId, UserId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// An identity at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Whose it is.
    pub user: UserId,
    /// The provider's name here, when it was linked.
    pub provider: String,
    /// Who vouches.
    pub issuer: String,
    /// For whom, in the issuer's words.
    pub subject: String,
    /// The address that the provider named last.
    pub email: Option<String>,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When it last let its person in.
    pub used_at: Timestamp,
}

const COLUMNS: Columns = Columns("identity");

macro_rules! columns {
    () => {
        "id, user_id, provider, issuer, subject, email, created_at, used_at"
    };
}

sql! { "identity";
    INSERT = both(concat!("INSERT INTO identities (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"));
    BY_SUBJECT = both(concat!("SELECT ", columns!(), " FROM identities WHERE issuer = $1 AND subject = $2"));
    LIST_OF_USER = both(concat!("SELECT ", columns!(), " FROM identities WHERE user_id = $1 ORDER BY created_at, id"));
    USED = both("UPDATE identities SET email = $2, used_at = $3 WHERE id = $1");
    REMOVE = both("DELETE FROM identities WHERE id = $1 AND user_id = $2");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    provider: String,
    issuer: String,
    subject: String,
    email: Option<String>,
    created_at: i64,
    used_at: i64,
}

impl Row {
    fn read(self) -> Result<Identity, Error> {
        Ok(Identity {
            id: IdentityId(self.id),
            user: UserId(self.user_id),
            provider: self.provider,
            issuer: self.issuer,
            subject: self.subject,
            email: self.email,
            created_at: COLUMNS.time("created_at", self.created_at)?,
            used_at: COLUMNS.time("used_at", self.used_at)?,
        })
    }
}

/// Links an identity; [`Error::Duplicate`] when it is linked already.
pub async fn identity_insert(tx: &mut Tx, new: &Identity) -> Result<(), Error> {
    let values = values![
        new.id,
        new.user,
        &new.provider,
        &new.issuer,
        &new.subject,
        &new.email,
        new.created_at,
        new.used_at
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By what its provider calls it, exactly as written.
pub async fn identity_by_subject(
    tx: &mut Tx,
    issuer: &str,
    subject: &str,
) -> Result<Option<Identity>, Error> {
    let row: Option<Row> = tx.one(&BY_SUBJECT, values![issuer, subject]).await?;
    row.map(Row::read).transpose()
}

/// Those of a person, oldest first.
pub async fn identity_list_of_user(tx: &mut Tx, user: UserId) -> Result<Vec<Identity>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_USER, values![user]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Takes note that an identity let its person in, and what the provider said.
pub async fn identity_used(
    tx: &mut Tx,
    id: IdentityId,
    email: Option<&str>,
    at: Timestamp,
) -> Result<(), Error> {
    tx.run(&USED, values![id, email, at]).await.map(|_| ())
}

/// Unlinks an identity of a person; false when they have no such one.
pub async fn identity_remove(tx: &mut Tx, id: IdentityId, user: UserId) -> Result<bool, Error> {
    Ok(tx.run(&REMOVE, values![id, user]).await? > 0)
}
