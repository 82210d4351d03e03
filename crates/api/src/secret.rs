//! Secrets of a project. Values go in and never come out.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secret in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretPath {
    /// The project's name.
    pub project: String,
    /// The secret's name.
    pub secret: String,
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// The variable in which steps find it.
    pub name: String,
    /// The steps that get it: names of checks, `setup`, `acceptance`, `agent`. Empty where the
    /// project's settings do not name it.
    pub steps: Vec<String>,
    /// Whether these steps get it in the sandbox of an agent as well.
    pub author: bool,
    /// Who set its value; absent where it has none.
    pub set_by: Option<String>,
    /// When its value was set.
    #[schemars(with = "Option<String>")]
    pub set_at: Option<Timestamp>,
}

/// The value of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// 8 bytes to 16 KiB, without NUL.
    pub value: String,
}

impl std::fmt::Debug for SetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetSecret(..)")
    }
}
