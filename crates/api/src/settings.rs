//! Wire types of a project's settings file.

use std::collections::BTreeMap;

use nightshift_domain::config::Config;
use nightshift_domain::config::field::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FieldProblem;

/// A project's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Where the file lives in the repository.
    pub path: String,
    /// The commit of the default branch that it was read at; absent while there is none.
    pub commit: Option<String>,
    /// The file's object there; absent where there is no file. A save names it.
    pub blob: Option<String>,
    /// The file's text; empty where there is none.
    pub text: String,
    /// Everything that is wrong with it; while there is something, the last good file holds.
    pub problems: Vec<FieldProblem>,
    /// Why it cannot be changed here, whoever asks.
    pub locked: Option<String>,
    /// Whether you may change it.
    pub may_edit: bool,
    /// The settings that hold, defaults included.
    #[schemars(with = "serde_json::Value")]
    pub in_force: Config,
}

/// A change of the settings: either keys (`set`, `rows`), or the whole `text`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditSettings {
    /// The file's object that the change was made on; absent for no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Keys and their values: `merge.method`, `check[NAME].timeout` (a name that is not there makes
    /// a new one), `check[NAME]` with null to remove it. Null takes a key back to its default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Option<serde_json::Value>>")]
    pub set: BTreeMap<String, Option<Value>>,
    /// The whole list of a section that may stand several times, in its new order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, Vec<SettingsRow>>,
    /// The whole text of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The message of the commit; otherwise it names the keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether only to say what would change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// One of a section's rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRow {
    /// Which row of the file it is, counted from 0; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<usize>,
    /// The keys that change, and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Option<serde_json::Value>>")]
    pub set: BTreeMap<String, Option<Value>>,
}

/// What a save did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedSettings {
    /// The commit that was made; absent where nothing had to be changed, or on a dry run.
    pub commit: Option<String>,
    /// The file's object now.
    pub blob: Option<String>,
    /// The change, as a unified diff; empty where nothing changes.
    pub diff: String,
}
