//! `user invite`: the address at which a person links an identity at a provider, once.

use nightshift_api::project::UserPath;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;

/// Whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The person, as the server knows them
    name: String,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = UserPath { user: self.name };
        // Not repeated after a lost answer: a secret is never kept to be shown again.
        let made = connection
            .call::<operations::IdentityInvite>(&path, &Nothing {}, &Nothing {})
            .await?;
        if !connection.output.json {
            connection.output.note(&format!(
                "whoever opens the address below and signs in at a provider is {} from then on; it \
                 works once, until {}",
                path.user,
                made.expires_at.strftime("%Y-%m-%d %H:%M UTC")
            ));
        }
        connection.output.answer(&made, |screen| {
            screen.line([format!("{}{}", connection.client.server(), made.path).into()]);
        })
    }
}
