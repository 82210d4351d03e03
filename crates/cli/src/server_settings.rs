//! The operator's `server.toml`: where the server is reached, and who vouches for people.
//!
//! Invariant: secrets are named, not written: they stand in the environment or in files of their
//! own. Deliberately absent: what a single start may choose; that is an option of the command.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightshift_app::{Clock, Provider, Proxies};
use nightshift_connect::{OpenId, OpenIdSettings};
use nightshift_domain::admission::Policy;
use nightshift_domain::config::is_name;
use serde::Deserialize;

use crate::environment;
use crate::failure::{Done, Failure};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSettings {
    /// Where browsers reach the server.
    #[serde(default)]
    pub(crate) public_url: Option<String>,
    /// Proxies whose word on where a request comes from is taken.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<String>,
    /// Providers of identities by name.
    #[serde(default)]
    provider: BTreeMap<String, ProviderSettings>,
}

/// A provider of identities.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderSettings {
    /// Its name for people; otherwise its name.
    #[serde(default)]
    title: Option<String>,
    issuer: String,
    client_id: String,
    #[serde(default)]
    client_secret_env: Option<String>,
    #[serde(default)]
    client_secret_file: Option<PathBuf>,
    /// What it is asked for besides `openid`.
    #[serde(default = "usual_scopes")]
    scopes: Vec<String>,
    #[serde(default = "usual_groups")]
    groups_claim: String,
    #[serde(default)]
    require_groups: Vec<String>,
    #[serde(default)]
    email_domains: Vec<String>,
    #[serde(default)]
    admin_groups: Vec<String>,
}

fn usual_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

fn usual_groups() -> String {
    "groups".to_owned()
}

impl ServerSettings {
    /// Reads the file that is named, or the one of the settings folder if it is there.
    pub(crate) fn read(named: Option<&Path>, config: &Path) -> Done<Self> {
        let path = named.map_or_else(|| config.join("server.toml"), Path::to_owned);
        let shown = path.display();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::usage(format!("cannot read {shown}: {error}"))),
        };
        let read: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line
                .map(|line| format!(", line {line}"))
                .unwrap_or_default();
            Failure::usage(format!("{shown}{place}: {}", error.message()))
        })?;
        Ok(read)
    }

    /// Where browsers reach a server that listens at `address`, without a slash at the end.
    pub(crate) fn public_url(&self, address: &str) -> Done<String> {
        let Some(said) = &self.public_url else {
            return Ok(address.to_owned());
        };
        let url = reqwest::Url::parse(said).ok().filter(|url| {
            let bare = url.query().is_none() && url.fragment().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && bare && url.path() == "/"
        });
        let url = url.ok_or_else(|| {
            Failure::usage(format!(
                "public_url {said:?} is no address of a server: expected https://HOST, without a path"
            ))
        })?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The proxies that are trusted.
    pub(crate) fn proxies(&self) -> Done<Proxies> {
        Proxies::parse(&self.trusted_proxies)
            .map_err(|why| Failure::usage(format!("a trusted proxy: {why}")))
    }

    /// The providers, with their secrets.
    pub(crate) fn providers(&self, clock: &Arc<dyn Clock>) -> Done<Vec<Arc<dyn Provider>>> {
        let made = self
            .provider
            .iter()
            .map(|(name, settings)| settings.open(name, Arc::clone(clock)));
        made.collect()
    }
}

impl ProviderSettings {
    fn open(&self, name: &str, clock: Arc<dyn Clock>) -> Done<Arc<dyn Provider>> {
        let wrong = |what: String| Failure::usage(format!("the provider {name:?}: {what}"));
        if !is_name(name) {
            return Err(wrong(
                "its name must be 1 to 40 letters, digits, `-`, `_` or `.`".to_owned(),
            ));
        }
        let client_secret = match (&self.client_secret_env, &self.client_secret_file) {
            (Some(variable), None) => Some(environment::text(variable).ok_or_else(|| {
                wrong(format!(
                    "its secret is taken from {variable}, which is not set"
                ))
            })?),
            (None, Some(file)) => {
                let text = fs::read_to_string(file).map_err(|error| {
                    wrong(format!(
                        "its secret: cannot read {}: {error}",
                        file.display()
                    ))
                })?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "names both client_secret_env and client_secret_file: keep one".to_owned(),
                ));
            }
        };
        // Installed already where a client was made in this process.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let settings = OpenIdSettings {
            name: name.to_owned(),
            title: self.title.clone().unwrap_or_else(|| name.to_owned()),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret,
            scopes: self.scopes.clone(),
            groups_claim: self.groups_claim.clone(),
            policy: Policy {
                require_groups: self.require_groups.clone(),
                email_domains: self.email_domains.clone(),
                admin_groups: self.admin_groups.clone(),
            },
        };
        let made = OpenId::new(settings, clock).map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::new(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    fn providers(text: &str) -> Done<Vec<Arc<dyn Provider>>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.toml");
        fs::write(&path, text).expect("a file");
        let clock: Arc<dyn Clock> = Arc::new(Fixed);
        ServerSettings::read(Some(&path), folder.path())?.providers(&clock)
    }

    const HOUSE: &str =
        "[provider.house]\nissuer = \"https://id.example\"\nclient_id = \"nightshift\"\n";

    #[test]
    fn providers_are_read_with_their_secrets() {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        fs::write(&secret, "s\n").expect("a secret");
        let text = format!(
            "public_url = \"https://night.example\"\n{HOUSE}title = \"House\"\n\
             client_secret_file = {:?}\nrequire_groups = [\"devs\"]\n",
            secret.display().to_string()
        );
        let made = providers(&text).expect("providers");
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].name(), made[0].title()), ("house", "House"));
        assert_eq!(made[0].policy().require_groups, ["devs"]);
        assert!(providers("").expect("none").is_empty());
        let none = ServerSettings::read(None, folder.path()).expect("no file is no mistake");
        assert_eq!(none, ServerSettings::default());
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| providers(text).err().expect("refused").message;
        assert!(message("x = 1\n").contains("server.toml, line 1: unknown field `x`"));
        assert!(message("[provider.x]\n").contains("missing field `issuer`"));
        let unset = format!("{HOUSE}client_secret_env = \"NO_SUCH_VARIABLE\"\n");
        assert!(message(&unset).contains("NO_SUCH_VARIABLE, which is not set"));
        let both = format!("{HOUSE}client_secret_env = \"A\"\nclient_secret_file = \"b\"\n");
        assert!(message(&both).contains("keep one"));
        let plain = HOUSE.replace("https", "http");
        assert!(message(&plain).contains("\"http://id.example\""));
        let named = HOUSE.replace("house", "\"a/b\"");
        assert!(message(&named).contains("its name must be"));
        // A secret has no place in the file.
        let secret = format!("{HOUSE}client_secret = \"s\"\n");
        assert!(message(&secret).contains("unknown field `client_secret`"));
    }

    #[test]
    fn the_public_address_is_a_servers() {
        let said = |text: &str| {
            let settings = ServerSettings {
                public_url: Some(text.to_owned()),
                ..ServerSettings::default()
            };
            settings.public_url("http://127.0.0.1:1").ok()
        };
        assert_eq!(
            said("https://n.example/").as_deref(),
            Some("https://n.example")
        );
        for bad in [
            "n.example",
            "ftp://n.example",
            "https://n.example/x",
            "https://n.example?x",
        ] {
            assert_eq!(said(bad), None, "{bad}");
        }
        let own = ServerSettings::default().public_url("http://127.0.0.1:1");
        assert_eq!(own.expect("its own"), "http://127.0.0.1:1");
    }
}
