//! `pr diff`: the change, through the pager on a terminal, as it is everywhere else.

use nightshift_api::operations::PULL_DIFF;

use super::path;
use crate::connection::Connection;
use crate::failure::Done;
use crate::program;
use crate::view;
use crate::words::Number;

/// Which change.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the pull request
    number: Number,
    /// From this head of an earlier round instead of the base: what changed since
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
    /// To this head instead of the latest
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        connection.token()?;
        let query: Vec<_> = [("from", self.from), ("to", self.to)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let diff = connection
            .client
            .bytes(&PULL_DIFF, &path, &query, None)
            .await?;
        let output = connection.output;
        let text = String::from_utf8_lossy(&diff);
        if output.json {
            return output.json(&serde_json::json!({ "diff": text }));
        }
        if !output.terminal {
            return output.bytes(&diff);
        }
        let mut screen = output.screen();
        view::diff::whole(&mut screen, &text);
        if program::page(&connection.environment, screen.as_str()) {
            return Ok(());
        }
        output.show(&mut screen)
    }
}
