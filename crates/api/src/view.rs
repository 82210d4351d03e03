//! Saved views of the board.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A view in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewPath {
    /// Its name.
    pub view: String,
}

/// Which issues a view shows; whatever is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewFilter {
    /// Those of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Those of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Those with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Those whose title contains this, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A saved view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// Its name, one of its person's.
    pub name: String,
    /// What it shows.
    pub filter: ViewFilter,
    /// Whether the board opens with it.
    pub is_default: bool,
    /// When it was first saved.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// What a view shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveView {
    /// A new name for the view that has the one in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it shows; a view that is there keeps what it has where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ViewFilter>,
    /// Whether the board opens with it, in place of any other; as before where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
}
