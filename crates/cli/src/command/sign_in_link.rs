//! `sign-in-link`: the address that signs a browser in, once.
//!
//! The address goes to standard output alone. Deliberately absent: opening a browser.

use nightshift_api::client::Client;
use nightshift_api::project::NewLink;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;

/// Whose link.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Another person (administrators); otherwise yourself
    name: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let input = NewLink { user: self.name };
        // Not repeated after a lost answer: a secret is never kept to be shown again.
        let made = connection
            .call::<operations::SessionLink>(&Nothing {}, &Nothing {}, &input)
            .await?;
        if !connection.output.json {
            connection.output.note(&format!(
                "the address below signs one browser in, until {}",
                made.expires_at.strftime("%H:%M UTC")
            ));
        }
        connection.output.answer(&made, |screen| {
            screen.line([format!("{}{}", connection.client.server(), made.path).into()]);
        })
    }
}

/// A link for whoever the client's token belongs to.
pub(crate) async fn own(client: &Client) -> Done<String> {
    let made = client
        .call::<operations::SessionLink>(&Nothing {}, &Nothing {}, &NewLink::default())
        .await?;
    Ok(format!("{}{}", client.server(), made.path))
}
