//! The platform's tools, called by the built-in agent without a server between them.
//!
//! They are those that `inside mcp` serves to other programs, with the same words and the same limits.
//! Deliberately absent: a right that a command of the model has not; the file that names platform and
//! token lies open in the sandbox.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::talk::Call;
use super::tool::{self, Offer};
use crate::inside::mcp::{self, Tools};

/// The tools of one run.
pub(super) struct Platform {
    tools: Tools,
}

impl Platform {
    /// Reads the file that the runner wrote.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        mcp::tools(path).map(|tools| Self { tools })
    }

    /// The tools, as a model is told of them.
    pub(super) fn offers() -> impl Iterator<Item = Offer> {
        mcp::told().map(|(name, description, schema)| Offer {
            name,
            description,
            schema,
        })
    }

    /// Carries a call out; none where the tool is no tool of the platform. What is dropped is stopped.
    pub(super) async fn call(&self, call: &Call) -> Option<Result<String, String>> {
        let name = plain(&call.tool);
        if !mcp::told().any(|(known, ..)| known == name) {
            return None;
        }
        if let Err(words) = tool::readable(call) {
            return Some(Err(words));
        }
        let args = call.args.as_object().cloned();
        let never = CancellationToken::new();
        self.tools.call(name, args, &never).await
    }
}

/// The name without what other programs put before it, which models have seen.
fn plain(name: &str) -> &str {
    let rest = name.strip_prefix("mcp__");
    rest.and_then(|rest| rest.strip_prefix(mcp::NAME)?.strip_prefix("__"))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_has_its_name_with_and_without_its_server() {
        assert_eq!(plain("get_issue"), "get_issue");
        assert_eq!(plain("mcp__nightshift__get_issue"), "get_issue");
        assert_eq!(plain("mcp__other__get_issue"), "mcp__other__get_issue");
    }

    #[test]
    fn no_tool_of_the_platform_hides_one_of_our_own() {
        let own = tool::own();
        for offer in Platform::offers() {
            assert!(
                own.iter().all(|known| known.name != offer.name),
                "{}",
                offer.name
            );
        }
    }
}
