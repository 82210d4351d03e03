//! Table `views`: filters of the board that people keep under a name.
//!
//! A name is one view of a person, to the letter; at most one is the default. Deliberately absent:
//! how many a person may keep, and what a name may be.

use jiff::Timestamp;
use nightshift_domain::id::UserId;
use nightshift_domain::view::Filter;
use sqlx::FromRow;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A saved view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub filter: Filter,
    /// Whether the board opens with it.
    pub is_default: bool,
    /// When it was first saved.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("view");

sql! { "view";
    SAVE = both("INSERT INTO views (user_id, name, filter, is_default, created_at) VALUES ($1, $2, $3, 0, $4) ON CONFLICT (user_id, name) DO UPDATE SET filter = excluded.filter");
    LIST = both("SELECT name, filter, is_default, created_at FROM views WHERE user_id = $1 ORDER BY created_at, name");
    RENAME = both("UPDATE views SET name = $3 WHERE user_id = $1 AND name = $2");
    CLEAR_DEFAULT = both("UPDATE views SET is_default = 0 WHERE user_id = $1 AND is_default = 1");
    SET_DEFAULT = both("UPDATE views SET is_default = 1 WHERE user_id = $1 AND name = $2");
    REMOVE = both("DELETE FROM views WHERE user_id = $1 AND name = $2");
}

#[derive(FromRow)]
struct Row {
    name: String,
    filter: String,
    is_default: i64,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<View, Error> {
        Ok(View {
            filter: COLUMNS.json("filter", &self.filter)?,
            name: self.name,
            is_default: self.is_default != 0,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Keeps a filter under a name; what was there under it is replaced, and stays the default if it
/// was.
pub async fn view_save(
    tx: &mut Tx,
    user: UserId,
    name: &str,
    filter: &Filter,
    now: Timestamp,
) -> Result<(), Error> {
    let values = values![user, name, COLUMNS.to_json(filter)?, now];
    tx.run(&SAVE, values).await.map(|_| ())
}

/// A person's views, oldest first.
pub async fn view_list(tx: &mut Tx, user: UserId) -> Result<Vec<View>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![user]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Gives a view another name; false when there is none. [`Error::Duplicate`] when that is taken.
pub async fn view_rename(tx: &mut Tx, user: UserId, name: &str, new: &str) -> Result<bool, Error> {
    Ok(tx.run(&RENAME, values![user, name, new]).await? > 0)
}

/// Makes a view the default in place of any other, or none.
pub async fn view_set_default(tx: &mut Tx, user: UserId, name: Option<&str>) -> Result<(), Error> {
    // In two steps: within one, two rows could be the default for a moment.
    tx.run(&CLEAR_DEFAULT, values![user]).await?;
    if let Some(name) = name {
        tx.run(&SET_DEFAULT, values![user, name]).await?;
    }
    Ok(())
}

/// Removes a view; false when there is none.
pub async fn view_remove(tx: &mut Tx, user: UserId, name: &str) -> Result<bool, Error> {
    Ok(tx.run(&REMOVE, values![user, name]).await? > 0)
}
