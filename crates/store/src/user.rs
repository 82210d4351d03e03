//! Table `users`: people with an account.
//!
//! A name is unique. Deliberately absent: sign-in; passwords and tokens have their own tables.

use jiff::Timestamp;
use nightshift_domain::id::UserId;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its unique name.
    pub name: String,
    /// Whether it administers the server.
    pub is_admin: bool,
    /// Since when.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("user");

macro_rules! columns {
    () => {
        "id, name, is_admin, created_at"
    };
}

sql! { "user";
    INSERT = both(concat!("INSERT INTO users (", columns!(), ") VALUES ($1, $2, $3, $4)"));
    GET = both(concat!("SELECT ", columns!(), " FROM users WHERE id = $1"));
    BY_NAME = both(concat!("SELECT ", columns!(), " FROM users WHERE name = $1"));
    SET_ADMIN = both("UPDATE users SET is_admin = $2 WHERE id = $1");
    LIST = both(concat!("SELECT ", columns!(), " FROM users ORDER BY name"));
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    is_admin: i64,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<User, Error> {
        Ok(User {
            id: UserId(self.id),
            name: self.name,
            is_admin: self.is_admin != 0,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a user; [`Error::Duplicate`] when the name is taken.
pub async fn user_insert(tx: &mut Tx, user: &User) -> Result<(), Error> {
    let values = values![user.id, &user.name, user.is_admin, user.created_at];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn user_get(tx: &mut Tx, id: UserId) -> Result<Option<User>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// By name, exactly as written.
pub async fn user_by_name(tx: &mut Tx, name: &str) -> Result<Option<User>, Error> {
    let row: Option<Row> = tx.one(&BY_NAME, values![name]).await?;
    row.map(Row::read).transpose()
}

/// Everyone, by name.
pub async fn user_list(tx: &mut Tx) -> Result<Vec<User>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Makes a user an administrator, or one no longer; false when there is no such user.
pub async fn user_set_admin(tx: &mut Tx, id: UserId, is_admin: bool) -> Result<bool, Error> {
    Ok(tx.run(&SET_ADMIN, values![id, is_admin]).await? > 0)
}
