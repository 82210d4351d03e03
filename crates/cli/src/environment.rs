//! The variables of the environment that the program reads, all of them, read once.
//!
//! Invariant: nothing else in the program reads one (except clap, for the options that say so).
//! Deliberately absent: defaults that depend on the command.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]

use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Where settings live, `$XDG_CONFIG_HOME/nightshift`.
    pub(crate) config: PathBuf,
    /// Where unsent texts are kept, `$XDG_STATE_HOME/nightshift`.
    pub(crate) state: PathBuf,
    /// Where `up` keeps its data, `$XDG_DATA_HOME/nightshift`.
    pub(crate) data: PathBuf,
    /// The person's name on this machine.
    pub(crate) user: Option<String>,
    /// `$VISUAL`, else `$EDITOR`.
    pub(crate) editor: Option<String>,
    /// `$PAGER`.
    pub(crate) pager: Option<String>,
    /// Whether colours are unwanted: `NO_COLOR` is set and not empty, or `TERM` is `dumb`.
    pub(crate) no_colour: bool,
    /// The search path for programs.
    pub(crate) path: OsString,
    /// Proxy for addresses of others.
    pub(crate) proxy: Option<String>,
    /// What is logged, in the form of `tracing`'s filters.
    pub(crate) log: Option<String>,
    /// Where every event of an issue is told, signed.
    pub(crate) webhook_url: Option<String>,
    /// What those messages are signed with.
    pub(crate) webhook_secret: Option<String>,
    /// A runner's token.
    pub(crate) runner_token: Option<String>,
    /// How many settings `GIT_CONFIG_COUNT` already hands to git.
    pub(crate) git_settings: usize,
    /// Inside a run: where the platform is.
    pub(crate) platform: Option<String>,
    /// Inside a run: its id.
    pub(crate) run: Option<String>,
    /// Inside a run: its token.
    pub(crate) run_token: Option<String>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let home = PathBuf::from(text("HOME").unwrap_or_else(|| "/".to_owned()));
        let folder = |name: &str, below: &str| {
            let base = text(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            base.unwrap_or_else(|| home.join(below)).join("nightshift")
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            state: folder("XDG_STATE_HOME", ".local/state"),
            data: folder("XDG_DATA_HOME", ".local/share"),
            user: text("USER").or_else(|| text("LOGNAME")),
            editor: text("VISUAL").or_else(|| text("EDITOR")),
            pager: text("PAGER"),
            no_colour: text("NO_COLOR").is_some() || text("TERM").as_deref() == Some("dumb"),
            path: std::env::var_os("PATH").unwrap_or_default(),
            proxy: text("https_proxy").or_else(|| text("HTTPS_PROXY")),
            log: text("NIGHTSHIFT_LOG"),
            webhook_url: text("NIGHTSHIFT_WEBHOOK_URL"),
            webhook_secret: text("NIGHTSHIFT_WEBHOOK_SECRET"),
            runner_token: text("NIGHTSHIFT_RUNNER_TOKEN"),
            git_settings: text("GIT_CONFIG_COUNT")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            platform: text("NIGHTSHIFT_PLATFORM"),
            run: text("NIGHTSHIFT_RUN"),
            run_token: text("NIGHTSHIFT_RUN_TOKEN"),
        }
    }
}

/// A variable that is set, not empty, and text.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
