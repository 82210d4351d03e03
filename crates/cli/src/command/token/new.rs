//! `token new`: the secret goes to standard output alone, so that it can be put into a file.

use nightshift_api::project::NewToken;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::Done;

/// Whose token, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What it is for, in your words
    #[arg(default_value = "made with the command line")]
    label: String,
    /// For a runner of this name (administrators)
    #[arg(long, value_name = "NAME", conflicts_with = "user")]
    runner: Option<String>,
    /// For another person (administrators)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// After how many days it stops working; otherwise never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_days: Option<u16>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let input = NewToken {
            label: self.label,
            user: self.user,
            runner: self.runner,
            expires_in_days: self.expires_days,
        };
        // Not repeated after a lost answer: a secret is never kept to be shown again.
        let made = connection
            .call::<operations::TokenCreate>(&Nothing {}, &Nothing {}, &input)
            .await?;
        if !connection.output.json {
            connection.output.note(&format!(
                "token {} is made; the line below is its secret and is not shown again",
                made.token.id
            ));
        }
        connection.output.answer(&made, |screen| {
            screen.line([made.secret.as_str().into()]);
        })
    }
}
