//! The file of a login, which an operator makes and the broker keeps up to date.
//!
//! ```json
//! {
//!   "token_url": "https://auth.example.com/oauth/token",
//!   "client_id": "...",
//!   "access_token": "...",
//!   "refresh_token": "...",
//!   "expires_at": "2026-01-31T12:00:00Z"
//! }
//! ```
//! `expires_at` may be left out, or be seconds (or milliseconds) since 1970; `client_secret`, `scope` and
//! `"request": "json"` are sent along or obeyed where they stand there; whatever else is in the file stays
//! in it. Invariants: nobody but its owner can read it; a write replaces it as a whole, and is on the disk
//! when it returns, so that a crash leaves the old or the new one. Deliberately absent: the network.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Map, Value};

use crate::broker::room::address;
use crate::secret::Secret;

/// The largest file.
const MOST: u64 = 64 << 10;
/// How long another runner may hold the file.
const TURN: Duration = Duration::from_secs(30);
/// How often it is looked whether it is free.
const LOOK: Duration = Duration::from_millis(50);

/// Where a login is kept.
pub(super) struct LoginFile {
    path: PathBuf,
}

/// What tells one content of the file from another, without reading it.
pub(super) type Stamp = Option<(u64, u64, i64, i64)>;

/// What the file says.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) url: reqwest::Url,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) scope: Option<String>,
    /// Whether the endpoint wants JSON instead of a form.
    pub(super) json: bool,
    pub(super) access: Secret,
    pub(super) refresh: Secret,
    pub(super) expires_at: Option<Timestamp>,
    /// How long the access token lives, where that is known.
    pub(super) lives: Option<Duration>,
    /// The whole document.
    document: Map<String, Value>,
}

impl LoginFile {
    /// The file behind `path`, also where that is a link.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let path = fs::canonicalize(path)
            .map_err(|error| format!("cannot find the login {}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Reads it.
    pub(super) fn read(&self) -> Result<Tokens, String> {
        let broken = |error: io::Error| format!("cannot read {self}: {error}");
        let mut file = File::open(&self.path).map_err(broken)?;
        let about = file.metadata().map_err(broken)?;
        if !about.is_file() {
            return Err(format!("{self} is no plain file"));
        }
        if about.mode() & 0o077 != 0 {
            return Err(format!(
                "{self} can be read by others (mode {:o}): chmod 600 it",
                about.mode() & 0o777
            ));
        }
        let mut bytes = Vec::new();
        io::Read::by_ref(&mut file)
            .take(MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(broken)?;
        if bytes.len() as u64 > MOST {
            return Err(format!("{self} has more than {MOST} bytes"));
        }
        // What the parser says could repeat a part of the text.
        let document: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
            format!(
                "{self} is no JSON object: look at line {}, column {}",
                error.line(),
                error.column()
            )
        })?;
        Tokens::read(document).map_err(|why| format!("{self}: {why}"))
    }

    /// Replaces it.
    pub(super) fn write(&self, tokens: &Tokens) -> Result<(), String> {
        let mut text = serde_json::to_vec_pretty(&tokens.document)
            .map_err(|_| format!("{self} cannot be written anew"))?;
        text.push(b'\n');
        self.replace(&text).map_err(|error| {
            format!("the new tokens cannot be written to {self}: {error}; make room there, and it goes on")
        })
    }

    /// Sees that a write would go well.
    pub(super) fn try_to_write(&self) -> Result<(), String> {
        self.fresh()
            .and_then(|_file| fs::remove_file(self.beside("new")))
            .map_err(|error| {
                format!(
                    "the folder of {self} cannot be written, and new tokens are kept there: {error}"
                )
            })
    }

    /// Waits until no other runner of this machine refreshes the login.
    pub(super) async fn lock(&self) -> Result<Flock<File>, String> {
        let begun = tokio::time::Instant::now();
        loop {
            let lock = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(self.beside("lock"));
            let lock = lock.map_err(|error| format!("no lock beside {self}: {error}"))?;
            match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err(_) if begun.elapsed() < TURN => tokio::time::sleep(LOOK).await,
                Err((_, error)) => {
                    return Err(format!("another runner holds {self}: {error}"));
                }
            }
        }
    }

