//! `login`: remembers a server and a token, after trying them.
//!
//! Invariant: the token is read from a prompt without echo or from standard input, never from an
//! argument of this command. Deliberately absent: passwords.

use std::io::IsTerminal as _;

use nightshift_api::client::Client;
use nightshift_api::{Nothing, operations};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::client_settings::{self, ClientSettings, normal_server};
use crate::command::Global;
use crate::connection::{http, is_loopback};
use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::words;

/// Which server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its address, such as `https://night.example.com`; otherwise the last one
    address: Option<String>,
}

impl Args {
    pub(crate) async fn run(
        self,
        global: &Global,
        environment: &Environment,
        output: Output,
    ) -> Done {
        let mut settings = ClientSettings::read(&environment.config)?;
        let named = self.address.or(global.server.clone());
        let server = match named.or(settings.server.clone()) {
            Some(server) => normal_server(&server)?,
            None => {
                return Err(Failure::usage(
                    "which server? say it: nightshift login http://host:port",
                ));
            }
        };
        if server.starts_with("http://") && !is_loopback(&server) {
            output.note(
                "note: this address is not encrypted; whoever sees the traffic can use the token",
            );
        }
        let token = match &global.token {
            Some(token) => token.clone(),
            None => read_token(&output)?,
        };
        let client = Client::new(http(&server)?, &server, Some(token.clone()));
        let me = client
            .call::<operations::MeGet>(&Nothing {}, &Nothing {}, &Nothing {})
            .await
            .map_err(|error| {
                let mut failure = Failure::from(error);
                if failure.exit == crate::failure::Exit::NotAllowed {
                    failure.message = format!(
                        "{server} does not know this token; an administrator makes one with \
                         `nightshift token new --user NAME`"
                    );
                }
                failure
            })?;
        settings.remember(&server, &token);
        settings.write(&environment.config)?;
        output.answer(&me, |screen| {
            let path = client_settings::path(&environment.config);
            screen.line([format!(
                "signed in to {server} as {}; remembered in {}",
                me.name,
                path.display()
            )
            .into()]);
        })
    }
}

fn read_token(output: &Output) -> Done<String> {
    let token = if std::io::stdin().is_terminal() {
        output.note("token (it is not shown):");
        without_echo()?
    } else {
        words::stdin()?
    };
    let token = token.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::usage("expected one token on standard input"));
    }
    Ok(token.to_owned())
}

fn without_echo() -> Done<String> {
    let terminal = std::io::stdin();
    let failed = |error: std::io::Error| Failure::failed(format!("cannot read a token: {error}"));
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent).map_err(|error| failed(error.into()))?;
    let mut line = String::new();
    let read = terminal.read_line(&mut line);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &before).map_err(|error| failed(error.into()))?;
    read.map_err(failed)?;
    Ok(line)
}
