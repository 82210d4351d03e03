//! The operator's `runner.toml`: where models are, and which programs drive agents.
//!
//! Invariant: keys are named, not written: they stand in the environment or in files of their own.
//! Deliberately absent: anything a repository may choose.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nightshift_domain::config::Harness;
use nightshift_domain::host::Allowed;
use nightshift_domain::image::Image;
use nightshift_runner::broker::{self, Budget, Dialect, EndpointSpec, KeySource, Price};
use nightshift_runner::config::{Endpoints, OperatorNetwork};
use nightshift_runner::harness::{Program, Programs};
use nightshift_runner::registry::{Password, Registries, RegistryUser};
use nightshift_runner::sandbox::{Backend, Bind};
use nightshift_runner::secret::Secret;
use serde::Deserialize;

use crate::environment::{self, Environment};
use crate::failure::{Done, Failure};
use crate::program;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunnerSettings {
    /// Model endpoints by name.
    #[serde(default)]
    pub(crate) endpoint: BTreeMap<String, EndpointSettings>,
    /// Which endpoint the agents of a harness use; otherwise the one of the harness's own name, or
    /// the only one.
    #[serde(default, rename = "use")]
    pub(crate) uses: BTreeMap<String, String>,
    /// Where the programs of harnesses are; otherwise the search path is looked through.
    #[serde(default)]
    pub(crate) program: BTreeMap<String, PathBuf>,
    /// What runs may reach beside the server and their model.
    #[serde(default)]
    pub(crate) network: NetworkSettings,
    /// What models cost, before the list that ships.
    #[serde(default)]
    pub(crate) price: Vec<Price>,
    /// Folders that every sandbox can read: tool chains outside `/usr`.
    #[serde(default)]
    pub(crate) read_only: Vec<PathBuf>,
    /// What makes the walls of sandboxes.
    #[serde(default)]
    pub(crate) sandbox: SandboxSettings,
}

/// What makes the walls of sandboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SandboxSettings {
    /// Which engine; bubblewrap unless it says otherwise.
    #[serde(default)]
    pub(crate) engine: EngineName,
    /// Where the container engine listens; otherwise the first of the usual places that is there.
    pub(crate) socket: Option<PathBuf>,
    /// Images of projects that the engine may fetch; others must be there.
    #[serde(default)]
    pub(crate) pull: Vec<String>,
    /// Registries that want a user.
    #[serde(default)]
    pub(crate) registry: Vec<RegistrySettings>,
}

/// A registry that wants a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrySettings {
    /// The registry, with its port if it needs one.
    pub(crate) host: String,
    /// The user.
    pub(crate) user: String,
    /// The variable of the environment that holds the password.
    pub(crate) password_env: Option<String>,
    /// The file that holds the password.
    pub(crate) password_file: Option<PathBuf>,
}

/// The engines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineName {
    /// The program `bwrap`.
    #[default]
    Bubblewrap,
    /// Docker or Podman.
    Container,
}

/// Where container engines that run as root listen.
const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

/// What the operator says about the network that runs may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSettings {
    /// Hosts that every run may reach.
    #[serde(default)]
    pub(crate) allow: Vec<Allowed>,
    /// Places that may have private addresses, where a project or `allow` names them.
    #[serde(default)]
    pub(crate) private: Vec<Allowed>,
    /// Requests and tunnels of one run.
    pub(crate) requests: Option<u64>,
    /// What one run may send, in mebibytes.
    pub(crate) sent_mib: Option<u32>,
    /// What one run may receive, in mebibytes.
    pub(crate) received_mib: Option<u32>,
}

/// A model endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointSettings {
    /// Its address, without `/v1`.
    pub(crate) url: String,
    /// The header that carries the key.
    pub(crate) header: String,
    /// What it speaks, for the harness `command`; otherwise told from the header.
    pub(crate) speaks: Option<Dialect>,
    /// The variable of the environment that holds the key, or several for accounts that share.
    pub(crate) key_env: Option<OneOrMore<String>>,
    /// The file that holds the key, or several.
    pub(crate) key_file: Option<OneOrMore<PathBuf>>,
    /// The file of a login whose tokens change, or several; docs/configuration.md says what stands in it.
    pub(crate) login_file: Option<OneOrMore<PathBuf>>,
}

