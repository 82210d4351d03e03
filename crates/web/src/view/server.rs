//! The server itself, as the wire says it.

use nightshift_api::server::{Repository, Server, Sign, Storage};
use nightshift_app::use_case::storage as app;

pub(crate) fn server(view: &app::ServerView) -> Server {
    let signs = view.signs.iter().map(|sign| Sign {
        what: sign.name().to_owned(),
        level: sign.level(),
        note: sign.to_string(),
    });
    Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        health: signs.collect(),
        storage: view.storage.as_deref().map(storage),
    }
}

fn storage(found: &app::Storage) -> Storage {
    let repositories = found.repositories.iter().map(|(project, room)| Repository {
        project: project.clone(),
        bytes: room.bytes,
        files: room.files,
        at_least: room.at_least,
    });
    Storage {
        measured_at: found.measured_at,
        database_bytes: found.database,
        repositories: repositories.collect(),
        log_bytes: found.logs.bytes,
        log_files: found.logs.files,
        disk_bytes: found.disk.total,
        disk_free_bytes: found.disk.free,
        inodes: found.disk.inodes,
        inodes_free: found.disk.free_inodes,
    }
}
