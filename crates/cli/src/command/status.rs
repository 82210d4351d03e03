//! `status`: whether the server is well, and how much room it takes.

use nightshift_api::server::{Server, Storage};
use nightshift_api::{Nothing, operations};
use nightshift_domain::health::{Level, size};

use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;
use crate::screen::{Screen, dim, green, plain, red, yellow};
use crate::view::age;

pub(crate) async fn run(connection: &Connection) -> Done {
    let server = connection
        .call::<operations::ServerGet>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection
        .output
        .answer(&server, |screen| whole(screen, &server))
}

fn whole(screen: &mut Screen, server: &Server) {
    screen.line([plain(format!("version {}", server.version))]);
    let signs = server.health.iter().map(|sign| {
        let word = match sign.level {
            Level::Well => green("well"),
            Level::Warning => yellow("warning"),
            Level::Bad => red("bad"),
        };
        vec![plain(&sign.what), word, plain(&sign.note)]
    });
    screen.table("  ", &["", "", ""], signs.collect());
    screen.gap();
    match &server.storage {
        Some(storage) => room(screen, storage),
        None => screen.line([dim("the data has not been measured yet")]),
    }
}

fn room(screen: &mut Screen, storage: &Storage) {
    let measured = age(storage.measured_at, clock::now());
    screen.line([dim(format!("measured {measured} ago"))]);
    let line =
        |what: &str, bytes: u64, more: String| vec![plain(what), plain(size(bytes)), dim(more)];
    let mut rows = vec![
        line("database", storage.database_bytes, String::new()),
        line(
            "logs",
            storage.log_bytes,
            format!("{} files", storage.log_files),
        ),
    ];
    for one in &storage.repositories {
        let more = if one.at_least { "at least; " } else { "" };
        let name = format!("repository {}", one.project);
        rows.push(line(&name, one.bytes, format!("{more}{} files", one.files)));
    }
    screen.table("  ", &["", ">", ""], rows);
}
