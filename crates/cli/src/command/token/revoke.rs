//! `token revoke`: named by its id, since its secret is known to nobody.

use nightshift_api::project::TokenPath;
use nightshift_api::runner::RunnerPath;
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::screen::plain;

/// Which token.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, or the end of it as `token list` shows it
    #[arg(value_name = "TOKEN", required_unless_present = "runner")]
    which: Option<String>,
    /// Every token of this runner (administrators)
    #[arg(long, value_name = "NAME", conflicts_with = "which")]
    runner: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        if let Some(runner) = self.runner {
            return of_runner(connection, runner).await;
        }
        let tokens = connection
            .call::<operations::TokenList>(&Nothing {}, &Nothing {}, &Nothing {})
            .await?;
        let wanted = self.which.unwrap_or_default().to_ascii_lowercase();
        let mut found = tokens
            .items
            .iter()
            .filter(|token| wanted.len() >= 8 && token.id.to_string().ends_with(&wanted));
        let (Some(token), None) = (found.next(), found.next()) else {
            return Err(Failure::new(
                Exit::NotFound,
                format!("no one token of yours is called {wanted:?}: see `nightshift token list`"),
            ));
        };
        let path = TokenPath { token: token.id };
        let answer = connection
            .call::<operations::TokenRevoke>(&path, &Nothing {}, &Nothing {})
            .await?;
        connection.output.answer(&answer, |screen| {
            screen.line([plain(format!("token {:?} no longer works", token.label))]);
        })
    }
}

async fn of_runner(connection: &Connection, runner: String) -> Done {
    let path = RunnerPath { runner };
    let revoked = connection
        .call::<operations::RunnerRevoke>(&path, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&revoked, |screen| {
        screen.line([plain(format!(
            "{} tokens of runner {} no longer work",
            revoked.tokens, path.runner
        ))]);
    })
}