/// One, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

/// Harnesses that speak to a model.
const WITH_MODEL: [Harness; 7] = Harness::WITH_MODEL;

/// Harnesses that drive a program of this machine.
const WITH_PROGRAM: [Harness; 6] = Harness::WITH_PROGRAM;

/// Those that have a model only where it is named.
const ON_DEMAND: [Harness; 2] = [Harness::Command, Harness::Acp];

impl RunnerSettings {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Done<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line
                .map(|line| format!(", line {line}"))
                .unwrap_or_default();
            Failure::usage(format!("{shown}{place}: {}", error.message()))
        })
    }

    /// Reads the file at this path, or the usual one if it is there.
    pub(crate) fn of(path: Option<&Path>, environment: &Environment) -> Done<Self> {
        let usual = environment.config.join("runner.toml");
        match path {
            Some(path) => Self::read(path),
            None if usual.exists() => Self::read(&usual),
            None => Ok(Self::default()),
        }
    }

    /// Adds an endpoint given as `name=url,header,key-env`.
    pub(crate) fn add_endpoint(&mut self, text: &str) -> Result<(), String> {
        let form = || "expected NAME=URL,HEADER,VARIABLE".to_owned();
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let parts: Vec<_> = rest.split(',').collect();
        let [url, header, key] = parts[..] else {
            return Err(form());
        };
        if name.is_empty() || url.is_empty() || header.is_empty() {
            return Err(form());
        }
        let endpoint = EndpointSettings {
            url: url.to_owned(),
            header: header.to_owned(),
            speaks: None,
            key_env: (!key.is_empty()).then(|| OneOrMore::One(key.to_owned())),
            key_file: None,
            login_file: None,
        };
        self.endpoint.insert(name.to_owned(), endpoint);
        Ok(())
    }

    /// The endpoints. Their keys are looked for here and read by the broker alone.
    pub(crate) fn endpoints(&self) -> Done<Endpoints> {
        let mut endpoints = Endpoints::default();
        for (name, settings) in &self.endpoint {
            endpoints.by_name.insert(name.clone(), settings.spec(name)?);
        }
        for harness in WITH_MODEL {
            let word = harness.as_str();
            let only = (self.endpoint.len() == 1).then(|| self.endpoint.keys().next());
            let named = self.uses.get(word);
            let own = self.endpoint.contains_key(word).then(|| word.to_owned());
            let name = named.cloned().or(own).or(only.flatten().cloned());
            endpoints.default.extend(name.map(|name| (harness, name)));
        }
        for harness in ON_DEMAND {
            let named = self.uses.get(harness.as_str()).cloned();
            endpoints.default.extend(named.map(|name| (harness, name)));
        }
        let is = |harness: &Harness, word: &str| harness.as_str() == word;
        let uses = self.uses.keys().find(|word| {
            let mut known = WITH_MODEL.iter().chain(&ON_DEMAND);
            !known.any(|harness| is(harness, word))
        });
        let program = self
            .program
            .keys()
            .find(|word| !WITH_PROGRAM.iter().any(|harness| is(harness, word)));
        if let Some(word) = uses.or(program) {
            let known = WITH_MODEL.map(Harness::as_str).join(", ");
            return Err(Failure::usage(format!(
                "the runner's settings name the harness {word:?} where it has no meaning: under \
                 [use] stand {known}, command and acp, under [program] those of them that have a \
                 program"
            )));
        }
        Ok(endpoints)
    }

    /// The agent programs of this machine.
    pub(crate) fn programs(&self, path: &OsStr) -> Done<Programs> {
        let mut programs = Programs::find(None, Some(path));
        for harness in WITH_PROGRAM {
            let word = harness.as_str();
            let Some(place) = self.program.get(word) else {
                continue;
            };
            let folder = match place.is_dir() {
                true => Some(place.as_path()),
                false => place.parent(),
            };
            // What executes scripts is looked for there first, then where everything is.
            let mut places: Vec<PathBuf> = folder.map(Path::to_owned).into_iter().collect();
            let mut found = Programs::find(None, folder.map(Path::as_os_str));
            if found.of(word).is_some_and(Program::needs_node) {
                places.extend(std::env::split_paths(path));
                let joined = std::env::join_paths(places).map_err(|error| {
                    Failure::usage(format!("the search path cannot be used: {error}"))
                })?;
                found = Programs::find(None, Some(&joined));
            }
            let program = found.take(word).ok_or_else(|| {
                Failure::usage(format!(
                    "the runner's settings say that {word} is in {}, and there is none",
                    place.display()
                ))
            })?;
            programs.set(word, program);
        }
        Ok(programs)
    }

    /// What models cost: the operator's own prices, then those that ship.
    pub(crate) fn prices(&self) -> Vec<Price> {
        let own = self.price.iter().cloned();
        own.chain(broker::shipped_prices()).collect()
    }

    /// What runs may reach beside the server and their model.
    pub(crate) fn network(&self) -> OperatorNetwork {
        let usual = Budget::NETWORK;
        let bytes = |mib: Option<u32>, usual| mib.map_or(usual, |mib| u64::from(mib) << 20);
        OperatorNetwork {
            allow: self.network.allow.clone(),
            private: self.network.private.clone(),
            budget: Budget {
                requests: self.network.requests.unwrap_or(usual.requests),
                bytes_sent: bytes(self.network.sent_mib, usual.bytes_sent),
                bytes_received: bytes(self.network.received_mib, usual.bytes_received),
            },
        }
    }

    /// What makes the walls of sandboxes.
    pub(crate) fn backend(&self, environment: &Environment) -> Done<Backend> {
        match (self.sandbox.engine, &self.sandbox.socket) {
            (EngineName::Bubblewrap, None)
                if !self.sandbox.pull.is_empty() || !self.sandbox.registry.is_empty() =>
            {
                Err(Failure::usage(
                    "the runner's settings say under [sandbox] where images are pulled from, which \
                     bubblewrap cannot show: say engine = \"container\" there as well, or remove \
                     pull and registry",
                ))
            }
            (EngineName::Bubblewrap, None) => {
                let program = program::find(environment, "bwrap").ok_or_else(|| {
                    Failure::failed(
                        "bwrap is not installed: install the package bubblewrap, or choose \
                         engine = \"container\" under [sandbox] in the runner's settings",
                    )
                })?;
                Ok(Backend::Bubblewrap { program })
            }
            (EngineName::Bubblewrap, Some(_)) => Err(Failure::usage(
                "the runner's settings name a socket under [sandbox], which bubblewrap has not: \
                 say engine = \"container\" there as well, or remove the socket",
            )),
            (EngineName::Container, Some(socket)) => Ok(Backend::Container {
                socket: absolute(socket)?,
            }),
            (EngineName::Container, None) => {
                let usual = SOCKETS.map(PathBuf::from);
                let there = usual.iter().find(|socket| socket.exists());
                Ok(Backend::Container {
                    socket: there.unwrap_or(&usual[0]).clone(),
                })
            }
        }
    }

    /// Where images of projects may come from.
    pub(crate) fn registries(&self) -> Done<Registries> {
        let rule = |text: &String| {
            text.parse()
                .map_err(|error| Failure::usage(format!("pull under [sandbox]: {error}")))
        };
        let users = self.sandbox.registry.iter().map(RegistrySettings::user);
        Ok(Registries {
            pull: self.sandbox.pull.iter().map(rule).collect::<Done<_>>()?,
            users: users.collect::<Done<_>>()?,
        })
    }

    /// What every sandbox can read, at the same place inside.
    pub(crate) fn binds(&self) -> Vec<Bind> {
        let binds = self.read_only.iter().map(|path| Bind {
            source: path.clone(),
            target: path.clone(),
        });
        binds.collect()
    }
}

