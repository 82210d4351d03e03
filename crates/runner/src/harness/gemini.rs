//! Gemini CLI (`@google/gemini-cli`, facts checked with 0.61.0).
//!
//! Invariant: nothing of the working tree configures it. It is told that the tree is not trusted, which
//! keeps settings, hooks, MCP servers, policies, extensions and `.env` of `.gemini/` without effect (MCP
//! servers of anybody's, too); `GEMINI.md` is then not read either, so what of it counts is in the prompt.
//! In a tree that is not trusted it has no mode that approves everything, so a policy of the user's does.
//! What searches or fetches through the provider is off. It ignores SIGTERM while it relaunches itself,
//! hence it does not.

use std::path::PathBuf;

use serde_json::json;

use super::gemini_event::GeminiParser;
use super::invocation::{HomeFile, Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::order::AgentOrder;
use super::{EventParser, Harness};

const NEEDS: Needs = Needs {
    program: "gemini",
    package: "@google/gemini-cli",
    since: Version([0, 61, 0]),
    checked: Version([0, 61, 0]),
    kind: Kind::Node { since: 20 },
};

/// Everything is approved but what leads out; commands with redirections only where that is said.
const POLICY: &str = "\
[[rule]]
toolName = \"*\"
decision = \"allow\"
allowRedirection = true
priority = 998

[[rule]]
toolName = [\"google_web_search\", \"web_fetch\"]
decision = \"deny\"
priority = 999
";

/// The harness `gemini`.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Harness for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn needs(&self) -> Option<Needs> {
        Some(NEEDS)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let program = NEEDS.located(self.name(), &order.programs)?;
        let mut argv = program.words();
        argv.extend([
            "--approval-mode=default".into(),
            "--output-format=stream-json".into(),
        ]);
        if let Some(session) = &order.session {
            argv.push(format!("--resume={}", session.id).into());
        }
        if let Some(model) = &order.model {
            argv.push(format!("--model={model}").into());
        }
        let settings = json!({
            "security": {
                // The other switch, an environment variable, says that the tree is not trusted; with
                // this one it would not start at all.
                "folderTrust": { "enabled": false },
                "auth": { "selectedType": "gemini-api-key" },
            },
            "general": {
                "enableAutoUpdate": false,
                "enableAutoUpdateNotification": false,
                "maxAttempts": (order.limits.model_retries + 1).min(10),
            },
            "privacy": { "usageStatisticsEnabled": false },
            "hooksConfig": { "enabled": false },
            "advanced": { "ignoreLocalEnv": true },
        });
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("GOOGLE_GEMINI_BASE_URL", &order.model_base_url)
            .with_env("GEMINI_API_KEY", &order.model_key)
            .with_env("GEMINI_CLI_TRUST_WORKSPACE", "false")
            .with_env("GEMINI_CLI_NO_RELAUNCH", "true")
            .with_env("GEMINI_TELEMETRY_ENABLED", "false");
        invocation.files = vec![
            HomeFile::new(".gemini/settings.json", settings.to_string()),
            HomeFile::new(".gemini/policies/nightshift.toml", POLICY),
        ];
        invocation.session_dirs = vec![PathBuf::from(".gemini/tmp")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(GeminiParser::new(order.session.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{PLACEHOLDER_KEY, Program, Session};
    use nightshift_domain::transcript::Usage;

    #[test]
    fn the_tree_is_not_trusted_and_everything_inside_is_allowed() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        let mut program = Program::visible("/agents/gemini.js");
        program.interpreter = Some(Box::new(Program::visible("/usr/bin/node")));
        order.programs.set("gemini", program);
        order.session = Some(Session {
            id: "s-1".to_owned(),
            totals: Usage::default(),
        });
        let plan = Gemini.plan(&order).expect("a plan");
        assert_eq!(plan.argv[..2], ["/usr/bin/node", "--no-warnings"]);
        assert!(plan.argv.contains(&"--resume=s-1".into()));
        let variable = |name: &str| {
            let found = plan.env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(variable("GEMINI_CLI_TRUST_WORKSPACE"), Some("false"));
        assert_eq!(variable("GEMINI_API_KEY"), Some(PLACEHOLDER_KEY));
        let policy: toml::Table = POLICY.parse().expect("TOML");
        assert_eq!(policy["rule"].as_array().map(Vec::len), Some(2));
    }
}
