//! The person's `client.toml`: which server, and with which token.
//!
//! Invariant: the file is made with mode 0600 and refused if others can read it; a token goes only
//! to the server it was saved for. Deliberately absent: tokens of runners.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Done, Exit, Failure};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientSettings {
    /// The server that is meant when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// Tokens by server.
    #[serde(default)]
    pub(crate) tokens: BTreeMap<String, String>,
}

/// Where the file is.
pub(crate) fn path(config: &Path) -> PathBuf {
    config.join("client.toml")
}

impl ClientSettings {
    /// Reads the file; a missing one is empty.
    pub(crate) fn read(config: &Path) -> Done<Self> {
        let path = path(config);
        let shown = path.display();
        let about = match fs::metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::failed(format!("cannot read {shown}: {error}"))),
        };
        if about.permissions().mode() & 0o077 != 0 {
            return Err(Failure::new(
                Exit::NotAllowed,
                format!("{shown} holds a token and others may read it: chmod 600 {shown}"),
            ));
        }
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::failed(format!("cannot read {shown}: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            Failure::failed(format!(
                "{shown} is broken ({}): mend it, or remove it and `nightshift login` again",
                error.message()
            ))
        })
    }

    /// Remembers a token and makes its server the one that is meant.
    pub(crate) fn remember(&mut self, server: &str, token: &str) {
        self.server = Some(server.to_owned());
        self.tokens.insert(server.to_owned(), token.to_owned());
    }

    /// Writes the file anew, whole or not at all.
    pub(crate) fn write(&self, config: &Path) -> Done {
        let path = path(config);
        let write = || -> anyhow::Result<()> {
            fs::create_dir_all(config)?;
            let fresh = path.with_extension("toml.new");
            fs::remove_file(&fresh).ok();
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(toml::to_string(self)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            Ok(())
        };
        write()
            .map_err(|error| Failure::failed(format!("cannot write {}: {error:#}", path.display())))
    }
}

/// An address as it is compared and shown: no user, no slash at its end.
pub(crate) fn normal_server(text: &str) -> Done<String> {
    let trimmed = text.trim().trim_end_matches('/');
    let bad = |why: &str| {
        Failure::usage(format!(
            "{text:?} is no address of a server: {why}; write it like http://127.0.0.1:4321"
        ))
    };
    let rest = trimmed
        .strip_prefix("http://")
        .or_else(|| trimmed.strip_prefix("https://"))
        .ok_or_else(|| bad("it begins with neither http:// nor https://"))?;
    if rest.is_empty() || rest.contains(['/', '?', '#']) || rest.contains(char::is_whitespace) {
        return Err(bad("expected a host and perhaps a port"));
    }
    if rest.contains('@') {
        return Err(bad(
            "it holds a user; a token is given with `nightshift login`",
        ));
    }
    Ok(trimmed.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("a/b");
        assert_eq!(
            ClientSettings::read(&config).expect("nothing"),
            ClientSettings::default()
        );
        let mut settings = ClientSettings::default();
        settings.remember("http://127.0.0.1:4321", "one");
        settings.write(&config).expect("written");
        settings.remember("https://night.example", "two");
        settings.write(&config).expect("written over");
        assert_eq!(ClientSettings::read(&config).expect("read"), settings);
        let mode = fs::metadata(path(&config))
            .expect("it")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        fs::set_permissions(path(&config), fs::Permissions::from_mode(0o640)).expect("opened");
        let refused = ClientSettings::read(&config).expect_err("refused");
        assert_eq!(refused.exit, Exit::NotAllowed);
        assert!(!refused.message.contains("two"));
    }

    #[test]
    fn addresses_are_compared_in_one_form() {
        for (text, normal) in [
            ("http://127.0.0.1:4321/", "http://127.0.0.1:4321"),
            (" https://Night.Example ", "https://night.example"),
        ] {
            assert_eq!(normal_server(text).expect("an address"), normal);
        }
        for bad in ["", "127.0.0.1:4321", "http://", "http://a/b", "http://t@a"] {
            assert!(normal_server(bad).is_err(), "{bad:?}");
        }
    }
}
