//! Claude Code (`@anthropic-ai/claude-code`, facts checked with 2.1.332).
//!
//! Invariant: nothing of the working tree configures it. Only the user's settings are read
//! (HOME is made by the runner), MCP servers of the tree are not started. With that, `AGENTS.md`
//! and `CLAUDE.md` of the tree are not read either; what of them counts is in the prompt.
//! Tools that search or fetch through the provider are off: they would be a way out of the
//! sandbox that its broker does not see.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::claude_event::ClaudeParser;
use super::invocation::{HomeFile, Invocation, PlanError, Stdin};
use super::needs::{Kind, Needs, Version};
use super::order::{AgentOrder, McpServer};
use super::{EventParser, Harness};

const NEEDS: Needs = Needs {
    program: "claude",
    package: "@anthropic-ai/claude-code",
    since: Version([2, 1, 197]),
    checked: Version([2, 1, 332]),
    kind: Kind::Native {
        prefix: "claude-code-",
        file: "claude",
    },
};

/// The harness `claude-code`.
#[derive(Debug, Clone, Copy)]
pub struct ClaudeCode;

impl Harness for ClaudeCode {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn needs(&self) -> Option<Needs> {
        Some(NEEDS)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn interrupts(&self) -> bool {
        true
    }

    fn plan(&self, order: &AgentOrder) -> Result<Invocation, PlanError> {
        let program = NEEDS.located(self.name(), &order.programs)?;
        let mut argv = program.words();
        argv.extend(
            [
                "-p",
                "--output-format=stream-json",
                "--verbose",
                "--dangerously-skip-permissions",
                "--setting-sources=user",
                "--strict-mcp-config",
                "--disallowedTools=WebSearch,WebFetch",
            ]
            .map(OsString::from),
        );
        if let Some(server) = &order.mcp {
            argv.push(format!("--mcp-config={}", mcp_config(server)).into());
        }
        if let Some(session) = &order.session {
            argv.push(format!("--resume={}", session.id).into());
        }
        if let Some(model) = &order.model {
            argv.push(format!("--model={model}").into());
        }
        if let Some(turns) = order.limits.max_turns {
            argv.push(format!("--max-turns={turns}").into());
        }
        if let Some(cost) = order.limits.max_cost_micro_usd {
            argv.push(format!("--max-budget-usd={}", dollars(cost)).into());
        }
        let mut invocation = Invocation::new(argv, Stdin::Prompt)
            .with_env("ANTHROPIC_BASE_URL", &order.model_base_url)
            .with_env("ANTHROPIC_API_KEY", &order.model_key)
            .with_env(
                "CLAUDE_CODE_MAX_RETRIES",
                order.limits.model_retries.to_string(),
            )
            .with_env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .with_env("DISABLE_AUTOUPDATER", "1")
            // Checks take their time; the run's own limit ends them.
            .with_env("MCP_TOOL_TIMEOUT", "86400000")
            // It refuses to skip permissions as root unless told that it is in a sandbox. It is.
            .with_env("IS_SANDBOX", "1");
        // The platform writes the commit and its trailers.
        invocation.files.push(HomeFile::new(
            ".claude/settings.json",
            "{\"attribution\":{\"commit\":\"\",\"pr\":\"\"}}\n",
        ));
        invocation.session_dirs = vec![PathBuf::from(".claude/projects")];
        invocation.binds = program.binds();
        Ok(invocation)
    }

    fn parser(&self, order: &AgentOrder) -> Box<dyn EventParser> {
        Box::new(ClaudeParser::new(order.session.clone()))
    }
}

/// The servers it is given, beside which it starts none.
fn mcp_config(server: &McpServer) -> Value {
    let how = json!({ "type": "stdio", "command": server.command, "args": server.args });
    json!({ "mcpServers": { &server.name: how } })
}

/// Millionths of a dollar as the decimal the program reads.
fn dollars(micro: u64) -> String {
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{PLACEHOLDER_KEY, Program, Session};
    use nightshift_domain::transcript::Usage;

    fn order() -> AgentOrder {
        let mut order = AgentOrder::new("Fix it.", "Fix it.");
        order.programs.set(
            "claude-code",
            Program::visible("/agents/claude-code/claude"),
        );
        order
    }

    fn arguments(order: &AgentOrder) -> Vec<String> {
        let plan = ClaudeCode.plan(order).expect("a plan");
        plan.argv
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_tree_configures_nothing_and_the_key_is_a_placeholder() {
        let plan = ClaudeCode.plan(&order()).expect("a plan");
        for needed in ["--setting-sources=user", "--strict-mcp-config"] {
            assert!(plan.argv.contains(&needed.into()), "{needed}");
        }
        assert_eq!(plan.stdin, Stdin::Prompt);
        assert!(
            plan.env
                .contains(&("ANTHROPIC_API_KEY".to_owned(), PLACEHOLDER_KEY.to_owned()))
        );
        assert!(
            !plan
                .argv
                .iter()
                .any(|a| a.to_string_lossy().contains("Fix it")),
            "the prompt is not visible in the process list"
        );
    }

    #[test]
    fn the_platforms_tools_are_its_only_server() {
        let mut order = order();
        order.mcp = Some(crate::inside::server());
        let arguments = arguments(&order);
        let given = arguments
            .iter()
            .find_map(|word| word.strip_prefix("--mcp-config="));
        let given: Value = serde_json::from_str(given.expect("the servers")).expect("JSON");
        let wanted = json!({ "mcpServers": { "nightshift": {
            "type": "stdio",
            "command": "/nightshift/bin/nightshift",
            "args": ["inside", "mcp", "/nightshift/inside.json"],
        } } });
        assert_eq!(given, wanted);
        assert!(arguments.iter().any(|word| word == "--strict-mcp-config"));
    }

    #[test]
    fn session_model_and_bounds_are_arguments() {
        let mut order = order();
        order.session = Some(Session {
            id: "s-1".to_owned(),
            totals: Usage::default(),
        });
        order.model = Some("--help".to_owned());
        order.limits.max_turns = Some(7);
        order.limits.max_cost_micro_usd = Some(1_050_000);
        let arguments = arguments(&order);
        for needed in [
            "--resume=s-1",
            "--model=--help",
            "--max-turns=7",
            "--max-budget-usd=1.050000",
        ] {
            assert!(arguments.iter().any(|a| a == needed), "{needed}");
        }
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let error = ClaudeCode
            .plan(&AgentOrder::new("x", "x"))
            .expect_err("no program");
        assert!(
            error
                .to_string()
                .contains("npm install -g @anthropic-ai/claude-code")
        );
    }
}
