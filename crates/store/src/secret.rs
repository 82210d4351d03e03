//! Table `secrets`: sealed values of the secrets of projects.
//!
//! Deliberately absent: opening them.

use jiff::Timestamp;
use nightshift_domain::id::ProjectId;
use sqlx::FromRow;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// The value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its name.
    pub name: String,
    /// The value, sealed.
    pub sealed: Vec<u8>,
    /// Who set it, by name.
    pub set_by: String,
    /// When it was set.
    pub set_at: Timestamp,
}

const COLUMNS: Columns = Columns("secret");

sql! { "secret";
    SET = both("INSERT INTO secrets (project_id, name, sealed, set_by, set_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (project_id, name) DO UPDATE SET sealed = excluded.sealed, set_by = excluded.set_by, set_at = excluded.set_at");
    LIST = both("SELECT name, sealed, set_by, set_at FROM secrets WHERE project_id = $1 ORDER BY name");
    REMOVE = both("DELETE FROM secrets WHERE project_id = $1 AND name = $2");
}

#[derive(FromRow)]
struct Row {
    name: String,
    sealed: Vec<u8>,
    set_by: String,
    set_at: i64,
}

impl Row {
    fn read(self) -> Result<SealedSecret, Error> {
        Ok(SealedSecret {
            name: self.name,
            sealed: self.sealed,
            set_by: self.set_by,
            set_at: COLUMNS.time("set_at", self.set_at)?,
        })
    }
}

/// Sets a value, in the place of an earlier one.
pub async fn secret_set(
    tx: &mut Tx,
    project: ProjectId,
    secret: &SealedSecret,
) -> Result<(), Error> {
    let values = values![
        project,
        &secret.name,
        secret.sealed.clone(),
        &secret.set_by,
        secret.set_at
    ];
    tx.run(&SET, values).await.map(|_| ())
}

/// The values of a project, by name.
pub async fn secret_list(tx: &mut Tx, project: ProjectId) -> Result<Vec<SealedSecret>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![project]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Removes a value; false when there is none.
pub async fn secret_remove(tx: &mut Tx, project: ProjectId, name: &str) -> Result<bool, Error> {
    Ok(tx.run(&REMOVE, values![project, name]).await? > 0)
}
