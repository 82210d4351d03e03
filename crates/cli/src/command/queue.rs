//! `queue`: what is about to land.

use nightshift_api::project::ProjectPath;
use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::view;

pub(crate) async fn run(connection: &Connection) -> Done {
    let path = ProjectPath {
        project: connection.project().await?,
    };
    let queue = connection
        .call::<operations::QueueGet>(&path, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&queue, |screen| {
        view::pull::queue(screen, &queue.items, clock::now());
    })
}
