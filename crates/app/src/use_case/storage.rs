//! How much room the data takes, and whether the server is well.
//!
//! Folders are walked in the background, one walk at a time, and what was found is kept in memory; a
//! request reads that and never walks. Deliberately absent: cleaning up, and what is well (`domain::
//! health`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_domain::health::Sign;
use nightshift_store::{job as jobs, project, size};

use crate::{App, Caller, Error};

/// The most files and folders that one walk looks at.
const MOST_ENTRIES: u64 = 2_000_000;

/// How much room things take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of all files.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// Whether there is more than a walk looks at.
    pub at_least: bool,
}

/// What there is of a file system, and what of it is free for this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes.
    pub total: u64,
    /// Free bytes.
    pub free: u64,
    /// Inodes; 0 where the file system does not count them.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

/// What a look at the disk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// When.
    pub measured_at: Timestamp,
    /// The database, in bytes.
    pub database: u64,
    /// Repositories with their projects' names, the largest first.
    pub repositories: Vec<(String, Room)>,
    /// Logs of runs.
    pub logs: Room,
    /// The file system of repositories and logs.
    pub disk: Disk,
}

/// The server, for whoever administers it.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// What was measured just now, cheaply.
    pub signs: Vec<Sign>,
    /// What the last walk found; `None` before the first has ended.
    pub storage: Option<Arc<Storage>>,
}

impl App {
    /// Shows whether the server is well, and how much room it takes.
    ///
    /// # Errors
    /// `Forbidden` without administration.
    pub async fn server_get(&self, caller: &Caller) -> Result<ServerView, Error> {
        self.admin(caller)?;
        let began = self.now();
        let mut tx = self.db().read().await?;
        let queued = jobs::job_count_capped(&mut tx, "queued", 1).await?;
        drop(tx);
        let now = self.now();
        let millis = |from: Timestamp| now.as_millisecond().saturating_sub(from.as_millisecond());
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        let runners = self.runner_list(caller).await?;
        let ticked = self.0.ticked.load(std::sync::atomic::Ordering::Relaxed);
        let disk = disk(&self.settings().data)?;
        let signs = vec![
            Sign::Database {
                millis: whole(millis(began)),
            },
            Sign::Reconcilers {
                seconds: (ticked > 0).then(|| whole(now.as_second() - ticked)),
            },
            Sign::Space {
                free: disk.free,
                total: disk.total,
            },
            Sign::Inodes {
                free: disk.free_inodes,
                total: disk.inodes,
            },
            Sign::Runners {
                alive: runners.iter().filter(|one| one.alive).count(),
                wanted: queued > 0,
            },
        ];
        let storage = self.0.storage.lock();
        let storage = storage
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        Ok(ServerView { signs, storage })
    }

    /// Walks the folders once, and keeps what was found. For a slow timer.
    ///
    /// # Errors
    /// When the database or the disk does not answer.
    pub async fn storage_measure(&self) -> Result<(), Error> {
        let mut tx = self.db().read().await?;
        let database = size::database_size(&mut tx).await?;
        let projects = project::project_list(&mut tx).await?;
        drop(tx);
        let (repositories, logs) = (self.settings().repositories(), self.settings().logs());
        let places: Vec<(String, PathBuf)> = projects
            .into_iter()
            .map(|one| (one.name, repositories.join(format!("{}.git", one.id))))
            .collect();
        let walk = move || {
            let mut found: Vec<(String, Room)> = places
                .into_iter()
                .map(|(name, place)| (name, room(&place)))
                .collect();
            found.sort_by(|one, other| other.1.bytes.cmp(&one.1.bytes).then(one.0.cmp(&other.0)));
            (found, room(&logs))
        };
        let walked = tokio::task::spawn_blocking(walk).await;
        let (repositories, logs) = walked.map_err(Error::internal)?;
        let found = Storage {
            measured_at: self.now(),
            database: u64::try_from(database).unwrap_or_default(),
            repositories,
            logs,
            disk: disk(&self.settings().data)?,
        };
        let kept = self.0.storage.lock();
        *kept.unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(found));
        Ok(())
    }
}

/// Adds up a folder. Links are not followed; what goes away meanwhile is not counted.
fn room(place: &Path) -> Room {
    let mut sum = Room::default();
    let mut seen = 0;
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > MOST_ENTRIES {
                sum.at_least = true;
                return sum;
            }
            // Of a link itself, not of what it leads to.
            let Ok(known) = entry.metadata() else {
                continue;
            };
            if known.is_dir() {
                folders.push(entry.path());
            } else {
                sum.files += 1;
                sum.bytes += known.len();
            }
        }
    }
    sum
}

fn disk(place: &Path) -> Result<Disk, Error> {
    let known = nix::sys::statvfs::statvfs(place).map_err(Error::internal)?;
    let block = known.fragment_size();
    Ok(Disk {
        total: known.blocks().saturating_mul(block),
        free: known.blocks_available().saturating_mul(block),
        inodes: known.files(),
        free_inodes: known.files_available(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_added_up_without_what_links_lead_to() {
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("large"), vec![0; 10_000]).expect("a file");
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(place.path().join("a/b")).expect("folders");
        std::fs::write(place.path().join("a/b/c"), b"12345").expect("a file");
        std::fs::write(place.path().join("d"), b"123").expect("a file");
        std::os::unix::fs::symlink(outside.path(), place.path().join("link")).expect("a link");
        let found = room(place.path());
        assert_eq!((found.files, found.at_least), (3, false));
        assert!((8..1_000).contains(&found.bytes), "{found:?}");
        assert_eq!(room(&place.path().join("nothing")), Room::default());
        let disk = disk(place.path()).expect("a disk");
        assert!(disk.total > 0 && disk.free <= disk.total);
    }
}
