//! `ask` and `progress`: what an agent inside a run says to the platform.
//!
//! Works with nothing but the three variables that the runner sets. Invariant: the run's own token
//! is the only credential. Deliberately absent: settings of a person.

use std::str::FromStr as _;

use nightshift_api::client::Client;
use nightshift_api::issue::Words;
use nightshift_api::operation::Operation;
use nightshift_api::run::RunPath;
use nightshift_api::{Nothing, operations};
use uuid::Uuid;

use crate::connection::http;
use crate::environment::Environment;
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::words;

/// Where the platform is, seen from inside a sandbox.
const PLATFORM: &str = "http://127.0.0.1:7070";

/// What to say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text, Markdown; `-` reads standard input
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    words: Vec<String>,
}

impl Args {
    pub(crate) async fn ask(self, environment: &Environment, output: Output) -> Done {
        self.say::<operations::RunAsk>(environment).await?;
        output.bytes(b"asked; stop now, you will be resumed with the answer\n")
    }

    pub(crate) async fn progress(self, environment: &Environment, output: Output) -> Done {
        self.say::<operations::RunProgress>(environment).await?;
        output.bytes(b"noted\n")
    }

    async fn say<O>(self, environment: &Environment) -> Done
    where
        O: Operation<Path = RunPath, Query = Nothing, Input = Words, Output = Nothing>,
    {
        let text = words::given_text(Some(&self.words.join(" ")))?.unwrap_or_default();
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(Failure::usage("there is nothing to say: give it a text"));
        }
        let outside = "this command works inside a run only";
        let run = environment.run.as_deref().unwrap_or_default();
        let run = Uuid::from_str(run)
            .map_err(|_| Failure::usage(format!("{outside}: NIGHTSHIFT_RUN names no run")))?;
        let Some(token) = environment.run_token.clone() else {
            return Err(Failure::usage(format!(
                "{outside}: NIGHTSHIFT_RUN_TOKEN is not set"
            )));
        };
        let platform = environment.platform.as_deref().unwrap_or(PLATFORM);
        Client::new(http(platform)?, platform, Some(token))
            .call::<O>(&RunPath { run }, &Nothing {}, &Words { text })
            .await?;
        Ok(())
    }
}