impl RegistrySettings {
    fn user(&self) -> Done<RegistryUser> {
        let host = &self.host;
        let named = |cause: String| Failure::usage(format!("the registry {host:?}: {cause}"));
        let whole = format!("{host}/x").parse::<Image>();
        if !whole.is_ok_and(|image| image.registry() == Some(host)) {
            return Err(named(
                "host is a name with a dot or a port, such as registry.example.com".to_owned(),
            ));
        }
        let password = match (&self.password_env, &self.password_file) {
            (Some(variable), None) => {
                let value = environment::text(variable).filter(|value| !value.is_empty());
                let value =
                    value.ok_or_else(|| named(format!("the variable {variable} is not set")))?;
                Password::Known(Secret::new(value.trim()))
            }
            (None, Some(file)) => {
                let file = absolute(file)?;
                fs::metadata(&file)
                    .map_err(|error| named(format!("cannot read {}: {error}", file.display())))?;
                Password::File(file)
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(named(
                    "say one of password_env and password_file".to_owned(),
                ));
            }
        };
        Ok(RegistryUser {
            host: host.clone(),
            user: self.user.clone(),
            password,
        })
    }
}

impl EndpointSettings {
    fn spec(&self, name: &str) -> Done<EndpointSpec> {
        let keys = match (&self.key_env, &self.key_file, &self.login_file) {
            (Some(variables), None, None) => variables
                .all()
                .iter()
                .cloned()
                .map(KeySource::Variable)
                .collect(),
            (None, None, Some(files)) => {
                let file = |file: &PathBuf| absolute(file).map(KeySource::Login);
                files.all().iter().map(file).collect::<Done<Vec<_>>>()?
            }
            (None, Some(files), None) => {
                let file = |file: &PathBuf| absolute(file).map(KeySource::File);
                files.all().iter().map(file).collect::<Done<Vec<_>>>()?
            }
            (None, None, None) => Vec::new(),
            (..) => {
                return Err(Failure::usage(format!(
                    "the model endpoint {name:?} names more than one of key_env, key_file and login_file: keep one"
                )));
            }
        };
        for key in &keys {
            key.look(&environment::text).map_err(|why| {
                Failure::usage(format!("the key of the model endpoint {name:?}: {why}"))
            })?;
        }
        let header = self.header.to_ascii_lowercase();
        let dialect = self.speaks.unwrap_or(match header.as_str() {
            "x-api-key" => Dialect::Anthropic,
            "x-goog-api-key" => Dialect::Gemini,
            _ => Dialect::OpenAi,
        });
        let bearer = self.header.eq_ignore_ascii_case("authorization");
        Ok(EndpointSpec {
            url: self.url.trim_end_matches('/').to_owned(),
            header: self.header.clone(),
            prefix: if bearer { "Bearer " } else { "" }.to_owned(),
            dialect,
            keys,
        })
    }
}

