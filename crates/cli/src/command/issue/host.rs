//! `issue allow`, `issue deny`: whether runs may reach a host.

use nightshift_api::issue::DecideHost;
use nightshift_api::{Nothing, operations};
use nightshift_domain::grant::Decision;

use super::{path, stands};
use crate::connection::Connection;
use crate::failure::Done;
use crate::words::Number;

/// What to allow.
#[derive(Debug, clap::Args)]
pub(crate) struct Allow {
    /// The issue's number
    number: Number,
    /// The host, as packages.example.com or *.example.com; with a port where it is not 80 or 443
    host: String,
    /// For every run of the project: a commit to its settings (maintainers)
    #[arg(long)]
    for_project: bool,
}

/// What to deny.
#[derive(Debug, clap::Args)]
pub(crate) struct Deny {
    /// The issue's number
    number: Number,
    /// The host that was asked for
    host: String,
}

impl Allow {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let decision = match self.for_project {
            true => Decision::Project,
            false => Decision::Issue,
        };
        decide(connection, self.number, self.host, decision).await
    }
}

impl Deny {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        decide(connection, self.number, self.host, Decision::Denied).await
    }
}

async fn decide(connection: &Connection, number: Number, host: String, decision: Decision) -> Done {
    let path = path(connection, number).await?;
    let decide = DecideHost { host, decision };
    let issue = connection
        .call::<operations::IssueHost>(&path, &Nothing {}, &decide)
        .await?;
    connection
        .output
        .answer(&issue, |screen| stands(screen, &issue))
}