    /// What it is now.
    pub(super) fn stamp(&self) -> Stamp {
        let about = fs::metadata(&self.path).ok()?;
        Some((about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut file = self.fresh()?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(self.beside("new"), &self.path)?;
        File::open(self.folder())?.sync_all()
    }

    /// An empty file beside it; one that an earlier write left is thrown away.
    fn fresh(&self) -> io::Result<File> {
        let path = self.beside("new");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    }

    fn beside(&self, end: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.folder().join(format!(".{name}.{end}"))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }
}

impl fmt::Display for LoginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the login {}", self.path.display())
    }
}

impl Tokens {
    fn read(document: Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| -> Result<Option<String>, String> {
            match document.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
                Some(_) => Err(format!("`{name}` must be a text that is not empty")),
            }
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is missing"));
        let url = address(&needed("token_url")?).map_err(|_| {
            "`token_url` is no http or https address without user and query".to_owned()
        })?;
        let here = ["127.0.0.1", "[::1]", "localhost"];
        if url.scheme() != "https" && !url.host_str().is_some_and(|host| here.contains(&host)) {
            return Err("`token_url` must be https: tokens go there".to_owned());
        }
        let json = match text("request")?.as_deref() {
            None | Some("form") => false,
            Some("json") => true,
            Some(_) => return Err("`request` is `form` or `json`".to_owned()),
        };
        Ok(Self {
            url,
            client_id: needed("client_id")?,
            client_secret: text("client_secret")?.map(Secret::new),
            scope: text("scope")?,
            json,
            access: Secret::new(needed("access_token")?),
            refresh: Secret::new(needed("refresh_token")?),
            expires_at: time(document.get("expires_at"))?,
            lives: None,
            document,
        })
    }

    /// The same login with what the endpoint answered.
    pub(super) fn with(
        &self,
        access: &str,
        refresh: Option<&str>,
        lives: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let mut new = self.clone();
        new.access = Secret::new(access);
        new.document
            .insert("access_token".to_owned(), access.into());
        // An endpoint that does not rotate says nothing of it.
        if let Some(refresh) = refresh {
            new.refresh = Secret::new(refresh);
            new.document
                .insert("refresh_token".to_owned(), refresh.into());
        }
        new.lives = lives;
        new.expires_at = lives.and_then(|lives| now.checked_add(lives).ok());
        let at = new.expires_at.map(|at| at.to_string());
        new.document
            .insert("expires_at".to_owned(), at.map_or(Value::Null, Value::from));
        new
    }

    /// When it is to be replaced: so long before its end, and sooner for one that lives shorter.
    pub(super) fn due(&self, before: Duration) -> Option<Timestamp> {
        let before = self.lives.map_or(before, |lives| before.min(lives / 4));
        self.expires_at?.checked_sub(before).ok()
    }

    /// Everything that must be in no text.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.access, &self.refresh]
            .into_iter()
            .chain(&self.client_secret)
    }
}

/// A time as RFC 3339, or in seconds or milliseconds since 1970.
fn time(value: Option<&Value>) -> Result<Option<Timestamp>, String> {
    let wrong = || "`expires_at` is no time: write it as 2026-01-31T12:00:00Z".to_owned();
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(Value::Number(number)) => {
            let number = number.as_i64().ok_or_else(wrong)?;
            let time = match number.unsigned_abs() < 100_000_000_000 {
                true => Timestamp::from_second(number),
                false => Timestamp::from_millisecond(number),
            };
            time.map(Some).map_err(|_| wrong())
        }
        Some(_) => Err(wrong()),
    }
}
