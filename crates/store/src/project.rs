//! Table `projects`: a repository with its settings, and the counter of its issue numbers.
//!
//! Numbers have neither gaps (a rolled-back number is given again) nor doubles. `config` is the
//! last good one, and `image` repeats whether it names an image, for claims. Deliberately absent: how a configuration is read.

use jiff::Timestamp;
use nightshift_domain::config::{Config, ConfigError};
use nightshift_domain::git_name::{BranchName, ObjectId};
use nightshift_domain::id::{Number, ProjectId};
use nightshift_domain::route;
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::Columns;
use crate::engine::Tx;
use crate::error::Error;
use crate::statement::{sql, values};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its unique name.
    pub name: String,
    /// The branch that changes land on.
    pub default_branch: BranchName,
    /// The last good configuration.
    pub config: Config,
    /// The tip of the default branch at which the configuration was last read.
    pub config_commit: Option<ObjectId>,
    /// Why the configuration there is not the one in force, if it is broken.
    pub config_error: Option<ConfigError>,
    /// Since when.
    pub created_at: Timestamp,
}

const COLUMNS: Columns = Columns("project");

macro_rules! columns {
    () => {
        "id, name, default_branch, config, config_commit, config_error, created_at"
    };
}

sql! { "project";
    INSERT = both(concat!("INSERT INTO projects (", columns!(), ", image) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"));
    GET = both(concat!("SELECT ", columns!(), " FROM projects WHERE id = $1"));
    BY_NAME = both(concat!("SELECT ", columns!(), " FROM projects WHERE name = $1"));
    LIST = both(concat!("SELECT ", columns!(), " FROM projects ORDER BY name"));
    LIST_OF_USER = both(concat!("SELECT ", columns!(), " FROM projects WHERE id IN (SELECT project_id FROM members WHERE user_id = $1) ORDER BY name"));
    SET_CONFIG = both("UPDATE projects SET config = $2, config_error = $3, config_commit = $4, image = $5 WHERE id = $1");
    HAS_IMAGE = both("SELECT image FROM projects WHERE id = $1");
    CONFIG = both("SELECT config FROM projects WHERE id = $1");
    // SQLite's one writer is the lock.
    LOCK_CONFIG = sqlite("SELECT config FROM projects WHERE id = $1"),
        postgres("SELECT config FROM projects WHERE id = $1 FOR NO KEY UPDATE");
    // Whoever holds a job must not wait for a project, since others take them the other way round.
    TRY_LOCK_CONFIG = sqlite("SELECT config FROM projects WHERE id = $1"),
        postgres("SELECT config FROM projects WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED");
    NEXT_NUMBER = both("UPDATE projects SET next_number = next_number + 1 WHERE id = $1 RETURNING next_number - 1");
    // SQLite's one writer is the lock. NO KEY: rows that refer to the project stay insertable.
    LOCK = sqlite("SELECT 1 WHERE EXISTS (SELECT 1 FROM projects WHERE id = $1)"),
        postgres("SELECT CAST(1 AS BIGINT) FROM projects WHERE id = $1 FOR NO KEY UPDATE");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    default_branch: String,
    config: String,
    config_commit: Option<String>,
    config_error: Option<String>,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Project, Error> {
        Ok(Project {
            id: ProjectId(self.id),
            name: self.name,
            default_branch: COLUMNS.parse("default_branch", &self.default_branch)?,
            config: COLUMNS.json("config", &self.config)?,
            config_commit: COLUMNS.parse_option("config_commit", self.config_commit.as_deref())?,
            config_error: COLUMNS.json_option("config_error", self.config_error.as_deref())?,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        })
    }
}

/// Adds a project; [`Error::Duplicate`] when the name is taken.
pub async fn project_insert(tx: &mut Tx, project: &Project) -> Result<(), Error> {
    let values = values![
        project.id,
        &project.name,
        &project.default_branch,
        COLUMNS.to_json(&project.config)?,
        project.config_commit.as_ref(),
        COLUMNS.to_json_option(project.config_error.as_ref())?,
        project.created_at,
        project.config.environment.image.is_some()
    ];
    tx.run(&INSERT, values).await.map(|_| ())
}

/// By id.
pub async fn project_get(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>, Error> {
    let row: Option<Row> = tx.one(&GET, values![id]).await?;
    row.map(Row::read).transpose()
}

/// By name, exactly as written.
pub async fn project_by_name(tx: &mut Tx, name: &str) -> Result<Option<Project>, Error> {
    let row: Option<Row> = tx.one(&BY_NAME, values![name]).await?;
    row.map(Row::read).transpose()
}

/// All of them, by name.
pub async fn project_list(tx: &mut Tx) -> Result<Vec<Project>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Those a person is a member of, by name. Public as `member_projects`.
pub(crate) async fn list_of_user(tx: &mut Tx, user: Uuid) -> Result<Vec<Project>, Error> {
    let rows: Vec<Row> = tx.all(&LIST_OF_USER, values![user]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Notes what was read at `commit`: the configuration in force, and what is wrong with the one
/// that stands there, if anything.
pub async fn project_set_config(
    tx: &mut Tx,
    id: ProjectId,
    config: &Config,
    error: Option<&ConfigError>,
    commit: Option<&ObjectId>,
) -> Result<(), Error> {
    // First of all the lock, so that no claim makes a note by what was said until now.
    let before: Option<(String,)> = tx.one(&LOCK_CONFIG, values![id]).await?;
    let before = before.and_then(|(text,)| COLUMNS.json::<Config>("config", &text).ok());
    let values = values![
        id,
        COLUMNS.to_json(config)?,
        COLUMNS.to_json_option(error)?,
        commit,
        config.environment.image.is_some()
    ];
    tx.must_run(&SET_CONFIG, values).await?;
    if before.is_none_or(|before| route::differ(&before, config)) {
        crate::job::forget_needs(tx, id).await?;
    }
    Ok(())
}

/// Whether its settings name an image.
pub(crate) async fn has_image(tx: &mut Tx, id: Uuid) -> Result<bool, Error> {
    Ok(tx.number(&HAS_IMAGE, values![id]).await? != 0)
}

/// Its settings, for a claim.
pub(crate) async fn config(tx: &mut Tx, id: Uuid) -> Result<Config, Error> {
    let found: Option<(String,)> = tx.one(&CONFIG, values![id]).await?;
    let (text,) = found.ok_or(Error::NotFound { what: COLUMNS.0 })?;
    COLUMNS.json("config", &text)
}

/// Its settings, which stay so until the transaction ends. `None` also where somebody else holds the
/// project just now.
pub(crate) async fn lock_config(tx: &mut Tx, id: Uuid) -> Result<Option<Config>, Error> {
    let found: Option<(String,)> = tx.one(&TRY_LOCK_CONFIG, values![id]).await?;
    found
        .map(|(text,)| COLUMNS.json("config", &text))
        .transpose()
}

/// Takes the next number of an issue; concurrent takers wait for each other.
pub async fn project_next_number(tx: &mut Tx, id: ProjectId) -> Result<Number, Error> {
    tx.number(&NEXT_NUMBER, values![id]).await
}

/// Locks the project until the transaction ends: one merge queue step of a project at a time.
pub async fn project_lock(tx: &mut Tx, id: ProjectId) -> Result<(), Error> {
    tx.number(&LOCK, values![id]).await.map(|_| ())
}
