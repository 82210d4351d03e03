//! Table `members`: who has which role in which project.
//!
//! One role per person and project. Deliberately absent: what a role allows.

use nightshift_domain::access::Role;
use nightshift_domain::id::{ProjectId, UserId};
use sqlx::FromRow;
use uuid::Uuid;

use crate::column::{Columns, id_list};
use crate::engine::Tx;
use crate::error::Error;
use crate::project::{self, Project};
use crate::statement::{sql, values};
use crate::user::User;

const COLUMNS: Columns = Columns("member");

sql! { "member";
    SET = both("INSERT INTO members (project_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role");
    REMOVE = both("DELETE FROM members WHERE project_id = $1 AND user_id = $2");
    ROLE = both("SELECT role FROM members WHERE project_id = $1 AND user_id = $2");
    // Ids come as a JSON list of hexadecimal digits; the engines read it differently.
    LIST_OF_USERS = sqlite("SELECT m.user_id, m.project_id, p.name, m.role FROM members m JOIN projects p ON p.id = m.project_id WHERE m.user_id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY m.user_id, m.project_id"),
        postgres("SELECT m.user_id, m.project_id, p.name, m.role FROM members m JOIN projects p ON p.id = m.project_id WHERE m.user_id IN (SELECT CAST(given.value AS UUID) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS given (value)) ORDER BY m.user_id, m.project_id");
    LIST = both("SELECT u.id, u.name, u.is_admin, u.created_at, m.role FROM members m JOIN users u ON u.id = m.user_id WHERE m.project_id = $1 ORDER BY u.name");
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    is_admin: i64,
    created_at: i64,
    role: String,
}

impl Row {
    fn read(self) -> Result<(User, Role), Error> {
        let user = User {
            id: UserId(self.id),
            name: self.name,
            is_admin: self.is_admin != 0,
            created_at: COLUMNS.time("created_at", self.created_at)?,
        };
        Ok((user, read_role(&self.role)?))
    }
}

fn read_role(word: &str) -> Result<Role, Error> {
    Role::parse(word).ok_or_else(|| COLUMNS.corrupt("role", format!("{word} is no role")))
}

/// Gives a person a role, whether they had one or not.
pub async fn member_set(
    tx: &mut Tx,
    project: ProjectId,
    user: UserId,
    role: Role,
) -> Result<(), Error> {
    tx.run(&SET, values![project, user, role]).await.map(|_| ())
}

/// Takes the role away; false when there was none.
pub async fn member_remove(tx: &mut Tx, project: ProjectId, user: UserId) -> Result<bool, Error> {
    Ok(tx.run(&REMOVE, values![project, user]).await? > 0)
}

/// The role of a person, if any.
pub async fn member_role(
    tx: &mut Tx,
    project: ProjectId,
    user: UserId,
) -> Result<Option<Role>, Error> {
    let row: Option<(String,)> = tx.one(&ROLE, values![project, user]).await?;
    row.map(|(word,)| read_role(&word)).transpose()
}

/// Everyone in a project, by name.
pub async fn member_list(tx: &mut Tx, project: ProjectId) -> Result<Vec<(User, Role)>, Error> {
    let rows: Vec<Row> = tx.all(&LIST, values![project]).await?;
    rows.into_iter().map(Row::read).collect()
}

/// The projects of a person, by name.
pub async fn member_projects(tx: &mut Tx, user: UserId) -> Result<Vec<Project>, Error> {
    project::list_of_user(tx, user.0).await
}

/// A role that a person has: who, in which project, its name, the role.
pub type Membership = (UserId, ProjectId, String, Role);

/// All roles of these people, by person and project.
pub async fn member_list_of_users(tx: &mut Tx, users: &[UserId]) -> Result<Vec<Membership>, Error> {
    let list = id_list(users.iter().map(|id| id.0));
    let rows: Vec<(Uuid, Uuid, String, String)> = tx.all(&LIST_OF_USERS, values![list]).await?;
    rows.into_iter()
        .map(|(user, project, name, role)| {
            Ok((UserId(user), ProjectId(project), name, read_role(&role)?))
        })
        .collect()
}
