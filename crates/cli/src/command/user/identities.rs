//! `user identities` and `user unlink`: what providers vouch for a person.

use nightshift_api::project::{IdentityPath, UserPath};
use nightshift_api::{Nothing, operations};
use uuid::Uuid;

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::plain;
use crate::view::age;

/// Whose.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The person
    name: String,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct Unlink {
    /// The person
    name: String,
    /// The identity's id, as `user identities` shows it
    identity: Uuid,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = UserPath { user: self.name };
        let found = connection
            .call::<operations::IdentityList>(&path, &Nothing {}, &Nothing {})
            .await?;
        connection.output.answer(&found, |screen| {
            let now = clock::now();
            let rows = found.items.iter().map(|one| {
                vec![
                    plain(one.id.to_string()),
                    plain(&one.provider),
                    plain(one.email.as_deref().unwrap_or(&one.subject)),
                    plain(format!("{} ago", age(one.used_at, now))),
                ]
            });
            screen.table(
                "",
                &["identity", "provider", "known there as", ">last used"],
                rows.collect(),
            );
        })
    }
}

impl Unlink {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = IdentityPath {
            user: self.name,
            identity: self.identity,
        };
        let done = connection
            .call::<operations::IdentityRemove>(&path, &Nothing {}, &Nothing {})
            .await?;
        connection.output.answer(&done, |screen| {
            screen.line([plain(format!(
                "unlinked; every session of {} has ended",
                path.user
            ))]);
        })
    }
}
