//! `secret`: values that a project's steps need and nobody is to read.
//!
//! A value is read from standard input and never from an argument, which others on the machine could
//! see.

use std::io::{IsTerminal as _, Read as _};

use nightshift_api::project::ProjectPath;
use nightshift_api::secret::{Secret, SecretPath, SetSecret};
use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::{dim, plain, red};
use crate::view::age;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the secrets of a project, without their values
    List,
    /// Set the value of a secret; it is read from standard input, up to its last line end
    Set {
        /// Its name, as `[[secret]]` in .nightshift/config.toml has it
        name: String,
    },
    /// Remove the value of a secret
    Remove {
        /// Its name
        name: String,
    },
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = connection.project().await?;
        match self {
            Self::List => list(connection, project).await,
            Self::Set { name } => set(connection, project, name).await,
            Self::Remove { name } => {
                let path = SecretPath {
                    project,
                    secret: name,
                };
                connection
                    .call::<operations::SecretRemove>(&path, &Nothing {}, &Nothing {})
                    .await?;
                connection.output.answer(&path, |screen| {
                    let said = format!("{} of {} has no value any more", path.secret, path.project);
                    screen.line([plain(said)]);
                })
            }
        }
    }
}

async fn list(connection: &Connection, project: String) -> Done {
    let path = ProjectPath { project };
    let secrets = connection
        .call::<operations::SecretList>(&path, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&secrets, |screen| {
        if secrets.items.is_empty() {
            screen.line([dim(
                "no secrets: name one under [[secret]] in .nightshift/config.toml",
            )]);
            return;
        }
        let now = clock::now();
        let rows = secrets.items.iter().map(|secret| {
            let value = match secret.set_at {
                Some(at) => plain(format!("set {} ago", age(at, now))),
                None => red("missing"),
            };
            vec![
                plain(&secret.name),
                plain(steps(secret)),
                value,
                plain(secret.set_by.as_deref().unwrap_or_default()),
            ]
        });
        screen.table("", &["secret", "for", "value", "by"], rows.collect());
    })
}

async fn set(connection: &Connection, project: String, name: String) -> Done {
    let mut value = String::new();
    if std::io::stdin().is_terminal() {
        connection
            .output
            .note("type the value, then Enter and Ctrl-D; better: pipe it in from a file");
    }
    std::io::stdin()
        .read_to_string(&mut value)
        .map_err(|error| Failure::usage(format!("the value cannot be read: {error}")))?;
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value).to_owned();
    let path = SecretPath {
        project,
        secret: name,
    };
    let set = connection
        .call::<operations::SecretSet>(&path, &Nothing {}, &SetSecret { value })
        .await?;
    connection.output.answer(&set, |screen| {
        screen.line([plain(format!("{} is set, for {}", set.name, steps(&set)))]);
    })
}

/// The steps that get it, in words.
fn steps(secret: &Secret) -> String {
    match (secret.steps.is_empty(), secret.author) {
        (true, _) => "no step: name it under [[secret]] in .nightshift/config.toml".to_owned(),
        (false, false) => secret.steps.join(", "),
        (false, true) => format!("{}, also beside an agent", secret.steps.join(", ")),
    }
}
