//! The file that the runner writes for the tools inside.
//!
//! Deliberately absent: anything that the agent does not have already; it can read this file.

use std::path::{Path, PathBuf};

use nightshift_domain::brief::Brief;
use nightshift_domain::check::Check;
use nightshift_domain::id::RunId;
use serde::{Deserialize, Serialize};

/// Its name in the control directory.
pub(crate) const FILE: &str = "inside.json";

/// What the tools know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Control {
    /// Where the platform is, seen from inside.
    pub(crate) platform: String,
    /// The run.
    pub(crate) run: RunId,
    /// Its own token.
    pub(crate) token: String,
    /// The order as it was when the run began.
    pub(crate) brief: Brief,
    /// The checks as the base defines them.
    pub(crate) checks: Vec<Check>,
    /// Those that are left to the proof, since they need a secret that is not here.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
    /// The sealed tests.
    pub(crate) sealed: Option<Sealed>,
    /// The working tree, where they run.
    pub(crate) tree: PathBuf,
    /// Every variable that they find.
    pub(crate) env: Vec<(String, String)>,
}

/// How the sealed tests are run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// The command line.
    pub(crate) run: String,
    /// The longest it may take.
    pub(crate) timeout_s: u64,
    /// Lays the sealed files over the tree.
    pub(crate) lay: String,
    /// Their paths.
    pub(crate) files: Vec<String>,
}

impl Control {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes =
            std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} does not fit: {error}", path.display()))
    }
}