/// The broker works in another directory.
fn absolute(path: &Path) -> Done<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Done<RunnerSettings> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runner.toml");
        fs::write(&path, text).expect("a file");
        RunnerSettings::read(&path)
    }

    #[test]
    fn endpoints_belong_to_harnesses() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        fs::write(&key, "secret\n").expect("a key");
        let mut settings = read(&format!(
            "[endpoint.claude-code]\nurl = \"https://a.example/\"\nheader = \"x-api-key\"\n\
             key_file = {:?}\n[use]\ncodex = \"house\"\n",
            key.display().to_string()
        ))
        .expect("settings");
        settings
            .add_endpoint("house=http://127.0.0.1:9,Authorization,")
            .expect("an endpoint");
        let endpoints = settings.endpoints().expect("endpoints");
        let of = |harness| {
            let name = endpoints.of(harness).expect("one").expect("it");
            &endpoints.by_name[name]
        };
        let claude = of(Harness::ClaudeCode);
        assert_eq!(
            (claude.url.as_str(), claude.prefix.as_str()),
            ("https://a.example", "")
        );
        assert_eq!(claude.keys, [KeySource::File(key)]);
        assert_eq!(claude.dialect, Dialect::Anthropic);
        let codex = of(Harness::Codex);
        assert_eq!((codex.prefix.as_str(), codex.keys.len()), ("Bearer ", 0));
        for bad in ["", "x", "x=u,h", "=u,h,k", "x=,h,k"] {
            assert!(settings.add_endpoint(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_network_has_usual_bounds() {
        let text = "[network]\nprivate = [\"mirror.corp.example\"]\nsent_mib = 1\n";
        let network = read(text).expect("settings").network();
        assert_eq!(network.private[0].to_string(), "mirror.corp.example");
        assert_eq!(network.budget.bytes_sent, 1 << 20);
        assert_eq!(network.budget.requests, Budget::NETWORK.requests);
    }

    #[test]
    fn the_engine_is_the_operators_choice() {
        let environment = Environment::default();
        let backend = |text: &str| read(text).and_then(|s| s.backend(&environment));
        let named = "[sandbox]\nengine = \"container\"\nsocket = \"/run/x.sock\"\n";
        let socket = PathBuf::from("/run/x.sock");
        assert_eq!(
            backend(named).expect("an engine"),
            Backend::Container { socket }
        );
        let usual = backend("[sandbox]\nengine = \"container\"\n").expect("an engine");
        assert!(matches!(usual, Backend::Container { .. }), "{usual:?}");
        let alone = backend("[sandbox]\nsocket = \"/run/x.sock\"\n").expect_err("no engine");
        assert!(
            alone.message.contains("engine = \"container\""),
            "{}",
            alone.message
        );
        let other = backend("[sandbox]\nengine = \"chroot\"\n").expect_err("no such engine");
        assert!(other.message.contains("line 2"), "{}", other.message);
    }

    #[test]
    fn images_come_from_where_the_operator_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let password = folder.path().join("password");
        fs::write(&password, "secret\n").expect("a password");
        let text = format!(
            "[sandbox]\nengine = \"container\"\npull = [\"registry.example.com/team/*\"]\n\
             [[sandbox.registry]]\nhost = \"registry.example.com\"\nuser = \"robot\"\npassword_file = {:?}\n",
            password.display().to_string()
        );
        let registries = read(&text)
            .and_then(|s| s.registries())
            .expect("registries");
        assert!(registries.allow(&"registry.example.com/team/a".parse().expect("a name")));
        assert_eq!(registries.users[0].password, Password::File(password));
        let none = read("").and_then(|s| s.registries()).expect("none");
        assert_eq!(none, Registries::default());
        let message = |text: &str| {
            let said = read(text).and_then(|s| {
                s.registries()?;
                s.backend(&Environment::default())
            });
            said.expect_err("no").message
        };
        let short = message("[sandbox]\nengine = \"container\"\npull = [\"base\"]\n");
        assert!(short.contains("registry.example.com/team/*"), "{short}");
        let user = "[[sandbox.registry]]\nuser = \"u\"\nhost = ";
        let none = message(&format!("{user}\"registry.example.com\"\n"));
        assert!(none.contains("password_env and password_file"), "{none}");
        let unset =
            format!("{user}\"registry.example.com\"\npassword_env = \"NO_SUCH_VARIABLE\"\n");
        assert!(message(&unset).contains("the variable NO_SUCH_VARIABLE is not set"));
        let host = message(&format!("{user}\"https://registry.example.com\"\n"));
        assert!(host.contains("a name with a dot or a port"), "{host}");
        let other = message("[sandbox]\npull = [\"registry.example.com/*\"]\n");
        assert!(other.contains("bubblewrap cannot show"), "{other}");
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| {
            read(text)
                .and_then(|s| s.endpoints())
                .expect_err("no")
                .message
        };
        assert!(message("x = 1\n").contains("runner.toml, line 1: unknown field `x`"));
        let scheme = message("[network]\nallow = [\"https://a.example\"]\n");
        assert!(
            scheme.contains("line 2") && scheme.contains("without https://"),
            "{scheme}"
        );
        assert!(message("[use]\ngpt = \"x\"\n").contains("\"gpt\""));
        let program = message("[program]\nnative = \"/bin/true\"\n");
        assert!(
            program.contains("\"native\" where it has no meaning"),
            "{program}"
        );
        let missing = "[endpoint.a]\nurl = \"u\"\nheader = \"h\"\nkey_env = \"NO_SUCH_VARIABLE\"\n";
        assert!(message(missing).contains("the variable NO_SUCH_VARIABLE is not set"));
    }
}
