//! Logs of runs: append-only files, compressed when old, read in windows.
//!
//! A byte is acknowledged once it is on disk. An append names the offset it begins at, so a
//! repeated one changes nothing. Deliberately absent: any look at what the bytes say.

use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use nightshift_domain::id::RunId;

use crate::say::server;
use crate::{App, Error};

/// The most that one read returns, in bytes.
pub(crate) const MAX_WINDOW: u64 = 1 << 20;

impl App {
    fn log_path(&self, run: RunId) -> PathBuf {
        let name = run.to_string();
        // The last digits of a version 7 UUID are random, so they spread evenly.
        let shelf = &name[name.len() - 2..];
        self.settings()
            .logs()
            .join(shelf)
            .join(format!("{name}.ndjson"))
    }

    /// Appends at `offset`. Returns the log's size afterwards, which tells the writer where to go
    /// on when the offset did not fit.
    pub(crate) async fn log_write(
        &self,
        run: RunId,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<u64, Error> {
        let path = self.log_path(run);
        blocking(move || {
            if let Some(shelf) = path.parent() {
                std::fs::create_dir_all(shelf)?;
            }
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)?;
            let size = file.metadata()?.len();
            let end = offset + bytes.len() as u64;
            if offset > size || end <= size {
                return Ok(size);
            }
            let known = usize::try_from(size - offset).unwrap_or(usize::MAX);
            file.write_all(&bytes[known..])?;
            file.sync_data()?;
            Ok(end)
        })
        .await
    }

    /// Reads from `offset`, at most `limit` bytes, whole lines where possible.
    pub(crate) async fn log_window(
        &self,
        run: RunId,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let limit = limit.min(MAX_WINDOW);
        if i64::try_from(offset).is_err() {
            // No file is that long, and no system seeks there.
            return Ok(Vec::new());
        }
        self.log_open(run, offset, move |reader| {
            let mut bytes = Vec::new();
            reader.take(limit).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == limit
                && let Some(end) = bytes.iter().rposition(|b| *b == b'\n')
            {
                bytes.truncate(end + 1);
            }
            Ok(bytes)
        })
        .await
    }

    /// Lets `work` read from `offset` on a thread that may block; a log that is not there is empty.
    pub(crate) async fn log_open<T: Send + 'static>(
        &self,
        run: RunId,
        offset: u64,
        work: impl FnOnce(&mut dyn Read) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.log_path(run);
        blocking(move || match std::fs::File::open(&path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                work(&mut file)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Ok(file) = std::fs::File::open(packed(&path)) else {
                    return work(&mut std::io::empty());
                };
                let mut reader = zstd::Decoder::new(file)?;
                std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink())?;
                work(&mut reader)
            }
            Err(error) => Err(error),
        })
        .await
    }

    /// Compresses a finished log. Twice is once.
    pub(crate) async fn log_pack(&self, run: RunId) -> Result<(), Error> {
        let path = self.log_path(run);
        blocking(move || {
            let source = match std::fs::File::open(&path) {
                Ok(source) => source,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let staged = path.with_extension("ndjson.zst.part");
            let target = std::fs::File::create(&staged)?;
            zstd::stream::copy_encode(source, &target, 3)?;
            target.sync_all()?;
            std::fs::rename(&staged, packed(&path))?;
            std::fs::remove_file(&path)
        })
        .await
    }
}

fn packed(path: &std::path::Path) -> PathBuf {
    path.with_extension("ndjson.zst")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Error::unavailable(server::logs_full())
            }
            _ => Error::internal(source),
        })
}
