//! The way to the server: its address, the token, the project that is meant.
//!
//! Invariant: a token goes only to the server it belongs to, and is never shown. Deliberately
//! absent: single operations.

use std::net::IpAddr;
use std::time::Duration;

use nightshift_api::client::{CallError, Client};
use nightshift_api::operation::{Needs, Operation};
use nightshift_api::{Nothing, Page, operations};

use crate::client_settings::{ClientSettings, normal_server};
use crate::clock;
use crate::command::Global;
use crate::environment::Environment;
use crate::failure::{Done, Exit, Failure};
use crate::output::Output;
use crate::program::Git;

/// What a client command works with.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The server.
    pub(crate) client: Client,
    /// Where words go.
    pub(crate) output: Output,
    /// The environment.
    pub(crate) environment: Environment,
    token: Option<String>,
    project: Option<String>,
}

impl Connection {
    /// Finds out which server is meant. Nothing is sent yet.
    pub(crate) fn open(global: &Global, environment: Environment, output: Output) -> Done<Self> {
        let settings = ClientSettings::read(&environment.config)?;
        // A variable that is set to nothing says nothing.
        let said = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let server = match (said(&global.server), settings.server) {
            (Some(server), _) => normal_server(&server)?,
            (None, Some(server)) => normal_server(&server)?,
            (None, None) => {
                return Err(Failure::usage(
                    "no server is known: start one with `nightshift up`, or sign in to one with \
                     `nightshift login http://host:port`",
                ));
            }
        };
        let token = said(&global.token).or_else(|| settings.tokens.get(&server).cloned());
        Ok(Self {
            client: Client::new(http(&server)?, &server, token.clone()),
            output,
            environment,
            token,
            project: said(&global.project),
        })
    }

    /// To a server that this process has started.
    pub(crate) fn to(
        server: &str,
        token: &str,
        project: &str,
        environment: Environment,
        output: Output,
    ) -> Done<Self> {
        Ok(Self {
            client: Client::new(http(server)?, server, Some(token.to_owned())),
            output,
            environment,
            token: Some(token.to_owned()),
            project: Some(project.to_owned()),
        })
    }

    /// The token, for git.
    pub(crate) fn token(&self) -> Done<&str> {
        self.token.as_deref().ok_or_else(|| self.no_token())
    }

    fn no_token(&self) -> Failure {
        let server = self.client.server();
        Failure::new(
            Exit::NotAllowed,
            format!("no token for {server}: sign in with `nightshift login {server}`"),
        )
    }

    /// Calls an operation.
    pub(crate) async fn call<O: Operation>(
        &self,
        path: &O::Path,
        query: &O::Query,
        input: &O::Input,
    ) -> Done<O::Output> {
        if self.token.is_none() && O::NEEDS != Needs::Nobody {
            return Err(self.no_token());
        }
        Ok(self.client.call::<O>(path, query, input).await?)
    }

    /// Calls an operation that makes something: if the answer is lost, once more, and the server
    /// does it once.
    pub(crate) async fn create<O: Operation>(
        &self,
        path: &O::Path,
        input: &O::Input,
    ) -> Done<O::Output>
    where
        O::Query: Default,
    {
        self.token()?;
        let key = clock::new_id().to_string();
        let query = O::Query::default();
        let once = || self.client.call_once::<O>(path, &query, input, Some(&key));
        match once().await {
            Err(CallError::Unreachable { .. }) => Ok(once().await?),
            other => Ok(other?),
        }
    }

    /// The project that is meant: named, or the one this checkout belongs to, or the only one.
    pub(crate) async fn project(&self) -> Done<String> {
        if let Some(project) = &self.project {
            return Ok(project.clone());
        }
        let remotes = Git::new(&self.environment, None)
            .args(["config", "--get-regexp", r"^remote\..*\.url$"])
            .read()
            .unwrap_or_default();
        if let Some(project) = project_of_remotes(&remotes, self.client.server()) {
            return Ok(project);
        }
        let all = self
            .call::<operations::ProjectList>(&Nothing {}, &Nothing {}, &Nothing {})
            .await?;
        only(all.items.into_iter().map(|project| project.name).collect())
    }

