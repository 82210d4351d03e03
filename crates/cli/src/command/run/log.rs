//! `run log`: what was said and done, also while it is being said.
//!
//! Invariant: with --raw and --json every byte of the log comes out as it is stored.

use nightshift_api::Nothing;
use nightshift_api::operations::{self, LOG_READ, LOG_STREAM};
use nightshift_api::run::RunPath;

use super::Which;
use crate::connection::Connection;
use crate::failure::Done;
use crate::follow::{Follow, Next};
use crate::view::transcript::Transcript;

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// Which run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Go on until the run ends
    #[arg(long, short)]
    follow: bool,
    /// The records as they are stored: one JSON object a line (the same as --json)
    #[arg(long)]
    raw: bool,
    /// Outputs whole, however long
    #[arg(long)]
    full: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let run = self.which.find(connection).await?;
        let path = RunPath { run: run.id };
        let mut printer = Printer {
            connection,
            raw: self.raw || connection.output.json,
            transcript: Transcript::new(self.full),
        };
        let mut offset = 0;
        loop {
            let query = [
                ("offset", offset.to_string()),
                ("limit", WINDOW.to_string()),
            ];
            let bytes = connection
                .client
                .bytes(&LOG_READ, &path, &query, None)
                .await?;
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len();
            printer.print(&bytes)?;
        }
        if self.follow && run.ended_at.is_none() {
            follow(connection, &path, offset, &mut printer).await?;
        }
        printer.finish()
    }
}

async fn follow(
    connection: &Connection,
    path: &RunPath,
    offset: usize,
    printer: &mut Printer<'_>,
) -> Done {
    let query = vec![("offset", offset.to_string())];
    let followed = Follow::new(&connection.client, &LOG_STREAM, "offset")
        .run(path, query, |event| {
            if event.name.as_deref() == Some("end") {
                return Ok(Next::Stop);
            }
            printer.print(event.data.as_bytes())?;
            printer.print(b"\n")?;
            Ok(Next::GoOn)
        })
        .await;
    // A stream that cannot be resumed because the run has ended is an end as well.
    match followed {
        Err(failure) => {
            let run = connection
                .call::<operations::RunGet>(path, &Nothing {}, &Nothing {})
                .await?;
            match run.ended_at {
                Some(_) => Ok(()),
                None => Err(failure),
            }
        }
        Ok(()) => Ok(()),
    }
}

struct Printer<'a> {
    connection: &'a Connection,
    raw: bool,
    transcript: Transcript,
}

impl Printer<'_> {
    fn print(&mut self, bytes: &[u8]) -> Done {
        let output = self.connection.output;
        if self.raw {
            return output.bytes(bytes);
        }
        let mut screen = output.screen();
        self.transcript.push(&mut screen, bytes);
        output.show(&mut screen)
    }

    fn finish(mut self) -> Done {
        if self.raw {
            return Ok(());
        }
        let mut screen = self.connection.output.screen();
        self.transcript.finish(&mut screen);
        self.connection.output.show(&mut screen)
    }
}
