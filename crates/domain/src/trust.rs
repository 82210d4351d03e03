//! How far a text is trusted, by who wrote it. A run has the minimum over its inputs.
//!
//! Deliberately absent: any look at what the text says; only its author counts.

use serde::{Deserialize, Serialize};

use crate::access::{Role, Standing};

/// Trust levels, lowest first, so that `min` is the level of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Made by a tool or an agent, or found on the web.
    Tool,
    /// By a person without write access.
    Outsider,
    /// By a person with write access.
    Collaborator,
    /// By a person who manages the project.
    Maintainer,
    /// By the platform's operator.
    Operator,
}

impl Trust {
    /// The level of what this actor writes.
    #[must_use]
    pub fn of(standing: Standing) -> Self {
        match standing {
            Standing::Run | Standing::Runner => Self::Tool,
            Standing::Outsider | Standing::Member(Role::Reader) => Self::Outsider,
            Standing::Member(Role::Writer) => Self::Collaborator,
            Standing::Member(Role::Maintainer) => Self::Maintainer,
            Standing::Admin | Standing::System => Self::Operator,
        }
    }

    /// The level of a whole made of parts; an empty whole is the operator's.
    #[must_use]
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().min().unwrap_or(Self::Operator)
    }

    /// Whether text of this level may reach a prompt without a writer's release.
    #[must_use]
    pub fn reaches_prompts(self) -> bool {
        self >= Self::Collaborator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_trusted_input_decides() {
        let run = Trust::of_all([Trust::Maintainer, Trust::Outsider, Trust::Operator]);
        assert_eq!(run, Trust::Outsider);
        assert!(!run.reaches_prompts());
        assert!(Trust::of(Standing::Member(Role::Writer)).reaches_prompts());
        assert!(!Trust::of(Standing::Run).reaches_prompts());
    }
}
