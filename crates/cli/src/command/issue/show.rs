//! `issue show`: the issue, what was said, its runs.

use nightshift_api::run::RunQuery;
use nightshift_api::{Nothing, operations};

use super::{get, path};
use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::view;
use crate::words::Number;

pub(crate) async fn run(connection: &Connection, number: Number) -> Done {
    let path = path(connection, number).await?;
    let issue = get(connection, &path).await?;
    if connection.output.json {
        return connection.output.json(&issue);
    }
    let query = RunQuery {
        project: Some(path.project),
        number: Some(number.0),
        cursor: None,
        limit: Some(10),
    };
    let runs = connection
        .call::<operations::RunList>(&Nothing {}, &query, &Nothing {})
        .await?;
    connection.output.answer(&issue, |screen| {
        view::issue::whole(screen, &issue, &runs.items, clock::now());
    })
}
