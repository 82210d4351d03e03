//! What the operator decides about a runner; made by the command line and passed down whole.
//!
//! Invariant: nothing here comes from a repository or from the server; keys of models are named here
//! and not held. Deliberately absent: reading files and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_domain::config::Harness;
use nightshift_domain::host::Allowed;
use nightshift_domain::job::{HEARTBEAT, Kind, LEASE};
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;

use crate::broker::{BrokerProgram, Budget, Dialect, EndpointSpec, Price, RouteWay};
use crate::harness::{Programs, native_speaks};
use crate::registry::Registries;
use crate::sandbox::{Backend, Bind, SandboxProgram};
use crate::secret::Secret;

/// A runner's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's address, `http://host:port`.
    pub server: String,
    /// The runner's token.
    pub token: Secret,
    /// Where workspaces, sessions and spools are kept; one runner process at a time.
    pub data: PathBuf,
    /// How many runs at one time.
    pub slots: usize,
    /// Kinds of jobs it takes.
    pub kinds: Vec<Kind>,
    /// Its version, told to the server.
    pub version: String,
    /// Our own program, started outside and inside of sandboxes.
    pub program: SandboxProgram,
    /// How the broker is started.
    pub broker: BrokerProgram,
    /// What makes the walls of sandboxes.
    pub backend: Backend,
    /// The program git, used for the runner's own copies of repositories.
    pub git: PathBuf,
    /// Visible in every sandbox, read-only: tool chains outside `/usr`.
    pub read_only: Vec<Bind>,
    /// The agent programs of this machine.
    pub programs: Programs,
    /// Where models are.
    pub endpoints: Endpoints,
    /// What models cost, the operator's own prices first.
    pub prices: Vec<Price>,
    /// What runs may reach beside.
    pub network: OperatorNetwork,
    /// Where images of projects may come from.
    pub registries: Registries,
    /// How long things take.
    pub timing: Timing,
}

/// Model endpoints by name, and which one a harness uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// By name; the broker alone reads their keys.
    pub by_name: BTreeMap<String, EndpointSpec>,
    /// The name that agents of a harness use.
    pub default: Vec<(Harness, String)>,
}

impl Endpoints {
    /// The name of the endpoint that agents of this harness use.
    ///
    /// # Errors
    /// The message says which setting is missing.
    pub fn of(&self, harness: Harness) -> Result<Option<&str>, Sentence> {
        let named = self.default.iter().find(|(of, _)| *of == harness);
        match (named, harness) {
            (Some((_, name)), _) => match self.by_name.get(name) {
                Some(endpoint)
                    if harness == Harness::Native && !native_speaks(endpoint.dialect) =>
                {
                    Err(say::other_dialect(
                        endpoint.dialect.as_str(),
                        format!("{name:?}"),
                    ))
                }
                Some(_) => Ok(Some(name)),
                None => Err(say::endpoint_undefined(
                    format!("{name:?}"),
                    name,
                    harness.as_str(),
                )),
            },
            (None, Harness::Script | Harness::Command | Harness::Acp) => Ok(None),
            (None, _) => Err(say::no_endpoint(harness.as_str())),
        }
    }
}

impl Endpoints {
    /// The way of agents of this harness to their model: the interface that the program speaks, or,
    /// where it speaks any, the endpoint's own.
    ///
    /// # Errors
    /// The message says which setting is missing.
    pub fn route(&self, harness: Harness) -> Result<Option<RouteWay>, Sentence> {
        let Some(name) = self.of(harness)? else {
            return Ok(None);
        };
        let dialect = match harness {
            Harness::ClaudeCode => Dialect::Anthropic,
            Harness::Gemini => Dialect::Gemini,
            Harness::Codex | Harness::Opencode | Harness::Qwen | Harness::Copilot => {
                Dialect::OpenAi
            }
            Harness::Script | Harness::Command | Harness::Native | Harness::Acp => self
                .by_name
                .get(name)
                .map_or(Dialect::OpenAi, |endpoint| endpoint.dialect),
        };
        Ok(Some(RouteWay {
            dialect,
            endpoint: name.to_owned(),
            token: String::new(),
        }))
    }
}

/// What the operator says about the network that runs may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorNetwork {
    /// Hosts that every run may reach.
    pub allow: Vec<Allowed>,
    /// Places that may have addresses of a network of one's own, where they are allowed at all.
    pub private: Vec<Allowed>,
    /// What one run may send and receive at most.
    pub budget: Budget,
}

impl Default for OperatorNetwork {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            private: Vec::new(),
            budget: Budget::NETWORK,
        }
    }
}

/// How long things take. The defaults follow from the lease; tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a live run beats.
    pub heartbeat: Duration,
    /// From the last acknowledged beat to the end of a run whose server is out of reach: the
    /// lease's time to live less a margin in which everything is killed.
    pub cut_off: Duration,
    /// How long the server may hold a claim while there is no work.
    pub claim_wait: Duration,
    /// How long running jobs may go on after a drain began.
    pub grace: Duration,
    /// How long what a stopped run has may take to be pushed for rescue.
    pub rescue: Duration,
    /// How long a push that does not get through is tried again.
    pub publish: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            cut_off: LEASE.saturating_sub(Duration::from_secs(10)),
            claim_wait: Duration::from_secs(25),
            grace: Duration::from_secs(60),
            rescue: Duration::from_secs(30),
            publish: Duration::from_secs(300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_endpoint_says_what_to_do() {
        let mut endpoints = Endpoints::default();
        assert_eq!(endpoints.of(Harness::Script), Ok(None));
        let none = endpoints.of(Harness::Codex).expect_err("none is defined");
        assert!(none.to_string().contains("define one"), "{none}");
        endpoints.default.push((Harness::Codex, "house".to_owned()));
        let named = endpoints.of(Harness::Codex).expect_err("not defined");
        assert!(named.to_string().contains("[endpoint.house]"), "{named}");
    }

    #[test]
    fn the_built_in_agent_speaks_as_its_endpoint_does_or_says_that_it_cannot() {
        let mut endpoints = Endpoints::default();
        endpoints
            .default
            .push((Harness::Native, "house".to_owned()));
        let mut route = |dialect| {
            let spec = EndpointSpec {
                url: "http://127.0.0.1:9".to_owned(),
                header: String::new(),
                prefix: String::new(),
                dialect,
                keys: Vec::new(),
            };
            endpoints.by_name.insert("house".to_owned(), spec);
            endpoints.route(Harness::Native)
        };
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let way = route(dialect).expect("a way").expect("one");
            assert_eq!(way.dialect, dialect);
        }
        let error = route(Dialect::Gemini).expect_err("it cannot");
        assert!(error.to_string().contains("[use]"), "{error}");
    }
}
