//! Where the log of a server or a runner goes. Client commands have none.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use crate::environment::Environment;
use crate::failure::{Done, Failure};

/// Sends the log to standard error, or to a file.
pub(crate) fn start(environment: &Environment, json: bool, file: Option<File>) -> Done {
    let directives = environment.log.as_deref().unwrap_or("info,sqlx=warn");
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Failure::usage(format!(
            "NIGHTSHIFT_LOG is no filter: {error}; an example: info"
        ))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match (file, json) {
        (Some(file), _) => builder
            .with_ansi(false)
            .with_writer(Arc::new(file))
            .try_init(),
        (None, true) => builder.json().with_writer(io::stderr).try_init(),
        (None, false) => builder
            .with_ansi(!environment.no_colour && io::IsTerminal::is_terminal(&io::stderr()))
            .with_writer(io::stderr)
            .try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot start the log: {error}")))
}
