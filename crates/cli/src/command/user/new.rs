//! `user new`: makes a person known; a token is another step.

use nightshift_api::project::NewUser;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::plain;
use crate::view::issue::commands_of;

/// Who.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name: 1 to 40 letters, digits, `-`, `_` or `.`
    name: String,
    /// May administer the server
    #[arg(long)]
    admin: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let input = NewUser {
            name: self.name,
            is_admin: self.admin,
        };
        let user = connection
            .create::<operations::UserCreate>(&Nothing {}, &input)
            .await?;
        connection.output.answer(&user, |screen| {
            screen.line([plain(format!("{} is known now", user.name))]);
            commands_of(
                screen,
                &[
                    format!("token new --user {}", user.name),
                    format!("project member set {} writer", user.name),
                ],
            );
        })
    }
}
