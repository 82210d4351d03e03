//! `project members`, `project member set`, `project member remove`.

use nightshift_api::project::{MemberPath, ProjectPath, SetMember};
use nightshift_api::{Nothing, operations};
use nightshift_domain::access::Role;

use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::plain;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Give a person a role: reader, writer or maintainer
    Set {
        /// The person's name
        person: String,
        /// The role
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Take a person out of the project
    Remove {
        /// The person's name
        person: String,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "expected reader, writer or maintainer".to_owned())
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = connection.project().await?;
        match self {
            Self::Set { person, role } => {
                let path = MemberPath {
                    project,
                    user: person,
                };
                let member = connection
                    .call::<operations::MemberSet>(&path, &Nothing {}, &SetMember { role })
                    .await?;
                connection.output.answer(&member, |screen| {
                    screen.line([plain(format!(
                        "{} is {} in {}",
                        member.user,
                        member.role.as_str(),
                        path.project
                    ))]);
                })
            }
            Self::Remove { person } => {
                let path = MemberPath {
                    project,
                    user: person,
                };
                let answer = connection
                    .call::<operations::MemberRemove>(&path, &Nothing {}, &Nothing {})
                    .await?;
                connection.output.answer(&answer, |screen| {
                    screen.line([plain(format!(
                        "{} is no longer in {}",
                        path.user, path.project
                    ))]);
                })
            }
        }
    }
}

/// Lists the members.
pub(crate) async fn list(connection: &Connection) -> Done {
    let path = ProjectPath {
        project: connection.project().await?,
    };
    let members = connection
        .call::<operations::MemberList>(&path, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&members, |screen| {
        let members = members.items.iter();
        let rows = members.map(|member| vec![plain(&member.user), plain(member.role.as_str())]);
        screen.table("", &["person", "role"], rows.collect());
    })
}
