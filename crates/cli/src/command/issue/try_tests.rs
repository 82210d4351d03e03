//! `issue try`: runs the sealed tests once on the base, and waits for what comes of it.
//!
//! Ends well where the agent can be let at the tests. Deliberately absent: what the results mean.

use std::time::Duration;

use nightshift_api::issue::{Issue, IssuePath, Tryout};
use nightshift_api::{Nothing, operations};

use super::{get, path};
use crate::clock;
use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::screen::{Screen, Style, dim, green, plain, red, yellow};
use crate::view::issue::commands_of;
use crate::words::{Number, short_commit, short_id};

/// How often it is looked whether the result is there.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Which issue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number
    number: Number,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let path = path(connection, self.number).await?;
        let mut tried = connection
            .call::<operations::IssueTry>(&path, &Nothing {}, &Nothing {})
            .await?;
        if !self.no_wait {
            tried = result(connection, &path, tried).await?;
        }
        let number = self.number.0;
        connection
            .output
            .answer(&tried, |screen| show(screen, number, &tried))?;
        match (tried.fit, self.no_wait) {
            (Some(true), _) | (None, true) => Ok(()),
            (Some(false) | None, _) => Err(Failure::new(Exit::Failed, "")),
        }
    }
}

/// Waits until it is known.
async fn result(connection: &Connection, path: &IssuePath, mut tried: Tryout) -> Done<Tryout> {
    while matches!(tried.state.as_str(), "waiting" | "running") {
        clock::pause(LOOK_AGAIN).await;
        let Issue { tryout, .. } = get(connection, path).await?;
        tried = tryout.ok_or_else(|| {
            Failure::failed("the sealed tests were changed meanwhile: try the new ones")
        })?;
    }
    Ok(tried)
}

/// What came of it, with the last words of tests that are not fit.
pub(crate) fn show(screen: &mut Screen, number: i64, tried: &Tryout) {
    let words = match tried.fit {
        Some(true) => green(&tried.words),
        Some(false) => red(&tried.words),
        None => yellow(&tried.words),
    };
    let base = tried.base.as_deref().map(short_commit);
    screen.line([
        plain(format!("sealed tests of #{number}: ")),
        words,
        dim(base.map(|base| format!("  on {base}")).unwrap_or_default()),
    ]);
    if let Some(tail) = tried
        .output_tail
        .as_ref()
        .filter(|tail| !tail.trim().is_empty())
    {
        let lines: Vec<&str> = tail.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        screen.text("  ", Style::Plain, &last);
    }
    let mut next = Vec::new();
    if let Some(run) = &tried.run {
        next.push(format!("run log {}", short_id(run)));
    }
    next.push(match tried.fit {
        Some(true) => format!("issue ready {number}"),
        Some(false) => format!("issue edit {number}"),
        None => format!("issue try {number}"),
    });
    commands_of(screen, &next);
}
