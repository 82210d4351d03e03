//! `run`: executions of jobs by runners.

mod cancel;
mod list;
mod log;
mod show;
mod steer;

use nightshift_api::run::{Run, RunPath, RunQuery};
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::words::RunName;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first
    List(list::Args),
    /// Show a run
    Show(show::Args),
    /// Show what was said and done in a run
    Log(log::Args),
    /// Say something to the agent while it works
    Steer(steer::Args),
    /// Stop a run
    Cancel(cancel::Args),
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::List(args) => args.run(connection).await,
            Self::Show(args) => args.run(connection).await,
            Self::Log(args) => args.run(connection).await,
            Self::Steer(args) => args.run(connection).await,
            Self::Cancel(args) => args.run(connection).await,
        }
    }
}

/// Which run.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The run's id or its last eight digits, or the number of an issue for its latest run
    run: RunName,
}

impl Which {
    /// Finds the run that is meant.
    async fn find(&self, connection: &Connection) -> Done<Run> {
        let query = match &self.run {
            RunName::Id(run) => {
                return connection
                    .call::<operations::RunGet>(&RunPath { run: *run }, &Nothing {}, &Nothing {})
                    .await;
            }
            RunName::LatestOf(number) => RunQuery {
                project: Some(connection.project().await?),
                number: Some(*number),
                cursor: None,
                limit: Some(1),
            },
            RunName::End(_) => RunQuery {
                limit: Some(200),
                ..RunQuery::default()
            },
        };
        let mut runs = connection
            .call::<operations::RunList>(&Nothing {}, &query, &Nothing {})
            .await?
            .items;
        let missing = match &self.run {
            RunName::End(end) => {
                runs.retain(|run| run.id.to_string().ends_with(end.as_str()));
                format!("none of the latest runs ends in {end}: see `nightshift run list`")
            }
            RunName::LatestOf(number) => format!("#{number} has had no run yet"),
            RunName::Id(id) => format!("there is no run {id}"),
        };
        match runs.len() {
            0 => Err(Failure::new(Exit::NotFound, missing)),
            1 => Ok(runs.remove(0)),
            _ => Err(Failure::usage("several runs end so: give more of the id")),
        }
    }
}
