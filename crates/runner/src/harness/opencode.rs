//! opencode (`opencode-ai`, facts checked with 1.18.33).
//!
//! Invariant: nothing of the working tree configures it. Its configuration comes by the environment, and
//! that of the tree is switched off, plugins included; but it still imports what a tree has as
//! `.opencode/plugin`, and no switch keeps it from that. So a tree that has configuration for it is
//! refused before it starts, by a shell that then becomes it. Prices, models, plugins and language
//! servers are not fetched. It has no model of its own: the agent must name one. SIGTERM leaves its tools
//! alive; the sandbox ends them.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;

use super::invocation::{Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::opencode_event::OpencodeParser;
use super::order::AgentOrder;
use super::{EventParser, Harness};

const NEEDS: Needs = Needs {
    program: "opencode",
    package: "opencode-ai",
    since: Version([1, 18, 33]),
    checked: Version([1, 18, 33]),
    kind: Kind::Native {
        prefix: "opencode-linux-",
        file: "bin/opencode",
    },
};

/// Refuses a tree with configuration of its own, else becomes the program.
const GUARD: &str = r#"
for name in .opencode opencode.json opencode.jsonc; do
    if [ -e "$name" ] || [ -L "$name" ]; then
        echo "nightshift: the tree has $name, which opencode would load and nothing keeps it from: remove it from the branch, or give the issue an agent with another harness" >&2
        exit 78
    fi
done
exec "$@"
"#;

/// What it would fetch, send, or take from elsewhere.
const OFF: [&str; 9] = [
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_PURE",
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_MODELS_FETCH",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_SHARE",
];

/// The harness `opencode`.
#[derive(Debug, Clone, Copy)]
pub struct Opencode;

impl Harness for Opencode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn needs(&self) -> Option<Needs> {
        Some(NEEDS)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let program = NEEDS.located(self.name(), &order.programs)?;
        let model = order.model.as_ref().ok_or(PlanError::NoModel {
            harness: self.name(),
        })?;
        let mut argv: Vec<OsString> = ["/bin/sh", "-c", GUARD, "opencode"]
            .map(Into::into)
            .to_vec();
        argv.extend(program.words());
        argv.extend(["run".into(), "--format=json".into()]);
        if let Some(session) = &order.session {
            argv.push(format!("--session={}", session.id).into());
        }
        let named = format!("nightshift/{model}");
        let mut config = json!({
            "autoupdate": false,
            "share": "disabled",
            "model": named,
            "small_model": named,
            "enabled_providers": ["nightshift"],
            "permission": { "*": "allow", "webfetch": "deny", "websearch": "deny" },
            "provider": { "nightshift": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Nightshift",
                "options": {
                    "baseURL": format!("{}/v1", order.model_base_url),
                    "apiKey": order.model_key,
                },
                "models": { model: {} },
            } },
        });
        if let Some(server) = &order.mcp {
            let command = [std::slice::from_ref(&server.command), &server.args].concat();
            config["mcp"] = json!({ &server.name: {
                "type": "local", "command": command, "enabled": true, "timeout": 60_000,
            } });
            // Checks take their time; the run's own limit ends them.
            config["experimental"] = json!({ "mcp_timeout": 86_400_000 });
        }
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("OPENCODE_CONFIG_CONTENT", config.to_string());
        for name in OFF {
            invocation = invocation.with_env(name, "1");
        }
        invocation.session_dirs = vec![PathBuf::from(".local/share/opencode")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(OpencodeParser::new(order.session.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Program;

    #[test]
    fn a_model_is_needed_and_the_rest_is_ours() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        let program = Program::visible("/agents/opencode-ai/opencode");
        order.programs.set("opencode", program);
        let error = Opencode.plan(&order).expect_err("no model");
        assert!(error.to_string().contains("add model = "), "{error}");
        order.model = Some("a\"b".to_owned());
        order.mcp = Some(crate::inside::server());
        let plan = Opencode.plan(&order).expect("a plan");
        let variable = |name: &str| {
            let found = plan.env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let config = variable("OPENCODE_CONFIG_CONTENT").expect("a configuration");
        let config: serde_json::Value = serde_json::from_str(config).expect("JSON");
        assert_eq!(config["model"], "nightshift/a\"b");
        let tools = json!({ "nightshift": {
            "type": "local", "enabled": true, "timeout": 60_000,
            "command": ["/nightshift/bin/nightshift", "inside", "mcp", "/nightshift/inside.json"],
        } });
        assert_eq!(
            config["mcp"], tools,
            "the platform's tools are its only server"
        );
        assert_eq!(variable("OPENCODE_DISABLE_PROJECT_CONFIG"), Some("1"));
        assert_eq!(plan.argv[4], "/agents/opencode-ai/opencode");
    }
}