    /// The project if one is named or this checkout belongs to one; all of them otherwise.
    pub(crate) fn project_if_named(&self) -> Option<String> {
        self.project.clone()
    }
}

fn only(mut names: Vec<String>) -> Done<String> {
    match names.len() {
        0 => Err(Failure::new(
            Exit::NotFound,
            "there is no project yet: make one with `nightshift project add <path or url>`",
        )),
        1 => Ok(names.remove(0)),
        _ => Err(Failure::usage(format!(
            "which project? say it with --project: {}",
            names.join(", ")
        ))),
    }
}

/// Collects `limit` items over as many pages as it takes.
pub(crate) async fn gather<T, F>(
    limit: usize,
    mut page: impl FnMut(Option<String>, i64) -> F,
) -> Done<Page<T>>
where
    F: Future<Output = Done<Page<T>>>,
{
    let mut all = Page {
        items: Vec::new(),
        next: None,
    };
    loop {
        let wanted = (limit - all.items.len()).min(200);
        let next = page(all.next.take(), i64::try_from(wanted).unwrap_or(200)).await?;
        let empty = next.items.is_empty();
        all.items.extend(next.items);
        all.next = next.next;
        if all.next.is_none() || all.items.len() >= limit || empty {
            return Ok(all);
        }
    }
}

/// The project of the first remote that points at the server, from lines `remote.<name>.url <url>`.
fn project_of_remotes(lines: &str, server: &str) -> Option<String> {
    let place = |url: &str| -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split('/').next()?;
        // A user in an address is not part of where it points.
        let bare = host.rsplit('@').next()?;
        let path = &rest[host.len()..];
        Some(format!(
            "{}://{}{path}",
            scheme.to_lowercase(),
            bare.to_lowercase()
        ))
    };
    lines.lines().find_map(|line| {
        let (_, url) = line.split_once(' ')?;
        let place = place(url.trim())?;
        let name = place
            .strip_prefix(server)?
            .strip_prefix("/git/")?
            .trim_end_matches('/');
        let name = name.strip_suffix(".git").unwrap_or(name);
        (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
    })
}

/// Whether a server's address is on this machine.
pub(crate) fn is_loopback(server: &str) -> bool {
    let Some((_, rest)) = server.split_once("://") else {
        return false;
    };
    let host = match rest.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => rest.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The HTTP client. What is on this machine is never reached by a proxy.
pub(crate) fn http(server: &str) -> Done<reqwest::Client> {
    // A second call finds it installed.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")));
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Failure::failed(format!("cannot set up HTTP: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_tells_the_project() {
        let server = "http://127.0.0.1:4321";
        let guess = |lines: &str| project_of_remotes(lines, server);
        let ours = "remote.origin.url https://example.com/a/b.git\n\
                    remote.night.url http://me:secret@127.0.0.1:4321/git/tally.git\n";
        assert_eq!(guess(ours).as_deref(), Some("tally"));
        assert_eq!(
            guess("remote.o.url http://127.0.0.1:4321/git/tally").as_deref(),
            Some("tally")
        );
        for other in [
            "",
            "remote.o.url git@127.0.0.1:git/tally.git",
            "remote.o.url http://127.0.0.1:43210/git/tally.git",
            "remote.o.url http://127.0.0.1:4321/git/a/b.git",
            "remote.o.url http://127.0.0.1:4321/tally.git",
            "remote.o.url http://127.0.0.1:4321@evil.example/git/tally.git",
        ] {
            assert_eq!(guess(other), None, "{other}");
        }
    }

    #[test]
    fn one_project_is_meant_many_must_be_named() {
        assert_eq!(only(vec!["a".to_owned()]).expect("it"), "a");
        let many = only(vec!["a".to_owned(), "b".to_owned()]).expect_err("which");
        assert_eq!(
            (many.exit, many.message.ends_with(": a, b")),
            (Exit::Usage, true)
        );
        assert_eq!(only(vec![]).expect_err("none").exit, Exit::NotFound);
    }

    #[test]
    fn this_machine_is_known() {
        for here in ["http://127.0.0.1:1", "http://[::1]:80", "http://localhost"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in ["http://10.0.0.1", "https://localhost.example", "x"] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
