//! GitHub Copilot's command line with a model of one's own (`@github/copilot`, facts checked with 1.0.102).
//!
//! Invariant: nothing of the working tree configures it, which is its own default without `--trust-folder`
//! (hooks, MCP servers, settings, extensions of the tree stay without effect); instructions of the tree are
//! switched off, so what of them counts is in the prompt. It works offline: no sign-in, no telemetry, no
//! updates, no tools of the provider. It has no model of its own here: the agent must name one. It tells no
//! tokens; the broker counts them. Its native program is started, which ends its tools at SIGTERM; the
//! wrapper does not. It unpacks itself into HOME at each start, 235 MB in two seconds.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::copilot_event::CopilotParser;
use super::invocation::{Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::order::{AgentOrder, McpServer};
use super::{EventParser, Harness};

const NEEDS: Needs = Needs {
    program: "copilot",
    package: "@github/copilot",
    since: Version([1, 0, 102]),
    checked: Version([1, 0, 102]),
    kind: Kind::Native {
        prefix: "copilot-linux",
        file: "copilot",
    },
};

/// The harness `copilot`.
#[derive(Debug, Clone, Copy)]
pub struct Copilot;

impl Harness for Copilot {
    fn name(&self) -> &'static str {
        "copilot"
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
        let mut argv = program.words();
        argv.extend(
            [
                "--output-format=json",
                "--allow-all-tools",
                "--allow-all-paths",
                "--no-ask-user",
                "--no-custom-instructions",
                "--disable-builtin-mcps",
                "--no-remote",
                "--no-auto-update",
                "--no-color",
                "--log-level=none",
            ]
            .map(Into::into),
        );
        if let Some(session) = &order.session {
            argv.push(format!("--resume={}", session.id).into());
        }
        if let Some(server) = &order.mcp {
            argv.push(format!("--additional-mcp-config={}", servers(server)).into());
        }
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("COPILOT_OFFLINE", "true")
            .with_env("COPILOT_PROVIDER_TYPE", "openai")
            .with_env("COPILOT_PROVIDER_WIRE_API", "completions")
            .with_env(
                "COPILOT_PROVIDER_BASE_URL",
                format!("{}/v1", order.model_base_url),
            )
            .with_env("COPILOT_PROVIDER_API_KEY", &order.model_key)
            .with_env("COPILOT_MODEL", model);
        invocation.session_dirs = vec![PathBuf::from(".copilot/session-state")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(CopilotParser::new(order.session.clone()))
    }
}

/// The servers it is given, beside which it starts none.
fn servers(server: &McpServer) -> Value {
    json!({ "mcpServers": { &server.name: {
        "type": "local",
        "command": server.command,
        "args": server.args,
        "tools": ["*"],
        // Checks take their time; the run's own limit ends them.
        "timeout": 86_400_000,
    } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Program;

    #[test]
    fn the_folder_is_never_trusted() {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        let program = Program::visible("/agents/copilot/copilot");
        order.programs.set("copilot", program);
        let error = Copilot.plan(&order).expect_err("no model");
        assert!(error.to_string().contains("add model = "), "{error}");
        order.model = Some("m".to_owned());
        let plan = Copilot.plan(&order).expect("a plan");
        assert!(!plan.argv.contains(&"--trust-folder".into()));
        let given = |plan: &Invocation| {
            let words = plan.argv.iter().filter_map(|word| word.to_str());
            let found = words
                .filter_map(|word| word.strip_prefix("--additional-mcp-config="))
                .next()?;
            serde_json::from_str::<Value>(found).ok()
        };
        assert_eq!(given(&plan), None);
        order.mcp = Some(crate::inside::server());
        let with = given(&Copilot.plan(&order).expect("a plan")).expect("the servers");
        let server = &with["mcpServers"]["nightshift"];
        assert_eq!(server["command"], "/nightshift/bin/nightshift");
        assert_eq!(
            server["args"],
            json!(["inside", "mcp", "/nightshift/inside.json"])
        );
        // This variable, set to this word, would trust the folder.
        assert!(!plan.env.iter().any(|(name, _)| name == "COPILOT_ALLOW_ALL"));
    }
}
